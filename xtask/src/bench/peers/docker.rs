//! Docker's daemon, started by hand and ended by its number. Its client, and its two builders.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::bench::measure::{self, Ran};
use crate::tools;

/// Where Debian puts them. Another client may come first in the `PATH`.
const DAEMON: &str = "/usr/sbin/dockerd";
const CLIENT: &str = "/usr/bin/docker";

/// How long it may take to begin or to end on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Which of its builders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bench) enum Builder {
    Classic,
    BuildKit,
}

/// A daemon of our own; it ends with its handle.
#[derive(Debug)]
pub(in crate::bench) struct Docker {
    folder: PathBuf,
    process: Child,
}

impl Docker {
    pub(in crate::bench) fn start(place: &Path) -> Result<Self> {
        let folder = place.join("docker");
        // What an earlier run left would be found in its caches.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("daemon.json"), "{}")?;
        let log = File::create(folder.join("log"))?;
        // Whatever it mounts is in a namespace of its own, and gone with it.
        let mut command = tools::command("unshare");
        command.args(["--mount", "--propagation", "private", DAEMON]);
        command.args(["--storage-driver", "overlay2", "--iptables=false", "--ip6tables=false", "--bridge=none"]);
        // A daemon would otherwise ask for more than a container may have.
        command.args(["--default-ulimit", "nofile=20000:20000", "--data-root"]).arg(folder.join("root"));
        command.arg("--exec-root").arg(folder.join("exec")).arg("--pidfile").arg(folder.join("pid"));
        command.arg("--config-file").arg(folder.join("daemon.json"));
        command.arg("--host").arg(socket(&folder));
        command.stdout(log.try_clone()?).stderr(log);
        let process = command.spawn().context("cannot start dockerd")?;
        let mut docker = Self { folder, process };
        let began = Instant::now();
        while !tools::works(docker.client(&["version"])) {
            if docker.process.try_wait()?.is_some() || began.elapsed() > PATIENCE {
                bail!("dockerd does not answer:\n{}", fs::read_to_string(docker.folder.join("log"))?);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(docker)
    }

    /// The client with these arguments, not started.
    pub(in crate::bench) fn client(&self, words: &[&str]) -> Command {
        let mut command = tools::command(if Path::new(CLIENT).exists() { CLIENT } else { "docker" });
        command.env("DOCKER_HOST", socket(&self.folder)).env("DOCKER_CONFIG", self.folder.join("client"));
        command.env("DOCKER_BUILDKIT", "1").args(words);
        command
    }

    /// Runs the client and measures it, with the daemon.
    pub(in crate::bench) fn run(&self, words: &[&str]) -> Result<Ran> {
        measure::run(self.client(words), &self.daemons(), &self.folder.join("client.log"))
    }

    /// Builds and measures it, with the daemon.
    pub(in crate::bench) fn build(&self, builder: Builder, words: &[&str]) -> Result<Ran> {
        let mut all = vec!["build", "--network", "host"];
        if builder == Builder::BuildKit {
            all.push("--progress=plain");
        }
        all.extend(words);
        let mut command = self.client(&all);
        command.env("DOCKER_BUILDKIT", if builder == Builder::BuildKit { "1" } else { "0" });
        measure::run(command, &self.daemons(), &self.folder.join("client.log"))
    }

    pub(in crate::bench) fn daemons(&self) -> [u32; 1] {
        [self.process.id()]
    }

    pub(in crate::bench) fn version(&self) -> Result<String> {
        let version = tools::output(self.client(&["version", "--format", "{{.Server.Version}}"]))?;
        Ok(format!("Docker {}", version.trim()))
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // Politely: it ends its own containerd only when it is asked.
        let mut kill = tools::command("kill");
        kill.args(["-TERM", &self.process.id().to_string()]);
        tools::works(kill);
        let began = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) {
            if began.elapsed() > PATIENCE {
                let _ = self.process.kill();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn socket(folder: &Path) -> String {
    format!("unix://{}", folder.join("socket").display())
}
