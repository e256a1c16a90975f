//! Debian systems from packages, by mmdebstrap, from the mirrors that this machine's apt is configured with.

mod sources;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use till_core::plan::Bootstrap;
use till_core::port::{Bootstrapper, LogSink};
use till_core::{Blame, Failure, Fault};
use tokio::io::AsyncReadExt;

use crate::process;

/// mmdebstrap.
#[derive(Debug, Clone)]
pub struct Mmdebstrap {
    /// Where apt's configuration is, normally `/etc/apt`.
    pub apt: PathBuf,
}

/// What can go wrong before mmdebstrap does anything.
#[derive(Debug, thiserror::Error)]
enum MirrorError {
    #[error("this machine's apt has no source for the suite `{suite}` ({archives})")]
    None { suite: String, archives: String },
    #[error("cannot read apt's sources in {path}")]
    Read { path: PathBuf, source: std::io::Error },
}

impl Blame for MirrorError {
    fn fault(&self) -> Fault {
        Fault::House
    }

    fn hint(&self) -> Option<String> {
        Some(
            "add a source for it to /etc/apt/sources.list.d; `archives` in the recipe says which suites are used"
                .to_owned(),
        )
    }
}

#[async_trait]
impl Bootstrapper for Mmdebstrap {
    async fn bootstrap(
        &self,
        system: &Bootstrap,
        epoch: u64,
        into: &Path,
        log: &mut dyn LogSink,
    ) -> Result<(), Failure> {
        let lines = self.mirrors(system)?;
        let mut command = process::command("mmdebstrap");
        command
            .args(["--mode=root", "--variant=apt", "--format=tar", "--skip=output/dev"])
            .arg(format!("--include={}", system.packages.join(",")))
            .arg("--aptopt=APT::Sandbox::User \"root\"")
            .arg(format!("--aptopt=APT::Install-Recommends \"{}\"", system.recommends))
            .args(system.exclude.iter().map(|path| format!("--dpkgopt=path-exclude={path}")))
            .args([system.suite.as_str(), &into.to_string_lossy()])
            .args(lines)
            .env("SOURCE_DATE_EPOCH", epoch.to_string())
            .env("TMPDIR", into.parent().unwrap_or(Path::new("/tmp")))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped());
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| process::start_error(&command, error))?;
        let group = process::Group::of(&child);
        let mut said = Vec::new();
        if let Some(mut stderr) = child.stderr.take() {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
                log.write(&buffer[..count]);
                said.extend_from_slice(&buffer[..count]);
                let excess = said.len().saturating_sub(4096);
                said.drain(..excess);
            }
        }
        let status = child.wait().await.map_err(|error| Failure::house("cannot wait for mmdebstrap", error))?;
        group.ended();
        if status.success() {
            return Ok(());
        }
        let lines = String::from_utf8_lossy(&said).lines().map(str::to_owned).collect::<Vec<_>>();
        let unknown = lines.iter().any(|line| line.contains("Unable to locate package"));
        let fault = if unknown { Fault::Base } else { Fault::House };
        let last = lines.len().saturating_sub(15);
        Err(Failure::new(fault, format!("mmdebstrap could not make a `{}` system ({status})", system.suite))
            .evidence(lines[last..].to_vec()))
    }
}

impl Mmdebstrap {
    fn mirrors(&self, system: &Bootstrap) -> Result<Vec<String>, MirrorError> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).map_err(|source| MirrorError::Read { path: path.to_owned(), source })
        };
        let mut entries = Vec::new();
        let list = self.apt.join("sources.list");
        if list.exists() {
            entries.extend(sources::one_line(&read(&list)?));
        }
        let folder = self.apt.join("sources.list.d");
        let mut paths: Vec<_> =
            std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("list") => entries.extend(sources::one_line(&read(&path)?)),
                Some("sources") => entries.extend(sources::deb822(&read(&path)?)),
                _ => {}
            }
        }
        let lines = sources::choose(&entries, &system.suite, &system.archives);
        if lines.is_empty() {
            return Err(MirrorError::None { suite: system.suite.clone(), archives: system.archives.join(", ") });
        }
        Ok(lines)
    }
}
