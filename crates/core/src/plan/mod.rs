//! A plan: everything that will happen in a preparation, as data, before anything is done.
//!
//! Versioned JSON with sorted maps; no path of the host, no time of day, no secret. Equal plans have equal digests, and
//! who follows a plan makes no choices. An app and a base are prepared by the same mill; only who writes the plan differs.

mod copy;
mod image;
mod key;
mod launch;
mod limits;
mod lint;
mod step;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use copy::{Landing, NamedFile, RemoteFile, TextFile, TreeFiles};
pub use image::{Config, Healthcheck, ImageDraft, Record};
pub use key::{content_key, private_stages, stage_keys};
pub use launch::{Candidate, LaunchDraft, Starting};
pub use limits::{Bytes, Limits, LimitsFile};
pub use lint::{Finding, lint};
pub use step::{Mounted, Network, Sharing, Step, StepMount};

use crate::digest::{Digest, ManifestDigest, PlanDigest};
use crate::known::Need;
use crate::model::source::{CommitId, SourceFile};
use crate::packages::Pinned;
use crate::system::SystemDraft;

/// The version of this structure; another structure gets another number, so that digests never meet by accident.
pub const VERSION: u32 = 4;

/// What will be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`VERSION`].
    pub version: u32,
    /// Who wrote it: `command`, `recipe/debian`.
    pub contract: String,
    /// Where it is carried out: `container`, `qemu`.
    pub environment: String,
    /// The machine that it is for; none: containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineDraft>,
    /// The system that its base is, where that stays a disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemDraft>,
    /// The base by whose contract it was written; none for a base made from nothing.
    pub base: Option<ManifestDigest>,
    /// The source; none for a base.
    pub source: Option<Source>,
    /// Each leaves one layer, and needs none but those before it.
    pub stages: Vec<Stage>,
    /// What becomes the image.
    pub top: Footing,
    /// The stage in which the test and what follows upon it happen, where that is not the topmost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<usize>,
    /// Run when all else is done, on what will be the artifact; what it writes is thrown away.
    pub test: Option<Step>,
    /// After the test, still part of the last layer.
    pub finish: Vec<Step>,
    /// Directories that survive; never in a layer.
    pub caches: Vec<Cache>,
    /// Removed before the last layer is taken; `*` in the last part.
    pub remove: Vec<String>,
    /// What is written here is in no layer; `*` in the last part.
    pub volatile: Vec<String>,
    /// Paths or globs that are looked for before the last layer is taken, for the conclusion.
    pub collect: Vec<String>,
    /// Programs that somebody has to be able to start before the last layer is taken: what the image is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<Starting>,
    /// What the instance may use.
    pub limits: Limits,
    /// How the artifact will be started.
    pub launch: LaunchDraft,
    /// The image's config, where the plan says all of it; else it follows from the base's and the launch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageDraft>,
    /// The images that go into it beside the base, by what they are called in the source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, ManifestDigest>,
    /// All Debian packages that its steps and its bootstrap install, exactly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Pinned>,
    /// What the user should know of what is written in the source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The machine that something is prepared for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineDraft {
    /// The package of its kernel; none where the image has one.
    pub kernel: Option<Pinned>,
    /// Do steps run on that kernel?
    pub steps: bool,
}

/// What is written here is of no one instance, and not part of what it leaves behind.
pub fn volatile() -> Vec<String> {
    ["/tmp/*", "/var/tmp/*", "/run/*"].map(str::to_owned).to_vec()
}

impl Plan {
    /// Was it written in a Dockerfile, an app's or a base's?
    pub fn is_dockerfile(&self) -> bool {
        self.contract.ends_with("dockerfile")
    }

    /// Is this the stage in which the test happens, and from whose layer things are removed?
    pub fn is_work(&self, stage: usize) -> bool {
        match self.work {
            Some(work) => work == stage,
            None => self.top == Footing::Stage(stage),
        }
    }

    /// The stages below something, the lowest first: their layers lie upon [`Plan::root`].
    pub fn chain(&self, top: &Footing) -> Vec<usize> {
        let mut chain = Vec::new();
        let mut here = top;
        while let Footing::Stage(number) = here
            && let Some(stage) = self.stages.get(*number)
            // Stages stand on earlier ones (`lint`); a plan that says otherwise must not keep us here.
            && chain.last().is_none_or(|above| number < above)
        {
            chain.push(*number);
            here = &stage.on;
        }
        chain.reverse();
        chain
    }

