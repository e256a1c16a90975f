//! The `[contract]` of a `base.toml` (docs/reference/base.md).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::when::glob;
use crate::model::app::Command;
use crate::model::launch::{Health, Port};
use crate::plan::{LimitsFile, Network};

/// Only `command` so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Steps, and what starts the result.
    Command,
}

/// What a base expects of source, and what is done with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// Which contract this is.
    pub kind: Kind,
    /// Runs steps and processes.
    #[serde(default = "root")]
    pub user: String,
    /// Stands before what is written as one string.
    #[serde(default = "sh")]
    pub shell: Vec<String>,
    /// Removed after the steps.
    #[serde(default)]
    pub remove: Vec<String>,
    /// Where the source goes.
    #[serde(default)]
    pub source: SourceSpec,
    /// Files that must be there.
    #[serde(default)]
    pub require: Vec<Require>,
    /// What an app may set.
    #[serde(default)]
    pub parameter: BTreeMap<String, Parameter>,
    /// Environment of steps and processes.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Environment of steps only.
    #[serde(default)]
    pub build_env: BTreeMap<String, String>,
    /// Directories that survive.
    #[serde(default)]
    pub cache: Vec<CacheSpec>,
    /// In this order.
    #[serde(default)]
    pub step: Vec<StepSpec>,
    /// A failing test means no artifact.
    pub test: Option<StepSpec>,
    /// Candidates for process types.
    #[serde(default)]
    pub process: Vec<ProcessSpec>,
    /// Where they listen.
    #[serde(default)]
    pub port: Vec<Port>,
    /// How readiness is known.
    pub health: Option<Health>,
    /// Limits of builds with this base; an app may set others.
    #[serde(default)]
    pub limits: LimitsFile,
}

fn root() -> String {
    "root".to_owned()
}

fn sh() -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned()]
}

/// Where the source goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// As files, or as one archive.
    #[serde(rename = "as")]
    pub form: SourceAs,
    /// The directory, or the archive's path.
    pub at: String,
}

impl Default for SourceSpec {
    fn default() -> Self {
        Self { form: SourceAs::Dir, at: "/app".to_owned() }
    }
}

/// How the source is put into the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceAs {
    /// Unpacked.
    Dir,
    /// One archive, mounted read-only.
    Tar,
}

/// Files of which one must be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Require {
    /// Names or globs.
    pub any: Vec<String>,
    /// What is said when none is there.
    pub message: String,
}

/// Something that an app may set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// When it is not set.
    pub default: String,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// A directory that survives builds of the same app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheSpec {
    /// Among the app's caches.
    pub name: String,
    /// Where it is mounted.
    pub path: String,
}

/// A command that is run on the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepSpec {
    /// For people.
    #[serde(default = "test_name")]
    pub name: String,
    /// Left out when this does not hold.
    pub when: Option<WhenSpec>,
    /// Gets only these files; its layer is reused while they stay the same.
    pub reads: Option<Vec<String>>,
    /// The command.
    pub run: Command,
    /// Where it runs.
    pub dir: Option<String>,
    /// Beyond the contract's environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Who runs it.
    pub user: Option<String>,
    /// What it can reach.
    #[serde(default)]
    pub network: Network,
    /// Before or after the test.
    #[serde(default)]
    pub after: Moment,
}

fn test_name() -> String {
    "test".to_owned()
}

/// When a step runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    /// With the source in place.
    #[default]
    Source,
    /// After the test, e.g. to remove what only the test needed.
    Test,
}

/// A command that a process type may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    /// The process type.
    pub name: String,
    /// Passed over when this does not hold.
    pub when: Option<WhenSpec>,
    /// The command.
    pub run: Command,
}

/// A condition; all given keys must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhenSpec {
    /// Any of these is in the source.
    pub file: Option<OneOrMany>,
    /// None of these is in the source.
    pub absent: Option<OneOrMany>,
    /// The file that `file` found contains any of these.
    pub contains: Option<OneOrMany>,
    /// Any of these is in the instance: after the steps for processes, when it is its turn for a step.
    pub built: Option<OneOrMany>,
}

/// One text, or several of which any will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Any of these.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }
}

impl CommandSpec {
    /// Says otherwise what the contract does not say itself: who runs it, what stands before one string, where the source goes.
    pub(crate) fn otherwise(&mut self, user: &str, shell: &[&str], place: &str) {
        if self.user == root() {
            user.clone_into(&mut self.user);
        }
        if self.shell == sh() {
            self.shell = shell.iter().map(|&word| word.to_owned()).collect();
        }
        if self.source == SourceSpec::default() {
            place.clone_into(&mut self.source.at);
        }
    }

    /// What contradicts itself, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        self.limits.check()?;
        let mut whole_source = false;
        for step in &self.step {
            let reads = step.reads.is_some();
            if reads && self.source.form == SourceAs::Tar {
                return Err(format!("step `{}` has `reads`, but the source is one archive", step.name));
            }
            if reads && (whole_source || step.after == Moment::Test) {
                return Err(format!("step `{}` has `reads`, so it must stand before the steps without", step.name));
            }
            whole_source |= !reads;
        }
        if self.test.iter().any(|test| test.when.as_ref().is_some_and(|when| when.built.is_some())) {
            return Err("the test has `when.built`, which is for steps and processes".to_owned());
        }
        let steps = self.step.iter().chain(&self.test);
        let whens = steps
            .filter_map(|step| step.when.as_ref())
            .chain(self.process.iter().filter_map(|process| process.when.as_ref()));
        for when in whens {
            if when.contains.is_some() && when.file.is_none() {
                return Err("`when.contains` needs `when.file`".to_owned());
            }
            let mut patterns = when.file.iter().chain(&when.absent).flat_map(OneOrMany::iter);
            patterns.try_for_each(|pattern| glob(pattern).map(drop))?;
        }
        let reads = self.step.iter().flat_map(|step| &step.reads).flatten();
        let required = self.require.iter().flat_map(|require| &require.any);
        reads.chain(required).try_for_each(|pattern| glob(pattern).map(drop))?;
        if let Some(health) = &self.health
            && !self.port.iter().any(|port| port.name == health.port)
        {
            return Err(format!("health asks the port `{}`, which is not declared", health.port));
        }
        Ok(())
    }
}
