//! Unpacked layers, shared by every instance that lies upon them.
//!
//! A tree is not synced to disk; its blob is. So trees count only within the boot that wrote them: after another boot they
//! are unpacked again, and verified by digest as they are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use till_core::port::Layer;
use till_core::{DiffId, Failure};
use till_image::{IdShift, Store};

use super::{ContainerError, io};
use crate::scratch::Scratch;

/// The folder of the trees that were written in this boot with these ids. Those of other boots are removed; nothing that
/// lives can be among them.
pub(super) fn folder(data: &Path, ids: IdShift) -> Result<PathBuf, ContainerError> {
    use std::os::unix::fs::DirBuilderExt;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let boot = boot.trim();
    let parent = data.join("layers");
    let folder = parent.join(format!("{boot}-{}", ids.first));
    if folder.exists() {
        return Ok(folder);
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.map_err(io("make", &folder))?;
    for entry in std::fs::read_dir(&parent).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(boot) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    Ok(folder)
}

/// Removes the trees of layers that are not to be kept. Answers how many.
pub(super) fn collect(folder: &Path, keep: &BTreeSet<DiffId>) -> Result<u64, ContainerError> {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("sha256:{}", entry.file_name().to_string_lossy());
        if let Ok(diff_id) = name.parse::<DiffId>()
            && !keep.contains(&diff_id)
        {
            std::fs::remove_dir_all(entry.path()).map_err(io("remove", entry.path()))?;
            count += 1;
        }
    }
    Ok(count)
}

/// Where the tree of a layer is, or will be.
pub(super) fn path(folder: &Path, diff_id: &DiffId) -> PathBuf {
    folder.join(diff_id.hex())
}

/// The tree of a layer; unpacked now if it is not there.
pub(super) fn ensure(data: &Path, store: &Store, layer: &Layer, ids: IdShift) -> Result<PathBuf, Failure> {
    let folder = folder(data, ids)?;
    let tree = path(&folder, &layer.diff_id);
    if tree.exists() {
        return Ok(tree);
    }
    let scratch = Scratch::new(&folder).map_err(io("make a directory in", &folder))?;
    let root = scratch.join("root");
    new_root(&root, ids)?;
    till_image::unpack_layer(store, layer, &root, ids)?;
    keep(&root, &tree)?;
    Ok(tree)
}

/// A directory that can be the root of an image: of root inside, 0755.
pub(super) fn new_root(path: &Path, ids: IdShift) -> Result<(), ContainerError> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir(path).map_err(io("make", path))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).map_err(io("set the mode of", path))?;
    std::os::unix::fs::chown(path, Some(ids.first), Some(ids.first)).map_err(io("give away", path))
}

/// Puts a finished tree in its place; another of the same content may have come first.
pub(super) fn keep(from: &Path, to: &Path) -> Result<(), ContainerError> {
    match std::fs::rename(from, to) {
        Err(_) if to.exists() => std::fs::remove_dir_all(from).map_err(io("remove", from)),
        result => result.map_err(io("put in place", to)),
    }
}
