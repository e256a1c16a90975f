//! What is taken from earlier builds and what is not; versions of bases.

use std::path::Path;

use serde_json::Value;

use crate::support::*;

/// A contract whose first step depends on one file only; `more` stands at its end.
fn contract(from: &str, more: &str) -> String {
    format!(
        r#"
[recipe]
kind = "debian"
from = "{from}"
[contract]
kind = "command"
user = "app"
[[contract.step]]
name = "dependencies"
reads = ["needs*.txt"]
run = "cat needs*.txt > deps.txt"
[[contract.step]]
name = "compile"
run = "cat src.txt deps.txt > out.txt"
[[contract.process]]
name = "web"
run = "exec perl server.pl"
[[contract.port]]
name = "http"
number = 8080
protocol = "http"
{more}"#
    )
}

/// Source for that contract, with the base of that name made.
fn app(base_name: &str) -> tempfile::TempDir {
    base("debian");
    own_base(&shared_data(), base_name, &contract("debian", ""));
    sourced()
}

fn sourced() -> tempfile::TempDir {
    let app = server("cat out.txt; ls -A");
    write(app.path(), &[("needs.txt", "needed\n"), ("src.txt", "written\n")]);
    app
}

fn layers(artifact: &Value) -> Vec<String> {
    let shown = till(&["artifact", "show", artifact["artifact"].as_str().unwrap(), "--json"]).ok().json();
    shown["layers"].as_array().unwrap().iter().map(|layer| layer["diff_id"].as_str().unwrap().to_owned()).collect()
}

/// Whether a step was taken from an earlier build.
#[track_caller]
fn reused(built: &Value, step: &str) -> bool {
    let steps = built["steps"].as_array().unwrap();
    let found = steps.iter().find(|found| found["name"] == step).unwrap_or_else(|| panic!("no {step} in {built}"));
    found["reused"] == true
}

#[test]
fn the_same_plan_is_not_followed_again() {
    let app = app("reuse-same");
    let wanted = ["--base", "reuse-same", "--name", "reuse-same"];
    let first = built(app.path(), &[&wanted[..], &["--afresh"]].concat());
    assert_eq!(first["reused"], false);
    let second = built(app.path(), &wanted);
    assert_eq!((&second["reused"], &second["artifact"]), (&Value::Bool(true), &first["artifact"]));
    assert!(second["steps"].as_array().unwrap().is_empty());
    for key in ["app", "base", "base_digest", "source", "plan", "commit", "dirty"] {
        assert_eq!(second[key], first[key], "{key}");
    }
    // A copy elsewhere, with other times, is the same source.
    let copy = sourced();
    assert_eq!(built(copy.path(), &wanted)["reused"], true);
    // Another app is another artifact, by the same plan.
    let other = built(app.path(), &["--base", "reuse-same", "--name", "reuse-same-2", "--afresh"]);
    assert_eq!((&other["plan"], &other["reused"]), (&first["plan"], &Value::Bool(false)));
    assert_ne!(other["artifact"], first["artifact"]);
}

#[test]
fn going_back_to_older_source_makes_its_artifact_the_newest() {
    let base = script_base("app", "none");
    let app = source(&[("build.sh", "echo one"), ("start.sh", "sleep 1")]);
    let folder = app.path().to_str().unwrap().to_owned();
    let build = || till(&["build", &folder, "--base", &base, "--name", "reuse-back", "--json"]).ok().json();
    let newest = || till(&["artifact", "show", "reuse-back", "--json"]).ok().json()["artifact"].clone();
    let first = build()["artifact"].clone();
    write(app.path(), &[("build.sh", "echo two")]);
    let second = build()["artifact"].clone();
    assert_eq!(newest(), second);
    write(app.path(), &[("build.sh", "echo one")]);
    assert_eq!((build()["artifact"].clone(), newest()), (first.clone(), first));
}

#[test]
fn afresh_does_all_of_it_again() {
    let app = app("reuse-afresh");
    let wanted = ["--base", "reuse-afresh", "--name", "reuse-afresh"];
    let first = built(app.path(), &wanted);
    let again = built(app.path(), &[&wanted[..], &["--afresh"]].concat());
    assert_eq!(again["reused"], false);
    assert!(!reused(&again, "dependencies") && !reused(&again, "compile"));
    assert_eq!(again["artifact"], first["artifact"], "the same inputs gave other bytes");
}

