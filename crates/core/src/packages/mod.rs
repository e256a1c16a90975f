//! Debian packages, exactly: what apt makes of a wish, and an archive that holds just those, so that what is installed from
//! it is the same whenever and wherever it is done.
//!
//! ```text
//! apt.rs      the words that apt is asked with, and what its answers say
//! archive.rs  the index of an archive of our own (Debian Repository Format), and steps that use it
//! ```
//!
//! It asks nothing and fetches nothing.

pub mod apt;
pub mod archive;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, ManifestDigest};
use crate::plan::{Bootstrap, digest_of};

/// One package, exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// E.g. `libssl3`.
    pub name: String,
    /// E.g. `3.0.17-1~deb12u2`.
    pub version: String,
    /// E.g. `amd64`, or `all`.
    pub architecture: String,
    /// Of the `.deb`.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// Where mirrors have it, from their root: `pool/…`. Not every package comes from a mirror.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Did it come from an archive for security updates? None: nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<bool>,
    /// Of a Dockerfile: which of its steps that may reach a network get it, counted from 0 in the order of the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<usize>,
}

/// The same as what goes into a plan: what is installed, and nothing of where it was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pinned {
    /// E.g. `libssl3`.
    pub name: String,
    /// E.g. `3.0.17-1~deb12u2`.
    pub version: String,
    /// E.g. `amd64`, or `all`.
    pub architecture: String,
    /// Of the `.deb`.
    pub digest: Digest,
}

impl From<&Package> for Pinned {
    fn from(package: &Package) -> Self {
        Self {
            name: package.name.clone(),
            version: package.version.clone(),
            architecture: package.architecture.clone(),
            digest: package.digest.clone(),
        }
    }
}

/// What a recipe asks for; which packages that comes to is found out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum PackageWish {
    /// A whole system.
    System(Bootstrap),
    /// Packages upon an image, by its own apt.
    Upon {
        /// The image.
        image: ManifestDigest,
        /// As apt takes them.
        names: Vec<String>,
        /// Recommended packages too.
        recommends: bool,
    },
}

/// A suite that packages came from, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// E.g. `bookworm-security`.
    pub name: String,
    /// When it was released, in its own words (the `Date` of its Release file).
    pub date: String,
}

impl PackageWish {
    /// Names the wish together with what the Release files of its suites say: the same of both come to the same packages.
    pub fn digest(&self, releases: &[String]) -> Digest {
        digest_of(&(self, releases))
    }
}

/// What a wish came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// Sorted by name.
    pub packages: Vec<Package>,
    /// Sorted by name.
    pub suites: Vec<Suite>,
}
