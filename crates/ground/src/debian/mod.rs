//! Debian systems from packages, by mmdebstrap, and packages from the mirrors that this machine's apt is configured with.
//!
//! ```text
//! KEEP/SUITE/sources.list        the mirrors of the suite's archives
//! KEEP/SUITE/lists/              what apt knows of them
//! KEEP/SUITE/{archives,cache}/   packages that were got; apt's own
//! ```

mod sources;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use async_trait::async_trait;
use till_core::packages::Package;
use till_core::packages::apt::{self, Questions, questions};
use till_core::packages::archive;
use till_core::plan::Bootstrap;
use till_core::port::{Answers, Bootstrapper, LogSink};
use till_core::{Blame, Failure, Fault};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::process;

/// apt's own downloader, for single files: it knows the machine's proxies and credentials.
const HELPER: &str = "/usr/lib/apt/apt-helper";

/// mmdebstrap and apt.
#[derive(Debug, Clone)]
pub struct Mmdebstrap {
    /// Where apt's configuration is, normally `/etc/apt`.
    pub apt: PathBuf,
}

/// What can go wrong before anything is done.
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
    async fn update(&self, system: &Bootstrap, keep: &Path, log: &mut dyn LogSink) -> Result<PathBuf, Failure> {
        let lines = self.mirrors(system)?;
        let root = keep.join(&system.suite);
        let failed = |error| Failure::house(format!("cannot prepare `{}`", root.display()), error);
        for folder in ["lists/partial", "archives/partial", "cache"] {
            std::fs::create_dir_all(root.join(folder)).map_err(failed)?;
        }
        std::fs::write(root.join("status"), "").map_err(failed)?;
        std::fs::write(root.join("sources.list"), lines.join("\n") + "\n").map_err(failed)?;
        ask(&asked(system, &root).update, log).await?;
        Ok(root.join("lists"))
    }

    async fn resolve(&self, system: &Bootstrap, keep: &Path, log: &mut dyn LogSink) -> Result<Answers, Failure> {
        let root = keep.join(&system.suite);
        let questions = asked(system, &root);
        let simulation = ask(&questions.simulate, log).await?;
        let addresses = ask(&questions.addresses, &mut Deaf).await?;
        ask(&questions.download, log).await?;
        Ok(Answers { simulation, addresses, archives: root.join("archives") })
    }

    async fn fetch(&self, packages: &[Package], into: &Path, log: &mut dyn LogSink) -> Result<(), Failure> {
        let roots = sources::roots(&self.entries()?);
        for package in packages {
            let what = format!("the package {} {} ({})", package.name, package.version, package.architecture);
            let Some(path) = &package.path else {
                return Err(Failure::new(
                    Fault::House,
                    format!("{what} is not in the store, and the lock does not say where it is"),
                )
                .hint("it came from no mirror; build without --locked where it can be had"));
            };
            let target = into.join(archive::file(&package.digest));
            let (mut got, mut reason) = (false, String::new());
            for root in &roots {
                let mut command = process::command(HELPER);
                command.args(["-o", "APT::Sandbox::User=root", "download-file"]);
                command.arg(format!("{root}/{path}")).arg(&target).arg(format!("SHA256:{}", package.digest.hex()));
                let (status, said) = heard(command, log).await?;
                reason = said;
                got = status.success() && target.is_file();
                if got {
                    break;
                }
            }
            if !got {
                return Err(Failure::new(Fault::House, format!("no mirror of this machine gives {what}"))
                    .evidence(last_lines(&reason))
                    .hint("build without --locked for the packages of today, or add a mirror that keeps old ones (a snapshot) to apt's sources"));
            }
        }
        Ok(())
    }

    async fn bootstrap(
        &self,
        system: &Bootstrap,
        archive: &Path,
        epoch: u64,
        into: &Path,
        log: &mut dyn LogSink,
    ) -> Result<(), Failure> {
        let work = into.parent().unwrap_or(Path::new("/tmp"));
        // The system is to know the mirrors of this machine, and not the archive that it was made from.
        let sources = work.join("mirrors.list");
        std::fs::write(&sources, self.mirrors(system)?.join("\n") + "\n")
            .map_err(|error| Failure::house(format!("cannot write `{}`", sources.display()), error))?;
        // A suite is of no archive but the mirror's; the version that it meant is the only one here.
        let names: Vec<_> = system.packages.iter().map(|name| name.split('/').next().unwrap_or(name)).collect();
        let mut command = process::command("mmdebstrap");
        command
            .args(["--mode=root", "--variant=apt", "--format=tar", "--skip=output/dev"])
            .arg(format!("--include={}", names.join(",")))
            .arg("--aptopt=APT::Sandbox::User \"root\"")
            .arg(format!("--aptopt=APT::Install-Recommends \"{}\"", system.recommends))
            .args(system.exclude.iter().map(|path| format!("--dpkgopt=path-exclude={path}")))
            // What is installed here becomes a layer, which is synced as a whole.
            .arg("--dpkgopt=force-unsafe-io")
            .arg(format!("--customize-hook=upload {} /etc/apt/sources.list", quoted(&sources)))
            .args([system.suite.as_str(), &into.to_string_lossy()])
            .arg(format!("deb [trusted=yes] copy:{} ./", escaped(archive)))
            .env("SOURCE_DATE_EPOCH", epoch.to_string())
            .env("TMPDIR", work);
        let (status, said) = heard(command, log).await?;
        if status.success() {
            return Ok(());
        }
        let fault = if said.contains("Unable to locate package") { Fault::Base } else { Fault::House };
        Err(Failure::new(fault, format!("mmdebstrap could not make a `{}` system ({status})", system.suite))
            .evidence(last_lines(&said)))
    }
}

