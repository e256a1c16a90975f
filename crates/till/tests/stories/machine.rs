//! Virtual machines: steps that run in them, artifacts that run in them, and disks that are booted before they are given out.

use std::path::Path;

use serde_json::Value;

use crate::support::*;

/// What a build can do to a tree: owners, modes, links, what is removed of the base, attributes.
const DEEDS: &str = r#"
set -e
mkdir -p made/deep && echo text > made/deep/file && chmod 750 made && ln -s deep/file made/link && ln made/deep/file made/same
mkfifo made/pipe && chmod 4711 made/deep/file && chown 1000:44 made/link -h && chown -R 33:33 made/deep
echo changed >> /etc/motd && rm -r /usr/share/common-licenses && rm /etc/issue && mkdir /usr/share/common-licenses
mv /etc/issue.net /etc/renamed && perl -e 'truncate "made/deep/file", 100_000 or die' && echo x > "/opt/ä b"
"#;

/// What an app's build says of the kernel that it ran on.
fn kernel_of(app: &Path, base: &str, name: &str, more: &[&str]) -> (String, Value) {
    let words = ["build", app.to_str().unwrap(), "--base", base, "--name", name, "--json"];
    let called = till(&[&words, more].concat()).ok();
    let said = called.said().into_iter().find_map(|line| line.strip_prefix("kernel ")).unwrap().to_owned();
    (said, called.json())
}

#[test]
fn steps_run_on_a_kernel_of_their_own_and_leave_what_they_leave_in_a_container() {
    let base = script_base("root", "none");
    let app = source(&[("build.sh", &format!("echo kernel $(uname -r)\n{DEEDS}"))]);
    let (here, answer) = kernel_of(app.path(), &base, "machine-here", &["--afresh"]);
    assert_eq!(answer["machine"], Value::Null);
    let (there, answer) = kernel_of(app.path(), &base, "machine-there", &["--in", "qemu", "--afresh"]);
    let kernel = &answer["machine"]["kernel"];
    assert_eq!(format!("linux-image-{there}"), kernel["name"].as_str().unwrap(), "the kernel that was pinned");
    assert_ne!(here, there);
    let differ = till(&["diff", "machine-here", "machine-there"]).ok().out;
    assert_eq!(differ.trim(), "packages, files and config are the same");
    // The same once more is not made once more; nor is another kernel asked for.
    let again = till(&[
        "build",
        app.path().to_str().unwrap(),
        "--base",
        &base,
        "--name",
        "machine-there",
        "--in",
        "qemu",
        "--json",
    ]);
    assert_eq!(again.ok().json()["reused"], true);
    let wrong = ["--base", &base, "--in", "qemu", "--kernel", "linux-image-cloud-amd64=0.1"];
    let all = [&["build", app.path().to_str().unwrap()], &wrong[..]].concat();
    till(&all).failed(
        till_core::Fault::Caller.exit_code().into(),
        &["the kernel `linux-image-cloud-amd64=0.1` cannot be had"],
    );
}

#[test]
fn an_artifact_for_machines_is_booted_before_it_is_one_and_runs_from_its_disk() {
    base("debian");
    let app = server("uname -r; id -un; echo \"$GREETING\"; pwd\n");
    write(app.path(), &[("till.toml", "[env]\nGREETING = \"100% \\\"quoted\\\" $HOME\"\n")]);
    let answer = built(app.path(), &["--base", "debian", "--name", "machine-runs", "--to", "oci,disk"]);
    let kernel = answer["machine"]["kernel"]["name"].as_str().unwrap().to_owned();
    let notices = answer["notices"].to_string();
    assert!(notices.contains("the steps run in containers, on this machine's kernel"), "{notices}");
    let lines = |served: &Served| {
        let answer = served.get("/");
        answer.split("\r\n\r\n").nth(1).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let inside = Served::new(&["machine-runs", "--env", "MORE=1"]);
    let outside = Served::new(&["machine-runs", "--in", "container"]);
    let (there, here) = (lines(&inside), lines(&outside));
    assert_eq!(format!("linux-image-{}", there[0]), kernel);
    assert_eq!(there[1..], here[1..], "user, environment and directory are the container's");
    let log = || till(&["logs", inside.id()]).ok().out;
    assert!(log().contains("listens at 8080") && log().contains("till: ready"), "{}", log());
    // What it wrote is its own.
    let follow =
        command(&shared_data(), &["logs", "--follow", inside.id()]).stdout(std::process::Stdio::piped()).spawn();
    till(&["stop", inside.id()]).ok();
    let said = follow.unwrap().wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&said.stdout).contains("told to end"), "it was asked to end, and could");
    assert!(!runs(inside.id()), "nothing of it is left");
}

