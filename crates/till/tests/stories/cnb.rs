//! Cloud Native Buildpacks: from a builder and a source to an image that other tools understand.

use std::path::Path;

use serde_json::Value;

use crate::support::*;

/// Makes a builder of the examples, with all that it is upon.
fn builder() -> &'static str {
    base("python");
    let folder = repository().join("examples/builders/buildpacks");
    let lock = lock_of("buildpacks");
    till(&["base", "build", folder.to_str().unwrap(), "--lock", lock.to_str().unwrap()]).ok();
    "buildpacks"
}

/// A copy of an example, which may be changed.
fn example(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = repository().join("examples/apps").join(name);
    let status = std::process::Command::new("cp").arg("-a").arg(from.join(".")).arg(folder.path()).status().unwrap();
    assert!(status.success());
    folder
}

/// The config of an app's newest artifact, as it is exported.
fn config(app: &str, folder: &Path) -> Value {
    let layout = folder.join("layout");
    till(&["artifact", "export", app, &format!("oci:{}:x", layout.display()), "--compression", "keep"]).ok();
    let blob = |digest: &Value| layout.join("blobs").join(digest.as_str().unwrap().replace(':', "/"));
    let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let index = read(&layout.join("index.json"));
    let manifest = read(&blob(&index["manifests"][0]["digest"]));
    read(&blob(&manifest["config"]["digest"]))
}

fn label(config: &Value, name: &str) -> Value {
    let text = config["config"]["Labels"][name].as_str().unwrap_or_else(|| panic!("no label {name}: {config}"));
    serde_json::from_str(text).unwrap()
}

#[test]
fn an_app_is_built_by_buildpacks_and_again_from_what_they_kept() {
    builder();
    let app = example("cnb-python");
    // What another run of this story kept is of other requirements, and of another release.
    let release = format!("1.4.{}", std::process::id());
    let requirements = format!("bottle==0.13.2 # {release}\n");
    write(app.path(), &[("requirements.txt", &requirements), ("VERSION", &format!("{release}\n"))]);
    let first = till(&["build", app.path().to_str().unwrap(), "--name", "cnb-python", "--afresh", "--json"]).ok();
    let facts = format!("Facts: of version {release}");
    for said in ["Packages: installing", &facts, "Process web: python3 app.py"] {
        assert!(first.err.contains(said), "no `{said}`:\n{}", first.err);
    }
    let served = Served::new(&["cnb-python"]);
    let page = served.get("/");
    assert!(page.contains(&format!("release {release}, bottle 0.13")), "{page}");
    assert!(served.get("/static/style.css").contains("sans-serif"), "a slice is part of the app");
    let about = Served::new(&["cnb-python", "--process", "about"]);
    until("about has spoken", || till(&["logs", about.id()]).out.contains(&format!("{release} 1")));
    // Another commit: its packages and facts are as they were.
    write(app.path(), &[("static/style.css", "body { color: green }\n")]);
    let second = till(&["build", app.path().to_str().unwrap(), "--name", "cnb-python", "--json"]).ok();
    for said in ["Packages: as in the last build", "Facts: as in the last image"] {
        assert!(second.err.contains(said), "no `{said}`:\n{}", second.err);
    }
    let served = Served::new(&["cnb-python"]);
    assert!(served.get("/").contains(&format!("release {release}")), "exec.d of a layer of the last image");
    assert!(served.get("/static/style.css").contains("green"));
}

#[test]
fn the_image_says_what_other_tools_ask_it() {
    builder();
    let app = example("cnb-python");
    let commit = commit(app.path());
    built(app.path(), &["--name", "cnb-labels"]);
    let folder = tempfile::tempdir().unwrap();
    let config = config("cnb-labels", folder.path());
    let diff_ids = config["rootfs"]["diff_ids"].as_array().unwrap();
    let metadata = label(&config, "io.buildpacks.lifecycle.metadata");
    let top = diff_ids.iter().position(|id| *id == metadata["runImage"]["topLayer"]).unwrap();
    // Every layer above the run image is told of, in the order of the specification.
    let mut told = Vec::new();
    for buildpack in metadata["buildpacks"].as_array().unwrap() {
        told.extend(buildpack["layers"].as_object().unwrap().values().map(|layer| layer["sha"].clone()));
    }
    told.extend(metadata["app"].as_array().unwrap().iter().map(|slice| slice["sha"].clone()));
    told.extend(["launcher", "config", "process-types"].map(|key| metadata[key]["sha"].clone()));
    assert_eq!(told.iter().collect::<Vec<_>>(), diff_ids[top + 1..].iter().collect::<Vec<_>>(), "{metadata:#}");
    assert_eq!(metadata["app"].as_array().unwrap().len(), 2, "one slice and the rest");
    assert_eq!(metadata["buildpacks"][0]["key"], "tillage/pip");
    assert_eq!(metadata["buildpacks"][0]["layers"]["packages"]["cache"], true);
    assert_eq!(metadata["buildpacks"][1]["store"]["metadata"]["seen"], "1.4.2");
    let build = label(&config, "io.buildpacks.build.metadata");
    let processes: Vec<_> = build["processes"].as_array().unwrap().iter().map(|process| &process["type"]).collect();
    assert_eq!(processes, ["about", "web"], "{build:#}");
    assert_eq!(label(&config, "io.buildpacks.project.metadata")["source"]["version"]["commit"], commit.as_str());
    assert_eq!(config["config"]["Labels"]["org.opencontainers.image.version"], "1.4.2");
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/cnb/process/web"]));
    assert_eq!(config["config"]["Cmd"], Value::Null);
    assert_eq!(config["config"]["WorkingDir"], "/workspace");
    let path = config["config"]["Env"].as_array().unwrap().iter().find_map(|env| env.as_str()?.strip_prefix("PATH="));
    assert!(path.unwrap().starts_with("/cnb/process:/cnb/lifecycle:"), "{path:?}");
}