/// What apt is asked for a system: the essential packages, apt, and those that are wished for.
fn asked(system: &Bootstrap, root: &Path) -> Questions {
    let mut names = vec!["?essential".to_owned(), "apt".to_owned()];
    names.extend(system.packages.iter().cloned());
    questions(&own(root), &root.join("archives").to_string_lossy(), &names, system.recommends)
}

/// apt's settings for a place of its own, apart from the machine's packages.
fn own(root: &Path) -> Vec<String> {
    let root = root.to_string_lossy();
    let settings = [
        format!("Dir::State::status={root}/status"),
        format!("Dir::State::extended_states={root}/extended_states"),
        format!("Dir::Etc::SourceList={root}/sources.list"),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        "Dir::Etc::Preferences=/dev/null".to_owned(),
        "Dir::Etc::PreferencesParts=/dev/null".to_owned(),
        // Whatever else this machine can install: the system has one.
        format!("APT::Architectures={}", native()),
    ];
    let settings = settings.into_iter().flat_map(|setting| ["-o".to_owned(), setting]);
    apt::kept_in(&root).into_iter().chain(settings).collect()
}

/// What Debian calls this machine's architecture.
fn native() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Hears nothing.
struct Deaf;

impl LogSink for Deaf {
    fn write(&mut self, _: &[u8]) {}
}

/// Asks apt; what it said.
async fn ask(argv: &[String], log: &mut dyn LogSink) -> Result<String, Failure> {
    let mut command = process::command(&argv[0]);
    command.args(&argv[1..]).env("LC_ALL", "C.UTF-8").env("DEBIAN_FRONTEND", "noninteractive");
    let (status, said) = heard(command, log).await?;
    if status.success() {
        return Ok(said);
    }
    let fault = if apt::blames_network(&said) { Fault::House } else { Fault::Base };
    Err(Failure::new(fault, format!("apt cannot tell which packages the recipe comes to ({status})"))
        .evidence(last_lines(&said)))
}

/// Runs a tool to its end; how it ended, and all that it said.
async fn heard(mut command: Command, log: &mut dyn LogSink) -> Result<(std::process::ExitStatus, String), Failure> {
    let broken = |error: std::io::Error| Failure::house("cannot make a pipe", error);
    let (reader, writer) = std::io::pipe().map_err(broken)?;
    let mut output = tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into()).map_err(broken)?;
    command.stdout(Stdio::from(writer.try_clone().map_err(broken)?)).stderr(writer);
    command.process_group(0);
    process::dies_with_us(&mut command);
    let mut child = command.spawn().map_err(|error| process::start_error(&command, error))?;
    // It holds the writing ends, which would keep us from seeing the end.
    drop(command);
    let group = process::Group::of(&child);
    let mut said = Vec::new();
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        log.write(&buffer[..count]);
        said.extend_from_slice(&buffer[..count]);
    }
    let status = child.wait().await.map_err(|error| Failure::house("cannot wait for a tool", error))?;
    group.ended();
    Ok((status, String::from_utf8_lossy(&said).into_owned()))
}

fn last_lines(said: &str) -> Vec<String> {
    let lines: Vec<_> = said.lines().map(str::to_owned).collect();
    lines[lines.len().saturating_sub(15)..].to_vec()
}

/// A path as one word of mmdebstrap's hooks, which are split as a shell splits words.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', "'\\''"))
}

/// A path as a word of sources.list(5), whose words are split at blanks.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace(' ', "%20").replace('[', "%5b").replace(']', "%5d")
}

impl Mmdebstrap {
    fn entries(&self) -> Result<Vec<sources::Entry>, MirrorError> {
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
        Ok(entries)
    }

    fn mirrors(&self, system: &Bootstrap) -> Result<Vec<String>, MirrorError> {
        let lines = sources::choose(&self.entries()?, &system.suite, &system.archives);
        if lines.is_empty() {
            return Err(MirrorError::None { suite: system.suite.clone(), archives: system.archives.join(", ") });
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_one_word_each() {
        let path = Path::new("/da ta/it's [x]%");
        assert_eq!(quoted(path), "'/da ta/it'\\''s [x]%'");
        assert_eq!(escaped(path), "/da%20ta/it's%20%5bx%5d%25");
    }
}
