//! Whole builds by the real program: detect, restore, build, export, launch, with buildpacks of bash in a directory of the
//! test's. As root files get owners, too; else they stay whose they are.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod house;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use house::House;

/// Provides `tool` in a layer for building, and a layer for launching.
const TOOL: &str = r#"
[ "$1" = "$CNB_PLATFORM_DIR" ] && [ "$2" = "$CNB_BUILD_PLAN_PATH" ] || exit 3
echo 'provides = [{ name = "tool" }]' > "$2"
"#;
const TOOL_BUILD: &str = r#"
[ "$1" = "$CNB_LAYERS_DIR" ] && [ "$3" = "$CNB_BP_PLAN_PATH" ] || exit 3
grep -q 'version = "7"' "$CNB_BP_PLAN_PATH" || exit 4
cd "$CNB_LAYERS_DIR"
mkdir -p tool/bin tool/env.build tool/env scrap
printf '#!/bin/sh\necho tool' > tool/bin/tool; chmod +x tool/bin/tool
printf one > tool/env.build/ONLY_BUILD
printf 'a' > tool/env/LIST.append; printf ':' > tool/env/LIST.delim
printf '[types]\nbuild = true\ncache = true\n[metadata]\nv = "7"\n' > tool.toml
: > scrap.toml
if [ -e old.toml ]; then cat old.toml > "$OLDPWD/restored"; fi
"#;
/// Requires it, and installs an app's dependencies.
const APP: &str = "echo 'requires = [{ name = \"tool\", metadata = { version = \"7\" } }]' > \"$2\"";
const APP_BUILD: &str = r#"
[ "$(tool)" = tool ] && [ "$ONLY_BUILD" = one ] && [ -z "$SECRET" ] && [ "$USERS" = own ] || exit 5
[ "$CNB_TARGET_OS" = linux ] && [ "$OPERATOR" = o ] || exit 6
cd "$CNB_LAYERS_DIR"
if [ -f deps.toml ]; then
  grep -q 'lock = 1' deps.toml || exit 7
  [ -f deps.sbom.cdx.json ] && [ ! -d deps ] || exit 8
  printf '[types]\nlaunch = true\n[metadata]\nlock = 1\n' > deps.toml
else
  mkdir -p deps/bin deps/env.launch/web deps/exec.d deps/profile.d
  printf '#!/bin/sh\necho "$0 $*; GREETING=$GREETING SET=$SET ONLY_BUILD=$ONLY_BUILD LIST=$LIST DIR=$CNB_LAYERS_DIR in $PWD"' > deps/bin/serve
  printf '#!/bin/sh\necho "SET = \\"$GREETING!\\"" >&3' > deps/exec.d/set
  printf 'export PROFILE=read' > deps/profile.d/a.sh
  chmod +x deps/bin/serve deps/exec.d/set
  printf hello > deps/env.launch/web/GREETING; printf all > deps/env.launch/GREETING.default
  printf '[types]\nlaunch = true\n[metadata]\nlock = 1\n' > deps.toml
  echo '{}' > deps.sbom.cdx.json
fi
if [ -d both ]; then [ "$(cat both/file)" = content ] && [ ! -s both.toml.types ] || exit 9; touch "$OLDPWD/cached"; else mkdir both; echo content > both/file; ln both/file both/link; fi
printf '[types]\nlaunch = true\ncache = true\n' > both.toml
if [ -f store.toml ]; then grep -q 'count = 1' store.toml && touch "$OLDPWD/stored"; fi
printf '[metadata]\ncount = 1\n' > store.toml
cat > launch.toml <<'X'
[[processes]]
type = "web"
command = ["serve", "fixed"]
args = ["arg"]
default = true
[[processes]]
type = "task"
command = ["bash", "-c", 'echo "$0 in $PWD"']
working-dir = "/"
[[labels]]
key = "made-by"
value = "app"
[[slices]]
paths = ["static/*"]
[[slices]]
paths = ["static", "*.md", "../etc", "none"]
X
"#;

/// A house with both buildpacks and an app.
fn two() -> House {
    let house = House::new();
    house.buildpack("acme/tool", "api = \"0.10\"", TOOL, TOOL_BUILD);
    let about = "api = \"0.11\"\n[buildpack]\nsbom-formats = [\"application/vnd.cyclonedx+json\"]";
    house.buildpack("acme/app", about, APP, APP_BUILD);
    house.buildpack("acme/none", "api = \"0.8\"", "exit 100", "exit 1");
    house.order("[[order]]\ngroup = [{ id = \"acme/none\", optional = true }, { id = \"acme/tool\", version = \"1.0.0\" }, { id = \"acme/app\" }]\n");
    house.write("platform/env/USERS", "own");
    house.write("build-config/env/OPERATOR", "o");
    house.app();
    house
}

