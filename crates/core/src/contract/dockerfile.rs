//! Contract `dockerfile`: the app brings its own Dockerfile, which says everything. The base that offers this contract has a
//! say in which file it is and in the values of its ARGs; its image is used where the Dockerfile names it.

use super::{Collected, Conclusion, Contract, PlanError, Request, conclude};
use crate::dockerfile::BadDockerfile;
use crate::dockerfile::plan::{Ask, Outcome, draft, launch};
use crate::dockerfile::spec::{self, Choice, DockerfileSpec};
use crate::model::{AppFile, SourceView};
use crate::plan::{self, Decision, Limits, Plan};

impl DockerfileSpec {
    /// What is said of the Dockerfile: by who builds, else by the app, else by the base.
    pub fn choice(&self, app: &AppFile, choice: &Choice) -> Choice {
        let app = app.dockerfile.clone().unwrap_or_default();
        choice.over(app.over(Choice::from(self)))
    }
}

impl Contract for DockerfileSpec {
    fn name(&self) -> &'static str {
        "dockerfile"
    }

    fn expects(&self) -> Vec<String> {
        vec![self.file.clone().unwrap_or("Dockerfile".to_owned())]
    }

    fn reads(&self, source: &SourceView, app: &AppFile, choice: &Choice) -> Vec<String> {
        spec::reads(&self.choice(app, choice), source)
    }

    fn plan(&self, request: &Request<'_>) -> Result<Decision, PlanError> {
        let choice = self.choice(request.app, request.choice);
        let path = spec::path(&choice, request.source).map_err(|name| PlanError::Missing {
            message: format!("there is no {name} in the source"),
            any: vec![name],
        })?;
        let bad = |error: BadDockerfile| PlanError::Dockerfile {
            path: path.clone(),
            line: error.line,
            what: error.what,
            hint: error.hint,
        };
        let (dockerfile, context) = spec::read(&path, request.source).map_err(bad)?;
        let ask = Ask {
            dockerfile: &dockerfile,
            target: choice.target.as_deref(),
            args: &choice.args,
            context: &context,
            epoch: request.base_epoch,
            architecture: request.architecture,
            known: request.known,
        };
        let draft = match draft(&ask).map_err(bad)? {
            Outcome::Needs(needs) => return Ok(Decision::Needs(needs)),
            Outcome::Draft(draft) => *draft,
        };
        let mut env = request.app.env.clone();
        env.extend(request.env.clone());
        let launch = launch(&draft.image.config, &request.app.processes, &env);
        Ok(Decision::Plan(Box::new(Plan {
            base: request.base.map(|base| base.digest.clone()),
            source: Some(plan::Source { commit: request.source.commit.clone(), tree: request.source.tree() }),
            limits: request.app.limits.over(self.limits.over(Limits::default())),
            launch,
            ..draft.plan(Contract::name(self), request.environment)
        })))
    }

    fn conclude(&self, plan: &Plan, collected: &Collected) -> Result<Conclusion, PlanError> {
        conclude::conclude(plan, collected)
    }
}
