//! What is asked of us in a case, and whether it came out so.

use super::table::seconds;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wanted {
    /// At most this part of the best peer's time.
    Ratio(f64),
    /// At most so many seconds, whatever the others need.
    Seconds(f64),
}

/// How it came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Met,
    Missed,
}

impl Wanted {
    /// As people write it.
    pub(super) fn text(self) -> String {
        match self {
            // As it is written in the source, which is as exact as it is meant.
            Self::Ratio(most) => format!("≤ {most:?}"),
            Self::Seconds(most) => format!("≤ {}", seconds(most)),
        }
    }

    /// None where what is asked about was not measured: us, or anybody to compare with.
    pub(super) fn verdict(self, ours: Option<f64>, ratio: Option<f64>) -> Option<Verdict> {
        let (value, most) = match self {
            Self::Ratio(most) => (ratio?, most),
            Self::Seconds(most) => (ours?, most),
        };
        Some(if value <= most { Verdict::Met } else { Verdict::Missed })
    }
}

impl Verdict {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_looks_at_what_is_wanted_and_at_nothing_else() {
        use Verdict::{Met, Missed};
        for (wanted, ours, ratio, verdict) in [
            (Wanted::Ratio(0.3), Some(9.0), Some(0.2), Some(Met)),
            (Wanted::Ratio(0.3), Some(0.1), Some(0.3), Some(Met)),
            (Wanted::Ratio(0.3), Some(0.1), Some(0.31), Some(Missed)),
            (Wanted::Ratio(0.3), Some(0.1), None, None),
            (Wanted::Seconds(0.05), Some(0.04), Some(7.0), Some(Met)),
            (Wanted::Seconds(0.05), Some(0.06), Some(0.1), Some(Missed)),
            (Wanted::Seconds(0.05), Some(0.04), None, Some(Met)),
            (Wanted::Seconds(0.05), None, None, None),
        ] {
            assert_eq!(wanted.verdict(ours, ratio), verdict, "{wanted:?} {ours:?} {ratio:?}");
        }
    }

    #[test]
    fn it_is_written_as_people_write_it() {
        for (wanted, text) in [
            (Wanted::Ratio(0.3), "≤ 0.3"),
            (Wanted::Ratio(1.0), "≤ 1.0"),
            (Wanted::Seconds(0.05), "≤ 50 ms"),
            (Wanted::Seconds(2.0), "≤ 2.00 s"),
        ] {
            assert_eq!(wanted.text(), text);
        }
    }
}
