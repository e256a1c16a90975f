//! A plan of the contract `command`, for a base that is a system.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::names;
use super::spec::SystemSpec;
use crate::contract::PlanError;
use crate::contract::command::PATH;
use crate::model::{Port, SourceView};
use crate::plan::{Deed, Injection, Place, Plan, Selection, Step};

/// The system in which a plan is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemDraft {
    /// What is said of it.
    pub spec: SystemSpec,
    /// What starts with it.
    pub services: Vec<Service>,
}

/// A process that starts with the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The process type.
    pub process: String,
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// Its environment, beside the system's.
    pub env: BTreeMap<String, String>,
    /// Where it runs.
    pub dir: String,
    /// Where it listens.
    pub ports: Vec<Port>,
}

/// Heroku's process type for a command that runs once: it is no service.
const RELEASE: &str = "release";

/// The same plan, for such a system. What cannot be done there is an error: of the source, or of the base.
pub fn upon(mut plan: Plan, spec: &SystemSpec, source: &SourceView) -> Result<Plan, PlanError> {
    check(&plan)?;
    check_source(source)?;
    let default = |env: &mut BTreeMap<String, String>| {
        // The system has a PATH of its own.
        if env.get("PATH").is_some_and(|value| value == PATH) {
            env.remove("PATH");
        }
    };
    let deeds = plan.stages.iter_mut().flat_map(|stage| &mut stage.deeds);
    let steps = deeds.filter_map(|deed| if let Deed::Run(step) = deed { Some(step) } else { None });
    steps.chain(&mut plan.test).for_each(|step| default(&mut step.env));
    default(&mut plan.launch.env);
    plan.volatile.clear();
    let launch = &plan.launch;
    let mut services = Vec::new();
    for (process, candidates) in launch.processes.iter().filter(|(process, _)| *process != RELEASE) {
        let Some(candidate) = candidates.first() else { continue };
        check_name(process)?;
        let ports: Vec<_> = launch.ports.iter().filter(|port| port.process == *process).cloned().collect();
        let mut env = launch.env.clone();
        if let Some(port) = ports.first() {
            env.entry("PORT".to_owned()).or_insert_with(|| port.number.to_string());
        }
        services.push(Service {
            process: process.clone(),
            argv: candidate.argv.clone(),
            env,
            dir: launch.dir.clone(),
            ports,
        });
    }
    plan.system = Some(SystemDraft { spec: spec.clone(), services });
    Ok(plan)
}

fn check(plan: &Plan) -> Result<(), PlanError> {
    let not = |what: &str| Err(PlanError::Contract(format!("{what}: this system stays a disk, which it alone reads")));
    let injections = plan.stages.iter().flat_map(|stage| &stage.deeds).filter_map(|deed| match deed {
        Deed::Inject(injection) => Some(injection),
        _ => None,
    });
    let whole = |injection: &Injection| {
        matches!(injection.what, Selection::Whole | Selection::Files(_)) && matches!(injection.place, Place::Dir(_))
    };
    if !injections.clone().all(whole) {
        return not("only the source, as files, can be put into it");
    }
    if !plan.caches.is_empty() {
        return not("it cannot have caches");
    }
    if !plan.finish.is_empty() {
        return not("it cannot have steps `after = \"test\"`");
    }
    let built = |step: &Step| !step.built.is_empty();
    let waits =
        plan.stages.iter().flat_map(|stage| &stage.deeds).any(|deed| matches!(deed, Deed::Run(step) if built(step)));
    if waits || !plan.collect.is_empty() {
        return not("nothing can wait for what is `built`");
    }
    if !plan.remove.is_empty() {
        return not("`remove` has to be a step");
    }
    let dirs = plan.stages.iter().flat_map(|stage| &stage.deeds).filter_map(|deed| match deed {
        Deed::Run(step) => Some(step.dir.as_str()),
        Deed::Inject(Injection { place: Place::Dir(path), .. }) => Some(path.as_str()),
        _ => None,
    });
    match dirs.into_iter().find(|path| !names::is_place(path)) {
        Some(path) => Err(PlanError::Contract(format!("`{path}` is not an absolute path of Windows, e.g. C:\\app"))),
        None => Ok(()),
    }
}

fn check_source(source: &SourceView) -> Result<(), PlanError> {
    let paths = || source.files.iter().map(|file| file.path.as_str());
    let cannot = |path: &str, why: String| PlanError::Setting {
        place: path.to_owned(),
        why: format!("it cannot be there on Windows: {why}"),
        hint: Some("give it another name, or name it in .tillignore".to_owned()),
    };
    if let Some((path, why)) = paths().find_map(|path| Some((path, names::obstacle(path)?))) {
        return Err(cannot(path, why));
    }
    match names::collision(paths()) {
        Some((one, other)) => Err(cannot(other, format!("`{one}` has the same name but for the case of its letters"))),
        None => Ok(()),
    }
}

/// It becomes a part of a service's name, and of a file's.
fn check_name(process: &str) -> Result<(), PlanError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match process.bytes().all(plain) && process.len() <= 64 {
        true => Ok(()),
        false => Err(PlanError::Setting {
            place: format!("process `{process}`"),
            why: "its name cannot be a service's on Windows".to_owned(),
            hint: Some("letters, digits, `-`, `_` and `.`, 64 of them".to_owned()),
        }),
    }
}
