//! What a layer's entries say of packages, one after the other: whoever reads them, from a tar or from a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use sha2::{Digest as _, Sha256};
use till_core::Digest;
use till_core::inventory::{Content, FileEntry, FileKind, Found, Interest, LayerScan, read};

use super::content::{HoldError, hold};
use crate::pack::{OPAQUE, WHITEOUT};
use crate::store::Store;

/// How much is read of files that say nothing of packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// How they begin.
    Packages,
    /// All, for the digest of their content.
    Contents,
}

/// The most entries of a layer: more than any image has, and as much as fits into memory.
const MAX_ENTRIES: usize = 4_000_000;

/// The longest path, and all paths of a layer together: what decompresses to more is made to fill our memory.
const MAX_PATH: usize = 8192;
const MAX_PATHS: usize = 512 << 20;

/// Packages of a layer, those counted again that hard links name again.
const MAX_PACKAGES: usize = 2_000_000;

/// As much of a file's beginning as tells what it is.
const BEGINNING: usize = 16;

/// How many names that cannot be used are told.
const MAX_REFUSED: usize = 20;

/// How much is read at once where content is only digested.
const PIECE: usize = 1 << 16;

/// Of what of a tree is in memory at once while it is looked at.
const IN_MEMORY: u64 = 1 << 20;

/// The bytes of a file.
pub(crate) enum Bytes<'b> {
    /// They come once, and in their order.
    Stream(&'b mut dyn Read),
    /// They can be read here and there.
    File(&'b File),
}

/// What is seen of one layer so far.
pub(crate) struct Looking<'a> {
    store: &'a Store,
    depth: Depth,
    pub(super) scan: LayerScan,
    /// Files that links with better names lead to: the first of those names.
    pub(super) linked: BTreeMap<String, String>,
    /// How many packages were found, and how long all paths are together.
    packages: usize,
    paths: usize,
    refused: BTreeSet<String>,
    full: bool,
    buffer: Vec<u8>,
}

impl<'a> Looking<'a> {
    pub(crate) fn new(store: &'a Store, depth: Depth) -> Self {
        Self {
            store,
            depth,
            scan: LayerScan::default(),
            linked: BTreeMap::new(),
            packages: 0,
            paths: 0,
            refused: BTreeSet::new(),
            full: false,
            buffer: Vec::new(),
        }
    }

    /// Begins from the layer's beginning; what was seen stays.
    pub(super) fn again(&mut self) {
        (self.packages, self.paths, self.full) = (0, 0, false);
        self.refused.clear();
    }

    /// A usable name for an entry that is to be looked at; none for one that is not, or that was a whiteout.
    pub(crate) fn admit(&mut self, path: &[u8]) -> Option<String> {
        let Some(plain) = plain_path(path) else {
            if self.refused.len() < MAX_REFUSED {
                self.refused.insert(format!("an entry has no usable name: `{}`", printable(path)));
            }
            return None;
        };
        self.paths += plain.len();
        if self.scan.files.entries.len() >= MAX_ENTRIES || self.paths > MAX_PATHS || self.packages > MAX_PACKAGES {
            self.full = true;
        }
        (!self.full && !self.whiteout(&plain) && !plain.is_empty()).then_some(plain)
    }

    /// Whether nothing more is looked at.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// What was seen; `layer` is its name in findings.
    pub(super) fn findings(&mut self, layer: &str) {
        if self.full {
            self.refused.insert("it has too many files or packages; the rest is left out".to_owned());
        }
        let refused = std::mem::take(&mut self.refused);
        self.scan.findings = refused.into_iter().map(|what| format!("layer {layer}: {what}")).collect();
    }

    /// What was seen of a tree, when one look was enough for all of it and nothing is to be found fault with.
    pub(crate) fn whole(self) -> Option<LayerScan> {
        (self.linked.is_empty() && self.refused.is_empty() && !self.full).then_some(self.scan)
    }

    /// Notes what a whiteout removes. False for what is none.
    fn whiteout(&mut self, path: &str) -> bool {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let (opaque, mark) = (String::from_utf8_lossy(OPAQUE), String::from_utf8_lossy(WHITEOUT));
        if name == opaque {
            self.scan.files.emptied.insert(parent.to_owned());
        } else if let Some(hidden) = name.strip_prefix(&*mark) {
            let path = if parent.is_empty() { hidden.to_owned() } else { format!("{parent}/{hidden}") };
            self.scan.files.removed.insert(path);
        } else {
            return false;
        }
        true
    }

    /// Notes what is no file.
    pub(crate) fn note(&mut self, path: String, entry: FileEntry) {
        self.scan.found.remove(&path);
        self.scan.files.entries.insert(path, entry);
    }

