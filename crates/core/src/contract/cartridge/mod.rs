//! Contract `cartridge`: OpenShift v2 cartridges: a gear with a web framework and plugins; set up, built and started by their own scripts.

mod spec;

pub use spec::{AppSection, CartridgeSpec, Kind};

use super::{Collected, Conclusion, Contract, PlanError, Request};
use crate::dockerfile::spec::Choice;
use crate::model::{AppFile, SourceView};
use crate::plan::{Decision, Plan};

impl Contract for CartridgeSpec {
    fn name(&self) -> &'static str {
        "cartridge"
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