    /// The files of the source that go into it, or are lent to its steps.
    pub fn source_files(&self) -> BTreeSet<&str> {
        let deeds = self.stages.iter().flat_map(|stage| &stage.deeds);
        let files = deeds.flat_map(|deed| match deed {
            Deed::Inject(Injection { what: Selection::Named(files), .. }) => {
                files.iter().map(|named| &named.file).collect()
            }
            Deed::Inject(Injection { what: Selection::Files(files), .. }) => files.iter().collect(),
            Deed::Run(step) => {
                let lent = step.mounts.iter().filter_map(|mount| match &mount.what {
                    Mounted::Source(files) => Some(files),
                    _ => None,
                });
                lent.flatten().map(|named| &named.file).collect()
            }
            _ => Vec::new(),
        });
        files.map(|file| file.path.as_str()).collect()
    }

    /// The files of the web that go into it.
    pub fn remotes(&self) -> impl Iterator<Item = &RemoteFile> {
        self.stages.iter().flat_map(|stage| &stage.deeds).filter_map(|deed| match deed {
            Deed::Inject(Injection { what: Selection::Remote(file), .. }) => Some(file),
            _ => None,
        })
    }

    /// The image at the bottom of something.
    pub fn root<'a>(&'a self, top: &'a Footing) -> Option<&'a ManifestDigest> {
        let lowest = self.chain(top).first().copied();
        match lowest.and_then(|number| self.stages.get(number)).map_or(top, |stage| &stage.on) {
            Footing::Image(digest) => Some(digest),
            _ => None,
        }
    }

    /// Names the plan.
    pub fn digest(&self) -> PlanDigest {
        PlanDigest(digest_of(self))
    }
}

/// What planning comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Everything is decided.
    Plan(Box<Plan>),
    /// This has to be known first.
    Needs(Vec<Need>),
}

impl Decision {
    /// The plan, if everything is decided.
    pub fn plan(self) -> Option<Plan> {
        match self {
            Self::Plan(plan) => Some(*plan),
            Self::Needs(_) => None,
        }
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
    /// What its layer lies upon.
    pub on: Footing,
    /// Does it see what it lies upon?
    #[serde(default, skip_serializing_if = "Sight::is_all")]
    pub sight: Sight,
    /// May a layer of the same inputs be taken instead?
    pub reuse: Reuse,
    /// Seconds since 1970: `SOURCE_DATE_EPOCH` of its steps, and the newest time in its layer.
    pub epoch: u64,
    /// In this order.
    pub deeds: Vec<Deed>,
    /// Files whose text is read before its layer is taken, for the conclusion; `*` in any part. Only where no layer may be
    /// taken instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<String>,
    /// It has no deeds, and becomes one layer for each directory of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
}

/// Layers that are known only when another tree is there: a list in it names a directory for each. What lies in the
/// directory is the layer, with the owners and modes that it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// The tree.
    pub of: Footing,
    /// The list, absolute: a [`Spreading`] as JSON.
    pub list: String,
}

/// The list of a [`Spread`]; what else stands in it is for the conclusion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spreading {
    /// The lowest first.
    pub layers: Vec<SpreadLayer>,
}

/// A directory that becomes a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SpreadLayer {
    /// Names it among the collected layers; several may have one name.
    pub name: String,
    /// Beside the list.
    pub directory: String,
    /// What made it, for the image's history.
    pub created_by: String,
}

/// Something that layers lie upon.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Footing {
    /// An empty file system.
    Nothing,
    /// An image of the store.
    Image(ManifestDigest),
    /// A stage of this plan, with all that it lies upon.
    Stage(usize),
}

/// What a stage sees of what its layer lies upon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sight {
    /// All.
    #[default]
    All,
    /// Nothing: its layer is the same whatever is below (`COPY --link`).
    Nothing,
}

impl Sight {
    fn is_all(&self) -> bool {
        *self == Self::All
    }
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// These files of the source, under other names.
    Named(Vec<NamedFile>),
    /// These texts.
    Texts(Vec<TextFile>),
    /// Files of another tree.
    Tree(TreeFiles),
    /// A file that was fetched.
    Remote(RemoteFile),
}

/// How files are put into the instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// As files, under this path.
    Dir(String),
    /// As one tar archive, mounted read-only at this path while steps run.
    Tar(String),
    /// As a Dockerfile's COPY puts them there.
    Copy(Landing),
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
