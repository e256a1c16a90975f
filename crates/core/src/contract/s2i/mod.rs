//! Contract `s2i`: Source-to-Image (docs/builder_image.md of source-to-image): a builder image whose script `assemble` makes
//! of source what its script `run` starts.
//!
//! ```text
//! spec.rs        what stands in base.toml and till.toml
//! image.rs       what an image says by labels
//! source.rs      the files of the app: context directory, .s2iignore, .s2i/environment
//! scripts.rs     where each script comes from
//! planning.rs    the standard build: assemble in the builder
//! pieces.rs      what every kind of build needs
//! incremental.rs what the app's newest artifact saved
//! runtime.rs     what assemble made goes into another image
//! onbuild.rs     a builder that has ONBUILD instructions
//! labels.rs      what the artifact says of its build
//! uids.rs        who may run something
//! ```
//!
//! Nothing is streamed into the builder: its files are put where they belong, so no builder needs a `tar`, and there are no
//! layered builds. What the builder leaves behind stays, as with any other tool.

mod image;
mod incremental;
mod labels;
mod onbuild;
mod pieces;
mod planning;
mod runtime;
mod scripts;
mod source;
mod spec;
#[cfg(test)]
mod tests;
mod uids;

pub use spec::{AppSection, Kind, S2iSpec};

use super::{Collected, Conclusion, Contract, ContractSpec, PlanError, Request, conclude};
use crate::dockerfile::spec::Choice;
use crate::model::{AppFile, SourceView};
use crate::plan::{Config, Decision, Network, Plan, Step};

impl Contract for S2iSpec {
    fn name(&self) -> &'static str {
        "s2i"
    }

    fn expects(&self) -> Vec<String> {
        vec!["what the builder's script `assemble` takes (`.s2i/bin` may bring scripts along)".to_owned()]
    }

    fn reads(&self, source: &SourceView, app: &AppFile, _: &Choice) -> Vec<String> {
        source::reads(source, &app.s2i.clone().unwrap_or_default())
    }

    fn plan(&self, request: &Request<'_>) -> Result<Decision, PlanError> {
        planning::plan(self, request)
    }

    fn conclude(&self, plan: &Plan, collected: &Collected) -> Result<Conclusion, PlanError> {
        let mut conclusion = conclude::conclude(plan, collected)?;
        if let Some(image) = &mut conclusion.image {
            if let Some(text) = collected.texts.get(labels::METADATA) {
                image.config.labels.extend(labels::left(text)?);
            }
            labels::expect_few(&image.config.labels)?;
        }
        Ok(conclusion)
    }
}

impl S2iSpec {
    /// The builder's script `usage`, which prints how it is used. Only one that is in the image can be asked without a source.
    pub(super) fn usage(&self, image: &Config) -> Result<Step, PlanError> {
        let says = image::Says(image);
        let url = self.scripts_url.as_deref().or(says.scripts_url());
        let directory = match url.map(image::ScriptsUrl::parse) {
            Some(Ok(image::ScriptsUrl::Image(directory))) => directory,
            _ => {
                return Err(PlanError::Contract(
                    "it has no script `usage` in its image (label io.openshift.s2i.scripts-url)".to_owned(),
                ));
            }
        };
        let step = pieces::step("usage", &format!("{directory}/usage"), (image, &says.user()), &[]);
        Ok(Step { network: Network::None, ..step })
    }
}

/// The contract that an image brings along by its labels, if it does.
pub fn of_image(config: &Config) -> Option<ContractSpec> {
    image::Says(config).is_builder().then(|| ContractSpec::S2i(Box::default()))
}
