//! Which machine an image is for.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use till_core::model::manifest::architecture;

/// System, processor, and kind of processor, as Go calls them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Platform {
    /// `linux`.
    #[serde(default)]
    pub os: String,
    /// `amd64`, `arm64`.
    #[serde(default)]
    pub architecture: String,
    /// `v7`.
    #[serde(default)]
    pub variant: Option<String>,
}

impl Platform {
    /// This machine's.
    pub fn host() -> Self {
        Self { os: "linux".to_owned(), architecture: architecture().to_owned(), variant: None }
    }

    /// How well an image for `other` runs here: lower is better; not at all is none.
    pub(crate) fn rank(&self, other: &Self) -> Option<u8> {
        let same = self.os == other.os && self.architecture == other.architecture;
        match (same, self.kind(), other.kind()) {
            (false, ..) => None,
            (true, ours, theirs) if ours == theirs => Some(0),
            // Who needs no certain kind says none.
            (true, _, None) => Some(1),
            _ => None,
        }
    }

    /// The kind, unless it is the one that goes without saying.
    fn kind(&self) -> Option<&str> {
        match (self.architecture.as_str(), self.variant.as_deref()) {
            ("arm64", Some("v8" | "8")) | ("amd64", Some("v1")) | ("arm", Some("v7" | "7")) | (_, Some("")) => None,
            (_, variant) => variant,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().filter(|variant| !variant.is_empty()).try_for_each(|variant| write!(f, "/{variant}"))
    }
}

/// A text that names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a platform: expected OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, e.g. linux/arm64")]
pub struct BadPlatform(pub String);

impl FromStr for Platform {
    type Err = BadPlatform;

    fn from_str(text: &str) -> Result<Self, BadPlatform> {
        let parts: Vec<_> = text.split('/').map(str::to_owned).collect();
        if parts.iter().any(String::is_empty) {
            return Err(BadPlatform(text.to_owned()));
        }
        match parts.as_slice() {
            [os, architecture] => Ok(Self { os: os.clone(), architecture: architecture.clone(), variant: None }),
            [os, architecture, variant] => {
                Ok(Self { os: os.clone(), architecture: architecture.clone(), variant: Some(variant.clone()) })
            }
            _ => Err(BadPlatform(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_that_goes_without_saying_is_none() {
        let at = |text: &str| text.parse::<Platform>().unwrap();
        for (here, image, rank) in [
            ("linux/amd64", "linux/amd64", Some(0)),
            ("linux/arm64", "linux/arm64/v8", Some(0)),
            ("linux/arm/v6", "linux/arm", Some(1)),
            ("linux/arm/v6", "linux/arm/v6", Some(0)),
            ("linux/arm/v6", "linux/arm/v7", Some(1)),
            ("linux/amd64", "linux/amd64/v3", None),
            ("linux/amd64", "linux/arm64", None),
            ("linux/amd64", "windows/amd64", None),
        ] {
            assert_eq!(at(here).rank(&at(image)), rank, "{here} {image}");
        }
        for bad in ["linux", "linux/", "a/b/c/d", ""] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
        assert_eq!(at("linux/arm/v7").to_string(), "linux/arm/v7");
    }
}
