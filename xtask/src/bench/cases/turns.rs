//! How contestants take turns: in each round everybody once, one after another.

use anyhow::{Context as _, Result};

use crate::bench::machine::Limit;
use crate::bench::sample::{Figures, Line, Role, Sample, best};
use crate::bench::wanted::Wanted;
use crate::tools;

/// Seconds that nobody wants to wait for several times.
const LONG: f64 = 20.0;

/// A case before it is measured.
pub(super) struct Case<'a> {
    /// Rounds that do not count, where the first is slower for a reason that is not the case's: a base not yet unpacked.
    pub(super) idle: u32,
    pub(super) parts: Vec<Part>,
    pub(super) contestants: Vec<Contestant<'a>>,
}

/// What is compared with one another. Most cases have one part, and its name is the case's.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) wanted: Wanted,
    pub(super) limit: Option<Limit>,
}

/// One who is measured: what is shown of it, and what it does in each round.
pub(super) struct Contestant<'a> {
    rows: Vec<Row>,
    run: Box<dyn FnMut(u32) -> Result<Turn> + 'a>,
    /// Of its last round.
    note: Option<String>,
}

/// A line of one of the parts.
pub(super) struct Row {
    pub(super) part: usize,
    line: Line,
}

/// What came of a round: a sample for each of the rows.
pub(super) struct Turn {
    pub(super) samples: Vec<Sample>,
    pub(super) note: Option<String>,
}

impl From<Sample> for Turn {
    fn from(sample: Sample) -> Self {
        Self { samples: vec![sample], note: None }
    }
}

impl From<[Sample; 2]> for Turn {
    fn from(samples: [Sample; 2]) -> Self {
        Self { samples: samples.to_vec(), note: None }
    }
}

impl Part {
    /// The only part of a case.
    pub(super) fn whole(title: &'static str, wanted: Wanted, limit: Option<Limit>) -> Self {
        Self { name: "", title, wanted, limit }
    }
}

impl Row {
    /// Of the part with this number, counted from 0.
    pub(super) fn new(part: usize, name: &str, role: Role) -> Self {
        Self { part, line: Line::new(name, role) }
    }
}

impl<'a> Contestant<'a> {
    /// One with several rows, for which each run has as many samples.
    pub(super) fn new<T: Into<Turn>>(rows: Vec<Row>, mut run: impl FnMut(u32) -> Result<T> + 'a) -> Self {
        Self { rows, run: Box::new(move |round| run(round).map(Into::into)), note: None }
    }

    pub(super) fn ours<T: Into<Turn>>(run: impl FnMut(u32) -> Result<T> + 'a) -> Self {
        Self::new(vec![Row::new(0, "till", Role::Ours)], run)
    }

    pub(super) fn peer<T: Into<Turn>>(name: &str, run: impl FnMut(u32) -> Result<T> + 'a) -> Self {
        Self::new(vec![Row::new(0, name, Role::Peer)], run)
    }

    pub(super) fn shown<T: Into<Turn>>(name: &str, run: impl FnMut(u32) -> Result<T> + 'a) -> Self {
        Self::new(vec![Row::new(0, name, Role::Shown)], run)
    }
}

/// Measures a case. Before each turn somebody makes the machine quiet.
pub(super) fn measure(case: Case, name: &str, runs: u32, quiet: impl Fn()) -> Result<Vec<Figures>> {
    let Case { idle, parts, mut contestants } = case;
    for part in &parts {
        tools::head(&format!("{}: {}", full_name(name, part), part.title));
    }
    // Each round has its number, for some make things that are named by it.
    for round in 1..=idle + runs {
        let hopeless = hopeless(&contestants);
        for (contestant, _) in contestants.iter_mut().zip(hopeless).filter(|(_, hopeless)| !hopeless) {
            quiet();
            let who = &contestant.rows[0].line.name;
            let turn = (contestant.run)(round).with_context(|| format!("{name}, {who}"))?;
            for (row, sample) in contestant.rows.iter_mut().zip(&turn.samples) {
                let counts = if round > idle { "" } else { " (does not count)" };
                let part = Some(parts[row.part].name).filter(|name| !name.is_empty());
                let who = part.map_or(String::new(), |name| format!("{name}: ")) + &row.line.name;
                tools::say(&format!("  round {round}: {who:<32} {:>9.3} s{counts}", sample.seconds));
                if round > idle {
                    row.line.samples.push(*sample);
                }
            }
            if let Some(note) = &turn.note {
                tools::say(&format!("    {note}"));
            }
            contestant.note = turn.note;
        }
    }
    Ok(parts.into_iter().enumerate().map(|(at, part)| figures(name, at, part, &contestants)).collect())
}

