//! One command in a container, from `create` to `delete`.
//!
//! Its processes are in a pid namespace of their own: when the command ends, however it ends, the kernel kills the rest.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use till_core::plan::{Network, Step};
use till_core::port::{Evidence, Exit, LogSink};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;

use super::egress::Egress;
use super::runtime::{Created, Site};
use super::seat::Folder;
use super::spec::{Seat, write_bundle};
use super::{ContainerError, House, cgroup};
use crate::hypervisor::Forward;

/// How often is looked whether too much was written.
const DISK_INTERVAL: Duration = Duration::from_millis(200);

/// A container that was created and not yet deleted; killed and deleted when dropped.
pub(super) struct Running<'a> {
    house: &'a House,
    name: String,
    state: PathBuf,
    /// Of its first process, which is our child, for we are the reaper of orphans.
    pidfd: OwnedFd,
    /// Waits for that process in a thread of its own: the exit code.
    ended: JoinHandle<u8>,
    /// The same, by number.
    pub(super) pid: u32,
    output: Receiver,
    /// Until it is started.
    created: Option<Created>,
    _egress: Option<Egress>,
    deleted: bool,
}

impl<'a> Running<'a> {
    /// Creates the container, connects it, and starts its command.
    pub(super) async fn start(
        house: &'a House,
        folder: &Folder,
        seat: &Seat<'_>,
        step: &Step,
        env: BTreeMap<String, String>,
        forwards: &[Forward],
    ) -> Result<Self, ContainerError> {
        write_bundle(&folder.bundle(), step, seat, env)?;
        let broken = |error: io::Error| ContainerError::Start { step: step.name.clone(), said: error.to_string() };
        let (reader, writer) = io::pipe().map_err(broken)?;
        let mut output = Receiver::from_owned_fd(reader.into()).map_err(broken)?;
        let (bundle, state, pid_file) = (folder.bundle(), folder.state(), folder.path.join("pid"));
        let site = Site { bundle: &bundle, state: &state, pid_file: &pid_file, name: seat.name };
        let cleared = |error: io::Error| {
            house.runtime.destroy(&state, seat.name);
            broken(error)
        };
        let Some(mut created) = house.runtime.create(&site, writer).await.map_err(cleared)? else {
            house.runtime.destroy(&state, seat.name);
            return Err(ContainerError::Start { step: step.name.clone(), said: said(&mut output).await });
        };
        let pid = created.pid;
        let watched = watch(pid).map_err(cleared)?;
        created.is_watched = true;
        let (pidfd, ended) = watched;
        let mut running = Self {
            house,
            name: seat.name.to_owned(),
            state: state.clone(),
            pidfd,
            ended,
            pid,
            output,
            created: Some(created),
            _egress: None,
            deleted: false,
        };
        let egress = match step.network {
            Network::Egress => Egress::open(seat.name, pid, forwards, &folder.path).await,
            Network::None => Ok(None),
        };
        let is_ready = match running.created.as_mut() {
            Some(created) => house.runtime.ready(created).await,
            None => false,
        };
        // When the instance has ended meanwhile, that is why it cannot be connected.
        if !is_ready {
            return Err(ContainerError::Start { step: step.name.clone(), said: said(&mut running.output).await });
        }
        running._egress = egress?;
        if let Some(mut created) = running.created.take() {
            let failed = |said| ContainerError::Start { step: step.name.clone(), said };
            house.runtime.start(&site, &mut created).await.map_err(failed)?;
        }
        Ok(running)
    }

    /// Waits for the command's end, or ends it when it takes too long or writes too much.
    pub(super) async fn wait(
        mut self,
        time: Option<Duration>,
        mut too_much: impl FnMut() -> bool,
        log: &mut dyn LogSink,
    ) -> Exit {
        let began = Instant::now();
        let deadline = tokio::time::sleep(time.unwrap_or(Duration::from_secs(u64::from(u32::MAX))));
        tokio::pin!(deadline);
        let mut disk = tokio::time::interval(DISK_INTERVAL);
        let mut killed = None;
        let mut open = true;
        let mut buffer = vec![0; 1 << 16];
        let code = loop {
            tokio::select! {
                result = self.output.read(&mut buffer), if open => match result {
                    Ok(count @ 1..) => log.write(&buffer[..count]),
                    _ => open = false,
                },
                ended = &mut self.ended => break ended.unwrap_or(u8::MAX),
                () = &mut deadline, if killed.is_none() => killed = Some(self.kill(Evidence::OutOfTime)),
                _ = disk.tick(), if killed.is_none() => if too_much() {
                    killed = Some(self.kill(Evidence::OutOfDisk));
                },
            }
        };
        // Everything in its pid namespace is dead now, so the end of the output is near.
        while open
            && let Ok(Ok(count @ 1..)) =
                tokio::time::timeout(Duration::from_secs(2), self.output.read(&mut buffer)).await
        {
            log.write(&buffer[..count]);
        }
        let counts = cgroup::counts(&self.name);
        self.delete().await;
        let evidence = match (killed, code) {
            (Some(killed), _) => killed,
            (None, 0) => Evidence::Code(0),
            (None, _) if counts.oom_kills > 0 => Evidence::OutOfMemory,
            (None, _) if counts.pids_refused > 0 => Evidence::OutOfPids,
            // Faster than we look.
            (None, _) if too_much() => Evidence::OutOfDisk,
            (None, code) => Evidence::Code(code),
        };
        Exit { evidence, took: began.elapsed() }
    }

    fn kill(&self, why: Evidence) -> Evidence {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        why
    }

    async fn delete(&mut self) {
        self.house.runtime.delete(&self.state, &self.name).await;
        self.deleted = true;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.deleted {
            self.created.iter_mut().for_each(Created::abandon);
            self.kill(Evidence::OutOfTime);
            self.house.runtime.destroy(&self.state, &self.name);
            cgroup::destroy(&self.name);
        }
    }
}

/// A handle of a first process, and a thread that waits for its end.
fn watch(pid: u32) -> io::Result<(OwnedFd, JoinHandle<u8>)> {
    let raw = Pid::from_raw(pid.cast_signed()).ok_or(io::ErrorKind::NotFound)?;
    let pidfd = rustix::process::pidfd_open(raw, PidfdFlags::empty())?;
    let waited = pidfd.try_clone()?;
    Ok((pidfd, tokio::task::spawn_blocking(move || reap(&waited))))
}

/// What a runtime had to say of a container that did not come about.
async fn said(output: &mut Receiver) -> String {
    let mut said = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(1), output.read_to_end(&mut said)).await;
    match String::from_utf8_lossy(&said).trim() {
        "" => "it ended without a word".to_owned(),
        said => said.to_owned(),
    }
}

/// The exit code of a process: its own, or 128 and the signal's number.
fn reap(pidfd: &OwnedFd) -> u8 {
    match rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
        Ok(Some(status)) => {
            let signal = status.terminating_signal().map(|signal| 128 + signal);
            status.exit_status().or(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
        }
        _ => u8::MAX,
    }
}
