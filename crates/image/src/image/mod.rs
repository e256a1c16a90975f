//! Images: a manifest, a config, layers (OCI image spec 1.1).
//!
//! A digest names bytes; so what is digested are the bytes that are stored, never a structure written again.

mod assemble;
mod config;
mod spec;

use till_core::port::Layer;
use till_core::{BlobDigest, DiffId, Digest, ManifestDigest};

use crate::error::ImageError;
use crate::store::Store;
pub(crate) use assemble::json;
pub use assemble::{Assembly, assemble, rfc3339};
pub use config::{Healthcheck, History, ImageConfig, Object};
pub(crate) use spec::{CONFIG, Descriptor, Index, MANIFEST, Manifest};

/// An image of the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Names it.
    pub manifest: ManifestDigest,
    /// Names the blob of its config.
    pub config_digest: Digest,
    /// The lowest first.
    pub layers: Vec<Layer>,
    /// What it says of itself.
    pub config: ImageConfig,
}

/// Reads an image of the store.
pub fn load(store: &Store, manifest: &ManifestDigest) -> Result<Image, ImageError> {
    let parsed: Manifest = document("manifest", &manifest.0, &store.get(manifest)?)?;
    let config_digest = &parsed.config.digest;
    let (config, diff_ids) = ImageConfig::read(&store.get(config_digest)?).map_err(|source| ImageError::Document {
        what: "config",
        digest: config_digest.clone(),
        source,
    })?;
    if diff_ids.len() != parsed.layers.len() {
        return Err(ImageError::Layers {
            digest: manifest.0.clone(),
            layers: parsed.layers.len(),
            diff_ids: diff_ids.len(),
        });
    }
    let layers = parsed
        .layers
        .into_iter()
        .zip(diff_ids)
        .map(|(descriptor, diff_id)| Layer {
            diff_id,
            blob: BlobDigest(descriptor.digest),
            size: descriptor.size,
            media_type: descriptor.media_type,
        })
        .collect();
    Ok(Image { manifest: manifest.clone(), config_digest: config_digest.clone(), layers, config })
}

/// Reads a config; answers with the layers that it names.
pub(crate) fn read_config(bytes: &[u8]) -> serde_json::Result<(ImageConfig, Vec<DiffId>)> {
    ImageConfig::read(bytes)
}

/// Reads JSON that a digest names.
pub(crate) fn document<'a, T: serde::Deserialize<'a>>(
    what: &'static str,
    digest: &Digest,
    bytes: &'a [u8],
) -> Result<T, ImageError> {
    serde_json::from_slice(bytes).map_err(|source| ImageError::Document { what, digest: digest.clone(), source })
}
