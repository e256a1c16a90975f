//! buildah and podman, with one store of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::bench::measure::{self, Ran};
use crate::tools;

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
pub(in crate::bench) struct Containers {
    folder: PathBuf,
}

impl Containers {
    pub(in crate::bench) fn new(place: &Path) -> Result<Self> {
        let folder = place.join("containers");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("containers.conf"), CONFIGURATION)?;
        let storage = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{0}/root\"\nrunroot = \"{0}/run\"\n",
            folder.display()
        );
        fs::write(folder.join("storage.conf"), storage)?;
        Ok(Self { folder })
    }

    /// A script in which `buildah` and `podman` may be called; what it mounts is gone with it.
    pub(in crate::bench) fn script(&self, script: &str, words: &[&str]) -> Command {
        let mut command = tools::command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-ec", script, "sh"]).args(words);
        command.env("CONTAINERS_CONF", self.folder.join("containers.conf"));
        command.env("CONTAINERS_STORAGE_CONF", self.folder.join("storage.conf"));
        command.env("BUILDAH_RUNTIME", "runc").env("BUILDAH_ISOLATION", "oci");
        command
    }

    /// Runs a script and measures it.
    pub(in crate::bench) fn run(&self, script: &str, words: &[&str]) -> Result<Ran> {
        measure::run(self.script(script, words), &[], &self.folder.join("log"))
    }

    pub(in crate::bench) fn version(&self, program: &str) -> Result<String> {
        let text = tools::output(self.script(&format!("{program} --version"), &[]))?;
        let words: Vec<_> = text.split_whitespace().collect();
        let number = words.iter().position(|word| *word == "version").and_then(|at| words.get(at + 1));
        Ok(format!("{program} {}", number.copied().unwrap_or_default()))
    }
}
