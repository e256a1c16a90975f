//! Commands that run in an instance, and what is mounted for them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Footing, NamedFile};
use crate::packages::Pinned;

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
    /// Paths or globs in the instance, of which one must be there when it is this step's turn; else it is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub built: Vec<String>,
    /// What is mounted for it alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<StepMount>,
}

/// Something that is mounted for one step, and is not in its layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepMount {
    /// Where.
    pub path: String,
    /// What.
    pub what: Mounted,
    /// May it be written to?
    pub write: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mounted {
    /// A part of another tree; what is written to it is thrown away.
    Tree {
        /// Which.
        of: Footing,
        /// The part, `/` for all.
        source: String,
    },
    /// Files of the source; a single one whose name is empty is mounted as a file. What is written is thrown away.
    Source(Vec<NamedFile>),
    /// A text, as a file that may be executed.
    Script(String),
    /// An archive of just these packages.
    Packages(Vec<Pinned>),
    /// A directory for what the step is to leave to who watches it, by the number of the step.
    Record(usize),
    /// A directory that survives.
    Cache {
        /// Names it among the app's caches.
        name: String,
        /// May several steps use it at once?
        sharing: Sharing,
        /// User and group that own it when it is made.
        owner: (u32, u32),
        /// Its mode when it is made.
        mode: u32,
    },
    /// Memory.
    Tmpfs {
        /// At most so many bytes.
        size: Option<u64>,
    },
    /// A file that only who asks for the build knows.
    Secret {
        /// Its name there.
        id: String,
        /// Is it an error if it is not given?
        required: bool,
        /// User and group that own it.
        owner: (u32, u32),
        /// Its mode.
        mode: u32,
        /// The variable that it is given in; none: as a file.
        env: Option<String>,
    },
}

/// May several steps use a cache at once?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    /// Yes.
    Shared,
    /// One after the other.
    Locked,
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
