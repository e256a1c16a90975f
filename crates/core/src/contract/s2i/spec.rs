//! What stands in base.toml and till.toml.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::image::ScriptsUrl;
use super::uids;
use crate::model::launch::{Health, Port};
use crate::plan::LimitsFile;

/// What a base says. Nothing of it is needed: a builder image says by its labels what it wants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S2iSpec {
    /// Always this.
    pub kind: Kind,
    /// Where the scripts are, in place of what the image's label says: `image:///DIR`, `http(s)://…`, `file:///DIR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scripts_url: Option<String>,
    /// What receives source, scripts and artifacts, in place of the image's label; `/tmp` where nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Who runs `assemble` and `save-artifacts`, in place of the image's label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assemble_user: Option<String>,
    /// Who runs `assemble-runtime`, in place of the runtime image's label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assemble_runtime_user: Option<String>,
    /// The image that becomes the artifact, in place of the builder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_image: Option<String>,
    /// What is copied there: `/FILE/OR/DIRECTORY[:DIRECTORY]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runtime_artifacts: Vec<String>,
    /// Does a build get what the app's newest artifact saved?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incremental: Option<bool>,
    /// Environment of build and run, under that of the source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Who may run something: numbers and ranges (`1001`, `1-`); none given: everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_uids: Vec<String>,
    /// Where the artifact listens, in place of what the image says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub port: Vec<Port>,
    /// How readiness is known; by default the first port has to accept a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Of builds with this base.
    #[serde(default)]
    pub limits: LimitsFile,
}

/// The word in `kind`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// This contract.
    #[default]
    S2i,
}

/// What an app says in its till.toml under `[s2i]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppSection {
    /// Where scripts are that win over those of source and image: `image:///DIR`, `http(s)://…`, `file:///DIR`.
    pub scripts_url: Option<String>,
    /// The directory of the source that is built.
    pub context_dir: Option<String>,
    /// A file with variables, beside `.s2i/environment`.
    pub environment: Option<String>,
    /// Does a build get what the app's newest artifact saved?
    pub incremental: Option<bool>,
    /// The image that becomes the artifact, in place of the builder.
    pub runtime_image: Option<String>,
    /// What is copied there: `/FILE/OR/DIRECTORY[:DIRECTORY]`.
    pub runtime_artifacts: Vec<String>,
    /// What the artifact is called in catalogues; by default as the app.
    pub display_name: Option<String>,
    /// What is said of it there.
    pub description: Option<String>,
    /// Labels of the artifact.
    pub labels: BTreeMap<String, String>,
}

impl S2iSpec {
    /// What contradicts itself, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        self.limits.check()?;
        self.scripts_url.iter().try_for_each(|url| {
            ScriptsUrl::parse(url).map(drop).map_err(|why| format!("contract: scripts_url = \"{url}\": {why}"))
        })?;
        if let Some(destination) = self.destination.as_ref().filter(|path| !super::image::is_plain(path)) {
            return Err(format!("contract: destination = \"{destination}\" is not an absolute path without `..`"));
        }
        self.allowed_uids.iter().try_for_each(|range| {
            uids::parse(range).map(drop).ok_or_else(|| {
                format!("contract: `{range}` in allowed_uids is no range: 1001, 1-1000, 1- and -1000 are some")
            })
        })?;
        self.runtime_artifacts.iter().try_for_each(|text| {
            super::runtime::mapping(text).map(drop).map_err(|why| format!("contract: runtime_artifacts: {why}"))
        })?;
        if let Some(health) = &self.health
            && !self.port.iter().any(|port| port.name == health.port)
        {
            return Err(format!("contract: health asks the port `{}`, which is not declared", health.port));
        }
        Ok(())
    }
}
