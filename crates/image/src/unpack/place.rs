//! The tree that is written, by directory descriptors.

use std::io::Read;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, XattrFlags, chmodat, chownat, fchmod, fchown, fsetxattr, futimens,
    linkat, mkdirat, mknodat, openat, statat, symlinkat, utimensat,
};
use rustix::io::Errno;

use super::Unpacking;
use super::entry::{Member, What};
use crate::error::{ImageError, failed, shown};
use crate::pack::modified;
use crate::tree::{followed, open_dir, open_dir_inside, open_tree, remove_entry};

/// Content goes through a buffer of this size.
const BUFFER: usize = 256 << 10;

pub(crate) struct Place<'a> {
    tree: OwnedFd,
    /// Of the host, for words about failures.
    shown: PathBuf,
    unpacking: &'a Unpacking,
    /// The directory that the last entry went into: mostly, the next one does too.
    parent: Option<(Vec<u8>, OwnedFd)>,
    buffer: Vec<u8>,
    /// Directories that the archive only implies: they count too, or few entries would make millions.
    implied: u64,
    /// The mode of those.
    implied_mode: u32,
}

/// Why an entry could not be written.
enum Trouble {
    Kernel(Errno),
    Hostile(&'static str),
    Archive(std::io::Error),
    TooMany(u64),
}

impl From<Errno> for Trouble {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NAMETOOLONG => Self::Hostile("its name is too long"),
            other => Self::Kernel(other),
        }
    }
}

impl<'a> Place<'a> {
    /// The directory `prefix` inside of `root`; made when missing.
    pub(crate) fn open(root: &Path, prefix: &str, unpacking: &'a Unpacking) -> Result<Self, ImageError> {
        Self::open_with(root, prefix, unpacking, 0o755)
    }

    /// The same, with another mode for directories that are made because they are missing.
    pub(crate) fn open_with(
        root: &Path,
        prefix: &str,
        unpacking: &'a Unpacking,
        implied_mode: u32,
    ) -> Result<Self, ImageError> {
        let mut place = Self {
            tree: open_tree(root)?,
            shown: root.to_owned(),
            unpacking,
            parent: None,
            buffer: vec![0; BUFFER],
            implied: 0,
            implied_mode,
        };
        if prefix.split('/').any(|part| part == "..") {
            return Err(ImageError::Pattern { pattern: prefix.to_owned(), why: "it contains `..`" });
        }
        // A symlink to what is not there is not in the way: who says where the prefix is means where that leads.
        let path = followed(root, prefix).map_err(failed("follow", root.join(prefix.trim_start_matches('/'))))?;
        if !path.is_empty() {
            place.tree = place.directory(path.as_bytes()).map_err(|trouble| place.error(path.as_bytes(), trouble))?;
            place.shown = root.join(path);
        }
        Ok(place)
    }

    /// Writes an entry.
    pub(crate) fn take(&mut self, member: &Member, content: &mut dyn Read) -> Result<(), ImageError> {
        self.write(member, content).map_err(|trouble| self.error(&member.path, trouble))
    }

    /// What is there under that path; links are not followed.
    pub(crate) fn kind(&self, path: &[u8]) -> Option<FileType> {
        let (parent, name) = split(path);
        let dir = open_dir_inside(self.tree.as_fd(), parent).ok()?;
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(FileType::from_raw_mode(stat.st_mode))
    }

    /// Is something that is no directory on the way to that path?
    pub(crate) fn is_blocked(&self, path: &[u8]) -> bool {
        let (parent, _) = split(path);
        matches!(open_dir_inside(self.tree.as_fd(), parent), Err(Errno::NOTDIR | Errno::LOOP))
    }

    /// Sets a directory's time, if it is still one.
    pub(crate) fn set_directory_time(&mut self, path: &[u8], mtime: i64) -> Result<(), ImageError> {
        let (parent, name) = split(path);
        let set = || -> Result<(), Errno> {
            let dir = open_dir(open_dir_inside(self.tree.as_fd(), parent)?, name)?;
            futimens(dir, &modified(mtime))
        };
        match set() {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
            other => other.map_err(|error| self.error(path, error.into())),
        }
    }

