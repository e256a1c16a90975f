//! Artifacts that run, each under a supervisor of its own: our binary again, which outlives the command that started it.
//!
//! ```text
//! request.json   what to run; it marks the folder as an artifact's
//! running.json   written when the command was started: pid, port
//! ended.json     written when it ended: how
//! log            its output; log.1 the part before
//! ```

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use till_core::id::InstanceId;
use till_core::model::Launch;
use till_core::plan::Limits;
use till_core::port::{DiskFiles, Evidence, Observed, RunRequest, Runner, Started};
use till_core::system::SystemSpec;
use till_core::{Failure, Fault};

use super::health::ask;
use super::ports::{Published, published};
use super::seat::{Folder, instances, lower};
use super::{ContainerError, Containers, House, blocking, cgroup, io, sweep};
use crate::hypervisor::Forward;
use crate::process;

/// How long an instance is given to end by itself.
const GRACE: Duration = Duration::from_secs(10);
/// The same for a machine, which has processes to end before it is off itself.
const GRACE_OF_MACHINES: Duration = Duration::from_secs(45);
/// How much longer a machine may take than a container until it answers: there are processors without a way to run it.
const BOOT: Duration = Duration::from_secs(180);
/// How long is waited before one looks again: at first not long, for what is quick.
fn pause(began: Instant) -> Duration {
    (began.elapsed() / 50).clamp(Duration::from_millis(1), Duration::from_millis(20))
}

/// What the supervisor reads.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) data: PathBuf,
    pub(super) first_id: u32,
    pub(super) runtime: String,
    pub(super) id: InstanceId,
    /// Topmost first.
    pub(super) lower: Vec<PathBuf>,
    pub(super) launch: Launch,
    pub(super) process: String,
    /// Of the host's loopback.
    pub(super) forwards: Vec<Forward>,
    pub(super) limits: Limits,
    /// In place of a container.
    pub(super) machine: Option<MachineOrder>,
    /// It ends with who started it.
    pub(super) transient: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MachineOrder {
    pub(super) disk: DiskFiles,
    pub(super) system: Option<SystemSpec>,
    pub(super) hostname: String,
    pub(super) kernel: Option<PathBuf>,
    /// Bytes.
    pub(super) memory: u64,
}

