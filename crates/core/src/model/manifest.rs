//! What registries answer with: an image's manifest, or an index of several; and which of them this machine wants.
//!
//! Only what is needed to find blobs is read. The bytes stay what they are: their digest names them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, ManifestDigest};

/// An image's manifest, of the OCI image spec.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An index of the OCI image spec.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An image's manifest, as Docker wrote it before.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// An index, as Docker wrote it before.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// All that is understood.
pub const MANIFEST_TYPES: [&str; 4] = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX];

/// A document as a registry keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Of the bytes.
    pub digest: ManifestDigest,
    /// What they are.
    pub media_type: String,
    /// As they came.
    pub bytes: Vec<u8>,
}

/// Names bytes, and says what they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What they are.
    pub media_type: String,
    /// Of the bytes.
    pub digest: Digest,
    /// How many.
    pub size: u64,
    /// In an index: for which machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Whatever else stands there.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

/// For which machines an image is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// E.g. `linux`.
    #[serde(default)]
    pub os: String,
    /// As Go calls it: `amd64`, `arm64`.
    #[serde(default)]
    pub architecture: String,
    /// E.g. `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Whatever else stands there.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

/// What a document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// One image.
    Image {
        /// Its config.
        config: Box<Descriptor>,
        /// The lowest first.
        layers: Vec<Descriptor>,
        /// What it belongs to, e.g. as its signature.
        subject: Option<Box<Descriptor>>,
    },
    /// Several.
    Index(Vec<Descriptor>),
}

/// A document that is not understood.
#[derive(Debug, thiserror::Error)]
pub enum BadDocument {
    /// Of a kind that nobody uses any more, or not yet.
    #[error("`{0}` is neither an image's manifest nor an index")]
    Unknown(String),
    /// Named one thing and saying another: who believes which is how one is deceived.
    #[error("it is called `{called}`, but says `{says}`")]
    Ambiguous {
        /// By the registry or descriptor.
        called: String,
        /// By itself.
        says: String,
    },
    /// No JSON of that kind.
    #[error("it is not as its media type says")]
    Json(#[from] serde_json::Error),
    /// Both kinds in one.
    #[error("it has both layers and manifests")]
    Both,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    media_type: Option<String>,
    config: Option<Box<Descriptor>>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Box<Descriptor>>,
}

impl Content {
    /// Reads a document.
    pub fn of(document: &Document) -> Result<Self, BadDocument> {
        let called = document.media_type.as_str();
        if !MANIFEST_TYPES.contains(&called) {
            return Err(BadDocument::Unknown(called.to_owned()));
        }
        let raw: Raw = serde_json::from_slice(&document.bytes)?;
        if let Some(says) = raw.media_type.filter(|says| says != called) {
            return Err(BadDocument::Ambiguous { called: called.to_owned(), says });
        }
        let missing = |what: &str| BadDocument::Json(serde::de::Error::custom(format!("no `{what}`")));
        if matches!(called, OCI_INDEX | DOCKER_INDEX) {
            return match (raw.manifests, raw.layers) {
                (_, Some(_)) => Err(BadDocument::Both),
                (manifests, None) => Ok(Self::Index(manifests.ok_or_else(|| missing("manifests"))?)),
            };
        }
        if raw.manifests.is_some() {
            return Err(BadDocument::Both);
        }
        Ok(Self::Image {
            config: raw.config.ok_or_else(|| missing("config"))?,
            layers: raw.layers.ok_or_else(|| missing("layers"))?,
            subject: raw.subject,
        })
    }
}

impl Platform {
    /// A platform without anything else.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let variant = variant.map(str::to_owned);
        Self { os: os.to_owned(), architecture: architecture.to_owned(), variant, rest: BTreeMap::new() }
    }

    /// This machine's.
    pub fn here() -> Self {
        // Before 64 bits Go knew several ARMs; ours is compiled for the seventh.
        let variant = (std::env::consts::ARCH == "arm").then_some("v7");
        Self::new("linux", architecture(), variant)
    }

    /// As people write it: `linux/arm64/v8`.
    pub fn shown(&self) -> String {
        let variant = self.variant.as_ref().map_or_else(String::new, |variant| format!("/{variant}"));
        format!("{}/{}{variant}", self.os, self.architecture)
    }

    /// How well an image for `other` runs here; none: not at all. The variants of 64-bit ARM begin at v8, so that one is
    /// meant where none is given; otherwise an image without variant runs everywhere, but less well than the very one.
    fn fitness(&self, other: &Self) -> Option<u8> {
        if self.os != other.os || self.architecture != other.architecture {
            return None;
        }
        let default = (self.architecture == "arm64").then_some("v8");
        let (ours, theirs) = (self.variant.as_deref().or(default), other.variant.as_deref().or(default));
        match (ours, theirs) {
            (ours, theirs) if ours == theirs => Some(2),
            (_, None) => Some(1),
            _ => None,
        }
    }

