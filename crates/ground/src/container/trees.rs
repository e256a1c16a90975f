//! Unpacked layers, shared by every instance that lies upon them.
//!
//! A tree is not synced to disk; its blob is. So trees count only within the boot that wrote them: after another boot they
//! are unpacked again, and verified by digest as they are.

use std::path::{Path, PathBuf};

use till_core::port::Layer;
use till_core::{DiffId, Failure};
use till_image::{IdShift, Store};

use super::{ContainerError, io};
use crate::scratch::Scratch;

/// The folder of trees, emptied when it was written in another boot.
pub(super) fn folder(data: &Path) -> Result<PathBuf, ContainerError> {
    let folder = data.join("layers");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let mark = folder.join("BOOT");
    if std::fs::read_to_string(&mark).unwrap_or_default() != boot {
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(io("clear", &folder))?;
        }
        std::fs::create_dir_all(&folder).map_err(io("make", &folder))?;
        std::fs::write(&mark, boot).map_err(io("write", &mark))?;
    }
    Ok(folder)
}

/// Where the tree of a layer is, or will be.
pub(super) fn path(folder: &Path, diff_id: &DiffId) -> PathBuf {
    folder.join(diff_id.hex())
}

/// The tree of a layer; unpacked now if it is not there.
pub(super) fn ensure(data: &Path, store: &Store, layer: &Layer, ids: IdShift) -> Result<PathBuf, Failure> {
    let folder = folder(data)?;
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
