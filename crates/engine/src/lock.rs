//! Who may do what at the same time. Locks are flock(2) on files: the kernel lets go of a dead owner's.

use std::fs::File;
use std::path::Path;

use rustix::fs::FlockOperation;
use till_core::Failure;

/// A lock that is held; let go when dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    Shared,
    Alone,
}

fn open(folder: &Path, name: &str) -> Result<File, Failure> {
    let path = folder.join(name);
    let file = File::options().create(true).write(true).truncate(false).open(&path);
    file.map_err(|error| Failure::house(format!("cannot open the lock `{}`", path.display()), error))
}

/// How often a lock that is taken is asked for again.
const INTERVAL: std::time::Duration = std::time::Duration::from_millis(20);

/// Takes the lock if nobody stands against it.
pub(crate) fn try_take(folder: &Path, name: &str, sharing: Sharing) -> Result<Option<Lock>, Failure> {
    let file = open(folder, name)?;
    let operation = match sharing {
        Sharing::Shared => FlockOperation::NonBlockingLockShared,
        Sharing::Alone => FlockOperation::NonBlockingLockExclusive,
    };
    Ok(rustix::fs::flock(&file, operation).ok().map(|()| Lock(file)))
}

/// Takes the lock; says so before it has to wait.
pub(crate) async fn take(folder: &Path, name: &str, sharing: Sharing, waiting: impl FnOnce()) -> Result<Lock, Failure> {
    if let Some(lock) = try_take(folder, name, sharing)? {
        return Ok(lock);
    }
    waiting();
    // Asked again and again, not waited for in a thread: who is interrupted meanwhile must be able to leave.
    loop {
        tokio::time::sleep(INTERVAL).await;
        if let Some(lock) = try_take(folder, name, sharing)? {
            return Ok(lock);
        }
    }
}
