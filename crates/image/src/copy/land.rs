//! An archive to a place in a tree.
//!
//! What COPY says: a directory's content goes into the place; a single file becomes the place, unless that is a directory.
//! Directories that are missing are made, the place too: they belong to root or whom the copy says. A directory that is
//! there keeps its owner and mode when it is the place itself, and gets those of the copy when it lies below. A file never
//! replaces a directory, nor the other way round. Symlinks on the way to the place are followed inside the tree, also to
//! what is not there yet.

use std::io::Read;
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::archives::{Content, look};
use crate::error::{ImageError, shown};
use crate::ids::IdShift;
use crate::tree::{followed, open_dir_inside, open_tree};
use crate::unpack::{Member, Place, Reader, Unpacked, Unpacking, What, Whiteouts, count, unpack};

/// What is changed of the files on their way.
pub struct Rewriting<'a> {
    /// How owners are shifted.
    pub ids: IdShift,
    /// The ids inside that everything belongs to; none: as the archive says.
    pub owner: Option<(u32, u32)>,
    /// The new permission bits of a file (false) or directory (true) with these.
    pub mode: Option<&'a dyn Fn(u32, bool) -> u32>,
    /// The permission bits of directories that are made because they are missing.
    pub missing: u32,
    /// Is a file that is an archive unpacked?
    pub unpack: bool,
    /// The most bytes of content.
    pub limit_bytes: Option<u64>,
}

/// What came to lie there.
pub type Landed = Unpacked;

/// Puts the archive's files at `path` in the tree. `directory`: the path is a directory for sure.
pub fn land(
    tar: &mut dyn Read,
    root: &Path,
    (path, directory): (&str, bool),
    rewriting: &Rewriting<'_>,
) -> Result<Landed, ImageError> {
    let unpacking = Unpacking::into_tree(rewriting.ids, rewriting.owner, rewriting.limit_bytes);
    let directory = directory || is_directory(root, path)?;
    let mut landing = Landing {
        root,
        path: followed(root, path).map_err(|error| unfollowed(path, error))?,
        directory,
        rewriting,
        unpacking: &unpacking,
        place: None,
        times: Vec::new(),
        done: Unpacked::default(),
    };
    let mut archive = Reader::new(tar);
    while let Some(entry) = archive.next().map_err(ImageError::Archive)? {
        count(&mut landing.done, entry.size, &unpacking)?;
        // `./`, the directory whose content is copied, is the place itself.
        let is_root = entry.path == b"./" || entry.path == b".";
        if is_root {
            landing.itself()?;
        } else if let Some(member) = Member::of(entry, &unpacking)? {
            landing.take(member, &mut archive)?;
        }
    }
    if landing.directory {
        landing.place()?;
    }
    landing.finish()
}

struct Landing<'a> {
    root: &'a Path,
    path: String,
    directory: bool,
    rewriting: &'a Rewriting<'a>,
    unpacking: &'a Unpacking,
    /// The directory that files go into.
    place: Option<Place<'a>>,
    times: Vec<(Vec<u8>, i64)>,
    done: Unpacked,
}

