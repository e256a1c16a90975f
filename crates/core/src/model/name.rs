//! Names that people give: of bases, apps and processes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::ManifestDigest;

/// The longest name; DNS labels, from which addresses are made, are no longer.
pub const MAX_NAME: usize = 63;

/// A text that is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a name: expected at most {MAX_NAME} of a-z, 0-9, `-` and `.`, beginning and ending with a letter or digit"
)]
pub struct BadName {
    /// What was given.
    pub text: String,
}

fn is_name(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    bytes.len() <= MAX_NAME
        && edge(bytes.first().copied())
        && edge(bytes.last().copied())
        && bytes.iter().all(|b| inside(*b))
        && !text.contains("..")
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                if is_name(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(BadName { text: text.to_owned() })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type! {
    /// The name of a base.
    BaseName
}
name_type! {
    /// The name of an app: what its builds share (caches, the newest artifact).
    AppName
}

impl AppName {
    /// A name made from any text (a directory's name): what cannot stay becomes `-`.
    pub fn from_text(text: &str) -> Self {
        let mut name = String::new();
        for c in text.to_lowercase().chars() {
            let c = if c.is_ascii_alphanumeric() { c } else { '-' };
            if c != '-' || !(name.is_empty() || name.ends_with('-')) {
                name.push(c);
            }
            if name.len() == MAX_NAME {
                break;
            }
        }
        let name = name.trim_matches('-');
        Self(if name.is_empty() { "app" } else { name }.to_owned())
    }
}

/// Which version of a base is meant: `name` (the newest), `name@7`, `name@sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BaseRef {
    /// The base.
    pub name: BaseName,
    /// Which of its versions.
    pub version: Wanted,
}

/// Which version of a base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The newest there is.
    Newest,
    /// The one of that number.
    Number(u32),
    /// Exactly that image.
    Digest(ManifestDigest),
}

/// A text that does not name a base's version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBaseRef {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] BadName),
    /// What follows the `@` is neither number nor digest.
    #[error("`{0}` does not name a version of a base: expected name, name@7 or name@sha256:…")]
    Version(String),
}

impl FromStr for BaseRef {
    type Err = BadBaseRef;

    fn from_str(text: &str) -> Result<Self, BadBaseRef> {
        let (name, version) = match text.split_once('@') {
            None => (text, Wanted::Newest),
            Some((name, version)) => {
                let bad = || BadBaseRef::Version(text.to_owned());
                let wanted = if version.starts_with("sha256:") {
                    Wanted::Digest(version.parse().map_err(|_| bad())?)
                } else {
                    Wanted::Number(version.parse().map_err(|_| bad())?)
                };
                (name, wanted)
            }
        };
        Ok(Self { name: name.parse()?, version })
    }
}

impl fmt::Display for BaseRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Wanted::Newest => write!(f, "{}", self.name),
            Wanted::Number(number) => write!(f, "{}@{number}", self.name),
            Wanted::Digest(digest) => write!(f, "{}@{digest}", self.name),
        }
    }
}

impl TryFrom<String> for BaseRef {
    type Error = BadBaseRef;

    fn try_from(text: String) -> Result<Self, BadBaseRef> {
        text.parse()
    }
}

impl From<BaseRef> for String {
    fn from(base: BaseRef) -> Self {
        base.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels_with_dots() {
        for good in ["python", "python-3.12", "a", "0"] {
            assert!(good.parse::<BaseName>().is_ok(), "{good}");
        }
        let long = "x".repeat(64);
        for bad in ["", "-x", "x-", "X", "a b", "a/b", "..", "a..b", "$(x)", "a\n", &long] {
            assert!(bad.parse::<BaseName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn any_directory_gives_an_app_name() {
        for (text, name) in [
            ("My App", "my-app"),
            ("größe", "gr-e"),
            ("日本", "app"),
            ("..", "app"),
            (&"n".repeat(200), &"n".repeat(63)),
        ] {
            assert_eq!(AppName::from_text(text).as_str(), name);
            assert!(is_name(name));
        }
    }

    #[test]
    fn a_base_ref_is_name_number_or_digest() {
        let digest = format!("python@sha256:{}", "0".repeat(64));
        for good in ["python", "python@7", &digest] {
            assert_eq!(good.parse::<BaseRef>().unwrap().to_string(), good);
        }
        for bad in ["python@", "python@x", "python@-1", "@7", "Python", "python@sha256:0"] {
            assert!(bad.parse::<BaseRef>().is_err(), "{bad}");
        }
    }
}
