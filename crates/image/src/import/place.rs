//! Files that an image's place holds: a directory, or a tar that is read in place.
//!
//! Nothing that a stranger wrote there leads out of it: in a directory names are resolved inside of it; of a tar only
//! the positions of its files are kept.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags, fstat};
use rustix::io::Errno;

use crate::admit::ImportLimits;
use crate::archive::padding;
use crate::compress::{Compression, decompress, detect};
use crate::error::{ImageError, failed, shown};
use crate::store::{BlobWriter, Store};
use crate::tree::{open_inside, open_tree};
use crate::unpack::{Reader, safe_parts};

/// The most entries of an archive of images. One has some for each layer.
const MAX_ENTRIES: usize = 100_000;

/// How many links are followed.
const MAX_LINKS: usize = 8;

/// Files of a layout or an archive.
pub(super) enum Place {
    Directory(OwnedFd, PathBuf),
    Archive(Box<Archive>),
}

/// A tar, by the positions of its files.
pub(super) struct Archive {
    file: File,
    path: PathBuf,
    entries: BTreeMap<Vec<u8>, Found>,
    /// Where it was unpacked to; goes with it.
    _spooled: Option<BlobWriter>,
}

enum Found {
    File {
        at: u64,
        size: u64,
    },
    /// To a name from the archive's root.
    Link(Vec<u8>),
}

fn refused(path: &Path, why: impl Into<String>) -> ImageError {
    ImageError::Refused { what: format!("`{}`", path.display()), why: why.into() }
}

/// Whoever names what is not there has to name something else; all other failures are the machine's.
fn opened<T>(path: &Path, result: io::Result<T>) -> Result<T, ImageError> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            ImageError::Place { place: path.display().to_string(), why: error.to_string(), hint: super::SOURCES }
        }
        _ => failed("read", path)(error),
    })
}

impl Place {
    /// A layout in a directory.
    pub(super) fn directory(path: &Path) -> Result<Self, ImageError> {
        opened(path, std::fs::read_dir(path))?;
        Ok(Self::Directory(open_tree(path)?, path.to_owned()))
    }

    /// An archive; unpacked into the store's staging first if it is compressed.
    pub(super) fn archive(path: &Path, store: &Store, limits: &ImportLimits) -> Result<Self, ImageError> {
        let metadata = opened(path, std::fs::metadata(path))?;
        if !metadata.is_file() {
            return opened(path, Err(io::Error::new(io::ErrorKind::IsADirectory, "it is no file")));
        }
        let file = opened(path, File::open(path))?;
        let (compression, _) = detect(&file).map_err(failed("read", path))?;
        opened(path, (&file).seek(SeekFrom::Start(0)))?;
        let (file, spooled) = match compression {
            Compression::None => (file, None),
            _ => spool(path, file, store, limits)?,
        };
        let entries = list(path, &file)?;
        Ok(Self::Archive(Box::new(Archive { file, path: path.to_owned(), entries, _spooled: spooled })))
    }

    /// Where it is, for words.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Directory(_, path) => path,
            Self::Archive(archive) => &archive.path,
        }
    }

    /// A file, if there is one of that name.
    pub(super) fn file(&self, name: &str) -> Result<Option<Box<dyn Read + '_>>, ImageError> {
        match self {
            Self::Directory(root, path) => in_directory(root, path, name),
            Self::Archive(archive) => archive.open(name),
        }
    }

    /// A file that is read whole.
    pub(super) fn document(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, ImageError> {
        let Some(file) = self.file(name)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map_err(failed("read", self.path().join(name)))?;
        if bytes.len() as u64 > limit {
            return Err(refused(&self.path().join(name), format!("it has more than {limit} bytes")));
        }
        Ok(Some(bytes))
    }
}

fn in_directory<'a>(root: &OwnedFd, path: &Path, name: &str) -> Result<Option<Box<dyn Read + 'a>>, ImageError> {
    // Without blocking: a pipe would wait for ever for its writer.
    let file = match open_inside(root.as_fd(), name.as_bytes(), OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(None),
        other => other.map_err(failed("read", path.join(name)))?,
    };
    let stat = fstat(&file).map_err(failed("read", path.join(name)))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(refused(&path.join(name), "it is no file"));
    }
    Ok(Some(Box::new(File::from(file))))
}