#[test]
fn what_is_asked_of_containers_and_needs_a_machine_is_refused() {
    base("debian");
    let app = server("echo x");
    let path = app.path().to_str().unwrap();
    let caller = till_core::Fault::Caller.exit_code().into();
    let build =
        |more: &[&str]| till(&[&["build", path, "--base", "debian", "--name", "machine-refused"], more].concat());
    build(&["--kernel", "linux-image-cloud-amd64"]).failed(caller, &["has this machine's kernel", "--in qemu"]);
    build(&["--no-boot"]).failed(caller, &["--no-boot is for machines"]);
    build(&["--keep-failed"]).failed(caller, &["--keep-failed gives a shell in the machine", "--in qemu"]);
    build(&["--in", "qemu", "--keep-failed"]).failed(caller, &["needs a terminal"]);
    build(&[]).ok();
    let run = till(&["run", "machine-refused", "--kernel", "linux-image-cloud-amd64", "--detach"]);
    run.failed(caller, &["a container has this machine's kernel"]);
}

#[test]
fn vm_a_disk_whose_processes_do_not_come_up_is_no_artifact() {
    base("debian");
    let app = server("echo x");
    let build = |procfile: &str| {
        write(app.path(), &[("Procfile", procfile)]);
        till(&["build", app.path().to_str().unwrap(), "--base", "debian", "--name", "machine-gate", "--to", "disk"])
    };
    let said = ["its disk was booted", "it ended (exit code 5)", "no config", "boot.log", "whose doing: the source"];
    build("web: echo no config >&2; exit 5\n").failed(3, &said);
    till(&["artifact", "show", "machine-gate"]).failed(6, &["there is no artifact `machine-gate`"]);
    let off = "user = \"root\"\n[[contract.process]]\nname = \"web\"\nrun = \"echo o > /proc/sysrq-trigger; sleep 60\"\n\
               [[contract.port]]\nname = \"http\"\nnumber = 8080\nprotocol = \"http\"\n";
    small_base("machine-off", off);
    let folder = source(&[("x", "")]);
    let words =
        ["build", folder.path().to_str().unwrap(), "--base", "machine-off", "--name", "machine-off", "--to", "disk"];
    till(&words).failed(3, &["its disk was booted", "switched off before its processes answered"]);
}

#[test]
fn vm_what_a_step_does_to_its_machine_ends_the_step() {
    let base = script_base("root", "none");
    let build = |name: &str, text: &str, limits: &str| {
        let folder = source(&[("build.sh", text), ("till.toml", limits)]);
        let words = ["build", folder.path().to_str().unwrap(), "--base", &base, "--name", name, "--in", "qemu"];
        till(&words)
    };
    let off = "its machine was switched off or started anew before it ended";
    for (name, text) in [
        ("reboot", "echo b > /proc/sysrq-trigger; sleep 60"),
        ("off", "echo o > /proc/sysrq-trigger; sleep 60"),
        ("panic", "echo c > /proc/sysrq-trigger; sleep 60"),
    ] {
        build(&format!("machine-{name}"), text, "").failed(3, &[off, "whose doing: the source"]);
    }
    // Forged, flooded and cut words are none: only who has read the job can say how it ended.
    let forged = r#"
        for port in /dev/vport*; do echo '{"word":"ended","nonce":"x","code":0,"oom":false,"pids":false}' > $port; done 2> /dev/null
        for port in /dev/vport*; do head -c 1M /dev/zero | tr '\0' '{' > $port; echo > $port; done 2> /dev/null
        for port in /dev/vport*; do printf '{"word":"begun","non' > $port; echo > $port; done 2> /dev/null
        exit 7"#;
    build("machine-forged", forged, "").failed(3, &["exit code 7"]);
}

/// Prepares an app in containers and in machines; both answer the same, each where it was made for.
#[track_caller]
fn the_same(source: &Path, base: &str, name: &str) {
    let (here, there) = (format!("{name}-here"), format!("{name}-there"));
    built(source, &["--base", base, "--name", &here]);
    let answer = built(source, &["--base", base, "--name", &there, "--in", "qemu"]);
    assert!(answer["machine"]["kernel"]["version"].is_string(), "{answer}");
    let body = |name: &str| {
        let answer = Served::new(&[name]).get("/").replace(&here, name).replace(&there, name).replace(name, "APP");
        answer.split("\r\n\r\n").nth(1).unwrap().to_owned()
    };
    let (container, machine) = (body(&here), body(&there));
    assert!(!container.is_empty());
    assert_eq!(container, machine);
}

