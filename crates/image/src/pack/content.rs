//! What one file of the tree says: its bytes, its extended attributes, its times.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{SeekFrom, Stat, Timespec, Timestamps, UTIME_OMIT, seek};
use rustix::io::{Errno, pread, read};

use super::Chunks;
use crate::archive::Attributes;
use crate::ids::IdShift;

/// The kernel's limit of a list of names and of a value (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const MAX_ATTRIBUTE: usize = 64 << 10;

/// Of a file's capabilities, revision 3: 24 bytes, the last four of which are the id outside of the owning namespace's root.
const CAPABILITY_3: u32 = 0x0300_0000;
const CAPABILITY_2: u32 = 0x0200_0000;
const REVISION: u32 = 0xff00_0000;

/// Why a file cannot be kept, or the kernel's word.
pub(super) enum Trouble {
    Unfit(String),
    Io(std::io::Error),
}

impl<E: Into<std::io::Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Io(error.into())
    }
}

/// Reads attributes, with buffers for it.
pub(crate) struct AttributeReader {
    names: Vec<u8>,
    value: Vec<u8>,
}

/// What a file's attributes say.
#[derive(Default)]
pub(super) struct Found {
    pub(super) kept: Attributes,
    pub(super) opaque: bool,
}

impl AttributeReader {
    pub(crate) fn new() -> Self {
        Self { names: vec![0; MAX_ATTRIBUTE], value: vec![0; MAX_ATTRIBUTE] }
    }

    /// The attributes that a layer keeps (sorted), or why they cannot be kept.
    pub(crate) fn kept(&mut self, file: impl AsFd, ids: &IdShift) -> Result<Attributes, String> {
        self.read(file, ids).map(|found| found.kept).map_err(|trouble| match trouble {
            Trouble::Unfit(why) => why,
            Trouble::Io(error) => error.to_string(),
        })
    }

    /// The attributes that a layer keeps (sorted), and whether overlayfs calls the directory opaque.
    pub(super) fn read(&mut self, file: impl AsFd, ids: &IdShift) -> Result<Found, Trouble> {
        let mut found = Found::default();
        let length = match rustix::fs::flistxattr(&file, &mut self.names[..]) {
            Err(Errno::NOTSUP) => 0,
            other => other?,
        };
        for name in self.names[..length].split(|byte| *byte == 0) {
            match name {
                b"trusted.overlay.opaque" => {
                    let size = rustix::fs::fgetxattr(&file, name, &mut self.value[..])?;
                    found.opaque = self.value[..size] == *b"y";
                }
                b"trusted.overlay.redirect" | b"trusted.overlay.metacopy" => {
                    return Err(Trouble::Unfit(
                        "its content is elsewhere (the overlay was mounted with redirect_dir or metacopy)".to_owned(),
                    ));
                }
                b"security.capability" => {
                    let size = rustix::fs::fgetxattr(&file, name, &mut self.value[..])?;
                    let value = inside_capability(&self.value[..size], ids)?;
                    found.kept.push((name.to_vec(), value));
                }
                name if name.starts_with(b"user.") => {
                    if name.contains(&b'=') {
                        return Err(Trouble::Unfit("the name of an extended attribute has a `=`".to_owned()));
                    }
                    let size = rustix::fs::fgetxattr(&file, name, &mut self.value[..])?;
                    found.kept.push((name.to_vec(), self.value[..size].to_vec()));
                }
                _ => {}
            }
        }
        found.kept.sort();
        Ok(found)
    }
}

/// A file's capabilities as the instance sees them: without an owning namespace where that is its own.
fn inside_capability(value: &[u8], ids: &IdShift) -> Result<Vec<u8>, Trouble> {
    let word = |at: usize| -> Option<u32> { Some(u32::from_le_bytes(value.get(at..at + 4)?.try_into().ok()?)) };
    let (Some(magic), Some(root)) = (word(0), word(20)) else {
        return Ok(value.to_vec());
    };
    if magic & REVISION != CAPABILITY_3 {
        return Ok(value.to_vec());
    }
    let root = ids
        .inside(root)
        .map_err(|_| Trouble::Unfit(format!("its capabilities belong to {root}, no id of the instance")))?;
    let mut value = value.to_vec();
    if root == 0 {
        let magic = (magic & !REVISION) | CAPABILITY_2;
        value[..4].copy_from_slice(&magic.to_le_bytes());
        value.truncate(20);
    } else {
        value[20..24].copy_from_slice(&root.to_le_bytes());
    }
    Ok(value)
}

/// A file's capabilities as they lie on disk: owned by the instance's namespace.
pub(crate) fn outside_capability(value: &[u8], ids: &IdShift) -> Option<Vec<u8>> {
    let magic = u32::from_le_bytes(value.get(..4)?.try_into().ok()?);
    let (inside, length) = match magic & REVISION {
        CAPABILITY_2 => (0, 20),
        CAPABILITY_3 => (u32::from_le_bytes(value.get(20..24)?.try_into().ok()?), 24),
        _ => return None,
    };
    let root = ids.outside(inside).ok()?;
    if value.len() != length {
        return None;
    }
    if root == 0 {
        return Some(value.to_vec());
    }
    let mut out = value[..20].to_vec();
    out[..4].copy_from_slice(&((magic & !REVISION) | CAPABILITY_3).to_le_bytes());
    out.extend_from_slice(&root.to_le_bytes());
    Some(out)
}

/// Appends a file's content. Its holes are not read.
pub(super) fn put_content(file: BorrowedFd<'_>, stat: &Stat, chunks: &mut Chunks) -> Result<(), Trouble> {
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    if u64::try_from(stat.st_blocks).unwrap_or(0) * 512 < size {
        return put_sparse(file, size, chunks);
    }
    let mut left = size;
    while left > 0 {
        let room = chunks.room()?;
        let wanted = room.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = read(file, &mut room[..wanted])?;
        left -= some(count)?;
        chunks.filled(count);
    }
    Ok(())
}

fn put_sparse(file: BorrowedFd<'_>, size: u64, chunks: &mut Chunks) -> Result<(), Trouble> {
    let mut at = 0;
    while at < size {
        let data = match seek(file, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => size,
            other => other?.min(size),
        };
        chunks.zeros(data - at)?;
        at = data;
        if at == size {
            break;
        }
        let hole = seek(file, SeekFrom::Hole(at))?.min(size);
        while at < hole {
            let room = chunks.room()?;
            let wanted = room.len().min(usize::try_from(hole - at).unwrap_or(usize::MAX));
            let count = pread(file, &mut room[..wanted], at)?;
            at += some(count)?;
            chunks.filled(count);
        }
    }
    Ok(())
}

fn some(count: usize) -> Result<u64, Trouble> {
    match count {
        0 => Err(Trouble::Unfit("it became shorter while it was read".to_owned())),
        count => Ok(count as u64),
    }
}

/// Times for `utimensat`: modified at that second; the access time stays.
pub(crate) fn modified(seconds: i64) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: 0 },
    }
}
