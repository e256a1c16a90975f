//! What `container` asks of a hypervisor: steps of a preparation in machines of their own, and machines that run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use async_trait::async_trait;
use till_core::Failure;
use till_core::plan::{Limits, Step};
use till_core::port::{DiskFiles, Evidence, Exit, LogSink, Outcome};
use till_core::system::{Job, Said, SystemSpec};
use till_image::IdShift;

/// One step, upon a tree of this machine, with everything mounted in it that the step is to see.
pub struct Errand<'a> {
    /// The tree.
    pub root: &'a Path,
    /// Between ids inside and those of the tree.
    pub ids: IdShift,
    /// The step.
    pub step: &'a Step,
    /// All of its environment.
    pub env: BTreeMap<String, String>,
    /// What it may use. What it writes is watched by `too_much`.
    pub limits: &'a Limits,
    /// The kernel's package; none: the tree has one.
    pub kernel: Option<&'a Path>,
    /// May others write to what it sees, while it runs?
    pub is_shared: bool,
    /// Is our own terminal its terminal?
    pub terminal: bool,
    /// An address of the machine's network that leads to this machine's name server, where that is on the loopback.
    pub forwarder: Option<&'a str>,
    /// An empty directory, whose path is short enough for sockets.
    pub folder: &'a Path,
    /// Limits a process of this machine that works for it.
    pub adopt: &'a (dyn Fn(u32) -> Result<(), Failure> + Sync),
}

/// A machine that runs from a disk.
pub struct Life<'a> {
    /// Its disk, which stays as it is.
    pub disk: &'a DiskFiles,
    /// The system on it, where that is none of ours.
    pub system: Option<&'a SystemSpec>,
    /// What it calls itself.
    pub hostname: &'a str,
    /// The package of its kernel; none: the disk's own alone.
    pub kernel: Option<&'a Path>,
    /// Where is written what it writes; not there yet.
    pub overlay: &'a Path,
    /// Of its memory, in bytes.
    pub memory: u64,
    /// What else it may use.
    pub limits: &'a Limits,
    /// Ports that lead to it.
    pub forwards: &'a [Forward],
    /// The process that it is for, where it ends with that.
    pub once: Option<&'a str>,
    /// As for an [`Errand`].
    pub forwarder: Option<&'a str>,
    /// As for an [`Errand`].
    pub folder: &'a Path,
    /// As for an [`Errand`].
    pub adopt: &'a (dyn Fn(u32) -> Result<(), Failure> + Sync),
}

/// A start of a system that stays a disk, for a job.
pub struct Attendance<'a> {
    /// Its disk, as files that each lie over those before.
    pub chain: &'a [PathBuf],
    /// What it is.
    pub system: &'a SystemSpec,
    /// What it is to do.
    pub job: &'a Job,
    /// What the job unpacks, by number.
    pub archives: &'a [PathBuf],
    /// Variables of steps that reach the outside.
    pub variables: &'a BTreeMap<String, String>,
    /// Files that such steps find, with the variables that say where.
    pub lent: &'a [(Vec<String>, PathBuf)],
    /// What it calls itself.
    pub hostname: &'a str,
    /// What it may use.
    pub limits: &'a Limits,
    /// What its first serial port says is kept here.
    pub console: &'a Path,
    /// Where is written what it writes; not there yet.
    pub overlay: &'a Path,
    /// A directory.
    pub work: &'a Path,
    /// As for an [`Errand`].
    pub forwarder: Option<&'a str>,
    /// As for an [`Errand`].
    pub folder: &'a Path,
    /// As for an [`Errand`].
    pub adopt: &'a (dyn Fn(u32) -> Result<(), Failure> + Sync),
}

/// What is told of a machine while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Its processes answer.
    Ready,
}

/// Runs machines.
#[async_trait]
pub trait Hypervisor: Send + Sync + std::fmt::Debug {
    /// Runs a step to its end, or ends it when it takes too long or `too_much` was written. Nothing of it is left afterwards,
    /// also when this is dropped.
    async fn run(
        &self,
        errand: &Errand<'_>,
        too_much: &mut (dyn FnMut() -> bool + Send),
        log: &mut dyn LogSink,
    ) -> Result<Exit, Failure>;

    /// Runs a machine until it is off. When `stop` comes to its end its power button is pressed, once.
    async fn live(
        &self,
        life: &Life<'_>,
        told: &mut (dyn FnMut(Told) + Send),
        stop: Pin<&mut (dyn Future<Output = ()> + Send)>,
        log: &mut dyn LogSink,
    ) -> Result<Evidence, Failure>;

    /// Starts a system, and hears it until it is off, or until one of its acts ended otherwise than well. When all is done,
    /// what it wrote is left in `delta` as the next file of its chain, if that is given.
    async fn attend(
        &self,
        order: &Attendance<'_>,
        delta: Option<&Path>,
        told: &mut (dyn FnMut(Said) + Send),
    ) -> Result<Outcome, Failure>;

    /// Removes what it keeps for the next time. Called only when nothing runs. Answers how many things.
    async fn collect(&self) -> Result<u64, Failure>;
}

/// A port of this machine's loopback that leads to one inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Forward {
    /// Here.
    pub host: u16,
    /// There.
    pub inside: u16,
    /// UDP in place of TCP.
    pub datagrams: bool,
}
