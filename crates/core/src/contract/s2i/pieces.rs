//! What every kind of build needs: variables, steps, how the result starts, words for what is missing.

use std::collections::BTreeMap;

use super::image::Says;
use super::scripts::Script;
use super::source::Files;
use super::{AppSection, PlanError, Request, S2iSpec};
use crate::dockerfile::plan::launch;
use crate::model::launch::{Health, Port, Protocol, Span};
use crate::plan::{self, Config, LaunchDraft, Network, Step};

/// What a step finds when the image does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is set for build and run: by the base, the source's files, till.toml, the command line; later ones win.
pub(super) fn variables(
    spec: &S2iSpec,
    request: &Request<'_>,
    files: &Files<'_>,
    section: &AppSection,
) -> Result<Vec<(String, String)>, PlanError> {
    let pairs = |map: &BTreeMap<String, String>| map.clone().into_iter().collect::<Vec<_>>();
    let mut all = pairs(&spec.env);
    all.extend(files.environment(section)?);
    all.extend(pairs(&request.app.env));
    all.extend(pairs(request.env));
    Ok(all)
}

pub(super) fn source_of(request: &Request<'_>) -> plan::Source {
    plan::Source { commit: request.source.commit.clone(), tree: request.source.tree() }
}

/// How it is started: what the image says, on the ports that it has or that its catalogue knows. A service that is called
/// `http` there speaks it.
pub(super) fn started(
    spec: &S2iSpec,
    request: &Request<'_>,
    config: &Config,
    variables: &[(String, String)],
) -> LaunchDraft {
    let says = Says(config);
    let config = Config { ports: says.ports(), ..config.clone() };
    let mut env: BTreeMap<_, _> = variables.iter().cloned().collect();
    if config.variable("PATH").is_none() {
        env.entry("PATH".to_owned()).or_insert_with(|| PATH.to_owned());
    }
    let mut draft = launch(&config, &request.app.processes, &env);
    for (number, name) in says.services() {
        let Some(protocol) = spoken(name) else { continue };
        let tcp = |port: &&mut Port| port.number == number && port.protocol == Protocol::Tcp;
        draft.ports.iter_mut().filter(tcp).for_each(|port| port.protocol = protocol);
    }
    if !spec.port.is_empty() {
        draft.health =
            spec.port.first().map(|port| Health { port: port.name.clone(), path: "/".to_owned(), within: Span(60) });
        draft.ports.clone_from(&spec.port);
    }
    draft.health = spec.health.clone().or(draft.health);
    draft
}

fn spoken(service: &str) -> Option<Protocol> {
    match service {
        "http" => Some(Protocol::Http),
        "https" => Some(Protocol::Tls),
        _ => None,
    }
}

/// What an image says of itself after a build upon it: its own, with another command, and what was set.
pub(super) fn configured(image: &Config, run: &str, variables: &[(String, String)]) -> Config {
    let mut config = Config { cmd: vec![run.to_owned()], ..image.clone() };
    variables.iter().for_each(|(name, value)| config.set(name, value));
    config
}

/// A script as a step: a shell starts it, as those expect it that do not begin with `#!`. The entrypoint has no say.
pub(super) fn step(name: &str, path: &str, (image, user): (&Config, &str), variables: &[(String, String)]) -> Step {
    let mut env = BTreeMap::from([("PATH".to_owned(), PATH.to_owned())]);
    let own = image.env.iter().filter(|(name, _)| !name.is_empty() && !name.contains('='));
    env.extend(own.chain(variables).cloned());
    let dir = Says(image).directory();
    Step {
        name: name.to_owned(),
        argv: ["/bin/sh", "-c", "exec \"$0\"", path].map(str::to_owned).to_vec(),
        env,
        dir: if dir.starts_with('/') { dir.to_owned() } else { format!("/{dir}") },
        user: user.to_owned(),
        network: Network::Egress,
        built: Vec::new(),
        mounts: Vec::new(),
    }
}

/// Where a script is: in the image, or where it was brought.
pub(super) fn path_of(name: &str, script: &Script, brought: &str) -> String {
    match script {
        Script::Image(directory) => format!("{directory}/{name}"),
        _ => format!("{brought}/{name}"),
    }
}

/// Whose files are that are copied for a user: a number alone would be a group, too.
pub(super) fn as_user(user: &str) -> String {
    if user.contains(':') { user.to_owned() } else { format!("{user}:") }
}

/// A script that nobody has.
pub(super) fn missing(name: &str, whose: &str) -> PlanError {
    PlanError::Missing {
        message: format!(
            "there is no script `{name}`: the {whose} does not say where its scripts are (label \
             io.openshift.s2i.scripts-url), or it is not there, and the source has no .s2i/bin/{name}"
        ),
        any: vec![format!(".s2i/bin/{name}")],
    }
}
