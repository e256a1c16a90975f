//! Sources of which nobody says which base prepares them.

use serde_json::Value;

use crate::support::*;

fn text(folder: &tempfile::TempDir) -> &str {
    folder.path().to_str().unwrap()
}

/// What `till explain --json` answers.
fn explained(files: &[(&str, &str)]) -> Value {
    till(&["explain", text(&source(files)), "--json"]).ok().json()
}

/// A data directory of one's own with the base `debian`, taken over from that of all stories.
fn only_debian() -> tempfile::TempDir {
    base("debian");
    let (data, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = format!("oci-archive:{}", archive.path().join("debian").display());
    till(&["base", "export", "debian", &path, "--compression", "keep"]).ok();
    let contract = "[contract]\nkind = \"command\"\nuser = \"app\"\nshell = [\"/bin/bash\", \"-c\"]\n";
    let about = source(&[("about.toml", &format!("name = \"debian\"\ntags = [\"procfile\"]\n{contract}"))]);
    let about = about.path().join("about.toml");
    till_in(data.path(), &["base", "import", &path, "--contract", about.to_str().unwrap()]).ok();
    data
}

#[test]
fn a_procfile_is_enough() {
    base("debian");
    let app = server("echo found");
    let called = till(&["build", text(&app), "--name", "detect-procfile", "--json"]).ok();
    let (answer, told) = (called.json(), "prepared by the base `debian`");
    assert!(answer["base"].as_str().unwrap().starts_with("debian@"), "{answer}");
    assert!(answer["notices"][0].as_str().unwrap().contains(told), "{answer}");
    assert!(called.err.contains(told) && called.err.contains("till explain"), "{}", called.err);
    assert!(Served::new(&["detect-procfile"]).get("/").ends_with("found\n"));
    // The plan says it as well, and is the same as if the base had been named.
    let plan = till(&["plan", text(&app), "--json"]).ok().json();
    assert!(plan["notices"][0]["what"].as_str().unwrap().contains(told), "{plan}");
    let named = till(&["plan", text(&app), "--base", "debian", "--json"]).ok().json();
    assert_eq!((&plan["digest"], &named["notices"]), (&named["digest"], &Value::Array(Vec::new())));
}

#[test]
fn the_choice_is_explained_in_text_and_json() {
    for name in ["python", "node", "static"] {
        base(name);
    }
    let files = [("requirements.txt", ""), ("package.json", "{}"), ("index.html", ""), ("app.json", "{")];
    let folder = source(&files);
    let said = till(&["explain", text(&folder)]).ok().out;
    for part in [
        "The base `python` prepares it.",
        "requirements.txt makes it a Python app",
        "Also possible:",
        "--base node",
        "--base static",
        "passed over:",
        "app.json",
    ] {
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
    let answer = explained(&files);
    assert_eq!(
        (&answer["chosen"]["kind"], &answer["chosen"]["base"]),
        (&Value::from("python"), &Value::from("python"))
    );
    assert_eq!(answer["chosen"]["how"], "till build --base python");
    let others: Vec<_> =
        answer["others"].as_array().unwrap().iter().map(|other| other["kind"].as_str().unwrap()).collect();
    assert_eq!(others[..2], ["node", "static"]);
    assert_eq!((&answer["refused"][0]["what"], &answer["problem"]), (&Value::from("app.json"), &Value::Null));
    // How it is chosen otherwise is true.
    let built = till(&["plan", text(&folder), "--base", "static", "--json"]).ok().json();
    assert!(built["base"].as_str().unwrap().starts_with("static@"), "{built}");
}

#[test]
fn what_is_said_wins_over_what_is_found() {
    base("debian");
    base("static");
    let files = [("index.html", "<h1>x</h1>"), ("till.toml", "base = \"debian\"\n"), ("start.sh", "true\n")];
    let answer = explained(&files);
    assert_eq!(
        (&answer["chosen"]["kind"], &answer["chosen"]["base"]),
        (&Value::from("till.toml"), &Value::from("debian"))
    );
    let folder = source(&files);
    let plan = |arguments: &[&str]| {
        let all = [&["plan", text(&folder), "--json"], arguments].concat();
        till(&all).ok().json()["base"].as_str().unwrap().to_owned()
    };
    assert!(plan(&[]).starts_with("debian@"));
    assert!(plan(&["--base", "static"]).starts_with("static@"));
}

#[test]
fn a_dockerfile_wins_over_a_language() {
    base("debian");
    for name in ["Dockerfile", "Containerfile"] {
        let files = [("package.json", "{}"), (name, "FROM base:debian\nCMD [\"true\"]\n")];
        let answer = explained(&files);
        assert_eq!((&answer["chosen"]["kind"], &answer["chosen"]["base"]), (&Value::from("dockerfile"), &Value::Null));
        assert_eq!(answer["others"][0]["kind"], "node");
    }
}

#[test]
fn a_revision_is_looked_at_as_it_was() {
    base("static");
    let folder = source(&[("index.html", "x")]);
    let commit = commit(folder.path());
    write(folder.path(), &[("Dockerfile", "FROM scratch\n")]);
    assert_eq!(till(&["explain", text(&folder), "--json"]).ok().json()["chosen"]["kind"], "dockerfile");
    let before = till(&["explain", text(&folder), "--rev", &commit, "--json"]).ok().json();
    assert_eq!(before["chosen"]["kind"], "static");
}

#[test]
fn where_nothing_matches_is_said_what_there_is_and_what_would_match() {
    let folder = source(&[("README.md", ""), ("api/go.mod", "module x\n")]);
    till(&["build", text(&folder)]).failed(
        3,
        &["nothing says which base", "README.md and api/", "--base NAME", "till.toml", "till base list", "…/api"],
    );
    let called = till(&["explain", text(&folder), "--json"]);
    assert_eq!(called.code, 3, "{called:?}");
    let answer = called.json();
    assert_eq!(answer["chosen"], Value::Null);
    assert!(answer["problem"]["what"].as_str().unwrap().contains("nothing says which base"), "{answer}");
    till(&["build", text(&source(&[]))]).failed(3, &["the source is empty"]);
}

#[test]
fn a_base_that_is_missing_is_named_with_how_to_make_it() {
    let data = only_debian();
    let folder = source(&[("go.mod", "module x\n"), ("start.sh", "true\n")]);
    till_in(data.path(), &["build", text(&folder)])
        .failed(6, &["this looks like a Go program (go.mod)", "there is no base `go`", "till base build bases/go"]);
    let called = till_in(data.path(), &["explain", text(&folder)]);
    assert_eq!(called.code, 3, "{called:?}");
    for part in
        ["The base `go` would prepare it.", "It cannot be prepared:", "till base build bases/go", "--base debian"]
    {
        assert!(called.out.contains(part), "no `{part}` in:\n{}", called.out);
    }
    // What would do otherwise does.
    till_in(data.path(), &["plan", text(&folder), "--base", "debian"]).failed(3, &["nothing says how to start"]);
    let project = source(&[("project.toml", "[io.buildpacks]\nbuilder = \"some/builder:1\"\n")]);
    till_in(data.path(), &["build", text(&project)]).failed(6, &["some/builder:1", "till base import"]);
}

#[test]
fn tags_say_what_a_base_is_for() {
    base("debian");
    let head = "name = \"detect-beam\"\ndescription = \"Of a story\"\nowner = \"stories\"\ntags = [\"elixir\"]\n";
    let rest = "[recipe]\nkind = \"debian\"\nfrom = \"debian\"\n[contract]\nkind = \"command\"\n[[contract.process]]\nname = \"web\"\nrun = [\"sleep\", \"infinity\"]\n";
    let folder = source(&[("base.toml", &format!("{head}{rest}"))]);
    till(&["base", "build", text(&folder)]).ok();
    let answer = explained(&[("mix.exs", ""), ("package.json", "{}")]);
    assert_eq!(
        (&answer["chosen"]["kind"], &answer["chosen"]["base"]),
        (&Value::from("elixir"), &Value::from("detect-beam"))
    );
}