#[test]
fn changed_source_leaves_the_layer_of_the_dependencies() {
    let app = app("reuse-layer");
    let wanted = ["--base", "reuse-layer", "--name", "reuse-layer"];
    let first = built(app.path(), &wanted);
    write(app.path(), &[("src.txt", &format!("rewritten {}\n", std::process::id()))]);
    let second = built(app.path(), &wanted);
    assert_eq!(second["reused"], false);
    assert!(reused(&second, "dependencies") && !reused(&second, "compile"));
    let (one, two) = (layers(&first), layers(&second));
    assert_eq!(one.len(), two.len());
    assert_eq!(one[..one.len() - 1], two[..two.len() - 1]);
    assert_ne!(one.last(), two.last());
    assert!(Served::new(&["reuse-layer"]).get("/").contains("\nneeded\n"));
    write(app.path(), &[("needs-more.txt", &format!("{}\n", std::process::id()))]);
    let third = built(app.path(), &wanted);
    assert!(!reused(&third, "dependencies"));
    let three = layers(&third);
    assert_eq!(two[..two.len() - 2], three[..three.len() - 2]);
    assert_ne!(two[two.len() - 2], three[three.len() - 2]);
}

#[test]
fn another_environment_or_base_makes_the_dependencies_anew() {
    let app = app("reuse-inputs");
    let wanted = ["--base", "reuse-inputs", "--name", "reuse-inputs"];
    let mark = format!("MARK={}", std::process::id());
    built(app.path(), &wanted);
    let with_env = built(app.path(), &[&wanted[..], &["--env", &mark]].concat());
    assert!(!reused(&with_env, "dependencies"));
    // Another app takes what the first has made.
    write(app.path(), &[("src.txt", "other\n")]);
    let other = built(app.path(), &["--base", "reuse-inputs", "--name", "reuse-inputs-2", "--env", &mark]);
    assert_eq!(other["reused"], false);
    assert!(reused(&other, "dependencies"));
    let more = format!("commands = [[\"sh\", \"-c\", \"echo {} > /etc/mark\"]]\n", std::process::id());
    let rest = contract("debian", "").replace("[contract]\n", &format!("{more}[contract]\n"));
    own_base(&shared_data(), "reuse-inputs-b", &rest);
    let other = built(app.path(), &["--base", "reuse-inputs-b", "--name", "reuse-inputs"]);
    assert!(!reused(&other, "dependencies"));
}

#[test]
fn a_layer_made_with_an_app_s_cache_is_that_app_s_alone() {
    base("debian");
    let cache = "[[contract.cache]]\nname = \"things\"\npath = \"/home/app/things\"\n";
    own_base(&shared_data(), "reuse-cached", &contract("debian", cache));
    let app = sourced();
    let one = ["--base", "reuse-cached", "--name", "reuse-cached-1"];
    built(app.path(), &one);
    write(app.path(), &[("src.txt", &fresh("changed"))]);
    assert!(reused(&built(app.path(), &one), "dependencies"));
    let other = built(app.path(), &["--base", "reuse-cached", "--name", &fresh("reuse-cached")]);
    assert!(!reused(&other, "dependencies"));
}

fn plan_digest(source: &Path, arguments: &[&str]) -> String {
    let answer = till(&[&["plan", source.to_str().unwrap(), "--json"], arguments].concat()).ok().json();
    answer["digest"].as_str().unwrap().to_owned()
}

#[test]
fn every_input_is_in_the_plans_name() {
    let app = app("reuse-mutated");
    let (path, base) = (app.path(), ["--base", "reuse-mutated"]);
    own_base(&shared_data(), "reuse-mutated-b", &contract("debian", "[contract.env]\nLANG = \"C\"\n"));
    let mut seen = vec![plan_digest(path, &base)];
    let mut differs = |what: &str, digest: String| {
        assert!(!seen.contains(&digest), "{what} does not count");
        seen.push(digest);
    };
    differs("--env", plan_digest(path, &["--base", "reuse-mutated", "--env", "A=1"]));
    differs("the value of --env", plan_digest(path, &["--base", "reuse-mutated", "--env", "A=2"]));
    differs("the base", plan_digest(path, &["--base", "reuse-mutated-b"]));
    for (what, file, text) in [
        ("a file's text", "src.txt", "something else\n"),
        ("a file's name", "src2.txt", "something else\n"),
        ("an empty file", "empty", ""),
        ("[processes]", "till.toml", "[processes]\nweb = \"sleep 9\"\n"),
        ("[env]", "till.toml", "[env]\nA = \"3\"\n"),
        ("[limits]", "till.toml", "[limits]\ntime = \"7m\"\n"),
        ("a Procfile", "Procfile", "web: sleep 8\n"),
    ] {
        write(path, &[(file, text)]);
        differs(what, plan_digest(path, &base));
    }
    std::os::unix::fs::symlink("src.txt", path.join("link")).unwrap();
    differs("a link", plan_digest(path, &base));
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path.join("src.txt"), executable).unwrap();
    differs("a mode", plan_digest(path, &base));
    commit(path);
    differs("a commit", plan_digest(path, &base));
    // What says nothing about the content does not count.
    let last = seen.last().unwrap().clone();
    let now = std::fs::File::options().write(true).open(path.join("src2.txt")).unwrap();
    now.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(plan_digest(path, &["--base", "reuse-mutated", "--name", "another"]), last);
}

