//! What an image says of itself, where the plan decides all of it (OCI image spec, "config").

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The config of an image, and how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageDraft {
    /// What it says.
    pub config: Config,
    /// One record for each instruction beyond the base's.
    pub history: Vec<Record>,
}

/// How a part of an image came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The instruction.
    pub text: String,
    /// Has it a layer?
    pub layer: bool,
}

/// What is started in an image, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// In the order in which it was said.
    pub env: Vec<(String, String)>,
    /// A name or number, with a group after `:`.
    pub user: String,
    /// Where it runs.
    pub dir: String,
    /// What is started.
    pub entrypoint: Vec<String>,
    /// Its arguments.
    pub cmd: Vec<String>,
    /// E.g. `8080/tcp`.
    pub ports: BTreeSet<String>,
    /// Directories for data.
    pub volumes: BTreeSet<String>,
    /// By name.
    pub labels: BTreeMap<String, String>,
    /// A name or number.
    pub stop_signal: Option<String>,
    /// How it is known to be well.
    pub healthcheck: Option<Healthcheck>,
    /// What runs commands that are lines; empty: `/bin/sh -c`.
    pub shell: Vec<String>,
    /// Instructions for images built upon this one.
    pub on_build: Vec<String>,
    /// Who made it.
    pub author: Option<String>,
}

/// How a container is known to be well. Times in nanoseconds, as in the image config of Docker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", line]`.
    pub test: Vec<String>,
    /// Between two checks.
    pub interval: Option<u64>,
    /// For one check.
    pub timeout: Option<u64>,
    /// Before failures count.
    pub start_period: Option<u64>,
    /// Between two checks in that time.
    pub start_interval: Option<u64>,
    /// Failures in a row.
    pub retries: Option<u32>,
}

impl Config {
    /// The value of a variable.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Sets a variable; one that is there keeps its place.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.env.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.env.push((name.to_owned(), value.to_owned())),
        }
    }
}
