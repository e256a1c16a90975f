//! `kill -9` at many moments, what the next command clears away, `till gc`, and many at once.
//!
//! Each test has a data directory of its own, with the blobs and the ledger's entry of the shared `debian`.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use till_ledger::Ledger;

use crate::support::*;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A data directory that has `debian`, and a base `crash` made from it.
fn own_data() -> tempfile::TempDir {
    base("debian");
    let data = tempfile::Builder::new().prefix("crash-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let shared = shared_data();
    let from = till_image::Store::open(&shared.join("images")).unwrap();
    let to = till_image::Store::open(&data.path().join("images")).unwrap();
    wait(async {
        let fact = Ledger::open(&shared.join("ledger.sqlite")).await.unwrap();
        let fact = fact.base(&"debian".parse().unwrap()).await.unwrap().unwrap();
        let image = till_image::load(&from, &fact.version.digest).unwrap();
        let layers = image.layers.iter().map(|layer| layer.blob.0.clone());
        for blob in layers.chain([image.config_digest.clone(), image.manifest.0.clone()]) {
            std::fs::hard_link(from.path(&blob), to.path(&blob)).unwrap();
        }
        let ledger = Ledger::open(&data.path().join("ledger.sqlite")).await.unwrap();
        ledger.add_base(&fact.version.name, &fact.version.digest, &fact.plan, fact.made).await.unwrap();
    });
    own_base(data.path(), "crash", CRASH);
    data
}

/// Steps with and without a network, a test, a cache through which a step can be held up, and two layers.
const CRASH: &str = r#"
[recipe]
kind = "debian"
from = "debian"
[contract]
kind = "command"
user = "app"
[[contract.cache]]
name = "gate"
path = "/home/app/gate"
[[contract.step]]
name = "early"
reads = ["Procfile"]
run = "for i in $(seq 30); do echo early $i; done; seq 400000 > early.txt"
network = "egress"
[[contract.step]]
name = "late"
run = "for i in $(seq 30); do echo late $i; done; sleep 0.05 & sleep 0.02; if [ -e hold ]; then echo held; until [ -e ~/gate/open ]; do sleep 0.02; done; fi"
[contract.test]
run = "for i in $(seq 30); do echo test $i; done"
network = "egress"
[[contract.port]]
name = "http"
number = 8080
protocol = "http"
"#;

/// A command, killed as soon as `enough` holds for what it has said so far. Answers whether it was.
fn killed(data: &Path, arguments: &[&str], mut enough: impl FnMut(&str) -> bool) -> bool {
    let mut child = spawn(data, arguments);
    let killed = followed(&mut child, &mut enough);
    child.kill().unwrap();
    child.wait().unwrap();
    killed
}

/// Reads what a child says until `enough` holds of it; answers whether it ever did.
fn followed(child: &mut Child, enough: &mut dyn FnMut(&str) -> bool) -> bool {
    let stderr = child.stderr.as_mut().unwrap();
    let (mut said, mut buffer) = (String::new(), [0; 64]);
    loop {
        let count = stderr.read(&mut buffer).unwrap();
        if count == 0 {
            return false;
        }
        said.push_str(&String::from_utf8_lossy(&buffer[..count]));
        if enough(&said) {
            return true;
        }
    }
}

fn spawn(data: &Path, arguments: &[&str]) -> Child {
    command(data, arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn names(path: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The ids of the instances that have a folder.
fn instances(data: &Path) -> BTreeSet<String> {
    names(&data.join("instances")).into_iter().map(|name| name.trim_start_matches(".new-").to_owned()).collect()
}

/// Processes whose command line or cgroup names any of these.
fn processes(marks: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for pid in names(Path::new("/proc")).iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit())) {
        let text = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let line = String::from_utf8_lossy(&text("cmdline")).replace('\0', " ");
        let cgroup = String::from_utf8_lossy(&text("cgroup")).into_owned();
        // A zombie holds nothing any more.
        let stat = String::from_utf8_lossy(&text("stat")).into_owned();
        let zombie = stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'));
        if !zombie && marks.iter().any(|mark| line.contains(mark) || cgroup.contains(mark)) {
            found.push(format!("{pid}: {line}"));
        }
    }
    found
}

/// The cgroups of these instances, in every hierarchy.
fn cgroups(ids: &BTreeSet<String>) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = names(root).into_iter().map(|name| root.join(name)).chain([root.to_owned()]);
    let paths = hierarchies.flat_map(|path| ids.iter().map(move |id| path.join("till").join(id)));
    paths.filter(|path| path.exists()).collect()
}

#[track_caller]
fn no_mounts(data: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let ours = |line: &&str| line.contains("/run/till") || line.contains(data.to_str().unwrap());
    let ours: Vec<_> = mounts.lines().filter(ours).collect();
    assert!(ours.is_empty(), "mounts of ours on the host: {ours:#?}");
}

/// The next command clears away all that a dead one has left. Answers with the ids of the dead. A process that was just being
/// started has its parent's locks until it has become another program, which can be after its parent's end: then it is the
/// command after that.
#[track_caller]
fn swept(data: &Path, when: &str) -> BTreeSet<String> {
    let ids = instances(data);
    no_mounts(data);
    let began = Instant::now();
    till_in(data, &["ps"]).ok();
    while !(instances(data).is_empty() && names(&data.join("staging")).is_empty())
        && began.elapsed() < Duration::from_secs(3)
    {
        till_in(data, &["ps"]).ok();
    }
    clear(data, &ids, when);
    ids
}

/// Neither files, processes, cgroups nor mounts are left of these instances.
#[track_caller]
fn clear(data: &Path, ids: &BTreeSet<String>, when: &str) {
    assert!(instances(data).is_empty(), "{when}: {:?}", names(&data.join("instances")));
    gone(data, ids, when);
    let staged = names(&data.join("images/staging"));
    assert!(staged.is_empty(), "{when}: {staged:?}");
    let staged = names(&data.join("staging"));
    assert!(staged.is_empty(), "{when}: {staged:?}");
    for place in [data.to_owned(), data.join("layers")] {
        let scratch: Vec<_> = names(&place).into_iter().filter(|name| name.starts_with('.')).collect();
        assert!(scratch.is_empty(), "{when}: {scratch:?}");
    }
    no_mounts(data);
}

/// Of these instances nothing runs, nor anything else of that data directory.
#[track_caller]
fn gone(data: &Path, ids: &BTreeSet<String>, when: &str) {
    let marks: Vec<_> = ids.iter().cloned().chain([data.display().to_string()]).collect();
    let began = Instant::now();
    let mut left = processes(&marks);
    while !left.is_empty() && began.elapsed() < Duration::from_secs(3) {
        std::thread::yield_now();
        left = processes(&marks);
    }
    assert!(left.is_empty(), "{when}: {left:#?}");
    assert!(cgroups(ids).is_empty(), "{when}: {:?}", cgroups(ids));
}

/// Preparations that the ledger holds for unended.
fn unended(data: &Path) -> usize {
    wait(async { Ledger::open(&data.join("ledger.sqlite")).await.unwrap().unended().await.unwrap().len() })
}

fn crashing() -> tempfile::TempDir {
    let app = server("echo crash");
    write(app.path(), &[("src.txt", "x")]);
    app
}

#[test]
fn a_build_killed_at_any_event_leaves_nothing_after_the_next_command() {
    let (data, app) = (own_data(), crashing());
    let data = data.path();
    let arguments = ["build", app.path().to_str().unwrap(), "--base", "crash", "--name", "events", "--afresh"];
    let events = [
        ("→ early", 1),
        ("early 1\n", 1),
        ("early 30", 1),
        ("✔ early", 1),
        ("→ snapshot", 1),
        ("✔ snapshot", 1),
        ("→ late", 1),
        ("late 15\n", 1),
        ("✔ late", 1),
        ("→ test", 1),
        ("test 30", 1),
        ("✔ test", 1),
        ("→ snapshot", 2),
    ];
    let mut dead = BTreeSet::new();
    for (event, times) in events {
        assert!(killed(data, &arguments, |said| said.matches(event).count() >= times), "there was no `{event}`");
        dead.extend(swept(data, event));
        assert_eq!(unended(data), 0, "{event}");
    }
    // Nothing of it has become an artifact; the same build succeeds.
    assert_eq!(till_in(data, &["artifact", "list", "--json"]).ok().json()["items"], serde_json::json!([]));
    till_in(data, &arguments).ok();
    swept(data, "the end");
    gone(data, &dead, "late");
    assert!(Served::new_in(data, &["events"]).get("/").contains("crash"));
}

/// Numbers that look random and are the same each time.
fn pseudo_random(count: usize, below: u64) -> Vec<u64> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn a_build_killed_at_any_byte_of_its_output_leaves_nothing() {
    let (data, app) = (own_data(), crashing());
    let data = data.path();
    let arguments = ["build", app.path().to_str().unwrap(), "--base", "crash", "--name", "bytes", "--afresh"];
    let whole = till_in(data, &arguments).ok().err.len();
    let mut dead = BTreeSet::new();
    for bytes in pseudo_random(16, whole as u64 - 100) {
        let when = format!("after {bytes} bytes");
        assert!(killed(data, &arguments, |said| said.len() as u64 >= bytes), "{when}");
        dead.extend(swept(data, &when));
    }
    till_in(data, &arguments).ok();
    gone(data, &dead, "late");
}

#[test]
fn a_build_killed_at_any_time_leaves_nothing() {
    let (data, app) = (own_data(), crashing());
    let data = data.path();
    let arguments = ["build", app.path().to_str().unwrap(), "--base", "crash", "--name", "times", "--afresh"];
    let mut dead = BTreeSet::new();
    // Around the start of a container, where processes are started that are in no cgroup yet.
    for step in ["→ early", "→ late", "→ test"] {
        for delay in (0..10).map(|number| Duration::from_millis(number * 6)) {
            let when = format!("{delay:?} after `{step}`");
            killed(data, &arguments, |said| {
                let began = Instant::now();
                let seen = said.contains(step);
                while seen && began.elapsed() < delay {
                    std::thread::yield_now();
                }
                seen
            });
            dead.extend(swept(data, &when));
        }
    }
    till_in(data, &arguments).ok();
    gone(data, &dead, "late");
}

#[test]
fn an_interrupted_build_ends_soon_and_clears_away_itself() {
    let (data, app) = (own_data(), crashing());
    let data = data.path();
    let arguments = ["build", app.path().to_str().unwrap(), "--base", "crash", "--name", "interrupted", "--afresh"];
    for event in ["→ early", "early 30", "→ snapshot", "→ late", "late 15\n", "test 30"] {
        for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
            let mut child = spawn(data, &arguments);
            assert!(followed(&mut child, &mut |said| said.contains(event)), "there was no `{event}`");
            let ids = instances(data);
            let began = Instant::now();
            rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(130), "{event}: {said}");
            assert!(began.elapsed() < Duration::from_secs(2), "{event}: {:?}", began.elapsed());
            assert!(said.contains("interrupted; nothing is left behind"), "{event}: {said}");
            clear(data, &ids, event);
        }
    }
    till_in(data, &arguments).ok();
}

