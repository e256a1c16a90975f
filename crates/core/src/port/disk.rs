//! Port: disks that boot, made of trees.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::digest::Digest;
use crate::fault::Failure;
use crate::model::Launch;
use crate::plan::Bytes;

/// What becomes a disk. Equal orders give equal bytes.
#[derive(Debug, Clone)]
pub struct DiskOrder {
    /// The whole tree as a tar archive, owners as they are inside.
    pub tree: PathBuf,
    /// The kernel's package; none: the tree has one.
    pub kernel: Option<PathBuf>,
    /// What the machine runs.
    pub launch: Launch,
    /// What the machine calls itself.
    pub hostname: String,
    /// Of the disk; none: what the tree needs, and some room.
    pub size: Option<Bytes>,
    /// What its names are derived from.
    pub seed: Digest,
    /// Seconds since 1970: when it was made.
    pub epoch: u32,
}

/// A disk that others made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignDisk {
    /// Where it is.
    pub path: PathBuf,
    /// Its format, as QEMU calls it, and as the user says.
    pub format: &'static str,
    /// The most bytes that its tree may take as an archive.
    pub limit: u64,
}

/// A disk that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeDisk {
    /// Its kernel, as `uname -r` says it.
    pub kernel: String,
    /// Of the disk, as its machine sees it.
    pub size: Bytes,
    /// Is its first process the image's systemd, and not ours?
    pub systemd: bool,
}

/// Makes disks.
#[async_trait]
pub trait DiskMaker: Send + Sync {
    /// What disks depend on beside their orders: who makes them otherwise says something else.
    fn edition(&self) -> Digest;

    /// Writes a disk to `into`, which is not there yet, as the bytes that a machine sees, with holes. `work` is an empty
    /// directory.
    async fn make(&self, order: &DiskOrder, work: &Path, into: &Path) -> Result<MadeDisk, Failure>;

    /// Writes the tree of the root file system of a disk that others made to `into`, as a tar archive of at most so many bytes.
    /// Nothing on it is executed, and it is not written to. `kernel` is the package of a kernel that reads it.
    async fn read(&self, disk: &ForeignDisk, kernel: &Path, work: &Path, into: &Path) -> Result<(), Failure>;

    /// Writes such a disk as a compressed qcow2 that needs no other file.
    async fn compress(&self, disk: &Path, into: &Path) -> Result<(), Failure>;

    /// Writes a disk of several files as one, in a format as QEMU calls it.
    async fn flatten(&self, chain: &[PathBuf], format: &str, into: &Path) -> Result<(), Failure>;
}
