//! The image spec's JSON: what we write of it, and read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use till_core::port::Layer;
use till_core::{DiffId, Digest};

use super::{History, ImageConfig};

/// A manifest's media type.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A config's media type.
pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// An index's media type.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Names bytes, and says what they are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    /// Whatever else others wrote into an index that we share with them.
    #[serde(flatten)]
    pub(crate) rest: BTreeMap<String, serde_json::Value>,
}

impl Descriptor {
    pub(crate) fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self { media_type: media_type.into(), digest, size, annotations: BTreeMap::new(), rest: BTreeMap::new() }
    }

    pub(crate) fn of_layer(layer: &Layer) -> Self {
        Self::new(&layer.media_type, layer.blob.0.clone(), layer.size)
    }
}

/// An image's manifest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// What a layout holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    #[serde(default)]
    pub(crate) manifests: Vec<Descriptor>,
    #[serde(flatten)]
    pub(crate) rest: BTreeMap<String, serde_json::Value>,
}

impl Default for Index {
    fn default() -> Self {
        Self { schema_version: 2, media_type: Some(INDEX.to_owned()), manifests: Vec::new(), rest: BTreeMap::new() }
    }
}

/// An image's config.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ConfigFile {
    #[serde(default)]
    pub(super) created: String,
    pub(super) architecture: String,
    pub(super) os: String,
    #[serde(default)]
    pub(super) config: Execution,
    pub(super) rootfs: RootFs,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) history: Vec<HistoryEntry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RootFs {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) diff_ids: Vec<DiffId>,
}

/// The map of the spec's sets: keys, and nothing.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Nothing {}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Execution {
    #[serde(skip_serializing_if = "String::is_empty")]
    user: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    exposed_ports: BTreeMap<String, Nothing>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entrypoint: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cmd: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    working_dir: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct HistoryEntry {
    #[serde(default)]
    created: String,
    #[serde(default)]
    created_by: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    empty_layer: bool,
}

impl ConfigFile {
    pub(super) fn new(config: &ImageConfig, diff_ids: Vec<DiffId>) -> Self {
        Self {
            created: config.created.clone(),
            architecture: config.architecture.clone(),
            os: "linux".to_owned(),
            config: Execution {
                user: config.user.clone(),
                exposed_ports: config.exposed_ports.iter().map(|port| (port.clone(), Nothing {})).collect(),
                env: config.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
                entrypoint: config.entrypoint.clone(),
                cmd: config.cmd.clone(),
                working_dir: config.dir.clone(),
                labels: config.labels.clone(),
            },
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids },
            history: config.history.iter().map(HistoryEntry::of).collect(),
        }
    }
}

impl HistoryEntry {
    fn of(history: &History) -> Self {
        Self {
            created: history.created.clone(),
            created_by: history.created_by.clone(),
            empty_layer: history.empty_layer,
        }
    }
}

impl From<ConfigFile> for ImageConfig {
    fn from(file: ConfigFile) -> Self {
        let execution = file.config;
        Self {
            env: execution
                .env
                .iter()
                .filter_map(|line| line.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            user: execution.user,
            dir: execution.working_dir,
            entrypoint: execution.entrypoint,
            cmd: execution.cmd,
            exposed_ports: execution.exposed_ports.into_keys().collect(),
            labels: execution.labels,
            created: file.created,
            architecture: file.architecture,
            history: file
                .history
                .into_iter()
                .map(|entry| History {
                    created: entry.created,
                    created_by: entry.created_by,
                    empty_layer: entry.empty_layer,
                })
                .collect(),
        }
    }
}
