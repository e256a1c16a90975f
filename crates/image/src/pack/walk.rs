//! The walk through a tree, in the order of the paths' bytes, each directory's whiteouts first.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, fstat, futimens, openat, readlinkat, statat, unlinkat, utimensat,
};
use rustix::io::Errno;
use till_core::inventory::{FileKind, LayerScan};

use super::content::{AttributeReader, Trouble, modified, put_content};
use super::listing::{What, list};
use super::{Chunks, Packing};
use crate::archive::{Attributes, BLOCK, Header, Kind, padding, write_header};
use crate::error::{ImageError, failed, shown};
use crate::scan::{Bytes, Depth, HoldError, Looking, bare, symlink};
use crate::store::Store;
use crate::tree::open_dir;

/// The kernel's limit of a path (`PATH_MAX`): a longer one could not be unpacked.
const MAX_PATH: usize = 4096;

/// Each level holds a descriptor; no honest tree is nearly as deep.
const MAX_DEPTH: usize = 256;

/// What the image spec puts before the name of a removed file.
pub(crate) const WHITEOUT: &[u8] = b".wh.";

/// What the image spec puts into a directory that hides what lies below it.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";

/// What was written.
pub(super) struct Walked {
    pub(super) bytes: u64,
    pub(super) entries: u64,
    /// What its files say of packages; none where that needs another look.
    pub(super) scan: Option<LayerScan>,
}

/// Writes the whole tree as tar.
pub(super) fn walk(
    upper: &Path,
    root: OwnedFd,
    packing: &Packing,
    store: &Store,
    chunks: Chunks,
) -> Result<Walked, ImageError> {
    let mut walk = Walk {
        packing,
        chunks,
        path: Vec::new(),
        header: Vec::new(),
        links: HashMap::new(),
        attributes: AttributeReader::new(),
        entries: 0,
        looking: Looking::new(store, Depth::Packages),
    };
    let done = walk.children(root.as_fd(), 0).and_then(|()| Ok(walk.chunks.zeros(2 * BLOCK as u64)?));
    match done {
        Ok(()) => {}
        Err(Trouble::Unfit(why)) => {
            return Err(ImageError::Unfit { path: format!("/{}", shown(&walk.path)), why });
        }
        Err(Trouble::Io(source)) => {
            return Err(failed("pack", upper.join(OsStr::from_bytes(&walk.path)))(source));
        }
    }
    let (entries, scan) = (walk.entries, walk.looking.whole());
    let bytes = walk.chunks.finish().map_err(failed("pack", upper))?;
    Ok(Walked { bytes, entries, scan })
}

struct Walk<'a> {
    packing: &'a Packing,
    chunks: Chunks,
    /// Of what is being written now; when the walk fails, of what it failed at.
    path: Vec<u8>,
    header: Vec<u8>,
    /// By device and inode.
    links: HashMap<(u64, u64), First>,
    attributes: AttributeReader,
    entries: u64,
    looking: Looking<'a>,
}

/// The first path of a file, and how many more there may be.
type First = (Box<[u8]>, u64);

