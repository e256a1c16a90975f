//! Stages and steps: their order, their environment, the form of the source, limits.

use super::*;
use crate::model::launch::Span;
use crate::plan::{Bytes, Injection, Network, Place, Reuse, Selection};

fn injections(plan: &Plan) -> Vec<&Injection> {
    let deeds = plan.stages.iter().flat_map(|stage| &stage.deeds);
    deeds.filter_map(|deed| if let Deed::Inject(injection) = deed { Some(injection) } else { None }).collect()
}

#[test]
fn steps_that_declare_what_they_read_come_first_with_those_files_only() {
    let text = "[[step]]\nname = \"one\"\nreads = [\"b\", \"*.txt\", \"nowhere\"]\nrun = [\"1\"]\n\
        [[step]]\nname = \"two\"\nreads = [\"missing\"]\nrun = [\"2\"]\n\
        [[step]]\nname = \"three\"\nrun = [\"3\"]\n[[step]]\nname = \"four\"\nafter = \"test\"\nrun = [\"4\"]\n\
        [[step]]\nname = \"five\"\nrun = [\"5\"]\n[test]\nrun = [\"t\"]\n";
    let files = [("b", ""), ("a.txt", ""), ("c", ""), ("d/e.txt", "")];
    let plan = case(&format!("{text}{START}"), &files).plan().unwrap();
    let stages: Vec<_> = plan.stages.iter().map(|stage| (stage.name.as_str(), stage.reuse)).collect();
    assert_eq!(stages, [("one", Reuse::Inputs), ("two", Reuse::Inputs), ("app", Reuse::Never)]);
    assert_eq!(names(steps(&plan)), ["one", "two", "three", "five"]);
    assert_eq!(names(&plan.test), ["test"]);
    assert_eq!(names(&plan.finish), ["four"]);
    let paths = |injection: &Injection| match &injection.what {
        Selection::Files(files) => files.iter().map(|file| file.path.clone()).collect(),
        _ => vec!["everything".to_owned()],
    };
    let injected: Vec<_> = injections(&plan).into_iter().map(paths).collect();
    assert_eq!(injected, [vec!["a.txt".to_owned(), "b".to_owned()], vec![], vec!["everything".to_owned()]]);
}

#[test]
fn later_words_on_the_environment_win() {
    let text = "[env]\nA = \"contract\"\nB = \"contract\"\nC = \"contract\"\n\
        [build_env]\nD = \"build\"\nA = \"build\"\nB = \"build\"\n\
        [[step]]\nname = \"s\"\nrun = [\"x\"]\nenv = { E = \"step\", D = \"step\" }\n";
    let mut case = case(&format!("{text}{START}"), &[("a", "")]);
    case.image.env = ["A", "F", "PATH"].map(|name| (name.to_owned(), "image".to_owned())).into();
    let plan = case.app("[env]\nB = \"app\"\nC = \"app\"").env("C", "line").plan().unwrap();
    let launch = &plan.launch.env;
    let step = &steps(&plan)[0].env;
    for (name, in_step, in_launch) in [
        ("A", "build", Some("contract")),
        ("B", "app", Some("app")),
        ("C", "line", Some("line")),
        ("D", "step", None),
        ("E", "step", None),
        ("F", "image", Some("image")),
        ("PATH", "image", Some("image")),
    ] {
        assert_eq!(step.get(name).map(String::as_str), Some(in_step), "{name} of the step");
        assert_eq!(launch.get(name).map(String::as_str), in_launch, "{name} of the launch");
    }
}

#[test]
fn the_path_is_the_houses_until_somebody_says_another() {
    for (spec, app, in_step, in_launch) in [
        ("", "", "/usr/local/sbin:/usr/local/bin:", "/usr/local/sbin:/usr/local/bin:"),
        ("[env]\nPATH = \"/contract\"\n", "", "/contract", "/contract"),
        ("[build_env]\nPATH = \"/build\"\n", "", "/build", "/usr/local/sbin:"),
        ("[env]\nPATH = \"/contract\"\n", "[env]\nPATH = \"/app\"", "/app", "/app"),
    ] {
        let text = format!("{spec}[[step]]\nname = \"s\"\nrun = [\"x\"]\n{START}");
        let plan = case(&text, &[("a", "")]).app(app).plan().unwrap();
        assert!(steps(&plan)[0].env["PATH"].starts_with(in_step), "{spec}{app}");
        assert!(plan.launch.env["PATH"].starts_with(in_launch), "{spec}{app}");
    }
}

