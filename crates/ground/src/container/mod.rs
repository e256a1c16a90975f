//! Containers on this machine: the built-in runtime, or an OCI runtime by its command line, over overlayfs.
//!
//! ```text
//! DATA/layers/<boot>-<id>/<diff id>/  unpacked layers, ids shifted, as far as this boot wrote them
//! DATA/instances/<id>/lock          held while its owner lives
//! DATA/instances/<id>/{upper,work}  what it wrote
//! DATA/instances/<id>/bundle/       config.json of the OCI runtime spec
//! DATA/instances/<id>/state/        an OCI runtime's own
//! DATA/instances/<id>/log           output of a running artifact; exit.json when it ended
//! DATA/caches/<app>/<name>/         directories that survive
//! ```
//!
//! Mounts live in a private mount namespace ([`enter`]) of the process that made them: when it dies, however it dies, the
//! kernel removes them. Processes and cgroups of the dead are found by their lock, which nobody holds ([`sweep`]).

mod cgroup;
mod egress;
mod errand;
mod gathering;
mod health;
mod instance;
mod loans;
mod machine;
mod mounts;
mod overlay;
mod places;
mod ports;
mod runner;
mod runtime;
mod seat;
mod seccomp;
mod sitting;
mod spec;
mod startable;
mod step;
mod supervise;
mod sweep;
mod trees;
mod users;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use till_core::plan::TreeFiles;
use till_core::port::{Environment, Instance, Layer, Opening};
use till_core::{Blame, DiffId, Failure, Fault};
use till_image::{Compression, IdShift, Store};

use crate::hypervisor::Hypervisor;

pub use machine::Machine;
pub use mounts::enter;
pub use runtime::{Runtime, candidates, contain};
pub use supervise::supervise;

/// How containers are run on this machine.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where everything is kept.
    pub data: PathBuf,
    /// The first of the 65,536 ids outside that are 0, 1, … inside. No user of the host may have any of them.
    pub first_id: u32,
    /// How layers are compressed.
    pub compression: Compression,
    /// The binary that supervises running instances: ours.
    pub supervisor: PathBuf,
    /// What the machine's package clients are configured with.
    pub machine: Machine,
}

impl Config {
    /// The shift between ids inside and outside.
    pub fn ids(&self) -> IdShift {
        IdShift { first: self.first_id, count: 65_536 }
    }
}

/// Containers on this machine.
#[derive(Debug, Clone)]
pub struct Containers {
    house: Arc<House>,
    /// Where steps run in machines of their own: an environment of another name.
    hypervisor: Option<Arc<dyn Hypervisor>>,
}

/// What every instance needs.
#[derive(Debug)]
struct House {
    config: Config,
    store: Store,
    runtime: Runtime,
}

impl Containers {
    /// With a runtime that was found to work.
    pub fn new(config: Config, store: Store, runtime: Runtime) -> Self {
        Self { house: Arc::new(House { config, store, runtime }), hypervisor: None }
    }

    /// The same, where each step runs in a machine of its own: `qemu`.
    #[must_use]
    pub fn with_machines(&self, hypervisor: Arc<dyn Hypervisor>) -> Self {
        Self { house: self.house.clone(), hypervisor: Some(hypervisor) }
    }
}

#[async_trait]
impl Environment for Containers {
    fn name(&self) -> &'static str {
        if self.hypervisor.is_some() { "qemu" } else { "container" }
    }

    fn has_kernel(&self) -> bool {
        self.hypervisor.is_some()
    }

    async fn gather(&self, layers: &[Layer], files: &TreeFiles, into: &Path) -> Result<(), Failure> {
        let (house, layers, files, into) = (self.house.clone(), layers.to_vec(), files.clone(), into.to_owned());
        blocking("cannot gather files", move || gathering::gather(&house, &layers, &files, &into)).await
    }

    async fn open(&self, opening: Opening) -> Result<Box<dyn Instance>, Failure> {
        Ok(Box::new(instance::Container::open(self.house.clone(), self.hypervisor.clone(), opening).await?))
    }

    async fn collect(&self, keep: &BTreeSet<DiffId>) -> Result<u64, Failure> {
        if let Some(hypervisor) = &self.hypervisor {
            // Layers and folders are those of containers, who see to them.
            return hypervisor.collect().await;
        }
        let (house, keep) = (self.house.clone(), keep.clone());
        blocking("cannot remove layers", move || {
            let folder = trees::folder(&house.config.data, house.config.ids())?;
            Ok(trees::collect(&folder, &keep)?)
        })
        .await
    }

    async fn sweep(&self) -> Result<usize, Failure> {
        if self.hypervisor.is_some() {
            return Ok(0);
        }
        let house = self.house.clone();
        blocking("cannot sweep", move || sweep::sweep(&house)).await
    }
}

/// What can go wrong with a container.
#[derive(Debug, thiserror::Error)]
enum ContainerError {
    #[error("cannot {deed} `{path}`")]
    Io { deed: &'static str, path: PathBuf, source: std::io::Error },
    #[error("cannot mount {what}")]
    Mount { what: String, source: rustix::io::Errno },
    #[error("the image has no user `{0}`")]
    User(String),
    #[error("the image has no group `{0}`")]
    Group(String),
    #[error("the image has {0} layers, and this machine's kernel mounts no more than {1}")]
    Layers(usize, usize),
    #[error("step `{step}` cannot be started: {said}")]
    Start { step: String, said: String },
    #[error("the network for step `{step}` cannot be set up: {said}")]
    Egress { step: String, said: String },
    #[error("no container runtime works on this machine: {0}")]
    NoRuntime(String),
    #[error("`{path}` is not a place in the image")]
    Place { path: String, source: rustix::io::Errno },
}

impl Blame for ContainerError {
    fn fault(&self) -> Fault {
        match self {
            Self::User(_) | Self::Group(_) | Self::Place { .. } | Self::Layers(..) => Fault::Base,
            // What the runtimes say of a command that cannot be executed, and ours of an image; anything else is theirs.
            Self::Start { said, .. } if said.starts_with("the image's ") => Fault::Base,
            Self::Start { said, .. } if said.starts_with("cannot ") => Fault::House,
            Self::Start { said, .. }
                if ["no such file", "not found", "permission denied", "not a directory"]
                    .iter()
                    .any(|part| said.to_lowercase().contains(part)) =>
            {
                Fault::Base
            }
            _ => Fault::House,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::User(name) => {
                Some(format!("make it before, where the image is made: `useradd --create-home {name}`"))
            }
            Self::NoRuntime(_) | Self::Egress { .. } | Self::Mount { .. } => {
                Some("`till doctor` checks what this machine offers".to_owned())
            }
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free disk space; `till gc` removes what nothing uses".to_owned())
            }
            _ => None,
        }
    }
}

/// An IO error of a deed on a path.
fn io(deed: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> ContainerError {
    let path = path.into();
    move |source| ContainerError::Io { deed, path, source }
}

/// Work that blocks, away from the reactor. The thread pool inherits the mount namespace of the thread that made it.
async fn blocking<T: Send + 'static>(
    deed: &str,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Failure::house(deed, error)),
    }
}
