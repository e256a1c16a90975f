//! Contract `command`: the base says which steps are run on the source and how the result is started.
//!
//! ```text
//! spec.rs      what stands in base.toml
//! when.rs      conditions, and the templates that they fill
//! planning.rs  spec + source -> plan
//! ```

mod planning;
mod spec;
#[cfg(test)]
mod tests;
mod when;

pub use spec::{
    CacheSpec, CommandSpec, Kind, Moment, OneOrMany, Parameter, ProcessSpec, Require, SourceAs, SourceSpec, StepSpec,
    WhenSpec,
};

pub(crate) use planning::PATH;

use super::{Collected, Conclusion, Contract, PlanError, Request, conclude};
use crate::dockerfile::spec::Choice;
use crate::model::{AppFile, SourceView};
use crate::plan::{Decision, Plan};

impl Contract for CommandSpec {
    fn name(&self) -> &'static str {
        "command"
    }

    fn expects(&self) -> Vec<String> {
        self.require.iter().map(|require| require.any.join(" or ")).collect()
    }

    fn reads(&self, source: &SourceView, _: &AppFile, _: &Choice) -> Vec<String> {
        planning::reads(self, source)
    }

    fn plan(&self, request: &Request<'_>) -> Result<Decision, PlanError> {
        planning::plan(self, request).map(|plan| Decision::Plan(Box::new(plan)))
    }

    fn conclude(&self, plan: &Plan, collected: &Collected) -> Result<Conclusion, PlanError> {
        conclude::conclude(plan, collected)
    }
}
