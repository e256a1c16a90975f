//! The small values: ports, signals, durations, sizes.

use std::ops::RangeInclusive;

use super::Bad;

/// What carries a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
    /// The other one.
    Sctp,
}

impl Transport {
    /// As images write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// Reads a word of `EXPOSE`, expanded: `80`, `53/udp`, `8000-8010/tcp`.
pub fn port(text: &str) -> Result<Vec<(u16, Transport)>, String> {
    let (ports, transport) = port_range(text)?;
    Ok(ports.map(|port| (port, transport)).collect())
}

/// The same, without a list of what may be all ports.
pub(super) fn port_range(text: &str) -> Result<(RangeInclusive<u16>, Transport), String> {
    let bad = || format!("`{text}` is not a port: expected `80`, `53/udp` or `8000-8010`");
    let (ports, transport) = text.split_once('/').unwrap_or((text, "tcp"));
    let transport = match transport.to_ascii_lowercase().as_str() {
        "tcp" => Transport::Tcp,
        "udp" => Transport::Udp,
        "sctp" => Transport::Sctp,
        _ => return Err(bad()),
    };
    let number = |text: &str| match text.parse::<u16>() {
        Ok(port) if port != 0 && is_digits(text) => Ok(port),
        _ => Err(bad()),
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(bad());
    }
    Ok((first..=last, transport))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

const SIGNALS: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
    "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

/// Reads `STOPSIGNAL`, expanded: a number, or a name, of which `SIG` may be missing. The name comes back in full.
pub fn signal(text: &str) -> Result<String, String> {
    let bad = || format!("`{text}` is not a signal: expected a name as `SIGTERM`, or a number up to 64");
    if is_digits(text) {
        return match text.parse::<u8>() {
            Ok(1..=64) => Ok(text.to_owned()),
            _ => Err(bad()),
        };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let realtime = |prefix| name.strip_prefix(prefix).filter(|n| is_digits(n)).and_then(|n| n.parse::<u8>().ok());
    let offset = realtime("RTMIN+").or_else(|| realtime("RTMAX-"));
    if SIGNALS.contains(&name) || matches!(offset, Some(1..=15)) { Ok(format!("SIG{name}")) } else { Err(bad()) }
}

/// Nanoseconds of each unit that Go knows.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration as Go writes it, `1m30s`, in nanoseconds.
pub fn duration(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is not a duration: expected for instance `30s`, `1m30s` or `500ms`");
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if unsigned == "0" {
        return Ok(0);
    }
    let (mut rest, mut total) = (unsigned, 0u64);
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let (number, after) = rest.split_at(end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
        let nanos = scaled(number, *scale).ok_or_else(bad)?;
        total = total.checked_add(nanos).filter(|total| i64::try_from(*total).is_ok()).ok_or_else(bad)?;
        rest = after;
        if rest.is_empty() {
            return Ok(total);
        }
    }
}

/// `1.5` times a unit, without floating point.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let mut total = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.checked_mul(scale)? };
    let mut below = 0u128;
    // Digits beyond these are less than a nanosecond even of hours.
    for (place, digit) in fraction.chars().take(18).enumerate() {
        let digit = u128::from(digit.to_digit(10)?);
        below += digit * u128::from(scale) * 10u128.pow(17 - u32::try_from(place).ok()?);
    }
    total = total.checked_add(u64::try_from(below / 10u128.pow(18)).ok()?)?;
    Some(total)
}

/// `true`, `false`, and the other words of Go for them.
pub(super) fn boolean(key: &str, value: &str) -> Result<bool, Bad> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Bad::new(format!("`{key}` is `true` or `false`, not `{value}`"))),
    }
}

/// A file mode in octal.
pub(super) fn octal(text: &str) -> Result<u32, Bad> {
    let digits = !text.is_empty() && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    match u32::from_str_radix(text, 8) {
        Ok(mode) if digits && mode <= 0o7777 => Ok(mode),
        _ => Err(Bad::new(format!("`{text}` is not a mode: expected an octal number as `0755`"))),
    }
}

/// Bytes: `512m`, `1.5g`, `64KiB`, `1000`; every unit is a power of 1024.
pub(super) fn size(text: &str) -> Result<u64, Bad> {
    let bad = || Bad::new(format!("`{text}` is not a size: expected for instance `512m`"));
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit.trim().to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit);
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(bad()),
    };
    scaled(number, 1u64 << (10 * power)).filter(|size| i64::try_from(*size).is_ok()).ok_or_else(bad)
}