    fn error(&self, path: &[u8], trouble: Trouble) -> ImageError {
        match trouble {
            Trouble::Kernel(error) => failed("unpack", self.shown.join(shown(path)))(error),
            Trouble::Archive(source) => ImageError::Archive(source),
            Trouble::TooMany(limit) => ImageError::TooMany { limit },
            Trouble::Hostile(why) => ImageError::Hostile { path: shown(path), why: why.to_owned() },
        }
    }

    fn write(&mut self, member: &Member, content: &mut dyn Read) -> Result<(), Trouble> {
        if member.what == What::Opaque {
            opaque(&self.directory(&member.path)?)?;
            return Ok(());
        }
        let (parent_path, name) = split(&member.path);
        let parent = self.take_parent(parent_path)?;
        let kept = match &member.what {
            What::File => self.file(parent.as_fd(), name, member, content)?,
            What::Directory => self.make_directory(parent.as_fd(), name, member)?,
            What::HardLink(target) => self.hard_link(parent.as_fd(), name, target)?,
            What::Symlink(target) => {
                let kept = replacing(parent.as_fd(), name, || symlinkat(target.as_slice(), &parent, name))?;
                self.own(parent.as_fd(), name, member)?;
                kept
            }
            What::Whiteout => self.whiteout(parent.as_fd(), name, member)?,
            What::Fifo | What::Opaque | What::Device => self.fifo(parent.as_fd(), name, member)?,
        };
        // What was replaced may have been a part of the parent's path.
        if kept == Replaced::Nothing {
            self.parent = Some((parent_path.to_vec(), parent));
        }
        Ok(())
    }

    fn file(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        member: &Member,
        content: &mut dyn Read,
    ) -> Result<Replaced, Trouble> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = None;
        let replaced = replacing(parent, name, || {
            file = Some(openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?);
            Ok(())
        })?;
        let file = file.ok_or(Errno::IO)?;
        loop {
            let count = match content.read(&mut self.buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other.map_err(Trouble::Archive)?,
            };
            if count == 0 {
                break;
            }
            write_all(file.as_fd(), &self.buffer[..count])?;
        }
        describe(file.as_fd(), member)?;
        futimens(file, &modified(member.mtime))?;
        Ok(replaced)
    }

    fn make_directory(&self, parent: BorrowedFd<'_>, name: &[u8], member: &Member) -> Result<Replaced, Trouble> {
        let replaced = directory_here(parent, name)?;
        describe(open_dir(parent, name)?.as_fd(), member)?;
        Ok(replaced)
    }

    fn hard_link(&self, parent: BorrowedFd<'_>, name: &[u8], target: &[u8]) -> Result<Replaced, Trouble> {
        const NOWHERE: Trouble = Trouble::Hostile("it is a hard link to no file");
        let (target_parent, target_name) = split(target);
        let target_dir = open_dir_inside(self.tree.as_fd(), target_parent).map_err(|_| NOWHERE)?;
        let stat = statat(&target_dir, target_name, AtFlags::SYMLINK_NOFOLLOW).map_err(|_| NOWHERE)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Err(NOWHERE);
        }
        if let Ok(there) = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
            && (there.st_dev, there.st_ino) == (stat.st_dev, stat.st_ino)
        {
            return Ok(Replaced::Nothing);
        }
        replacing(parent, name, || linkat(&target_dir, target_name, parent, name, AtFlags::empty())).map_err(|error| {
            match error {
                // It was inside of what was in the way.
                Errno::NOENT => NOWHERE,
                other => other.into(),
            }
        })
    }

    fn fifo(&self, parent: BorrowedFd<'_>, name: &[u8], member: &Member) -> Result<Replaced, Trouble> {
        let replaced = replacing(parent, name, || mknodat(parent, name, FileType::Fifo, Mode::empty(), 0))?;
        self.own(parent, name, member)?;
        // It has just been made: it is no link.
        chmodat(parent, name, Mode::from_raw_mode(member.mode), AtFlags::empty())?;
        Ok(replaced)
    }

    /// Removes what lower layers have under that name. What this layer has there stays.
    fn whiteout(&self, parent: BorrowedFd<'_>, name: &[u8], member: &Member) -> Result<Replaced, Trouble> {
        match mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), 0) {
            Err(Errno::EXIST) if is_directory(parent, name)? => opaque(&open_dir(parent, name)?)?,
            Err(Errno::EXIST) => {}
            other => {
                other?;
                self.own(parent, name, member)?;
            }
        }
        Ok(Replaced::Nothing)
    }

    fn own(&self, parent: BorrowedFd<'_>, name: &[u8], member: &Member) -> Result<(), Errno> {
        chownat(parent, name, uid(member.uid), gid(member.gid), AtFlags::SYMLINK_NOFOLLOW)?;
        utimensat(parent, name, &modified(member.mtime), AtFlags::SYMLINK_NOFOLLOW)
    }

    fn take_parent(&mut self, path: &[u8]) -> Result<OwnedFd, Trouble> {
        match self.parent.take() {
            Some((known, dir)) if known == path => Ok(dir),
            _ => self.directory(path),
        }
    }

    /// A directory inside; made when missing, and whatever is in the way is removed.
    fn directory(&mut self, path: &[u8]) -> Result<OwnedFd, Trouble> {
        match open_dir_inside(self.tree.as_fd(), path) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            other => return Ok(other?),
        }
        let mut dir = open_dir_inside(self.tree.as_fd(), b"")?;
        let mut end = 0;
        for part in path.split(|byte| *byte == b'/') {
            end += part.len();
            dir = match open_dir_inside(self.tree.as_fd(), &path[..end]) {
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => self.missing(&dir, part)?,
                other => other?,
            };
            end += 1;
        }
        Ok(dir)
    }

    fn missing(&mut self, parent: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Trouble> {
        self.implied += 1;
        match self.unpacking.limit_files {
            Some(limit) if self.implied > limit => return Err(Trouble::TooMany(limit)),
            _ => {}
        }
        directory_here(parent.as_fd(), name)?;
        let dir = open_dir(parent, name)?;
        let none = || Trouble::Hostile("its owner is no id of the instance");
        let (owner, group) = self.unpacking.owner.unwrap_or((0, 0));
        let outside = |id| self.unpacking.ids.outside(id).map_err(|_| none());
        fchown(&dir, uid(outside(owner)?), gid(outside(group)?))?;
        fchmod(&dir, Mode::from_raw_mode(self.implied_mode))?;
        Ok(dir)
    }
}

