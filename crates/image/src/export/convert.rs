//! Layers in another compression: other blobs, the same content.

use std::io::Read as _;
use std::thread;

use till_core::BlobDigest;
use till_core::port::Layer;

use super::ExportCompression;
use crate::compress::Compression;
use crate::error::ImageError;
use crate::pack::{compress, open_chunks};
use crate::reading::VerifiedLayer;
use crate::store::{BlobWriter, Store};

/// The form in which a layer is wanted, where it is not in that form.
pub(super) fn is_other(layer: &Layer, wanted: ExportCompression) -> Option<Compression> {
    match wanted {
        // A disk is compressed in itself.
        _ if layer.is_disk() => None,
        ExportCompression::Convert(to) if Compression::of_media_type(&layer.media_type) != Some(to) => Some(to),
        _ => None,
    }
}

/// A layer of the store in another compression, which the store keeps until what nothing needs is removed: an image is sent
/// or written in that form more than once, and images share layers.
pub(super) fn kept(store: &Store, layer: &Layer, to: Compression) -> Result<Layer, ImageError> {
    let of = |blob: BlobDigest, size| Layer {
        diff_id: layer.diff_id.clone(),
        blob,
        size,
        media_type: to.media_type().to_owned(),
    };
    if let Some((blob, size)) = store.conversion(&layer.blob, to.media_type()) {
        return Ok(of(blob, size));
    }
    let (converted, blob) = convert(store, layer, store.writer()?, to)?;
    blob.finish()?;
    store.remember_conversion(&layer.blob, to.media_type(), &converted.blob)?;
    Ok(of(converted.blob, converted.size))
}

/// Compresses a layer in another way. The blob is not finished yet.
pub(super) fn convert(
    store: &Store,
    layer: &Layer,
    blob: BlobWriter,
    to: Compression,
) -> Result<(Layer, BlobWriter), ImageError> {
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
    let (digest, size) = blob.sum();
    Ok((Layer { diff_id, blob: BlobDigest(digest), size, media_type: to.media_type().to_owned() }, blob))
}
