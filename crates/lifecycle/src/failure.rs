//! What went wrong, as a sentence for people and a number for whoever started us.

use std::fmt::Display;

/// A phase that cannot go on.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The number that the specification has for it; where it has none, the phase's own.
    pub(crate) exit: Option<u8>,
    /// Lower case: the deed, its object, and why.
    pub(crate) said: String,
}

/// `CNB_PLATFORM_API` is not one of ours.
pub(crate) const PLATFORM_API: u8 = 11;
/// A buildpack's `api` is not one of ours.
pub(crate) const BUILDPACK_API: u8 = 12;
/// The command line was not understood.
pub(crate) const ARGUMENTS: u8 = 3;
/// No group passed.
pub(crate) const NONE_DETECTED: u8 = 20;
/// No group passed, and some buildpacks failed with an error.
pub(crate) const NONE_DETECTED_WITH_ERRORS: u8 = 21;
/// A buildpack's `bin/build` failed, or left behind what it must not.
pub(crate) const BUILDPACK_FAILED: u8 = 51;

impl Failure {
    /// With the phase's own number.
    pub(crate) fn new(said: impl Into<String>) -> Self {
        Self { exit: None, said: said.into() }
    }

    /// With a number of the specification.
    pub(crate) fn exit(exit: u8, said: impl Into<String>) -> Self {
        Self { exit: Some(exit), said: said.into() }
    }

    /// The same, as the doing of a buildpack.
    pub(crate) fn of_buildpack(self, name: &str) -> Self {
        Self { exit: self.exit.or(Some(BUILDPACK_FAILED)), said: format!("buildpack {name}: {}", self.said) }
    }
}

/// Names the deed that an error ended.
pub(crate) trait Doing<T> {
    /// `deed` begins in lower case and names its object: "read /cnb/order.toml".
    fn doing(self, deed: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Display> Doing<T> for Result<T, E> {
    fn doing(self, deed: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(format!("cannot {}: {}", deed(), error.to_string().trim_end())))
    }
}
