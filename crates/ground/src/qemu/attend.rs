//! A system that is handed a job at its start, and says at its second serial port how far it is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use till_core::Failure;
use till_core::plan::Bytes;
use till_core::port::{DiskFiles, End, Evidence, Outcome};
use till_core::system::{Card, DiskBus, Firmware, Listener, Said, SystemSpec, about, drive};
use tokio::time::Instant;

use super::drive::Content;
use super::machine::{Button, Draft, Event, Shape, Tail, Vm};
use super::{MachineError, Machines, chain, errand, io, wire};
use crate::hypervisor::{Attendance, Forward};

/// After its last word it switches itself off; then its power button is pressed, and then it is switched off.
const GOODBYE: Duration = Duration::from_secs(60);
/// What is written is looked at so often.
const LOOK: Duration = Duration::from_millis(500);

/// What a system is started with.
pub(super) struct Setting<'a> {
    pub(super) system: &'a SystemSpec,
    pub(super) disk: &'a DiskFiles,
    pub(super) overlay: &'a Path,
    pub(super) drive: &'a Path,
    pub(super) memory: Bytes,
    pub(super) cpu: Option<u32>,
    pub(super) network: bool,
    pub(super) forwards: &'a [Forward],
    pub(super) forwarder: Option<&'a str>,
    pub(super) folder: &'a Path,
    pub(super) adopt: &'a (dyn Fn(u32) -> Result<(), Failure> + Sync),
    pub(super) said: &'a Path,
}

/// Starts it.
pub(super) async fn start(machines: &Machines, setting: &Setting<'_>) -> Result<(Vm, Button, u32), Failure> {
    let accel = machines.accel(None, setting.folder, setting.adopt).await;
    let memory = setting.memory.0.max(setting.system.memory.0);
    let shape = Shape { accel, mebibytes: memory.div_ceil(1 << 20), processors: errand::processors(setting.cpu) };
    let mut draft = Draft::of_system(&shape, setting.system.machine.as_str())?;
    let root = chain::over(setting.disk, setting.overlay)?;
    let cdrom = json!({
        "node-name": "drive", "driver": "raw", "read-only": true,
        "file": { "driver": "file", "filename": setting.drive, "read-only": true },
    });
    let device = match setting.system.disk_bus {
        DiskBus::Virtio => "virtio-blk-pci,drive=root,bootindex=0",
        DiskBus::Nvme => "nvme,drive=root,serial=root,bootindex=0",
        DiskBus::Sata => "ide-hd,drive=root,bus=ide.0,bootindex=0",
    };
    draft.args(["-blockdev", &root.to_string(), "-device", device]);
    // Both types have that one, and nothing on it.
    draft.args(["-blockdev", &cdrom.to_string(), "-device", "ide-cd,drive=drive,bus=ide.1"]);
    if setting.system.firmware == Firmware::Uefi {
        uefi(&mut draft, setting.folder)?;
    }
    if setting.network
        && let Some(wire) = wire::connect(setting.folder, setting.forwarder, setting.forwards).await?
    {
        draft.card(
            wire,
            match setting.system.card {
                Card::Virtio => "virtio-net-pci",
                Card::E1000e => "e1000e",
            },
        );
    }
    let button = draft.button()?;
    Ok((draft.start(setting.adopt, setting.said)?, button, accel.slowness()))
}

/// Where distributions keep OVMF: the code, and variables to begin with.
const OVMF: [(&str, &str); 2] = [
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
];

fn uefi(draft: &mut Draft, folder: &Path) -> Result<(), MachineError> {
    let found = OVMF.iter().find(|(code, _)| Path::new(code).is_file()).ok_or(MachineError::NoUefi)?;
    let own = folder.join("variables");
    std::fs::copy(found.1, &own).map_err(io("copy", found.1))?;
    draft.args(["-drive", &format!("if=pflash,unit=0,format=raw,readonly=on,file={}", found.0)]);
    draft.args(["-drive", &format!("if=pflash,unit=1,format=raw,file={}", own.display())]);
    Ok(())
}

/// The drive of a system that is handed nothing.
pub(super) async fn bare_drive(hostname: &str, work: &Path) -> Result<PathBuf, Failure> {
    let texts = about(&uuid::Uuid::now_v7().to_string(), hostname);
    let into = work.join("drive.iso");
    super::drive::write(&Content { texts, ..Content::default() }, work, &into).await?;
    Ok(into)
}

/// The drive of a system that is handed a job.
async fn drive_of(machines: &Machines, order: &Attendance<'_>, nonce: &str) -> Result<PathBuf, Failure> {
    if machines.windows.is_empty() {
        return Err(MachineError::NoProgram.into());
    }
    let lent = order.lent.iter().enumerate();
    let lent: Vec<_> = lent.map(|(number, (names, file))| (format!("lent{number}"), names, file)).collect();
    let named = lent.iter().flat_map(|(name, names, _)| names.iter().map(|variable| (variable.clone(), name.clone())));
    let job = order.job.text(nonce, order.variables, &named.collect());
    let instance = uuid::Uuid::now_v7().to_string();
    let mut content =
        Content { texts: drive(order.system, &job, &instance, order.hostname).files, ..Content::default() };
    content.programs.insert("till/till.exe".to_owned(), machines.windows);
    let archives = order.archives.iter().enumerate();
    content.files.extend(archives.map(|(number, file)| (format!("till/source{number}.tar"), file.clone())));
    content.files.extend(lent.iter().map(|(name, _, file)| (format!("till/{name}"), file.to_path_buf())));
    let into = order.work.join("drive.iso");
    super::drive::write(&content, order.work, &into).await?;
    Ok(into)
}

