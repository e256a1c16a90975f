//! `metadata/manifest.yml`: what a cartridge says of itself.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::endpoint::{self, Endpoint};
use super::yaml::{self, Choices, Listed, Texts};

/// Where it lies in a cartridge.
pub(super) const FILE: &str = "metadata/manifest.yml";

/// Names that have a place of their own in a gear.
const RESERVED: [&str; 3] = ["app-root", "git", "app-deployments"];

/// The categories that say what a cartridge is to the platform; others are free.
const SYSTEM: [&str; 8] =
    ["web_framework", "web_proxy", "service", "embedded", "plugin", "ci_builder", "external", "domain_scope"];

/// The longest name.
const LONGEST: usize = 32;

/// The keys that matter here. A version's overrides are another of these.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct File {
    #[serde(rename = "Name")]
    name: Option<String>,
    #[serde(rename = "Cartridge-Short-Name")]
    short_name: Option<String>,
    #[serde(rename = "Version")]
    version: Option<String>,
    #[serde(rename = "Versions")]
    versions: Option<Vec<String>>,
    #[serde(rename = "Version-Overrides")]
    overrides: Option<BTreeMap<String, Option<File>>>,
    #[serde(rename = "Cartridge-Version")]
    cartridge_version: Option<String>,
    #[serde(rename = "Cartridge-Vendor")]
    vendor: Option<String>,
    #[serde(rename = "Categories")]
    categories: Option<Texts>,
    #[serde(rename = "Provides")]
    provides: Option<Texts>,
    #[serde(rename = "Requires")]
    requires: Option<Choices>,
    #[serde(rename = "Conflicts")]
    conflicts: Option<Texts>,
    #[serde(rename = "Configure-Order")]
    configure_order: Option<Choices>,
    #[serde(rename = "Publishes")]
    publishes: Option<BTreeMap<String, Option<EventFile>>>,
    #[serde(rename = "Subscribes")]
    subscribes: Option<BTreeMap<String, Option<EventFile>>>,
    #[serde(rename = "Endpoints")]
    endpoints: Option<Listed<endpoint::File>>,
    #[serde(rename = "Platform")]
    platform: Option<String>,
    #[serde(rename = "Source-Url")]
    source_url: Option<String>,
    #[serde(rename = "Source-Md5")]
    source_md5: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct EventFile {
    #[serde(rename = "Type")]
    kind: Option<String>,
    #[serde(rename = "Required")]
    required: Option<String>,
}

/// Something that cartridges tell each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// The hook.
    pub(super) name: String,
    /// `ENV:NET_TCP:db:connection-info`.
    pub(super) kind: String,
    /// Is it of no use when nobody publishes it?
    pub(super) required: bool,
}

/// A manifest, at one version of the software.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) name: String,
    /// In capitals.
    pub(super) short_name: String,
    /// Of the software.
    pub(super) version: String,
    pub(super) cartridge_version: String,
    pub(super) vendor: String,
    pub(super) categories: Vec<String>,
    pub(super) provides: Vec<String>,
    /// Of each any.
    pub(super) requires: Vec<Vec<String>>,
    pub(super) conflicts: Vec<String>,
    /// Each place is for any of its features.
    pub(super) configure_order: Vec<Vec<String>>,
    pub(super) publishes: Vec<Event>,
    pub(super) subscribes: Vec<Event>,
    pub(super) endpoints: Vec<Endpoint>,
}

impl Manifest {
    /// Where it is in the gear's home.
    pub(super) fn directory(&self) -> String {
        self.name.to_lowercase()
    }

    /// What names it all over.
    pub(super) fn ident(&self) -> String {
        format!("{}:{}:{}:{}", self.vendor, self.name, self.version, self.cartridge_version)
    }

    pub(super) fn is(&self, category: &str) -> bool {
        self.categories.iter().any(|known| known == category)
    }

    /// Does it provide a feature?
    pub(super) fn offers(&self, feature: &str) -> bool {
        let versioned = format!("{}-{}", self.name, self.version);
        let feature = feature.strip_prefix(&format!("{}-", self.vendor)).unwrap_or(feature);
        feature == self.name || feature == versioned || self.provides.iter().any(|known| known == feature)
    }
}

/// A manifest at none of its versions yet.
#[derive(Debug, Clone)]
pub(super) struct Described {
    file: File,
    /// The name.
    pub(super) name: String,
    vendor: String,
}

