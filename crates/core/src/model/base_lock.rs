//! `base.lock`: what a base was made of, exactly (docs/reference/base-lock.md). Written beside the recipe when the base is
//! made, and followed with `--locked`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::name::BaseName;
use crate::digest::{Digest, ManifestDigest, PlanDigest};
use crate::fault::{Blame, Fault};
use crate::packages::{Package, Suite};
use crate::words::explain_toml;

/// The file's name, in the base's folder.
pub const FILE: &str = "base.lock";
/// The media type of the same as a document about an image.
pub const MEDIA_TYPE: &str = "application/vnd.tillage.base.lock.v1+toml";
/// The media type of a base's folder, as far as its recipe reads it, as a document about an image.
pub const RECIPE_MEDIA_TYPE: &str = "application/vnd.tillage.base.recipe.v1.tar";

/// The version of this structure.
const VERSION: u32 = 1;
const HEAD: &str =
    "# What the base beside it was made of. Written by `till base build`; followed by `till base build --locked`.\n";

/// What a base was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseLock {
    /// Of this structure: 1.
    pub version: u32,
    /// The base.
    pub name: BaseName,
    /// What came of it.
    pub digest: ManifestDigest,
    /// The plan that was followed.
    pub plan: PlanDigest,
    /// The base below, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<LockedImage>,
    /// The images that its Dockerfile names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image: Vec<LockedImage>,
    /// The files of the web that its Dockerfile names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remote: Vec<LockedRemote>,
    /// The suites that packages came from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suite: Vec<Suite>,
    /// The packages that were installed by its recipe; those of the base below are in that one's lock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub package: Vec<Package>,
    /// The kernel of its disks, which is not in its image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Package>,
}

/// An image by its name at that time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedImage {
    /// As the recipe calls it.
    pub name: String,
    /// Which it was.
    pub digest: ManifestDigest,
}

/// A file of the web.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedRemote {
    /// Its address.
    pub url: String,
    /// Of its bytes.
    pub digest: Digest,
    /// What its server called it, if anything.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Seconds since 1970, as its server said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<u64>,
}

/// A `base.lock` that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBaseLock {
    /// Not TOML, or not of this shape; the text names line and column.
    #[error("cannot read the base.lock:\n{0}")]
    Shape(String),
    /// Written by another version.
    #[error("the base.lock has version {0}; this till knows version {VERSION}")]
    Version(u32),
    /// Of another base.
    #[error("the base.lock is of the base `{found}`, not of `{wanted}`")]
    Alien {
        /// Whose it is.
        found: BaseName,
        /// Whose it should be.
        wanted: BaseName,
    },
}

impl Blame for BadBaseLock {
    fn fault(&self) -> Fault {
        Fault::Base
    }

    fn hint(&self) -> Option<String> {
        Some("remove it, and `till base build` without --locked writes a new one".to_owned())
    }
}

/// A package that differs between two locks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// Its name; with the architecture where a base has several of that name.
    pub package: String,
    /// What it was; none: it was not there.
    pub from: Option<String>,
    /// What it is; none: it is not there any more.
    pub to: Option<String>,
    /// Is what it is now from an archive for security updates? None: nobody knows, or it is gone.
    pub security: Option<bool>,
}

impl BaseLock {
    /// What was made of what.
    pub fn new(name: BaseName, digest: ManifestDigest, plan: PlanDigest) -> Self {
        Self {
            version: VERSION,
            name,
            digest,
            plan,
            from: None,
            image: Vec::new(),
            remote: Vec::new(),
            suite: Vec::new(),
            package: Vec::new(),
            kernel: None,
        }
    }

    /// Reads the text of the lock of this base.
    pub fn parse(text: &str, wanted: &BaseName) -> Result<Self, BadBaseLock> {
        let table: toml::Table = toml::from_str(text).map_err(|error| BadBaseLock::Shape(explain_toml(&error)))?;
        let version = table.get("version").and_then(toml::Value::as_integer).and_then(|it| u32::try_from(it).ok());
        if let Some(version) = version.filter(|version| *version != VERSION) {
            return Err(BadBaseLock::Version(version));
        }
        let lock: Self = toml::from_str(text).map_err(|error| BadBaseLock::Shape(explain_toml(&error)))?;
        match lock.name == *wanted {
            true => Ok(lock),
            false => Err(BadBaseLock::Alien { found: lock.name, wanted: wanted.clone() }),
        }
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        // Strings, numbers, lists of tables: nothing in it can fail to be written.
        format!("{HEAD}{}", toml::to_string(self).expect("a lock is plain data"))
    }

