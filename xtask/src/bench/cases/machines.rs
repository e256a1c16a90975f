//! M1 to M4: virtual machines. What they are compared with is what anybody has without us: a whole system, booted from its disk.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::{Case, Contestant, Part};
use crate::bench::measure::costs;
use crate::bench::sample::Sample;
use crate::bench::stage::{Stage, write};
use crate::bench::wanted::Wanted;
use crate::tools;

/// A system as Debian has it, with the kernel for its disk.
const SYSTEM: &str = "name = \"system\"\ndescription = \"A whole system\"\nowner = \"Tillage\"\n\
    [recipe]\nkind = \"debian\"\nfrom = \"debian\"\npackages = [\"systemd-sysv\", \"udev\", \"dbus\", \"login\"]\n\
    [disk]\nkernel = \"linux-image-cloud-amd64\"\n[contract]\nkind = \"command\"\n[contract.source]\nas = \"dir\"\nat = \"/app\"\n\
    [[contract.step]]\nname = \"true\"\nrun = [\"true\"]\n[[contract.process]]\nname = \"web\"\nrun = [\"sleep\", \"infinity\"]\n";
/// What its console says when it is up.
const UP: &str = "login: ";
/// Without help of the processor, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// M1: a step that does nothing, machine and all, from before its start until it is off.
pub(super) fn step(stage: &Stage) -> Result<Case<'_>> {
    let files = app(stage)?;
    let disk = disk(stage)?;
    let build = move || -> Result<Sample> {
        let answer =
            stage.till.ask(&["build", &files, "--base", "system", "--name", "m1", "--in", "qemu", "--afresh"])?;
        let steps = answer["steps"].as_array().context("the answer has no steps")?;
        let step = steps.iter().find(|step| step["name"] == "true").context("the step was not run")?;
        let milliseconds = step["milliseconds"].as_f64().context("the step has no time")?;
        Ok(Sample { seconds: milliseconds / 1000.0, ..Sample::default() })
    };
    let all = vec![
        Contestant::ours(move |_| build()),
        Contestant::peer("the same image, booted to its login prompt", move |_| booted(stage, Path::new(&disk))),
    ];
    let title = "a step in a machine of its own, from nothing to off";
    Ok(Case { idle: 1, parts: vec![Part::whole(title, Wanted::Ratio(0.5), None)], contestants: all })
}

/// M2: an artifact as a disk that boots.
pub(super) fn export(stage: &Stage) -> Result<Case<'_>> {
    let files = app(stage)?;
    stage.till.ask(&["build", &files, "--base", "system", "--name", "m2"])?;
    let file = stage.folder("m2")?.join("disk.qcow2");
    let target = format!("disk:{}", file.display());
    let ours = Contestant::ours(move |_| Ok(stage.till.run(&["artifact", "export", "m2", &target])?.sample));
    let title = "an artifact with systemd (300 MB) as a compressed qcow2 that boots";
    Ok(Case { idle: 1, parts: vec![Part::whole(title, Wanted::Seconds(10.0), None)], contestants: vec![ours] })
}

/// M3: a base as a disk, its packages being there.
pub(super) fn base(stage: &Stage) -> Result<Case<'_>> {
    app(stage)?;
    let file = stage.folder("m3")?.join("disk.raw");
    let target = format!("disk:{}", file.display());
    let ours = Contestant::ours(move |_| Ok(stage.till.run(&["base", "export", "system", &target])?.sample));
    let title = "a base whose packages are there, as a disk that boots";
    Ok(Case { idle: 1, parts: vec![Part::whole(title, Wanted::Seconds(5.0), None)], contestants: vec![ours] })
}

/// M4: the same where nothing is there yet: packages are fetched, the base is made, and the base below it.
pub(super) fn cold(stage: &Stage) -> Result<Case<'_>> {
    app(stage)?;
    let system = stage.folder("system")?.display().to_string();
    let below = stage.examples.join("../../bases/debian").display().to_string();
    let ours = Contestant::ours(move |_| {
        let folder = stage.folder("m4")?;
        let till = stage.till.with_data(&folder.join("data"));
        let target = format!("disk:{}", folder.join("disk.raw").display());
        let lock = folder.join("lock").display().to_string();
        let ((), sample) = costs(&[], || {
            till.ask(&["base", "build", &below, "--lock", &lock])?;
            till.ask(&["base", "build", &system])?;
            till.ask(&["base", "export", "system", &target]).map(drop)
        })?;
        std::fs::remove_dir_all(&folder)?;
        Ok(sample)
    });
    let title = "a base as a disk that boots, from nothing";
    Ok(Case { idle: 1, parts: vec![Part::whole(title, Wanted::Seconds(40.0), None)], contestants: vec![ours] })
}

/// Makes the base, and gives the source of an app.
fn app(stage: &Stage) -> Result<String> {
    let folder = stage.folder("system")?;
    write(&folder.join("base.toml"), SYSTEM)?;
    stage.till.base(&folder)?;
    let files = stage.folder("m")?;
    write(&files.join("file"), "a small file\n")?;
    Ok(files.display().to_string())
}

/// The base as a disk.
fn disk(stage: &Stage) -> Result<String> {
    let file = stage.folder("m1")?.join("disk.qcow2").display().to_string();
    stage.till.ask(&["base", "export", "system", &format!("disk:{file}")])?;
    Ok(file)
}

/// A machine from that disk, until somebody could log in. It writes to nothing that is kept.
fn booted(stage: &Stage, disk: &Path) -> Result<Sample> {
    let console = stage.folder("m1")?.join("console");
    File::create(&console)?;
    let mut qemu = tools::command("qemu-system-x86_64");
    qemu.args([
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
        "-M",
        "q35",
        "-m",
        "1024",
        "-snapshot",
    ]);
    qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-device", "virtio-rng-pci"]);
    qemu.arg("-drive").arg(format!("if=virtio,format=qcow2,cache=unsafe,file={}", disk.display()));
    qemu.arg("-serial").arg(format!("file:{}", console.display())).stdin(Stdio::null()).stderr(Stdio::null());
    let ((), sample) = costs(&[], || {
        let mut child = qemu.spawn().context("cannot start QEMU")?;
        let up = until_up(&console);
        let _ = child.kill();
        child.wait()?;
        up
    })?;
    Ok(sample)
}

fn until_up(console: &Path) -> Result<()> {
    let began = Instant::now();
    let mut file = File::open(console)?;
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains(UP) {
        if began.elapsed() > PATIENCE {
            bail!("it does not come up:\n{}", String::from_utf8_lossy(&said));
        }
        std::thread::sleep(Duration::from_millis(20));
        file.read_to_end(&mut said)?;
    }
    Ok(())
}
