//! A tree's files, named by patterns, to a tar archive whose names are relative to where they will go.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, OFlags, Stat, fstat, readlinkat, statat};
use rustix::io::Errno;
use till_core::dockerfile::glob;
use till_core::dockerfile::ignore::Ignore;
use till_core::dockerfile::plan::clean;
use till_core::plan::TreeFiles;

use crate::archive::{Attributes, BLOCK, Header, Kind, padding, write_header};
use crate::error::{ImageError, failed, shown};
use crate::ids::IdShift;
use crate::pack::AttributeReader;
use crate::tree::{each_entry, open_dir, open_dir_inside, open_inside, open_tree};

/// A tree can be laid out so that a pattern of a few stars finds very much.
const MAX_FOUND: usize = 100_000;

/// Each level holds a descriptor; no honest tree is nearly as deep.
const MAX_DEPTH: usize = 256;

/// What was gathered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gathering {
    /// Entries of the archive.
    pub entries: u64,
}

/// Writes the files that `files` names in the tree at `root` as tar; owners as an instance sees them.
///
/// A name without wildcards that is not there is an error; a pattern that finds nothing is none (BuildKit's
/// `AllowEmptyWildcard`). A symlink that is named is followed inside the tree; those below a directory are kept.
pub fn gather(root: &Path, files: &TreeFiles, ids: &IdShift, into: &mut dyn Write) -> Result<Gathering, ImageError> {
    let tree = open_tree(root)?;
    let mut gatherer = Gatherer {
        tree,
        files,
        exclude: Ignore::of(files.exclude.iter().map(String::as_str)),
        ids,
        into,
        attributes: AttributeReader::new(),
        written: BTreeSet::new(),
        links: HashMap::new(),
        entries: 0,
    };
    for source in &files.sources {
        gatherer.source(source)?;
    }
    gatherer.put(&[0; 2 * BLOCK])?;
    gatherer.into.flush().map_err(failed("write", "the archive"))?;
    Ok(Gathering { entries: gatherer.entries })
}

struct Gatherer<'a> {
    tree: OwnedFd,
    files: &'a TreeFiles,
    exclude: Ignore,
    ids: &'a IdShift,
    into: &'a mut dyn Write,
    attributes: AttributeReader,
    /// Directories that have an entry; several sources may share some.
    written: BTreeSet<String>,
    /// Files with several names below the directory that is copied: the name of each in the archive. Not of other sources:
    /// those may have put something else under that name, and a single file is renamed where it comes to lie.
    links: HashMap<(u64, u64), String>,
    entries: u64,
}

