//! Artifacts as disks that boot. They are started here as anybody would start them: by QEMU, which knows nothing of us.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::*;

/// Without help of the processor, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// A machine; killed when dropped.
struct Machine {
    qemu: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Machine {
    /// Starts one from an overlay over the disk, so that the disk stays as it is.
    fn start(disk: &Path, format: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let overlay = folder.path().join("overlay");
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let mut create = Command::new("qemu-img");
        create.args(["create", "-q", "-f", "qcow2", "-F", format, "-b"]).arg(disk).arg(&overlay).arg("3G");
        assert!(create.status().unwrap().success());
        let qemu = Command::new("qemu-system-x86_64")
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-M", "q35", "-m", "768"])
            .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"])
            .arg("-drive")
            .arg(format!("if=none,id=root,format=qcow2,cache=unsafe,file={}", overlay.display()))
            .args(["-device", "virtio-blk-pci,drive=root,bootindex=0", "-device", "virtio-rng-pci"])
            .args(["-netdev", &format!("user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:8080")])
            .args(["-device", "virtio-net-pci,netdev=net,romfile="])
            .arg("-serial")
            .arg(format!("file:{}", folder.path().join("console").display()))
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", folder.path().join("qmp").display()))
            .args(more)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { qemu, port, folder }
    }

    fn console(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join("console")).unwrap_or_default()).into_owned()
    }

    /// What it answers as soon as it does.
    #[track_caller]
    fn answer(&mut self, path: &str) -> String {
        let began = Instant::now();
        loop {
            if let Some(answer) = ask(self.port, path).filter(|answer| answer.starts_with("HTTP/1.1 200")) {
                return answer;
            }
            let ended = self.qemu.try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "it does not answer:\n{}", self.console());
            std::thread::yield_now();
        }
    }

    /// Presses the power button, and waits until it is off.
    #[track_caller]
    fn power_off(&mut self) {
        use std::io::Write as _;
        let mut qmp = std::os::unix::net::UnixStream::connect(self.folder.path().join("qmp")).unwrap();
        qmp.write_all(b"{\"execute\":\"qmp_capabilities\"}{\"execute\":\"system_powerdown\"}").unwrap();
        let began = Instant::now();
        while self.qemu.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < PATIENCE, "it does not go off:\n{}", self.console());
            std::thread::yield_now();
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// GET, of something that may not answer yet.
fn ask(port: u16, path: &str) -> Option<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// An app that says what it runs on.
fn about(name: &str) {
    base("debian");
    let app = server("uname -r; id -un; echo \"$GREETING\"; pwd; df --output=size -m / | tail -n 1\n");
    write(app.path(), &[("till.toml", "[env]\nGREETING = \"100% \\\"quoted\\\" $HOME\"\n")]);
    built(app.path(), &["--base", "debian", "--name", name]);
}

fn export(name: &str, file: &Path, more: &[&str]) -> Value {
    let target = format!("disk:{}", file.display());
    till(&[&["artifact", "export", name, &target, "--json", "--quiet"], more].concat()).ok().json()
}

