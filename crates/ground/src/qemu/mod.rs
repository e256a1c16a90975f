//! Virtual machines by QEMU, and the disks that they boot from. No mount, loop device or kernel module of the host is used.
//!
//! ```text
//! disk.rs      DiskMaker: a tree, a kernel and a launch become a disk
//! furnish.rs   what is put into the tree for that
//! kernel.rs    the kernel's package, its modules, the initramfs
//! grub.rs      the boot loader, for BIOS and UEFI
//! ```
//!
//! qemu-img is always told the format, never left to find it out: what a guest wrote may look like anything.

mod disk;
mod furnish;
mod grub;
mod kernel;

use std::path::PathBuf;

use till_core::{Blame, Failure, Fault};

/// Virtual machines on this machine.
#[derive(Debug, Clone)]
pub struct Machines {
    /// The program that is the first process of our machines.
    pub guest: &'static [u8],
}

/// What can go wrong with a disk.
#[derive(Debug, thiserror::Error)]
enum DiskError {
    #[error("cannot {deed} `{path}`")]
    Io { deed: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the image has no kernel, and none was named")]
    NoKernel,
    #[error("the image has {0} kernels: {1}")]
    Kernels(usize, String),
    #[error("the package `{0}` has no kernel")]
    NotAKernel(String),
    #[error("a disk of {size} is too small: what is on it takes {needed}")]
    Small { size: till_core::plan::Bytes, needed: till_core::plan::Bytes },
}

impl Blame for DiskError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io { .. } => Fault::House,
            Self::NoKernel | Self::NotAKernel(_) | Self::Small { .. } => Fault::Caller,
            Self::Kernels(..) => Fault::Base,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                "free disk space; `till gc` removes what nothing uses"
            }
            Self::Io { .. } => return None,
            Self::NoKernel => "name a package that has one, e.g. --kernel linux-image-cloud-amd64",
            Self::Kernels(..) => "a base for machines has exactly one kernel: name its package with the version",
            Self::NotAKernel(_) => "Debian's are called linux-image-VERSION-FLAVOUR, e.g. linux-image-cloud-amd64",
            Self::Small { .. } => "name a larger size, or none: it grows with its disk",
        };
        Some(hint.to_owned())
    }
}

/// An IO error of a deed on a path.
fn io(deed: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> DiskError {
    let path = path.into();
    move |source| DiskError::Io { deed, path, source }
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
