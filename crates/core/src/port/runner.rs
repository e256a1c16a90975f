//! Port: artifacts that run.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

use super::instance::Layer;
use super::system::DiskFiles;
use crate::fault::Failure;
use crate::id::InstanceId;
use crate::model::Launch;
use crate::plan::{Bytes, Limits};
use crate::system::SystemSpec;

/// What is to run.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// Chosen by who starts it, and written down before.
    pub id: InstanceId,
    /// The artifact's layers, lowest first.
    pub layers: Vec<Layer>,
    /// How it is started.
    pub launch: Launch,
    /// Which process type.
    pub process: String,
    /// The port of the host's loopback for the process's first port; none: any free one.
    pub publish: Option<u16>,
    /// What it may use.
    pub limits: Limits,
    /// The machine that it runs in; none: a container.
    pub machine: Option<RunMachine>,
    /// Is it nobody's but this process's? Then it ends with it, and nothing of it is kept.
    pub transient: bool,
}

/// A machine that an artifact runs in. Its ports are all those of its services, and it is ready when each answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunMachine {
    /// Its disk.
    pub disk: DiskFiles,
    /// The package of its kernel; none: of the disk's own.
    pub kernel: Option<PathBuf>,
    /// Of its memory.
    pub memory: Bytes,
    /// The system on its disk, where that is none of ours: it does not say when it is ready.
    pub system: Option<SystemSpec>,
    /// What it calls itself.
    pub hostname: String,
}

/// An instance that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The port of the host's loopback, where the process has one.
    pub port: Option<u16>,
    /// How long it took until it answered.
    pub took: Duration,
}

/// What is known of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// It runs.
    Running,
    /// It ended; with what, and what the log said last.
    Ended(super::instance::Evidence),
    /// There is nothing of that name.
    Gone,
}

/// Runs artifacts.
#[async_trait]
pub trait Runner: Send + Sync {
    /// Starts one and waits until it answers its health question. What failed to start is stopped; its log stays.
    async fn start(&self, request: &RunRequest) -> Result<Started, Failure>;

    /// What is known of it.
    async fn inspect(&self, id: &InstanceId) -> Result<Observed, Failure>;

    /// Where its log is.
    fn log(&self, id: &InstanceId) -> PathBuf;

    /// Stops it: asks, waits a little, kills. Then removes it.
    async fn stop(&self, id: &InstanceId) -> Result<(), Failure>;
}