#[test]
fn a_build_goes_from_detection_to_a_started_process() {
    let house = two();
    let said = house.succeeds("detect");
    assert!(said.contains("pass: acme/app@1.0.0") && said.contains("skip: acme/none@1.0.0"), "{said}");
    assert!(house.read("layers/plan.toml").contains("tool"));
    house.succeeds("restore");
    house.succeeds("build");
    assert!(house.path("layers/acme_tool/scrap.ignore").is_dir());
    house.succeeds("export");

    let report = house.report();
    let names: Vec<_> =
        report["layers"].as_array().unwrap().iter().map(|layer| layer["name"].as_str().unwrap()).collect();
    let expected =
        ["acme/app:both", "acme/app:deps", "sbom", "slice-1", "slice-2", "app", "launcher", "config", "process-types"];
    assert_eq!(names, expected);
    assert_eq!(report["layers"][1]["created-by"], "Layer: 'deps', Created by buildpack: acme/app@1.0.0");
    assert_eq!(report["default-process"], "web");
    assert_eq!(report["labels"]["made-by"], "app");
    assert_eq!(report["buildpacks"][1]["layers"]["deps"]["data"]["lock"], 1);
    assert_eq!(report["buildpacks"][1]["store"]["count"], 1);
    assert!(report["sbom"][0].as_str().unwrap().ends_with("layers/sbom/launch/acme_app/deps/sbom.cdx.json"));

    // Each file of the app is in one layer.
    let app = |directory: &str, file: &str| house.exported(directory, &format!("workspace/{file}"));
    assert!(app("003-slice-1", "static/a").is_file() && !app("004-slice-2", "static/a").exists());
    assert!(app("004-slice-2", "README.md").is_file() && !app("005-app", "README.md").exists());
    assert!(app("005-app", "main").is_file() && app("005-app", "dir/inner").is_file());
    for path in [app("003-slice-1", "static/a"), app("005-app", "main"), app("005-app", ""), app("005-app", "..")] {
        assert_eq!(path.symlink_metadata().unwrap().mtime(), 315_532_801, "{}", path.display());
    }
    // As root all of it has an owner, and parents keep theirs; else nobody can give files away.
    if house.path("").metadata().unwrap().uid() == 0 {
        let deps = house.exported("acme_app-deps", "layers/acme_app/deps/bin/serve");
        let launcher = house.layer("launcher").join("cnb/lifecycle/launcher");
        let above = |path: &std::path::Path, levels: usize| path.ancestors().nth(levels).unwrap().to_owned();
        let app = app("005-app", "main");
        for (path, owner) in [
            (above(&deps, 0), 1234),
            (above(&deps, 2), 1234),
            (above(&deps, 3), 0),
            (above(&app, 1), 1234),
            (above(&app, 2), 0),
            (launcher, 0),
        ] {
            assert_eq!(path.metadata().unwrap().uid(), owner, "{}", path.display());
        }
    }
    let web = house.layer("008-process-types").join("cnb/process/web");
    assert_eq!(fs::read_link(web).unwrap().to_str(), Some("/cnb/lifecycle/launcher"));
}

#[test]
fn the_launcher_starts_processes_of_an_exported_image() {
    let house = two();
    house.build(&["detect", "build", "export"]);
    let image = house.image();
    for (name, words, said) in [
        ("web", &[][..], "serve fixed arg; GREETING=hello SET=hello! ONLY_BUILD= LIST= DIR= in WORKSPACE\n"),
        ("web", &["a", "b"], "serve fixed a b; GREETING=hello SET=hello! ONLY_BUILD= LIST= DIR= in WORKSPACE\n"),
        ("task", &["x"], "x in /\n"),
        ("launcher", &["--", "serve", "x"], "serve x; GREETING=all SET=all! ONLY_BUILD= LIST= DIR= in WORKSPACE\n"),
        ("launcher", &["echo \"$PROFILE $OWN\" $GREETING"], "read profile all\n"),
        ("launcher", &["echo", "$PROFILE", "two words"], "read two words\n"),
    ] {
        let (code, output, error) = image.launch(name, words);
        let bin = image.path("layers/acme_app/deps/bin/").display().to_string();
        let output = output.replace(&bin, "").replace(&image.path("workspace").display().to_string(), "WORKSPACE");
        assert_eq!((code, output.as_str()), (0, said), "{name} {words:?}: {error}");
    }
    for (name, words, code, said) in [
        ("other", &[][..], 82, "there are: task, web"),
        ("launcher", &[], 82, "a command is needed"),
        ("launcher", &["--", "nonsense-program"], 82, "cannot find the program nonsense-program"),
    ] {
        let (ended, _, error) = image.launch(name, words);
        assert!(ended == code && error.contains(said), "{name}: {ended} {error}");
    }
}

