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

/// The lock of a directory itself, held for a moment only. Who makes something in it that is not locked yet has it shared;
/// who looks for the dead has it alone: so that nobody takes what is about to be locked for dead.
pub(crate) fn births(folder: &Path, sharing: Sharing) -> Result<Lock, Failure> {
    let failed = |error: std::io::Error| Failure::house(format!("cannot lock `{}`", folder.display()), error);
    let directory = File::open(folder).map_err(failed)?;
    let operation = match sharing {
        Sharing::Shared => FlockOperation::LockShared,
        Sharing::Alone => FlockOperation::LockExclusive,
    };
    rustix::io::retry_on_intr(|| rustix::fs::flock(&directory, operation)).map_err(|error| failed(error.into()))?;
    Ok(Lock(directory))
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

/// Whether nobody holds the lock; one that is not there is held by nobody.
pub(crate) fn is_free(folder: &Path, name: &str) -> bool {
    match File::open(folder.join(name)) {
        Ok(file) => rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
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
