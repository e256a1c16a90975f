//! A file system for one run: an image of ext4, made anew, mounted from a file below `target/bench`.
//!
//! On one that has been in use for long, what others deleted a moment ago decides how long fifty thousand new files take:
//! with `discard` it has been twenty times as long. Here everybody finds the same, and nothing has to be deleted.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::tools;

/// The file is sparse: what is not written takes no place.
const BYTES: u64 = 48 << 30;

/// Mounted; unmounted with its handle, by which it is gone.
#[derive(Debug)]
pub(super) struct Disk {
    image: PathBuf,
    pub(super) place: PathBuf,
}

impl Disk {
    pub(super) fn mount(folder: &Path) -> Result<Self> {
        let disk = Self { image: folder.join("disk.ext4"), place: folder.join("disk") };
        // One that could not be mounted is still there.
        disk.remove();
        fs::create_dir_all(&disk.place)?;
        File::create(&disk.image).and_then(|file| file.set_len(BYTES)).context("cannot make an image of a disk")?;
        let mut make = tools::command("mkfs.ext4");
        make.args(["-q", "-F", "-E", "nodiscard,lazy_itable_init=0"]).arg(&disk.image);
        tools::run(make)?;
        let mut mount = tools::command("mount");
        mount.args(["-o", "loop,nodiscard"]).arg(&disk.image).arg(&disk.place);
        tools::run(mount)?;
        // It has no name from now on, so that its place is free when it is unmounted, however that comes about.
        fs::remove_file(&disk.image).context("cannot take the name from an image of a disk")?;
        Ok(disk)
    }

    fn remove(&self) {
        let mut unmount = tools::command("umount");
        // A process that ends a little later does not keep it.
        unmount.arg("--lazy").arg(&self.place);
        tools::works(unmount);
        let _ = fs::remove_file(&self.image);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.remove();
    }
}