/// Starts it, and hears it until it is off.
pub(super) async fn attend(
    machines: &Machines,
    order: &Attendance<'_>,
    told: &mut (dyn FnMut(Said) + Send),
) -> Result<Outcome, Failure> {
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let drive = drive_of(machines, order, &nonce).await?;
    let disk = DiskFiles::Chain(order.chain.to_vec());
    chain::overlay(&disk, order.overlay, 0).await?;
    let said = order.work.join("qemu.log");
    let setting = Setting {
        system: order.system,
        disk: &disk,
        overlay: order.overlay,
        drive: &drive,
        memory: order.limits.memory,
        cpu: order.limits.cpu,
        network: order.job.network(),
        forwards: &[],
        forwarder: order.forwarder,
        folder: order.folder,
        adopt: order.adopt,
        said: &said,
    };
    let (vm, button, slowness) = start(machines, &setting).await?;
    let boot = Duration::from_secs(order.system.boot.0) * slowness.min(3);
    let mut hearing = Hearing {
        order,
        vm,
        button,
        listener: Listener::new(&nonce),
        console: Tail::default(),
        kept: std::fs::File::create(order.console).map_err(io("make", order.console))?,
        most: order.limits.log.0,
        now: Now::Booting,
        until: Instant::now() + boot,
        boot,
        pressed: false,
    };
    let outcome = hearing.hear(told).await;
    outcome.map_err(|failure| {
        let mut lines = hearing.console.lines();
        lines.extend(std::fs::read_to_string(&said).unwrap_or_default().lines().map(str::to_owned));
        failure.evidence(lines)
    })
}

/// What the system does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Now {
    Booting,
    Act(usize),
    Between,
    Leaving,
}

struct Hearing<'a> {
    order: &'a Attendance<'a>,
    vm: Vm,
    button: Button,
    listener: Listener,
    console: Tail,
    kept: std::fs::File,
    /// Bytes that may still be kept.
    most: u64,
    now: Now,
    /// When it is lost patience with.
    until: Instant,
    boot: Duration,
    pressed: bool,
}

impl Hearing<'_> {
    async fn hear(&mut self, told: &mut (dyn FnMut(Said) + Send)) -> Result<Outcome, Failure> {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                event = self.vm.next() => match event {
                    Event::Console(bytes) => self.keep(&bytes),
                    Event::Log(bytes) => {
                        for said in self.listener.hear(&bytes) {
                            let end = self.take(&said);
                            told(said);
                            if let Some(outcome) = end {
                                self.vm.kill();
                                return Ok(outcome);
                            }
                        }
                    }
                    Event::Word(_) => {}
                    Event::Off => return self.off(),
                },
                () = tokio::time::sleep_until(self.until) => {
                    if let Some(outcome) = self.late().await? {
                        return Ok(outcome);
                    }
                }
                _ = looks.tick() => if let Some(number) = self.acting().filter(|_| self.is_too_much()) {
                    self.vm.kill();
                    return Ok(Outcome::Act { number, end: End::Killed(Evidence::OutOfDisk) });
                },
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        use std::io::Write as _;
        self.console.add(bytes);
        let count = bytes.len().min(usize::try_from(self.most).unwrap_or(usize::MAX));
        self.most -= count as u64;
        // That it cannot be kept is no reason to stop.
        let _ = self.kept.write_all(&bytes[..count]);
    }

    fn acting(&self) -> Option<usize> {
        if let Now::Act(number) = self.now { Some(number) } else { None }
    }

    /// How the sitting ends by what it said, if it does.
    fn take(&mut self, said: &Said) -> Option<Outcome> {
        match said {
            Said::Began(number) => {
                self.now = Now::Act(*number);
                self.until = Instant::now() + Duration::from_secs(self.order.limits.time.0);
            }
            Said::Ended(number, code) if *code != 0 => {
                return Some(Outcome::Act { number: *number, end: End::Code(*code) });
            }
            Said::Failed(number, why) => return Some(Outcome::Act { number: *number, end: End::Failed(why.clone()) }),
            Said::Ended(..) if self.now != Now::Leaving => {
                self.now = Now::Between;
                self.until = Instant::now() + self.boot;
            }
            Said::Restart(_) => {
                self.now = Now::Booting;
                self.until = Instant::now() + self.boot;
            }
            Said::Done => {
                self.now = Now::Leaving;
                self.until = Instant::now() + GOODBYE;
            }
            Said::Ended(..) | Said::Note(_) | Said::Log(_) => {}
        }
        None
    }

    fn off(&self) -> Result<Outcome, Failure> {
        match self.now {
            Now::Leaving => Ok(Outcome::Done),
            Now::Act(number) => Ok(Outcome::Act { number, end: End::Failed("it switched the system off".to_owned()) }),
            Now::Booting | Now::Between => Err(MachineError::OffBefore.into()),
        }
    }

    /// It took too long.
    async fn late(&mut self) -> Result<Option<Outcome>, Failure> {
        match self.now {
            Now::Leaving if !self.pressed => {
                self.pressed = true;
                self.until = Instant::now() + self.boot;
                let pressed = self.button.press().await;
                pressed.map_err(|error| Failure::house("cannot press the power button", error))?;
                Ok(None)
            }
            Now::Leaving => Err(MachineError::StaysOn(self.boot).into()),
            Now::Act(number) => {
                self.vm.kill();
                Ok(Some(Outcome::Act { number, end: End::Killed(Evidence::OutOfTime) }))
            }
            Now::Booting | Now::Between => Err(MachineError::Silent(self.boot).into()),
        }
    }

    /// Did it write more than it may?
    fn is_too_much(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let used = std::fs::metadata(self.order.overlay).map_or(0, |meta| meta.blocks() * 512);
        used > self.order.limits.disk.0
    }
}
