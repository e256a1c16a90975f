//! Versions of the buildpack API, and which of them we speak.

use std::fmt;

/// `0.10` as (0, 10): compared by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Api(u32, u32);

impl Api {
    /// The oldest that we take.
    const OLDEST: Self = Self(0, 7);
    /// The newest that we know.
    const NEWEST: Self = Self(0, 12);
    /// From here on buildpacks learn their paths by environment variables.
    pub(crate) const PATHS: Self = Self(0, 8);
    /// From here on a command is a list, is run without a shell, and user's arguments replace its own.
    pub(crate) const LISTS: Self = Self(0, 9);
    /// From here on buildpacks learn the target by environment variables.
    pub(crate) const TARGETS: Self = Self(0, 10);
    /// From here on there are execution environments.
    pub(crate) const EXEC_ENVS: Self = Self(0, 12);

    /// Reads `MAJOR.MINOR`, and says whether we speak it.
    pub(crate) fn supported(text: &str) -> Result<Self, String> {
        match Self::parse(text) {
            Some(api) if (Self::OLDEST..=Self::NEWEST).contains(&api) => Ok(api),
            Some(_) => Err(format!("buildpack API {text} is not supported: {} to {} are", Self::OLDEST, Self::NEWEST)),
            None => Err(format!("buildpack API `{text}` is not a version such as {}", Self::NEWEST)),
        }
    }

    /// Whether a platform API is one whose files and variables are as ours.
    pub(crate) fn is_platform(text: &str) -> bool {
        Self::parse(text).is_some_and(|api| (Self(0, 7)..=Self(0, 15)).contains(&api))
    }

    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
        Some(Self(number(major)?, number(minor)?))
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for (text, good) in [
            ("0.7", true),
            ("0.9", true),
            ("0.10", true),
            ("0.12", true),
            ("0.6", false),
            ("0.13", false),
            ("1", false),
            ("", false),
            ("0.x", false),
            ("0.+9", false),
        ] {
            assert_eq!(Api::supported(text).is_ok(), good, "{text}");
        }
        assert!(Api::supported("0.9").unwrap() < Api::TARGETS);
        assert!(Api::supported("0.13").unwrap_err().contains("0.7 to 0.12"));
        assert!(Api::is_platform("0.13") && !Api::is_platform("0.99"));
    }
}
