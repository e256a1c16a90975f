//! What stands in base.toml and till.toml.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::launch::{Health, Port};
use crate::plan::LimitsFile;

/// What a base says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HerokuSpec {
    /// Always this.
    pub kind: Kind,
    /// What the base resembles: `STACK` of every script.
    #[serde(default = "stack")]
    pub stack: String,
    /// Runs the buildpacks' scripts and the processes: a name in the image's `/etc/passwd`, or a number.
    #[serde(default = "user")]
    pub user: String,
    /// Where the source is built; by default a directory of `/tmp` that is another for each source.
    pub build_path: Option<String>,
    /// Tried in this order when nobody says which; the first whose detect agrees is taken. A name, an address, or a directory
    /// of the image (`/…`).
    #[serde(default)]
    pub buildpacks: Vec<String>,
    /// Names and what they mean, as in `buildpacks`; those of the settings win.
    #[serde(default)]
    pub names: BTreeMap<String, String>,
    /// Where the processes listen; one that no process type is has no effect.
    #[serde(default = "ports")]
    pub port: Vec<Port>,
    /// How readiness is known.
    pub health: Option<Health>,
    /// Of builds with this base.
    #[serde(default)]
    pub limits: LimitsFile,
}

/// The word in `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// This contract.
    Heroku,
}

fn stack() -> String {
    "heroku-24".to_owned()
}

fn user() -> String {
    "heroku".to_owned()
}

fn ports() -> Vec<Port> {
    vec![Port {
        name: "http".to_owned(),
        number: 8080,
        protocol: crate::model::Protocol::Http,
        process: crate::model::launch::web(),
    }]
}

/// What an app says in its till.toml under `[heroku]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppSection {
    /// In this order, every one: names, addresses, or directories of the source (`./…`).
    pub buildpacks: Option<Vec<String>>,
    /// `STACK`, where the app needs another than the base's.
    pub stack: Option<String>,
    /// Is the app tested before it is an artifact? By default if its app.json has `environments.test`, or a buildpack of its
    /// own source has `bin/test`.
    pub test: Option<bool>,
}

impl HerokuSpec {
    /// What contradicts itself, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        self.limits.check()?;
        if let Some(path) = &self.build_path {
            let plain = path.starts_with('/') && path.len() > 1 && path.split('/').all(|part| part != "..");
            if !plain {
                return Err(format!("build_path = \"{path}\" is not an absolute path without `..`"));
            }
        }
        let local = |entry: &&String| entry.starts_with("./") || entry.starts_with("../") || entry.is_empty();
        if let Some(entry) = self.buildpacks.iter().chain(self.names.values()).find(local) {
            return Err(format!(
                "the buildpack `{entry}` of a base is a name, an address, or a directory of the image"
            ));
        }
        match &self.health {
            Some(health) if !self.port.iter().any(|port| port.name == health.port) => {
                Err(format!("health asks the port `{}`, which is not declared", health.port))
            }
            _ => Ok(()),
        }
    }
}
