//! Images into OCI layouts of others, which may hold more already.
//!
//! ```text
//! INTO/oci-layout
//! INTO/blobs/sha256/<hex>    copies: what others do with them does not reach the store
//! INTO/index.json            written last, all at once; one manifest for each reference
//! INTO/.staging/             only while exporting
//! ```

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use till_core::{Digest, ManifestDigest};

use super::convert::{convert, is_other, kept};
use super::{ExportCompression, REFERENCE};
use crate::compress::Compression;
use crate::error::{ImageError, failed};
use crate::image::{CONFIG, Descriptor, Index, MANIFEST, Manifest, document, json, load};
use crate::store::Store;

/// Exports an image into an OCI layout, under a reference that it may replace. Answers the manifest there.
pub(super) fn export(
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
        match is_other(layer, compression) {
            // Nothing is won by keeping what is only larger.
            Some(Compression::None) => {
                let (converted, blob) = convert(store, layer, layout.writer()?, Compression::None)?;
                blob.finish()?;
                *descriptor = Descriptor::of_layer(&converted);
                changed = true;
            }
            Some(to) => {
                let converted = kept(store, layer, to)?;
                copy(store, &converted.blob, layout)?;
                *descriptor = Descriptor::of_layer(&converted);
                changed = true;
            }
            None => copy(store, &layer.blob, layout)?,
        }
    }
    let (bytes, media_type) = finished(parsed, bytes, changed)?;
    Ok(Descriptor::new(media_type, layout.put(&bytes)?, bytes.len() as u64))
}

/// Puts an image with its layers in that form into the store itself. Nothing refers to it there: it is for somebody who sends
/// it at once. Answers its manifest.
pub fn converted(
    store: &Store,
    manifest: &ManifestDigest,
    compression: ExportCompression,
) -> Result<ManifestDigest, ImageError> {
    let image = load(store, manifest)?;
    let bytes = store.get(manifest)?;
    let mut parsed: Manifest = document("manifest", &manifest.0, &bytes)?;
    let mut changed = false;
    for (descriptor, layer) in parsed.layers.iter_mut().zip(&image.layers) {
        if let Some(to) = is_other(layer, compression) {
            *descriptor = Descriptor::of_layer(&kept(store, layer, to)?);
            changed = true;
        }
    }
    let (bytes, _) = finished(parsed, bytes, changed)?;
    Ok(ManifestDigest(store.put(&bytes)?))
}

/// The manifest's bytes and type: its own, unless its layers have changed.
pub(super) fn finished(mut manifest: Manifest, bytes: Vec<u8>, changed: bool) -> Result<(Vec<u8>, String), ImageError> {
    if !changed {
        return Ok((bytes, manifest.media_type.unwrap_or_else(|| MANIFEST.to_owned())));
    }
    // Docker's manifests have other names for the same; their configs are the spec's, with more keys.
    manifest.media_type = Some(MANIFEST.to_owned());
    manifest.config.media_type = CONFIG.to_owned();
    Ok((json("manifest", &manifest)?, MANIFEST.to_owned()))
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
