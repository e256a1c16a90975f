//! `base.toml`: how a base image is made, and what it expects of source (docs/reference/base.md).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::name::BaseName;
use crate::contract::{self, ContractSpec, Reading, RunSpec};
use crate::plan::Bytes;
use crate::recipe::{self, RecipeSpec};
use crate::words::{explain_toml, list, nearest};

/// The file's name, in the base's folder.
pub const FILE: &str = "base.toml";

/// What stands in a `base.toml`.
pub type BaseSpec = BaseFile<RecipeSpec, ContractSpec>;

/// The same, with a recipe and a contract of certain kinds: a text is read as that, so that an error names its line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseFile<R, C> {
    /// The base's name.
    pub name: BaseName,
    /// One sentence for the catalogue.
    pub description: String,
    /// Who is told when something is wrong with it.
    pub owner: String,
    /// For searching.
    #[serde(default)]
    pub tags: Vec<String>,
    /// How the image is made.
    pub recipe: R,
    /// What is done with source.
    pub contract: C,
    /// The base that runs the result, where an app does not say another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunSpec>,
    /// What its disks are like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskSpec>,
}

/// What the disks of a base are like, and of what lies upon it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskSpec {
    /// The package of their kernel, perhaps with `=VERSION`; which one that comes to stands in the lock. None: one of the
    /// recipe's packages is a kernel, or whoever wants a disk names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// How large they are, where nobody says; none: as large as they have to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Bytes>,
}

impl DiskSpec {
    /// What contradicts itself, in one sentence.
    fn check(&self) -> Result<(), String> {
        match self.kernel.as_deref().filter(|kernel| !recipe::debian::is_package(kernel)) {
            Some(kernel) => Err(format!("disk: `{kernel}` is not a package's name")),
            None => Ok(()),
        }
    }
}

/// A `base.toml` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBaseFile {
    /// Not TOML, or not of this shape; the text names line and column.
    #[error("cannot read the base.toml:\n{0}")]
    Shape(String),
    /// Well formed, but it contradicts itself.
    #[error("the base.toml contradicts itself: {0}")]
    Sense(String),
}

impl crate::fault::Blame for BadBaseFile {
    fn fault(&self) -> crate::fault::Fault {
        crate::fault::Fault::Base
    }

    fn hint(&self) -> Option<String> {
        Some("docs/reference/base.md lists every key".to_owned())
    }
}

impl BaseSpec {
    /// Reads the text of a `base.toml`.
    pub fn parse(text: &str) -> Result<Self, BadBaseFile> {
        let recipe = kind(text, "recipe", &recipe::KINDS)?;
        let contract = kind(text, "contract", &contract::KINDS)?;
        let spec = contract::read(&contract, Text { text, recipe: &recipe })?;
        spec.recipe.check().map_err(BadBaseFile::Sense)?;
        spec.contract.check().map_err(BadBaseFile::Sense)?;
        spec.disk.as_ref().map_or(Ok(()), DiskSpec::check).map_err(BadBaseFile::Sense)?;
        Ok(spec)
    }
}

/// A `base.toml` whose kind of recipe is known.
struct Text<'a> {
    text: &'a str,
    recipe: &'a str,
}

impl Reading for Text<'_> {
    type Read = Result<BaseSpec, BadBaseFile>;

    fn read<C: DeserializeOwned>(self, contract: fn(C) -> ContractSpec) -> Self::Read {
        match self.recipe {
            "dockerfile" => self.with(RecipeSpec::Dockerfile, contract),
            _ => self.with(RecipeSpec::Debian, contract),
        }
    }
}

impl Text<'_> {
    fn with<R: DeserializeOwned, C: DeserializeOwned>(
        &self,
        recipe: fn(R) -> RecipeSpec,
        contract: fn(C) -> ContractSpec,
    ) -> Result<BaseSpec, BadBaseFile> {
        let file: BaseFile<R, C> =
            toml::from_str(self.text).map_err(|error| BadBaseFile::Shape(explain_toml(&error)))?;
        Ok(BaseSpec {
            name: file.name,
            description: file.description,
            owner: file.owner,
            tags: file.tags,
            recipe: recipe(file.recipe),
            contract: contract(file.contract),
            run: file.run,
            disk: file.disk,
        })
    }
}

/// The `kind` that a table of the file says; the first one where it says none, for then that is the error.
pub(super) fn kind(text: &str, table: &str, known: &[&str]) -> Result<String, BadBaseFile> {
    let file: toml::Table = toml::from_str(text).map_err(|error| BadBaseFile::Shape(explain_toml(&error)))?;
    let said = file.get(table).and_then(|table| table.get("kind")).and_then(toml::Value::as_str);
    match said {
        Some(kind) if !known.contains(&kind) => {
            let near =
                nearest(kind, known.iter().copied()).map_or(String::new(), |name| format!("; did you mean `{name}`?"));
            Err(BadBaseFile::Sense(format!(
                "{table}: there is no kind `{kind}` (there are: {}){near}",
                list(known.iter().copied())
            )))
        }
        said => Ok(said.unwrap_or(known[0]).to_owned()),
    }
}
