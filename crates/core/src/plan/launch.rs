//! How what comes of a plan will be started.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::launch::{Health, Port};

/// A launch that is not concluded: what it is may depend on what the steps leave behind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchDraft {
    /// Per process type, in order of preference.
    pub processes: BTreeMap<String, Vec<Candidate>>,
    /// See [`crate::model::Launch`].
    pub ports: Vec<Port>,
    /// See [`crate::model::Launch`].
    pub health: Option<Health>,
    /// See [`crate::model::Launch`].
    pub env: BTreeMap<String, String>,
    /// See [`crate::model::Launch`].
    pub user: String,
    /// See [`crate::model::Launch`].
    pub dir: String,
}

/// A program that has to be startable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Starting {
    /// Absolute.
    pub path: String,
    /// By whom: a name in the image's `/etc/passwd`, or a number.
    pub user: String,
}

/// A command that a process type may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Only when any of these paths or globs was found after the steps; none given: always.
    pub built: Vec<String>,
    /// The command; `{{built}}` stands for the path that was found.
    pub argv: Vec<String>,
}