fn disk(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

#[test]
fn an_artifact_becomes_a_disk_that_boots_and_answers_as_the_container_does() {
    about("disk-boots");
    let folder = tempfile::tempdir().unwrap();
    let (file, again) = (disk(&folder, "one.qcow2"), disk(&folder, "two.qcow2"));
    let answer = export("disk-boots", &file, &[]);
    let kernel = &answer["kernel"];
    assert_eq!((&answer["format"], &answer["init"]), (&"qcow2".into(), &"till".into()), "{answer}");
    let mut machine = Machine::start(&file, "qcow2", &[]);
    // The same kernel by name and version is the same disk, byte for byte.
    let exactly = format!("{}={}", kernel["package"].as_str().unwrap(), kernel["version"].as_str().unwrap());
    assert_eq!(export("disk-boots", &again, &["--kernel", &exactly])["digest"], answer["digest"]);
    let served = Served::new(&["disk-boots"]);
    let (inside, outside) = (machine.answer("/"), served.get("/"));
    let lines = |answer: &str| answer.split("\r\n\r\n").nth(1).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    let (inside, outside) = (lines(&inside), lines(&outside));
    assert_eq!(inside[0], kernel["release"].as_str().unwrap(), "the kernel that was pinned");
    assert_eq!(inside[1..4], outside[1..4], "user, environment and directory are the container's");
    assert!(inside[4].trim().parse::<u32>().unwrap() > 2500, "it has grown with its disk of 3 GiB: {inside:?}");
    machine.power_off();
    assert!(machine.console().contains("told to end"), "{}", machine.console());
}

#[test]
fn a_disk_that_cannot_be_made_is_refused_with_the_reason() {
    about("disk-refused");
    let folder = tempfile::tempdir().unwrap();
    let file = disk(&folder, "x.qcow2");
    let target = format!("disk:{}", file.display());
    let refused = |target: &str, more: &[&str], code: i32, said: &[&str]| {
        till(&[&["artifact", "export", "disk-refused", target], more].concat()).failed(code, said);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    };
    let caller = till_core::Fault::Caller.exit_code().into();
    refused("disk:x.vmdk", &[], caller, &["which format"]);
    refused("oci:x", &["--kernel", "linux-image-cloud-amd64"], caller, &["has no kernel"]);
    refused(&target, &["--kernel=-o=x"], caller, &["no package"]);
    refused(&target, &["--kernel=a b"], caller, &["no package"]);
    refused(&target, &["--kernel", "linux-image-cloud-amd64=0.1"], caller, &["cannot be had"]);
    refused(&target, &["--size", "100MiB"], caller, &["too small"]);
    refused("disk:/nowhere/x.qcow2", &[], caller, &["no directory `/nowhere`"]);
}

#[test]
fn vm_the_same_disk_boots_by_uefi_and_as_raw_and_stays_as_it_is() {
    about("disk-uefi");
    let folder = tempfile::tempdir().unwrap();
    let file = disk(&folder, "one.raw");
    let answer = export("disk-uefi", &file, &["--size", "2GiB"]);
    assert_eq!((&answer["format"], &answer["size"]), (&"raw".into(), &(2_u64 << 30).into()));
    let (code, variables) = ("/usr/share/OVMF/OVMF_CODE_4M.fd", folder.path().join("variables"));
    std::fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", &variables).unwrap();
    let firmware = format!("if=pflash,unit=0,format=raw,readonly=on,file={code}");
    let kept = format!("if=pflash,unit=1,format=raw,file={}", variables.display());
    let mut machine = Machine::start(&file, "raw", &["-drive", &firmware, "-drive", &kept]);
    assert!(machine.answer("/").contains(answer["kernel"]["release"].as_str().unwrap()));
    machine.power_off();
    let again = disk(&folder, "two.raw");
    assert_eq!(export("disk-uefi", &again, &["--size", "2GiB"])["digest"], answer["digest"]);
    assert!(std::fs::read(&file).unwrap() == std::fs::read(&again).unwrap(), "booting it changed nothing");
}

#[test]
fn vm_an_image_with_systemd_starts_its_processes_as_units() {
    base("debian");
    let folder = source(&[(
        "base.toml",
        "name = \"with-systemd\"\ndescription = \"d\"\nowner = \"o\"\n[recipe]\nkind = \"debian\"\nfrom = \"debian\"\n\
         packages = [\"systemd-sysv\", \"udev\", \"dbus\"]\n[contract]\nkind = \"command\"\nuser = \"app\"\n\
         [contract.source]\nas = \"dir\"\nat = \"/app\"\n[[contract.process]]\nname = \"web\"\nrun = [\"perl\", \"server.pl\"]\n\
         [[contract.port]]\nname = \"http\"\nnumber = 8080\nprotocol = \"http\"\n",
    )]);
    till(&["base", "build", folder.path().to_str().unwrap()]).ok();
    let app = source(&[("answer.sh", "id -un; cat /proc/1/comm; cat /proc/self/cgroup\n"), ("server.pl", SERVER)]);
    built(app.path(), &["--base", "with-systemd", "--name", "disk-systemd"]);
    let folder = tempfile::tempdir().unwrap();
    let file = disk(&folder, "one.qcow2");
    assert_eq!(export("disk-systemd", &file, &[])["init"], "systemd");
    let mut machine = Machine::start(&file, "qcow2", &[]);
    let answer = machine.answer("/");
    assert!(answer.contains("app\nsystemd\n") && answer.contains("till-web.service"), "{answer}");
    machine.power_off();
}

#[test]
fn vm_a_disk_of_linux_becomes_a_base_with_its_own_kernel() {
    base("debian");
    let folder = tempfile::tempdir().unwrap();
    let file = disk(&folder, "cloud.qcow2");
    let target = format!("disk:{}", file.display());
    let exported = till(&["base", "export", "debian", &target, "--json", "--quiet"]).ok().json();
    let before = till_core::Digest::of(&std::fs::read(&file).unwrap());
    let contract = "[contract]\nkind = \"command\"\nuser = \"app\"\n[contract.source]\nas = \"dir\"\nat = \"/app\"\n\
                    [[contract.process]]\nname = \"web\"\nrun = [\"perl\", \"server.pl\"]\n\
                    [[contract.port]]\nname = \"http\"\nnumber = 8080\nprotocol = \"http\"\n";
    write(folder.path(), &[("contract.toml", contract)]);
    let contract = folder.path().join("contract.toml");
    let words = ["base", "import", &target, "--contract", contract.to_str().unwrap(), "--json", "--quiet"];
    let imported = till(&words).ok().json();
    assert_eq!((&imported["name"], &imported["external"]), (&"cloud".into(), &true.into()), "{imported}");
    assert_eq!(till_core::Digest::of(&std::fs::read(&file).unwrap()), before, "it was only read");
    let differ = till(&["diff", "debian", "cloud"]).ok().out;
    let removed: Vec<_> = differ.lines().filter(|line| line.trim().starts_with("- ")).collect();
    assert!(removed.is_empty() && differ.contains("boot/vmlinuz-"), "{differ}");
    let app = source(&[("answer.sh", "uname -r; id -un\n"), ("server.pl", SERVER)]);
    let built = built(app.path(), &["--base", "cloud", "--name", "disk-cloud", "--to", "disk"]);
    assert_eq!(built["machine"]["kernel"], Value::Null, "{built}");
    let answer = Served::new(&["disk-cloud"]).get("/");
    assert!(answer.ends_with(&format!("{}\napp\n", exported["kernel"]["release"].as_str().unwrap())), "{answer}");
}

#[test]
fn what_only_looks_like_a_disk_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let create = |name: &str, options: &[&str]| {
        let mut command = Command::new("qemu-img");
        command.args(["create", "-q"]).args(options).arg(disk(&folder, name)).arg("1M").current_dir(folder.path());
        assert!(command.status().unwrap().success());
    };
    create("plain.qcow2", &["-f", "qcow2"]);
    create("backed.qcow2", &["-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw"]);
    create("apart.qcow2", &["-f", "qcow2", "-o", "data_file=apart.data,data_file_raw=on"]);
    std::fs::copy(disk(&folder, "plain.qcow2"), disk(&folder, "inside.raw")).unwrap();
    write(folder.path(), &[("descriptor.raw", "# Disk DescriptorFile\nversion=1\n"), ("text.qcow2", "no disk")]);
    let caller = till_core::Fault::Caller.exit_code().into();
    for (name, said) in [
        ("backed.qcow2", "it has a backing file"),
        ("apart.qcow2", "it keeps its data in another file"),
        ("inside.raw", "qcow2"),
        ("descriptor.raw", "VMDK"),
        ("text.qcow2", "it is no qcow2"),
        ("none.qcow2", "there is no such file"),
        ("plain.vmdk", "which format"),
    ] {
        let target = format!("disk:{}", disk(&folder, name).display());
        till(&["base", "import", &target, "--name", "never"]).failed(caller, &[said]);
    }
    till(&["base", "show", "never"]).failed(caller, &["no base `never`"]);
}
