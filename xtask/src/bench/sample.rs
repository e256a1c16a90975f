//! What was measured once, and what becomes of several.

use serde_json::{Value, json};

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

/// All that was measured of one contestant in one case.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) ours: bool,
    pub(super) samples: Vec<Sample>,
}

impl Line {
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

    pub(super) fn memory(&self) -> u64 {
        self.samples.iter().map(|sample| sample.memory).max().unwrap_or(0)
    }
}

/// A case, measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figures {
    pub(super) case: String,
    pub(super) title: String,
    /// What is asked of us, in words.
    pub(super) wanted: String,
    /// What this machine needs for the least that has to be done, and what that is.
    pub(super) limit: Option<(f64, String)>,
    pub(super) lines: Vec<Line>,
}

impl Figures {
    pub(super) fn ours(&self) -> Option<&Line> {
        self.lines.iter().find(|line| line.ours && !line.samples.is_empty())
    }

    /// The fastest of the others.
    pub(super) fn best(&self) -> Option<&Line> {
        let peers = self.lines.iter().filter(|line| !line.ours && !line.samples.is_empty());
        peers.min_by(|a, b| a.median().total_cmp(&b.median()))
    }

    /// Ours by the best peer's.
    pub(super) fn ratio(&self) -> Option<f64> {
        Some(self.ours()?.median() / self.best()?.median())
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
            "memory": ours.map(Line::memory),
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

    /// A case in which we need 1 s and others 4 s and 2 s.
    pub(in crate::bench) fn figures() -> Figures {
        let line = |name: &str, ours, seconds: &[f64]| Line {
            name: name.to_owned(),
            ours,
            samples: seconds.iter().map(|seconds| Sample { seconds: *seconds, cpu: 0.5, memory: 3 << 20 }).collect(),
        };
        Figures {
            case: "W1".to_owned(),
            title: "overhead".to_owned(),
            wanted: "≤ 0.3".to_owned(),
            limit: Some((0.25, "fork".to_owned())),
            lines: vec![
                line("till", true, &[3.0, 1.0, 0.5]),
                line("slow", false, &[4.0]),
                line("fast", false, &[1.0, 3.0]),
                line("absent", false, &[]),
            ],
        }
    }

    #[test]
    fn a_median_is_the_middle() {
        for (values, middle) in [(&[][..], 0.0), (&[2.0], 2.0), (&[9.0, 1.0, 2.0], 2.0), (&[4.0, 1.0, 2.0, 9.0], 3.0)] {
            assert!((median(values.iter().copied()) - middle).abs() < 1e-9, "{values:?}");
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
