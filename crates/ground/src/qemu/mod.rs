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
mod boot;
mod disk;
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
    data: PathBuf,
}

impl Machines {
    /// With the program that is the first process of our machines, and where everything is kept.
    pub fn new(guest: &'static [u8], data: PathBuf) -> Self {
        Self { guest, data }
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
            Self::Kernels(..) => Fault::Base,
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
