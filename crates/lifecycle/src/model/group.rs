//! What detection leaves for the other phases: `group.toml`, `plan.toml`; and the plans of single buildpacks.

use serde::{Deserialize, Serialize};

/// `group.toml`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Group {
    #[serde(default)]
    pub(crate) group: Vec<Member>,
}

/// A buildpack that takes part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) api: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) homepage: String,
}

impl Member {
    /// `id@version`, as people read it.
    pub(crate) fn name(&self) -> String {
        format!("{}@{}", self.id, self.version)
    }
}

/// `plan.toml`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    #[serde(default)]
    pub(crate) entries: Vec<PlanEntry>,
}

/// Who provides something, and what was asked of it. All of `requires` have one name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PlanEntry {
    #[serde(default)]
    pub(crate) providers: Vec<Provider>,
    #[serde(default)]
    pub(crate) requires: Vec<Require>,
}

/// A buildpack that provides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Provider {
    pub(crate) id: String,
    pub(crate) version: String,
}

/// `[[requires]]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RequireText")]
pub(crate) struct Require {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub(crate) metadata: toml::Table,
}

/// `[[requires]]` as it may be written: since Buildpack API 0.3 the version is a metadatum, but the old key is understood.
#[derive(Debug, Deserialize)]
struct RequireText {
    name: String,
    version: Option<String>,
    #[serde(default)]
    metadata: toml::Table,
}

impl TryFrom<RequireText> for Require {
    type Error = String;

    fn try_from(RequireText { name, version, mut metadata }: RequireText) -> Result<Self, String> {
        if let Some(version) = version.filter(|version| !version.is_empty()) {
            if metadata.contains_key("version") {
                return Err(format!("`{name}` has `version` and `metadata.version`: only the latter should be there"));
            }
            metadata.insert("version".to_owned(), version.into());
        }
        Ok(Self { name, metadata })
    }
}

/// The build plan that `bin/detect` writes.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct BuildPlan {
    #[serde(default)]
    provides: Vec<Provide>,
    #[serde(default)]
    requires: Vec<Require>,
    #[serde(default)]
    or: Vec<Sections>,
}

/// One alternative of a build plan.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Sections {
    #[serde(default)]
    pub(crate) provides: Vec<Provide>,
    #[serde(default)]
    pub(crate) requires: Vec<Require>,
}

/// `[[provides]]`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Provide {
    pub(crate) name: String,
}

impl BuildPlan {
    /// The alternatives in their order: the top level, then each `or`.
    pub(crate) fn options(self) -> Vec<Sections> {
        std::iter::once(Sections { provides: self.provides, requires: self.requires }).chain(self.or).collect()
    }
}

/// The plan of one buildpack's build: what it provides to others.
#[derive(Debug, Default, Serialize)]
pub(crate) struct BuildpackPlan {
    pub(crate) entries: Vec<Require>,
}

/// `build.toml`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct BuildFile {
    #[serde(default)]
    pub(crate) unmet: Vec<Unmet>,
}

/// `[[unmet]]`.
#[derive(Debug, Deserialize)]
pub(crate) struct Unmet {
    #[serde(default)]
    pub(crate) name: String,
}

impl Plan {
    /// What a buildpack is to provide.
    pub(crate) fn of(&self, id: &str) -> BuildpackPlan {
        let provided = |entry: &&PlanEntry| entry.providers.iter().any(|provider| provider.id == id);
        BuildpackPlan {
            entries: self.entries.iter().filter(provided).flat_map(|entry| &entry.requires).cloned().collect(),
        }
    }

    /// What is left after a buildpack was given `given`, and said what of it is unmet.
    pub(crate) fn after(self, given: &BuildpackPlan, said: &BuildFile) -> Result<Self, String> {
        for unmet in &said.unmet {
            if !given.entries.iter().any(|entry| entry.name == unmet.name) {
                return Err(format!("build.toml: unmet `{}` was not asked of it", unmet.name));
            }
        }
        let met = |name: &str| {
            given.entries.iter().any(|entry| entry.name == name) && !said.unmet.iter().any(|unmet| unmet.name == name)
        };
        let left = |entry: &PlanEntry| !entry.requires.iter().all(|require| met(&require.name));
        Ok(Self { entries: self.entries.into_iter().filter(left).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(entries: &[(&[&str], &str)]) -> Plan {
        let entry = |(providers, name): &(&[&str], &str)| PlanEntry {
            providers: providers.iter().map(|id| Provider { id: (*id).to_owned(), version: "1".to_owned() }).collect(),
            requires: vec![Require { name: (*name).to_owned(), ..Require::default() }],
        };
        Plan { entries: entries.iter().map(entry).collect() }
    }

    #[test]
    fn what_is_unmet_goes_to_the_next_provider() {
        let all = plan(&[(&["a", "b"], "node"), (&["a"], "npm")]);
        for (unmet, left_to_b) in [("", 0), ("unmet = [{ name = \"node\" }]", 1)] {
            let said: BuildFile = toml::from_str(unmet).unwrap();
            let left = all.clone().after(&all.of("a"), &said).unwrap();
            assert_eq!(left.of("b").entries.len(), left_to_b);
            assert!(left.of("a").entries.iter().all(|entry| entry.name == "node"));
        }
        let said: BuildFile = toml::from_str("unmet = [{ name = \"java\" }]").unwrap();
        assert!(all.clone().after(&all.of("a"), &said).unwrap_err().contains("java"));
    }

    #[test]
    fn a_version_beside_the_name_is_a_metadatum() {
        let plan = "requires = [{ name = \"a\", version = \"1\", metadata = { b = \"c\" } }]\n";
        let require = &toml::from_str::<BuildPlan>(plan).unwrap().options()[0].requires[0];
        assert_eq!(require.metadata["version"].as_str(), Some("1"));
        let written = toml::to_string(&BuildpackPlan { entries: vec![require.clone()] }).unwrap();
        assert!(written.contains("[entries.metadata]\nb = \"c\"\nversion = \"1\"\n"), "{written}");
        let twice = "requires = [{ name = \"a\", version = \"1\", metadata = { version = \"1\" } }]\n";
        assert!(toml::from_str::<BuildPlan>(twice).unwrap_err().to_string().contains("metadata.version"));
    }

    #[test]
    fn a_build_plan_has_its_top_level_first() {
        let text = "requires = [{ name = \"a\", metadata = { version = \"1\" } }]\n\
            [[or]]\nprovides = [{ name = \"b\" }]\n[[or]]\n";
        let options = toml::from_str::<BuildPlan>(text).unwrap().options();
        assert_eq!(options.len(), 3);
        assert_eq!(options[0].requires[0].metadata["version"].as_str(), Some("1"));
        assert_eq!(options[1].provides[0].name, "b");
        assert!(toml::from_str::<BuildPlan>("").unwrap().options()[0].requires.is_empty());
    }
}
