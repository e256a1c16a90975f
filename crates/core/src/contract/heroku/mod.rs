//! Contract `heroku`: Heroku buildpacks (the classic "v2" Buildpack API): detect, compile, release; Procfile; what runs lies in /app.

mod spec;

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
