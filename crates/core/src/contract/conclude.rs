//! What was found after the steps decides which candidate each process type gets.

use crate::contract::{Collected, Conclusion, PlanError};
use crate::model::{Launch, Process};
use crate::plan::{Candidate, Plan};

/// Heroku's process type for a command that runs once before an artifact goes live.
pub(super) const RELEASE: &str = "release";

pub(super) fn conclude(plan: &Plan, collected: &Collected) -> Result<Conclusion, PlanError> {
    let draft = &plan.launch;
    let processes: std::collections::BTreeMap<_, _> = draft
        .processes
        .iter()
        .filter_map(|(name, candidates)| {
            let argv = candidates.iter().find_map(|candidate| choose(candidate, collected))?;
            Some((name.clone(), Process { argv }))
        })
        .collect();
    // An image that starts nothing by itself is one all the same, where the plan says all of it.
    if processes.is_empty() && plan.image.is_none() {
        return Err(PlanError::NoProcess);
    }
    let ports: Vec<_> = draft.ports.iter().filter(|port| processes.contains_key(&port.process)).cloned().collect();
    let launch = Launch {
        health: draft.health.clone().filter(|health| ports.iter().any(|port| port.name == health.port)),
        default: None,
        ports,
        services: processes.keys().filter(|name| *name != RELEASE).cloned().collect(),
        processes,
        env: draft.env.clone(),
        user: draft.user.clone(),
        dir: draft.dir.clone(),
    };
    Ok(Conclusion { launch, image: plan.image.clone() })
}

fn choose(candidate: &Candidate, collected: &Collected) -> Option<Vec<String>> {
    if candidate.built.is_empty() {
        return Some(candidate.argv.clone());
    }
    let path = candidate.built.iter().find_map(|pattern| collected.found.get(pattern)?.first())?;
    Some(candidate.argv.iter().map(|word| word.replace("{{built}}", path)).collect())
}
