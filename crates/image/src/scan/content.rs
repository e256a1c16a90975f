//! The content of one file while it is looked at: small in memory, large in a file that has no name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::sync::atomic::{AtomicU64, Ordering};

use till_core::inventory::Content;

use crate::error::{ImageError, failed};
use crate::store::Store;

/// Beyond this, content goes to the disk: memory stays small, however large the files of an image are.
const IN_MEMORY: u64 = 8 << 20;

/// Content that can be read here and there.
pub(super) enum Held<'a> {
    Memory(&'a [u8]),
    Disk(File, u64),
}

impl Content for Held<'_> {
    fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Disk(_, size) => *size,
        }
    }

    fn fill(&self, at: u64, into: &mut [u8]) -> bool {
        match self {
            Self::Memory(bytes) => bytes.fill(at, into),
            Self::Disk(file, _) => file.read_exact_at(into, at).is_ok(),
        }
    }
}

/// Takes the content of a file that has `size` bytes, of which `buffer` has the first already.
pub(super) fn hold<'a>(
    store: &Store,
    from: &mut dyn Read,
    size: u64,
    buffer: &'a mut Vec<u8>,
) -> Result<Held<'a>, HoldError> {
    if size <= IN_MEMORY {
        from.read_to_end(buffer).map_err(HoldError::Archive)?;
        return Ok(Held::Memory(buffer));
    }
    let mut file = unnamed(store).map_err(HoldError::Disk)?;
    let full = |source| HoldError::Disk(failed("write", store.staging())(source));
    file.write_all(buffer).map_err(full)?;
    let mut piece = vec![0; 1 << 20];
    loop {
        let count = from.read(&mut piece).map_err(HoldError::Archive)?;
        if count == 0 {
            return Ok(Held::Disk(file, size));
        }
        file.write_all(&piece[..count]).map_err(full)?;
    }
}

/// Why content could not be taken: the archive's doing, or the disk's.
pub(crate) enum HoldError {
    Archive(io::Error),
    Disk(ImageError),
}

/// A file that is gone with its handle.
fn unnamed(store: &Store) -> Result<File, ImageError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("scan-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = store.staging().join(name);
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
    let file = file.map_err(failed("make", &path))?;
    // A sweep may have been quicker.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
        _ => Ok(file),
    }
}
