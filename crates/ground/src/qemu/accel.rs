//! How a guest's instructions are carried out: by the processor where that works, translated where not. Found out by a real start,
//! for there are machines with a `/dev/kvm` that does not work.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::process;

/// A boot sector: `mov dx, 0x501; mov al, 0x10; out dx, al; hlt`, and the signature.
const SECTOR: [u8; 7] = [0xBA, 0x01, 0x05, 0xB0, 0x10, 0xEE, 0xF4];
/// How QEMU ends after a 0x10 at that port (isa-debug-exit): twice that, and one.
const DONE: i32 = 0x21;
/// It takes a tenth of a second where it works.
const PATIENCE: Duration = Duration::from_secs(5);

/// What carries out a guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accel {
    /// The processor.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

impl Accel {
    pub(super) fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // The translated code is kept in so many MiB.
            Self::Tcg => ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max"],
        }
    }

    /// How much longer everything takes than by the processor, at worst.
    pub(super) fn slowness(self) -> u32 {
        if self == Self::Kvm { 1 } else { 10 }
    }
}

/// Tries it; `folder` is for a file.
pub(super) async fn probe(folder: &Path) -> Accel {
    if Path::new("/dev/kvm").exists() && works(folder).await { Accel::Kvm } else { Accel::Tcg }
}

async fn works(folder: &Path) -> bool {
    let mut disk = vec![0; 512];
    disk[..SECTOR.len()].copy_from_slice(&SECTOR);
    disk[510..].copy_from_slice(&[0x55, 0xAA]);
    let path = folder.join("probe");
    if std::fs::write(&path, disk).is_err() {
        return false;
    }
    let mut command: Command = process::command(super::machine::PROGRAM);
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-m", "16"]);
    command.args(Accel::Kvm.arguments()).args(["-device", "isa-debug-exit,iobase=0x501", "-drive"]);
    command.arg(format!("if=ide,format=raw,readonly=on,file={}", path.display()));
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    process::dies_with_us(&mut command);
    let status = tokio::time::timeout(PATIENCE, command.status()).await;
    let _ = std::fs::remove_file(&path);
    matches!(status, Ok(Ok(status)) if status.code() == Some(DONE))
}
