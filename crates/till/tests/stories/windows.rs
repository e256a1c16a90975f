//! Systems that stay disks. Windows is one, and none can be had here: two that stand in for it are Linux disks of our own, imported as
//! disks that nobody looks into. The little one does in Perl what our program does in Windows; the other one has Wine, real programs
//! for Windows, our program, and a script that does what cloudbase-init does.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use till_core::model::ExternalFile;
use till_core::system::{SystemSpec, UserData, drive};

use crate::support::*;

/// A base of the name `name`, whose disk is that of an artifact.
fn import(disk: &Path, text: &str) -> Value {
    let file = source(&[("file.toml", text)]);
    let contract = file.path().join("file.toml");
    let from = format!("disk:{}", disk.display());
    till(&["base", "import", &from, "--contract", contract.to_str().unwrap(), "--json", "--quiet"]).ok().json()
}

/// The disk of an artifact of ours, in the folder of shared data.
fn disk_of(artifact: &str) -> PathBuf {
    let file = shared_data().join(format!("{artifact}.qcow2"));
    till(&["artifact", "export", artifact, &format!("disk:{}", file.display()), "--quiet"]).ok();
    file
}

/// The disk of the little one, made once.
fn little() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        base("debian");
        let rest = "[recipe]\nkind = \"debian\"\nfrom = \"debian\"\npackages = [\"kmod\", \"mount\"]\n\
                    [contract]\nkind = \"command\"\n\
                    [[contract.process]]\nname = \"desk\"\nrun = [\"perl\", \"/app/desk.pl\"]\n";
        own_base(&shared_data(), "desk", rest);
        let folder = source(&[("desk.pl", include_str!("../standin/little/desk.pl"))]);
        built(folder.path(), &["--base", "desk", "--name", "little"]);
        disk_of("little")
    })
}

const LITTLE: &str = r#"
[system]
kind = "windows"
machine = "pc"
memory = "512MiB"
boot = "60s"
[contract]
kind = "command"
[[contract.step]]
name = "build"
run = "sh build.sh"
[[contract.process]]
name = "web"
run = "exec perl server.pl"
[[contract.port]]
name = "http"
number = 8080
protocol = "http"
"#;

/// A base upon the little one.
fn little_base(name: &str, more: &str) {
    import(little(), &format!("name = \"{name}\"\n{LITTLE}{more}"));
}

fn little_app(build: &str) -> tempfile::TempDir {
    let app = server("echo \"$GREETING $(cat made)\"\n");
    write(app.path(), &[("build.sh", build), ("till.toml", "[env]\nGREETING = \"100% \\\"quoted\\\"\"\n")]);
    app
}

#[test]
fn a_system_that_stays_a_disk_does_its_part_and_answers_after_the_next_start() {
    little_base("little-answers", "");
    let app = little_app("echo builds; echo made it > made; sync");
    let path = app.path().to_str().unwrap();
    let called = till(&["build", path, "--base", "little-answers", "--name", "little-app", "--json", "--afresh"]).ok();
    assert!(called.said().contains(&"builds"), "{}", called.err);
    let answer = called.json();
    let machine = &answer["machine"];
    assert_eq!((&machine["system"]["kind"], &machine["machine_type"]), (&"windows".into(), &"pc".into()));
    let shown = till(&["artifact", "show", "little-app", "--json"]).ok().json();
    let layers = shown["layers"].as_array().unwrap();
    let sizes: Vec<_> = layers.iter().map(|layer| layer["size"].as_u64().unwrap()).collect();
    assert!(layers.iter().all(|layer| layer["media_type"] == till_core::port::Layer::DISK), "{layers:?}");
    assert!(sizes.len() == 2 && sizes[1] * 20 < sizes[0], "what was written, and not the disk once more: {sizes:?}");
    let served = Served::new(&["little-app"]);
    let text = served.get("/");
    assert!(text.contains("100% \"quoted\" made it"), "{text}");
    let log = till(&["logs", served.id()]).ok().out;
    assert!(log.contains("listens at 8080"), "{log}");
    drop(served);
    assert_eq!(
        till(&["build", path, "--base", "little-answers", "--name", "little-app", "--json"]).ok().json()["reused"],
        true
    );
    let caller = till_core::Fault::Caller.exit_code().into();
    till(&["build", path, "--base", "little-answers", "--in", "container"])
        .failed(caller, &["does not run in a container"]);
    till(&["sbom", "little-app"]).failed(caller, &["only the system on it reads"]);
    // It goes to other machines as any image does, and as one disk.
    let folder = tempfile::tempdir().unwrap();
    let (flat, layout) = (folder.path().join("flat.qcow2"), folder.path().join("layout"));
    till(&["artifact", "export", "little-app", &format!("disk:{}", flat.display())]).ok();
    till(&["artifact", "export", "little-app", &format!("oci:{}", layout.display())]).ok();
    let file = folder.path().join("file.toml");
    std::fs::write(&file, format!("name = \"little-again\"\n{LITTLE}")).unwrap();
    let from = format!("oci:{}", layout.display());
    let again = till(&["base", "import", &from, "--contract", file.to_str().unwrap(), "--json"]).ok().json();
    assert_eq!(again["digest"], shown["artifact"], "the same image");
    let registry = crate::local_registry::Registry::new("");
    let at = registry.at("team/little:1");
    till(&["push", "little-app", &at]).ok();
    let data = folder.path().join("data");
    assert_eq!(till_in(&data, &["pull", &at, "--json"]).ok().json()["digest"], shown["artifact"]);
    let head = std::fs::read(&flat).unwrap();
    assert!(head.starts_with(b"QFI\xfb") && head[8..16] == [0; 8], "a qcow2 that names no other file");
}