#[test]
fn a_buildpack_may_stand_in_project_toml() {
    builder();
    let app = example("cnb-shell");
    built(app.path(), &["--name", "cnb-shell"]);
    let served = Served::new(&["cnb-shell"]);
    let page = served.get("/index.html");
    assert!(page.contains("Made by an inline buildpack") && page.contains("without a language"), "{page}");
    assert!(served.get("/next.html").starts_with("HTTP/1.0 404"), "what project.toml excludes is not there");
    assert_eq!(served.answer["process"], "site");
}

/// A source with a buildpack of its own: `detect` and `build` are bash.
fn with_buildpack(detect: &str, build: &str) -> tempfile::TempDir {
    let app = source(&[
        ("till.toml", "base = \"buildpacks\"\n[cnb]\nbuildpacks = [\"./pack\"]\n"),
        ("pack/buildpack.toml", "api = \"0.10\"\n[buildpack]\nid = \"own/pack\"\nversion = \"2.0.0\"\n"),
        ("pack/bin/detect", &format!("#!/bin/bash\n{detect}\n")),
        ("pack/bin/build", &format!("#!/bin/bash\n{build}\n")),
    ]);
    for name in ["detect", "build"] {
        let path = app.path().join("pack/bin").join(name);
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    app
}

#[test]
fn what_buildpacks_refuse_or_break_is_told() {
    builder();
    for (detect, build, said) in [
        ("echo 'I want a Gemfile'; exit 100", "", &["own/pack@2.0.0", "step `detect` failed (exit code 20)"][..]),
        ("echo 'this went wrong'; exit 3", "", &["this went wrong", "step `detect` failed (exit code 21)"]),
        ("exit 0", "echo 'no space'; exit 7", &["no space", "own/pack", "step `build` failed (exit code 51)"]),
        (
            "exit 0",
            "echo '[types]' > $CNB_LAYERS_DIR/a.toml; echo 'launch = 7' >> $CNB_LAYERS_DIR/a.toml",
            &["own/pack", "a.toml"],
        ),
        (
            "exit 0",
            "ln -s /etc $CNB_LAYERS_DIR/x; printf '[types]\\nlaunch = true\\n' > $CNB_LAYERS_DIR/x.toml",
            &["x"],
        ),
    ] {
        let app = with_buildpack(detect, build);
        let called = till(&["build", app.path().to_str().unwrap(), "--name", "cnb-bad", "--afresh"]);
        called.failed(3, said);
    }
    let none = source(&[("till.toml", "base = \"buildpacks\"\n"), ("x", "")]);
    let said = ["tillage/pip@1.0.0", "tillage/procfile@1.0.0", "step `detect` failed (exit code 20)"];
    till(&["build", none.path().to_str().unwrap(), "--name", "cnb-none"]).failed(3, &said);
}

#[test]
fn a_builder_whose_directories_are_roots_will_do_and_a_buildpack_of_who_builds_too() {
    builder();
    let folder = source(&[
        (
            "base.toml",
            "name = \"cnb-roots\"\ndescription = \"d\"\nowner = \"o\"\n[recipe]\nkind = \"dockerfile\"\n\
             [contract]\nkind = \"cnb\"\nrun_image = \"python\"\n",
        ),
        ("Dockerfile", "FROM buildpacks\nUSER root\nRUN chown -R 0:0 /workspace /layers\nUSER 1000:1000\n"),
    ]);
    till(&["base", "build", folder.path().to_str().unwrap()]).ok();
    let launch = "[[processes]]\\ntype = \"hello\"\\ncommand = [\"python3\", \"-m\", \"http.server\", \"8080\"]\\ndefault = true\\n";
    let app = with_buildpack("exit 0", &format!("id -u > made; printf '{launch}' > $CNB_LAYERS_DIR/launch.toml"));
    std::fs::remove_file(app.path().join("till.toml")).unwrap();
    let pack = app.path().join("pack");
    let path = app.path().to_str().unwrap();
    let arguments =
        ["build", path, "--base", "cnb-roots", "--buildpack", pack.to_str().unwrap(), "--name", "cnb-roots"];
    till(&arguments).ok();
    let served = Served::new(&["cnb-roots"]);
    assert!(served.get("/made").ends_with("1000\n"));
    // The same, named from where the command runs.
    let mut command = command(&shared_data(), &["build", ".", "--base", "cnb-roots", "--buildpack", "./pack"]);
    let again = command.args(["--name", "cnb-roots", "--json"]).current_dir(app.path()).output().unwrap();
    assert_eq!(Called::of(again).ok().json()["app"], "cnb-roots");
}

#[test]
fn a_bad_project_or_buildpack_is_the_sources_doing() {
    builder();
    for (files, said) in [
        (
            vec![(
                "project.toml",
                "[_]\nschema-version = \"0.2\"\n[io.buildpacks]\ninclude = [\"a\"]\nexclude = [\"b\"]\n",
            )],
            "both",
        ),
        (vec![("project.toml", "[io\n")], "line 1"),
        (vec![("till.toml", "[cnb]\nbuildpacks = [\"./nothing\"]\n")], "buildpack.toml"),
        (vec![("till.toml", "[cnb]\nbuildpacks = [\"docker://x\"]\n")], "directory"),
        (vec![("till.toml", "[cnb]\nbuildpacks = [\"/nowhere/at/all\"]\n")], "/nowhere/at/all"),
    ] {
        let app = source(&files);
        write(app.path(), &[("a", "")]);
        let called = till(&["build", app.path().to_str().unwrap(), "--base", "buildpacks", "--name", "cnb-bad-file"]);
        called.failed(3, &[said]);
    }
}

#[test]
fn an_artifact_is_put_upon_a_newer_run_image() {
    builder();
    let data = tempfile::tempdir().unwrap();
    let (layout, run) = (data.path().join("builder"), data.path().join("run"));
    let export = |name: &str, to: &Path| till(&["base", "export", name, &format!("oci:{}:x", to.display())]).ok();
    export("buildpacks", &layout);
    export("python", &run);
    // As others would have it: a builder and a run image that were imported, in a data directory of their own.
    let own = data.path().join("data");
    let import = |from: &Path, name: &str, contract: &[&str]| {
        let from = format!("oci:{}:x", from.display());
        till_in(&own, &[&["base", "import", &from, "--name", name], contract].concat()).ok()
    };
    let contract = data.path().join("contract.toml");
    std::fs::write(&contract, "[contract]\nkind = \"cnb\"\nrun_image = \"run\"\n").unwrap();
    import(&layout, "builder", &["--contract", contract.to_str().unwrap()]);
    import(&run, "run", &[]);
    let app = example("cnb-python");
    let build = ["build", app.path().to_str().unwrap(), "--base", "builder", "--name", "app", "--json", "--quiet"];
    let first = till_in(&own, &build).ok().json();
    let same = till_in(&own, &["artifact", "rebase", "app", "--json"]).ok().json();
    assert_eq!((&same["unchanged"], &same["artifact"]), (&Value::Bool(true), &first["artifact"]));
    // A newer run image, with one file more.
    let newer = data.path().join("newer");
    write(
        &newer,
        &[
            (
                "base.toml",
                "name = \"newer\"\ndescription = \"d\"\nowner = \"o\"\n[recipe]\nkind = \"dockerfile\"\n[contract]\nkind = \"dockerfile\"\n",
            ),
            ("Dockerfile", "FROM run\nRUN echo patched > /etc/patched\n"),
        ],
    );
    till_in(&own, &["base", "build", newer.to_str().unwrap()]).ok();
    till_in(&own, &["artifact", "rebase", "app", "--run-image", "newer"]).failed(6, &["newer", "--force"]);
    let second = data.path().join("second");
    till_in(&own, &["base", "export", "newer", &format!("oci:{}:x", second.display())]).ok();
    import(&second, "run", &[]);
    let rebased = till_in(&own, &["artifact", "rebase", "app", "--json"]).ok().json();
    assert_eq!(rebased["unchanged"], false);
    assert_ne!(rebased["artifact"], first["artifact"]);
    let provenance = serde_json::from_str::<Value>(&till_in(&own, &["provenance", "app"]).ok().out).unwrap();
    let definition = &provenance["predicate"]["buildDefinition"];
    assert_eq!(definition["externalParameters"]["artifact"], first["artifact"], "{provenance}");
    assert_eq!(definition["externalParameters"]["run"], "run", "{provenance}");
    let served = Served::new_in(&own, &["app"]);
    assert!(served.get("/").contains("release 1.4.2"));
}