/// Kills a build whose steps run in machines at each of these events. Not its base, nor its kernel, nor a disk of it is changed.
fn killed_in_a_machine(events: &[&str]) {
    let (data, app) = (own_data(), crashing());
    let data = data.path();
    let path = app.path().to_str().unwrap();
    killed_at(data, &["build", path, "--base", "crash", "--name", "machine", "--afresh", "--in", "qemu"], events);
}

/// Kills a build at each of these events, and interrupts it at the first and when it boots what it made.
pub fn killed_at(data: &Path, arguments: &[&str], events: &[&str]) {
    let mut dead = BTreeSet::new();
    for event in events {
        assert!(killed(data, arguments, |said| said.contains(event)), "there was no `{event}`");
        dead.extend(swept(data, event));
        assert_eq!(unended(data), 0, "{event}");
    }
    assert_eq!(till_in(data, &["artifact", "list", "--json"]).ok().json()["items"], serde_json::json!([]));
    for event in [events[0], "→ boot"] {
        let (ids, said) = interrupted(spawn(data, arguments), data, event);
        assert!(said.contains("interrupted; nothing is left behind"), "{said}");
        clear(data, &ids, event);
    }
    gone(data, &dead, "late");
}

#[test]
fn vm_a_machine_whose_qemu_is_killed_has_ended_and_leaves_nothing() {
    let (data, app) = (own_data(), crashing());
    let data = data.path();
    let path = app.path().to_str().unwrap();
    let arguments = ["build", path, "--base", "crash", "--name", "qemu", "--in", "qemu"];
    let mut child = spawn(data, &arguments);
    assert!(followed(&mut child, &mut |said| said.contains("early 1\n")));
    kill_qemu(data);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(3) && said.contains("its machine was switched off"), "{said}");
    clear(data, &BTreeSet::new(), "a step");
    till_in(data, &arguments).ok();
    let run = till_in(data, &["run", "qemu", "--detach", "--json"]).ok().json();
    let id = run["instance"].as_str().unwrap();
    kill_qemu(data);
    until("it is seen as ended", || {
        let list = till_in(data, &["ps", "--json"]).ok().json();
        list["items"][0]["state"].as_str().unwrap().starts_with("ended")
    });
    till_in(data, &["stop", id]).ok();
    clear(data, &BTreeSet::from([id.to_owned()]), "a run");
}

