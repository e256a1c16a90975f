//! Images of strangers, looked through before they count.
//!
//! What is admitted keeps its bytes, and so its digests. Nothing of it is in the store before all of it was looked
//! through; who dies meanwhile leaves files that the next sweep takes.

mod disk;
mod documents;
mod layer;
mod limits;
mod names;

use std::io::Read;

use till_core::port::Layer;
use till_core::{DiffId, Digest, ManifestDigest};

use crate::compress::Compression;
use crate::error::{ImageError, failed};
use crate::image::{ImageConfig, load, read_config};
use crate::store::{BlobWriter, Store};
pub(crate) use documents::{Document, Listed, MAX_DOCUMENT, MAX_INDEX, brief, fetch, is_index, parse_platform};
pub(crate) use layer::{Keep, Passage};
pub use layer::{Verified, verify_layer};
pub use limits::{Admitted, ImportLimits, Policy};

/// Where blobs come from.
pub(crate) trait Blobs {
    /// The blob, if it is there; nothing is believed of it.
    fn open(&self, digest: &Digest) -> Result<Option<Box<dyn Read + '_>>, ImageError>;
}

impl Blobs for Store {
    fn open(&self, digest: &Digest) -> Result<Option<Box<dyn Read + '_>>, ImageError> {
        if !self.has(digest) {
            return Ok(None);
        }
        let path = self.path(digest);
        let file = std::fs::File::open(&path).map_err(failed("read", &path))?;
        Ok(Some(Box::new(file)))
    }
}

/// Looks through an image whose blobs are in the store, all but its manifest; then that is stored, too.
pub fn admit(store: &Store, manifest: &[u8], limits: &ImportLimits) -> Result<Admitted, ImageError> {
    take(store, store, manifest, limits)
}

/// The types of configs that make a manifest an image's.
const CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// Looks through an image, and takes it into the store.
pub(crate) fn take(
    from: &dyn Blobs,
    store: &Store,
    manifest: &[u8],
    limits: &ImportLimits,
) -> Result<Admitted, ImageError> {
    let what = format!("manifest {}", Digest::of(manifest));
    let refused = |why: String| ImageError::Refused { what: what.clone(), why };
    if manifest.len() as u64 > MAX_DOCUMENT {
        return Err(refused(format!("it has {} bytes, more than {MAX_DOCUMENT}", manifest.len())));
    }
    let Document::Manifest { config, layers } = Document::read(manifest, &what)? else {
        return Err(refused("it is an index: one of its manifests has to be chosen".to_owned()));
    };
    if !CONFIGS.contains(&config.media_type.as_str()) {
        return Err(refused(format!("it is no image: its config is `{}`", brief(&config.media_type))));
    }
    let config_bytes = fetch(from, &config, "config", MAX_DOCUMENT)?;
    let (_, diff_ids) = parse_config(&config_bytes, layers.len(), limits)?;
    let mut staged = Vec::new();
    let mut notices = Vec::new();
    let mut left = limits.bytes;
    for (listed, diff_id) in layers.iter().zip(&diff_ids) {
        if listed.media_type == Layer::DISK {
            left -= disk::take_disk(from, store, listed, diff_id, left, &mut staged)?;
            continue;
        }
        if Compression::of_media_type(&listed.media_type).is_none() {
            return Err(refused(format!("a layer is of the unknown type `{}`", brief(&listed.media_type))));
        }
        let verified = take_layer(from, store, listed, diff_id, left, limits, &mut staged)?;
        left -= verified.bytes;
        notices.extend(verified.notices);
    }
    for blob in staged {
        blob.finish()?;
    }
    store.put(&config_bytes)?;
    let manifest = ManifestDigest(store.put(manifest)?);
    Ok(Admitted { image: load(store, &manifest)?, notices })
}

/// Reads a config for so many layers.
pub(crate) fn parse_config(
    bytes: &[u8],
    layers: usize,
    limits: &ImportLimits,
) -> Result<(ImageConfig, Vec<DiffId>), ImageError> {
    let refused = |why: String| ImageError::Refused { what: format!("config {}", Digest::of(bytes)), why };
    let (config, diff_ids) = read_config(bytes).map_err(|error| refused(error.to_string()))?;
    if diff_ids.len() != layers {
        return Err(refused(format!("it has {} diff ids for {layers} layers", diff_ids.len())));
    }
    if layers > limits.layers {
        return Err(refused(format!("{layers} layers, more than {}", limits.layers)));
    }
    Ok((config, diff_ids))
}

fn take_layer(
    from: &dyn Blobs,
    store: &Store,
    listed: &Listed,
    diff_id: &DiffId,
    bytes: u64,
    limits: &ImportLimits,
    staged: &mut Vec<BlobWriter>,
) -> Result<Verified, ImageError> {
    // What is there is not copied again. It is looked through all the same: who put it there had other limits.
    let there = Blobs::open(store, &listed.digest)?;
    let is_new = there.is_none() && !staged.iter().any(|blob| blob.sum().0 == listed.digest);
    let blob = match there {
        Some(blob) => Some(blob),
        None => from.open(&listed.digest)?,
    };
    let Some(blob) = blob else {
        let what = format!("layer {}", listed.digest);
        return Err(ImageError::Refused { what, why: "it is not there".to_owned() });
    };
    let mut writer = if is_new { Some(store.writer()?) } else { None };
    let passage = Passage {
        blob,
        named: Some((&listed.digest, listed.size)),
        diff_id,
        keep: writer.as_mut().map_or(Keep::Nothing, |writer| Keep::Blob(writer)),
        bytes,
    };
    let verified = passage.look_through(limits)?;
    staged.extend(writer);
    Ok(verified)
}
