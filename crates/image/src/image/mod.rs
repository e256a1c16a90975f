//! Images: a manifest, a config, layers (OCI image spec 1.1).
//!
//! A digest names bytes; so what is digested are the bytes that are stored, never a structure written again.

mod assemble;
mod spec;

use std::collections::{BTreeMap, BTreeSet};

use till_core::port::Layer;
use till_core::{BlobDigest, Digest, ManifestDigest};

use crate::error::ImageError;
use crate::store::Store;
pub(crate) use assemble::json;
pub use assemble::{Assembly, assemble, rfc3339};
pub(crate) use spec::{Descriptor, Index, MANIFEST, Manifest};

/// An image of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// What an image says of itself: as much as is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// The environment of what is started.
    pub env: BTreeMap<String, String>,
    /// Who it runs as.
    pub user: String,
    /// Where it runs.
    pub dir: String,
    /// What is started.
    pub entrypoint: Vec<String>,
    /// Its arguments, unless others are given.
    pub cmd: Vec<String>,
    /// Ports, e.g. `8080/tcp`.
    pub exposed_ports: BTreeSet<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made, as RFC 3339.
    pub created: String,
    /// For which processor, as Go calls it: `amd64`, `arm64`.
    pub architecture: String,
    /// How it came about.
    pub history: Vec<History>,
}

/// How a layer came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// When, as RFC 3339.
    pub created: String,
    /// By what.
    pub created_by: String,
    /// Whether no layer belongs to it.
    pub empty_layer: bool,
}

/// Reads an image of the store.
pub fn load(store: &Store, manifest: &ManifestDigest) -> Result<Image, ImageError> {
    let parsed: Manifest = document("manifest", &manifest.0, &store.get(manifest)?)?;
    let config_digest = &parsed.config.digest;
    let config: spec::ConfigFile = document("config", config_digest, &store.get(config_digest)?)?;
    let diff_ids = &config.rootfs.diff_ids;
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
            diff_id: diff_id.clone(),
            blob: BlobDigest(descriptor.digest),
            size: descriptor.size,
            media_type: descriptor.media_type,
        })
        .collect();
    Ok(Image { manifest: manifest.clone(), config_digest: config_digest.clone(), layers, config: config.into() })
}

/// Reads JSON that a digest names.
pub(crate) fn document<'a, T: serde::Deserialize<'a>>(
    what: &'static str,
    digest: &Digest,
    bytes: &'a [u8],
) -> Result<T, ImageError> {
    serde_json::from_slice(bytes).map_err(|source| ImageError::Document { what, digest: digest.clone(), source })
}
