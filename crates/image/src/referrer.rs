//! Documents about an image, attached to it as the OCI image spec's referrers: a manifest with a `subject`.
//!
//! The image does not know of them; who keeps it has to keep them, too.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

use serde::{Deserialize, Serialize};
use till_core::{Digest, ManifestDigest};

use crate::error::{ImageError, failed};
use crate::image::{Descriptor, MANIFEST, document, json};
use crate::store::Store;

/// The config of a manifest that has none.
const EMPTY: &[u8] = b"{}";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// A document about some hundred thousand packages.
const MAX_DOCUMENT: u64 = 512 << 20;

/// A manifest that holds a document about another.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    schema_version: u32,
    media_type: String,
    artifact_type: String,
    config: Descriptor,
    layers: Vec<Descriptor>,
    subject: Descriptor,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// A document and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The document's media type.
    pub artifact_type: String,
    /// The image.
    pub subject: ManifestDigest,
    /// The document's blob.
    pub document: Digest,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Stores a document about an image of the store; answers the manifest that attaches it.
pub fn attach(
    store: &Store,
    subject: &ManifestDigest,
    artifact_type: &str,
    bytes: &[u8],
    created: &str,
) -> Result<ManifestDigest, ImageError> {
    let of = |digest: Digest, media_type: &str, size: usize| Descriptor::new(media_type, digest, size as u64);
    let manifest = Referrer {
        schema_version: 2,
        media_type: MANIFEST.to_owned(),
        artifact_type: artifact_type.to_owned(),
        config: of(store.put(EMPTY)?, EMPTY_TYPE, EMPTY.len()),
        layers: vec![of(store.put(bytes)?, artifact_type, bytes.len())],
        subject: Descriptor::new(MANIFEST, subject.0.clone(), store.size(subject)?),
        annotations: BTreeMap::from([("org.opencontainers.image.created".to_owned(), created.to_owned())]),
    };
    Ok(ManifestDigest(store.put(&json("manifest", &manifest)?)?))
}

/// The document that such a manifest attaches.
pub fn attached(store: &Store, manifest: &ManifestDigest) -> Result<Attached, ImageError> {
    let parsed = parse(store, manifest)?;
    // We write one layer; a manifest of others may have none, and then its config is the document.
    let document = parsed.layers.first().unwrap_or(&parsed.config).digest.clone();
    let bytes = whole(store, &document)?;
    Ok(Attached {
        artifact_type: parsed.artifact_type,
        subject: ManifestDigest(parsed.subject.digest),
        document,
        bytes,
    })
}

/// All blobs that such a manifest needs, itself among them.
pub fn blobs_of(store: &Store, manifest: &ManifestDigest) -> Result<Vec<Digest>, ImageError> {
    let parsed = parse(store, manifest)?;
    let of_it = parsed.layers.into_iter().map(|layer| layer.digest);
    Ok(of_it.chain([parsed.config.digest, manifest.0.clone()]).collect())
}

fn parse(store: &Store, manifest: &ManifestDigest) -> Result<Referrer, ImageError> {
    document("manifest", &manifest.0, &store.get(manifest)?)
}

/// A document, which may be larger than what the store reads whole.
fn whole(store: &Store, digest: &Digest) -> Result<Vec<u8>, ImageError> {
    let size = store.size(digest)?;
    if size > MAX_DOCUMENT {
        return Err(ImageError::LargeBlob { digest: digest.clone(), size });
    }
    let path = store.path(digest);
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(failed("read", &path))?;
    file.take(MAX_DOCUMENT).read_to_end(&mut bytes).map_err(failed("read", &path))?;
    let found = Digest::of(&bytes);
    if found == *digest { Ok(bytes) } else { Err(ImageError::Damaged { expected: digest.clone(), found }) }
}