impl Walk<'_> {
    /// Writes what is in a directory, whose own entry has been written.
    fn children(&mut self, dir: BorrowedFd<'_>, depth: usize) -> Result<(), Trouble> {
        if depth > MAX_DEPTH {
            return Err(Trouble::Unfit(format!("directories are nested more than {MAX_DEPTH} deep")));
        }
        let listing = list(dir)?;
        if self.attributes.read(dir, &self.packing.ids)?.opaque {
            self.opaque()?;
        }
        let length = self.path.len();
        for (name, what) in listing.iter() {
            if length > 0 {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name.strip_suffix(b"/").unwrap_or(name));
            if self.path.len() > MAX_PATH {
                return Err(Trouble::Unfit(format!("its path is longer than {MAX_PATH} bytes")));
            }
            self.item(dir, name, what, depth)?;
            self.path.truncate(length);
        }
        Ok(())
    }

    fn item(&mut self, dir: BorrowedFd<'_>, name: &[u8], what: What, depth: usize) -> Result<(), Trouble> {
        if name.starts_with(WHITEOUT) {
            return Err(Trouble::Unfit("names that begin with `.wh.` mean removed files in images".to_owned()));
        }
        match what {
            What::Content => self.content(dir, name, depth),
            What::Device => self.whiteout(dir, name),
            What::Entry(FileType::RegularFile) => self.file(dir, name),
            What::Entry(FileType::Directory) => self.directory(dir, name),
            What::Entry(FileType::Symlink) => self.symlink(dir, name),
            What::Entry(FileType::Fifo) => {
                let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
                self.write(&stat, Kind::Fifo, b"", &Attributes::new())?;
                self.set_time(dir, name, &stat)
            }
            // Nobody listens there any more.
            What::Entry(FileType::Socket) => Ok(unlinkat(dir, name, AtFlags::empty())?),
            What::Entry(_) => Err(device()),
        }
    }

    /// What overlayfs leaves where a file of a lower layer was removed.
    fn whiteout(&mut self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), Trouble> {
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if stat.st_rdev != 0 {
            return Err(device());
        }
        let parent = self.path.len() - name.len();
        let whole = std::mem::take(&mut self.path);
        self.path.extend_from_slice(&whole[..parent]);
        self.path.extend_from_slice(WHITEOUT);
        self.path.extend_from_slice(name);
        self.write_marker()?;
        self.path = whole;
        self.set_time(dir, name, &stat)
    }

    fn opaque(&mut self) -> Result<(), Trouble> {
        let length = self.path.len();
        if length > 0 {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(OPAQUE);
        self.write_marker()?;
        self.path.truncate(length);
        Ok(())
    }

    fn write_marker(&mut self) -> Result<(), Trouble> {
        // A name that only says what is removed.
        self.looking.admit(&self.path);
        self.put_header(&Header {
            path: &[],
            kind: Kind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: self.packing.epoch,
            link: b"",
            attributes: &Attributes::new(),
        })
    }

    fn directory(&mut self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), Trouble> {
        let this = open_dir(dir, name)?;
        let attributes = self.attributes.read(&this, &self.packing.ids)?.kept;
        self.write(&fstat(&this)?, Kind::Directory, b"", &attributes)
    }

    fn content(&mut self, dir: BorrowedFd<'_>, name: &[u8], depth: usize) -> Result<(), Trouble> {
        let this = open_dir(dir, name.strip_suffix(b"/").unwrap_or(name))?;
        let stat = fstat(&this)?;
        self.children(this.as_fd(), depth + 1)?;
        // Always: removed sockets have changed it.
        Ok(futimens(&this, &modified(self.clamp(&stat).cast_signed()))?)
    }

    fn symlink(&mut self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), Trouble> {
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let target = readlinkat(dir, name, Vec::new())?;
        self.write(&stat, Kind::Symlink, target.as_bytes(), &Attributes::new())?;
        self.set_time(dir, name, &stat)
    }

    fn file(&mut self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), Trouble> {
        let file = File::from(open_file(dir, name)?);
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Trouble::Unfit("it changed while it was read".to_owned()));
        }
        if stat.st_nlink > 1
            && let Some(first) = self.first_path(&stat)
        {
            return self.write(&stat, Kind::HardLink, &first, &Attributes::new());
        }
        let attributes = self.attributes.read(&file, &self.packing.ids)?.kept;
        self.write(&stat, Kind::File, b"", &attributes)?;
        put_content(file.as_fd(), &stat, &mut self.chunks)?;
        self.look(&stat, &file)?;
        self.chunks.zeros(padding(stat.st_size.cast_unsigned()))?;
        if self.needs_time(&stat) {
            futimens(&file, &modified(self.clamp(&stat).cast_signed()))?;
        }
        Ok(())
    }

    /// Where this file was written already; or remembers that it is written here.
    fn first_path(&mut self, stat: &Stat) -> Option<Box<[u8]>> {
        let inode = (stat.st_dev, stat.st_ino);
        match self.links.get_mut(&inode) {
            None => {
                let more = wide(stat.st_nlink) - 1;
                self.links.insert(inode, (self.path.clone().into_boxed_slice(), more));
                None
            }
            Some((first, more)) => {
                *more -= 1;
                if *more > 0 {
                    return Some(first.clone());
                }
                self.links.remove(&inode).map(|(first, _)| first)
            }
        }
    }

    fn write(&mut self, stat: &Stat, kind: Kind, link: &[u8], attributes: &Attributes) -> Result<(), Trouble> {
        let size = if kind == Kind::File { stat.st_size.cast_unsigned() } else { 0 };
        let inside = |id: u32| {
            self.packing.ids.inside(id).map_err(|_| Trouble::Unfit(format!("its owner {id} is no id of the instance")))
        };
        let (uid, gid) = (inside(stat.st_uid)?, inside(stat.st_gid)?);
        self.put_header(&Header {
            path: &[],
            kind,
            mode: stat.st_mode,
            uid,
            gid,
            size,
            mtime: self.clamp(stat),
            link,
            attributes,
        })?;
        // Files are looked at when their content was read.
        if kind == Kind::File {
            return Ok(());
        }
        let Some(path) = self.looking.admit(&self.path) else {
            return Ok(());
        };
        let (mode, owner) = (stat.st_mode & 0o7777, (u64::from(uid), u64::from(gid)));
        match kind {
            Kind::HardLink => self.looking.hard_link(path, link),
            Kind::Symlink => self.looking.note(path, symlink(mode, owner, link)),
            Kind::Directory => self.looking.note(path, bare(FileKind::Directory, mode, owner, 0)),
            _ => self.looking.note(path, bare(FileKind::Special, mode, owner, 0)),
        }
        Ok(())
    }

    /// Looks at a file whose content was just read: it is in memory still.
    fn look(&mut self, stat: &Stat, file: &File) -> Result<(), Trouble> {
        let Some(path) = self.looking.admit(&self.path) else {
            return Ok(());
        };
        let inside = |id: u32| self.packing.ids.inside(id).map_or(0, u64::from);
        let owner = (inside(stat.st_uid), inside(stat.st_gid));
        let entry = bare(FileKind::File, stat.st_mode & 0o7777, owner, stat.st_size.cast_unsigned());
        match self.looking.file(path, entry, Bytes::File(file)) {
            Ok(()) => Ok(()),
            Err(HoldError::Archive(error)) => Err(Trouble::Io(error)),
            Err(HoldError::Disk(error)) => Err(Trouble::Io(std::io::Error::other(error))),
        }
    }

    fn put_header(&mut self, header: &Header<'_>) -> Result<(), Trouble> {
        self.header.clear();
        let header = Header { path: &self.path, ..header.clone() };
        write_header(&header, &mut self.header);
        self.chunks.put(&self.header)?;
        self.entries += 1;
        Ok(())
    }

    fn clamp(&self, stat: &Stat) -> u64 {
        u64::try_from(stat.st_mtime).unwrap_or(0).min(self.packing.epoch)
    }

    fn needs_time(&self, stat: &Stat) -> bool {
        stat.st_mtime != self.clamp(stat).cast_signed() || stat.st_mtime_nsec != 0
    }

    fn set_time(&self, dir: BorrowedFd<'_>, name: &[u8], stat: &Stat) -> Result<(), Trouble> {
        if self.needs_time(stat) {
            let times = modified(self.clamp(stat).cast_signed());
            utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }
}

/// The kernel's count of links is wider on some processors than on others.
fn wide(count: impl Into<u64>) -> u64 {
    count.into()
}

fn device() -> Trouble {
    Trouble::Unfit("it is a device".to_owned())
}

/// Opens a file to read it; what is no file after all (a fifo) does not block, and links are not followed.
fn open_file(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat(dir, name, flags | OFlags::NOATIME, Mode::empty()) {
        // Only owners and root may leave the access time.
        Err(Errno::PERM) => openat(dir, name, flags, Mode::empty()),
        other => other,
    }
}