/// Why a manifest is none, or has not what is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    /// What is wrong.
    pub(super) what: String,
    /// What to do.
    pub(super) hint: Option<String>,
}

impl From<String> for Flaw {
    fn from(what: String) -> Self {
        Self { what, hint: None }
    }
}

/// Reads the text of a manifest.
pub(super) fn parse(text: &str) -> Result<Described, Flaw> {
    let file = yaml::read::<File>(text)?.ok_or_else(|| "it is empty".to_owned())?;
    let name = file.name.clone().unwrap_or_default();
    let missing = [("Name", &file.name), ("Cartridge-Short-Name", &file.short_name), ("Version", &file.version)];
    let mut missing: Vec<_> = missing
        .into_iter()
        .filter(|(_, value)| value.as_deref().is_none_or(|text| text.trim().is_empty()))
        .map(|(key, _)| key)
        .collect();
    if file.categories.as_ref().is_none_or(|categories| categories.0.is_empty()) {
        missing.push("Categories");
    }
    if !missing.is_empty() {
        let what = format!("it has no {}", missing.join(", no "));
        return Err(Flaw {
            what,
            hint: Some("Name, Cartridge-Short-Name, Version and Categories are required".into()),
        });
    }
    check_name(&name)?;
    let vendor = file.vendor.clone().unwrap_or_else(|| "redhat".to_owned());
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if vendor.len() > LONGEST || !vendor.bytes().all(plain) {
        return Err(format!(
            "its Cartridge-Vendor `{vendor}` is none: lower-case letters, digits and `_` are, 32 at most"
        )
        .into());
    }
    Ok(Described { file, name, vendor })
}

fn check_name(name: &str) -> Result<(), Flaw> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let inside = |b: u8| plain(b) || b"-._".contains(&b);
    let ends = |b: Option<&u8>| b.is_some_and(|b| plain(*b));
    let bytes = name.as_bytes();
    let good = ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(|b| inside(*b)) && bytes.len() <= LONGEST;
    if !good {
        let what = format!(
            "its Name `{name}` is none: lower-case letters, digits, and `-`, `.`, `_` between them are, 32 at most"
        );
        return Err(what.into());
    }
    if RESERVED.contains(&name) {
        return Err(format!("its Name `{name}` is reserved: a gear has a directory of that name").into());
    }
    Ok(())
}

/// Does a wanted text mean this cartridge, and which version of it?
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meant {
    /// No.
    Not,
    /// Yes, with its usual version.
    Usual,
    /// Yes, with that one, which may not exist.
    At(String),
}

impl Described {
    /// Software versions that there are, the usual one first.
    pub(super) fn versions(&self) -> Vec<&str> {
        let usual = self.file.version.as_deref().unwrap_or_default();
        let others = self.file.versions.iter().flatten().map(String::as_str);
        std::iter::once(usual).chain(others.filter(|version| *version != usual)).collect()
    }

    /// Where its code is, for a manifest that stands alone.
    pub(super) fn source(&self) -> Option<(&str, Option<&str>)> {
        Some((self.file.source_url.as_deref()?, self.file.source_md5.as_deref()))
    }

    /// Reads `mock`, `mock-0.1`, `redhat-mock-0.1`.
    pub(super) fn meant(&self, text: &str) -> Meant {
        let vendor = text.strip_prefix(&self.vendor).and_then(|rest| rest.strip_prefix('-'));
        let mut looks_like = Meant::Not;
        for text in std::iter::once(text).chain(vendor) {
            match text.strip_prefix(&self.name) {
                Some("") => return Meant::Usual,
                Some(rest) => match rest.strip_prefix('-') {
                    Some(version) if self.versions().contains(&version) => return Meant::At(version.to_owned()),
                    // `mock-plugin` is no version of `mock`.
                    Some(version) if version.starts_with(|c: char| c.is_ascii_digit()) => {
                        looks_like = Meant::At(version.to_owned());
                    }
                    _ => {}
                },
                None => {}
            }
        }
        looks_like
    }

    /// Might it provide a feature at any of its versions? At which, the usual one first.
    pub(super) fn providing(&self, feature: &str) -> Option<String> {
        self.versions()
            .into_iter()
            .find(|version| self.at(Some(version)).is_ok_and(|at| at.offers(feature)))
            .map(str::to_owned)
    }

