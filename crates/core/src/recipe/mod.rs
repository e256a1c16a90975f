//! Recipes: how a base image is made. A recipe writes the same kind of plan as a contract does.

pub mod debian;
pub mod dockerfile;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::dockerfile::plan::Known;
use crate::dockerfile::spec::DockerfileSpec;
use crate::fault::{Blame, Fault};
use crate::model::{BaseRef, BaseVersion, SourceView};
use crate::plan::Decision;

/// The recipe of a base, as its `base.toml` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RecipeSpec {
    /// `kind = "debian"`.
    Debian(debian::DebianSpec),
    /// `kind = "dockerfile"`.
    Dockerfile(DockerfileSpec),
}

/// The kinds of recipes, for the words of errors.
pub const KINDS: [&str; 2] = ["debian", "dockerfile"];

impl RecipeSpec {
    /// What contradicts itself, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Debian(spec) => spec.check(),
            Self::Dockerfile(spec) => spec.check().map_err(|why| format!("recipe: {why}")),
        }
    }

    /// The base that is below.
    pub fn from(&self) -> Option<&BaseRef> {
        match self {
            Self::Debian(spec) => spec.from.as_ref(),
            Self::Dockerfile(_) => None,
        }
    }

    fn recipe(&self) -> &dyn Recipe {
        match self {
            Self::Debian(spec) => spec,
            Self::Dockerfile(spec) => spec,
        }
    }
}

impl Recipe for RecipeSpec {
    fn name(&self) -> &'static str {
        self.recipe().name()
    }

    fn reads(&self) -> Vec<String> {
        self.recipe().reads()
    }

    fn texts(&self, folder: &SourceView) -> Vec<String> {
        self.recipe().texts(folder)
    }

    fn plan(&self, ground: &Ground<'_>) -> Result<Decision, BadRecipe> {
        self.recipe().plan(ground)
    }
}

/// A recipe that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct BadRecipe {
    /// What is wrong, in one sentence.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
}

impl From<String> for BadRecipe {
    fn from(what: String) -> Self {
        Self { what, hint: None }
    }
}

impl Blame for BadRecipe {
    fn fault(&self) -> Fault {
        Fault::Base
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// What a recipe plans for.
#[derive(Debug)]
pub struct Ground<'a> {
    /// The base below, where the recipe names one.
    pub from: Option<&'a BaseVersion>,
    /// Seconds since 1970: the newest time in the image. A constant, so that equal content has equal bytes.
    pub epoch: u64,
    /// The files of the base's folder that the recipe names.
    pub files: &'a [FoundFile],
    /// The whole folder as source, with the texts that [`Recipe::texts`] asked for.
    pub folder: &'a SourceView,
    /// What was found out of the world outside.
    pub known: &'a Known,
    /// Where it will be carried out.
    pub environment: &'a str,
    /// The processor, as Go calls it.
    pub architecture: &'a str,
}

/// A file of a base's folder, as it was found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// In the folder, `/` between the parts.
    pub path: String,
    /// May its owner execute it?
    pub executable: bool,
    /// Of its bytes.
    pub digest: Digest,
}

impl FoundFile {
    /// Permission bits where nobody says others.
    pub fn mode(&self) -> u32 {
        if self.executable { 0o755 } else { 0o644 }
    }
}

/// What packages leave behind that differs from one making to the next, and is of no use.
fn leftovers() -> Vec<String> {
    [
        "/var/log/apt/*",
        "/var/log/dpkg.log",
        "/var/log/alternatives.log",
        "/var/log/bootstrap.log",
        "/var/log/fontconfig.log",
        // A name of one machine: whatever starts as one makes its own (machine-id(5)).
        "/etc/machine-id",
        "/var/lib/dbus/machine-id",
        "/var/cache/ldconfig/aux-cache",
        "/var/cache/debconf/*-old",
        "/var/lib/dpkg/*-old",
        "/etc/.pwd.lock",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// What a recipe can do.
pub trait Recipe {
    /// Its name in `base.toml`.
    fn name(&self) -> &'static str;

    /// Files or directories of the base's folder that it needs.
    fn reads(&self) -> Vec<String>;

    /// The files of the folder whose text it needs.
    fn texts(&self, folder: &SourceView) -> Vec<String>;

    /// Decides everything before anything is done. Reads only its arguments.
    fn plan(&self, ground: &Ground<'_>) -> Result<Decision, BadRecipe>;
}
