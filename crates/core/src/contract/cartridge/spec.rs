//! What stands in base.toml and till.toml.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::launch::Span;
use crate::plan::LimitsFile;

/// What a base says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CartridgeSpec {
    /// Always this.
    pub kind: Kind,
    /// The gear's user, of the image's `/etc/passwd`, with a group of the same name. Its name is the gear's UUID.
    #[serde(default = "gear")]
    pub user: String,
    /// The gear's home; by default `/var/lib/openshift/` and the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// Where the image has cartridges, each in a directory.
    #[serde(default = "repository")]
    pub repository: String,
    /// Those of apps that name none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cartridges: Vec<Wanted>,
    /// What a node has in `/etc/openshift/env`, beyond what is always there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// `OPENSHIFT_GEAR_MEMORY_MB`.
    #[serde(default = "memory")]
    pub memory_mb: u32,
    /// How long a started app may take to answer.
    #[serde(default = "within")]
    pub within: Span,
    /// Of builds with this base.
    #[serde(default)]
    pub limits: LimitsFile,
}

/// The word in `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// This contract.
    Cartridge,
}

/// What an app says in its till.toml under `[cartridge]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppSection {
    /// The web framework and what stands beside it.
    pub cartridges: Vec<Wanted>,
}

/// A cartridge that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Wanted {
    /// `mock`, `mock-0.1`, `redhat-mock-0.1`, `./cartridges/mine`, or an address.
    Name(String),
    /// The same where the name has no place for the version.
    At(At),
}

/// A cartridge and its version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct At {
    /// As in [`Wanted::Name`].
    pub from: String,
    /// Of the software: `Version`, or one of `Versions`.
    pub version: String,
}

impl Wanted {
    /// What was written, without a version that stands apart.
    pub fn text(&self) -> &str {
        match self {
            Self::Name(text) => text,
            Self::At(at) => &at.from,
        }
    }

    /// The version that stands apart.
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Name(_) => None,
            Self::At(at) => Some(&at.version),
        }
    }
}

fn gear() -> String {
    "gear".to_owned()
}

fn repository() -> String {
    "/usr/libexec/openshift/cartridges".to_owned()
}

/// A small gear's.
fn memory() -> u32 {
    512
}

/// All cartridges are started first, and what they do in `deploy` may take a while.
fn within() -> Span {
    Span(120)
}

impl CartridgeSpec {
    /// What contradicts itself, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        let plain = |text: &str| {
            text.starts_with('/')
                && text.len() > 1
                && !text.ends_with('/')
                && text.split('/').all(|part| part != "..")
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b))
        };
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if self.user.is_empty() || self.user == "root" || !self.user.bytes().all(is_name) {
            return Err(format!("user = \"{}\" is no name of a gear's user", self.user));
        }
        for (key, path) in [("home", &self.home()), ("repository", &self.repository)] {
            if !plain(path) {
                return Err(format!("{key} = \"{path}\" is not an absolute path of letters, digits, `.`, `_` and `-`"));
            }
        }
        if let Some(name) = self.env.keys().find(|name| !super::gear::is_variable(name)) {
            return Err(format!("env: `{name}` is not a variable's name"));
        }
        self.limits.check()
    }

    /// The gear's home, without a slash at its end.
    pub fn home(&self) -> String {
        self.home.clone().unwrap_or_else(|| format!("/var/lib/openshift/{}", self.user))
    }
}