/// A contract with a test, and a step after it.
fn tested(base_name: &str, test: &str) -> tempfile::TempDir {
    base("debian");
    let after = "[[contract.step]]\nname = \"after\"\nafter = \"test\"\nrun = \"ls > after.txt; rm src.txt\"\n";
    let more = format!("{after}[contract.test]\nrun = \"{test}\"\n");
    own_base(&shared_data(), base_name, &contract("debian", &more));
    sourced()
}

#[test]
fn a_failing_test_means_no_artifact() {
    let app = tested("reuse-failing", "echo looking; ! grep -q wrong src.txt");
    let name = format!("reuse-failing-{}", std::process::id());
    let arguments = ["build", app.path().to_str().unwrap(), "--base", "reuse-failing", "--name", &name, "--json"];
    write(app.path(), &[("src.txt", "wrong\n")]);
    let answer = till(&arguments).failed(3, &["the test failed (exit code 1)"]).json();
    assert_eq!((&answer["error"]["fault"], &answer["error"]["step"]), (&"source".into(), &"test".into()));
    assert_eq!(answer["error"]["log"], serde_json::json!(["looking"]));
    till(&["run", &name]).failed(6, &["there is no artifact"]);
    assert!(!till(&["artifact", "list"]).ok().out.contains(&name));
    // It fails again, and passes once it is right.
    till(&arguments).failed(3, &["the test failed"]);
    write(app.path(), &[("src.txt", "right\n")]);
    let good = till(&arguments).ok().json();
    write(app.path(), &[("src.txt", "wrong\n")]);
    till(&arguments).failed(3, &["the test failed"]);
    let shown = till(&["artifact", "show", &name, "--json"]).ok().json();
    assert_eq!(shown["artifact"], good["artifact"], "what was there before stays");
}

#[test]
fn what_a_test_writes_is_thrown_away() {
    let test = "echo x > by-the-test.txt; echo y >> out.txt; rm deps.txt; mkdir d; rm -rf needs.txt && test -e src.txt";
    let app = tested("reuse-thrown", test);
    built(app.path(), &["--base", "reuse-thrown", "--name", "reuse-thrown", "--afresh"]);
    let answer = Served::new(&["reuse-thrown"]).get("/");
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let files = "Procfile\nafter.txt\nanswer.sh\ndeps.txt\nneeds.txt\nout.txt\nserver.pl\n";
    assert_eq!(body, format!("written\nneeded\n{files}"));
}

#[test]
fn a_failing_step_is_named_with_what_it_said() {
    let app = app("reuse-step");
    std::fs::remove_file(app.path().join("src.txt")).unwrap();
    let arguments = ["build", app.path().to_str().unwrap(), "--base", "reuse-step", "--name", "reuse-step", "--json"];
    let called = till(&arguments).failed(3, &["step `compile` failed (exit code 1)", "src.txt: No such file"]);
    let error = &called.json()["error"];
    assert_eq!(error["step"], "compile");
    let log = error["hint"].as_str().unwrap().split(": ").last().unwrap().to_owned();
    assert!(std::fs::read_to_string(&log).unwrap().contains("src.txt: No such file"), "{log}");
}

/// A name that no earlier run has used.
fn fresh(name: &str) -> String {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    format!("{name}-{nanos}")
}

