//! Owners and times as an image has them: equal contents are equal bytes, whoever built them and whenever.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Gid, Mode, RawMode, Stat, Timespec, Timestamps, Uid};

use super::{Folder, too_deep};

/// 1980-01-01T00:00:01Z, the time of every file: the specification's, and the first that zip files know.
const EPOCH: i64 = 315_532_801;

/// setuid and setgid: a change of owner takes them away.
const PRIVILEGES: RawMode = 0o6000;

/// Whose files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// They stay whose they are: who is not root cannot give files away.
    Kept,
    /// This user's and group's.
    Is(u32, u32),
}

impl Owner {
    /// This owner if we are root, who can give files away.
    pub(crate) fn if_root(uid: u32, gid: u32) -> Self {
        if rustix::process::geteuid().is_root() { Self::Is(uid, gid) } else { Self::Kept }
    }
}

/// Gives all files below a directory their owner and the time of all files; of those in `kept` (paths below it) only the
/// time is changed. Sockets are removed: an image cannot hold them.
pub(crate) fn normalise(folder: &Folder, owner: Owner, kept: &BTreeSet<PathBuf>) -> io::Result<()> {
    inside(folder, owner, kept, &mut PathBuf::new(), 0)
}

fn inside(folder: &Folder, owner: Owner, kept: &BTreeSet<PathBuf>, path: &mut PathBuf, depth: u32) -> io::Result<()> {
    if depth > super::DEPTH {
        return Err(too_deep());
    }
    for name in folder.names()? {
        let Some(stat) = folder.stat(&name)? else { continue };
        path.push(&name);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Socket => {
                rustix::fs::unlinkat(folder, &name, AtFlags::empty())?;
                path.pop();
                continue;
            }
            FileType::Directory => {
                let below = folder.enter(&name)?.ok_or(io::ErrorKind::NotFound)?;
                inside(&below, owner, kept, path, depth + 1)?;
            }
            _ => {}
        }
        if !kept.contains(path.as_path()) {
            give(folder, &name, &stat, owner)?;
        }
        stamp(folder, &name)?;
        path.pop();
    }
    Ok(())
}

/// Gives one file its owner; its mode stays.
fn give(folder: &Folder, name: &OsStr, stat: &Stat, owner: Owner) -> io::Result<()> {
    let Owner::Is(uid, gid) = owner else { return Ok(()) };
    if (stat.st_uid, stat.st_gid) == (uid, gid) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::fs::chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if is_file && stat.st_mode & PRIVILEGES != 0 {
        let file = folder.file(name)?.ok_or(io::ErrorKind::NotFound)?;
        rustix::fs::fchmod(file, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    }
    Ok(())
}

/// Gives one file the time of all files.
fn stamp(folder: &Folder, name: impl AsRef<OsStr>) -> io::Result<()> {
    let time = Timespec { tv_sec: EPOCH, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::utimensat(folder, name.as_ref(), &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn everything_has_one_time_and_sockets_are_gone() {
        let temporary = tempfile::tempdir().unwrap();
        let tree = temporary.path().join("tree");
        std::fs::create_dir_all(tree.join("deep")).unwrap();
        std::fs::write(tree.join("deep/file"), "").unwrap();
        std::fs::set_permissions(tree.join("deep/file"), std::fs::Permissions::from_mode(0o4755)).unwrap();
        symlink("/nowhere", tree.join("link")).unwrap();
        drop(UnixListener::bind(tree.join("socket")).unwrap());
        let owner = Owner::if_root(1234, 1235);
        let kept = [PathBuf::from("tree/kept")].into();
        std::fs::create_dir(tree.join("kept")).unwrap();
        let before = tree.join("kept").metadata().unwrap().uid();
        normalise(&Folder::open(temporary.path()).unwrap(), owner, &kept).unwrap();
        assert_eq!(tree.join("kept").metadata().unwrap().uid(), before);
        assert_eq!(tree.join("kept").metadata().unwrap().mtime(), EPOCH);
        assert!(!tree.join("socket").exists());
        for name in ["", "deep", "deep/file", "link"] {
            let metadata = tree.join(name).symlink_metadata().unwrap();
            assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (EPOCH, 0), "{name}");
            if owner != Owner::Kept {
                assert_eq!((metadata.uid(), metadata.gid()), (1234, 1235), "{name}");
            }
        }
        assert_eq!(tree.join("deep/file").metadata().unwrap().mode() & 0o7777, 0o4755);
    }
}
