//! The kernel of a disk: from its package or from the tree, its modules, the initramfs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use till_core::Failure;
use till_guest::MODULES;
use till_image::{Initramfs, initramfs};

use super::{MachineError, io};
use crate::process;

/// The largest kernel or module.
const MAX_FILE: u64 = 256 << 20;

/// What a machine needs to find its disk, its network and its buttons, before anything of the image runs; each with those that
/// it needs. What a kernel has built in is not among its modules.
const WANTED: [&str; 19] = [
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "virtio_net",
    "virtio_console",
    "virtio_rng",
    "nvme",
    "sd_mod",
    "ahci",
    "ata_piix",
    "ext4",
    "crc32c_generic",
    "button",
    "evdev",
    "xen_blkfront",
    "xen_netfront",
    "hv_storvsc",
    "hv_netvsc",
    "e1000",
];

/// A kernel with its modules, in a tree: the package's own, or the image's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kernel {
    /// As `uname -r` says it.
    pub(super) release: String,
    /// Where it lies.
    tree: PathBuf,
    /// Below that: `/lib/modules`, or `/usr/lib/modules`.
    modules: String,
}

/// The kernel of a package, unpacked into `work`.
pub(super) async fn of_package(package: &Path, work: &Path) -> Result<Kernel, Failure> {
    let tree = work.join("kernel");
    std::fs::create_dir(&tree).map_err(io("make", &tree))?;
    let (from, into) = (package.to_owned(), tree.clone());
    let kernel = super::blocking("cannot unpack the kernel", move || {
        till_image::extract(&from, &into)?;
        let found = releases(&into)?;
        let [release] = found.as_slice() else {
            return Err(MachineError::NotAKernel(from.display().to_string()).into());
        };
        let modules = ["/usr/lib/modules", "/lib/modules"]
            .into_iter()
            .find(|folder| into.join(folder.trim_start_matches('/')).join(release).is_dir());
        Ok(Kernel { release: release.clone(), tree: into, modules: modules.unwrap_or("/lib/modules").to_owned() })
    })
    .await?;
    let mut depmod = process::command("depmod");
    let prefix = kernel.modules.trim_end_matches("/lib/modules");
    depmod.arg("-b").arg(kernel.tree.join(prefix.trim_start_matches('/'))).arg(&kernel.release);
    process::output(depmod).await?;
    Ok(kernel)
}

/// The kernel that a tree has by its own packages.
pub(super) fn of_tree(tree: &Path) -> Result<Kernel, Failure> {
    let found = releases(tree)?;
    match found.as_slice() {
        [] => Err(MachineError::NoKernel.into()),
        [release] => Ok(Kernel { release: release.clone(), tree: tree.to_owned(), modules: "/lib/modules".to_owned() }),
        many => Err(MachineError::Kernels(many.len(), many.join(", ")).into()),
    }
}

/// The kernels in the `/boot` of a tree.
pub(super) fn releases(tree: &Path) -> Result<Vec<String>, Failure> {
    let found = till_image::find_matching(tree, "/boot/vmlinuz-*")?;
    Ok(found.iter().filter_map(|path| path.strip_prefix("/boot/vmlinuz-").map(str::to_owned)).collect())
}

impl Kernel {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        Ok(till_image::read_file(&self.tree, path, MAX_FILE)?)
    }

    /// What the kernel of a disk starts from: our program, and the modules that it loads first.
    pub(super) fn initramfs(&self, guest: &[u8]) -> Result<Vec<u8>, Failure> {
        Ok(initramfs(&Initramfs { init: Some(guest.to_vec()), files: self.modules(&WANTED)? }))
    }

    /// The kernel itself.
    pub(super) fn image(&self) -> Result<Vec<u8>, Failure> {
        let path = format!("/boot/vmlinuz-{}", self.release);
        Ok(self.read(&path)?.ok_or(MachineError::NoKernel)?)
    }

    /// Of these modules those that there are, with all that they need, and the list of them.
    pub(super) fn modules(&self, wanted: &[&str]) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        let folder = format!("{}/{}", self.modules, self.release);
        let text = self.read(&format!("{folder}/modules.dep"))?.unwrap_or_default();
        let order = order(&String::from_utf8_lossy(&text), wanted);
        let mut files = Vec::new();
        let mut list = String::new();
        for path in order {
            let path = format!("{folder}/{path}");
            if let Some(bytes) = self.read(&path)? {
                list.push_str(&format!("{path}\n"));
                files.push((path, bytes));
            }
        }
        files.push((MODULES.to_owned(), list.into_bytes()));
        Ok(files)
    }

    /// Moves the package's files into a tree; those of the tree itself are there.
    pub(super) fn move_into(&self, tree: &Path) -> Result<(), Failure> {
        if self.tree == tree {
            return Ok(());
        }
        let place = |path: &str| -> Result<PathBuf, Failure> {
            let inside = till_image::followed(tree, path).map_err(|error| io("find", path)(error.into()))?;
            let place = tree.join(inside);
            std::fs::create_dir_all(&place).map_err(io("make", &place))?;
            Ok(place)
        };
        let modules = place("lib/modules")?.join(&self.release);
        let from = self.tree.join(self.modules.trim_start_matches('/')).join(&self.release);
        // The image may have a kernel of the same release, of its own packages.
        till_image::remove_matching(tree, &format!("/lib/modules/{}", self.release))?;
        std::fs::rename(&from, &modules).map_err(io("move", &from))?;
        let boot = place("boot")?;
        for name in ["vmlinuz", "config", "System.map"] {
            let name = format!("{name}-{}", self.release);
            let from = self.tree.join("boot").join(&name);
            match std::fs::rename(&from, boot.join(&name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io("move", &from)(error).into());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The files of modules in the order in which they are loaded, by what `modules.dep` says (depmod(8)): each line a module, a
/// colon, and those that it needs, the last of which comes first.
fn order(text: &str, wanted: &[&str]) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let by_name: BTreeMap<String, (&str, &str)> = lines.map(|(path, needs)| (name(path), (path, needs))).collect();
    let mut order: Vec<String> = Vec::new();
    for wanted in wanted {
        let Some((path, needs)) = by_name.get(*wanted) else { continue };
        for path in needs.split_whitespace().rev().chain([*path]) {
            if !order.iter().any(|there| there == path) {
                order.push(path.to_owned());
            }
        }
    }
    order
}

/// A module's name: files have `-` where names have `_`.
fn name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_come_after_those_that_they_need() {
        let text = "kernel/virtio.ko:\nkernel/virtio_ring.ko: kernel/virtio.ko\n\
                    kernel/virtio_pci.ko.xz: kernel/virtio_ring.ko kernel/virtio.ko\nkernel/virtio-rng.ko: kernel/virtio.ko\n";
        let expected = ["kernel/virtio.ko", "kernel/virtio_ring.ko", "kernel/virtio_pci.ko.xz", "kernel/virtio-rng.ko"];
        assert_eq!(order(text, &["virtio_pci", "none", "virtio_rng"]), expected);
    }
}