#[test]
fn a_second_build_gets_what_the_first_left() {
    let house = two();
    house.build(&["detect", "restore", "build", "export"]);
    let first = house.read_exported("acme_app-deps", "layers/acme_app/deps/bin/serve");
    let previous = house.image();
    let house = house.next();
    house.succeeds("detect");
    house.succeeds_with("restore", &["-previous", previous.root()]);
    let restored = house.read("layers/acme_app/deps.toml");
    assert_eq!(restored, "[metadata]\nlock = 1\n");
    assert!(house.path("layers/acme_tool/tool/bin/tool").is_file(), "what was cached for building");
    let both = |name: &str| house.path("layers/acme_app/both").join(name).metadata().unwrap().ino();
    assert_eq!(both("file"), both("link"));
    house.succeeds("build");
    for file in ["cached", "stored"] {
        assert!(house.path("workspace").join(file).exists(), "{file}");
    }
    house.succeeds_with("export", &["-previous", previous.root()]);
    let report = house.report();
    assert_eq!(report["layers"][1]["reused"], true);
    assert_eq!(house.read_exported("acme_app-deps", "layers/acme_app/deps/bin/serve"), first);
    let sbom = "layers/sbom/launch/acme_app/deps/sbom.cdx.json";
    assert_eq!(house.read_exported("-sbom", sbom), "{}\n");
}

#[test]
fn without_the_previous_image_its_layers_are_made_again() {
    let house = two();
    house.build(&["detect", "restore", "build", "export"]);
    let house = house.next();
    house.build(&["detect", "restore", "build", "export"]);
    assert_eq!(house.report()["layers"][1]["reused"], false);
    assert!(house.path("workspace/cached").exists() || house.exported("app", "workspace/cached").exists());
    // In another execution environment nothing is.
    let house = house.next();
    house.succeeds("detect");
    house.run_with("restore", &[], &[("CNB_EXEC_ENV", "test")]);
    assert!(!house.path("layers/acme_app").exists());
}

#[test]
fn equal_builds_are_equal_files() {
    let lists: Vec<_> = (0..2)
        .map(|_| {
            let house = two();
            house.build(&["detect", "build", "export"]);
            house.listing()
        })
        .collect();
    assert_eq!(lists[0], lists[1]);
    assert!(lists[0].len() > 30);
}

#[test]
fn detection_says_what_failed_and_how() {
    for (detect, code, said) in [
        ("exit 100", 20, "fail: b@1.0.0"),
        ("echo oh no; exit 7", 21, "======== Output: b@1.0.0 ========\noh no"),
        ("exit 7", 21, "err:  b@1.0.0 (7)"),
        ("echo '[[requires]]' > $2; echo 'name = \"x\"' >> $2", 20, "fail: b@1.0.0 requires x"),
        ("echo '[[provides]]' > $2; echo 'name = \"x\"' >> $2", 20, "fail: b@1.0.0 provides unused x"),
        ("echo 'no toml' > $2", 21, "its build plan is wrong"),
    ] {
        let house = House::new();
        house.buildpack("b", "api = \"0.10\"", detect, "");
        house.order("[[order]]\ngroup = [{ id = \"b\" }]\n");
        house.fails("detect", code, said);
    }
    let house = House::new();
    house.buildpack("b", "api = \"0.10\"\n[[targets]]\nos = \"windows\"", "", "");
    house.order("[[order]]\ngroup = [{ id = \"b\" }]\n");
    house.fails("detect", 21, "not made for this target");
    house.buildpack("b", "api = \"0.99\"", "", "");
    house.fails("detect", 12, "buildpack b@1.0.0: buildpack API 0.99 is not supported");
    house.order("[[order]]\ngroup = [{ id = \"c\" }]\n");
    house.fails("detect", 22, "buildpack c@ is not in the builder");
}