    /// A link is the file to which it leads: but what a file says by its name it does not say by one that says nothing, as
    /// dpkg's `status-old` does not.
    pub(crate) fn hard_link(&mut self, path: String, target: &[u8]) {
        self.scan.found.remove(&path);
        let Some(target) = plain_path(target) else {
            return;
        };
        let (named, target_named) = (Interest::of(&path).is_some(), Interest::of(&target).is_some());
        if let Some(found) = self.scan.found.get(&target).filter(|_| named || !target_named) {
            self.packages += found.packages.len();
            self.scan.found.insert(path.clone(), found.clone());
        } else if named && !target_named {
            self.linked.entry(target.clone()).or_insert_with(|| path.clone());
        }
        if let Some(entry) = self.scan.files.entries.get(&target) {
            let entry = entry.clone();
            self.scan.files.entries.insert(path, entry);
        }
    }

    /// Looks at a file, and notes it.
    pub(crate) fn file(&mut self, path: String, mut entry: FileEntry, bytes: Bytes<'_>) -> Result<(), HoldError> {
        self.scan.found.remove(&path);
        match (self.depth, bytes) {
            (Depth::Contents, Bytes::Stream(bytes)) => entry.content = Some(self.digest(bytes)?),
            (_, bytes) => self.look(&path, entry.size, bytes)?,
        }
        self.scan.files.entries.insert(path, entry);
        Ok(())
    }

    fn digest(&mut self, bytes: &mut dyn Read) -> Result<Digest, HoldError> {
        self.buffer.resize(PIECE, 0);
        let mut hash = Sha256::new();
        loop {
            let count = bytes.read(&mut self.buffer).map_err(HoldError::Archive)?;
            if count == 0 {
                return Ok(Digest::from_sha256(hash.finalize().as_slice()));
            }
            hash.update(&self.buffer[..count]);
        }
    }

    fn look(&mut self, path: &str, size: u64, mut bytes: Bytes<'_>) -> Result<(), HoldError> {
        let name = self.linked.get(path).map_or(path, String::as_str).to_owned();
        self.buffer.clear();
        let interest = match Interest::of(&name) {
            None if size < BEGINNING as u64 => None,
            None => {
                self.begin(&mut bytes)?;
                Interest::of_beginning(&self.buffer)
            }
            interest => interest,
        };
        let found = match (interest, bytes) {
            (None, _) => Found::default(),
            (Some(interest), _) if size > interest.limit() => {
                Found::unreadable(format!("it is too large: {size} bytes"))
            }
            (Some(interest), Bytes::Stream(stream)) => {
                read(interest, &name, &hold(self.store, stream, size, &mut self.buffer)?)
            }
            (Some(interest), Bytes::File(file)) if size <= IN_MEMORY => {
                self.buffer.resize(usize::try_from(size).unwrap_or(0), 0);
                file.read_exact_at(&mut self.buffer, 0).map_err(HoldError::Archive)?;
                read(interest, &name, &self.buffer.as_slice())
            }
            (Some(interest), Bytes::File(file)) => read(interest, &name, &Opened { file, size }),
        };
        self.packages += found.packages.len();
        if !found.is_empty() {
            self.scan.found.insert(path.to_owned(), found);
        }
        Ok(())
    }

    /// Reads how a file begins.
    fn begin(&mut self, bytes: &mut Bytes<'_>) -> Result<(), HoldError> {
        let done = match bytes {
            Bytes::Stream(stream) => stream.by_ref().take(BEGINNING as u64).read_to_end(&mut self.buffer).map(drop),
            Bytes::File(file) => {
                self.buffer.resize(BEGINNING, 0);
                file.read_exact_at(&mut self.buffer, 0)
            }
        };
        done.map_err(HoldError::Archive)
    }
}

/// A file of a tree.
struct Opened<'f> {
    file: &'f File,
    size: u64,
}

impl Content for Opened<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn fill(&self, at: u64, into: &mut [u8]) -> bool {
        at.checked_add(into.len() as u64).is_some_and(|end| end <= self.size)
            && self.file.read_exact_at(into, at).is_ok()
    }
}

/// An entry of a layer without its content.
pub(crate) fn bare(kind: FileKind, mode: u32, (uid, gid): (u64, u64), size: u64) -> FileEntry {
    FileEntry { kind, mode, uid, gid, size, content: None }
}

/// A symlink.
pub(crate) fn symlink(mode: u32, owner: (u64, u64), target: &[u8]) -> FileEntry {
    FileEntry { content: Some(Digest::of(target)), ..bare(FileKind::Symlink, mode, owner, 0) }
}

/// A path without `/` at either end, empty parts and `.`; none when `..` is in it, or it is too long.
fn plain_path(path: &[u8]) -> Option<String> {
    if path.len() > MAX_PATH {
        return None;
    }
    let text = String::from_utf8_lossy(path);
    let parts: Vec<_> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

fn printable(path: &[u8]) -> String {
    String::from_utf8_lossy(path).chars().take(200).map(|c| if c.is_control() { '?' } else { c }).collect()
}

impl From<io::Error> for HoldError {
    fn from(error: io::Error) -> Self {
        Self::Archive(error)
    }
}