#[test]
fn an_app_may_stay_with_a_version_of_its_base() {
    let name = fresh("reuse-versions");
    let app = app("reuse-versions-below");
    let made = |value: &str| {
        let rest = contract("debian", &format!("[contract.env]\nVERSION = \"{value}\"\n"));
        own_base(&shared_data(), &name, &rest)
    };
    let (first, second) = (made("one"), made("two"));
    assert_eq!((&first["version"], &second["version"]), (&1.into(), &2.into()));
    let digest = format!("{name}@{}", first["digest"].as_str().unwrap());
    for (wanted, got) in [(name.clone(), 2), (format!("{name}@1"), 1), (format!("{name}@2"), 2), (digest, 1)] {
        let planned = till(&["plan", app.path().to_str().unwrap(), "--base", &wanted, "--json"]).ok().json();
        assert_eq!(planned["base"], format!("{name}@{got}"), "{wanted}");
        let word = if got == 1 { "one" } else { "two" };
        assert_eq!(planned["plan"]["launch"]["env"]["VERSION"], word);
    }
    let answer = till(&["plan", app.path().to_str().unwrap(), "--base", &format!("{name}@9")]);
    answer.failed(6, &["has no version", "it has versions 1 to 2"]);
    // In till.toml too, and the artifact says so.
    write(app.path(), &[("till.toml", &format!("base = \"{name}@1\"\n"))]);
    assert_eq!(built(app.path(), &["--name", "reuse-versions"])["base"], format!("{name}@1"));
}

#[test]
fn an_unchanged_base_is_not_made_again() {
    let name = fresh("reuse-base");
    base("debian");
    let rest = contract("debian", "");
    let first = own_base(&shared_data(), &name, &rest);
    assert_eq!(first["reused"], false);
    let second = own_base(&shared_data(), &name, &rest);
    assert_eq!((&second["reused"], &second["digest"]), (&Value::Bool(true), &first["digest"]));
    assert!(second["steps"].as_array().unwrap().is_empty());
    let text = format!("name = \"{name}\"\ndescription = \"{name}\"\nowner = \"the stories\"\n{rest}");
    let folder = source(&[("base.toml", &text)]);
    let third = till(&["base", "build", folder.path().to_str().unwrap(), "--afresh", "--json"]).ok().json();
    // Made anew, of the same: the same image, and so the same version.
    assert_eq!((&third["reused"], &third["version"]), (&Value::Bool(false), &1.into()));
    assert_eq!(third["digest"], first["digest"]);
}

#[test]
fn a_base_made_twice_of_the_same_packages_is_the_same() {
    let name = fresh("reuse-twice");
    base("debian");
    let rest = contract("debian", "").replace("from = \"debian\"", "from = \"debian\"\npackages = [\"jq\"]");
    let first = own_base(&shared_data(), &name, &rest);
    let text = format!("name = \"{name}\"\ndescription = \"{name}\"\nowner = \"the stories\"\n{rest}");
    let folder = source(&[("base.toml", &text)]);
    let again = till(&["base", "build", folder.path().to_str().unwrap(), "--afresh", "--json"]).ok().json();
    assert_eq!((&again["digest"], &again["reused"]), (&first["digest"], &Value::Bool(false)));
}

#[test]
fn a_base_shares_the_layers_of_the_one_below() {
    let name = fresh("reuse-shared");
    base("debian");
    own_base(&shared_data(), &name, &contract("debian", ""));
    let shown = |name: &str| till(&["base", "show", name, "--json"]).ok().json();
    let (below, above) = (shown("debian"), shown(&name));
    let (below, above) = (below["layers"].as_array().unwrap(), above["layers"].as_array().unwrap());
    assert_eq!(below[..], above[..below.len()]);
    assert_eq!(above.len(), below.len() + 1);
}

#[test]
fn a_base_below_another_is_not_removed() {
    let (low, high) = (fresh("reuse-low"), fresh("reuse-high"));
    base("debian");
    own_base(&shared_data(), &low, &contract("debian", ""));
    own_base(&shared_data(), &high, &contract(&low, ""));
    till(&["base", "remove", &low]).failed(6, &[&format!("the base {high}@1 is made from it"), "remove that first"]);
    till(&["base", "remove", &high]).ok();
    let removed = till(&["base", "remove", &format!("{low}@1"), "--json"]).ok().json();
    assert_eq!(removed["removed"], format!("{low}@1"));
    till(&["base", "show", &low]).failed(6, &[&format!("there is no base `{low}`")]);
}
