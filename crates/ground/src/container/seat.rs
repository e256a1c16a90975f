//! The folder of an instance: its lock, its upper directory, its bundle. Who holds the lock owns it; when the owner dies
//! the kernel lets go, and the sweep finds it.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use till_core::id::InstanceId;
use till_core::port::Layer;

use super::overlay::Overlay;
use super::{ContainerError, House, io, trees};
use crate::scratch::births;

/// A folder that we own.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    lock: File,
}

pub(super) fn instances(data: &Path) -> PathBuf {
    data.join("instances")
}

impl Folder {
    /// Makes the folder of a new instance; it is locked before it can be seen under its name.
    pub(super) fn create(house: &House, id: &InstanceId) -> Result<Self, ContainerError> {
        let parent = instances(&house.config.data);
        std::fs::create_dir_all(&parent).map_err(io("make", &parent))?;
        let _birth = births(&parent, FlockOperation::LockShared).map_err(io("lock", &parent))?;
        let hidden = parent.join(format!(".new-{id}"));
        let path = parent.join(id.as_str());
        std::fs::create_dir(&hidden).map_err(io("make", &hidden))?;
        let lock = File::create(hidden.join("lock")).map_err(io("make", hidden.join("lock")))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| io("lock", &hidden)(error.into()))?;
        for name in ["work", "bundle"] {
            std::fs::create_dir(hidden.join(name)).map_err(io("make", hidden.join(name)))?;
        }
        trees::new_root(&hidden.join("upper"), house.config.ids())?;
        std::fs::rename(&hidden, &path).map_err(io("make", &path))?;
        Ok(Self { path, lock })
    }

    /// Hands the folder on, still locked, to a process that is started with this as its standard input.
    pub(super) fn into_stdio(self) -> std::process::Stdio {
        self.lock.into()
    }

    /// The folder that our standard input is the lock of.
    pub(super) fn inherited(path: &Path) -> Result<Option<Self>, ContainerError> {
        use std::os::fd::AsFd;
        let stdin = std::io::stdin().as_fd().try_clone_to_owned().map_err(io("take the lock of", path))?;
        Self::locked(path, File::from(stdin))
    }

    fn locked(path: &Path, lock: File) -> Result<Option<Self>, ContainerError> {
        let taken = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive);
        Ok(taken.ok().map(|()| Self { path: path.to_owned(), lock }))
    }

    /// Takes over a folder whose owner let go of it, or is dead.
    pub(super) fn adopt(path: &Path) -> Result<Option<Self>, ContainerError> {
        let lock = match File::open(path.join("lock")) {
            Ok(lock) => lock,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("open the lock of", path)(error)),
        };
        Self::locked(path, lock)
    }

    pub(super) fn upper(&self) -> PathBuf {
        self.path.join("upper")
    }

    pub(super) fn bundle(&self) -> PathBuf {
        self.path.join("bundle")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    /// Mounts the overlay, with a work directory that no mount has used.
    pub(super) fn mount(&self, name: &str, lower: &[PathBuf]) -> Result<Overlay, ContainerError> {
        self.mount_at(name, lower, &self.upper(), "work")
    }

    /// The same with another upper directory.
    pub(super) fn mount_at(
        &self,
        name: &str,
        lower: &[PathBuf],
        upper: &Path,
        work: &str,
    ) -> Result<Overlay, ContainerError> {
        let work = self.path.join(work);
        if work.exists() {
            std::fs::remove_dir_all(&work).map_err(io("clear", &work))?;
        }
        std::fs::create_dir(&work).map_err(io("make", &work))?;
        Overlay::mount(name, lower, upper, &work)
    }
}

/// The trees of an image, the topmost first, as overlayfs wants them. Unpacks what is not there.
pub(super) fn lower(house: &House, layers: &[Layer]) -> Result<Vec<PathBuf>, till_core::Failure> {
    let ensure = |layer| trees::ensure(&house.config.data, &house.store, layer, house.config.ids());
    Ok(each_once(layers.iter().rev().map(ensure).collect::<Result<_, _>>()?))
}

/// Without what occurs again further down: overlayfs refuses to have a directory twice, and an image may have a layer as
/// often as it likes. The topmost decides: it has every file that the lower one has, and removes what that removes.
fn each_once(mut trees: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    trees.retain(|tree| seen.insert(tree.clone()));
    trees
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_an_image_has_twice_is_mounted_once_where_it_is_topmost() {
        let of = |names: &str| names.chars().map(|name| PathBuf::from(name.to_string())).collect::<Vec<_>>();
        for (all, once) in [("", ""), ("abc", "abc"), ("aaa", "a"), ("abacb", "abc")] {
            assert_eq!(each_once(of(all)), of(once), "{all}");
        }
    }
}
