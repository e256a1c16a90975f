//! Directories for work in progress. Each is locked by its owner; one whose lock nobody holds is the dead's, and swept.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

/// What their names begin with.
const PREFIX: &str = ".scratch-";

/// The lock of a directory itself. Who makes something in it that is not locked yet holds it shared; who lists what is in
/// it, to look for the dead, has it alone: so that nobody takes what is about to be locked for dead.
pub(crate) fn births(parent: &Path, operation: FlockOperation) -> io::Result<File> {
    let directory = File::open(parent)?;
    rustix::io::retry_on_intr(|| rustix::fs::flock(&directory, operation))?;
    Ok(directory)
}

/// The paths of all that is in a directory and was not made just now.
pub(crate) fn born(parent: &Path) -> Vec<PathBuf> {
    let _births = births(parent, FlockOperation::LockExclusive);
    std::fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// A directory that goes with its handle.
#[derive(Debug)]
pub(crate) struct Scratch {
    directory: tempfile::TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes one inside `parent`.
    pub(crate) fn new(parent: &Path) -> io::Result<Self> {
        let _birth = births(parent, FlockOperation::LockShared)?;
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let lock = File::create(directory.path().join("lock"))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { directory, _lock: lock })
    }

    /// A path in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// Removes what the dead left in `parent`. Answers how many.
pub(crate) fn sweep(parent: &Path) -> usize {
    let name = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
    let ours = born(parent).into_iter().filter(name);
    ours.filter(|path| is_dead(path) && std::fs::remove_dir_all(path).is_ok()).count()
}

fn is_dead(path: &Path) -> bool {
    match File::open(path.join("lock")) {
        Ok(lock) => rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok(),
        // Its owner died before it made the lock, or while it removed it.
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dead_are_swept_and_the_living_are_not() {
        let parent = tempfile::tempdir().unwrap();
        let living = Scratch::new(parent.path()).unwrap();
        let dead = parent.path().join(format!("{PREFIX}dead"));
        std::fs::create_dir(&dead).unwrap();
        std::fs::write(dead.join("lock"), b"").unwrap();
        assert_eq!(sweep(parent.path()), 1);
        assert!(living.join("lock").exists() && !dead.exists());
    }
}
