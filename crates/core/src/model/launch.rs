//! How an artifact is started, and what it then offers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is spoken at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2 without TLS.
    H2c,
    /// TLS; what is inside is not known.
    Tls,
    /// Any stream.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Protocol {
    /// `tcp` or `udp`: what the image spec's `ExposedPorts` and firewalls know.
    pub fn transport(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            _ => "tcp",
        }
    }
}

/// A port that a process listens at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// What it is called.
    pub name: String,
    /// Its number inside the instance; the process finds it in `PORT`.
    pub number: u16,
    /// What is spoken there.
    pub protocol: Protocol,
    /// Which process listens there.
    #[serde(default = "web")]
    pub process: String,
}

/// The process type that gets traffic, by the field's convention.
pub fn web() -> String {
    "web".to_owned()
}

/// How a started process is known to be ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// The name of the port that is asked.
    pub port: String,
    /// The path that is asked for, with `http` and `h2c`.
    #[serde(default = "root")]
    pub path: String,
    /// For how long an answer is waited for, e.g. `60s`.
    #[serde(default = "a_minute")]
    pub within: Span,
}

fn root() -> String {
    "/".to_owned()
}

fn a_minute() -> Span {
    Span(60)
}

/// A process type's command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// The command and its arguments.
    pub argv: Vec<String>,
}

/// How an artifact is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    /// By process type.
    pub processes: BTreeMap<String, Process>,
    /// The process types that run as long as the artifact does, as against commands that end (`release`).
    pub services: Vec<String>,
    /// The one that runs when none is named, where it is not `web`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What they listen at.
    pub ports: Vec<Port>,
    /// How readiness is known.
    pub health: Option<Health>,
    /// The environment of every process.
    pub env: BTreeMap<String, String>,
    /// Who runs them: a name in the image's `/etc/passwd`, or a number.
    pub user: String,
    /// Where they run.
    pub dir: String,
}

impl Launch {
    /// The process that runs when none is named: the one that the contract says, `web`, the only one, or the only one that does
    /// not end by itself.
    pub fn default_process(&self) -> Option<&str> {
        if let Some(default) = self.default.as_deref().filter(|name| self.processes.contains_key(*name)) {
            return Some(default);
        }
        match (self.processes.get_key_value("web"), self.services.as_slice()) {
            (Some((name, _)), _) => Some(name),
            (None, _) if self.processes.len() == 1 => self.processes.keys().next().map(String::as_str),
            (None, [only]) if self.processes.contains_key(only) => Some(only),
            (None, _) => None,
        }
    }

    /// The environment of one process: the launch's, and `PORT` where it has a port.
    pub fn env_of(&self, process: &str) -> BTreeMap<String, String> {
        let mut env = self.env.clone();
        if let Some(port) = self.ports.iter().find(|port| port.process == process) {
            env.entry("PORT".to_owned()).or_insert_with(|| port.number.to_string());
        }
        env
    }
}

/// A span of time in whole seconds; written `90s`, `15m`, `2h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub u64);

/// A text that is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a span of time: expected e.g. 90s, 15m or 2h")]
pub struct BadSpan(pub String);

impl TryFrom<String> for Span {
    type Error = BadSpan;

    fn try_from(text: String) -> Result<Self, BadSpan> {
        let factor = match text.as_bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3600,
            _ => return Err(BadSpan(text)),
        };
        text[..text.len() - 1]
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .map(Span)
            .ok_or(BadSpan(text))
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        match span.0 {
            0 => "0s".to_owned(),
            s if s.is_multiple_of(3600) => format!("{}h", s / 3600),
            s if s.is_multiple_of(60) => format!("{}m", s / 60),
            s => format!("{s}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_they_are_read() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("2h", 7200), ("0s", 0)] {
            let span = Span::try_from(text.to_owned()).unwrap();
            assert_eq!(span.0, seconds);
            assert_eq!(String::from(span), text);
        }
        for bad in ["", "s", "5", "-1s", "1d", "1.5h", "99999999999999999999s", "9999999999999999999h"] {
            assert!(Span::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