/// Kills the machines of a data directory.
#[track_caller]
fn kill_qemu(data: &Path) {
    let ids: Vec<_> = instances(data).into_iter().collect();
    let found: Vec<_> = processes(&ids).into_iter().filter(|line| line.contains("qemu-system")).collect();
    assert!(!found.is_empty(), "there is a machine");
    for line in found {
        let pid = line.split(':').next().unwrap().parse().unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
}

/// Interrupts a build at an event. Answers with the instances that there were, and all that it said.
fn interrupted(mut child: Child, data: &Path, event: &str) -> (BTreeSet<String>, String) {
    assert!(followed(&mut child, &mut |said| said.contains(event)), "there was no `{event}`");
    let ids = instances(data);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{event}");
    (ids, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_build_in_machines_that_is_killed_leaves_nothing() {
    killed_in_a_machine(&["early 1\n", "→ boot"]);
}

#[test]
fn vm_a_build_in_machines_killed_at_any_event_leaves_nothing() {
    killed_in_a_machine(&[
        "→ early",
        "early 30",
        "→ snapshot",
        "late 15\n",
        "✔ late",
        "→ test",
        "test 30",
        "→ disk",
        "✔ disk",
    ]);
}

/// Runs an app in a data directory of its own.
fn running() -> (tempfile::TempDir, Served) {
    let (data, app) = (own_data(), crashing());
    till_in(data.path(), &["build", app.path().to_str().unwrap(), "--base", "crash", "--name", "running"]).ok();
    let served = Served::new_in(data.path(), &["running"]);
    (data, served)
}

fn kill(pid: &Value) {
    let pid = i32::try_from(pid.as_i64().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn an_instance_whose_supervisor_was_killed_is_seen_as_ended() {
    let (data, served) = running();
    let data = data.path();
    let folder = data.join("instances").join(served.id());
    let facts: Value = serde_json::from_slice(&std::fs::read(folder.join("running.json")).unwrap()).unwrap();
    kill(&facts["supervisor"]);
    let listed = || till_in(data, &["ps", "--json"]).ok().json()["items"][0].clone();
    until("it is seen as ended", || listed()["state"] == "ended (killed)");
    assert_eq!(listed()["instance"], served.id());
    let port = u16::try_from(served.answer["port"].as_u64().unwrap()).unwrap();
    until("its port is closed", || std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(processes(&[served.id().to_owned()]).is_empty());
    assert!(till_in(data, &["logs", served.id()]).ok().out.contains("listens at 8080"), "its log stays");
    till_in(data, &["stop", served.id()]).ok();
    assert!(!folder.exists());
    swept(data, "after stop");
    assert!(Served::new_in(data, &["running"]).get("/").contains("crash"));
}

#[test]
fn a_killed_run_command_leaves_an_instance_that_can_be_stopped() {
    let (data, app) = (own_data(), crashing());
    let data = data.path();
    write(app.path(), &[("Procfile", "web: echo begun; trap 'exit 0' TERM; while :; do sleep 0.02; done\n")]);
    till_in(data, &["build", app.path().to_str().unwrap(), "--base", "crash", "--name", "silent"]).ok();
    let mut child = spawn(data, &["run", "silent"]);
    let id = || instances(data).into_iter().next();
    until("it has begun", || {
        id().is_some_and(|id| {
            let log = std::fs::read_to_string(data.join("instances").join(id).join("log"));
            log.is_ok_and(|log| log.contains("begun"))
        })
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let listed = till_in(data, &["ps", "--json"]).ok().json();
    assert_eq!(listed["items"][0]["state"], "running", "{listed}");
    till_in(data, &["stop", "--all"]).ok();
    swept(data, "after stop");
    assert_eq!(till_in(data, &["ps", "--json"]).ok().json()["items"], serde_json::json!([]));
}

#[test]
fn a_killed_export_can_be_done_again() {
    let (data, app) = (own_data(), crashing());
    let data = data.path();
    till_in(data, &["build", app.path().to_str().unwrap(), "--base", "crash", "--name", "exported"]).ok();
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    let target = format!("oci:{}", layout.display());
    for blobs in 0..3 {
        let mut child = spawn(data, &["artifact", "export", "exported", &target]);
        until("it writes", || layout.join("oci-layout").exists() && names(&layout.join("blobs/sha256")).len() >= blobs);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!layout.join("index.json").exists(), "it was not slow enough to be killed");
    }
    till_in(data, &["artifact", "export", "exported", &target]).ok();
    assert!(!layout.join(".staging").exists(), "{:?}", names(&layout));
    let output = std::process::Command::new("skopeo").args(["inspect", &format!("{target}:latest")]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    swept(data, "after the export");
}

#[test]
fn gc_removes_what_nothing_needs_and_nothing_else() {
    let (data, served) = running();
    let data = data.path();
    let other = crashing();
    write(other.path(), &[("other.txt", "other")]);
    let build = ["build", other.path().to_str().unwrap(), "--base", "crash", "--name", "other", "--json", "--quiet"];
    let built = till_in(data, &build).ok().json();
    let gc = || till_in(data, &["gc", "--json"]).ok().json();
    gc();
    assert_eq!((&gc()["blobs"], &gc()["trees"]), (&0.into(), &0.into()), "all that is left is needed");
    assert!(served.get("/").contains("crash"));
    till_in(data, &["artifact", "remove", "running"]).failed(6, &["runs it", &format!("till stop {}", served.id())]);
    assert_eq!(till_in(data, &build).ok().json()["reused"], true);
    assert!(Served::new_in(data, &["other"]).get("/").contains("crash"));
    // Removed and collected: it is gone, and can be made again.
    till_in(data, &["artifact", "remove", "other"]).ok();
    let before = names(&data.join("images/blobs/sha256"));
    let freed = gc();
    // Manifest, config and one layer (the other has the same bytes as one that is needed); three documents about it, each
    // with a manifest.
    assert_eq!((&freed["blobs"], &freed["trees"]), (&9.into(), &1.into()), "{freed}");
    assert!(freed["bytes"].as_u64().unwrap() > 0);
    let gone: Vec<_> = before.difference(&names(&data.join("images/blobs/sha256"))).cloned().collect();
    assert!(gone.contains(&built["artifact"].as_str().unwrap().trim_start_matches("sha256:").to_owned()));
    assert!(served.get("/").contains("crash"));
    let again = till_in(data, &build).ok().json();
    assert_eq!((&again["reused"], &again["artifact"]), (&Value::Bool(false), &built["artifact"]));
    // What was stopped can be removed, and then the base's layers stay for the base.
    till_in(data, &["stop", served.id()]).ok();
    till_in(data, &["artifact", "remove", "running"]).ok();
    till_in(data, &["artifact", "remove", "other"]).ok();
    gc();
    assert!(till_in(data, &build).ok().json()["steps"].as_array().unwrap().len() > 2);
}

#[test]
fn gc_does_not_run_while_something_is_built() {
    let (data, app) = (own_data(), crashing());
    let data = data.path();
    write(app.path(), &[("hold", "")]);
    let arguments = ["build", app.path().to_str().unwrap(), "--base", "crash", "--name", "held"];
    let mut child = spawn(data, &arguments);
    assert!(followed(&mut child, &mut |said| said.contains("    held\n")));
    till_in(data, &["gc"]).failed(6, &["builds are running", "try again"]);
    std::fs::write(data.join("caches/held/gate/open"), "").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    till_in(data, &["gc"]).ok();
    assert_eq!(till_in(data, &[&arguments[..], &["--json"]].concat()).ok().json()["reused"], true);
}

#[test]
fn many_builds_and_commands_at_once_succeed() {
    let data = own_data();
    let data = data.path();
    let apps: Vec<_> = (0..6).map(|_| crashing()).collect();
    std::thread::scope(|scope| {
        for (number, app) in apps.iter().enumerate() {
            scope.spawn(move || {
                let name = format!("many-{number}");
                write(app.path(), &[("number", &name)]);
                let arguments = ["build", app.path().to_str().unwrap(), "--base", "crash", "--name", &name];
                till_in(data, &arguments).ok();
                let served = Served::new_in(data, &[&name]);
                assert!(served.get("/").contains("crash"));
            });
        }
        // Each command sweeps.
        for _ in 0..2 {
            scope.spawn(|| (0..15).for_each(|_| drop(till_in(data, &["artifact", "list"]).ok())));
        }
    });
    assert_eq!(till_in(data, &["artifact", "list", "--json"]).ok().json()["items"].as_array().unwrap().len(), 6);
    swept(data, "after all");
    assert_eq!(unended(data), 0);
}

#[test]
fn builds_of_one_app_at_once_take_turns() {
    let (data, app) = (own_data(), crashing());
    let data = data.path();
    let arguments = ["build", app.path().to_str().unwrap(), "--base", "crash", "--name", "turns", "--json"];
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let builds: Vec<_> = (0..4).map(|_| scope.spawn(|| till_in(data, &arguments).ok().json())).collect();
        builds.into_iter().map(|build| build.join().unwrap()).collect()
    });
    let made = answers.iter().filter(|answer| answer["reused"] == false).count();
    assert_eq!(made, 1, "one made it, the others took it");
    assert!(answers.iter().all(|answer| answer["artifact"] == answers[0]["artifact"]));
}
