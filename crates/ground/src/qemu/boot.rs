//! What a machine starts from without a disk: a kernel, and the modules that it needs to see a tree of ours.
//!
//! ```text
//! DATA/kernels/<digest>/   of the kernel's package, kept until `gc`
//!   vmlinuz
//!   modules                an initramfs without a first process: the list, and the modules
//! ```

use std::path::{Path, PathBuf};

use till_core::Failure;
use till_image::{Initramfs, initramfs};

use super::kernel::{self, Kernel};
use super::{Machines, io};
use crate::scratch::Scratch;

/// What a step needs: the ports, the tree, the network.
const WANTED: [&str; 5] = ["virtio_pci", "virtio_console", "virtio_rng", "virtiofs", "virtio_net"];

/// A kernel, and modules for it.
#[derive(Debug, Clone)]
pub(super) struct Boot {
    pub(super) vmlinuz: PathBuf,
    pub(super) modules: PathBuf,
}

impl Boot {
    fn at(folder: &Path) -> Self {
        Self { vmlinuz: folder.join("vmlinuz"), modules: folder.join("modules") }
    }
}

/// Of a package, which is unpacked once.
pub(super) async fn of_package(package: &Path, kept: &Path) -> Result<Boot, Failure> {
    let folder = kept.join(package.file_name().unwrap_or_default());
    if folder.exists() {
        return Ok(Boot::at(&folder));
    }
    std::fs::create_dir_all(kept).map_err(io("make", kept))?;
    let scratch = Scratch::new(kept).map_err(io("make a directory in", kept))?;
    let work = scratch.join("work");
    std::fs::create_dir(&work).map_err(io("make", &work))?;
    let kernel = kernel::of_package(package, &work).await?;
    let made = scratch.join("made");
    super::blocking("cannot keep the kernel", move || {
        std::fs::create_dir(&made).map_err(io("make", &made))?;
        write(&kernel, &Boot::at(&made), &WANTED)?;
        match std::fs::rename(&made, &folder) {
            // Somebody else was quicker.
            Err(_) if folder.exists() => {}
            other => other.map_err(io("keep", &folder))?,
        }
        drop(scratch);
        Ok(Boot::at(&folder))
    })
    .await
}

/// Of a package, with other modules, into `folder`.
pub(super) async fn with_modules(package: &Path, wanted: &'static [&str], folder: &Path) -> Result<Boot, Failure> {
    let work = folder.join("unpacked");
    std::fs::create_dir(&work).map_err(io("make", &work))?;
    let kernel = kernel::of_package(package, &work).await?;
    let boot = Boot::at(folder);
    super::blocking("cannot read the kernel", move || {
        write(&kernel, &boot, wanted)?;
        Ok(boot)
    })
    .await
}

/// Of the kernel that a tree has, into `folder`.
pub(super) async fn of_tree(tree: &Path, folder: &Path) -> Result<Boot, Failure> {
    let (tree, boot) = (tree.to_owned(), Boot::at(folder));
    super::blocking("cannot read the kernel", move || {
        write(&kernel::of_tree(&tree)?, &boot, &WANTED)?;
        Ok(boot)
    })
    .await
}

impl Machines {
    /// Writes what a kernel is started with: its modules, our program, and these files. One archive after the other, as kernels
    /// take them.
    pub(super) fn write_initrd(&self, boot: &Boot, files: Vec<(String, Vec<u8>)>, into: &Path) -> Result<(), Failure> {
        let mut bytes = std::fs::read(&boot.modules).map_err(io("read", &boot.modules))?;
        bytes.extend(initramfs(&Initramfs { init: Some(self.guest.to_vec()), files }));
        Ok(std::fs::write(into, bytes).map_err(io("write", into))?)
    }
}

fn write(kernel: &Kernel, boot: &Boot, wanted: &[&str]) -> Result<(), Failure> {
    let (vmlinuz, files) = (kernel.image()?, kernel.modules(wanted)?);
    std::fs::write(&boot.vmlinuz, vmlinuz).map_err(io("write", &boot.vmlinuz))?;
    let bytes = initramfs(&Initramfs { init: None, files });
    Ok(std::fs::write(&boot.modules, bytes).map_err(io("write", &boot.modules))?)
}
