//! What every case stands upon: till with its bases, the peers with the same base, and folders for work.
//!
//! ```text
//! target/bench
//! ├─ bases           a data directory of till's with its bases alone, which one run leaves to the next
//! └─ disk            a file system of this run
//!    ├─ data         till's: a copy of those bases, and all that is built
//!    ├─ docker       its daemon's
//!    ├─ containers   buildah's and podman's
//!    ├─ umoci        layouts and bundles
//!    └─ work         what is put into images, and recipes
//! ```

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::disk::Disk;
use super::options::{Options, Peer};
use super::ours::Till;
use super::peers::{Containers, Docker, Umoci};
use crate::tools::{self, Repository};

const BASE: &str = include_str!("../../bench/base.toml");
const MAKE_SCRIPT: &str = include_str!("../../bench/make.sh");
const MAKE_TREE: &str = include_str!("../../bench/make.pl");

/// Cases that need the base `python`.
const WITH_PYTHON: [&str; 3] = ["W4", "W4b", "W6"];

/// All of it. Daemons end with it.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) place: PathBuf,
    pub(super) runs: u32,
    pub(super) till: Till,
    pub(super) docker: Option<Docker>,
    containers: Option<Containers>,
    pub(super) umoci: Option<Umoci>,
    peers: Vec<Peer>,
    /// Apps that are built as they are.
    pub(super) examples: PathBuf,
    _disk: Disk,
    /// Two runs would take each other's folders away, and their timings mean nothing.
    _alone: File,
    /// Who takes part, with versions.
    pub(super) versions: Vec<String>,
}

impl Stage {
    pub(super) fn set(repository: &Repository, target: &Path, options: &Options) -> Result<Self> {
        let bench = target.join("bench");
        fs::create_dir_all(&bench).with_context(|| format!("cannot make {}", bench.display()))?;
        let alone = File::create(bench.join("lock"))?;
        alone.try_lock().context("another bench is running here")?;
        let binary = target.join("release/till");
        bases(&Till::new(binary.clone(), &bench.join("bases"), &bench), &bench, repository, &options.cases)?;
        let disk = Disk::mount(&bench)?;
        let place = disk.place.clone();
        let mut copy = tools::command("cp");
        copy.arg("--archive").arg(bench.join("bases")).arg(place.join("data"));
        tools::run(copy)?;
        let containers = options.has(Peer::Buildah) || options.has(Peer::Podman);
        let mut stage = Self {
            till: Till::new(binary, &place.join("data"), &place),
            runs: options.runs,
            docker: options.has(Peer::Docker).then(|| Docker::start(&place)).transpose()?,
            containers: containers.then(|| Containers::new(&place)).transpose()?,
            umoci: options.has(Peer::Umoci).then(|| Umoci::new(&place)).transpose()?,
            peers: options.peers.clone(),
            examples: repository.root.join("examples/apps"),
            versions: Vec::new(),
            place,
            _disk: disk,
            _alone: alone,
        };
        stage.hand_over("base", "bench")?;
        stage.versions = stage.versions()?;
        Ok(stage)
    }

    pub(super) fn buildah(&self) -> Option<&Containers> {
        self.containers.as_ref().filter(|_| self.peers.contains(&Peer::Buildah))
    }

    pub(super) fn podman(&self) -> Option<&Containers> {
        self.containers.as_ref().filter(|_| self.peers.contains(&Peer::Podman))
    }

    /// A folder for work.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.place.join("work").join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Puts there what makes the large trees.
    pub(super) fn maker(&self, folder: &Path) -> Result<()> {
        write(&folder.join("make.sh"), MAKE_SCRIPT)?;
        write(&folder.join("make.pl"), MAKE_TREE)
    }

    /// Gives an image of ours to every peer: a `base`, or an app's `artifact`.
    pub(super) fn hand_over(&self, kind: &str, name: &str) -> Result<()> {
        let archive = self.place.join("image.tar");
        let path = archive.display().to_string();
        let _ = fs::remove_file(&archive);
        self.till.ask(&[kind, "export", name, &format!("docker-archive:{path}:{name}:latest")])?;
        if let Some(docker) = &self.docker {
            quietly(docker.client(&["load", "--quiet", "--input", &path]))?;
        }
        if let Some(containers) = &self.containers {
            let script = "buildah tag $(buildah pull --quiet docker-archive:\"$1\") \"localhost/$2\"";
            quietly(containers.script(script, &[&path, name]))?;
        }
        // It has to do with builds alone.
        if let Some(umoci) = self.umoci.as_ref().filter(|_| name == "bench") {
            let target = format!("oci:{}:{name}", umoci.layout().display());
            self.till.ask(&[kind, "export", name, &target, "--compression", "gzip"])?;
        }
        fs::remove_file(&archive).context("cannot remove an archive of ours")
    }

    fn versions(&self) -> Result<Vec<String>> {
        let mut versions = vec![self.till.version()?];
        versions.extend(self.docker.as_ref().map(Docker::version).transpose()?);
        versions.extend(self.buildah().map(|containers| containers.version("buildah")).transpose()?);
        versions.extend(self.podman().map(|containers| containers.version("podman")).transpose()?);
        versions.extend(self.umoci.as_ref().map(Umoci::version).transpose()?);
        Ok(versions)
    }
}

/// Makes our bases, unless they are there.
fn bases(till: &Till, bench: &Path, repository: &Repository, cases: &[&str]) -> Result<()> {
    tools::head("bases");
    till.base(&repository.root.join("bases/debian"))?;
    let folder = bench.join("base");
    fs::create_dir_all(&folder)?;
    write(&folder.join("base.toml"), BASE)?;
    till.base(&folder)?;
    if cases.iter().any(|case| WITH_PYTHON.contains(case)) {
        till.base(&repository.root.join("bases/python"))?;
    }
    Ok(())
}

/// Runs a command of which only a failure is of interest.
fn quietly(command: Command) -> Result<()> {
    tools::output(command).map(drop)
}

/// Writes a small file.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
