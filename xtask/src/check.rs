//! All that is checked without running anything of ours.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::tools::{self, Repository};
use crate::walls;

/// One part of a task: what it was, how long it took, and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    pub(crate) took: Duration,
    pub(crate) end: End,
}

/// How a part ended.
#[derive(Debug)]
pub(crate) enum End {
    Good(String),
    Skipped(String),
    Bad(String),
}

impl Outcome {
    /// Does something, and takes down how it went.
    pub(crate) fn of(name: &'static str, work: impl FnOnce() -> Result<End>) -> Self {
        tools::head(name);
        let began = Instant::now();
        let end = work().unwrap_or_else(|error| End::Bad(format!("{error:#}")));
        match &end {
            End::Bad(why) => tools::say(&format!("  {why}")),
            End::Skipped(why) => tools::say(&format!("  SKIPPED: {why}")),
            End::Good(_) => {}
        }
        Self { name, took: began.elapsed(), end }
    }
}

/// Runs every check and says at the end which failed.
pub(crate) fn check(repository: &Repository) -> Result<()> {
    conclude(&outcomes(repository))
}

/// Every check; one that fails does not keep the others from being made.
pub(crate) fn outcomes(repository: &Repository) -> Vec<Outcome> {
    vec![
        Outcome::of("walls", || walls::walls(repository).map(|()| good())),
        Outcome::of("formatting", || component(repository, "fmt", "rustfmt", &["fmt", "--all", "--check"])),
        Outcome::of("clippy", || {
            let words = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
            component(repository, "clippy", "clippy", &words)
        }),
        Outcome::of("documentation", || documentation(repository)),
        Outcome::of("dependencies", || dependencies(repository)),
    ]
}

/// Says how everything went; fails when anything did.
pub(crate) fn conclude(outcomes: &[Outcome]) -> Result<()> {
    tools::head("summary");
    let mut bad = Vec::new();
    for outcome in outcomes {
        let (word, text) = match &outcome.end {
            End::Good(text) => ("ok", text),
            End::Skipped(text) => ("SKIPPED", text),
            End::Bad(text) => {
                bad.push(outcome.name);
                ("FAILED", text)
            }
        };
        let text = text.lines().next().unwrap_or_default();
        tools::say(format!("  {word:<8} {:<14} {:>8}  {text}", outcome.name, tools::seconds(outcome.took)).trim_end());
    }
    if bad.is_empty() { Ok(()) } else { bail!("failed: {}", bad.join(", ")) }
}

fn good() -> End {
    End::Good(String::new())
}

/// Runs a subcommand that comes with a toolchain, but perhaps not with this one.
fn component(repository: &Repository, subcommand: &str, component: &str, words: &[&str]) -> Result<End> {
    if !tools::works(repository.cargo([subcommand, "--version"])) {
        return Ok(End::Skipped(format!(
            "this toolchain has no {component}; `rustup component add {component}` adds it"
        )));
    }
    tools::run(repository.cargo(words)).map(|()| good())
}

/// Only the two rooms that promise to be documented: their documentation takes seconds, all of it minutes.
fn documentation(repository: &Repository) -> Result<End> {
    let mut command =
        repository.cargo(["doc", "--no-deps", "--quiet", "--package", "till-core", "--package", "till-image"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    tools::run(command).map(|()| good())
}

/// What cargo-deny knows beyond our own walls. Not advisories: they need a network, and change without us.
fn dependencies(repository: &Repository) -> Result<End> {
    if !tools::works(repository.cargo(["deny", "--version"])) {
        return Ok(End::Skipped("cargo-deny is not installed; the walls have checked licences and bans".to_owned()));
    }
    tools::run(repository.cargo(["deny", "check", "bans", "licenses", "sources"])).map(|()| good())
}