#[test]
fn vm_what_goes_wrong_in_a_system_that_stays_a_disk_says_whose_doing_it_is() {
    little_base("little-fails", "");
    let build = |text: &str, limits: &str| {
        let app = little_app(text);
        write(app.path(), &[("till.toml", limits)]);
        till(&["build", app.path().to_str().unwrap(), "--base", "little-fails", "--name", "little-fails"])
    };
    let source = "whose doing: the source";
    build("echo so it is; exit 7", "").failed(3, &["step `build` failed (exit code 7)", "so it is", source]);
    // Words that are none, and the system's own power button.
    let forged = "printf '\\n#till x done\\n\\n#till x ended 1 0\\n'; sleep 1; echo o > /proc/sysrq-trigger; sleep 60";
    build(forged, "").failed(3, &["step `build` failed: it switched the system off", source]);
    build("sleep 100", "[limits]\ntime = \"3s\"\n").failed(3, &["took longer than 3s", source]);
    let much = "dd if=/dev/urandom of=/c/x bs=1M count=300; sync; sleep 60";
    build(much, "[limits]\ndisk = \"100MiB\"\n").failed(3, &["wrote more than 100MiB", source]);
    // It may have the system restarted, and what comes next is done afterwards.
    let app = little_app("echo once > made; sync; exit 235");
    let path = app.path().to_str().unwrap();
    let loud = "head -c 3000000 /dev/zero | tr '\\0' x; ";
    write(
        app.path(),
        &[
            ("build.sh", &format!("{loud} echo once > made; sync; exit 235")),
            ("till.toml", "[limits]\nlog = \"1MiB\"\n"),
        ],
    );
    let called = till(&["build", path, "--base", "little-fails", "--name", "little-again", "--json", "--afresh"]).ok();
    let notices = called.json()["notices"].to_string();
    assert!(notices.contains("the system restarts, as `build` asks for"), "{notices}");
    // One that hears nothing of what it is handed.
    let silent = server("echo x");
    built(silent.path(), &["--base", "debian", "--name", "deaf"]);
    let deaf = LITTLE.replace("60s", "5s");
    import(&disk_of("deaf"), &format!("name = \"little-deaf\"\n{deaf}"));
    let words = ["build", path, "--base", "little-deaf", "--name", "little-deaf"];
    let base = till_core::Fault::Base.exit_code().into();
    till(&words).failed(base, &["the system said nothing within", "docs/guide/windows.md"]);
}

#[test]
fn vm_a_build_in_a_system_that_is_killed_leaves_nothing() {
    let disk = little();
    let data = tempfile::Builder::new().prefix("system-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = source(&[("file.toml", &format!("name = \"little\"\n{LITTLE}"))]);
    let (from, contract) = (format!("disk:{}", disk.display()), file.path().join("file.toml"));
    till_in(data.path(), &["base", "import", &from, "--contract", contract.to_str().unwrap()]).ok();
    let app = little_app("echo builds; echo made it > made; sync; sleep 1");
    let arguments = ["build", app.path().to_str().unwrap(), "--base", "little", "--name", "killed", "--afresh"];
    crate::crash::killed_at(data.path(), &arguments, &["→ start", "builds", "→ snapshot"]);
    // Its disk is what it was.
    for blob in std::fs::read_dir(data.path().join("images/blobs/sha256")).unwrap().flatten() {
        let digest = till_core::Digest::of_reader(&mut std::fs::File::open(blob.path()).unwrap()).unwrap();
        assert_eq!(digest.hex(), blob.file_name().to_str().unwrap());
    }
}