    /// The packages that differ from those of an older lock, sorted.
    pub fn changes_since(&self, older: &Self) -> Vec<PackageChange> {
        let (before, after) = (versions(older), versions(self));
        let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let change = |name: &String| {
            let (from, to) = (before.get(name), after.get(name));
            let version = |package: Option<&&Package>| package.map(|package| package.version.clone());
            let same = from.zip(to).is_some_and(|(from, to)| from.version == to.version && from.digest == to.digest);
            (!same).then(|| PackageChange {
                package: name.clone(),
                from: version(from),
                to: version(to),
                security: to.and_then(|package| package.security),
            })
        };
        names.into_iter().filter_map(change).collect()
    }
}

/// Packages by name, and by name and architecture where a name is there more than once.
fn versions(lock: &BaseLock) -> BTreeMap<String, &Package> {
    let several = |name: &str| lock.package.iter().filter(|package| package.name == name).count() > 1;
    let key = |package: &Package| match several(&package.name) {
        true => format!("{}:{}", package.name, package.architecture),
        false => package.name.clone(),
    };
    let kernel = lock.kernel.iter().map(|kernel| ("the kernel of its disks".to_owned(), kernel));
    lock.package.iter().map(|package| (key(package), package)).chain(kernel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(packages: &[(&str, &str, &str, Option<bool>)]) -> BaseLock {
        let digest = Digest::of(b"x");
        let mut lock =
            BaseLock::new("debian".parse().unwrap(), ManifestDigest(digest.clone()), PlanDigest(digest.clone()));
        let package = |(name, version, architecture, security): &(&str, &str, &str, Option<bool>)| Package {
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            architecture: (*architecture).to_owned(),
            digest: Digest::of(version.as_bytes()),
            size: 7,
            path: Some(format!("pool/{name}.deb")),
            security: *security,
            steps: Vec::new(),
        };
        lock.package = packages.iter().map(package).collect();
        lock
    }

    #[test]
    fn what_is_written_is_read() {
        let mut lock = lock(&[("a", "1", "all", Some(true)), ("b", "1:2", "amd64", None)]);
        lock.from = Some(LockedImage { name: "below".to_owned(), digest: ManifestDigest(Digest::of(b"below")) });
        lock.suite = vec![Suite { name: "bookworm".to_owned(), date: "Sat, 09 May 2026 10:00:00 UTC".to_owned() }];
        let remote = LockedRemote {
            url: "https://example.org/x".to_owned(),
            digest: Digest::of(b"r"),
            name: String::new(),
            time: Some(1),
        };
        lock.remote = vec![remote];
        let text = lock.text();
        assert_eq!(BaseLock::parse(&text, &lock.name), Ok(lock.clone()));
        assert_eq!(BaseLock::parse(&text, &lock.name).unwrap().text(), text);
    }

    #[test]
    fn a_lock_that_cannot_be_followed_is_refused_with_the_reason() {
        let name: BaseName = "debian".parse().unwrap();
        let text = lock(&[]).text();
        for (text, said) in [
            ("version = ".to_owned(), "line 1"),
            (text.replace("version = 1", "version = 9"), "has version 9"),
            (text.replace("\"debian\"", "\"python\""), "is of the base `python`"),
            (text.replace("sha256:", "md5:"), "is not a digest"),
            (format!("{text}colour = 1\n"), "colour"),
        ] {
            let error = BaseLock::parse(&text, &name).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn what_changed_is_told_with_versions_and_whether_it_is_for_security() {
        let before = lock(&[("a", "1", "all", None), ("b", "1", "all", None), ("c", "1", "amd64", None)]);
        let after = lock(&[
            ("a", "1", "all", None),
            ("b", "2", "all", Some(true)),
            ("c", "1", "amd64", None),
            ("c", "1", "i386", Some(false)),
        ]);
        let change = |package: &str, from: Option<&str>, to: Option<&str>, security| PackageChange {
            package: package.to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            security,
        };
        assert_eq!(
            after.changes_since(&before),
            [
                change("b", Some("1"), Some("2"), Some(true)),
                change("c", Some("1"), None, None),
                change("c:amd64", None, Some("1"), None),
                change("c:i386", None, Some("1"), Some(false)),
            ]
        );
        assert_eq!(after.changes_since(&after), []);
    }
}
