//! What was counted before, with which compiler and for which processors: with others the same source is other instructions.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::Counts;
use crate::tools::{self, Repository};

/// From the root of the repository.
pub(super) const FILE: &str = "xtask/instructions.json";

/// How far a count may be off. Runs differ by a fifth of that; other C compilers and libraries make up for some more.
pub(super) const PERCENT: u64 = 5;

/// What makes instructions of source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Toolchain {
    rustc: String,
    architecture: String,
}

impl Toolchain {
    /// The one that we use.
    pub(super) fn here(repository: &Repository) -> Result<Self> {
        let mut rustc = repository.command("rustc");
        rustc.arg("--version");
        let said = tools::output(rustc)?;
        let rustc = said.split_whitespace().nth(1).context("rustc does not say its version")?.to_owned();
        Ok(Self { rustc, architecture: std::env::consts::ARCH.to_owned() })
    }

    /// Why counts of another one say nothing of ours.
    pub(super) fn differs(&self, ours: &Self) -> Option<String> {
        let words = |toolchain: &Self| format!("rustc {} for {}", toolchain.rustc, toolchain.architecture);
        (self != ours).then(|| format!("the baseline is of {}, here is {}", words(self), words(ours)))
    }
}

/// Counts, and what they hold for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Baseline {
    pub(super) toolchain: Toolchain,
    pub(super) counts: Counts,
}

impl Baseline {
    /// The one that is checked in.
    pub(super) fn read(repository: &Repository) -> Result<Option<Self>> {
        let text = tools::text(&path(repository))?;
        text.map(|text| Self::parse(&text).with_context(|| format!("{FILE} is not as `--write` writes it"))).transpose()
    }

    /// Makes it the one that is checked in.
    pub(super) fn write(&self, repository: &Repository) -> Result<()> {
        std::fs::write(path(repository), self.text()).with_context(|| format!("cannot write {FILE}"))
    }

    fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let word = |name: &str| value[name].as_str().map(str::to_owned);
        let counts = value["instructions"].as_object()?.iter();
        Some(Self {
            toolchain: Toolchain { rustc: word("rustc")?, architecture: word("architecture")? },
            counts: counts.map(|(case, count)| Some((case.clone(), count.as_u64()?))).collect::<Option<_>>()?,
        })
    }

    fn text(&self) -> String {
        let Toolchain { rustc, architecture } = &self.toolchain;
        format!("{:#}\n", json!({ "rustc": rustc, "architecture": architecture, "instructions": self.counts }))
    }
}

fn path(repository: &Repository) -> PathBuf {
    repository.root.join(FILE)
}

/// A case before and now; it may be missing on one side.
#[derive(Debug)]
pub(super) struct Comparison {
    case: String,
    before: Option<u64>,
    now: Option<u64>,
}

impl Comparison {
    /// All cases of both sides.
    pub(super) fn of(before: &Counts, now: &Counts) -> Vec<Self> {
        let mut cases: Vec<_> = before.keys().chain(now.keys()).collect();
        cases.sort();
        cases.dedup();
        let row =
            |case: &String| Self { case: case.clone(), before: before.get(case).copied(), now: now.get(case).copied() };
        cases.into_iter().map(row).collect()
    }

    /// Whether it is as before. What is only on one side is not.
    pub(super) fn is_near(&self) -> bool {
        let (Some(before), Some(now)) = (self.before, self.now) else {
            return false;
        };
        u128::from(before.abs_diff(now)) * 100 <= u128::from(before) * u128::from(PERCENT)
    }

    /// `W1 +0.3 %`.
    pub(super) fn describe(&self) -> String {
        match (self.before, self.now) {
            (Some(before), Some(now)) => {
                format!("{} {:+.1} %", self.case, (now as f64 - before as f64) / before as f64 * 100.0)
            }
            (None, _) => format!("{} is new", self.case),
            (_, None) => format!("{} is not counted any more", self.case),
        }
    }

    /// A line of the table: in millions, before and now.
    pub(super) fn line(&self) -> String {
        let millions = |count: Option<u64>| count.map_or("-".to_owned(), |count| format!("{:.1}", count as f64 / 1e6));
        let (before, now) = (millions(self.before), millions(self.now));
        format!("  {:<4} {before:>10} -> {now:>10} million instructions  {}", self.case, self.describe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counts: &[(&str, u64)]) -> Counts {
        counts.iter().map(|(case, count)| ((*case).to_owned(), *count)).collect()
    }

    #[test]
    fn within_five_percent_of_the_baseline_in_either_direction_is_near() {
        for (before, now, near) in [
            (1000, 1000, true),
            (1000, 1050, true),
            (1000, 1051, false),
            (1000, 950, true),
            (1000, 949, false),
            (0, 0, true),
            (0, 1, false),
            (u64::MAX, u64::MAX - 1, true),
        ] {
            let rows = Comparison::of(&counts(&[("W1", before)]), &counts(&[("W1", now)]));
            assert_eq!(rows[0].is_near(), near, "{before} {now}");
        }
    }

    #[test]
    fn a_case_that_only_one_side_has_is_not_near() {
        let rows = Comparison::of(&counts(&[("W1", 100), ("W2", 10)]), &counts(&[("W1", 97), ("W3", 10)]));
        let said: Vec<_> = rows.iter().map(|row| (row.describe(), row.is_near())).collect();
        let expected = [("W1 -3.0 %", true), ("W2 is not counted any more", false), ("W3 is new", false)];
        assert_eq!(said, expected.map(|(text, near)| (text.to_owned(), near)));
    }

    #[test]
    fn a_baseline_is_read_as_it_was_written() {
        let toolchain = Toolchain { rustc: "1.95.0".to_owned(), architecture: "x86_64".to_owned() };
        let baseline = Baseline { toolchain, counts: counts(&[("W1", 12), ("W2", u64::MAX)]) };
        assert_eq!(Baseline::parse(&baseline.text()), Some(baseline));
        assert_eq!(Baseline::parse("{}"), None);
        assert_eq!(Baseline::parse("{\"rustc\":\"1\",\"architecture\":\"x\",\"instructions\":{\"W1\":\"12\"}}"), None);
    }

    #[test]
    fn another_compiler_or_architecture_is_told() {
        let of = |rustc: &str, architecture: &str| Toolchain {
            rustc: rustc.to_owned(),
            architecture: architecture.to_owned(),
        };
        let ours = of("1.95.0", "x86_64");
        assert_eq!(of("1.95.0", "x86_64").differs(&ours), None);
        for other in [of("1.96.0", "x86_64"), of("1.95.0", "aarch64")] {
            assert!(other.differs(&ours).unwrap().contains("here is rustc 1.95.0 for x86_64"));
        }
    }
}
