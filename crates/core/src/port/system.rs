//! Port: systems that stay disks, and do in themselves what is to be done.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::instance::Evidence;
use crate::fault::Failure;
use crate::id::InstanceId;
use crate::plan::Limits;
use crate::system::{Job, Said, SystemSpec};

/// The disk of a machine; it is never written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskFiles {
    /// Its bytes, as the machine sees them.
    Bytes(PathBuf),
    /// Files in qcow2, each of which says what differs from those before it, and names no other file.
    Chain(Vec<PathBuf>),
}

/// A start of a system, for a job.
#[derive(Debug, Clone)]
pub struct Sitting {
    /// Chosen by who starts it, and written down before.
    pub id: InstanceId,
    /// Its disk, as [`DiskFiles::Chain`].
    pub chain: Vec<PathBuf>,
    /// What it is.
    pub system: SystemSpec,
    /// What it is to do.
    pub job: Job,
    /// What the job unpacks, by number.
    pub archives: Vec<PathBuf>,
    /// What it calls itself.
    pub hostname: String,
    /// What it may use.
    pub limits: Limits,
    /// What its first serial port says is kept here.
    pub console: PathBuf,
}

/// How a sitting ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All is done, and the system is off.
    Done,
    /// An act ended otherwise than well.
    Act {
        /// Which.
        number: usize,
        /// How.
        end: End,
    },
}

/// How an act ended that did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With that code.
    Code(u32),
    /// It could not be done: what was seen.
    Failed(String),
    /// It was ended: too much was written, or it took too long.
    Killed(Evidence),
}

/// Starts systems for what is to be done in them.
#[async_trait]
pub trait Systems: Send + Sync {
    /// Starts it from an overlay over its disk, hands it the job, and hears it until it is off. When all is done, what it wrote
    /// is left in `delta`, as the next file of its chain, if that is given. A system that says nothing, or is off before it is
    /// done, is an error.
    async fn attend(
        &self,
        sitting: &Sitting,
        delta: Option<&Path>,
        told: &mut (dyn FnMut(Said) + Send),
    ) -> Result<Outcome, Failure>;
}
