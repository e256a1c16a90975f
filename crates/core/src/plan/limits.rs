//! What an instance may use.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::launch::Span;

/// A number of bytes; written `512KiB`, `2GiB`, or as a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(pub u64);

/// A text that is no number of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size: expected e.g. 512MiB or 2GiB")]
pub struct BadBytes(pub String);

const UNITS: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl TryFrom<String> for Bytes {
    type Error = BadBytes;

    fn try_from(text: String) -> Result<Self, BadBytes> {
        let (number, factor) = UNITS
            .iter()
            .find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number, *factor)))
            .unwrap_or((&text, 1));
        number.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).map(Self).ok_or(BadBytes(text))
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        bytes.to_string()
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) =
            UNITS.iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor)).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

/// With less nothing starts at all; and 0 would mean "no limit" to the runtimes.
const MIN_SIZE: u64 = 1 << 20;

/// What an instance may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Of all processes together, page cache excluded as far as it can be dropped.
    pub memory: Bytes,
    /// Processes and threads at once.
    pub pids: u32,
    /// Thousandths of a processor; none: all there are.
    pub cpu: Option<u32>,
    /// What may be written in one instance.
    pub disk: Bytes,
    /// How long one step may take.
    pub time: Span,
    /// How much of a step's output is kept; what is beyond is counted, and its last lines are shown when the step fails.
    pub log: Bytes,
}

impl Default for Limits {
    /// Enough for a large Java or JavaScript build, and little enough that a runaway one does not take the machine along.
    fn default() -> Self {
        Self {
            memory: Bytes(4 << 30),
            pids: 4096,
            cpu: None,
            disk: Bytes(20 << 30),
            time: Span(30 * 60),
            log: Bytes(64 << 20),
        }
    }
}

/// The `[limits]` of a `till.toml`: each as in [`Limits`], where given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsFile {
    /// E.g. `"2GiB"`.
    pub memory: Option<Bytes>,
    /// E.g. `1024`.
    pub pids: Option<u32>,
    /// Thousandths of a processor, e.g. `1500`.
    pub cpu: Option<u32>,
    /// E.g. `"10GiB"`.
    pub disk: Option<Bytes>,
    /// E.g. `"15m"`.
    pub time: Option<Span>,
    /// E.g. `"16MiB"`.
    pub log: Option<Bytes>,
}

impl LimitsFile {
    /// What no instance could live with, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        for (name, size) in [("memory", self.memory), ("disk", self.disk)] {
            if let Some(size) = size.filter(|size| size.0 < MIN_SIZE || i64::try_from(size.0).is_err()) {
                return Err(format!("limits.{name} = \"{size}\" is not between 1MiB and 8388607TiB"));
            }
        }
        if self.pids.is_some_and(|pids| pids == 0 || i32::try_from(pids).is_err()) {
            return Err("limits.pids is not between 1 and 2147483647".to_owned());
        }
        if self.cpu.is_some_and(|cpu| !(10..=1_000_000).contains(&cpu)) {
            return Err("limits.cpu is in thousandths of a processor, between 10 and 1000000".to_owned());
        }
        if self.time.is_some_and(|time| time.0 == 0) {
            return Err("limits.time = \"0s\" is no time".to_owned());
        }
        Ok(())
    }

    /// The defaults, with what is given here in their place.
    pub fn over(&self, limits: Limits) -> Limits {
        Limits {
            memory: self.memory.unwrap_or(limits.memory),
            pids: self.pids.unwrap_or(limits.pids),
            cpu: self.cpu.or(limits.cpu),
            disk: self.disk.unwrap_or(limits.disk),
            time: self.time.unwrap_or(limits.time),
            log: self.log.unwrap_or(limits.log),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_without_limit() {
        for text in ["memory = \"0\"", "disk = \"9223372036854775808\"", "pids = 0", "cpu = 1", "time = \"0s\""] {
            let limits: LimitsFile = toml::from_str(text).unwrap();
            assert!(limits.check().is_err(), "{text}");
        }
        assert_eq!(LimitsFile::default().check(), Ok(()));
    }

    #[test]
    fn sizes_are_written_as_they_are_read() {
        for (text, bytes) in [("2GiB", 2 << 30), ("512MiB", 512 << 20), ("1000B", 1000)] {
            let size = Bytes::try_from(text.to_owned()).unwrap();
            assert_eq!(size.0, bytes);
            assert_eq!(size.to_string(), text);
        }
        assert_eq!(Bytes::try_from("7".to_owned()).unwrap().0, 7);
        for bad in ["", "GiB", "-1MiB", "1GB", "99999999TiB"] {
            assert!(Bytes::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
