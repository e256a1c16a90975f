//! Virtual machines by QEMU, and the disks that they boot from. No mount, loop device or kernel module of the host is used.
//!
//! ```text
//! disk.rs      DiskMaker: a tree, a kernel and a launch become a disk
//! furnish.rs   what is put into the tree for that
//! kernel.rs    the kernel's package, its modules, the initramfs
//! grub.rs      the boot loader, for BIOS and UEFI
//!
//! errand.rs    Hypervisor: one step of a preparation, in a machine of its own
//! life.rs      Hypervisor: a machine that runs from a disk
//! attend.rs    Hypervisor: a system that stays a disk, handed a job at its start
//! drive.rs     on what it is handed that
//! chain.rs     disks of several files, and what is written over them
//! boot.rs      what that starts from
//! share.rs     the tree that it sees: virtiofsd
//! wire.rs      its way out: passt
//! foreign.rs   DiskMaker: the tree of a disk that others made
//! machine.rs   QEMU, and what its guest says
//! accel.rs     by the processor, or translated
//! ```
//!
//! qemu-img is always told the format, never left to find it out: what a guest wrote may look like anything.

mod accel;
mod attend;
mod boot;
mod chain;
mod disk;
mod drive;
mod errand;
mod foreign;
mod furnish;
mod grub;
mod kernel;
mod life;
mod machine;
mod share;
mod wire;

use std::path::PathBuf;

pub use share::virtiofsd;
use till_core::{Blame, Failure, Fault};

/// Virtual machines on this machine.
#[derive(Debug, Clone)]
pub struct Machines {
    guest: &'static [u8],
    windows: &'static [u8],
    data: PathBuf,
}

impl Machines {
    /// With the program that is the first process of our machines, the one that works in Windows (empty where this binary was
    /// built without it), and where everything is kept.
    pub fn new(guest: &'static [u8], windows: &'static [u8], data: PathBuf) -> Self {
        Self { guest, windows, data }
    }
}

/// What can go wrong with a disk or a machine.
#[derive(Debug, thiserror::Error)]
enum MachineError {
    #[error("cannot {deed} `{path}`")]
    Io { deed: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the image has no kernel, and none was named")]
    NoKernel,
    #[error("the image has {0} kernels: {1}")]
    Kernels(usize, String),
    #[error("the package `{0}` has no kernel")]
    NotAKernel(String),
    #[error("the machine was switched off before its processes answered")]
    Off,
    #[error("this machine has no virtiofsd, by which a machine sees the tree of its image")]
    NoShare,
    #[error("`{0}` has characters in its name that QEMU takes for something else")]
    Name(String),
    #[error("the network of a machine cannot be set up: {0}")]
    Network(String),
    #[error("cannot read the tree of `{disk}`: {said}")]
    Unread { disk: String, said: String },
    #[error("its tree takes more than {limit}")]
    Large { limit: till_core::plan::Bytes },
    #[error("this binary was built without the program that works in Windows")]
    NoProgram,
    #[error("this machine has no UEFI for machines")]
    NoUefi,
    #[error("the system was off before it had done anything")]
    OffBefore,
    #[error("the system said nothing within {} s", .0.as_secs())]
    Silent(std::time::Duration),
    #[error("the system was done, and was not off within {} s", .0.as_secs())]
    StaysOn(std::time::Duration),
    #[error("a disk of {size} is too small: what is on it takes {needed}")]
    Small { size: till_core::plan::Bytes, needed: till_core::plan::Bytes },
}

impl Blame for MachineError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io { .. } | Self::NoShare | Self::Name(_) | Self::Network(_) => Fault::House,
            Self::NoKernel | Self::NotAKernel(_) | Self::Unread { .. } | Self::Large { .. } | Self::Small { .. } => {
                Fault::Caller
            }
            Self::NoProgram | Self::NoUefi => Fault::House,
            Self::Kernels(..) | Self::OffBefore | Self::Silent(_) | Self::StaysOn(_) => Fault::Base,
            Self::Off => Fault::Source,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                "free disk space; `till gc` removes what nothing uses"
            }
            Self::Io { .. } | Self::Name(_) | Self::Off => return None,
            Self::Unread { .. } => {
                "a disk of Linux has a partition with an ext4, xfs or btrfs file system that is its root"
            }
            Self::Large { .. } => "take out of it what is no part of a base",
            Self::NoShare | Self::Network(_) => "`till doctor` checks what this machine offers",
            Self::NoProgram => "build it where x86_64-w64-mingw32-gcc is (Debian: gcc-mingw-w64-x86-64-win32)",
            Self::NoUefi => "install OVMF (Debian: ovmf), or give it a disk that starts by BIOS",
            Self::OffBefore | Self::Silent(_) => {
                "docs/guide/windows.md says what a disk needs: something in it has to read the drive that it is handed"
            }
            Self::StaysOn(_) => "let its power button switch it off",
            Self::NoKernel => "name a package that has one, e.g. --kernel linux-image-cloud-amd64",
            Self::Kernels(..) => "a base for machines has exactly one kernel: name its package with the version",
            Self::NotAKernel(_) => "Debian's are called linux-image-VERSION-FLAVOUR, e.g. linux-image-cloud-amd64",
            Self::Small { .. } => "name a larger size, or none: it grows with its disk",
        };
        Some(hint.to_owned())
    }
}

/// An IO error of a deed on a path.
fn io(deed: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> MachineError {
    let path = path.into();
    move |source| MachineError::Io { deed, path, source }
}

/// Work that blocks, away from the reactor.
async fn blocking<T: Send + 'static>(
    deed: &str,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Failure::house(deed, error)),
    }
}
