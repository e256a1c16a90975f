//! What stands in base.toml and till.toml.

use serde::{Deserialize, Serialize};

use crate::model::launch::{Health, Port, Protocol, Span, web};
use crate::plan::LimitsFile;

/// What a builder says of itself. An image that others published as a builder needs none of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CnbSpec {
    /// Always this.
    pub kind: Kind,
    /// The image that the result lies upon: a base or a reference; by default what the builder's run.toml, stack.toml or
    /// labels say.
    pub run_image: Option<String>,
    /// Where processes listen.
    #[serde(default = "ports")]
    pub port: Vec<Port>,
    /// How readiness is known.
    #[serde(default = "health")]
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
    Cnb,
}

/// What an app says in its till.toml under `[cnb]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppSection {
    /// The buildpacks, in this order, in place of the builder's groups: `id@version` of the builder, `./directory` of the
    /// source, a name of the settings or an address.
    pub buildpacks: Vec<String>,
    /// The image that the result lies upon: a base or a reference.
    pub run_image: Option<String>,
    /// The process type that runs when none is named.
    pub process: Option<String>,
}

/// What web processes of buildpacks listen at by convention.
fn ports() -> Vec<Port> {
    vec![Port { name: "http".to_owned(), number: 8080, protocol: Protocol::Http, process: web() }]
}

fn health() -> Option<Health> {
    Some(Health { port: "http".to_owned(), path: "/".to_owned(), within: Span(60) })
}

impl Default for CnbSpec {
    fn default() -> Self {
        Self { kind: Kind::Cnb, run_image: None, port: ports(), health: health(), limits: LimitsFile::default() }
    }
}

impl CnbSpec {
    /// What contradicts itself, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        self.limits.check()?;
        match &self.health {
            Some(health) if !self.port.iter().any(|port| port.name == health.port) => {
                Err(format!("health asks the port `{}`, which is not declared", health.port))
            }
            _ => Ok(()),
        }
    }
}
