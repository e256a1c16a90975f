//! How many instructions the inner paths of W1 and W2 take, against what they took before. Seconds differ from run to run and
//! from machine to machine; instructions hardly do, so that a test can be decided by them.
//!
//! ```text
//! count.rs     builds `inner` (crates/engine/benches), and counts under callgrind
//! baseline.rs  what was counted before, and whether that is still so
//!
//! xtask/instructions.json   the baseline
//! TARGET/counted/CASE/      what a case finds and leaves; callgrind.out: `callgrind_annotate` shows it by function
//! ```

mod baseline;
mod count;

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::check::{self, End, Outcome};
use crate::tools::{self, Repository};
use baseline::{Baseline, Comparison, Toolchain};

/// Instructions, by case.
type Counts = BTreeMap<String, u64>;

/// How the baseline is renewed.
const WRITE: &str = "cargo xtask instructions --write";

/// Counts and compares, as a task of its own.
pub(crate) fn instructions(repository: &Repository) -> Result<()> {
    check::conclude(&[Outcome::of("instructions", || compare(repository))])
}

/// Counts, and makes that the baseline.
pub(crate) fn write(repository: &Repository) -> Result<()> {
    tools::head("instructions");
    let toolchain = Toolchain::here(repository)?;
    let counts = count::all(repository)?;
    let before = Baseline::read(repository)?;
    let rows = Comparison::of(before.as_ref().map_or(&Counts::new(), |before| &before.counts), &counts);
    rows.iter().for_each(|row| tools::say(&row.line()));
    Baseline { toolchain, counts }.write(repository)
}

/// Counts and compares, as a part of others. Where the baseline does not hold nothing is counted.
pub(crate) fn compare(repository: &Repository) -> Result<End> {
    let Some(baseline) = Baseline::read(repository)? else {
        bail!("there is no {}: `{WRITE}` makes it", baseline::FILE);
    };
    if let Some(why) = baseline.toolchain.differs(&Toolchain::here(repository)?) {
        return Ok(End::Skipped(format!("{why}; `{WRITE}` would make it this one's")));
    }
    let rows = Comparison::of(&baseline.counts, &count::all(repository)?);
    rows.iter().for_each(|row| tools::say(&row.line()));
    let described = rows.iter().map(Comparison::describe).collect::<Vec<_>>().join(", ");
    if rows.iter().all(Comparison::is_near) {
        return Ok(End::Good(described));
    }
    tools::say(&format!("  `callgrind_annotate` says where it is spent; if it is meant to be, `{WRITE}` keeps it"));
    Ok(End::Bad(format!("{described}; at most {} % may differ, in either direction", baseline::PERCENT)))
}
