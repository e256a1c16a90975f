//! Inventory: which packages are in an image, read from the bytes of its files; nothing of the image is run.
//!
//! Bytes in, packages out. Who unpacks layers asks [`Interest::of`] which files are wanted, gives their content to [`read`],
//! and lays the results over each other in a [`View`]. Whatever an image holds, reading it neither fails nor panics: what
//! cannot be read is a [`Finding`], so that "not readable" is never taken for "no packages".
//!
//! ```text
//! content.rs   bytes that are read here and there, in memory or on disk
//! interest.rs  which files say something
//! files.rs     what a layer adds and removes
//! view.rs      layers over each other
//! debian.rs    dpkg            alpine.rs  apk          rpm/   three databases, one header
//! python.rs    dist-info       node.rs    npm          jar/   Maven
//! elf/         Go's build info, cargo-auditable
//! purl.rs      one name for a package of any kind
//! diff.rs      what differs between two images
//! cyclonedx.rs, spdx.rs        the documents
//! ```

mod alpine;
mod content;
pub mod cyclonedx;
mod debian;
pub mod diff;
mod distribution;
mod elf;
mod files;
mod interest;
mod jar;
mod node;
mod purl;
mod python;
mod rpm;
pub mod spdx;
mod view;

use std::ops::Deref;

use serde::{Deserialize, Serialize};

pub use content::Content;
pub use distribution::Distribution;
pub use files::{FileEntry, FileKind, LayerFiles};
pub use interest::Interest;
pub use view::{LayerScan, View};

use crate::digest::{DiffId, ManifestDigest};

/// The most packages that one file may name: beyond it, somebody wants to fill our memory.
const MAX_PACKAGES: usize = 200_000;
/// The longest name, version or licence that is believed.
const MAX_TEXT: usize = 1024;

/// Where a package comes from; the names are the types of package URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ecosystem {
    /// Debian and its children.
    Deb,
    /// Alpine.
    Apk,
    /// Fedora, SUSE and their kin.
    Rpm,
    /// Python.
    Pypi,
    /// Node.js.
    Npm,
    /// Java.
    Maven,
    /// Go.
    Golang,
    /// Rust.
    Cargo,
}

impl Ecosystem {
    /// The type in package URLs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Apk => "apk",
            Self::Rpm => "rpm",
            Self::Pypi => "pypi",
            Self::Npm => "npm",
            Self::Maven => "maven",
            Self::Golang => "golang",
            Self::Cargo => "cargo",
        }
    }
}

/// What a package was built from, as its distribution calls it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourcePackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A package as a file of the image names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Record {
    /// Where it comes from.
    pub ecosystem: Ecosystem,
    /// Its whole name: `curl`, `@scope/name`, `group:artifact`, `example.com/module`.
    pub name: String,
    /// Its version, with epoch and release.
    pub version: String,
    /// What it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePackage>,
    /// For which processor, as its ecosystem says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// What it says of its licence: not always an SPDX expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Where inside the file, for archives in archives: `WEB-INF/lib/a.jar`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
}

impl Record {
    /// A package of which no more is known; none without a name and a version, or with one that is no line of text.
    fn new(ecosystem: Ecosystem, name: &str, version: &str) -> Option<Self> {
        let (name, version) = (line(name)?, line(version)?);
        Some(Self { ecosystem, name, version, source: None, arch: None, licence: None, inside: None })
    }
}

/// A text that fits on a line and has something on it.
fn line(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.len() <= MAX_TEXT && !text.contains(char::is_control);
    fits.then(|| text.to_owned())
}

/// A package of an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// What its file says.
    #[serde(flatten)]
    pub record: Record,
    /// The file that says so; `!/` leads into an archive.
    pub path: String,
    /// The layer that brought it.
    pub layer: DiffId,
}

impl Deref for Package {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

/// Something that was found, but not understood: the inventory is not complete.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// Where; empty for the image as a whole.
    pub path: String,
    /// What is wrong there.
    pub what: String,
}

/// What one file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Packages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Record>,
    /// The distribution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// It is a distribution's database of packages.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub database: bool,
    /// What could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

impl Found {
    /// Whether the file says nothing at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn packages(packages: impl IntoIterator<Item = Record>) -> Self {
        let mut found = Self { packages: packages.into_iter().take(MAX_PACKAGES + 1).collect(), ..Self::default() };
        if found.packages.len() > MAX_PACKAGES {
            found.packages.truncate(MAX_PACKAGES);
            found.findings.push(format!("more than {MAX_PACKAGES} packages are named; the rest is left out"));
        }
        found
    }

    fn database(packages: impl IntoIterator<Item = Record>) -> Self {
        Self { database: true, ..Self::packages(packages) }
    }

    /// A database of paragraphs. Those that are damaged are counted: what they stood for is missing.
    fn paragraphs(paragraphs: impl Iterator<Item = Paragraph>) -> Self {
        let (mut all, mut damaged) = (0_u64, 0_u64);
        let packages = paragraphs.filter_map(|paragraph| {
            all += u64::from(!matches!(paragraph, Paragraph::Blank));
            match paragraph {
                Paragraph::Package(record) => return Some(record),
                Paragraph::Damaged => damaged += 1,
                Paragraph::Gone | Paragraph::Blank => {}
            }
            None
        });
        let mut found = Self::database(packages);
        if damaged > 0 {
            found.findings.push(format!("{damaged} of {all} paragraphs of the database are not understood"));
        }
        found
    }

    /// Something that could not be read.
    pub fn unreadable(what: impl Into<String>) -> Self {
        Self { findings: vec![what.into()], ..Self::default() }
    }
}

/// What a paragraph of a database is.
enum Paragraph {
    Blank,
    Package(Record),
    /// A package that was removed.
    Gone,
    Damaged,
}

/// What the content of a file says that was found interesting.
pub fn read(interest: Interest, path: &str, content: &dyn Content) -> Found {
    match interest {
        Interest::OsRelease => distribution::read(content),
        Interest::Dpkg => debian::read(content),
        Interest::Apk => alpine::read(content),
        Interest::RpmSqlite => rpm::read_sqlite(content),
        Interest::RpmNdb => rpm::read_ndb(content),
        Interest::RpmBerkeley => rpm::found_berkeley(content),
        Interest::RpmLog => rpm::found_log(content),
        Interest::Python => python::read(content),
        Interest::Node => node::read(content),
        Interest::Maven => jar::read_pom(content),
        Interest::Jar => jar::read(path, content),
        Interest::Elf => elf::read(content),
    }
}

/// All that is known of what is in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The distribution, or why it is not known.
    pub distribution: Distribution,
    /// Sorted.
    pub packages: Vec<Package>,
    /// What could not be read; empty: nothing that we know of.
    pub incomplete: Vec<Finding>,
}

/// What a document is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The app, or the base with its version.
    pub name: String,
    /// Its image.
    pub digest: ManifestDigest,
    /// When it was made, as RFC 3339 in UTC.
    pub created: String,
    /// The version of Tillage that took the inventory.
    pub tool: String,
}
