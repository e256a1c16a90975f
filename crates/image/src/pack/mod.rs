//! An overlay's upper directory to a layer, in one pass.
//!
//! ```text
//! walk ─ chunks of tar ─► sha256 (diff id) ─► compression on all cores ─► sha256 (blob) ─► the store's writer
//! ```
//!
//! What the tree says of packages is seen on the way, so that nobody has to read the layer for it.
//!
//! The same tree gives the same bytes: on any machine, whenever and in whatever order its files were made.
//! The tree is kept by the caller as the unpacked layer; so it gets the times that are written down.

mod chunks;
mod content;
mod listing;
mod walk;

use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender};
use std::{io, panic, thread};

use sha2::{Digest as _, Sha256};
use till_core::port::Layer;
use till_core::{DiffId, Digest};

use crate::compress::{Compression, Compressor};
use crate::error::{ImageError, failed};
use crate::ids::IdShift;
use crate::store::{BlobWriter, Store};
use crate::tree::open_tree;
pub(crate) use chunks::{Chunk, Chunks, open as open_chunks};
pub(crate) use content::{AttributeReader, modified, outside_capability};
pub(crate) use walk::{OPAQUE, WHITEOUT};

/// How a tree becomes a layer.
#[derive(Debug, Clone)]
pub struct Packing {
    /// How the tree's owners are shifted.
    pub ids: IdShift,
    /// Seconds since 1970: nothing in the layer is newer.
    pub epoch: u64,
    /// How the layer is stored.
    pub compression: Compression,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The layer, in the store.
    pub layer: Layer,
    /// Bytes of its tar.
    pub content_bytes: u64,
    /// Entries of its tar.
    pub files: u64,
}

/// Packs an overlay's upper directory into a layer.
pub fn pack(upper: &Path, packing: &Packing, store: &Store) -> Result<Packed, ImageError> {
    let root = open_tree(upper)?;
    let blob = store.writer()?;
    let (chunks, full, empty) = open_chunks();
    let (walked, made) = thread::scope(|scope| {
        let walker = scope.spawn(|| walk::walk(upper, root, packing, store, chunks));
        let made = compress(&full, &empty, blob, packing.compression);
        // A walker that waits for room in the channel learns that there is nobody any more.
        drop((full, empty));
        let walked = walker.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
        (walked, made)
    });
    let (diff_id, blob) = made?;
    let walked = walked?;
    let (blob, size) = blob.finish()?;
    if let Some(scan) = walked.scan {
        store.remember(&diff_id, scan);
    }
    Ok(Packed {
        layer: Layer { diff_id, blob, size, media_type: packing.compression.media_type().to_owned() },
        content_bytes: walked.bytes,
        files: walked.entries,
    })
}

/// Hashes and compresses what comes; gives each chunk back.
pub(crate) fn compress(
    full: &Receiver<Chunk>,
    empty: &Sender<Vec<u8>>,
    blob: BlobWriter,
    compression: Compression,
) -> Result<(DiffId, BlobWriter), ImageError> {
    let path = blob.path().to_owned();
    let deed = || -> io::Result<_> {
        let mut hash = Sha256::new();
        let mut compressor = Compressor::new(compression, blob)?;
        for chunk in full {
            let bytes = &chunk.bytes[..chunk.filled];
            hash.update(bytes);
            compressor.write_all(bytes)?;
            // Nobody wants it any more after the last one.
            let _ = empty.send(chunk.bytes);
        }
        let diff_id = DiffId(Digest::from_sha256(hash.finalize().as_slice()));
        Ok((diff_id, compressor.finish()?))
    };
    deed().map_err(failed("write", path))
}