    /// The manifest at a version, or at its usual one.
    pub(super) fn at(&self, version: Option<&str>) -> Result<Manifest, Flaw> {
        let versions = self.versions();
        let version = version.unwrap_or(versions[0]);
        if !versions.contains(&version) {
            let what = format!("there is no version {version} of it");
            return Err(Flaw { what, hint: Some(format!("its versions are {}", versions.join(", "))) });
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+~-".contains(&b);
        if version.is_empty() || !version.bytes().all(plain) {
            return Err(format!("its Version `{version}` is none").into());
        }
        let overrides = self.file.overrides.iter().flatten().find(|(key, _)| *key == version);
        let file = match overrides.and_then(|(_, file)| file.as_ref()) {
            Some(over) => over.over(&self.file),
            None => self.file.clone(),
        };
        file.build(&self.name, &self.vendor, version)
    }
}

impl File {
    /// Whole keys in place of those of `below`.
    fn over(&self, below: &Self) -> Self {
        let (top, low) = (self.clone(), below.clone());
        Self {
            name: low.name,
            short_name: top.short_name.or(low.short_name),
            version: low.version,
            versions: low.versions,
            overrides: None,
            cartridge_version: top.cartridge_version.or(low.cartridge_version),
            vendor: low.vendor,
            categories: top.categories.or(low.categories),
            provides: top.provides.or(low.provides),
            requires: top.requires.or(low.requires),
            conflicts: top.conflicts.or(low.conflicts),
            configure_order: top.configure_order.or(low.configure_order),
            publishes: top.publishes.or(low.publishes),
            subscribes: top.subscribes.or(low.subscribes),
            endpoints: top.endpoints.or(low.endpoints),
            platform: top.platform.or(low.platform),
            source_url: top.source_url.or(low.source_url),
            source_md5: top.source_md5.or(low.source_md5),
        }
    }

    fn build(self, name: &str, vendor: &str, version: &str) -> Result<Manifest, Flaw> {
        let short_name = self.short_name.unwrap_or_default().to_uppercase();
        let plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        if short_name.is_empty() || !short_name.bytes().all(plain) {
            let what = format!("its Cartridge-Short-Name `{short_name}` is no part of a variable's name");
            return Err(Flaw { what, hint: Some("letters, digits and `_` are".to_owned()) });
        }
        let categories = self.categories.unwrap_or_default().0;
        if !categories.iter().any(|category| SYSTEM.contains(&category.as_str())) {
            let what = format!("its Categories say not what it is: {}", categories.join(", "));
            return Err(Flaw { what, hint: Some(format!("one of them is needed: {}", SYSTEM.join(", "))) });
        }
        for (category, why) in [
            ("web_proxy", "there is one gear for each app, and nothing to balance"),
            ("ci_builder", "what builds is `till build`"),
            ("external", "it has nothing that could be put into an image"),
        ] {
            if categories.iter().any(|known| known == category) {
                return Err(format!("cartridges of the category {category} are not supported: {why}").into());
            }
        }
        if self.platform.as_deref().is_some_and(|platform| !platform.eq_ignore_ascii_case("linux")) {
            return Err(
                format!("it is for the platform {}, and gears are Linux", self.platform.unwrap_or_default()).into()
            );
        }
        Ok(Manifest {
            name: name.to_owned(),
            version: version.to_owned(),
            cartridge_version: self.cartridge_version.unwrap_or_else(|| "0.0.1".to_owned()),
            vendor: vendor.to_owned(),
            categories,
            provides: self.provides.unwrap_or_default().0,
            requires: self.requires.unwrap_or_default().0,
            conflicts: self.conflicts.unwrap_or_default().0,
            configure_order: self.configure_order.unwrap_or_default().0,
            publishes: events("Publishes", self.publishes)?,
            subscribes: events("Subscribes", self.subscribes)?,
            endpoints: endpoint::read(self.endpoints.unwrap_or_default().0)?,
            short_name,
        })
    }
}

fn events(key: &str, events: Option<BTreeMap<String, Option<EventFile>>>) -> Result<Vec<Event>, Flaw> {
    let event = |(name, event): (String, Option<EventFile>)| {
        let event = event.unwrap_or_default();
        // It is the name of a script.
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return Err(format!("its {key} has an event `{name}`, which is no name of a hook").into());
        }
        let kind = event.kind.filter(|kind| !kind.is_empty() && !kind.contains(['\n', '\0']));
        let kind = kind.ok_or_else(|| format!("its {key} says no Type of the event `{name}`"))?;
        Ok(Event { name, kind, required: event.required.is_some_and(|text| text == "true") })
    };
    events.unwrap_or_default().into_iter().map(event).collect()
}
