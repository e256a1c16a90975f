//! Trees that strangers wrote: opened, listed and removed by directory descriptors, never by paths of the host.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, openat, openat2, readlinkat, renameat_with,
    unlinkat,
};
use rustix::io::{Errno, Result};

use crate::error::{ImageError, failed};

/// Deeper directories are moved up before they are removed, so that no depth exhausts stack or descriptors.
const MAX_HELD: usize = 32;

/// How often a path is resolved again while somebody renames in the tree (openat2 says so by `EAGAIN`).
const ATTEMPTS: usize = 64;

/// Opens the root of a tree.
pub(crate) fn open_tree(path: &Path) -> std::result::Result<OwnedFd, ImageError> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(failed("open directory", path))
}

/// Opens a path as if `root` were `/`: links and `..` end there.
pub(crate) fn open_inside(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mut result = Err(Errno::AGAIN);
    for _ in 0..ATTEMPTS {
        result = openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
        if !matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
            break;
        }
    }
    result
}

/// Opens a directory inside, to look things up in it.
pub(crate) fn open_dir_inside(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    open_inside(root, path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// As many symlinks as the kernel follows in one path.
const MAX_LINKS: usize = 40;

/// Where a path leads in a tree when the symlinks on its way are followed, its last part too: also where it leads to what
/// is not there, which no system call tells. Relative to the root, without `.` and `..`. Whoever opens it does so inside
/// of the root: what was a directory then may be a link now.
pub fn followed(root: &Path, path: &str) -> Result<String> {
    let root = rustix::fs::open(root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let split = |path: &str| path.split('/').rev().map(str::to_owned).collect::<Vec<_>>();
    let mut ahead = split(path);
    let mut walked: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(part) = ahead.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                walked.pop();
                continue;
            }
            _ => {}
        }
        let target = open_dir_inside(root.as_fd(), walked.join("/").as_bytes())
            .and_then(|dir| readlinkat(&dir, part.as_str(), Vec::new()));
        let Ok(target) = target else {
            walked.push(part);
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno::LOOP);
        }
        let target = target.into_string().map_err(|_| Errno::ILSEQ)?;
        if target.starts_with('/') {
            walked.clear();
        }
        ahead.extend(split(&target));
    }
    Ok(walked.join("/"))
}

/// Opens a directory that is an entry of another one; links are not followed.
pub(crate) fn open_dir(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    openat(parent, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Calls `found` for each entry of a directory but `.` and `..`, in no order.
pub(crate) fn each_entry(dir: impl AsFd, mut found: impl FnMut(&CStr, FileType)) -> Result<()> {
    let mut buffer = [MaybeUninit::uninit(); 32 << 10];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            found(name, entry.file_type());
        }
    }
    Ok(())
}

/// Removes an entry of a directory, whatever it is, with all that is in it. Nothing is followed.
pub(crate) fn remove_entry(parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        other => return other,
    }
    let top = open_dir(parent, name)?;
    loop {
        empty_directory(top.as_fd(), top.as_fd(), 0)?;
        match unlinkat(parent, name, AtFlags::REMOVEDIR) {
            // What lay too deep has been moved up to here; each round has less of it.
            Err(Errno::NOTEMPTY) => {}
            other => return other,
        }
    }
}

fn empty_directory(top: BorrowedFd<'_>, dir: BorrowedFd<'_>, depth: usize) -> Result<()> {
    let mut names = Vec::new();
    rustix::fs::seek(dir, rustix::fs::SeekFrom::Start(0))?;
    each_entry(dir, |name, kind| names.push((name.to_owned(), kind)))?;
    for (number, (name, kind)) in names.iter().enumerate() {
        if *kind != FileType::Directory {
            match unlinkat(dir, name, AtFlags::empty()) {
                Err(Errno::ISDIR) => {}
                other => {
                    other?;
                    continue;
                }
            }
        }
        match unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY) => {}
            other => {
                other?;
                continue;
            }
        }
        if depth < MAX_HELD {
            let child = open_dir(dir, name.to_bytes())?;
            empty_directory(top, child.as_fd(), depth + 1)?;
            unlinkat(dir, name, AtFlags::REMOVEDIR)?;
        } else {
            move_up(top, dir, name, number)?;
        }
    }
    Ok(())
}

fn move_up(top: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &CStr, number: usize) -> Result<()> {
    for attempt in number.. {
        let free = format!(".till-removed-{attempt}");
        match renameat_with(dir, name, top, free.as_str(), RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            other => return other,
        }
    }
    Ok(())
}
