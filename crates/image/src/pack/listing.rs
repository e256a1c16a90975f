//! What is in one directory, in the order in which it is written.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, statat};
use rustix::io::Errno;

use crate::tree::each_entry;

/// One directory's names, in one piece of memory: there may be a million of them.
#[derive(Default)]
pub(super) struct Listing {
    names: Vec<u8>,
    items: Vec<Item>,
}

#[derive(Clone, Copy)]
struct Item {
    at: usize,
    length: usize,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A whiteout, or nothing that is kept. First in its directory, as the image spec would have it.
    Device,
    Entry(FileType),
    /// What is in a directory: it belongs where the path with a `/` does.
    Content,
}

/// Lists a directory.
pub(super) fn list(dir: BorrowedFd<'_>) -> Result<Listing, Errno> {
    let mut listing = Listing::default();
    let mut unknown = Ok(());
    each_entry(dir, |name, kind| {
        let name = name.to_bytes();
        match known_kind(dir, name, kind) {
            Ok(kind) => listing.push(name, kind),
            Err(error) => unknown = Err(error),
        }
    })?;
    unknown?;
    let Listing { names, items } = &mut listing;
    items.sort_unstable_by(|a, b| {
        let key = |item: &Item| (item.what != What::Device, &names[item.at..item.at + item.length]);
        key(a).cmp(&key(b))
    });
    Ok(listing)
}

/// Some file systems do not say in a listing what an entry is.
fn known_kind(dir: BorrowedFd<'_>, name: &[u8], kind: FileType) -> Result<FileType, Errno> {
    if kind != FileType::Unknown {
        return Ok(kind);
    }
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

impl Listing {
    /// Names (a directory's content with a `/` after it) and what they are.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], What)> {
        self.items.iter().map(|item| (&self.names[item.at..item.at + item.length], item.what))
    }

    fn push(&mut self, name: &[u8], kind: FileType) {
        let at = self.names.len();
        let length = name.len();
        self.names.extend_from_slice(name);
        let what = match kind {
            FileType::CharacterDevice => What::Device,
            kind => What::Entry(kind),
        };
        self.items.push(Item { at, length, what });
        if kind == FileType::Directory {
            self.names.push(b'/');
            let (length, what) = (length + 1, What::Content);
            self.items.push(Item { at, length, what });
        }
    }
}
