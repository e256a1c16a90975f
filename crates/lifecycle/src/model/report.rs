//! What `export` answers: everything that is needed to make an image of the trees it arranged. The shape is drawn at the
//! head of the program.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use super::launch::{Process, Slice};
use super::layer::Types;

/// The report.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Report {
    pub(crate) version: u32,
    pub(crate) exec_env: String,
    /// From the lowest to the topmost.
    pub(crate) layers: Vec<ImageLayer>,
    pub(crate) processes: Vec<Process>,
    /// `None`: the launcher waits for a command.
    pub(crate) default_process: Option<String>,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) working_dir: String,
    /// What the image's `Env` has beyond the run image's; `PATH` is [`Report::path_prefix`].
    pub(crate) environment: BTreeMap<String, String>,
    /// Stands before the run image's `PATH`.
    pub(crate) path_prefix: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) buildpacks: Vec<Exported>,
    pub(crate) slices: Vec<Slice>,
    /// SBOM files of the image, as paths in it.
    pub(crate) sbom: Vec<String>,
}

/// What a layer of the image holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Buildpack,
    Sbom,
    Slice,
    App,
    Launcher,
    Config,
    ProcessTypes,
}

/// A layer of the image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ImageLayer {
    /// Below `-into`.
    pub(crate) directory: String,
    pub(crate) kind: Kind,
    /// `ID:LAYER` of a buildpack's, else a word.
    pub(crate) name: String,
    /// For the image's history.
    pub(crate) created_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) buildpack: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) layer: Option<String>,
    /// Taken from the previous image.
    pub(crate) reused: bool,
}

/// A buildpack that took part.
#[derive(Debug, Serialize)]
pub(crate) struct Exported {
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) api: String,
    pub(crate) homepage: String,
    /// Its launch layers.
    pub(crate) layers: BTreeMap<String, ExportedLayer>,
    pub(crate) store: Option<Json>,
}

/// A launch layer.
#[derive(Debug, Serialize)]
pub(crate) struct ExportedLayer {
    /// As in [`ImageLayer::directory`].
    pub(crate) directory: String,
    #[serde(flatten)]
    pub(crate) types: Types,
    pub(crate) data: Json,
}
