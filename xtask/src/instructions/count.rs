//! Counts instructions with callgrind.
//!
//! The whole process is counted: its threads with it, and its start, which users wait for, too. What a case finds is made by
//! a process before that is not.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Counts;
use crate::tools::{self, Repository};

const CASES: [&str; 2] = ["W1", "W2"];

/// The instructions of every case.
pub(super) fn all(repository: &Repository) -> Result<Counts> {
    let inner = build(repository)?;
    let folder = repository.target()?.join("counted");
    CASES.iter().map(|case| Ok(((*case).to_owned(), count(&inner, case, &folder.join(case))?))).collect()
}

/// Builds the program that is counted, as it would be released.
fn build(repository: &Repository) -> Result<PathBuf> {
    let words = ["build", "--profile", "instructions", "--package", "till-engine", "--bench", "inner"];
    tools::say(&format!("  $ cargo {}", words.join(" ")));
    let mut command = repository.cargo(words);
    command.arg("--message-format=json-render-diagnostics");
    executable(&tools::output(command)?).context("cargo does not say where it put the program `inner`")
}

/// Where cargo says that it put a program.
fn executable(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    programs.next_back()
}

fn count(inner: &Path, case: &str, folder: &Path) -> Result<u64> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut set_up = tools::command(inner);
    set_up.args([case, "set-up"]).arg(folder);
    tools::output(set_up)?;
    let out = folder.join("callgrind.out");
    let mut valgrind = tools::command("valgrind");
    valgrind.args(["--tool=callgrind", "--quiet"]);
    valgrind.arg(format!("--callgrind-out-file={}", out.display()));
    valgrind.arg(inner).args([case, "go"]).arg(folder);
    tools::run(valgrind)?;
    let said = tools::text(&out)?.with_context(|| format!("callgrind has not written {}", out.display()))?;
    total(&said).with_context(|| format!("{} has no total", out.display()))
}

/// The count of all parts of a run, from what callgrind wrote: `totals: 123`, or `summary: 123` where there is one part.
fn total(said: &str) -> Option<u64> {
    let value = |name: &str| said.lines().rev().find_map(|line| line.strip_prefix(name));
    let counts = value("totals:").or_else(|| value("summary:"))?;
    // Further events, where they are counted, come after the first.
    counts.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_what_callgrind_says_last_of_all_its_parts() {
        let head = "# callgrind format\nversion: 1\npart: 1\nevents: Ir\n";
        for (rest, count) in [
            ("summary: 7\n\nfn=(1) main\n1 7\n\ntotals: 7\n", Some(7)),
            ("summary: 7\n\nfn=(1) main\n1 7\n", Some(7)),
            ("summary: 7\n\nsummary: 8\n\ntotals: 15\n", Some(15)),
            ("summary: 7 2 3\n", Some(7)),
            ("fn=(1) totals: 9\n1 7\n", None),
            ("totals: many\n", None),
        ] {
            assert_eq!(total(&format!("{head}{rest}")), count, "{rest}");
        }
    }

    #[test]
    fn the_program_is_where_cargo_says() {
        let said = "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"till_core\"},\"executable\":null}\n\
            not JSON\n\
            {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"inner\"},\"executable\":\"/t/deps/inner-1\"}\n\
            {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(executable(said), Some(PathBuf::from("/t/deps/inner-1")));
        assert_eq!(executable(""), None);
    }
}
