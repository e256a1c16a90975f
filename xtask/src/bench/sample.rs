//! What was measured once, and what becomes of several.

use serde_json::{Value, json};

use super::machine::Limit;
use super::wanted::{Verdict, Wanted};

/// One measurement.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    /// Of all processes, the step's among them.
    pub(super) cpu: f64,
    /// The most that the builder's processes had at once, in bytes; not the step's.
    pub(super) memory: u64,
}

impl Sample {
    /// This, and then that.
    pub(super) fn and(self, then: Self) -> Self {
        let (seconds, cpu) = (self.seconds + then.seconds, self.cpu + then.cpu);
        Self { seconds, cpu, memory: self.memory.max(then.memory) }
    }
}

/// What a line is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Of several of ours the slowest is compared: what is wanted holds for each of them.
    Ours,
    /// The fastest of them is who we are compared with.
    Peer,
    /// For people to see: it does less, or other, than what is compared.
    Shown,
}

/// All that was measured of one contestant in one case.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) samples: Vec<Sample>,
}

impl Line {
    pub(super) fn new(name: &str, role: Role) -> Self {
        Self { name: name.to_owned(), role, samples: Vec::new() }
    }

    /// Whether it plays this role, and was measured at all.
    fn is(&self, role: Role) -> bool {
        self.role == role && !self.samples.is_empty()
    }

    pub(super) fn median(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.seconds))
    }

    pub(super) fn min(&self) -> f64 {
        self.samples.iter().map(|sample| sample.seconds).fold(f64::INFINITY, f64::min)
    }

    pub(super) fn max(&self) -> f64 {
        self.samples.iter().map(|sample| sample.seconds).fold(0.0, f64::max)
    }

    pub(super) fn cpu(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.cpu))
    }

    /// The most; none of one who is gone before anybody can look.
    pub(super) fn memory(&self) -> Option<u64> {
        self.samples.iter().map(|sample| sample.memory).max().filter(|memory| *memory > 0)
    }
}

/// The fastest of the peers.
pub(super) fn best<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Option<&'a Line> {
    let peers = lines.into_iter().filter(|line| line.is(Role::Peer));
    peers.min_by(|a, b| a.median().total_cmp(&b.median()))
}

/// A case, or a part of one, measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figures {
    pub(super) case: String,
    pub(super) title: String,
    /// What is asked of us.
    pub(super) wanted: Wanted,
    /// What this machine needs for the least that has to be done, and what that is.
    pub(super) limit: Option<Limit>,
    pub(super) lines: Vec<Line>,
    /// What no column has room for, of the last round.
    pub(super) notes: Vec<String>,
}

impl Figures {
    pub(super) fn ours(&self) -> Option<&Line> {
        let ours = self.lines.iter().filter(|line| line.is(Role::Ours));
        ours.max_by(|a, b| a.median().total_cmp(&b.median()))
    }

    pub(super) fn best(&self) -> Option<&Line> {
        best(&self.lines)
    }

    /// Ours by the best peer's.
    pub(super) fn ratio(&self) -> Option<f64> {
        Some(self.ours()?.median() / self.best()?.median())
    }

    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.wanted.verdict(self.ours().map(Line::median), self.ratio())
    }

    pub(super) fn json(&self) -> Value {
        let (ours, best) = (self.ours(), self.best());
        json!({
            "case": self.case,
            "ours": ours.map(Line::median),
            "peer": best.map(Line::median),
            "peer_name": best.map(|line| &line.name),
            "ratio": self.ratio(),
            "limit": self.limit.as_ref().map(|(seconds, _)| seconds),
            "memory": ours.and_then(Line::memory),
        })
    }
}

/// The middle one, or what is between the middle two; 0 of none.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One who needed these times.
    pub(in crate::bench) fn line(name: &str, role: Role, seconds: &[f64]) -> Line {
        let samples = seconds.iter().map(|seconds| Sample { seconds: *seconds, cpu: 0.5, memory: 3 << 20 }).collect();
        Line { samples, ..Line::new(name, role) }
    }

    /// A case in which we need 1 s and others 4 s and 2 s, and one who does less 0.5 s.
    pub(in crate::bench) fn figures() -> Figures {
        Figures {
            case: "W1".to_owned(),
            title: "overhead".to_owned(),
            wanted: Wanted::Ratio(0.3),
            limit: Some((0.25, "fork".to_owned())),
            lines: vec![
                line("till", Role::Ours, &[3.0, 1.0, 0.5]),
                line("slow", Role::Peer, &[4.0]),
                line("fast", Role::Peer, &[1.0, 3.0]),
                line("less", Role::Shown, &[0.5]),
                line("absent", Role::Peer, &[]),
            ],
            notes: vec!["till: all at once".to_owned()],
        }
    }

    #[test]
    fn a_median_is_the_middle() {
        for (values, middle) in [(&[][..], 0.0), (&[2.0], 2.0), (&[9.0, 1.0, 2.0], 2.0), (&[4.0, 1.0, 2.0, 9.0], 3.0)] {
            assert!((median(values.iter().copied()) - middle).abs() < 1e-9, "{values:?}");
        }
    }

    #[test]
    fn the_best_is_the_fastest_peer_that_was_measured() {
        let (ours, peer, shown) = (Role::Ours, Role::Peer, Role::Shown);
        for (lines, name) in [
            (vec![], None),
            (vec![line("till", ours, &[1.0]), line("less", shown, &[1.0])], None),
            (vec![line("a", peer, &[]), line("b", peer, &[9.0])], Some("b")),
            (vec![line("a", peer, &[3.0]), line("b", peer, &[9.0, 2.0, 1.0])], Some("b")),
            (vec![line("till", ours, &[1.0]), line("a", peer, &[3.0]), line("less", shown, &[2.0])], Some("a")),
        ] {
            assert_eq!(best(&lines).map(|line| line.name.as_str()), name, "{lines:?}");
        }
    }

    #[test]
    fn of_several_of_ours_the_slowest_is_compared() {
        let mut figures = Figures { wanted: Wanted::Seconds(1.0), ..figures() };
        for (name, seconds, compared, verdict) in [
            ("faster", &[0.1][..], "till", Verdict::Met),
            ("absent", &[], "till", Verdict::Met),
            ("slower", &[1.1], "slower", Verdict::Missed),
        ] {
            figures.lines.push(line(name, Role::Ours, seconds));
            assert_eq!(figures.ours().unwrap().name, compared);
            assert_eq!(figures.verdict(), Some(verdict));
        }
    }

    #[test]
    fn the_ratio_is_to_the_fastest_that_was_measured() {
        let figures = figures();
        assert_eq!(figures.best().unwrap().name, "fast");
        let wanted = json!({ "case": "W1", "ours": 1.0, "peer": 2.0, "peer_name": "fast", "ratio": 0.5, "limit": 0.25, "memory": 3 << 20 });
        assert_eq!(figures.json(), wanted);
        let alone = Figures { lines: figures.lines[..1].to_vec(), limit: None, ..figures };
        assert_eq!(alone.json()["ratio"], Value::Null);
    }
}
