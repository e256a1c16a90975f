//! Every task of the house: `cargo xtask` says which there are.
//!
//! It uses nothing of ours, so that it builds in seconds and works however broken the rest may be.

mod bench;
mod check;
mod demo;
mod instructions;
mod setup;
mod test;
mod tools;
mod walls;

use std::process::ExitCode;

use anyhow::{Result, bail};

use tools::Repository;

const USAGE: &str = "\
Usage: cargo xtask TASK

  setup          install the system packages that are missing (Debian, as root)
  check          formatting, clippy, walls, sizes of files, documentation, dependencies
  walls          only the walls: who may use whom, licences, sizes of files
  test [--vm|--all]
                 setup, check, and every test; --vm: those of machines that take minutes, too; --all: all of them, and the demo
  instructions [--write]
                 count what till executes in W1 and W2, and compare with what it did before; --write: keep the new counts
  demo           setup, build till, make the base images, prepare and run four real apps
  bench [CASE…] [--peers docker,buildah,podman,umoci] [--runs N] [--json FILE] [--write]
                 measure till beside other builders; without CASE all of W1 to W8, and write docs/performance.md";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tools::say(&format!("\nerror: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[&str]) -> Result<()> {
    let repository = Repository::here();
    match words {
        ["setup"] => setup::setup(),
        ["check"] => check::check(&repository),
        ["walls"] => walls::walls(&repository),
        ["test"] => test::test(&repository, test::Extent::Usual),
        ["test", "--vm"] => test::test(&repository, test::Extent::Machines),
        ["test", "--all"] => test::test(&repository, test::Extent::All),
        ["bench", words @ ..] => bench::bench(&repository, words),
        ["instructions"] => instructions::instructions(&repository),
        ["instructions", "--write"] => instructions::write(&repository),
        ["demo"] => demo::demo(&repository),
        [] | ["help" | "--help" | "-h"] => {
            tools::say(USAGE);
            Ok(())
        }
        _ => bail!("there is no task `{}`\n\n{USAGE}", words.join(" ")),
    }
}
