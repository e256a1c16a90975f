//! How what comes of a Dockerfile is started.

use std::collections::BTreeMap;

use crate::model::app::Command;
use crate::model::launch::{Health, Port, Protocol, Span, web};
use crate::plan::{Candidate, Config, LaunchDraft};

/// For how long the first answer is waited for.
const PATIENCE: Span = Span(60);

/// ENTRYPOINT and CMD are the process `web`, and `processes` of the app beside it; EXPOSE says where it listens. The first
/// TCP port is the one that is asked for readiness: what is spoken there is not known, so a connection is enough.
pub fn launch(config: &Config, processes: &BTreeMap<String, Command>, env: &BTreeMap<String, String>) -> LaunchDraft {
    let shell =
        if config.shell.is_empty() { vec!["/bin/sh".to_owned(), "-c".to_owned()] } else { config.shell.clone() };
    let argv: Vec<_> = config.entrypoint.iter().chain(&config.cmd).cloned().collect();
    let own = (!argv.is_empty()).then(|| (web(), argv));
    let more = processes.iter().map(|(name, command)| (name.clone(), command.argv(&shell)));
    let ports: Vec<_> = config.ports.iter().filter_map(|text| port(text)).collect();
    let mut ports = ports;
    ports.sort_by_key(|port| (port.protocol == Protocol::Udp, port.number));
    let first = ports.iter().find(|port| port.protocol == Protocol::Tcp);
    let mut all: BTreeMap<_, _> = config.env.iter().cloned().collect();
    all.extend(env.clone());
    LaunchDraft {
        processes: own
            .into_iter()
            .chain(more)
            .map(|(name, argv)| (name, vec![Candidate { built: Vec::new(), argv }]))
            .collect(),
        health: first.map(|port| Health { port: port.name.clone(), path: "/".to_owned(), within: PATIENCE }),
        ports,
        env: all,
        user: if config.user.is_empty() { "root".to_owned() } else { config.user.clone() },
        dir: if config.dir.is_empty() { "/".to_owned() } else { config.dir.clone() },
    }
}

fn port(text: &str) -> Option<Port> {
    let (number, transport) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match transport {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        // Instances are reached by nothing else.
        _ => return None,
    };
    Some(Port { name: format!("{transport}-{number}"), number: number.parse().ok()?, protocol, process: web() })
}
