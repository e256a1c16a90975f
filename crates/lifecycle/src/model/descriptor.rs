//! `buildpack.toml` and `order.toml`, and which buildpack is meant by an id and a version.

use std::cmp::Ordering;
use std::path::PathBuf;

use serde::Deserialize;

use super::api::Api;

/// `buildpack.toml`, as far as the phases ask for it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Descriptor {
    /// As it is written; see [`Descriptor::api`].
    #[serde(default)]
    api: String,
    /// Who it is.
    pub(crate) buildpack: About,
    /// What it runs on; none: by [`Descriptor::stacks`].
    #[serde(default)]
    pub(crate) targets: Vec<Target>,
    /// What old buildpacks have in place of targets.
    #[serde(default)]
    pub(crate) stacks: Vec<Stack>,
    /// Of a composite buildpack: the groups it stands for.
    #[serde(default)]
    pub(crate) order: Vec<OrderGroup>,
    /// Where it lies.
    #[serde(skip)]
    pub(crate) directory: PathBuf,
}

/// `[buildpack]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct About {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) homepage: String,
    #[serde(default)]
    pub(crate) clear_env: bool,
    /// Media types of the SBOM files that it may write.
    #[serde(default)]
    pub(crate) sbom_formats: Vec<String>,
    /// Execution environments; none: all.
    #[serde(default)]
    pub(crate) exec_env: Vec<String>,
}

/// `[[targets]]`: an absent field is any.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Target {
    #[serde(default)]
    pub(crate) os: String,
    #[serde(default)]
    pub(crate) arch: String,
    #[serde(default)]
    pub(crate) variant: String,
    #[serde(default)]
    pub(crate) distros: Vec<Distro>,
}

/// `[[targets.distros]]`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Distro {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) version: String,
}

/// `[[stacks]]`; mixins are not asked for.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Stack {
    pub(crate) id: String,
}

/// `order.toml`. Extensions are seen only to be refused.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct OrderFile {
    #[serde(default)]
    pub(crate) order: Vec<OrderGroup>,
    #[serde(default)]
    pub(crate) order_extensions: Vec<OrderGroup>,
}

/// `[[order]]`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct OrderGroup {
    #[serde(default)]
    pub(crate) group: Vec<Entry>,
}

/// `[[order.group]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: String,
    /// Empty: the only one there is, or the newest.
    #[serde(default)]
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) optional: bool,
}

/// Ids that are directories of the layers themselves.
const RESERVED: [&str; 4] = ["app", "config", "generated", "sbom"];

impl Descriptor {
    /// Reads the text of a `buildpack.toml` that lies in `directory`.
    pub(crate) fn parse(text: &str, directory: PathBuf) -> Result<Self, String> {
        let descriptor: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let id = &descriptor.buildpack.id;
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_');
        if id.is_empty() || !id.chars().all(good) || RESERVED.contains(&id.as_str()) || id == "." || id == ".." {
            return Err(format!("`{id}` is not an id for a buildpack"));
        }
        Ok(Self { directory, ..descriptor })
    }

    /// The API it is written for, if we speak it.
    pub(crate) fn api(&self) -> Result<Api, String> {
        Api::supported(&self.api)
    }

    /// The API as it is written.
    pub(crate) fn api_text(&self) -> &str {
        &self.api
    }

    /// `id@version`, as people read it.
    pub(crate) fn name(&self) -> String {
        format!("{}@{}", self.buildpack.id, self.buildpack.version)
    }
}

/// All buildpacks there are.
#[derive(Debug, Default)]
pub(crate) struct Catalogue(pub(crate) Vec<Descriptor>);

impl Catalogue {
    /// The buildpack of this id and version; of an empty version the newest.
    pub(crate) fn find(&self, id: &str, version: &str) -> Option<&Descriptor> {
        let of_id = self.0.iter().filter(|descriptor| descriptor.buildpack.id == id);
        match version {
            "" => of_id.max_by(|a, b| compare(&a.buildpack.version, &b.buildpack.version)),
            _ => of_id.into_iter().find(|descriptor| descriptor.buildpack.version == version),
        }
    }
}

/// By number where both parts are numbers; what has fewer parts is older.
fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let (left, right) = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left), Some(right)) => (left, right),
        };
        let order = match (left.parse::<u64>(), right.parse::<u64>()) {
            (Ok(left), Ok(right)) => left.cmp(&right),
            _ => left.cmp(right),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Descriptor, String> {
        Descriptor::parse(text, PathBuf::from("/b"))
    }

    #[test]
    fn ids_that_would_lead_elsewhere_are_refused() {
        for (id, good) in [
            ("acme/go", true),
            ("acme.go-1", true),
            ("", false),
            ("..", false),
            ("config", false),
            ("sbom", false),
            ("a b", false),
            ("a:b", false),
        ] {
            let text = format!("api = \"0.10\"\n[buildpack]\nid = \"{id}\"\nversion = \"1.0.0\"\n");
            assert_eq!(parse(&text).is_ok(), good, "{id}");
        }
    }

    #[test]
    fn without_a_version_the_newest_is_meant() {
        let text = |version| format!("api = \"0.10\"\n[buildpack]\nid = \"a\"\nversion = \"{version}\"\n");
        let all = ["1.9.0", "1.10.0", "1.2.0"].map(|version| parse(&text(version)).unwrap());
        let catalogue = Catalogue(all.into());
        for (version, found) in [("", Some("1.10.0")), ("1.2.0", Some("1.2.0")), ("2.0.0", None)] {
            assert_eq!(catalogue.find("a", version).map(|found| found.buildpack.version.as_str()), found);
        }
        assert!(catalogue.find("b", "").is_none());
    }
}
