//! A layer is taken again exactly when everything that went into it is the same.

use super::*;
use crate::plan::stage_keys;

const SPEC: &str = r#"
user = "app"
[env]
A = "1"
[build_env]
B = "1"
[parameter.p]
default = "1"
[[step]]
name = "first"
reads = ["one.txt", "lists/*"]
run = ["make", "first", "{{param.p}}"]
[[step]]
name = "second"
when = { absent = "stop" }
reads = ["two.txt"]
run = ["make", "second"]
env = { C = "1" }
[[step]]
name = "third"
run = ["make", "third"]
"#;

fn usual() -> Case {
    let files = [("one.txt", "1"), ("two.txt", "2"), ("lists/a", "a"), ("main.c", "main")];
    case(&format!("{SPEC}{START}"), &files)
}

fn keys(case: &Case) -> Vec<Digest> {
    stage_keys(&case.plan().unwrap()).into_iter().flatten().collect()
}

/// Which of the two keys differ from the usual ones.
fn changed(change: impl FnOnce(&mut Case)) -> [bool; 2] {
    let mut case = usual();
    change(&mut case);
    let (before, after) = (keys(&usual()), keys(&case));
    assert_eq!((before.len(), after.len()), (2, 2));
    [before[0] != after[0], before[1] != after[1]]
}

fn write(case: &mut Case, path: &str, text: &str) {
    let file = case.files.iter_mut().find(|(known, _)| known == path);
    text.clone_into(&mut file.unwrap().1);
}

fn replace(case: &mut Case, from: &str, to: &str) {
    assert!(case.spec.contains(from), "{from}");
    case.spec = case.spec.replace(from, to);
}

const BOTH: [bool; 2] = [true, true];
const SECOND: [bool; 2] = [false, true];
const NONE: [bool; 2] = [false, false];

#[test]
fn what_goes_into_a_layer_is_in_its_key_and_in_those_above() {
    type Change = fn(&mut Case);
    let table: [(&str, [bool; 2], Change); 19] = [
        ("nothing", NONE, |_| {}),
        ("a file's content", BOTH, |case| write(case, "one.txt", "x")),
        ("a file's content, above", SECOND, |case| write(case, "two.txt", "x")),
        ("a file that the glob finds", BOTH, |case| case.files.push(("lists/b".into(), String::new()))),
        ("a file that the glob found is gone", BOTH, |case| case.files.retain(|(path, _)| path != "lists/a")),
        ("a file's kind", BOTH, |case| case.files[0].0.push('*')),
        ("a file's name", BOTH, |case| case.files[2].0 = "lists/z".into()),
        ("the base", BOTH, |case| case.base = Digest::of(b"other")),
        ("the environment", BOTH, |case| case.environment = "qemu".into()),
        ("a command", BOTH, |case| replace(case, "\"first\", ", "\"first\", \"-x\", ")),
        ("a command, above", SECOND, |case| replace(case, "\"second\"]", "\"second\", \"-x\"]")),
        ("a parameter", BOTH, |case| case.app = "[parameters]\np = \"2\"".into()),
        ("the contract's env", BOTH, |case| replace(case, "A = \"1\"", "A = \"2\"")),
        ("the env of building", BOTH, |case| replace(case, "B = \"1\"", "B = \"2\"")),
        ("a step's env", SECOND, |case| replace(case, "C = \"1\"", "C = \"2\"")),
        ("the app's env", BOTH, |case| case.app = "[env]\nX = \"1\"".into()),
        ("the command line's env", BOTH, |case| case.env = BTreeMap::from([("X".into(), "1".into())])),
        ("the user", BOTH, |case| replace(case, "user = \"app\"", "user = \"other\"")),
        ("the source's place", BOTH, |case| replace(case, "[env]", "source = { as = \"dir\", at = \"/srv\" }\n[env]")),
    ];
    for (what, expected, change) in table {
        assert_eq!(changed(change), expected, "{what}");
    }
}

#[test]
fn each_key_of_a_step_is_in_its_key() {
    let first = "run = [\"make\", \"first\", \"{{param.p}}\"]";
    for added in ["dir = \"/tmp\"", "user = \"root\"", "network = \"egress\"", "env = { D = \"1\" }"] {
        assert_eq!(changed(|case| replace(case, first, &format!("{first}\n{added}"))), BOTH, "{added}");
    }
    assert_eq!(changed(|case| replace(case, "name = \"first\"", "name = \"1st\"")), NONE, "names are for people");
}

#[test]
fn what_only_the_app_stage_sees_changes_no_key() {
    type Change = fn(&mut Case);
    let table: [(&str, Change); 7] = [
        ("a file of the app", |case| write(case, "main.c", "x")),
        ("a new file", |case| case.files.push(("new.c".into(), String::new()))),
        ("the step of the app", |case| replace(case, "\"third\"]", "\"third\", \"-x\"]")),
        ("how it is started", |case| replace(case, "[\"start\"]", "[\"start\", \"-x\"]")),
        ("a test", |case| case.spec.push_str("[test]\nrun = [\"t\"]\n")),
        ("processes", |case| case.app = "[processes]\nweb = \"x\"".into()),
        ("limits", |case| case.app = "[limits]\nmemory = \"1GiB\"".into()),
    ];
    for (what, change) in table {
        assert_eq!(changed(change), NONE, "{what}");
    }
}

#[test]
fn a_stage_that_falls_out_or_comes_in_changes_those_above() {
    let stopped = usual().file("stop", "");
    assert_eq!(keys(&stopped), keys(&usual())[..1], "the first is the same, the second is not there");
    let mut early = usual();
    let zeroth = "[[step]]\nname = \"zeroth\"\nreads = []\nrun = [\"zero\"]\n";
    replace(&mut early, "[[step]]\nname = \"first\"", &format!("{zeroth}[[step]]\nname = \"first\""));
    let (with, without) = (keys(&early), keys(&usual()));
    assert_eq!(with.len(), 3);
    assert!(with.iter().all(|key| !without.contains(key)));
}

#[test]
fn the_time_of_a_reusable_layer_is_the_bases_and_of_the_last_the_commits() {
    let plan = usual().plan().unwrap();
    assert_eq!(plan.stages.iter().map(|stage| stage.epoch).collect::<Vec<_>>(), [7, 7, 42]);
}

#[test]
fn plans_are_the_same_for_the_same_and_differ_with_any_file() {
    let digest = |case: &Case| case.plan().unwrap().digest();
    assert_eq!(digest(&usual()), digest(&usual()));
    let mut other = usual();
    write(&mut other, "main.c", "x");
    assert_ne!(digest(&other), digest(&usual()));
}
