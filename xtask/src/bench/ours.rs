//! Till, as a user has it: the release binary and a data directory of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::measure::{self, Ran};
use crate::tools;

/// The binary, and where it keeps what it makes.
#[derive(Debug)]
pub(super) struct Till {
    binary: PathBuf,
    data: PathBuf,
    log: PathBuf,
}

impl Till {
    pub(super) fn new(binary: PathBuf, data: &Path, place: &Path) -> Self {
        Self { binary, data: data.to_owned(), log: place.join("till.log") }
    }

    /// The same with a data directory that has nothing yet.
    pub(super) fn with_data(&self, data: &Path) -> Self {
        Self { binary: self.binary.clone(), data: data.to_owned(), log: self.log.clone() }
    }

    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = tools::command(&self.binary);
        command.arg("--data").arg(&self.data).args(words);
        command
    }

    /// Runs it and measures it.
    pub(super) fn run(&self, words: &[&str]) -> Result<Ran> {
        measure::run(self.command(words), &[], &self.log)
    }

    /// Runs it and gives its answer.
    pub(super) fn ask(&self, words: &[&str]) -> Result<Value> {
        let output = self.command(words).arg("--json").output().context("cannot start till")?;
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if !output.status.success() {
            bail!("till {} failed: {}", words.join(" "), answer["error"]["message"]);
        }
        Ok(answer)
    }

    /// Makes a base, unless it is there.
    pub(super) fn base(&self, folder: &Path) -> Result<()> {
        tools::say(&format!("  base {}", folder.display()));
        self.ask(&["base", "build", &folder.display().to_string()]).map(drop)
    }

    /// As it says itself.
    pub(super) fn version(&self) -> Result<String> {
        Ok(tools::output(self.command(&["--version"]))?.trim().to_owned())
    }
}
