//! What the buildpacks left says how the app is started: the Procfile as it is now, over what the last buildpack's `bin/release`
//! says; till.toml over both.

use std::collections::{BTreeMap, BTreeSet};

use super::planning::{PORT, PROCFILE, RELEASE, argv};
use super::release::Release;
use crate::contract::{Collected, Conclusion, PlanError, conclude as shared, procfile};
use crate::model::app::Command;
use crate::plan::{Candidate, Deed, Plan};

pub(super) fn conclude(plan: &Plan, collected: &Collected) -> Result<Conclusion, PlanError> {
    let text = |path: &str| collected.texts.get(path).map_or("", String::as_str);
    let release = Release::parse(text(RELEASE))?;
    let procfile = procfile::parse(text(PROCFILE))?;
    let mut lines: BTreeMap<&str, &str> = release.processes().collect();
    lines.extend(procfile.processes.iter().map(|(name, line)| (name.as_str(), line.as_str())));
    let candidate = |(name, line): (&str, &str)| {
        let argv = argv(name, &Command::Line(line.to_owned()));
        (name.to_owned(), vec![Candidate { built: Vec::new(), argv }])
    };
    let mut launch = plan.launch.clone();
    launch.processes = lines.into_iter().map(candidate).collect();
    launch.processes.extend(plan.launch.processes.clone());
    let of_image = image_env(plan);
    for (name, value) in release.variables() {
        // What an app or a user sets wins; what the image has does not.
        let unset = launch.env.get(name).is_none_or(|old| of_image.get(name) == Some(old));
        // Where an app lies and listens is the platform's to say.
        if unset && !["HOME", PORT].contains(&name) {
            launch.env.insert(name.to_owned(), value.to_owned());
        }
    }
    let said = procfile.processes.keys().chain(plan.launch.processes.keys()).map(String::as_str);
    let services = services(said, &launch.processes.keys().map(String::as_str).collect::<Vec<_>>());
    let mut concluded = shared::conclude(&Plan { launch, ..plan.clone() }, collected)?;
    concluded.launch.services = services;
    Ok(concluded)
}

/// The process types that run as long as the app does: those that Procfile and till.toml say, and `web`. Of a buildpack's
/// defaults many are commands that end (`rake`) or wait for a person (`console`); they count where nobody says more.
fn services<'a>(said: impl Iterator<Item = &'a str>, all: &[&'a str]) -> Vec<String> {
    let web = all.iter().copied().filter(|name| *name == "web");
    let mut services: BTreeSet<&str> = said.chain(web).filter(|name| *name != shared::RELEASE).collect();
    if services.is_empty() {
        services.extend(all.iter().filter(|name| !["console", "rake", shared::RELEASE].contains(name)));
    }
    services.into_iter().map(str::to_owned).collect()
}

/// What the buildpacks' scripts had from the image: config vars are not among it.
fn image_env(plan: &Plan) -> BTreeMap<String, String> {
    let deeds = plan.stages.iter().flat_map(|stage| &stage.deeds);
    let step = deeds.filter_map(|deed| if let Deed::Run(step) = deed { Some(step) } else { None }).next();
    step.map(|step| step.env.clone()).unwrap_or_default()
}