#[test]
fn a_buildpack_sees_what_the_specification_lists() {
    let ours = r#"
        [ "$USERS" = "$1" ] && [ "$OPERATOR" = o ] && [ -z "$SECRET" ] && [ -n "$HOME" ] || exit 1
        case "$PATH" in /mine:*) [ -n "$1" ] || exit 2 ;; *) [ -z "$1" ] || exit 3 ;; esac
    "#;
    let with = |argument: &str| format!("set -- '{argument}'\n{ours}");
    let house = House::new();
    house.buildpack("a", "api = \"0.12\"", "", &(with("own") + "[ \"$CNB_EXEC_ENV\" = production ]"));
    house.buildpack("b", "api = \"0.10\"\n[buildpack]\nclear-env = true", "", &(with("") + "[ -z \"$CNB_EXEC_ENV\" ]"));
    house.buildpack(
        "c",
        "api = \"0.7\"",
        "",
        "[ -z \"$CNB_LAYERS_DIR$CNB_TARGET_OS\" ] && [ -n \"$CNB_BUILDPACK_DIR\" ]",
    );
    house.buildpack("d", "api = \"0.12\"\n[buildpack]\nexec-env = [\"test\"]", "exit 7", "exit 7");
    house.order("[[order]]\ngroup = [{ id = \"a\" }, { id = \"b\" }, { id = \"c\" }, { id = \"d\" }]\n");
    house.write("platform/env/USERS", "own");
    house.write("platform/env/PATH", "/mine");
    house.write("build-config/env/OPERATOR", "o");
    house.build(&["detect", "build"]);
    house.fails_with("export", &["-process-type", "none"], 62, "there is no process `none`");
}

#[test]
fn composites_are_tried_in_their_order() {
    let house = House::new();
    house.buildpack("a", "api = \"0.10\"", "exit 100", "");
    house.buildpack("b", "api = \"0.10\"", "", "");
    house.composite("all", "[[order]]\ngroup = [{ id = \"a\" }]\n[[order]]\ngroup = [{ id = \"b\" }]\n");
    house.order("[[order]]\ngroup = [{ id = \"all\", version = \"1.0.0\" }]\n");
    house.succeeds("detect");
    let group: toml::Table = toml::from_str(&house.read("layers/group.toml")).unwrap();
    assert_eq!(group["group"][0]["id"].as_str(), Some("b"));
}

#[test]
fn what_a_buildpack_must_not_leave_ends_the_build() {
    for (build, said) in [
        ("exit 3", "buildpack b@1.0.0: bin/build failed"),
        ("cd $1; echo 'launch = true' > a.toml", "belong into the table [types]"),
        ("cd $1; ln -s /etc/passwd a.toml", "it is a symlink"),
        ("cd $1; ln -s /etc a; : > a.toml", "a symlink"),
        ("cd $1; mkdir launch", "must not be named `launch`"),
        ("cd $1; : > a.toml; mkdir a; : > a.sbom.cdx.json", "sbom-formats"),
        ("cd $1; echo '[[unmet]]' > build.toml; echo 'name = \"x\"' >> build.toml", "unmet `x`"),
        ("rm -r $1; ln -s /etc $1", "not a directory"),
        ("cd $1; printf '[[processes]]\\ntype = \"../x\"\\ncommand = [\"x\"]\\n' > launch.toml", "not a process type"),
    ] {
        let house = House::simple(build);
        house.succeeds("detect");
        house.fails("build", 51, said);
    }
}

#[test]
fn what_cannot_be_exported_is_an_error() {
    for (build, flags, said) in [
        ("cd $1; printf '[types]\\ncache = true\\n' > a.toml", &[][..], "cache = true and no contents"),
        ("cd $1; printf '[types]\\nlaunch = true\\n' > a.toml", &[], "the previous image has no metadata"),
        ("", &["-process-type", "web"], "there is no process `web`; there are: none"),
        ("cd $1; printf '[[slices]]\\npaths = [\"[\"]\\n' > launch.toml", &[], "is not a pattern"),
    ] {
        let house = House::simple(build);
        house.build(&["detect", "build"]);
        house.fails_with("export", flags, 62, said);
    }
    let house = House::simple("cd $1; mkdir a; printf '[types]\\nlaunch = true\\n' > a.toml");
    house.build(&["detect", "build"]);
    fs::rename(house.path("layers/b/a"), house.path("layers/b/aside")).unwrap();
    symlink("/etc", house.path("layers/b/a")).unwrap();
    house.fails("export", 62, "a symlink");
    house.fails_with("restore", &["-nonsense", "x"], 3, "-nonsense");
}
