//! Disks that others made: a machine of ours reads their tree, with a kernel that is not this machine's.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use till_core::Failure;
use till_core::plan::Bytes;
use till_core::port::ForeignDisk;
use till_guest::{FOREIGN, READ, Word};

use super::boot;
use super::errand::COMMAND_LINE;
use super::machine::{Draft, Event, Shape, Tail};
use super::{MachineError, Machines, io};

/// What reads a disk beside the ports: the file systems that root file systems have.
const WANTED: [&str; 7] = ["virtio_pci", "virtio_console", "virtio_rng", "virtio_blk", "ext4", "xfs", "btrfs"];
/// Of the guest's memory.
const MEBIBYTES: u64 = 768;
/// How long the guest may say nothing, by the processor.
const SILENCE: Duration = Duration::from_secs(60);

/// Reads it into `into`. `work` is an empty directory.
pub(super) async fn read(
    machines: &Machines,
    disk: &ForeignDisk,
    kernel: &Path,
    work: &Path,
    into: &Path,
) -> Result<(), Failure> {
    let boot = boot::with_modules(kernel, &WANTED, work).await?;
    // No limits of an instance: what it reads is limited by what comes of it.
    let adopt = |_| Ok(());
    let accel = machines.accel(Some(&boot), work, &adopt).await;
    let initrd = work.join("initrd");
    machines.write_initrd(&boot, Vec::new(), &initrd)?;
    let mut draft = Draft::new(&Shape { accel, mebibytes: MEBIBYTES, processors: 1 })?;
    let path = std::path::absolute(&disk.path).map_err(io("find", &disk.path))?;
    let file = json!({ "driver": "file", "filename": path, "read-only": true });
    let mut node = json!({ "node-name": "foreign", "driver": disk.format, "read-only": true, "file": file });
    if disk.format == "qcow2" {
        // Whatever it says, nothing lies below it.
        node["backing"] = json!(null);
    }
    draft.file("-kernel", &boot.vmlinuz).file("-initrd", &initrd);
    draft.args(["-append", &format!("{COMMAND_LINE} {READ}=1"), "-blockdev", &node.to_string()]);
    draft.args(["-device", &format!("virtio-blk-pci,drive=foreign,serial={FOREIGN}")]);
    let said = work.join("qemu.log");
    let mut vm = draft.start(&adopt, &said)?;
    let mut archive = std::fs::File::create(into).map_err(io("make", into))?;
    let (mut console, mut bytes, mut whole) = (Tail::default(), 0, false);
    let why = loop {
        let event = tokio::time::timeout(SILENCE * accel.slowness(), vm.next()).await;
        match event {
            Err(_) => break "its machine says nothing".to_owned(),
            Ok(Event::Log(piece)) => {
                bytes += piece.len() as u64;
                if bytes > disk.limit {
                    return Err(MachineError::Large { limit: Bytes(disk.limit) }.into());
                }
                archive.write_all(&piece).map_err(io("write", into))?;
            }
            Ok(Event::Console(piece)) => console.add(&piece),
            Ok(Event::Word(Word::Read)) => whole = true,
            Ok(Event::Word(Word::Failed { why })) => break why,
            Ok(Event::Word(_)) => {}
            Ok(Event::Off) if whole => return Ok(()),
            Ok(Event::Off) => break "its machine was off before it was read".to_owned(),
        }
    };
    let mut lines = console.lines();
    lines.extend(std::fs::read_to_string(&said).unwrap_or_default().lines().map(str::to_owned));
    Err(Failure::from(MachineError::Unread { disk: disk.path.display().to_string(), said: why }).evidence(lines))
}
