//! References to images in registries: `host[:port]/repository[:tag][@digest]`, the grammar of the distribution project.
//!
//! Nothing is added in silence: a name without a host is not a reference until the configuration has said which registry is
//! meant.

use std::fmt;
use std::str::FromStr;

use crate::digest::ManifestDigest;

/// The longest repository with its host, as in the distribution project.
const MAX_NAME: usize = 255;
/// The longest tag.
const MAX_TAG: usize = 128;
/// The tag that is meant where none is given.
pub const DEFAULT_TAG: &str = "latest";

/// A text that is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a reference to an image: {why}")]
pub struct BadReference {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// An image, or the place for one, in a registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The host, with its port where it has one.
    pub registry: String,
    /// The path below it.
    pub repository: String,
    /// A name that can be given to another image.
    pub tag: Option<String>,
    /// A name that cannot.
    pub digest: Option<ManifestDigest>,
}

/// A reference without its registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unqualified {
    /// The path.
    pub repository: String,
    /// See [`Reference::tag`].
    pub tag: Option<String>,
    /// See [`Reference::digest`].
    pub digest: Option<ManifestDigest>,
}

/// What people type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageName {
    /// With a registry.
    Full(Reference),
    /// Without: which one is meant has to be configured.
    Unqualified(Unqualified),
}

impl Reference {
    /// What is asked for: the digest where there is one, else the tag.
    pub fn wanted(&self) -> String {
        match &self.digest {
            Some(digest) => digest.to_string(),
            None => self.tag.as_deref().unwrap_or(DEFAULT_TAG).to_owned(),
        }
    }

    /// Another image of the same repository.
    #[must_use]
    pub fn at_digest(&self, digest: &ManifestDigest) -> Self {
        Self { tag: None, digest: Some(digest.clone()), ..self.clone() }
    }

    /// The same repository under a tag.
    #[must_use]
    pub fn at_tag(&self, tag: &str) -> Self {
        Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() }
    }
}

impl Unqualified {
    /// The image of that name in a registry; `prefix` is a host, or a host and the beginning of a path.
    pub fn at(&self, prefix: &str) -> Result<Reference, BadReference> {
        format!("{prefix}/{self}").parse()
    }
}

impl FromStr for ImageName {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let bad = |why| BadReference { text: text.to_owned(), why };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest =
                    digest.parse().map_err(|_| bad("after `@` stands sha256: and 64 lower-case hex digits"))?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        // The colon of a port is followed by a path.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(bad(
                "a tag has at most 128 of a-z, A-Z, 0-9, `_`, `.` and `-`, and begins with none of the last two",
            ));
        }
        if name.len() > MAX_NAME {
            return Err(bad("its name has more than 255 characters"));
        }
        let tag = tag.map(str::to_owned);
        let (registry, repository) = match name.split_once('/') {
            Some((first, rest)) if is_registry(first) => (Some(first), rest),
            _ => (None, name),
        };
        if registry.is_some_and(|host| !is_host(host)) {
            return Err(bad("its registry is not a host name, or has a port that is none"));
        }
        if !repository.split('/').all(is_component) {
            return Err(bad("the parts of a repository are a-z and 0-9, joined by `.`, `_`, `__` or dashes"));
        }
        let repository = repository.to_owned();
        Ok(match registry {
            Some(registry) => Self::Full(Reference { registry: registry.to_owned(), repository, tag, digest }),
            None => Self::Unqualified(Unqualified { repository, tag, digest }),
        })
    }
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        match text.parse()? {
            ImageName::Full(reference) => Ok(reference),
            ImageName::Unqualified(_) => {
                Err(BadReference { text: text.to_owned(), why: "it does not begin with a registry's host" })
            }
        }
    }
}

/// Whether the first part of a name is a host.
fn is_registry(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':'])
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            let port = match port {
                "" => None,
                port => port.strip_prefix(':').or(Some("")),
            };
            (address.parse::<std::net::Ipv6Addr>().is_ok(), port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host.split('.').all(is_label), Some(port)),
            None => (text.split('.').all(is_label), None),
        },
    };
    host && port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

