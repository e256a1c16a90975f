//! Contract `heroku`: Heroku buildpacks (the classic "Buildpack API"): detect, compile, release; Procfile; what runs lies in /app.
//!
//! ```text
//! spec.rs        what stands in base.toml and till.toml
//! packs.rs       which buildpacks, in which order, and what their names mean
//! app_json.rs    what an app says of itself
//! slugignore.rs  what is removed of the source
//! planning.rs    spec + source -> plan
//! release.rs     what bin/release says
//! concluding.rs  what the buildpacks left -> how it is started
//! scripts/       what drives the buildpacks, and what starts a process
//! ```
//!
//! The buildpacks of buildpacks (`.buildpacks`) are no more than a list here: each is a buildpack of the build.

mod app_json;
mod concluding;
mod packs;
mod planning;
mod release;
mod slugignore;
mod spec;
#[cfg(test)]
mod tests;

pub use spec::{AppSection, HerokuSpec, Kind};

use super::{Collected, Conclusion, Contract, PlanError, Request};
use crate::dockerfile::spec::Choice;
use crate::model::{AppFile, SourceView};
use crate::plan::{Decision, Plan};

impl Contract for HerokuSpec {
    fn name(&self) -> &'static str {
        "heroku"
    }

    fn expects(&self) -> Vec<String> {
        vec!["source that a Heroku buildpack knows".to_owned()]
    }

    fn reads(&self, source: &SourceView, _: &AppFile, _: &Choice) -> Vec<String> {
        planning::reads(source)
    }

    fn plan(&self, request: &Request<'_>) -> Result<Decision, PlanError> {
        planning::plan(self, request)
    }

    fn conclude(&self, plan: &Plan, collected: &Collected) -> Result<Conclusion, PlanError> {
        concluding::conclude(plan, collected)
    }
}
