//! Recipe `dockerfile`: the base is what a Dockerfile in its folder makes.

use super::{BadRecipe, Ground, Recipe, leftovers};
use crate::dockerfile::BadDockerfile;
use crate::dockerfile::plan::{Ask, Outcome, draft};
use crate::dockerfile::spec::{self, Choice, DockerfileSpec};
use crate::model::SourceView;
use crate::plan::{Decision, LaunchDraft, Limits, Plan};

impl Recipe for DockerfileSpec {
    fn name(&self) -> &'static str {
        "dockerfile"
    }

    fn reads(&self) -> Vec<String> {
        Vec::new()
    }

    fn texts(&self, folder: &SourceView) -> Vec<String> {
        spec::reads(&Choice::from(self), folder)
    }

    fn plan(&self, ground: &Ground<'_>) -> Result<Decision, BadRecipe> {
        let choice = Choice::from(self);
        let path = spec::path(&choice, ground.folder)
            .map_err(|name| BadRecipe::from(format!("recipe: there is no `{name}` in the base's folder")))?;
        let bad = |error: BadDockerfile| BadRecipe {
            what: format!("{path}:{}: {}", error.line, error.what),
            hint: error.hint,
        };
        let (dockerfile, context) = spec::read(&path, ground.folder).map_err(bad)?;
        let ask = Ask {
            dockerfile: &dockerfile,
            target: choice.target.as_deref(),
            args: &choice.args,
            context: &context,
            epoch: ground.epoch,
            architecture: ground.architecture,
            known: ground.known,
        };
        let draft = match draft(&ask).map_err(bad)? {
            Outcome::Needs(needs) => return Ok(Decision::Needs(needs)),
            Outcome::Draft(draft) => *draft,
        };
        Ok(Decision::Plan(Box::new(Plan {
            limits: self.limits.over(Limits::default()),
            // The same lock is to give the same bytes.
            volatile: leftovers().into_iter().chain(["/var/cache/apt/*.bin".to_owned()]).collect(),
            launch: LaunchDraft { user: "root".to_owned(), dir: "/".to_owned(), ..LaunchDraft::default() },
            ..draft.plan("recipe/dockerfile", ground.environment)
        })))
    }
}