fn is_label(label: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(label.chars().next())
        && edge(label.chars().next_back())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_tag(tag: &str) -> bool {
    let inside = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    (1..=MAX_TAG).contains(&tag.len()) && tag.bytes().all(inside) && !tag.starts_with(['.', '-'])
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(part: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let known = part.chars().all(|c| letter(c) || matches!(c, '.' | '_' | '-'));
    let edges = part.starts_with(letter) && part.ends_with(letter);
    let joints = part.split(letter).filter(|joint| !joint.is_empty());
    known && edges && joints.into_iter().all(|j| matches!(j, "." | "_" | "__") || j.bytes().all(|b| b == b'-'))
}

fn write_name(f: &mut fmt::Formatter<'_>, tag: Option<&str>, digest: Option<&ManifestDigest>) -> fmt::Result {
    if let Some(tag) = tag {
        write!(f, ":{tag}")?;
    }
    digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        write_name(f, self.tag.as_deref(), self.digest.as_ref())
    }
}

impl fmt::Display for Unqualified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        write_name(f, self.tag.as_deref(), self.digest.as_ref())
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(reference) => reference.fmt(f),
            Self::Unqualified(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_first_part_with_a_dot_a_colon_or_localhost_is_a_registry() {
        let pinned = format!("example.org/a@sha256:{HEX}");
        let both = format!("example.org:1/a/b:v1@sha256:{HEX}");
        for (text, registry, repository, tag) in [
            ("localhost/a", Some("localhost"), "a", None),
            ("localhost:5000/a/b:1", Some("localhost:5000"), "a/b", Some("1")),
            ("example.org/a", Some("example.org"), "a", None),
            ("Example.ORG/a", Some("Example.ORG"), "a", None),
            ("[::1]:5000/a:x", Some("[::1]:5000"), "a", Some("x")),
            ("127.0.0.1:80/a__b/c---d/e.f_g", Some("127.0.0.1:80"), "a__b/c---d/e.f_g", None),
            ("debian", None, "debian", None),
            ("debian:12", None, "debian", Some("12")),
            ("library/debian:12-slim", None, "library/debian", Some("12-slim")),
            (&pinned, Some("example.org"), "a", None),
            (&both, Some("example.org:1"), "a/b", Some("v1")),
        ] {
            let name: ImageName = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(name.to_string(), text);
            let found = match name {
                ImageName::Full(it) => (Some(it.registry), it.repository, it.tag),
                ImageName::Unqualified(it) => (None, it.repository, it.tag),
            };
            assert_eq!(found, (registry.map(str::to_owned), repository.to_owned(), tag.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let long_tag = format!("a:{}", "t".repeat(129));
        let long_name = format!("example.org/{}", "n".repeat(250));
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "a/B",
            "a:",
            "a:.x",
            "a:-x",
            "a:x y",
            "a___b",
            "a._b",
            "-a",
            "a-",
            "a@b",
            "a@sha256:12",
            "a@sha512:00",
            "example.org:x/a",
            "example.org:99999/a",
            "exa_mple.org/a",
            ".org/a",
            "[::g]/a",
            "[::1]5/a",
            "https://example.org/a",
            "example.org/a/../b",
            "example.org/a?b",
            &long_tag,
            &long_name,
        ] {
            assert!(bad.parse::<ImageName>().is_err(), "{bad}");
        }
        assert!("debian".parse::<Reference>().is_err());
    }

    #[test]
    fn a_name_gets_its_registry_from_elsewhere() {
        let ImageName::Unqualified(name) = "team/app:1".parse().unwrap() else { panic!("it has a registry") };
        assert_eq!(name.at("example.org/all").unwrap().to_string(), "example.org/all/team/app:1");
        assert!(name.at("nowhere").is_err());
    }

    #[test]
    fn the_digest_is_wanted_before_the_tag() {
        let reference: Reference = format!("example.org/a:v1@sha256:{HEX}").parse().unwrap();
        assert_eq!(reference.wanted(), format!("sha256:{HEX}"));
        assert_eq!(reference.at_tag("v2").to_string(), "example.org/a:v2");
        assert_eq!("example.org/a".parse::<Reference>().unwrap().wanted(), "latest");
    }
}
