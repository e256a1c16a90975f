//! Exported artifacts, as other tools see them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::*;

/// Runs another tool; what it printed.
#[track_caller]
fn tool(argv: &[&str]) -> String {
    let output = Command::new(argv[0]).args(&argv[1..]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{argv:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// An artifact of a small app, and a directory for what is exported.
fn artifact(name: &str) -> (Value, tempfile::TempDir) {
    base("debian");
    let built = built(server("echo hello").path(), &["--base", "debian", "--name", name]);
    (built, tempfile::tempdir().unwrap())
}

/// Exports with these options; the answer.
#[track_caller]
fn export(name: &str, target: &str, options: &[&str]) -> Value {
    till(&[&["artifact", "export", name, target, "--json"], options].concat()).ok().json()
}

#[test]
fn skopeo_reads_and_copies_an_export() {
    let (built, folder) = artifact("export-skopeo");
    let at = |name: &str| format!("oci:{}", folder.path().join(name).display());
    for compression in ["gzip", "zstd", "keep"] {
        let exported = export("export-skopeo", &at(compression), &["--compression", compression]);
        let target = format!("{}:latest", at(compression));
        let seen: Value = serde_json::from_str(&tool(&["skopeo", "inspect", &target])).unwrap();
        assert_eq!((&exported["artifact"], &seen["Digest"]), (&built["artifact"], &exported["exported"]));
        let copied = format!("{}:here", at(&format!("{compression}-copy")));
        tool(&["skopeo", "--insecure-policy", "copy", "--quiet", &target, &copied]);
        let copy: Value = serde_json::from_str(&tool(&["skopeo", "inspect", &copied])).unwrap();
        assert_eq!((&copy["Digest"], &copy["Labels"]), (&seen["Digest"], &seen["Labels"]));
        let label: Value = serde_json::from_str(copy["Labels"]["io.tillage.artifact"].as_str().unwrap()).unwrap();
        assert_eq!((&label["app"], &label["plan"]), (&built["app"], &built["plan"]));
        let config: Value = serde_json::from_str(&tool(&["skopeo", "inspect", "--config", &copied])).unwrap();
        assert_eq!(config["config"]["User"], "app");
        assert_eq!(config["config"]["WorkingDir"], "/app");
        assert!(config["config"]["ExposedPorts"]["8080/tcp"].is_object(), "{config}");
    }
}

#[test]
fn keeping_the_compression_keeps_the_digest() {
    let (built, folder) = artifact("export-keep");
    let at = folder.path().join("layout");
    let target = format!("oci:{}", at.display());
    let exported = export("export-keep", &target, &["--compression", "keep"]);
    assert_eq!(exported["exported"], built["artifact"]);
    assert_eq!((&exported["directory"], &exported["reference"]), (&at.to_str().unwrap().into(), &"latest".into()));
    assert_eq!(read(&at.join("index.json"))["manifests"][0]["digest"], built["artifact"]);
    // In another compression it is another manifest, of the same content.
    let other = export("export-keep", &format!("oci:{}", folder.path().join("other").display()), &[]);
    assert_ne!(other["exported"], built["artifact"]);
    assert!(!at.join(".staging").exists() && !at.join("staging").exists());
}

#[test]
fn a_layout_holds_several_references() {
    let (first, folder) = artifact("export-two");
    let layout = folder.path().join("layout");
    let at = |reference: &str| format!("oci:{}:{reference}", layout.display());
    let digest = |built: &Value| built["artifact"].as_str().unwrap().to_owned();
    export(&digest(&first), &at("one"), &[]);
    let changed = server("echo changed");
    let second = built(changed.path(), &["--base", "debian", "--name", "export-two", "--env", "A=1"]);
    export(&digest(&second), &at("two"), &[]);
    export(&digest(&first), &at("three"), &[]);
    let label = |reference: &str| -> Value {
        let seen: Value = serde_json::from_str(&tool(&["skopeo", "inspect", &at(reference)])).unwrap();
        serde_json::from_str(seen["Labels"]["io.tillage.artifact"].as_str().unwrap()).unwrap()
    };
    assert_eq!(label("one")["plan"], first["plan"]);
    assert_eq!(label("two")["plan"], second["plan"]);
    assert_eq!(label("three")["plan"], first["plan"]);
    // A reference that is there is replaced.
    export(&digest(&second), &at("one"), &[]);
    assert_eq!(label("one")["plan"], second["plan"]);
    assert_eq!(read(&layout.join("index.json"))["manifests"].as_array().unwrap().len(), 3);
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let (_, folder) = artifact("export-refused");
    write(folder.path(), &[("precious", "mine")]);
    let target = format!("oci:{}", folder.path().display());
    till(&["artifact", "export", "export-refused", &target]).failed(6, &[folder.path().to_str().unwrap()]);
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["precious"]);
    till(&["artifact", "export", "export-refused", "/somewhere"]).failed(6, &["oci:DIR"]);
    till(&["artifact", "export", "export-nothing", &target]).failed(6, &["there is no artifact"]);
}

/// Everything that can be in a tree, made by a build; some of it in place of what the base has.
const TREE: &str = r#"
set -e
rm /etc/issue
rm -r /usr/share/doc/tzdata
rm -r /usr/share/common-licenses && mkdir /usr/share/common-licenses && echo ours > /usr/share/common-licenses/OURS
rm /etc/motd 2>/dev/null || true; ln -s ../etc/hostname /etc/motd
echo changed >> /etc/services
chmod 0600 /etc/protocols
chown 1000:1000 /usr/share/zoneinfo
mkdir -p /srv/tree && cd /srv/tree
mkdir empty sticky deep && chmod 1777 sticky && chmod 0700 deep && mkdir -p deep/er/still
echo 1 > plain; echo 2 > 'with  spaces'; echo 3 > 'ümläut'; echo 4 > .hidden; : > nothing
chmod 4755 plain; chmod 2711 nothing; ln plain hard; ln -s /srv/tree/plain absolute; ln -s nowhere dangling
mkfifo pipe; chown 12345:54321 'with  spaces'; chown -h app:app dangling; chown 1:2 empty; chown 65534 .hidden
head -c 3000000 /dev/zero > zeros; truncate -s 5000000 sparse; touch -d 1999-12-31T23:59:59Z old
long=$(printf 'n%.0s' $(seq 120)); mkdir -p $long/$long; echo deep > $long/$long/$long
"#;

/// Lists a tree: kind, mode, owner, for files size, time and target. What the runtime puts in place is left out.
const LIST: &str = "find . -xdev \\( -path ./proc -o -path ./sys -o -path ./dev -o -path ./run -o -path ./tmp -o -path ./etc/hosts -o -path ./etc/resolv.conf -o -path ./etc/mtab \\) -prune \
    -o -type d -printf 'd %m %U:%G %p\\n' -o -printf '%y %m %U:%G %s %n %T@ %l %p\\n'";

#[test]
fn umoci_unpacks_the_tree_that_instances_see() {
    base("debian");
    let rest = "[recipe]\nkind = \"debian\"\nfrom = \"debian\"\n[contract]\nkind = \"command\"\n\
         [[contract.step]]\nname = \"tree\"\nrun = ['/bin/bash', '/app/tree.sh']\n\
         [[contract.process]]\nname = \"list\"\nrun = ['/bin/sh', '/app/list.sh']\n";
    own_base(&shared_data(), "export-tree", rest);
    let list = format!("cd /\nsleep 0.2\n{LIST}");
    let app = source(&[("tree.sh", TREE), ("list.sh", &list)]);
    built(app.path(), &["--base", "export-tree", "--name", "export-tree"]);
    let inside = till(&["run", "export-tree"]).ok().err;
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    export("export-tree", &format!("oci:{}", layout.display()), &[]);
    let bundle = folder.path().join("bundle");
    let image = format!("{}:latest", layout.display());
    tool(&["umoci", "unpack", "--image", &image, bundle.to_str().unwrap()]);
    let root = bundle.join("rootfs");
    let outside = tool(&["sh", "-c", &format!("cd {} && {LIST}", root.display())]);
    let lines = |text: &str| -> std::collections::BTreeSet<String> { text.lines().map(str::to_owned).collect() };
    let (inside, outside) = (lines(&inside), lines(&outside));
    let differing: Vec<_> = inside.symmetric_difference(&outside).take(20).collect();
    assert!(differing.is_empty(), "{differing:#?}");
    assert!(inside.len() > 1000, "{}", inside.len());
    for gone in ["etc/issue", "usr/share/doc/tzdata", "usr/share/common-licenses/GPL-3"] {
        assert!(!root.join(gone).exists(), "{gone}");
    }
    assert!(inside.iter().any(|line| line.starts_with("f 4755 0:0 2 2 ") && line.ends_with(" ./srv/tree/hard")));
    assert_eq!(std::fs::read_to_string(root.join("srv/tree/ümläut")).unwrap(), "3\n");
}