impl Gatherer<'_> {
    fn source(&mut self, source: &str) -> Result<(), ImageError> {
        // What stands before `/./` is not kept by `--parents`.
        let (pivot, _) = source.split_once("/./").unwrap_or(("", ""));
        let pivot = clean(pivot);
        let pattern = clean(source);
        for path in self.find(&pattern)? {
            let below = path.strip_prefix(pivot.as_str()).map_or(path.as_str(), |rest| rest.trim_start_matches('/'));
            self.found(&path, below)?;
        }
        Ok(())
    }

    /// What a pattern finds, relative to the root of the tree, sorted.
    fn find(&self, pattern: &str) -> Result<Vec<String>, ImageError> {
        if !is_wild(pattern) {
            return Ok(vec![pattern.to_owned()]);
        }
        let bad = |why| ImageError::Pattern { pattern: pattern.to_owned(), why };
        let mut found = vec![String::new()];
        let parts: Vec<_> = pattern.split('/').collect();
        for (number, part) in parts.iter().enumerate() {
            let mut next = BTreeSet::new();
            for path in &found {
                if self.files.parents && *part == "**" {
                    next.insert(path.clone());
                    self.below(path, 0, &mut next)?;
                } else {
                    self.matching(path, part, number + 1 == parts.len(), &mut next)?;
                }
                if next.len() > MAX_FOUND {
                    return Err(bad("it finds more than 100000 paths"));
                }
            }
            found = next.into_iter().collect();
        }
        found.retain(|path| !path.is_empty());
        Ok(found)
    }

    /// The entries of `path` that a part of a pattern matches; what is on the way has to be a directory.
    fn matching(&self, path: &str, part: &str, last: bool, found: &mut BTreeSet<String>) -> Result<(), ImageError> {
        let Ok(dir) = open_dir_inside(self.tree.as_fd(), path.as_bytes()) else {
            return Ok(());
        };
        let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        if !is_wild(part) {
            if statat(&dir, part, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                found.insert(join(part));
            }
            return Ok(());
        }
        let mut names = Vec::new();
        each_entry(&dir, |name, kind| {
            if let Ok(name) = name.to_str() {
                names.push((name.to_owned(), kind));
            }
        })
        .map_err(failed("list", format!("/{path}")))?;
        for (name, kind) in names {
            let fits = glob::matches(part, &name)
                .map_err(|_| ImageError::Pattern { pattern: part.to_owned(), why: "it is no pattern" })?;
            if fits && (last || kind == FileType::Directory) {
                found.insert(join(&name));
            }
        }
        Ok(())
    }

    /// All directories below.
    fn below(&self, path: &str, depth: usize, found: &mut BTreeSet<String>) -> Result<(), ImageError> {
        let Ok(dir) = open_dir_inside(self.tree.as_fd(), path.as_bytes()) else {
            return Ok(());
        };
        let mut names = Vec::new();
        each_entry(&dir, |name, kind| {
            if kind == FileType::Directory
                && let Ok(name) = name.to_str()
            {
                names.push(name.to_owned());
            }
        })
        .map_err(failed("list", format!("/{path}")))?;
        for name in names {
            let below = if path.is_empty() { name } else { format!("{path}/{name}") };
            if depth < MAX_DEPTH && found.len() <= MAX_FOUND {
                self.below(&below, depth + 1, found)?;
            }
            found.insert(below);
        }
        Ok(())
    }

    /// Writes what was found at `path`.
    fn found(&mut self, path: &str, kept: &str) -> Result<(), ImageError> {
        let missing = |error: Errno| match error {
            Errno::NOENT | Errno::NOTDIR => ImageError::Absent { path: format!("/{path}") },
            other => failed("open", format!("/{path}"))(other),
        };
        let handle = open_inside(self.tree.as_fd(), path.as_bytes(), OFlags::PATH).map_err(missing)?;
        let stat = fstat(&handle).map_err(missing)?;
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let name = path.rsplit('/').next().unwrap_or(path);
        let to = match (self.files.parents, is_directory) {
            (true, _) => kept.to_owned(),
            (false, true) => String::new(),
            (false, false) => name.to_owned(),
        };
        if self.files.parents {
            self.parents(path, &to)?;
        }
        self.links.clear();
        if is_directory {
            let dir = open_dir_inside(self.tree.as_fd(), path.as_bytes()).map_err(missing)?;
            self.directory(dir, &to, "", 0)
        } else if self.is_excluded(name) {
            Ok(())
        } else {
            self.opened(path, &to, &stat)
        }
    }

    /// The directories above what is kept with its path, as they are.
    fn parents(&mut self, path: &str, to: &str) -> Result<(), ImageError> {
        let skipped = path.len().saturating_sub(to.len());
        for (end, _) in to.match_indices('/') {
            let above = &to[..end];
            if !self.written.insert(above.to_owned()) {
                continue;
            }
            let full = &path[..skipped + end];
            let dir =
                open_dir_inside(self.tree.as_fd(), full.as_bytes()).map_err(failed("open", format!("/{full}")))?;
            let stat = fstat(&dir).map_err(failed("look at", format!("/{full}")))?;
            let attributes = self.read_attributes(&dir, full)?;
            self.header(above, Kind::Directory, &stat, b"", &attributes)?;
        }
        Ok(())
    }

    /// A directory and all that is in it. `below` is the path from the directory that was named.
    fn directory(&mut self, dir: OwnedFd, to: &str, below: &str, depth: usize) -> Result<(), ImageError> {
        if depth > MAX_DEPTH {
            return Err(unfit(to, format!("directories are nested more than {MAX_DEPTH} deep")));
        }
        let stat = fstat(&dir).map_err(failed("look at", to))?;
        if self.written.insert(to.to_owned()) || !to.is_empty() {
            let attributes = self.read_attributes(&dir, to)?;
            self.header(to, Kind::Directory, &stat, b"", &attributes)?;
        }
        let mut names = Vec::new();
        each_entry(&dir, |name, _| names.push(name.to_bytes().to_vec())).map_err(failed("list", to))?;
        names.sort();
        for name in names {
            let Ok(name) = String::from_utf8(name) else {
                return Err(unfit(to, "it holds a name that is not UTF-8".to_owned()));
            };
            let join = |path: &str| if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            let (to, below) = (join(to), join(below));
            let stat = statat(&dir, name.as_str(), AtFlags::SYMLINK_NOFOLLOW).map_err(failed("look at", &to))?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory if self.is_pruned(&below) => {}
                FileType::Directory => {
                    let inner = open_dir(&dir, name.as_bytes()).map_err(failed("open", &to))?;
                    self.directory(inner, &to, &below, depth + 1)?;
                }
                _ if self.is_excluded(&below) => {}
                _ => self.entry(dir.as_fd(), &name, &to, &stat)?,
            }
        }
        Ok(())
    }

    fn is_excluded(&self, path: &str) -> bool {
        self.exclude.excludes(path)
    }

    /// A directory that is left out whole; with exceptions (`!`) it has to be looked into.
    fn is_pruned(&self, path: &str) -> bool {
        self.is_excluded(path) && !self.exclude.has_exceptions()
    }

    /// What is no directory, by the directory that it is in.
    fn entry(&mut self, dir: BorrowedFd<'_>, name: &str, to: &str, stat: &Stat) -> Result<(), ImageError> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                let target = readlinkat(dir, name, Vec::new()).map_err(failed("read", to))?;
                self.header(to, Kind::Symlink, stat, target.as_bytes(), &Attributes::new())
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = rustix::fs::openat(dir, name, flags, rustix::fs::Mode::empty());
                self.linked(file.map_err(failed("open", to))?, to)
            }
            FileType::Fifo => self.header(to, Kind::Fifo, stat, b"", &Attributes::new()),
            // Sockets: nobody listens there any more. Devices: every instance has its own.
            _ => Ok(()),
        }
    }

    /// What was named itself, links followed.
    fn opened(&mut self, path: &str, to: &str, stat: &Stat) -> Result<(), ImageError> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NONBLOCK;
                let file = open_inside(self.tree.as_fd(), path.as_bytes(), flags);
                self.file(file.map_err(failed("open", format!("/{path}")))?, to)
            }
            FileType::Fifo => self.header(to, Kind::Fifo, stat, b"", &Attributes::new()),
            _ => Err(unfit(to, "it is neither file nor directory".to_owned())),
        }
    }

    /// A file, or a link to it where it was written under another name.
    fn linked(&mut self, file: OwnedFd, to: &str) -> Result<(), ImageError> {
        let stat = fstat(&file).map_err(failed("look at", to))?;
        if stat.st_nlink > 1 {
            let inode = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.links.get(&inode).cloned() {
                return self.header(to, Kind::HardLink, &stat, first.as_bytes(), &Attributes::new());
            }
            self.links.insert(inode, to.to_owned());
        }
        self.file(file, to)
    }

    fn file(&mut self, file: OwnedFd, to: &str) -> Result<(), ImageError> {
        let stat = fstat(&file).map_err(failed("look at", to))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(unfit(to, "it changed while it was read".to_owned()));
        }
        let attributes = self.read_attributes(&file, to)?;
        self.header(to, Kind::File, &stat, b"", &attributes)?;
        let size = stat.st_size.cast_unsigned();
        let mut content = std::io::Read::take(std::fs::File::from(file), size);
        let copied = std::io::copy(&mut content, &mut self.into).map_err(failed("copy", to))?;
        if copied < size {
            return Err(unfit(to, "it became shorter while it was read".to_owned()));
        }
        let pad = usize::try_from(padding(size)).unwrap_or(0);
        self.put(&[0; BLOCK][..pad])
    }

    fn read_attributes(&mut self, file: &OwnedFd, to: &str) -> Result<Attributes, ImageError> {
        self.attributes.kept(file, self.ids).map_err(|why| unfit(to, why))
    }

    fn header(
        &mut self,
        to: &str,
        kind: Kind,
        stat: &Stat,
        link: &[u8],
        attributes: &Attributes,
    ) -> Result<(), ImageError> {
        let mut bytes = Vec::new();
        write_header(
            &Header {
                path: if to.is_empty() { b"." } else { to.as_bytes() },
                kind,
                mode: stat.st_mode,
                uid: self.ids.inside(stat.st_uid)?,
                gid: self.ids.inside(stat.st_gid)?,
                size: if kind == Kind::File { stat.st_size.cast_unsigned() } else { 0 },
                mtime: u64::try_from(stat.st_mtime).unwrap_or(0),
                link,
                attributes,
            },
            &mut bytes,
        );
        self.entries += 1;
        self.put(&bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        self.into.write_all(bytes).map_err(failed("write", "the archive"))
    }
}

fn unfit(path: &str, why: String) -> ImageError {
    ImageError::Unfit { path: shown(path.as_bytes()), why }
}

fn is_wild(pattern: &str) -> bool {
    pattern.contains(['*', '?', '[', '\\'])
}
