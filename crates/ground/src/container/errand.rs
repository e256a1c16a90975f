//! A step in a machine of its own, upon the tree that a container would have: what is mounted there, limits, environment and user
//! are the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use till_core::Failure;
use till_core::plan::{Bytes, Limits, Step};
use till_core::port::{Exit, LogSink};

use super::mounts::MOUNTS;
use super::places::{self, Stubs};
use super::runtime::built_in_spec::Resources;
use super::spec::{self, Seat};
use super::{ContainerError, cgroup, egress, io, users};
use crate::hypervisor::{Errand, Hypervisor};

/// What a hypervisor takes itself, beside the memory of its guest.
const OVERHEAD: u64 = 1 << 30;
/// Its threads, and those of its helpers.
const THREADS: u32 = 1024;

/// What a machine needs that a container does not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) hypervisor: &'a dyn Hypervisor,
    /// The kernel's package; none: the tree has one.
    pub(super) kernel: Option<&'a Path>,
    /// May others write to what the step sees?
    pub(super) is_shared: bool,
    /// Is our own terminal its terminal?
    pub(super) terminal: bool,
}

/// Limits of processes of this machine that work for a guest; with them they are found, and killed.
pub(super) struct Group(String);

impl Group {
    pub(super) fn make(name: &str, limits: &Limits) -> Result<Self, Failure> {
        let limits =
            Limits { memory: Bytes(limits.memory.0.saturating_add(OVERHEAD)), pids: THREADS, ..limits.clone() };
        let resources: Resources = serde_json::from_value(spec::resources(&limits))
            .map_err(|error| Failure::house("cannot limit a machine", error))?;
        cgroup::make(name, &resources)?;
        cgroup::allow_kvm(name);
        Ok(Self(name.to_owned()))
    }

    pub(super) fn put(&self, pid: u32) -> Result<(), Failure> {
        Ok(cgroup::put_by_name(pid, &self.0)?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        cgroup::destroy(&self.0);
    }
}

/// A directory for sockets, whose path is short.
pub(super) struct Sockets(pub(super) PathBuf);

impl Sockets {
    pub(super) fn make(name: &str) -> Result<Self, ContainerError> {
        let path = Path::new(MOUNTS).join(format!("{name}.vm"));
        std::fs::create_dir(&path).map_err(io("make", &path))?;
        Ok(Self(path))
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the step to its end.
pub(super) async fn run(
    seat: &Seat<'_>,
    means: Means<'_>,
    step: &Step,
    house: BTreeMap<String, String>,
    stubs: &mut Stubs,
    too_much: &mut (dyn FnMut() -> bool + Send),
    log: &mut dyn LogSink,
) -> Result<Exit, Failure> {
    let user = users::find(seat.root, &step.user)?;
    let mut env = house;
    env.insert("HOME".to_owned(), user.home);
    env.extend(step.env.clone());
    let nobody = (seat.ids.first, seat.ids.first);
    for path in ["/proc", "/sys", "/dev"] {
        places::directory(seat.root, path, nobody, stubs)?;
    }
    let sockets = Sockets::make(seat.name)?;
    let group = Group::make(seat.name, seat.limits)?;
    let errand = Errand {
        root: seat.root,
        ids: seat.ids,
        step,
        env,
        limits: seat.limits,
        kernel: means.kernel,
        is_shared: means.is_shared,
        terminal: means.terminal,
        forwarder: egress::forwarder(),
        folder: &sockets.0,
        adopt: &|pid| group.put(pid),
    };
    means.hypervisor.run(&errand, too_much, log).await
}
