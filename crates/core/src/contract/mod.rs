//! Contracts: what a base expects of the source it is given, and how that source is used.
//!
//! A contract decides everything before anything is done ([`Contract::plan`]), and reads what was left behind afterwards
//! ([`Contract::conclude`]). Both are pure.

mod carried;
pub mod cartridge;
pub mod cnb;
pub mod command;
mod conclude;
pub mod dockerfile;
pub mod heroku;
pub mod procfile;
pub mod s2i;

use std::collections::BTreeMap;

pub use carried::{Carried, CarriedTo, RunSpec, plan};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::digest::DiffId;
use crate::dockerfile::spec::{Choice, DockerfileSpec};
use crate::fault::{Blame, Fault};
use crate::known::Known;
use crate::model::{AppFile, BaseVersion, Launch, SourceView};
use crate::plan::{Config, Decision, ImageDraft, Plan, Step};

/// The contract of a base, as its `base.toml` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ContractSpec {
    /// `kind = "command"`.
    Command(Box<command::CommandSpec>),
    /// `kind = "dockerfile"`.
    Dockerfile(DockerfileSpec),
    /// `kind = "heroku"`.
    Heroku(Box<heroku::HerokuSpec>),
    /// `kind = "cnb"`.
    Cnb(Box<cnb::CnbSpec>),
    /// `kind = "cartridge"`.
    Cartridge(Box<cartridge::CartridgeSpec>),
    /// `kind = "s2i"`.
    S2i(Box<s2i::S2iSpec>),
}

/// The kinds of contracts, for the words of errors.
pub const KINDS: [&str; 6] = ["command", "dockerfile", "heroku", "cnb", "cartridge", "s2i"];

/// Reads something of which a contract is a part, once its kind is known: so that an error names its line.
pub(crate) trait Reading {
    /// What is read.
    type Read;

    /// Reads it with a contract of one kind.
    fn read<C: DeserializeOwned>(self, wrap: fn(C) -> ContractSpec) -> Self::Read;
}

/// Reads it with a contract of that kind.
pub(crate) fn read<R: Reading>(kind: &str, reading: R) -> R::Read {
    match kind {
        "dockerfile" => reading.read(ContractSpec::Dockerfile),
        "heroku" => reading.read(|spec| ContractSpec::Heroku(Box::new(spec))),
        "cnb" => reading.read(|spec| ContractSpec::Cnb(Box::new(spec))),
        "cartridge" => reading.read(|spec| ContractSpec::Cartridge(Box::new(spec))),
        "s2i" => reading.read(|spec| ContractSpec::S2i(Box::new(spec))),
        _ => reading.read(|spec| ContractSpec::Command(Box::new(spec))),
    }
}

impl ContractSpec {
    /// What contradicts itself, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Command(spec) => spec.check(),
            Self::Dockerfile(spec) => spec.check().map_err(|why| format!("contract: {why}")),
            Self::Heroku(spec) => spec.check(),
            Self::Cnb(spec) => spec.check(),
            Self::Cartridge(spec) => spec.check(),
            Self::S2i(spec) => spec.check(),
        }
    }

    /// What a base says itself of how it is used, as a command in its image; none where the contract knows of no such thing.
    pub fn usage(&self, image: &Config) -> Result<Option<Step>, PlanError> {
        match self {
            Self::S2i(spec) => spec.usage(image).map(Some),
            _ => Ok(None),
        }
    }

    fn contract(&self) -> &dyn Contract {
        match self {
            Self::Command(spec) => &**spec,
            Self::Dockerfile(spec) => spec,
            Self::Heroku(spec) => &**spec,
            Self::Cnb(spec) => &**spec,
            Self::Cartridge(spec) => &**spec,
            Self::S2i(spec) => &**spec,
        }
    }
}

/// The contract that an image of others brings along, if any: what `till base import` takes when nobody says another.
pub fn of_image(config: &Config) -> Option<ContractSpec> {
    cnb::of_image(config).or_else(|| s2i::of_image(config))
}