/// Whether something else was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replaced {
    Nothing,
    Something,
}

/// Makes an entry; what is in the way is removed.
fn replacing(
    parent: BorrowedFd<'_>,
    name: &[u8],
    mut make: impl FnMut() -> Result<(), Errno>,
) -> Result<Replaced, Errno> {
    match make() {
        Err(Errno::EXIST) => {
            remove_entry(parent, name)?;
            make().map(|()| Replaced::Something)
        }
        other => other.map(|()| Replaced::Nothing),
    }
}

/// Owner, mode and attributes, in the order in which none takes back another.
fn describe(file: BorrowedFd<'_>, member: &Member) -> Result<(), Errno> {
    fchown(file, uid(member.uid), gid(member.gid))?;
    fchmod(file, Mode::from_raw_mode(member.mode))?;
    for (name, value) in &member.attributes {
        fsetxattr(file, name.as_slice(), value, XattrFlags::empty())?;
    }
    Ok(())
}

/// Makes a directory, unless there is one. Where the layer removes what is below that name, nothing lower shows through.
fn directory_here(parent: BorrowedFd<'_>, name: &[u8]) -> Result<Replaced, Errno> {
    match mkdirat(parent, name, Mode::RWXU) {
        Err(Errno::EXIST) => {}
        other => return other.map(|()| Replaced::Nothing),
    }
    let there = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let kind = FileType::from_raw_mode(there.st_mode);
    if kind == FileType::Directory {
        return Ok(Replaced::Nothing);
    }
    remove_entry(parent, name)?;
    mkdirat(parent, name, Mode::RWXU)?;
    if kind == FileType::CharacterDevice {
        opaque(&open_dir(parent, name)?)?;
    }
    Ok(Replaced::Something)
}

/// Hides what lower layers have in that directory.
fn opaque(dir: &OwnedFd) -> Result<(), Errno> {
    fsetxattr(dir, "trusted.overlay.opaque", b"y", XattrFlags::empty())
}

fn is_directory(parent: BorrowedFd<'_>, name: &[u8]) -> Result<bool, Errno> {
    let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Err(Errno::INTR) => {}
            count => bytes = &bytes[count?..],
        }
    }
    Ok(())
}

/// The directory and the name of a path.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

fn uid(id: u32) -> Option<Uid> {
    Some(Uid::from_raw(id))
}

fn gid(id: u32) -> Option<Gid> {
    Some(Gid::from_raw(id))
}
