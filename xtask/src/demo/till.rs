//! Till's command line, as a user has it: `--json` on standard output, progress on ours.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::tools::{self, Repository};

/// Till, and where it keeps what the demo makes.
#[derive(Debug)]
pub(super) struct Till {
    root: PathBuf,
    binary: PathBuf,
    data: PathBuf,
    /// As one would type it at the root of the repository.
    pub(super) shown: String,
}

impl Till {
    pub(super) fn new(repository: &Repository, target: &Path) -> Self {
        let (binary, data) = (target.join("release/till"), target.join("demo"));
        let relative = |path| repository.relative(path).display();
        Self {
            root: repository.root.clone(),
            shown: format!("{} --data {}", relative(&binary), relative(&data)),
            binary,
            data,
        }
    }

    /// Runs a command and gives its answer.
    pub(super) fn ask(&self, words: &[&str]) -> Result<Value> {
        let line = format!("till {}", words.join(" "));
        tools::say(&format!("  $ {line}"));
        let mut command = tools::command(&self.binary);
        command
            .arg("--data")
            .arg(&self.data)
            .arg("--json")
            .args(words)
            .current_dir(&self.root)
            .stderr(Stdio::inherit());
        let output = command.output().with_context(|| format!("cannot start {}", self.binary.display()))?;
        let answer: Option<Value> = serde_json::from_slice(&output.stdout).ok();
        match answer {
            Some(answer) if output.status.success() => Ok(answer),
            Some(answer) => bail!("`{line}` failed ({})\n{}", output.status, failure(&answer["error"])),
            None => bail!("`{line}` gave no JSON ({})", output.status),
        }
    }
}

/// What went wrong, in short: till itself has said the rest.
fn failure(error: &Value) -> String {
    let message = error["message"].as_str().unwrap_or_default().to_owned();
    match error["fault"].as_str() {
        Some("house") => format!("{message}\n`till doctor` checks what this machine offers"),
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_doctor_is_named_when_the_machine_is_at_fault() {
        let error = |fault| json!({ "fault": fault, "message": "no runtime", "hint": null, "log": ["a"] });
        assert_eq!(failure(&error("house")), "no runtime\n`till doctor` checks what this machine offers");
        assert_eq!(failure(&error("source")), "no runtime");
        assert_eq!(failure(&Value::Null), "");
    }
}