impl Contract for ContractSpec {
    fn name(&self) -> &'static str {
        self.contract().name()
    }

    fn expects(&self) -> Vec<String> {
        self.contract().expects()
    }

    fn reads(&self, source: &SourceView, app: &AppFile, choice: &Choice) -> Vec<String> {
        self.contract().reads(source, app, choice)
    }

    fn plan(&self, request: &Request<'_>) -> Result<Decision, PlanError> {
        self.contract().plan(request)
    }

    fn conclude(&self, plan: &Plan, collected: &Collected) -> Result<Conclusion, PlanError> {
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
    /// What the base's image says of itself.
    pub image: &'a Config,
    /// The source, with the texts that [`Contract::reads`] asked for.
    pub source: &'a SourceView,
    /// The source's `till.toml`.
    pub app: &'a AppFile,
    /// Given on the command line; wins over `till.toml`.
    pub env: &'a BTreeMap<String, String>,
    /// What who builds says of the Dockerfile; wins over `till.toml`.
    pub choice: &'a Choice,
    /// Buildpacks named by who builds, in order; they win over those that the app names.
    pub buildpacks: &'a [String],
    /// What the operator says.
    pub settings: &'a Settings,
    /// What was found out of the world outside.
    pub known: &'a Known,
    /// Where it will be carried out.
    pub environment: &'a str,
    /// The processor, as Go calls it.
    pub architecture: &'a str,
}

impl Request<'_> {
    /// What the base's image sets for whatever runs in it.
    pub fn base_env(&self) -> BTreeMap<String, String> {
        // An image of others may hold what is no variable.
        let set = self.image.env.iter().filter(|(name, _)| !name.is_empty() && !name.contains('='));
        set.cloned().collect()
    }
}

/// What an operator says of code that contracts call by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Buildpacks by name: `heroku/python` and its address.
    pub buildpacks: BTreeMap<String, String>,
    /// Cartridges by name: `mock-0.1` and its address.
    pub cartridges: BTreeMap<String, String>,
}

/// What the steps left behind, of what the plan asked to look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Absolute paths found, by the pattern that found them; sorted.
    pub found: BTreeMap<String, Vec<String>>,
    /// What files say, by absolute path; those of [`crate::plan::Stage::texts`] that are there.
    pub texts: BTreeMap<String, String>,
    /// The new layers, the lowest first, by the name of their stage or of what they were spread from.
    pub layers: Vec<(String, DiffId)>,
    /// The topmost layer of the image below them.
    pub below: Option<DiffId>,
}

/// What is known when all is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conclusion {
    /// How the artifact is started.
    pub launch: Launch,
    /// The image's config, where the contract says all of it; else it follows from the base's and the launch.
    pub image: Option<ImageDraft>,
}

/// What a base image expects of source, and what is done with it.
pub trait Contract: Send + Sync {
    /// Its name in `base.toml`.
    fn name(&self) -> &'static str;

    /// What it expects of source, each in a few words for people.
    fn expects(&self) -> Vec<String>;

    /// The files of the source whose text planning needs. Asked again with those texts, until they are all that it asks for.
    fn reads(&self, source: &SourceView, app: &AppFile, choice: &Choice) -> Vec<String>;

    /// Decides everything before anything is done. Reads only its arguments.
    fn plan(&self, request: &Request<'_>) -> Result<Decision, PlanError>;

    /// Reads what the steps left behind and says how the artifact is started.
    fn conclude(&self, plan: &Plan, collected: &Collected) -> Result<Conclusion, PlanError>;
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
    /// What somebody set cannot be.
    #[error("{place}: {why}")]
    Setting {
        /// Where it was set: `scripts_url` in `[s2i]` of till.toml.
        place: String,
        /// What is wrong.
        why: String,
        /// What to do.
        hint: Option<String>,
    },
    /// What a step left behind cannot be understood.
    #[error("cannot read `{path}`, which {step} wrote: {why}")]
    Left {
        /// In the instance.
        path: String,
        /// Which step.
        step: String,
        /// What is wrong.
        why: String,
    },
    /// A line of the Procfile says no process type, or the one that a buildpack wrote does.
    #[error("Procfile:{line}: {what}")]
    Procfile {
        /// In it, from 1.
        line: u32,
        /// What is wrong.
        what: String,
    },
    /// A buildpack cannot be used as it is, or cannot be found.
    #[error("{what}")]
    Buildpack {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Cartridges that are not there, are none, or do not go together.
    #[error("{what}")]
    Cartridge {
        /// What is wrong, and with which.
        what: String,
        /// What to do.
        hint: Option<String>,
        /// Who named it, or has it.
        fault: Fault,
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
            Self::Cartridge { fault, .. } => *fault,
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
            Self::Dockerfile { hint, .. }
            | Self::Setting { hint, .. }
            | Self::Buildpack { hint, .. }
            | Self::Cartridge { hint, .. } => hint.clone(),
            Self::Procfile { .. } => {
                Some("a line is `name: command`, a comment that begins with `#`, or blank".to_owned())
            }
            Self::Left { .. } | Self::Parameter { .. } | Self::Contract(_) | Self::Unreadable { .. } => None,
        }
    }
}
