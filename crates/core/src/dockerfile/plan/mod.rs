//! From a Dockerfile to stages of a plan (BuildKit's `dockerfile2llb` for the meaning; the dockerfile reference for the words).
//!
//! ```text
//! mod.rs      which stages are needed, and what has to be known first
//! values.rs   ARG and ENV: what a variable is at a place
//! stage.rs    one FROM and its instructions
//! copying.rs  COPY and ADD
//! mounts.rs   RUN --mount
//! context.rs  the files that may be copied
//! launch.rs   how what comes of it is started
//! ```
//!
//! All is decided here: which files of the context a COPY takes, what a variable is, which layer lies upon which. Only what
//! is in another stage's tree is looked up when that tree is there. Images and remote files are asked for ([`Need`]) until
//! all are known; nothing is fetched here.

mod context;
mod copying;
mod launch;
mod mounts;
mod stage;
mod values;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::{BadDockerfile, Dockerfile};
use crate::digest::ManifestDigest;
pub use crate::known::{Known, KnownImage, KnownRemote, Need};
use crate::plan::{self, Footing, ImageDraft, LaunchDraft, Limits, Plan};

pub use context::{Context, clean};
pub use launch::launch;
use stage::Built;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What is written.
    pub dockerfile: &'a Dockerfile,
    /// The stage that becomes the image, by name or number; none: the last.
    pub target: Option<&'a str>,
    /// Values for ARGs.
    pub args: &'a BTreeMap<String, String>,
    /// The files that may be copied.
    pub context: &'a Context,
    /// Seconds since 1970: the newest time in any layer.
    pub epoch: u64,
    /// The processor, as Go calls it: `amd64`.
    pub architecture: &'a str,
    /// What was found out so far.
    pub known: &'a Known,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is decided.
    Draft(Box<Draft>),
    /// This has to be known first.
    Needs(Vec<Need>),
}

/// The part of a plan that a Dockerfile decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The stages, only those that are needed.
    pub stages: Vec<plan::Stage>,
    /// What becomes the image.
    pub top: Footing,
    /// What the image says of itself.
    pub image: ImageDraft,
    /// The images that went into it, by what the Dockerfile calls them.
    pub images: BTreeMap<String, ManifestDigest>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Draft {
    /// A plan that does this and no more; whoever writes it says for what, within which limits, and how it is started.
    pub fn plan(self, contract: &str, environment: &str) -> Plan {
        Plan {
            version: plan::VERSION,
            contract: contract.to_owned(),
            environment: environment.to_owned(),
            machine: None,
            system: None,
            base: None,
            source: None,
            stages: self.stages,
            top: self.top,
            work: None,
            test: None,
            finish: Vec::new(),
            caches: Vec::new(),
            remove: Vec::new(),
            // What one instruction leaves in /tmp the next may read: all is kept.
            volatile: Vec::new(),
            collect: Vec::new(),
            starts: Vec::new(),
            limits: Limits::default(),
            launch: LaunchDraft::default(),
            image: Some(self.image),
            images: self.images,
            packages: Vec::new(),
            warnings: self.warnings,
        }
    }
}

/// Decides what a Dockerfile does.
pub fn draft(ask: &Ask<'_>) -> Result<Outcome, BadDockerfile> {
    let target = target(ask)?;
    let mut drafting = Drafting {
        ask,
        globals: values::globals(ask)?,
        stages: Vec::new(),
        built: vec![None; ask.dockerfile.stages.len()],
        needs: BTreeSet::new(),
        used: BTreeMap::new(),
        warnings: ask
            .dockerfile
            .warnings
            .iter()
            .map(|warning| format!("line {}: {}", warning.line, warning.what))
            .collect(),
    };
    let built = drafting.built(target)?;
    let Some(built) = built.filter(|_| drafting.needs.is_empty()) else {
        return Ok(Outcome::Needs(drafting.needs.into_iter().collect()));
    };
    drafting.warn_unused_args();
    Ok(Outcome::Draft(Box::new(Draft {
        stages: drafting.stages,
        top: built.top,
        image: ImageDraft { config: built.config, history: built.history },
        images: drafting.used,
        warnings: drafting.warnings,
    })))
}

