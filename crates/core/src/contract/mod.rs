//! Contracts: what a base expects of the source it is given, and how that source is used.
//!
//! A contract decides everything before anything is done ([`Contract::plan`]), and reads what was left behind afterwards
//! ([`Contract::conclude`]). Both are pure.

pub mod command;
mod conclude;
pub mod dockerfile;
pub mod procfile;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dockerfile::plan::Known;
use crate::dockerfile::spec::{Choice, DockerfileSpec};
use crate::fault::{Blame, Fault};
use crate::model::{AppFile, BaseVersion, Launch, SourceView};
use crate::plan::{Decision, Plan};

/// The contract of a base, as its `base.toml` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ContractSpec {
    /// `kind = "command"`.
    Command(Box<command::CommandSpec>),
    /// `kind = "dockerfile"`.
    Dockerfile(DockerfileSpec),
}

/// The kinds of contracts, for the words of errors.
pub const KINDS: [&str; 2] = ["command", "dockerfile"];

impl ContractSpec {
    /// What contradicts itself, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Command(spec) => spec.check(),
            Self::Dockerfile(spec) => spec.check().map_err(|why| format!("contract: {why}")),
        }
    }

    fn contract(&self) -> &dyn Contract {
        match self {
            Self::Command(spec) => &**spec,
            Self::Dockerfile(spec) => spec,
        }
    }
}

impl Contract for ContractSpec {
    fn name(&self) -> &'static str {
        self.contract().name()
    }

    fn reads(&self, source: &SourceView, app: &AppFile, choice: &Choice) -> Vec<String> {
        self.contract().reads(source, app, choice)
    }

    fn plan(&self, request: &Request<'_>) -> Result<Decision, PlanError> {
        self.contract().plan(request)
    }

    fn conclude(&self, plan: &Plan, collected: &Collected) -> Result<Launch, PlanError> {
        self.contract().conclude(plan, collected)
    }
}

/// What a contract plans for.
#[derive(Debug)]
pub struct Request<'a> {
    /// The base's version; none for an app that brings its own Dockerfile, and nobody named a base.
    pub base: Option<&'a BaseVersion>,
    /// Seconds since 1970: when the base was made, for layers that do not depend on the commit.
    pub base_epoch: u64,
    /// What the base's image sets for whatever runs in it.
    pub base_env: &'a BTreeMap<String, String>,
    /// The source, with the texts that [`Contract::reads`] asked for.
    pub source: &'a SourceView,
    /// The source's `till.toml`.
    pub app: &'a AppFile,
    /// Given on the command line; wins over `till.toml`.
    pub env: &'a BTreeMap<String, String>,
    /// What who builds says of the Dockerfile; wins over `till.toml`.
    pub choice: &'a Choice,
    /// What was found out of the world outside.
    pub known: &'a Known,
    /// Where it will be carried out.
    pub environment: &'a str,
    /// The processor, as Go calls it.
    pub architecture: &'a str,
}

/// What the steps left behind, of what the plan asked to look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Absolute paths found, by the pattern that found them; sorted.
    pub found: BTreeMap<String, Vec<String>>,
}

/// What a base image expects of source, and what is done with it.
pub trait Contract: Send + Sync {
    /// Its name in `base.toml`.
    fn name(&self) -> &'static str;

    /// The files of the source whose text planning needs.
    fn reads(&self, source: &SourceView, app: &AppFile, choice: &Choice) -> Vec<String>;

    /// Decides everything before anything is done. Reads only its arguments.
    fn plan(&self, request: &Request<'_>) -> Result<Decision, PlanError>;

    /// Reads what the steps left behind and says how the artifact is started.
    fn conclude(&self, plan: &Plan, collected: &Collected) -> Result<Launch, PlanError>;
}

/// Why no plan, or no conclusion, can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A required file is not there; the sentence is the base's own.
    #[error("{message}")]
    Missing {
        /// What the base says.
        message: String,
        /// Any of these would do.
        any: Vec<String>,
    },
    /// There is nothing in the source.
    #[error("the source is empty")]
    Empty,
    /// A symlink leads out of the source.
    #[error("the symlink `{path}` leads out of the source, to `{target}`")]
    Outside {
        /// The link.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// till.toml sets a parameter that the base does not declare.
    #[error("the base has no parameter `{name}` (it has: {known})")]
    Parameter {
        /// What was set.
        name: String,
        /// What could be.
        known: String,
    },
    /// Nothing is known to start.
    #[error(
        "nothing says how to start the app: no Procfile, no [processes] in till.toml, and nothing that the base recognises"
    )]
    NoProcess,
    /// The base's contract cannot be followed.
    #[error("the base's contract cannot be followed: {0}")]
    Contract(String),
    /// A Dockerfile says what cannot be done.
    #[error("{path}:{line}: {what}")]
    Dockerfile {
        /// The file.
        path: String,
        /// In it, from 1.
        line: u32,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A file of the source cannot be understood.
    #[error("cannot read `{path}` of the source: {why}")]
    Unreadable {
        /// Which.
        path: String,
        /// What is wrong.
        why: String,
    },
}

impl Blame for PlanError {
    fn fault(&self) -> Fault {
        match self {
            Self::Contract(_) => Fault::Base,
            _ => Fault::Source,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { any, .. } => {
                Some(format!("add {}, or choose another base (`till base list`)", any.join(" or ")))
            }
            Self::Empty => Some("commit something first".to_owned()),
            Self::Outside { path, .. } => {
                Some(format!("make it lead inside the source, or name `{path}` in .tillignore"))
            }
            Self::NoProcess => Some("add a Procfile with a line like `web: ./server`".to_owned()),
            Self::Dockerfile { hint, .. } => hint.clone(),
            Self::Parameter { .. } | Self::Contract(_) | Self::Unreadable { .. } => None,
        }
    }
}
