//! Contract `cnb`: Cloud Native Buildpacks (buildpacks.io, Buildpack API up to 0.12): a builder prepares, a run image carries the result.

mod spec;

pub use spec::{AppSection, CnbSpec, Kind};

use super::{Collected, Conclusion, Contract, ContractSpec, PlanError, Request};
use crate::dockerfile::spec::Choice;
use crate::model::{AppFile, SourceView};
use crate::plan::{Config, Decision, Plan};

impl Contract for CnbSpec {
    fn name(&self) -> &'static str {
        "cnb"
    }

    fn expects(&self) -> Vec<String> {
        Vec::new()
    }

    fn reads(&self, _source: &SourceView, _app: &AppFile, _choice: &Choice) -> Vec<String> {
        Vec::new()
    }

    fn plan(&self, _request: &Request<'_>) -> Result<Decision, PlanError> {
        Err(PlanError::Contract("it is not written yet".to_owned()))
    }

    fn conclude(&self, _plan: &Plan, _collected: &Collected) -> Result<Conclusion, PlanError> {
        Err(PlanError::Contract("it is not written yet".to_owned()))
    }
}

/// The contract that an image brings along by its labels, if it does.
pub fn of_image(_config: &Config) -> Option<ContractSpec> {
    None
}