/// Written when a machine says that its processes answer.
pub(super) const READY: &str = "ready";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Running {
    pub(super) pid: u32,
    pub(super) supervisor: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ended {
    /// An exit code, or what ended it.
    pub(super) how: String,
    pub(super) code: Option<u8>,
    /// What kept it from being started at all.
    pub(super) said: Option<String>,
    /// Whose doing that is.
    pub(super) fault: Option<Fault>,
}

impl Ended {
    pub(super) fn of(evidence: Evidence) -> Self {
        let code = match evidence {
            Evidence::Code(code) => Some(code),
            _ => None,
        };
        Self { how: describe(evidence), code, said: None, fault: None }
    }

    fn evidence(&self) -> Evidence {
        let limits = [Evidence::OutOfMemory, Evidence::OutOfPids, Evidence::OutOfDisk];
        let limit = limits.into_iter().find(|limit| describe(*limit) == self.how);
        self.code.map_or(limit.unwrap_or(Evidence::OutOfTime), Evidence::Code)
    }
}

fn describe(evidence: Evidence) -> String {
    match evidence {
        Evidence::Code(code) => format!("exit code {code}"),
        Evidence::OutOfMemory => "out of memory".to_owned(),
        Evidence::OutOfPids => "too many processes".to_owned(),
        Evidence::OutOfDisk => "too much written".to_owned(),
        Evidence::OutOfTime => "killed".to_owned(),
    }
}

pub(super) fn is_ended(folder: &Path) -> bool {
    folder.join("ended.json").exists()
}

/// Is it of an artifact, and somebody may want to know how it ended?
pub(super) fn is_artifact(folder: &Path) -> bool {
    let is_transient = || read_json::<Order>(folder, "request.json").is_some_and(|order| order.transient);
    folder.join("request.json").exists() && !is_transient()
}

/// The supervisor is dead and did not say how the instance ended.
pub(super) fn mark_lost(folder: &Path) -> Result<(), ContainerError> {
    let log = std::fs::read_to_string(folder.join("supervisor.log")).unwrap_or_default();
    let said = log.lines().last().map(str::to_owned);
    let ended =
        Ended { how: "lost: its supervisor was killed".to_owned(), code: None, said, fault: Some(Fault::House) };
    let _ = std::fs::remove_dir_all(folder.join("upper"));
    write_json(folder, "ended.json", &ended)
}

pub(super) fn write_json<T: Serialize>(folder: &Path, name: &str, value: &T) -> Result<(), ContainerError> {
    let path = folder.join(name);
    let hidden = folder.join(format!(".{name}"));
    let text = serde_json::to_vec(value).unwrap_or_default();
    std::fs::write(&hidden, text).map_err(io("write", &hidden))?;
    std::fs::rename(&hidden, &path).map_err(io("write", &path))
}

pub(super) fn read_json<T: for<'a> Deserialize<'a>>(folder: &Path, name: &str) -> Option<T> {
    serde_json::from_slice(&std::fs::read(folder.join(name)).ok()?).ok()
}

impl Containers {
    fn folder(&self, id: &InstanceId) -> PathBuf {
        instances(&self.house.config.data).join(id.as_str())
    }

    /// Prepares the folder and lets the supervisor take it over.
    /// Answers with the supervisor's number.
    async fn launch(&self, request: &RunRequest, ports: &[Published]) -> Result<u32, Failure> {
        let (house, wanted) = (self.house.clone(), request.clone());
        let forwards = ports.iter().map(Published::forward).collect();
        let transient = request.transient;
        let work = move || order(&house, wanted, forwards).map(|folder| Born { folder: Some(folder), transient });
        let mut born = blocking("cannot prepare the instance", work).await?;
        let Some(folder) = born.folder.take() else {
            return Err(Failure::new(Fault::House, "the instance has no folder"));
        };
        // Here and not in the thread above: who is interrupted while that unpacks starts nothing.
        let supervisor = &self.house.config.supervisor;
        let log = folder.path.join("supervisor.log");
        let said = std::fs::File::create(&log).map_err(io("write", &log))?;
        let mut command = process::command(supervisor);
        command.arg("__supervise").arg(&folder.path).stdout(Stdio::null()).stderr(said);
        // The supervisor inherits the lock: there is no moment in which nobody has it.
        command.stdin(folder.into_stdio()).kill_on_drop(false);
        if request.transient {
            process::dies_with_us(&mut command);
        }
        let child = command.into_std().spawn().map_err(io("start", supervisor))?;
        Ok(child.id())
    }

    /// Waits until the instance answers, or ends, or takes too long.
    async fn wait_until_ready(&self, request: &RunRequest, ports: &[Published]) -> Result<(), Failure> {
        let folder = self.folder(&request.id);
        let health = request.launch.health.as_ref();
        let health = health.filter(|health| ports.iter().any(|published| published.port.name == health.port));
        let system = request.machine.as_ref().and_then(|machine| machine.system.as_ref());
        let boot = match (&request.machine, system) {
            (None, _) => Duration::ZERO,
            (Some(_), None) => BOOT,
            (Some(_), Some(system)) => Duration::from_secs(system.boot.0),
        };
        let within = boot + Duration::from_secs(health.map_or(60, |health| health.within.0));
        let mut unanswered: Vec<_> = ports.iter().collect();
        let began = Instant::now();
        let mut last = String::from("not asked yet");
        while began.elapsed() < within {
            if let Some(ended) = read_json::<Ended>(&folder, "ended.json") {
                // A command without a port may be over before we look; that it was started is all that is asked of it.
                if ports.is_empty() && ended.said.is_none() {
                    return Ok(());
                }
                let said = ended.said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
                let failure = self.unhealthy(request, format!("it ended ({}){said}", ended.how));
                return Err(Failure { fault: ended.fault.unwrap_or(Fault::Source), ..failure });
            }
            self.bury(&request.id);
            let running = read_json::<Running>(&folder, "running.json");
            // What listens in a machine it says itself.
            let is_up = request.machine.is_none() || system.is_some() || folder.join(READY).exists();
            if let Some(running) = running.filter(|_| is_up) {
                let inside = request.machine.is_none().then_some(running.pid);
                while let Some(Published { port, host }) = unanswered.first() {
                    let path = health.filter(|health| health.port == port.name).map_or("/", |health| &health.path);
                    match ask(port, *host, path, inside).await {
                        Ok(()) => drop(unanswered.remove(0)),
                        Err(answer) => {
                            last = answer;
                            break;
                        }
                    }
                }
                if unanswered.is_empty() {
                    return Ok(());
                }
            }
            tokio::time::sleep(pause(began)).await;
        }
        Err(self
            .unhealthy(request, format!("it did not answer within {} s; the last answer: {last}", within.as_secs())))
    }

    fn unhealthy(&self, request: &RunRequest, why: String) -> Failure {
        let log = std::fs::read(self.log(&request.id)).unwrap_or_default();
        let text = String::from_utf8_lossy(&log[log.len().saturating_sub(8192)..]).into_owned();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let what = match request.machine {
            Some(_) => "its machine".to_owned(),
            None => format!("`{}`", request.process),
        };
        Failure::new(Fault::Source, format!("{what} did not start: {why}"))
            .evidence(lines[lines.len().saturating_sub(20)..].to_vec())
            .hint(format!("the whole log: till logs {}", request.id))
    }
}

#[async_trait]
impl Runner for Containers {
    async fn start(&self, request: &RunRequest) -> Result<Started, Failure> {
        let began = Instant::now();
        let ports = published(request)?;
        let supervisor = self.launch(request, &ports).await?;
        let abandoned = request.transient.then(|| Abandoned { runner: self, id: &request.id, supervisor });
        if let Err(failure) = self.wait_until_ready(request, &ports).await {
            self.end(&request.id).await;
            if let Some(ended) = abandoned {
                ended.keep();
            }
            return Err(failure);
        }
        if let Some(answering) = abandoned {
            answering.keep();
        }
        Ok(Started { port: ports.first().map(|published| published.host), took: began.elapsed() })
    }

    async fn inspect(&self, id: &InstanceId) -> Result<Observed, Failure> {
        let folder = self.folder(id);
        self.bury(id);
        if let Some(ended) = read_json::<Ended>(&folder, "ended.json") {
            return Ok(Observed::Ended(ended.evidence()));
        }
        Ok(if folder.exists() { Observed::Running } else { Observed::Gone })
    }

    fn log(&self, id: &InstanceId) -> PathBuf {
        self.folder(id).join("log")
    }

    async fn stop(&self, id: &InstanceId) -> Result<(), Failure> {
        let folder = self.folder(id);
        if !self.end(id).await {
            return Err(Failure::new(Fault::House, format!("{id} does not end")).hint("try again"));
        }
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", &folder)(error).into()),
            _ => Ok(()),
        }
    }
}

