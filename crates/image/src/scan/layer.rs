//! One layer, read from its first byte to its last.

use std::io;

use till_core::inventory::{FileKind, LayerScan};
use till_core::port::Layer;

use super::content::HoldError;
use super::looking::{Bytes, Depth, Looking, bare, symlink};
use crate::error::ImageError;
use crate::reading::open_layer;
use crate::store::Store;
use crate::unpack::reader::{Entry, Reader};

/// Reads a layer.
pub(super) fn scan_layer(store: &Store, layer: &Layer, depth: Depth) -> Result<LayerScan, ImageError> {
    let mut looking = Looking::new(store, depth);
    pass(&mut looking, store, layer)?;
    if depth == Depth::Packages && !looking.linked.is_empty() {
        // Hard links whose name says more than that of the file which they link to: it is read again by their names.
        looking.again();
        pass(&mut looking, store, layer)?;
        // What was read by a link's name is there under that name.
        looking.linked.keys().for_each(|target| drop(looking.scan.found.remove(target)));
    }
    Ok(looking.scan)
}

fn pass(looking: &mut Looking<'_>, store: &Store, layer: &Layer) -> Result<(), ImageError> {
    let damaged = |source: io::Error| ImageError::DamagedLayer { digest: layer.blob.0.clone(), source };
    let mut tar = open_layer(store, layer)?;
    let mut reader = Reader::new(&mut *tar);
    while let Some(entry) = reader.next().map_err(damaged)? {
        if let Some(path) = looking.admit(&entry.path) {
            look(looking, path, &entry, &mut reader).map_err(|error| match error {
                HoldError::Archive(source) => damaged(source),
                HoldError::Disk(error) => error,
            })?;
        }
        if looking.is_full() {
            break;
        }
    }
    looking.findings(&layer.diff_id.to_string());
    Ok(())
}

fn look(looking: &mut Looking<'_>, path: String, entry: &Entry, reader: &mut Reader<'_>) -> Result<(), HoldError> {
    let owner = (entry.uid, entry.gid);
    let of = |kind| bare(kind, entry.mode, owner, 0);
    match entry.flag {
        b'\0' | b'0' | b'7' if !entry.path.ends_with(b"/") => {
            let file = bare(FileKind::File, entry.mode, owner, entry.size);
            return looking.file(path, file, Bytes::Stream(reader));
        }
        b'\0' | b'0' | b'7' | b'5' => looking.note(path, of(FileKind::Directory)),
        b'1' => looking.hard_link(path, &entry.link),
        b'2' => looking.note(path, symlink(entry.mode, owner, &entry.link)),
        _ => looking.note(path, of(FileKind::Special)),
    }
    Ok(())
}
