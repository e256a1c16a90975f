//! Bases that others made: an image as it is, and what is done with source upon it, if anything.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::base::{BadBaseFile, kind};
use super::name::BaseName;
use crate::contract::{self, ContractSpec, Reading, RunSpec};
use crate::digest::Digest;
use crate::system::SystemSpec;
use crate::words::explain_toml;

/// What is known of a base that others made. It has no recipe: it cannot be made again, only be imported again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalBase {
    /// Of this structure: 1.
    pub version: u32,
    /// What whoever imported it said of it.
    pub spec: ExternalFile,
    /// Where it came from.
    pub external: Origin,
}

/// Where an image came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// As it was named.
    pub source: String,
    /// What it was called there.
    pub reference: Option<String>,
    /// The index of several platforms from which it was chosen.
    pub index: Option<Digest>,
    /// What that index had.
    #[serde(default)]
    pub platforms: Vec<String>,
}

/// What may be said of a base that others made: a `base.toml` without a recipe.
pub type ExternalFile = ExternalFileOf<ContractSpec>;

/// The same, with a contract of a certain kind: a text is read as that, so that an error names its line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalFileOf<C> {
    /// The base's name.
    pub name: Option<BaseName>,
    /// One sentence for the catalogue.
    #[serde(default)]
    pub description: String,
    /// Who is told when something is wrong with it.
    #[serde(default)]
    pub owner: String,
    /// For searching.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What is done with source. Without one, other bases can be made upon it, and nothing else.
    pub contract: Option<C>,
    /// The base that runs the result, where an app does not say another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunSpec>,
    /// The disk stays one: nobody but the system on it reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemSpec>,
}

impl ExternalFile {
    /// Reads the text of such a file.
    pub fn parse(text: &str) -> Result<Self, BadBaseFile> {
        let kind = kind(text, "contract", &contract::KINDS)?;
        let mut file = contract::read(&kind, Text(text))?;
        if let (Some(system), Some(contract)) = (&file.system, &mut file.contract) {
            system.adapt(contract).map_err(BadBaseFile::Sense)?;
        }
        file.contract.iter().try_for_each(ContractSpec::check).map_err(BadBaseFile::Sense)?;
        Ok(file)
    }
}

/// The text of such a file.
struct Text<'a>(&'a str);

impl Reading for Text<'_> {
    type Read = Result<ExternalFile, BadBaseFile>;

    fn read<C: DeserializeOwned>(self, contract: fn(C) -> ContractSpec) -> Self::Read {
        let file: ExternalFileOf<C> =
            toml::from_str(self.0).map_err(|error| BadBaseFile::Shape(explain_toml(&error)))?;
        Ok(ExternalFile {
            name: file.name,
            description: file.description,
            owner: file.owner,
            tags: file.tags,
            contract: file.contract.map(contract),
            run: file.run,
            system: file.system,
        })
    }
}

impl Default for ExternalFile {
    fn default() -> Self {
        Self {
            name: None,
            description: String::new(),
            owner: String::new(),
            tags: Vec::new(),
            contract: None,
            run: None,
            system: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_is_enough_and_a_recipe_too_much() {
        let contract = "[contract]\nkind = \"command\"\n[[contract.process]]\nname = \"web\"\nrun = [\"x\"]\n";
        let file = ExternalFile::parse(contract).unwrap();
        assert_eq!((file.name, file.contract.is_some()), (None, true));
        let file = ExternalFile::parse(&format!("name = \"n\"\ndescription = \"d\"\n{contract}")).unwrap();
        assert_eq!((file.name.unwrap().as_str(), file.description.as_str()), ("n", "d"));
        assert_eq!(ExternalFile::parse("").unwrap(), ExternalFile::default());
        for bad in ["[recipe]\nkind = \"debian\"\n", "name = \"N\"", "[contract]\nkind = \"other\""] {
            assert!(ExternalFile::parse(bad).is_err(), "{bad}");
        }
    }
}
