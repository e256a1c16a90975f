//! `base.toml`: how a base image is made, and what it expects of source (docs/reference/base.md).

use serde::{Deserialize, Serialize};

use super::name::BaseName;
use crate::contract::ContractSpec;
use crate::recipe::RecipeSpec;
use crate::words::explain_toml;

/// The file's name, in the base's folder.
pub const FILE: &str = "base.toml";

/// What stands in a `base.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseSpec {
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
    pub recipe: RecipeSpec,
    /// What is done with source.
    pub contract: ContractSpec,
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
        let spec: Self = toml::from_str(text).map_err(|error| BadBaseFile::Shape(explain_toml(&error)))?;
        spec.recipe.check().map_err(BadBaseFile::Sense)?;
        spec.contract.check().map_err(BadBaseFile::Sense)?;
        Ok(spec)
    }
}