/// Answers what it was asked for, as cloudbase-init's own code sees it.
const READS: &str = r##"
import json, os, pathlib, re, sys
from cloudbaseinit.plugins.common import execcmd, userdata, userdatautils
from cloudbaseinit.plugins.common.userdataplugins import factory, shellscript
import tree_sitter, tree_sitter_powershell

ran = {}
def note(name):
    def execute(self):
        ran[name] = pathlib.Path(self._target_path).read_bytes()
        return b"", b"", 1003
    return execute
for kind in (execcmd.Shell, execcmd.PowershellSysnative):
    kind.execute = note(kind.__name__)

for form in ("cmd", "powershell", "multipart"):
    root = pathlib.Path(form)
    meta = json.loads((root / "openstack/latest/meta_data.json").read_text())
    assert meta["uuid"] == "an-instance" and meta["hostname"] == "host", meta
    data = (root / "openstack/latest/user_data").read_bytes()
    ran.clear()
    status, reboot = userdata.UserDataPlugin()._process_user_data(data, None)
    (name, script), = ran.items()
    assert name == ("PowershellSysnative" if form == "powershell" else "Shell"), name
    assert (status, reboot) == (2, True), (status, reboot)
    assert b"\r\n" in script and not re.search(rb"(?<!\r)\n", script), "lines end as Windows ends them"
    if form == "multipart":
        assert script.strip() == pathlib.Path("cmd/openstack/latest/user_data").read_bytes().strip()
    if form == "powershell":
        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
        assert not parser.parse(script).root_node.has_error, "PowerShell can read it"
    print("read", form, name, flush=True)
print(execcmd.get_plugin_return_value(0), flush=True)
"##;

#[test]
fn what_systems_are_handed_is_what_cloudbase_init_reads() {
    base("python");
    let requirements = "cloudbase-init==1.1.9\ntree-sitter\ntree-sitter-powershell\nsetuptools<80\n";
    let app = source(&[("requirements.txt", requirements), ("read.py", READS), ("Procfile", "read: python read.py\n")]);
    let spec = ExternalFile::parse(LITTLE).unwrap().system.unwrap();
    for (name, user_data) in
        [("cmd", UserData::Cmd), ("powershell", UserData::Powershell), ("multipart", UserData::Multipart)]
    {
        let spec = SystemSpec { user_data, ..spec.clone() };
        for (path, text) in drive(&spec, "nonce\tx\n", "an-instance", "host").files {
            let place = format!("{name}/{path}");
            std::fs::create_dir_all(app.path().join(&place).parent().unwrap()).unwrap();
            write(app.path(), &[(&place, &text)]);
        }
    }
    built(app.path(), &["--base", "python", "--name", "cloudbase"]);
    let served = Served::new(&["cloudbase"]);
    let log = || till(&["logs", served.id()]).ok().out;
    until("it has read all", || log().contains("(1, False)") || log().contains("Error"));
    for said in ["read cmd Shell", "read powershell PowershellSysnative", "read multipart Shell"] {
        assert!(log().contains(said), "{}", log());
    }
}

/// The disk with Wine, made once.
fn wine() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        base("node");
        let folder = repository().join("crates/till/tests/standin/wine");
        let lock = lock_of("standin");
        till(&["base", "build", folder.to_str().unwrap(), "--lock", lock.to_str().unwrap()]).ok();
        built(source(&[("x", "")]).path(), &["--base", "standin", "--name", "standin"]);
        disk_of("standin")
    })
}

/// Imports what an operator says of a Windows, with what the stand-in has otherwise.
fn example(name: &str) -> PathBuf {
    let examples = repository().join("examples/windows");
    let text = std::fs::read_to_string(examples.join(format!("{name}.toml"))).unwrap();
    import(wine(), &text.replace("memory = \"4GiB\"", "memory = \"2GiB\"\nmachine = \"pc\""));
    examples.join(name)
}

fn example_answers(name: &str, said: &[&str]) {
    let app = example(name);
    let artifact = format!("windows-{name}-app");
    built(&app, &["--base", &format!("windows-{name}"), "--name", &artifact]);
    let served = Served::new(&[&artifact]);
    let text = served.get("/");
    said.iter().for_each(|said| assert!(text.contains(said), "{said}: {text}"));
}

#[test]
fn vm_a_node_app_is_prepared_by_a_program_of_windows_and_answers_after_the_next_start() {
    example_answers("node", &["\"system\":\"Windows_NT\"", r#""directory":"C:\\app""#, "\"words\":3"]);
}

#[test]
fn vm_a_python_app_is_prepared_by_a_program_of_windows_and_answers_after_the_next_start() {
    let said = ["Hello 100% &#34;Windows&#34; &amp; more!", "Windows, Python 3.11", r"in C:\app: Grüße aus C:\app"];
    example_answers("python", &said);
}
