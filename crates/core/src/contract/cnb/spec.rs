//! What stands in base.toml and till.toml.

use serde::{Deserialize, Serialize};

use crate::plan::LimitsFile;

/// What a base says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CnbSpec {
    /// Always this.
    pub kind: Kind,
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
pub struct AppSection {}

impl CnbSpec {
    /// What contradicts itself, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        self.limits.check()
    }
}
