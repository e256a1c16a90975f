//! Which distribution an image is of: `os-release`, or that nobody knows.

use serde::{Deserialize, Serialize};

use super::{Content, Found, Interest, line};

/// The distribution of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// It says so itself.
    Known {
        /// E.g. `debian`.
        id: String,
        /// E.g. `12`; a rolling one has none.
        version_id: Option<String>,
        /// E.g. `bookworm`.
        codename: Option<String>,
        /// For people.
        pretty: Option<String>,
    },
    /// It does not say.
    Unknown {
        /// What was looked at.
        evidence: String,
    },
}

impl Distribution {
    /// For people; `unknown` when it is not known.
    pub fn describe(&self) -> String {
        match self {
            Self::Known { pretty: Some(pretty), .. } => pretty.clone(),
            Self::Known { id, version_id: Some(version), .. } => format!("{id} {version}"),
            Self::Known { id, .. } => id.clone(),
            Self::Unknown { evidence } => format!("unknown ({evidence})"),
        }
    }
}

/// Reads an `os-release`.
pub(super) fn read(content: &dyn Content) -> Found {
    let Some(text) = content.text(Interest::OsRelease.limit()) else {
        return Found::unreadable("it is too long for an os-release");
    };
    let value = |key: &str| {
        text.lines().rev().find_map(|line| {
            let (name, value) = line.trim().split_once('=')?;
            (name == key).then(|| unquoted(value))
        })
    };
    let id = value("ID").and_then(|id| line(&id)).filter(|id| is_id(id));
    let distribution = match id {
        Some(id) => Distribution::Known {
            id,
            version_id: value("VERSION_ID").and_then(|text| line(&text)),
            codename: value("VERSION_CODENAME").and_then(|text| line(&text)),
            pretty: value("PRETTY_NAME").and_then(|text| line(&text)),
        },
        None => Distribution::Unknown { evidence: "its os-release has no ID".to_owned() },
    };
    Found { distribution: Some(distribution), ..Found::default() }
}

/// As os-release(5) wants ids to be.
fn is_id(id: &str) -> bool {
    id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'))
}

/// A shell word as os-release has them: quoted or not, with backslashes.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    let inner = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(value);
    let mut text = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        text.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(text: &str) -> Distribution {
        read(&text.as_bytes()).distribution.unwrap()
    }

    #[test]
    fn an_os_release_names_the_distribution() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n# comment\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        let Distribution::Known { id, version_id, codename, .. } = distribution(debian) else { panic!("unknown") };
        assert_eq!((id.as_str(), version_id.as_deref(), codename.as_deref()), ("debian", Some("12"), Some("bookworm")));
        assert_eq!(distribution(debian).describe(), "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(distribution("ID='arch'\n").describe(), "arch");
        assert_eq!(distribution("ID=x\nPRETTY_NAME=\"A \\\"B\\\"\"\n").describe(), "A \"B\"");
    }

    #[test]
    fn one_without_an_id_is_unknown() {
        for text in ["", "ID=\n", "NAME=x\n", "ID=a b\n", "ID=../x\n", "\0\0"] {
            assert!(matches!(distribution(text), Distribution::Unknown { .. }), "{text}");
        }
    }
}
