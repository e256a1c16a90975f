//! What is wrong with a plan, whoever wrote it. Run on every plan in tests and in production.

use super::{Deed, Place, Plan, Step};

/// Something that a plan must not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where in the plan.
    pub place: String,
    /// What is wrong.
    pub what: String,
}

/// Everything that is wrong with this plan.
pub fn lint(plan: &Plan) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut say = |place: &str, what: String| {
        found.push(Finding { place: place.to_owned(), what });
    };
    if plan.stages.is_empty() {
        say("stages", "there are none".to_owned());
    }
    let mut bootstrapped = plan.base.is_some();
    for stage in &plan.stages {
        for deed in &stage.deeds {
            match deed {
                Deed::Bootstrap(_) if bootstrapped => {
                    say(&stage.name, "a system is made where there is one".to_owned());
                }
                Deed::Bootstrap(_) => bootstrapped = true,
                Deed::Inject(injection) => {
                    let (Place::Dir(path) | Place::Tar(path)) = &injection.place;
                    path_finding(path).into_iter().for_each(|what| say(&stage.name, what));
                }
                Deed::Run(step) => step_findings(step).into_iter().for_each(|what| say(&step.name, what)),
            }
        }
    }
    for step in plan.test.iter().chain(&plan.finish) {
        step_findings(step).into_iter().for_each(|what| say(&step.name, what));
    }
    for path in plan.caches.iter().map(|cache| &cache.path).chain(&plan.remove) {
        path_finding(path).into_iter().for_each(|what| say("paths", what));
    }
    found
}

fn step_findings(step: &Step) -> Vec<String> {
    let mut found: Vec<_> = path_finding(&step.dir).into_iter().collect();
    if step.argv.first().is_none_or(String::is_empty) {
        found.push("it runs nothing".to_owned());
    }
    if step.argv.iter().any(|word| word.contains('\0')) {
        found.push("an argument holds a zero byte".to_owned());
    }
    for key in step.env.keys() {
        if key.is_empty() || key.contains(['=', '\0']) {
            found.push(format!("`{key}` is not a variable's name"));
        }
    }
    found
}

/// Paths in an instance are absolute and plain; `/` itself is never a place to mount on or to remove.
fn path_finding(path: &str) -> Option<String> {
    let plain = path.starts_with('/') && !path.contains('\0') && path.split('/').all(|part| part != "..");
    (!plain).then(|| format!("`{path}` is not an absolute path without `..`"))
}