impl<'a> Landing<'a> {
    /// The directory that files go into; made now, if need be.
    fn place(&mut self) -> Result<&mut Place<'a>, ImageError> {
        if self.place.is_none() {
            let prefix = if self.directory { self.path.as_str() } else { split(&self.path).0 };
            expect_way(self.root, prefix)?;
            self.place = Some(Place::open_with(self.root, prefix, self.unpacking, self.rewriting.missing)?);
        }
        match &mut self.place {
            Some(place) => Ok(place),
            None => Err(ImageError::Pattern { pattern: self.path.clone(), why: "there is no such place" }),
        }
    }

    /// The directory whose content is copied. A place that was not there is made, but not like it: only what is in the
    /// directory is copied, as BuildKit's `prepareTargetDir` does.
    fn itself(&mut self) -> Result<(), ImageError> {
        if self.place.is_some() && !self.directory {
            // A file that was found before it became the place.
            return Err(in_the_way(self.path.as_bytes(), "what is there is no directory"));
        }
        self.directory = true;
        self.place().map(drop)
    }

    fn change_mode(&self, member: &mut Member) {
        if let Some(mode) = self.rewriting.mode
            && !matches!(member.what, What::Symlink(_) | What::HardLink(_))
        {
            member.mode = mode(member.mode, member.what == What::Directory);
        }
    }

    fn take(&mut self, mut member: Member, content: &mut dyn Read) -> Result<(), ImageError> {
        self.change_mode(&mut member);
        let is_top = !member.path.contains(&b'/');
        if self.rewriting.unpack && is_top && member.what == What::File {
            return match look(content).map_err(ImageError::Archive)? {
                Content::Archive(mut inside) => self.unpack(&mut inside),
                Content::File(mut whole) => self.put(member, &mut whole),
            };
        }
        self.put(member, content)
    }

    fn put(&mut self, mut member: Member, content: &mut dyn Read) -> Result<(), ImageError> {
        if !self.directory {
            member.path = split(&self.path).1.as_bytes().to_vec();
        }
        let is_directory = member.what == What::Directory;
        let place = self.place()?;
        if place.is_blocked(&member.path) {
            return Err(in_the_way(&member.path, "what is there is no directory"));
        }
        match place.kind(&member.path) {
            Some(FileType::Directory) if !is_directory => Err(in_the_way(&member.path, "a directory is there")),
            Some(kind) if is_directory && kind != FileType::Directory => {
                Err(in_the_way(&member.path, "what is there is no directory"))
            }
            _ => {
                place.take(&member, content)?;
                if is_directory {
                    self.times.push((member.path, member.mtime));
                }
                Ok(())
            }
        }
    }

    /// An archive's content goes into the place, which is a directory then.
    fn unpack(&mut self, inside: &mut dyn Read) -> Result<(), ImageError> {
        let left = self.unpacking.limit_bytes.map(|limit| limit.saturating_sub(self.done.bytes));
        let unpacking = Unpacking { limit_bytes: left, whiteouts: Whiteouts::Plain, ..self.unpacking.clone() };
        expect_way(self.root, &self.path)?;
        let unpacked = unpack(inside, self.root, &self.path, &unpacking)?;
        self.done.bytes += unpacked.bytes;
        self.done.files += unpacked.files;
        Ok(())
    }

    fn finish(mut self) -> Result<Unpacked, ImageError> {
        if let Some(mut place) = self.place.take() {
            for (path, mtime) in &self.times {
                place.set_directory_time(path, *mtime)?;
            }
        }
        Ok(self.done)
    }
}

/// Nothing but directories on the way to a place, as far as it is there.
fn expect_way(root: &Path, path: &str) -> Result<(), ImageError> {
    let tree = open_tree(root)?;
    match open_dir_inside(tree.as_fd(), path.trim_matches('/').as_bytes()) {
        Err(Errno::NOTDIR | Errno::LOOP) => Err(in_the_way(path.as_bytes(), "what is there is no directory")),
        _ => Ok(()),
    }
}

fn unfollowed(path: &str, error: Errno) -> ImageError {
    let why = if error == Errno::LOOP { "its symlinks lead in a circle" } else { "its symlinks lead to no place" };
    ImageError::Pattern { pattern: path.to_owned(), why }
}

fn in_the_way(path: &[u8], why: &str) -> ImageError {
    ImageError::Hostile { path: shown(path), why: why.to_owned() }
}

fn is_directory(root: &Path, path: &str) -> Result<bool, ImageError> {
    let tree = open_tree(root)?;
    Ok(open_dir_inside(tree.as_fd(), path.trim_start_matches('/').as_bytes()).is_ok())
}

/// The directory and the name of a path, which may end with `/`.
fn split(path: &str) -> (&str, &str) {
    let path = path.trim_end_matches('/');
    path.rsplit_once('/').unwrap_or(("", path))
}