    /// The entry of an index that is for this platform: the best, of equals the first. One that says nothing of platforms
    /// is taken only when it is alone.
    pub fn choose<'a>(&self, entries: &'a [Descriptor]) -> Option<&'a Descriptor> {
        if let [only] = entries
            && only.platform.is_none()
        {
            return Some(only);
        }
        let fit = |entry: &Descriptor| entry.platform.as_ref().and_then(|platform| self.fitness(platform));
        let best = entries.iter().filter_map(fit).max()?;
        entries.iter().find(|entry| fit(entry) == Some(best))
    }
}

/// This machine's processor, as Go calls it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(media_type: &str, text: &str) -> Document {
        Document {
            digest: ManifestDigest(Digest::of(text.as_bytes())),
            media_type: media_type.to_owned(),
            bytes: text.as_bytes().to_vec(),
        }
    }

    fn entry(number: u64, platform: Option<Platform>) -> Descriptor {
        let (media_type, digest) = (OCI_MANIFEST.to_owned(), Digest::of(&number.to_le_bytes()));
        Descriptor { media_type, digest, size: number, platform, rest: BTreeMap::new() }
    }

    #[test]
    fn what_a_document_is_called_and_what_it_says_must_agree() {
        let digest = Digest::of(b"");
        let part = format!(r#"{{"mediaType":"x","digest":"{digest}","size":0}}"#);
        let image = format!(r#"{{"config":{part},"layers":[{part}]}}"#);
        let index = format!(r#"{{"manifests":[{part}]}}"#);
        let named = format!(r#"{{"mediaType":"{OCI_INDEX}","config":{part},"layers":[]}}"#);
        let both = format!(r#"{{"config":{part},"layers":[],"manifests":[]}}"#);
        for media_type in [OCI_MANIFEST, DOCKER_MANIFEST] {
            assert!(matches!(Content::of(&document(media_type, &image)), Ok(Content::Image { .. })));
        }
        for media_type in [OCI_INDEX, DOCKER_INDEX] {
            assert!(matches!(Content::of(&document(media_type, &index)), Ok(Content::Index(_))));
        }
        for (media_type, text) in [
            (OCI_MANIFEST, index.as_str()),
            (OCI_INDEX, &image),
            (OCI_MANIFEST, &named),
            (OCI_MANIFEST, &both),
            (OCI_INDEX, &both),
            ("application/vnd.docker.distribution.manifest.v1+prettyjws", &image),
            ("text/html", &image),
            (OCI_MANIFEST, "<html>"),
            (OCI_MANIFEST, "{}"),
        ] {
            assert!(Content::of(&document(media_type, text)).is_err(), "{media_type} {text}");
        }
    }

    #[test]
    fn the_entry_for_this_machine_is_chosen() {
        let amd64 = Platform::new("linux", "amd64", None);
        let arm64 = Platform::new("linux", "arm64", None);
        let arm7 = Platform::new("linux", "arm", Some("v7"));
        let of = |platforms: &[(&str, &str, Option<&str>)]| -> Vec<Descriptor> {
            let entry = |(number, (os, arch, variant)): (usize, &(&str, &str, Option<&str>))| {
                self::entry(number as u64, Some(Platform::new(os, arch, *variant)))
            };
            platforms.iter().enumerate().map(entry).collect()
        };
        let (w, l) = ("windows", "linux");
        for (machine, entries, chosen) in [
            (&amd64, of(&[(w, "amd64", None), (l, "arm64", None), (l, "amd64", None)]), Some(2)),
            (&amd64, of(&[(l, "amd64", Some("v3")), (l, "amd64", None)]), Some(1)),
            (&amd64, of(&[(l, "amd64", Some("v3"))]), None),
            (&amd64, of(&[(l, "amd64", None), (l, "amd64", None)]), Some(0)),
            (&arm64, of(&[(l, "arm", Some("v7")), (l, "arm64", Some("v8"))]), Some(1)),
            (&arm7, of(&[(l, "arm", Some("v6")), (l, "arm", None), (l, "arm", Some("v7"))]), Some(2)),
            (&arm7, of(&[(l, "arm", Some("v6")), (l, "arm", None)]), Some(1)),
            (&amd64, of(&[("unknown", "unknown", None)]), None),
            (&amd64, Vec::new(), None),
            (&amd64, vec![entry(0, None)], Some(0)),
            (&amd64, vec![entry(0, None), entry(1, None)], None),
        ] {
            assert_eq!(machine.choose(&entries).map(|entry| entry.size), chosen, "{machine:?} {entries:?}");
        }
    }
}