fn target(ask: &Ask<'_>) -> Result<usize, BadDockerfile> {
    let stages = &ask.dockerfile.stages;
    let Some(wanted) = ask.target else {
        return Ok(stages.len().saturating_sub(1));
    };
    let lower = wanted.to_lowercase();
    let named = stages.iter().rposition(|stage| stage.name.as_deref() == Some(&lower));
    let found = named.or_else(|| wanted.parse().ok().filter(|number| *number < stages.len()));
    found.ok_or_else(|| BadDockerfile {
        line: 1,
        what: format!("there is no stage `{wanted}`"),
        hint: Some(format!("it has: {}", crate::words::list(stages.iter().filter_map(|stage| stage.name.as_deref())))),
    })
}

/// The work so far.
struct Drafting<'a> {
    ask: &'a Ask<'a>,
    /// ARGs before the first FROM.
    globals: values::Globals,
    stages: Vec<plan::Stage>,
    /// By the number of the Dockerfile's stage; those that are finished.
    built: Vec<Option<Built>>,
    needs: BTreeSet<Need>,
    used: BTreeMap<String, ManifestDigest>,
    warnings: Vec<String>,
}

/// Where files are taken from that are not in the context.
enum From {
    Stage(usize),
    Image(ManifestDigest),
}

impl Drafting<'_> {
    /// A stage of the Dockerfile, planned now if it is not yet. None when something has to be known first.
    fn built(&mut self, number: usize) -> Result<Option<Built>, BadDockerfile> {
        if self.built[number].is_none() {
            self.built[number] = self.stage(number)?;
        }
        Ok(self.built[number].clone())
    }

    /// The stage before `number` of that name, or that number.
    fn earlier(&self, name: &str, number: usize) -> Option<usize> {
        let lower = name.to_lowercase();
        let before = &self.ask.dockerfile.stages[..number];
        before.iter().rposition(|stage| stage.name.as_deref() == Some(&lower))
    }

    /// The tree of what `--from` names. None when something has to be known first.
    fn tree(&mut self, name: &str, number: usize) -> Result<Option<Footing>, BadDockerfile> {
        match self.from(name, number) {
            None => Ok(None),
            Some(From::Image(digest)) => Ok(Some(Footing::Image(digest))),
            Some(From::Stage(other)) => Ok(self.built(other)?.map(|built| built.top)),
        }
    }

    fn from(&mut self, name: &str, number: usize) -> Option<From> {
        let by_number = || name.parse::<usize>().ok().filter(|other| *other < number);
        match self.earlier(name, number).or_else(by_number) {
            Some(other) => Some(From::Stage(other)),
            None => Some(From::Image(self.image(name)?.digest.clone())),
        }
    }

    fn image(&mut self, name: &str) -> Option<&KnownImage> {
        match self.ask.known.images.get(name) {
            Some(image) => {
                self.used.insert(name.to_owned(), image.digest.clone());
                Some(image)
            }
            None => {
                self.needs.insert(Need::Image(name.to_owned()));
                None
            }
        }
    }

    fn warn_unused_args(&mut self) {
        let declared = |name: &String| {
            let lines = self.ask.dockerfile.stages.iter().flat_map(|stage| &stage.lines);
            lines.chain(&self.ask.dockerfile.global).any(|line| match &line.instruction {
                super::Instruction::Arg(args) => args.iter().any(|arg| arg.name == *name),
                _ => false,
            })
        };
        let unused: Vec<_> =
            self.ask.args.keys().filter(|name| !declared(name) && !values::is_predefined(name)).cloned().collect();
        self.warnings
            .extend(unused.into_iter().map(|name| format!("the build argument `{name}` is not declared by any ARG")));
    }
}

/// An error at a line.
fn bad(line: u32, what: impl Into<String>) -> BadDockerfile {
    BadDockerfile { line, what: what.into(), hint: None }
}
