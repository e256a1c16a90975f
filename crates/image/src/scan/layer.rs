//! One layer, read from its first byte to its last.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use sha2::{Digest as _, Sha256};
use till_core::Digest;
use till_core::inventory::{FileEntry, FileKind, Found, Interest, LayerScan, read};
use till_core::port::Layer;

use super::content::{HoldError, hold};
use crate::error::ImageError;
use crate::pack::{OPAQUE, WHITEOUT};
use crate::reading::open_layer;
use crate::store::Store;
use crate::unpack::reader::{Entry, Reader};

/// How much is read of files that say nothing of packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
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
const BEGINNING: u64 = 16;

/// How many names that cannot be used are told.
const MAX_REFUSED: usize = 20;

/// How much is read at once where content is only digested.
const PIECE: usize = 1 << 16;

/// Reads a layer.
pub(super) fn scan_layer(store: &Store, layer: &Layer, depth: Depth) -> Result<LayerScan, ImageError> {
    let mut scanning = Scanning::new(store, layer, depth);
    scanning.pass()?;
    if depth == Depth::Packages && !scanning.linked.is_empty() {
        // Hard links whose name says more than that of the file which they link to: it is read again by their names.
        scanning.pass()?;
        // What was read by a link's name is there under that name.
        scanning.linked.keys().for_each(|target| drop(scanning.scan.found.remove(target)));
    }
    Ok(scanning.scan)
}

struct Scanning<'a> {
    store: &'a Store,
    layer: &'a Layer,
    depth: Depth,
    scan: LayerScan,
    /// Files that links with better names lead to: the first of those names.
    linked: BTreeMap<String, String>,
    /// How many packages were found.
    packages: usize,
    buffer: Vec<u8>,
}

impl<'a> Scanning<'a> {
    fn new(store: &'a Store, layer: &'a Layer, depth: Depth) -> Self {
        Self {
            store,
            layer,
            depth,
            scan: LayerScan::default(),
            linked: BTreeMap::new(),
            packages: 0,
            buffer: Vec::new(),
        }
    }

    fn damaged(&self) -> impl Fn(io::Error) -> ImageError + use<> {
        let digest = self.layer.blob.0.clone();
        move |source| ImageError::DamagedLayer { digest: digest.clone(), source }
    }

    fn pass(&mut self) -> Result<(), ImageError> {
        let mut tar = open_layer(self.store, self.layer)?;
        let mut reader = Reader::new(&mut *tar);
        let mut refused: BTreeSet<String> = BTreeSet::new();
        let mut paths = 0;
        self.packages = 0;
        while let Some(entry) = reader.next().map_err(self.damaged())? {
            let Some(path) = plain_path(&entry.path) else {
                if refused.len() < MAX_REFUSED {
                    refused.insert(format!("an entry has no usable name: `{}`", printable(&entry.path)));
                }
                continue;
            };
            paths += path.len();
            let entries = self.scan.files.entries.len();
            if entries >= MAX_ENTRIES || paths > MAX_PATHS || self.packages > MAX_PACKAGES {
                refused.insert("it has too many files or packages; the rest is left out".to_owned());
                break;
            }
            if !self.whiteout(&path) && !path.is_empty() {
                self.entry(path, &entry, &mut reader)?;
            }
        }
        let layer = &self.layer.diff_id;
        self.scan.findings = refused.into_iter().map(|what| format!("layer {layer}: {what}")).collect();
        Ok(())
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

    fn entry(&mut self, path: String, entry: &Entry, reader: &mut Reader<'_>) -> Result<(), ImageError> {
        self.scan.found.remove(&path);
        let kind = match entry.flag {
            b'5' => FileKind::Directory,
            b'\0' | b'0' | b'7' if entry.path.ends_with(b"/") => FileKind::Directory,
            b'\0' | b'0' | b'7' => FileKind::File,
            b'1' => {
                self.hard_link(path, &entry.link);
                return Ok(());
            }
            b'2' => FileKind::Symlink,
            _ => FileKind::Special,
        };
        let content = match kind {
            FileKind::File => self.file(&path, entry.size, reader)?,
            FileKind::Symlink => Some(Digest::of(&entry.link)),
            _ => None,
        };
        let size = if kind == FileKind::File { entry.size } else { 0 };
        let entry = FileEntry { kind, mode: entry.mode, uid: entry.uid, gid: entry.gid, size, content };
        self.scan.files.entries.insert(path, entry);
        Ok(())
    }

    /// A link is the file to which it leads: but what a file says by its name it does not say by one that says nothing, as
    /// dpkg's `status-old` does not.
    fn hard_link(&mut self, path: String, target: &[u8]) {
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

    fn digest(&mut self, reader: &mut Reader<'_>) -> Result<Digest, ImageError> {
        self.buffer.resize(PIECE, 0);
        let mut hash = Sha256::new();
        loop {
            let count = reader.read(&mut self.buffer).map_err(self.damaged())?;
            if count == 0 {
                return Ok(Digest::from_sha256(hash.finalize().as_slice()));
            }
            hash.update(&self.buffer[..count]);
        }
    }

    /// Looks at a file; answers the digest of its content where that is wanted.
    fn file(&mut self, path: &str, size: u64, reader: &mut Reader<'_>) -> Result<Option<Digest>, ImageError> {
        if self.depth == Depth::Contents {
            return self.digest(reader).map(Some);
        }
        let name = self.linked.get(path).map_or(path, String::as_str).to_owned();
        self.buffer.clear();
        let interest = match Interest::of(&name) {
            None if size < BEGINNING => None,
            None => {
                reader.take(BEGINNING).read_to_end(&mut self.buffer).map_err(self.damaged())?;
                Interest::of_beginning(&self.buffer)
            }
            interest => interest,
        };
        let found = match interest {
            None => Found::default(),
            Some(interest) if size > interest.limit() => Found::unreadable(format!("it is too large: {size} bytes")),
            Some(interest) => match hold(self.store, reader, size, &mut self.buffer) {
                Ok(content) => read(interest, &name, &content),
                Err(HoldError::Archive(error)) => return Err(self.damaged()(error)),
                Err(HoldError::Disk(error)) => return Err(error),
            },
        };
        self.packages += found.packages.len();
        if !found.is_empty() {
            self.scan.found.insert(path.to_owned(), found);
        }
        Ok(None)
    }
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
