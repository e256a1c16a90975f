//! All peers, with the bases that they have of us.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::containers::Containers;
use crate::docker::Docker;
use crate::support::{base, repository, till};

/// Those whom we are compared with.
#[derive(Debug)]
pub struct Peers {
    pub docker: Docker,
    pub containers: Containers,
    loaded: Mutex<BTreeSet<&'static str>>,
}

static SHARED: Mutex<Weak<Peers>> = Mutex::new(Weak::new());

impl Peers {
    /// The ones that tests share; they end with the last handle.
    pub fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let peers =
                Self { docker: Docker::start(), containers: Containers::new(), loaded: Mutex::new(BTreeSet::new()) };
            let peers = Arc::new(peers);
            *shared = Arc::downgrade(&peers);
            peers
        })
    }

    /// Makes sure that the base is there, and that all have it under its name.
    pub fn load(&self, name: &'static str) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if !loaded.insert(name) {
            return;
        }
        if name == "toolchain" {
            base("debian");
            let folder = repository().join("examples/dockerfiles/toolchain");
            till(&["base", "build", folder.to_str().unwrap()]).ok();
        } else {
            base(name);
        }
        let folder = folder();
        let file = folder.path().join("base.tar").to_str().unwrap().to_owned();
        till(&["base", "export", name, &format!("docker-archive:{file}:{name}:latest")]).ok();
        std::thread::scope(|scope| {
            scope.spawn(|| self.docker(&["load", "--input", &file]));
            scope.spawn(|| self.containers.call("buildah", &["pull", &format!("docker-archive:{file}")]));
        });
    }

    /// Runs Docker's client; what it printed.
    #[track_caller]
    pub fn docker(&self, arguments: &[&str]) -> String {
        tool(&mut self.docker.client(arguments))
    }
}

/// Runs a command to its end; what it printed.
#[track_caller]
pub fn tool(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A folder for images, where there is room.
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("images-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Unpacks an archive, takes it away, and answers with the folder.
pub fn unpacked(archive: &Path) -> std::path::PathBuf {
    let to = archive.with_extension("");
    std::fs::create_dir(&to).unwrap();
    tool(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(&to));
    std::fs::remove_file(archive).unwrap();
    to
}
