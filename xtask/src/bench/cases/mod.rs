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

/// Seconds that nobody wants to wait for several times.
const LONG: f64 = 20.0;

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
    /// Rounds that do not count, where the first is slower for a reason that is not the case's: a base not yet unpacked.
    idle: u32,
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
    // Each round has its number, for some make things that are named by it.
    for round in 1..=case.idle + stage.runs {
        let hopeless: Vec<String> = hopeless(&lines).iter().map(|line| line.name.clone()).collect();
        for (contestant, line) in contestants.iter_mut().zip(&mut lines) {
            if hopeless.iter().any(|name| name == contestant.name) {
                continue;
            }
            // What another has written is not for this one to wait for.
            tools::works(tools::command("sync"));
            let sample = (contestant.run)(round).with_context(|| format!("{name}, {}", contestant.name))?;
            let counts = if round > case.idle { "" } else { " (does not count)" };
            tools::say(&format!("  round {round}: {:<18} {:>9.3} s{counts}", contestant.name, sample.seconds));
            if round > case.idle {
                line.samples.push(sample);
            }
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

/// Peers that are measured once: they need minutes where the best does not, so they decide nothing.
fn hopeless(lines: &[Line]) -> Vec<&Line> {
    let peers = || lines.iter().filter(|line| !line.ours && !line.samples.is_empty());
    let best = peers().map(Line::median).fold(f64::INFINITY, f64::min);
    peers().filter(|line| line.median() > LONG && line.median() > best * 4.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_peers_that_take_long_and_lose_are_left_out() {
        let line = |name: &str, ours, seconds| Line {
            name: name.to_owned(),
            ours,
            samples: vec![Sample { seconds, cpu: 0.0, memory: 0 }],
        };
        let lines = [line("ours", true, 99.0), line("a", false, 10.0), line("b", false, 39.0), line("c", false, 41.0)];
        assert_eq!(hopeless(&lines).iter().map(|line| line.name.as_str()).collect::<Vec<_>>(), ["c"]);
        assert!(hopeless(&[line("a", false, 1.0), line("b", false, 9.0)]).is_empty());
    }
}
