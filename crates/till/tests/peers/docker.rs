//! Docker's daemon, for as long as tests need it.
//!
//! It makes no bridge and no firewall rules, so that the machine's network stays as it is; its containers use the host's.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::until;

/// Where Debian puts them. Another client may come first in the PATH, and an administrator's folders may not be in it.
const DAEMON: &str = "/usr/sbin/dockerd";
const CLIENT: &str = "/usr/bin/docker";

/// A daemon of our own; it ends with its handle.
#[derive(Debug)]
pub struct Docker {
    /// The socket, the client's configuration and the log. Its path is short, as a socket's has to be.
    folder: tempfile::TempDir,
    /// Images and layers: where cargo builds, for `/tmp` may be of a kind that overlays cannot lie on.
    _data: tempfile::TempDir,
    end: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl Docker {
    pub fn start() -> Self {
        let data = tempfile::Builder::new().prefix("docker-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let place = |name: &str| folder.path().join(name).into_os_string();
        // Whatever it mounts is in a namespace of its own, and gone with it; and it is told to end when we are killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "unshare", "--mount", "--propagation", "private", DAEMON]);
        command.args(["--storage-driver", "overlay2", "--iptables=false", "--ip6tables=false", "--bridge=none"]);
        // A daemon would otherwise ask for more than a container may have.
        command.args(["--default-ulimit", "nofile=20000:20000", "--data-root"]).arg(data.path());
        command.arg("--exec-root").arg(place("exec")).arg("--pidfile").arg(place("pid"));
        command.arg("--config-file").arg(place("daemon.json"));
        command.arg("--host").arg(format!("unix://{}", folder.path().join("socket").display()));
        std::fs::write(folder.path().join("daemon.json"), "{}").unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let (end, ended) = channel();
        // That signal comes when the thread that started it ends: a test's own would be too early.
        let keeper = std::thread::spawn(move || keep(command, &ended));
        let docker = Self { folder, _data: data, end: Some(end), keeper: Some(keeper) };
        let gone = || docker.keeper.as_ref().is_none_or(JoinHandle::is_finished);
        until("dockerd answers", || docker.client(&["version"]).output().unwrap().status.success() || gone());
        assert!(!gone(), "dockerd ended:\n{}", docker.log());
        docker
    }

    /// The client with these arguments, not started.
    pub fn client(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(if Path::new(CLIENT).exists() { CLIENT } else { "docker" });
        command.env("DOCKER_HOST", format!("unix://{}", self.folder.path().join("socket").display()));
        command.env("DOCKER_CONFIG", self.folder.path().join("client")).env("DOCKER_BUILDKIT", "1");
        command.args(arguments);
        command
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// Starts the daemon, and ends it when its handle is dropped.
fn keep(mut command: Command, ended: &Receiver<()>) {
    let mut child = command.spawn().unwrap();
    while ended.recv_timeout(Duration::from_millis(200)) == Err(RecvTimeoutError::Timeout) {
        if child.try_wait().unwrap().is_some() {
            return;
        }
    }
    // By its number, and politely: it ends its own containerd only when it is asked.
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    wait(&mut child);
}

fn wait(child: &mut Child) {
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed().as_secs() > 60 {
            let _ = child.kill();
        }
        std::thread::yield_now();
    }
}
