//! Trees to another place. Moving is a rename; where the kernel refuses (another file system, or a directory that comes
//! from a lower layer of an overlay) each file is moved alone, and what cannot be moved is copied.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Gid, Mode, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::{DEPTH, Folder, Owner, too_deep};

/// Files with several names that were copied, and where: they stay one file. Paths are below the directory that is
/// copied into: each has links of its own.
#[derive(Debug, Default)]
pub(crate) struct Links(BTreeMap<(u64, u64), PathBuf>);

/// Moves a file or a tree into a directory, under its name; what is there already of a directory is joined.
pub(crate) fn bring(from: &Folder, name: &OsStr, to: &Folder, links: &mut Links) -> io::Result<()> {
    one(
        from,
        name,
        to,
        name,
        &mut Way { base: to, path: PathBuf::new(), links, owner: Owner::Kept, rename: Rename::First },
        0,
    )
}

/// Copies a file or a tree into a directory, under a name of its own, with modes and times; the copy is `owner`'s.
pub(crate) fn copy(
    from: &Folder,
    name: &OsStr,
    to: &Folder,
    named: &OsStr,
    owner: Owner,
    links: &mut Links,
) -> io::Result<()> {
    one(from, name, to, named, &mut Way { base: to, path: PathBuf::new(), links, owner, rename: Rename::Never }, 0)
}

struct Way<'a> {
    base: &'a Folder,
    /// Of the directory that is written into, below `base`.
    path: PathBuf,
    links: &'a mut Links,
    owner: Owner,
    rename: Rename,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rename {
    First,
    Never,
}

fn one(from: &Folder, name: &OsStr, to: &Folder, named: &OsStr, way: &mut Way<'_>, depth: u32) -> io::Result<()> {
    if depth > DEPTH {
        return Err(too_deep());
    }
    let stat = from.stat(name)?.ok_or(io::ErrorKind::NotFound)?;
    let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    if way.rename == Rename::First {
        match rustix::fs::renameat(from, name, to, named) {
            Ok(()) => return Ok(()),
            Err(Errno::XDEV) => {}
            // A mount: what is in it can be moved, it cannot.
            Err(Errno::BUSY) if is_folder => {}
            // A directory that is there already takes what is in this one.
            Err(Errno::NOTEMPTY | Errno::EXIST) if is_folder => {}
            Err(error) => return Err(error.into()),
        }
    }
    if !is_folder {
        copy_file(from, name, to, named, &stat, way)?;
        if way.rename == Rename::First {
            rustix::fs::unlinkat(from, name, AtFlags::empty())?;
        }
        return Ok(());
    }
    let source = from.enter(name)?.ok_or(io::ErrorKind::NotFound)?;
    let target = to.make(named)?;
    way.path.push(named);
    for name in source.names()? {
        one(&source, &name, &target, &name, way, depth + 1)?;
    }
    way.path.pop();
    if way.rename == Rename::First {
        match rustix::fs::unlinkat(from, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::BUSY) => {}
            Err(error) => return Err(error.into()),
        }
    }
    attributes(to, named, &stat, way.owner, Some(target.as_fd()))
}

fn copy_file(
    from: &Folder,
    name: &OsStr,
    to: &Folder,
    named: &OsStr,
    stat: &Stat,
    way: &mut Way<'_>,
) -> io::Result<()> {
    // Not by its count of names: those that were moved are gone from it.
    let id = (stat.st_dev, stat.st_ino);
    if let Some(copied) = way.links.0.get(&id) {
        return Ok(rustix::fs::linkat(way.base, copied, to, named, AtFlags::empty())?);
    }
    let mut made = None;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let mut source = from.file(name)?.ok_or(io::ErrorKind::NotFound)?;
            let mut target = to.create(named, 0o600)?;
            io::copy(&mut source, &mut target)?;
            made = Some(target);
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from, name, Vec::new())?;
            rustix::fs::symlinkat(target.as_c_str(), to, named)?;
        }
        FileType::Fifo => rustix::fs::mknodat(to, named, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?,
        // What a process listens at, or a device: no part of software.
        _ => return Ok(()),
    }
    attributes(to, named, stat, way.owner, made.as_ref().map(AsFd::as_fd))?;
    if stat.st_nlink > 1 {
        way.links.0.insert(id, way.path.join(named));
    }
    Ok(())
}