/// What belongs to one part.
fn figures(case: &str, at: usize, part: Part, contestants: &[Contestant]) -> Figures {
    let rows = || contestants.iter().flat_map(|one| one.rows.iter().map(move |row| (one, row)));
    let rows = || rows().filter(|(_, row)| row.part == at);
    let note = |(one, row): (&Contestant, &Row)| Some(format!("{}: {}", row.line.name, one.note.as_ref()?));
    Figures {
        case: full_name(case, &part),
        title: part.title.to_owned(),
        wanted: part.wanted,
        limit: part.limit,
        lines: rows().map(|(_, row)| row.line.clone()).collect(),
        notes: rows().filter_map(note).collect(),
    }
}

fn full_name(case: &str, part: &Part) -> String {
    format!("{case} {}", part.name).trim_end().to_owned()
}

/// Who is not measured again: they need minutes where the best peer does not, so they decide nothing.
fn hopeless(contestants: &[Contestant]) -> Vec<bool> {
    let rows = || contestants.iter().flat_map(|one| &one.rows);
    let best = |part| best(rows().filter(|row| row.part == part).map(|row| &row.line));
    let loses = |row: &Row| best(row.part).is_some_and(|best| loses(&row.line, best));
    contestants.iter().map(|one| one.rows.iter().any(loses)).collect()
}

fn loses(line: &Line, best: &Line) -> bool {
    line.role != Role::Ours && line.median() > LONG && line.median() > best.median() * 4.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sample::tests::line;

    /// One with a row for each of these, which does nothing.
    fn contestant<'a>(rows: Vec<(usize, Line)>) -> Contestant<'a> {
        let rows = rows.into_iter().map(|(part, line)| Row { part, line }).collect();
        Contestant::new(rows, |_| Ok(Sample::default()))
    }

    #[test]
    fn only_others_that_take_long_and_lose_are_left_out() {
        let (ours, peer, shown) = (Role::Ours, Role::Peer, Role::Shown);
        for (contestants, hopeless_ones) in [
            // Without a sample nobody is judged.
            (vec![vec![(0, line("a", peer, &[]))]], vec![false]),
            (
                vec![
                    vec![(0, line("ours", ours, &[99.0]))],
                    vec![(0, line("a", peer, &[10.0]))],
                    vec![(0, line("b", peer, &[39.0]))],
                    vec![(0, line("c", peer, &[41.0]))],
                    vec![(0, line("d", shown, &[41.0]))],
                ],
                vec![false, false, false, true, true],
            ),
            // Nine times as long, but not long.
            (vec![vec![(0, line("a", peer, &[1.0]))], vec![(0, line("b", peer, &[9.0]))]], vec![false, false]),
            // Who does less is nobody's measure.
            (
                vec![
                    vec![(0, line("a", peer, &[90.0])), (0, line("a, less", shown, &[2.0]))],
                    vec![(0, line("b", peer, &[30.0]))],
                ],
                vec![false, false],
            ),
            // Each part for itself; one lost part is enough.
            (
                vec![
                    vec![(0, line("a", peer, &[1.0])), (1, line("a", peer, &[30.0]))],
                    vec![(0, line("b", peer, &[30.0])), (1, line("b", peer, &[30.0]))],
                    vec![(1, line("c", peer, &[40.0]))],
                ],
                vec![false, true, false],
            ),
        ] {
            let contestants: Vec<_> = contestants.into_iter().map(contestant).collect();
            assert_eq!(hopeless(&contestants), hopeless_ones);
        }
    }

    #[test]
    fn each_row_goes_into_its_part() {
        let part = |name| Part { name, title: "", wanted: Wanted::Ratio(1.0), limit: None };
        let sample = |seconds| Sample { seconds, cpu: 0.0, memory: 0 };
        let rows = vec![Row::new(0, "till", Role::Ours), Row::new(1, "till", Role::Ours)];
        let ours = Contestant::new(rows, |_| Ok([sample(4.0), sample(1.0)]));
        let peer = Contestant::peer("a", |round| {
            Ok(Turn { samples: vec![sample(f64::from(round))], note: Some(format!("round {round}")) })
        });
        let case = Case { idle: 1, parts: vec![part("first"), part("again")], contestants: vec![ours, peer] };
        let figures = measure(case, "W0", 2, || ()).unwrap();
        assert_eq!(figures.iter().map(|one| one.case.as_str()).collect::<Vec<_>>(), ["W0 first", "W0 again"]);
        assert_eq!(figures.iter().map(|one| one.lines.len()).collect::<Vec<_>>(), [2, 1]);
        // The first round does not count, and the last one's note stays.
        let (first, again) = (&figures[0], &figures[1]);
        assert_eq!(first.lines[1].samples, [sample(2.0), sample(3.0)]);
        assert_eq!(first.notes, ["a: round 3"]);
        assert_eq!((again.ours().unwrap().samples.len(), again.notes.len()), (2, 0));
    }
}
