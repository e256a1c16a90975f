//! A plan: everything that will happen in a preparation, as data, before anything is done.
//!
//! Versioned JSON with sorted maps; no path of the host, no time of day, no secret. Equal plans have equal digests, and
//! who follows a plan makes no choices. An app and a base are prepared by the same mill; only who writes the plan differs.

mod key;
mod limits;
mod lint;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use key::stage_keys;
pub use limits::{Bytes, Limits, LimitsFile};
pub use lint::{Finding, lint};

use crate::digest::{Digest, ManifestDigest, PlanDigest};
use crate::model::launch::{Health, Port};
use crate::model::source::{CommitId, SourceFile};

/// The version of this structure; another structure gets another number, so that digests never meet by accident.
pub const VERSION: u32 = 1;

/// What will be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`VERSION`].
    pub version: u32,
    /// Who wrote it: `command`, `recipe/debian`.
    pub contract: String,
    /// Where it is carried out: `container`.
    pub environment: String,
    /// The image to begin with; none for a base made from nothing.
    pub base: Option<ManifestDigest>,
    /// The source; none for a base.
    pub source: Option<Source>,
    /// In this order. Each leaves one layer.
    pub stages: Vec<Stage>,
    /// Run when all else is done, on what will be the artifact; what it writes is thrown away.
    pub test: Option<Step>,
    /// After the test, still part of the last layer.
    pub finish: Vec<Step>,
    /// Directories that survive; never in a layer.
    pub caches: Vec<Cache>,
    /// Removed before the last layer is taken; `*` in the last part.
    pub remove: Vec<String>,
    /// Paths or globs that are looked for before the last layer is taken, for the conclusion.
    pub collect: Vec<String>,
    /// What the instance may use.
    pub limits: Limits,
    /// How the artifact will be started.
    pub launch: LaunchDraft,
}

impl Plan {
    /// Names the plan.
    pub fn digest(&self) -> PlanDigest {
        PlanDigest(digest_of(self))
    }
}

/// The digest of a value's canonical JSON (struct order, sorted maps, no spaces).
pub(crate) fn digest_of<T: Serialize>(value: &T) -> Digest {
    // Strings, numbers, maps by string: nothing in a plan can fail to be written.
    let text = serde_json::to_string(value).expect("a plan is plain data");
    Digest::of(text.as_bytes())
}

/// The source that a plan is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The commit, where it is one.
    pub commit: Option<CommitId>,
    /// Its whole tree.
    pub tree: Digest,
}

/// A part of the preparation that leaves one layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// For people.
    pub name: String,
    /// May a layer of the same inputs be taken instead?
    pub reuse: Reuse,
    /// Seconds since 1970: `SOURCE_DATE_EPOCH` of its steps, and the newest time in its layer.
    pub epoch: u64,
    /// In this order.
    pub deeds: Vec<Deed>,
}

/// May a layer that was made before be taken?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reuse {
    /// When everything that goes into it is the same.
    Inputs,
    /// It is made anew.
    Never,
}

/// One thing that is done in an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deed {
    /// A system is made from packages, in an instance that is empty so far.
    Bootstrap(Bootstrap),
    /// Files are put into the instance.
    Inject(Injection),
    /// A command runs.
    Run(Step),
}

/// A Debian system from packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// E.g. `bookworm`.
    pub suite: String,
    /// Which archives: `release`, `updates`, `security`.
    pub archives: Vec<String>,
    /// By name, beyond the essential ones and apt.
    pub packages: Vec<String>,
    /// Recommended packages too.
    pub recommends: bool,
    /// Paths of packages that are left out, now and in what is installed later (dpkg's `path-exclude`).
    pub exclude: Vec<String>,
}

/// Files that are put into the instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Injection {
    /// Which.
    pub what: Selection,
    /// How.
    pub place: Place,
    /// Whose they are inside: a name in its `/etc/passwd`, or a number; none: as the archive says.
    pub owner: Option<String>,
}

/// Which files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    /// The whole source.
    Whole,
    /// These files of the source.
    Files(Vec<SourceFile>),
    /// These files of the base's folder.
    Extra(Vec<ExtraFile>),
}

/// How files are put into the instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// As files, under this path.
    Dir(String),
    /// As one tar archive, mounted read-only at this path while steps run.
    Tar(String),
}

/// A file of a base's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraFile {
    /// In the folder.
    pub source: String,
    /// In the image.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Of its bytes.
    pub digest: Digest,
}

/// A command that runs in the instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// For people, and in `steps` of the JSON answers.
    pub name: String,
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// Its whole environment but for what the house adds (`HOME`, `SOURCE_DATE_EPOCH`, the machine's package mirrors).
    pub env: BTreeMap<String, String>,
    /// Where it runs.
    pub dir: String,
    /// Who runs it: a name in the image's `/etc/passwd`, or a number.
    pub user: String,
    /// What it can reach.
    pub network: Network,
}

/// What a step can reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Nothing but its own loopback.
    #[default]
    None,
    /// The outside, but neither the host's loopback nor other instances.
    Egress,
}

/// A directory that survives preparations of the same app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// Names it among the app's caches.
    pub name: String,
    /// Where it is mounted.
    pub path: String,
    /// Whose it is inside.
    pub owner: String,
}

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

/// A command that a process type may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Only when any of these paths or globs was found after the steps; none given: always.
    pub built: Vec<String>,
    /// The command; `{{built}}` stands for the path that was found.
    pub argv: Vec<String>,
}
