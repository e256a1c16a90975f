//! buildah and podman, with one store of their own.

use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::peers::tool;

/// As the machine may have it: no systemd, no bridge, and fewer rights to raise limits than they would ask for.
const CONFIGURATION: &str = r#"[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
"#;

/// What they share.
#[derive(Debug)]
pub struct Containers {
    folder: tempfile::TempDir,
    /// They count in files what is mounted, and each call has its own mounts: so one at a time.
    call: Mutex<()>,
}

impl Containers {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("containers-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::write(folder.path().join("containers.conf"), CONFIGURATION).unwrap();
        Self { folder, call: Mutex::new(()) }
    }

    /// Runs `buildah` or `podman`; what it printed. What it mounts is gone with it.
    #[track_caller]
    pub fn call(&self, program: &str, arguments: &[&str]) -> String {
        let _one = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", program, "--storage-driver", "overlay"]);
        command.arg("--root").arg(self.folder.path().join("root"));
        command.arg("--runroot").arg(self.folder.path().join("run"));
        command.env("CONTAINERS_CONF", self.folder.path().join("containers.conf"));
        tool(command.args(arguments))
    }
}
