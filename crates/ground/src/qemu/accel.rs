//! How a guest's instructions are carried out: by the processor where that works, translated where not. Found out by a real start of
//! a real kernel: there are machines with a `/dev/kvm` that takes a boot sector and hangs in Linux.
//!
//! ```text
//! DATA/hypervisor   what was found in this boot
//! ```

use std::path::Path;
use std::time::Duration;

use super::Machines;
use super::boot::Boot;
use super::machine::{Draft, Event, Shape};
use till_core::Failure;

/// A kernel is up in a second where it works.
const PATIENCE: Duration = Duration::from_secs(5);
/// Of the guest's memory.
const MEBIBYTES: u64 = 256;

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
            // Without SMAP: QEMU 7 takes a return from an interrupt in a program for one of the kernel's, and Windows' programs do so.
            Self::Tcg => ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max,smap=off"],
        }
    }

    /// How much longer everything takes than by the processor, at worst.
    pub(super) fn slowness(self) -> u32 {
        if self == Self::Kvm { 1 } else { 10 }
    }

    fn name(self) -> &'static str {
        if self == Self::Kvm { "kvm" } else { "tcg" }
    }
}

impl Machines {
    /// What works here. Without a kernel to try it with, and before anybody had one, it is translated.
    pub(super) async fn accel(
        &self,
        boot: Option<&Boot>,
        folder: &Path,
        adopt: &(dyn Fn(u32) -> Result<(), Failure> + Sync),
    ) -> Accel {
        if !Path::new("/dev/kvm").exists() {
            return Accel::Tcg;
        }
        let (memory, stamp) = (self.data.join("hypervisor"), stamp());
        let known = std::fs::read_to_string(&memory).unwrap_or_default();
        let known = known.strip_prefix(&stamp);
        if let Some(found) = [Accel::Kvm, Accel::Tcg].into_iter().find(|accel| known == Some(accel.name())) {
            return found;
        }
        let Some(boot) = boot else { return Accel::Tcg };
        let works = tokio::time::timeout(PATIENCE, self.starts(boot, folder, adopt)).await;
        let found = if matches!(works, Ok(Ok(true))) { Accel::Kvm } else { Accel::Tcg };
        // Only to be quicker the next time.
        let _ = std::fs::write(&memory, format!("{stamp}{}", found.name()));
        found
    }

    /// Does a kernel come as far as our program, which then says that it has nothing to do?
    async fn starts(
        &self,
        boot: &Boot,
        folder: &Path,
        adopt: &(dyn Fn(u32) -> Result<(), Failure> + Sync),
    ) -> Result<bool, Failure> {
        let initrd = folder.join("probe");
        self.write_initrd(boot, Vec::new(), &initrd)?;
        let mut draft = Draft::new(&Shape { accel: Accel::Kvm, mebibytes: MEBIBYTES, processors: 1 })?;
        draft.file("-kernel", &boot.vmlinuz).file("-initrd", &initrd);
        draft.args(["-append", super::errand::COMMAND_LINE]);
        let mut vm = draft.start(adopt, &folder.join("probe.log"))?;
        loop {
            match vm.next().await {
                Event::Word(_) => return Ok(true),
                Event::Off => return Ok(false),
                Event::Log(_) | Event::Console(_) => {}
            }
        }
    }
}

/// This boot.
fn stamp() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}
