//! What the tasks share: where the repository is, how commands are run, how things are said.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a task runner starts commands and talks to people; nothing of ours is linked here"
)]

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// Where tools are looked for; `sbin` too, which is not in everybody's `PATH`.
const FOLDERS: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Variables that `cargo run` sets, and that build scripts of others look at.
const OF_OUR_PACKAGE: [&str; 6] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// The work tree.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) root: PathBuf,
}

impl Repository {
    /// The one that this program was built from.
    pub(crate) fn here() -> Self {
        let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self { root: xtask.parent().unwrap_or(xtask).to_owned() }
    }

    /// A command of cargo's.
    pub(crate) fn cargo<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command("cargo");
        command.args(words);
        // What cargo tells us of our own package is not meant for the next one: build scripts that look at it would
        // compile again what is already there.
        for name in OF_OUR_PACKAGE {
            command.env_remove(name);
        }
        command
    }

    /// A command that runs at the root.
    pub(crate) fn command(&self, tool: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(tool);
        command.current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// Where cargo puts what it builds.
    pub(crate) fn target(&self) -> Result<PathBuf> {
        let metadata = output(self.cargo(["metadata", "--no-deps", "--format-version", "1"]))?;
        let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata did not answer in JSON")?;
        let target = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
        Ok(target.into())
    }

    /// The path as people write it.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

/// A command that runs anywhere.
pub(crate) fn command(tool: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(tool);
    command.stdin(Stdio::null());
    command
}

/// Tells people something.
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// Begins a part of a task.
pub(crate) fn head(text: &str) {
    eprintln!("\n==> {text}");
}

/// Runs a command; its output goes where ours goes.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let line = line(&command);
    say(&format!("  $ {line}"));
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs a command and gives its standard output.
pub(crate) fn output(mut command: Command) -> Result<String> {
    let line = line(&command);
    command.stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` failed ({})", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` did not answer in UTF-8"))
}

/// Whether the command is there and works.
pub(crate) fn works(mut command: Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Where a tool is.
pub(crate) fn find(tool: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(tool)).find(|path| path.exists())
}

/// Whether we are root: the owner of our own entry in `/proc`.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// A text file's content; none where there is no such file.
pub(crate) fn text(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// All files under a folder with this extension, sorted.
pub(crate) fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.path().extension() == Some(OsStr::new(extension)) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// `1.2 s`.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