#[test]
fn a_step_runs_as_it_says_or_as_the_contract_does() {
    let text = "user = \"app\"\nshell = [\"/bin/bash\", \"-ec\"]\n[[step]]\nname = \"a\"\nrun = \"make it\"\n\
        [[step]]\nname = \"b\"\nrun = [\"make\", \"it\"]\ndir = \"/tmp\"\nuser = \"root\"\nnetwork = \"egress\"\n";
    let plan = case(&format!("{text}{START}"), &[("a", "")]).plan().unwrap();
    let [a, b] = steps(&plan)[..] else { panic!("{plan:?}") };
    assert_eq!(a.argv, ["/bin/bash", "-ec", "make it"]);
    assert_eq!((a.dir.as_str(), a.user.as_str(), a.network), ("/app", "app", Network::None));
    assert_eq!(b.argv, ["make", "it"]);
    assert_eq!((b.dir.as_str(), b.user.as_str(), b.network), ("/tmp", "root", Network::Egress));
}

#[test]
fn an_archive_is_mounted_and_nothing_runs_inside_it() {
    let text =
        "user = \"app\"\nsource = { as = \"tar\", at = \"/source.tar\" }\n[[step]]\nname = \"s\"\nrun = [\"x\"]\n";
    let plan = case(&format!("{text}{START}"), &[("a", "")]).plan().unwrap();
    let expected = Injection {
        what: Selection::Whole,
        place: Place::Tar("/source.tar".to_owned()),
        owner: Some("app".to_owned()),
    };
    assert_eq!(injections(&plan), [&expected]);
    assert_eq!((steps(&plan)[0].dir.as_str(), plan.launch.dir.as_str()), ("/", "/"));
}

#[test]
fn a_test_whose_condition_does_not_hold_is_left_out() {
    for (file, tested) in [("a", true), ("b", false)] {
        let text = format!("[test]\nwhen = {{ file = \"a\" }}\nrun = [\"t\"]\n{START}");
        assert_eq!(case(&text, &[(file, "")]).plan().unwrap().test.is_some(), tested, "{file}");
    }
}

#[test]
fn limits_are_the_apps_then_the_bases_then_the_houses() {
    let text = format!("[limits]\nmemory = \"1GiB\"\npids = 7\ntime = \"5m\"\ncpu = 500\n{START}");
    let plan = case(&text, &[("a", "")]).app("[limits]\nmemory = \"2GiB\"\ndisk = \"3GiB\"").plan().unwrap();
    let limits = &plan.limits;
    assert_eq!((limits.memory, limits.disk, limits.log), (Bytes(2 << 30), Bytes(3 << 30), Bytes(64 << 20)));
    assert_eq!((limits.pids, limits.time, limits.cpu), (7, Span(300), Some(500)));
}

#[test]
fn caches_belong_to_the_contracts_user_and_removals_are_taken_over() {
    let text = format!("user = \"app\"\nremove = [\"/app/*.o\"]\n[[cache]]\nname = \"pip\"\npath = \"/c\"\n{START}");
    let plan = case(&text, &[("a", "")]).plan().unwrap();
    let cache = &plan.caches[0];
    assert_eq!((cache.name.as_str(), cache.path.as_str(), cache.owner.as_str()), ("pip", "/c", "app"));
    assert_eq!(plan.remove, ["/app/*.o"]);
}

#[test]
fn a_plan_is_what_its_json_says() {
    let text = format!("[[step]]\nname = \"s\"\nreads = [\"a\"]\nrun = [\"x\"]\n[test]\nrun = [\"t\"]\n{START}");
    let plan = case(&text, &[("a", "")]).plan().unwrap();
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
    let foreign = json.replacen("{\"version\":", "{\"more\":1,\"version\":", 1);
    assert_ne!(foreign, json);
    assert!(serde_json::from_str::<Plan>(&foreign).is_err());
}