fn spool(
    path: &Path,
    file: File,
    store: &Store,
    limits: &ImportLimits,
) -> Result<(File, Option<BlobWriter>), ImageError> {
    let mut into = store.writer()?;
    let (_, tar) = decompress(file).map_err(failed("read", path))?;
    let mut tar = tar.take(limits.bytes + 1);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = match tar.read(&mut buffer) {
            Err(error) => return Err(refused(path, format!("it cannot be decompressed: {error}"))),
            Ok(count) => count,
        };
        if count == 0 {
            break;
        }
        io::Write::write_all(&mut into, &buffer[..count]).map_err(failed("write", into.path()))?;
    }
    if into.sum().1 > limits.bytes {
        return Err(refused(path, format!("it unpacks to more than {} bytes", limits.bytes)));
    }
    let spooled = File::open(into.path()).map_err(failed("read", into.path()))?;
    Ok((spooled, Some(into)))
}

/// Lists an archive without reading what its files hold.
fn list(path: &Path, file: &File) -> Result<BTreeMap<Vec<u8>, Found>, ImageError> {
    let mut entries = BTreeMap::new();
    let mut count = 0;
    let mut input = file;
    let length = file.metadata().map_err(failed("look at", path))?.len();
    loop {
        // A new reader for each entry: it reads up to the content, and what comes then is left out.
        let entry = Reader::new(&mut input).next();
        let Some(entry) = entry.map_err(|error| refused(path, format!("it cannot be read as a tar: {error}")))? else {
            return Ok(entries);
        };
        count += 1;
        if count > MAX_ENTRIES {
            return Err(refused(path, format!("it has more than {MAX_ENTRIES} entries")));
        }
        let at = input.stream_position().map_err(failed("read", path))?;
        let end = at.saturating_add(entry.size);
        if end > length {
            return Err(refused(path, "it ends early"));
        }
        let next = end.saturating_add(padding(entry.size));
        input.seek(SeekFrom::Start(next)).map_err(|_| refused(path, "an entry is too large"))?;
        let bad = |why: &str| refused(path, format!("`{}`: {why}", shown(&entry.path)));
        if entry.path.starts_with(b"/") {
            return Err(bad("its name is absolute"));
        }
        let parts = safe_parts(&entry.path).map_err(bad)?;
        let found = match entry.flag {
            b'0' | b'\0' | b'7' => Found::File { at, size: entry.size },
            b'1' => Found::Link(inside(&[], &entry.link).map_err(bad)?),
            b'2' => Found::Link(inside(&parts[..parts.len().saturating_sub(1)], &entry.link).map_err(bad)?),
            b'5' => continue,
            _ => return Err(bad("it is neither file, directory nor link")),
        };
        // Of two files of one name some take the first, others the last.
        if entries.insert(parts.join(&b'/'), found).is_some() {
            return Err(bad("it is there twice"));
        }
    }
}

/// Where a link leads, without looking at what lies between.
fn inside(directory: &[&[u8]], link: &[u8]) -> Result<Vec<u8>, &'static str> {
    const OUT: &str = "it is a link that leads out of the archive";
    if link.starts_with(b"/") {
        return Err(OUT);
    }
    let mut parts = directory.to_vec();
    for part in link.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop().ok_or(OUT)?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join(&b'/'))
}

impl Archive {
    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + '_>>, ImageError> {
        let Ok(parts) = safe_parts(name.as_bytes()) else {
            return Err(refused(&self.path, format!("`{name}` leads out of it")));
        };
        let mut name = parts.join(&b'/');
        for _ in 0..=MAX_LINKS {
            match self.entries.get(&name) {
                None => return Ok(None),
                Some(Found::File { at, size }) => {
                    return Ok(Some(Box::new(Section { file: &self.file, at: *at, left: *size })));
                }
                Some(Found::Link(target)) => name.clone_from(target),
            }
        }
        Err(refused(&self.path, format!("`{}` is a link without end", shown(&name))))
    }
}

/// A file of an archive.
struct Section<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..wanted], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
