//! Recipes: how a base image is made. A recipe writes the same kind of plan as a contract does.

pub mod debian;

use crate::digest::Digest;
use crate::model::BaseVersion;
use crate::plan::Plan;

/// The recipe of a base, as its `base.toml` says it.
pub type RecipeSpec = debian::DebianSpec;

/// What a recipe plans for.
#[derive(Debug)]
pub struct Ground<'a> {
    /// The base below, where the recipe names one.
    pub from: Option<&'a BaseVersion>,
    /// Seconds since 1970: the newest time in the image. A constant, so that equal content has equal bytes.
    pub epoch: u64,
    /// The files of the base's folder that the recipe names.
    pub files: &'a [FoundFile],
    /// Where it will be carried out.
    pub environment: &'a str,
}

/// A file of a base's folder, as it was found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// In the folder, `/` between the parts.
    pub path: String,
    /// Of its bytes.
    pub digest: Digest,
}

/// What a recipe can do.
pub trait Recipe {
    /// Its name in `base.toml`.
    fn name(&self) -> &'static str;

    /// Files or directories of the base's folder that it needs.
    fn reads(&self) -> Vec<String>;

    /// Decides everything before anything is done. Reads only its arguments; an error is one sentence about the recipe.
    fn plan(&self, ground: &Ground<'_>) -> Result<Plan, String>;
}
