//! Images into OCI layouts of others.
//!
//! ```text
//! INTO/oci-layout
//! INTO/blobs/sha256/<hex>    copies: what others do with them does not reach the store
//! INTO/index.json            written last, all at once; one manifest for each reference
//! INTO/.staging/             only while exporting
//! ```

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::thread;

use rustix::fs::{FlockOperation, flock};
use till_core::port::Layer;
use till_core::{Digest, ManifestDigest};

use crate::compress::Compression;
use crate::error::{ImageError, failed};
use crate::image::{Descriptor, Index, MANIFEST, Manifest, document, json, load};
use crate::pack::{compress, open_chunks};
use crate::reading::VerifiedLayer;
use crate::store::Store;

/// The annotation under which layouts name images.
const REFERENCE: &str = "org.opencontainers.image.ref.name";

/// How layers are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportCompression {
    /// As they are stored: the manifest stays the same.
    Keep,
    /// All in this form: another manifest, but the same config and diff ids.
    Convert(Compression),
}

/// Exports an image into an OCI layout, under a reference that it may replace. Answers the manifest there.
pub fn export_oci(
    store: &Store,
    manifest: &ManifestDigest,
    into: &Path,
    reference: &str,
    compression: ExportCompression,
) -> Result<ManifestDigest, ImageError> {
    check(into)?;
    let staging = into.join(".staging");
    let layout = Store::open_staged(into, staging.clone())?;
    let descriptor = blobs(store, manifest, &layout, compression)?;
    let exported = ManifestDigest(descriptor.digest.clone());
    enter(&layout, descriptor, reference)?;
    layout.sweep()?;
    // Another export may be using it.
    let _ = fs::remove_dir(staging);
    Ok(exported)
}

/// Refuses a directory that holds something else.
fn check(into: &Path) -> Result<(), ImageError> {
    if into.join("oci-layout").is_file() {
        return Ok(());
    }
    let mut entries = match fs::read_dir(into) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed("list", into))?,
    };
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(ImageError::NoLayout { path: into.to_owned() }),
    }
}

fn blobs(
    store: &Store,
    manifest: &ManifestDigest,
    layout: &Store,
    compression: ExportCompression,
) -> Result<Descriptor, ImageError> {
    let image = load(store, manifest)?;
    let bytes = store.get(manifest)?;
    let mut parsed: Manifest = document("manifest", &manifest.0, &bytes)?;
    layout.put(&store.get(&parsed.config.digest)?)?;
    let mut changed = false;
    for (descriptor, layer) in parsed.layers.iter_mut().zip(&image.layers) {
        match compression {
            ExportCompression::Convert(to) if to.media_type() != layer.media_type => {
                *descriptor = Descriptor::of_layer(&convert(store, layer, layout, to)?);
                changed = true;
            }
            _ => copy(store, &layer.blob, layout)?,
        }
    }
    let bytes = if changed { json("manifest", &parsed)? } else { bytes };
    Ok(Descriptor::new(MANIFEST, layout.put(&bytes)?, bytes.len() as u64))
}

/// Copies a blob, unless it is there.
fn copy(store: &Store, digest: &Digest, layout: &Store) -> Result<(), ImageError> {
    let size = store.size(digest)?;
    if layout.has(digest) && layout.size(digest)? == size {
        return Ok(());
    }
    let path = store.path(digest);
    let mut source = File::open(&path).map_err(failed("read", &path))?;
    layout.adopt(digest, |file| io::copy(&mut source, file))
}

/// Compresses a layer in another way.
fn convert(store: &Store, layer: &Layer, layout: &Store, to: Compression) -> Result<Layer, ImageError> {
    let blob = layout.writer()?;
    let (mut chunks, full, empty) = open_chunks();
    let (read, made) = thread::scope(|scope| {
        let reader = scope.spawn(move || -> Result<(), ImageError> {
            let mut tar = VerifiedLayer::open(store, layer)?;
            let damaged = |source| ImageError::DamagedLayer { digest: layer.blob.0.clone(), source };
            loop {
                let room = chunks.room().map_err(damaged)?;
                match tar.read(room).map_err(damaged)? {
                    0 => break,
                    count => chunks.filled(count),
                }
            }
            chunks.finish().map_err(damaged)?;
            tar.verify()
        });
        let made = compress(&full, &empty, blob, to);
        drop((full, empty));
        let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (read, made)
    });
    let (diff_id, blob) = made?;
    read?;
    let (blob, size) = blob.finish()?;
    Ok(Layer { diff_id, blob, size, media_type: to.media_type().to_owned() })
}

/// Enters a manifest into the layout's index.
fn enter(layout: &Store, mut descriptor: Descriptor, reference: &str) -> Result<(), ImageError> {
    let root = layout.root();
    let lock = File::open(root).map_err(failed("open", root))?;
    flock(&lock, FlockOperation::LockExclusive).map_err(failed("lock", root))?;
    let path = root.join("index.json");
    let mut index = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Index::default(),
        other => {
            let bytes = other.map_err(failed("read", &path))?;
            serde_json::from_slice(&bytes).map_err(|source| ImageError::Index { path: path.clone(), source })?
        }
    };
    descriptor.annotations.insert(REFERENCE.to_owned(), reference.to_owned());
    index.manifests.retain(|other| other.annotations.get(REFERENCE).is_none_or(|name| name != reference));
    index.manifests.push(descriptor);
    layout.replace(&path, &json("index", &index)?)
}
