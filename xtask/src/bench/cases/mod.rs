//! The cases: who takes part in each, and how they take turns.

mod build;
mod many;
mod pip;
mod serve;
mod ship;

use anyhow::{Context as _, Result, bail};

use super::sample::{Figures, Line, Sample};
use super::stage::Stage;
use crate::tools;

/// One who is measured: a name, and what it does in each round.
pub(super) struct Contestant<'a> {
    name: &'static str,
    ours: bool,
    run: Box<dyn FnMut(u32) -> Result<Sample> + 'a>,
}

impl<'a> Contestant<'a> {
    fn ours(run: impl FnMut(u32) -> Result<Sample> + 'a) -> Self {
        Self::ours_by("till", run)
    }

    /// One of several ways of ours; the first is compared.
    fn ours_by(name: &'static str, run: impl FnMut(u32) -> Result<Sample> + 'a) -> Self {
        Self { name, ours: true, run: Box::new(run) }
    }

    fn peer(name: &'static str, run: impl FnMut(u32) -> Result<Sample> + 'a) -> Self {
        Self { name, ours: false, run: Box::new(run) }
    }
}

/// A case before it is measured.
struct Case<'a> {
    title: &'static str,
    wanted: &'static str,
    limit: Option<(f64, String)>,
    contestants: Vec<Contestant<'a>>,
}

/// Measures a case: in each round everybody once, in turn.
pub(super) fn measure(stage: &Stage, name: &'static str) -> Result<Figures> {
    let case = match name {
        "W1" => build::overhead(stage)?,
        "W2" => build::small_files(stage)?,
        "W3" => build::large_files(stage)?,
        "W4" => pip::pip(stage, pip::Change::Source)?,
        "W4b" => pip::pip(stage, pip::Change::Requirements)?,
        "W5" => ship::ship(stage)?,
        "W6" => serve::serve(stage)?,
        "W8" => many::many(stage)?,
        "W7" => build::again(stage)?,
        _ => bail!("there is no case {name}"),
    };
    tools::head(&format!("{name}: {}", case.title));
    let mut contestants = case.contestants;
    let line = |one: &Contestant| Line { name: one.name.to_owned(), ours: one.ours, samples: Vec::new() };
    let mut lines: Vec<Line> = contestants.iter().map(line).collect();
    for round in 1..=stage.runs {
        for (contestant, line) in contestants.iter_mut().zip(&mut lines) {
            let sample = (contestant.run)(round).with_context(|| format!("{name}, {}", contestant.name))?;
            tools::say(&format!("  round {round}: {:<18} {:>9.3} s", contestant.name, sample.seconds));
            line.samples.push(sample);
        }
    }
    Ok(Figures {
        case: name.to_owned(),
        title: case.title.to_owned(),
        wanted: case.wanted.to_owned(),
        limit: case.limit,
        lines,
    })
}