/// Owner, mode (of what is `made` and open) and time, in the order in which none undoes another.
fn attributes(to: &Folder, named: &OsStr, stat: &Stat, owner: Owner, made: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let owner = match owner {
        Owner::Kept => Owner::if_root(stat.st_uid, stat.st_gid),
        is => is,
    };
    if let Owner::Is(uid, gid) = owner {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        rustix::fs::chownat(to, named, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    if let Some(made) = made {
        rustix::fs::fchmod(made, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    }
    let time = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::utimensat(to, named, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::Path;

    use super::*;

    fn tree(at: &Path) {
        std::fs::create_dir_all(at.join("deep")).unwrap();
        std::fs::write(at.join("deep/file"), "text").unwrap();
        std::fs::set_permissions(at.join("deep/file"), std::fs::Permissions::from_mode(0o750)).unwrap();
        std::fs::hard_link(at.join("deep/file"), at.join("same")).unwrap();
        symlink("/etc/passwd", at.join("link")).unwrap();
    }

    fn looks_right(at: &Path) {
        assert_eq!(std::fs::read_to_string(at.join("deep/file")).unwrap(), "text");
        assert_eq!(at.join("deep/file").metadata().unwrap().mode() & 0o7777, 0o750);
        assert_eq!(at.join("deep/file").metadata().unwrap().ino(), at.join("same").metadata().unwrap().ino());
        assert_eq!(std::fs::read_link(at.join("link")).unwrap(), Path::new("/etc/passwd"));
    }

    #[test]
    fn a_copy_is_as_the_original() {
        let temporary = tempfile::tempdir().unwrap();
        tree(&temporary.path().join("a"));
        let folder = Folder::open(temporary.path()).unwrap();
        copy(&folder, OsStr::new("a"), &folder, OsStr::new("b"), Owner::Kept, &mut Links::default()).unwrap();
        looks_right(&temporary.path().join("a"));
        looks_right(&temporary.path().join("b"));
        let time = |name| temporary.path().join(name).metadata().unwrap().mtime();
        assert_eq!(time("a/deep/file"), time("b/deep/file"));
    }

    #[test]
    fn moving_joins_what_is_there() {
        let temporary = tempfile::tempdir().unwrap();
        tree(&temporary.path().join("a"));
        std::fs::create_dir_all(temporary.path().join("to/a/deep")).unwrap();
        std::fs::write(temporary.path().join("to/a/deep/other"), "").unwrap();
        let (from, to) = (Folder::open(temporary.path()), Folder::open(&temporary.path().join("to")));
        bring(&from.unwrap(), OsStr::new("a"), &to.unwrap(), &mut Links::default()).unwrap();
        looks_right(&temporary.path().join("to/a"));
        assert!(temporary.path().join("to/a/deep/other").exists());
        assert!(!temporary.path().join("a/deep/file").exists());
    }

    /// `/dev/shm` is a file system of its own where there is one; where there is none, a rename does it.
    #[test]
    fn what_cannot_be_renamed_is_copied_and_gone() {
        let temporary = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap();
        tree(&temporary.path().join("a"));
        let (from, to) = (Folder::open(temporary.path()).unwrap(), Folder::open(elsewhere.path()).unwrap());
        bring(&from, OsStr::new("a"), &to, &mut Links::default()).unwrap();
        looks_right(&elsewhere.path().join("a"));
        assert!(from.names().unwrap().is_empty());
    }
}