fn example(name: &str) -> std::path::PathBuf {
    repository().join("examples/apps").join(name)
}

#[test]
fn vm_a_command_contract_is_the_same_in_a_machine() {
    base("python");
    the_same(&example("python-flask"), "python", "vm-command");
}

#[test]
fn vm_a_dockerfile_is_the_same_in_a_machine() {
    base("debian");
    let dockerfile = "FROM debian AS made\nUSER root\nRUN mkdir /out && echo made > /out/text && chown 7:8 /out/text\n\
                      FROM debian\nCOPY --from=made /out /srv\nCOPY . /app\nWORKDIR /app\nENV PORT=8080\nEXPOSE 8080\n\
                      RUN --mount=type=tmpfs,target=/scratch ls -ln /srv > /app/listing && touch /scratch/x\n\
                      USER app\nCMD [\"perl\", \"server.pl\"]\n";
    let app =
        source(&[("Dockerfile", dockerfile), ("server.pl", SERVER), ("answer.sh", "cat listing /srv/text; id -un\n")]);
    let (here, there) = ("vm-dockerfile-here", "vm-dockerfile-there");
    built(app.path(), &["--name", here]);
    built(app.path(), &["--name", there, "--in", "qemu"]);
    let body = |name: &str| Served::new(&[name]).get("/").split("\r\n\r\n").nth(1).unwrap().to_owned();
    let answer = body(there);
    assert!(answer.contains("made\napp\n") && answer.contains(" 7 8 "), "{answer}");
    assert_eq!(answer, body(here));
}

#[test]
fn vm_buildpacks_are_the_same_in_a_machine() {
    base("heroku");
    the_same(&example("heroku-python"), "heroku", "vm-heroku");
    // A process that is no service ends its machine, with its own exit code.
    let run = command(&shared_data(), &["run", "vm-heroku-there", "--process", "release"]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("checked flask /app/.heroku/python/"), "{said}");
}

#[test]
fn vm_source_to_image_is_the_same_in_a_machine() {
    base("debian");
    let builder = repository().join("examples/builders/s2i-perl");
    let lock = lock_of("s2i-perl");
    till(&["base", "build", builder.to_str().unwrap(), "--lock", lock.to_str().unwrap()]).ok();
    the_same(&example("s2i-pages"), "s2i-perl", "vm-s2i");
}

#[test]
fn vm_cartridges_are_the_same_in_a_machine() {
    base("gear");
    the_same(&example("gear-diy"), "gear", "vm-gear");
}

#[test]
fn vm_who_wants_to_look_into_a_failed_machine_gets_a_shell_in_it() {
    use std::io::{Read as _, Write as _};
    let base = script_base("app", "none");
    let app = source(&[("build.sh", "echo found > made; exit 5")]);
    let path = app.path().to_str().unwrap();
    let words = ["build", path, "--base", &base, "--name", "machine-look", "--in", "qemu", "--afresh", "--keep-failed"];
    let till = command(&shared_data(), &words);
    let line: Vec<_> =
        std::iter::once(till.get_program()).chain(till.get_args()).map(|word| word.to_str().unwrap()).collect();
    // A terminal of its own (script(1)).
    let mut script = std::process::Command::new("timeout");
    script.args(["180", "script", "-qefc", &line.join(" "), "/dev/null"]);
    script.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = script.spawn().unwrap();
    let (mut typed, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut said, mut buffer) = (String::new(), [0; 4096]);
    let mut wait_for = |wanted: &str| {
        while !said.contains(wanted) {
            let count = shown.read(&mut buffer).unwrap();
            assert!(count > 0, "no `{wanted}` in {said}");
            said.push_str(&String::from_utf8_lossy(&buffer[..count]).replace('\r', ""));
        }
        said.clear();
    };
    wait_for("a shell where `build.sh` failed");
    wait_for("$ ");
    typed.write_all(b"cat made; id -un; uname -n\n").unwrap();
    wait_for("found\napp\ntill\n");
    typed.write_all(b"exit\n").unwrap();
    wait_for("step `build.sh` failed (exit code 5)");
    assert_eq!(child.wait().unwrap().code(), Some(3));
}
