//! Manifests and indexes of strangers, read with care: bounded, of one kind, and nothing but SHA-256.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;
use serde::de::IgnoredAny;
use till_core::Digest;

use super::Blobs;
use crate::error::ImageError;
use crate::platform::Platform;

/// The largest manifest or config.
pub(crate) const MAX_DOCUMENT: u64 = 16 << 20;

/// The largest index.
pub(crate) const MAX_INDEX: u64 = 4 << 20;

/// What names bytes, checked.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) platform: Option<Platform>,
    pub(crate) annotations: BTreeMap<String, String>,
}

/// What a document is.
#[derive(Debug)]
pub(crate) enum Document {
    Manifest { config: Listed, layers: Vec<Listed> },
    Index(Vec<Listed>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    schema_version: Option<u64>,
    media_type: Option<String>,
    config: Option<RawDescriptor>,
    layers: Option<Vec<RawDescriptor>>,
    manifests: Option<Vec<RawDescriptor>>,
    fs_layers: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    media_type: Option<String>,
    digest: String,
    size: u64,
    platform: Option<Platform>,
    annotations: Option<BTreeMap<String, Option<String>>>,
}

impl RawDescriptor {
    fn check(self) -> Result<Listed, String> {
        let digest = self.digest.parse().map_err(|_| match self.digest.split_once(':') {
            Some((algorithm, _)) if algorithm != "sha256" => {
                format!("`{}` is of an unknown algorithm: only sha256 is known", brief(&self.digest))
            }
            _ => format!("`{}` is not a digest: expected sha256: and 64 lower-case hex digits", brief(&self.digest)),
        })?;
        let annotations = self.annotations.unwrap_or_default();
        Ok(Listed {
            media_type: self.media_type.unwrap_or_default(),
            digest,
            size: self.size,
            platform: self.platform,
            annotations: annotations.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
        })
    }
}

/// A stranger's text is not shown at any length.
pub(crate) fn brief(text: &str) -> String {
    let short: String = text.chars().take(100).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

impl Document {
    /// Reads a document; `what` it is called when it cannot be taken.
    pub(crate) fn read(bytes: &[u8], what: &str) -> Result<Self, ImageError> {
        let refused = |why: String| ImageError::Refused { what: what.to_owned(), why };
        let raw: RawDocument = serde_json::from_slice(bytes).map_err(|error| refused(error.to_string()))?;
        let version = raw.schema_version;
        if raw.fs_layers.is_some() || version == Some(1) {
            return Err(refused("it is of Docker's old schema 1, which names no content".to_owned()));
        }
        if version != Some(2) {
            return Err(refused("its schemaVersion is not 2".to_owned()));
        }
        let kind = raw.media_type.as_deref().map(is_index);
        let all = |descriptors: Vec<RawDescriptor>| {
            descriptors.into_iter().map(RawDescriptor::check).collect::<Result<Vec<_>, _>>()
        };
        match (raw.config, raw.layers, raw.manifests) {
            (Some(config), layers, None) if kind != Some(true) => Ok(Self::Manifest {
                config: config.check().map_err(refused)?,
                layers: all(layers.unwrap_or_default()).map_err(refused)?,
            }),
            (None, None, Some(manifests)) if kind != Some(false) => Ok(Self::Index(all(manifests).map_err(refused)?)),
            _ => Err(refused("it is neither a manifest nor an index, or both".to_owned())),
        }
    }
}

/// Do documents of that type list manifests?
pub(crate) fn is_index(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.image.index.")
        || media_type.starts_with("application/vnd.docker.distribution.manifest.list.")
}

/// The bytes of a document, which are what its descriptor says.
pub(crate) fn fetch(from: &dyn Blobs, listed: &Listed, what: &str, limit: u64) -> Result<Vec<u8>, ImageError> {
    let refused = |why: String| ImageError::Refused { what: format!("{what} {}", listed.digest), why };
    if listed.size > limit {
        return Err(refused(format!("it has {} bytes, more than {limit}", listed.size)));
    }
    let Some(blob) = from.open(&listed.digest)? else {
        return Err(refused("it is not there".to_owned()));
    };
    let mut bytes = Vec::new();
    let read = blob.take(listed.size + 1).read_to_end(&mut bytes);
    read.map_err(crate::error::failed("read", listed.digest.as_str()))?;
    if bytes.len() as u64 != listed.size {
        return Err(refused(format!("it is not of the {} bytes that are said", listed.size)));
    }
    let found = Digest::of(&bytes);
    if found == listed.digest { Ok(bytes) } else { Err(refused(format!("its content has digest {found}"))) }
}

/// What an image's config says that it is for.
pub(crate) fn parse_platform(config: &[u8], digest: &Digest) -> Result<Platform, ImageError> {
    serde_json::from_slice(config)
        .map_err(|error| ImageError::Refused { what: format!("config {digest}"), why: error.to_string() })
}
