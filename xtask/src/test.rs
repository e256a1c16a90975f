//! Everything that must hold before a change is taken: the machine's tools, every check, every test.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::{Context as _, Result};

use crate::check::{self, End, Outcome};
use crate::tools::{self, Repository};
use crate::{demo, instructions, setup};

/// How much is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Setup, checks, tests, instructions.
    Usual,
    /// The same, and the tests of machines that take minutes.
    Machines,
    /// The tests that take minutes and the demo, too.
    All,
}

/// How the names of tests begin that compile with toolchains of a gigabyte, by several builders.
const SLOW: &str = "toolchains_";

/// How the names of tests begin that start machines again and again, which takes minutes where nothing helps to emulate them.
const MACHINES: &str = "vm_";

/// Runs all of it, and says at the end what failed.
pub(crate) fn test(repository: &Repository, extent: Extent) -> Result<()> {
    setup::setup()?;
    let mut outcomes = check::outcomes(repository);
    outcomes.push(Outcome::of("tests", || tests(repository, extent)));
    outcomes.push(Outcome::of("instructions", || instructions::compare(repository)));
    if extent == Extent::All {
        outcomes.push(Outcome::of("demo", || demo::demo(repository).map(|()| End::Good(String::new()))));
    }
    check::conclude(&outcomes)
}

/// What the test programs said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    ignored: u64,
    failed: Vec<String>,
}

impl Tally {
    /// Reads one line of a test program's output.
    fn read(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, " passed");
            self.ignored += count(counts, " ignored");
        } else if let Some((name, _)) = line.strip_prefix("test ").and_then(|line| line.split_once(" ... FAILED")) {
            self.failed.push(name.to_owned());
        }
    }

    fn describe(&self) -> String {
        let ignored = match self.ignored {
            0 => String::new(),
            count => format!(", {count} ignored"),
        };
        format!("{} passed, {} failed{ignored}", self.passed, self.failed.len())
    }
}

/// The number before a word, in `ok. 3 passed; 0 failed; …`.
fn count(text: &str, word: &str) -> u64 {
    text.split_once(word)
        .and_then(|(before, _)| before.rsplit(' ').next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

fn tests(repository: &Repository, extent: Extent) -> Result<End> {
    if !tools::is_root() {
        tools::say("  note: not root; tests whose names begin with `root_` will fail");
    }
    let mut command = repository.cargo(["test", "--workspace", "--no-fail-fast"]);
    let skip: &[&str] = match extent {
        Extent::Usual => &["--", "--skip", SLOW, "--skip", MACHINES],
        Extent::Machines => &["--", "--skip", SLOW],
        Extent::All => &[],
    };
    command.args(skip);
    tools::say(&format!("  $ cargo test --workspace --no-fail-fast {}", skip.join(" ")));
    command.stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start `cargo test`")?;
    let mut tally = Tally::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.context("cannot read what the tests say")?;
            let line = String::from_utf8_lossy(&line);
            tools::say(&line);
            tally.read(&line);
        }
    }
    let status = child.wait().context("cannot wait for `cargo test`")?;
    for name in &tally.failed {
        tools::say(&format!("  FAILED {name}"));
    }
    Ok(match status.success() {
        true => End::Good(tally.describe()),
        false => End::Bad(format!("{} ({status})", tally.describe())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_programs_add_up() {
        let mut tally = Tally::default();
        let said = "running 2 tests\n\
            test a::good ... ok\n\
            test b::bad ... FAILED\n\
            test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n\
            test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out\n";
        said.lines().for_each(|line| tally.read(line));
        assert_eq!(tally.describe(), "13 passed, 1 failed, 3 ignored");
        assert_eq!(tally.failed, ["b::bad"]);
    }
}