impl Containers {
    /// Asks the instance to end, waits a little, then ends it. Its folder stays. False when it could not be ended.
    async fn end(&self, id: &InstanceId) -> bool {
        let folder = self.folder(id);
        let mut signalled = None;
        let began = Instant::now();
        let is_machine = read_json::<Order>(&folder, "request.json").is_some_and(|order| order.machine.is_some());
        let grace = if is_machine { GRACE_OF_MACHINES } else { GRACE };
        while folder.exists() {
            // The supervisor lets go of the lock when all is cleared; a dead one has let go already.
            if self.bury(id) {
                return true;
            }
            if began.elapsed() > grace * 2 {
                return false;
            }
            let signal = if began.elapsed() > grace { Signal::KILL } else { Signal::TERM };
            // It may be written only now.
            let running = read_json::<Running>(&folder, "running.json");
            let pid = running.and_then(|running| rustix::process::Pid::from_raw(running.pid.cast_signed()));
            if let Some(pid) = pid.filter(|_| signalled != Some(signal) && !is_ended(&folder)) {
                let _ = rustix::process::kill_process(pid, signal);
                signalled = Some(signal);
            }
            tokio::time::sleep(pause(began)).await;
        }
        true
    }

    /// Clears up after an instance whose supervisor is no more, and writes down that it ended. False while it lives.
    fn bury(&self, id: &InstanceId) -> bool {
        let folder = self.folder(id);
        let Ok(Some(adopted)) = Folder::adopt(&folder) else {
            return false;
        };
        if !is_ended(&folder) {
            sweep::kill_processes(&self.house, id.as_str(), &adopted);
            let _ = mark_lost(&folder);
        }
        true
    }
}

/// A folder that no supervisor has yet. Where it is nobody's but ours it goes with us.
struct Born {
    folder: Option<Folder>,
    transient: bool,
}

impl Drop for Born {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.as_ref().filter(|_| self.transient) {
            let _ = std::fs::remove_dir_all(&folder.path);
        }
    }
}

/// An instance that is nobody's but ours, while it is waited for: who gives up waiting leaves nothing of it.
struct Abandoned<'a> {
    runner: &'a Containers,
    id: &'a InstanceId,
    supervisor: u32,
}

impl Abandoned<'_> {
    /// It answers, or its end was seen: whoever started it sees to it.
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        let began = Instant::now();
        cgroup::kill_process(self.supervisor);
        // What it had started dies with it; the lock is free when it is gone.
        while !self.runner.bury(self.id) && began.elapsed() < GRACE {
            std::thread::sleep(pause(began));
        }
        let _ = std::fs::remove_dir_all(self.runner.folder(self.id));
    }
}

/// Makes the folder of an instance, with what its supervisor reads.
fn order(house: &House, request: RunRequest, forwards: Vec<Forward>) -> Result<Folder, Failure> {
    let lower = match request.machine {
        Some(_) => Vec::new(),
        None => lower(house, &request.layers)?,
    };
    let machine = request.machine.map(|machine| MachineOrder {
        disk: machine.disk,
        system: machine.system,
        hostname: machine.hostname,
        kernel: machine.kernel,
        memory: machine.memory.0,
    });
    let order = Order {
        data: house.config.data.clone(),
        first_id: house.config.first_id,
        runtime: house.runtime.name(),
        id: request.id.clone(),
        lower,
        launch: request.launch,
        process: request.process,
        forwards,
        limits: request.limits,
        machine,
        transient: request.transient,
    };
    let folder = Folder::create(house, &request.id)?;
    write_json(&folder.path, "request.json", &order)?;
    Ok(folder)
}
