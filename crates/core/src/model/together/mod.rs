//! All services of an artifact in one instance, as foreman runs a Procfile: with bash, which the image has to have.

use std::collections::BTreeMap;

use super::launch::{Launch, Process, web};

/// What the process is called that is all of them.
pub const ALL: &str = "all";

/// What runs them.
const SCRIPT: &str = include_str!("together.sh");

/// The same artifact with one process that runs all services; none where there are none. What listens for the house is
/// `web`, with its own port; others have a port of their own, or one that is 100 higher than that before it.
pub fn together(launch: &Launch) -> Option<Launch> {
    let web = web();
    let first = launch.services.iter().filter(|name| **name == web);
    let services: Vec<_> = first.chain(launch.services.iter().filter(|name| **name != web)).collect();
    let mut argv: Vec<_> = ["/bin/bash", "-c", SCRIPT, "till"].map(str::to_owned).to_vec();
    let port = |name: &str| launch.ports.iter().find(|port| port.process == name);
    for name in &services {
        let process = launch.processes.get(*name)?;
        let own = port(name).filter(|_| **name != web).map(|port| port.number.to_string());
        argv.extend([(*name).clone(), own.unwrap_or_default(), process.argv.len().to_string()]);
        argv.extend(process.argv.iter().cloned());
    }
    if services.is_empty() {
        return None;
    }
    let mut together = launch.clone();
    together.processes = BTreeMap::from([(ALL.to_owned(), Process { argv })]);
    together.services = vec![ALL.to_owned()];
    together.default = None;
    together.ports.retain(|port| port.process == web && services.contains(&&web));
    together.ports.iter_mut().for_each(|port| ALL.clone_into(&mut port.process));
    together.health = launch.health.clone().filter(|health| together.ports.iter().any(|port| port.name == health.port));
    Some(together)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Health, Port, Protocol};

    fn launch(processes: &[(&str, &[&str])], services: &[&str]) -> Launch {
        let port = |name: &str, number, process: &str| Port {
            name: name.to_owned(),
            number,
            protocol: Protocol::Http,
            process: process.to_owned(),
        };
        let argv = |argv: &[&str]| Process { argv: argv.iter().map(|word| (*word).to_owned()).collect() };
        Launch {
            processes: processes.iter().map(|(name, words)| ((*name).to_owned(), argv(words))).collect(),
            services: services.iter().map(|name| (*name).to_owned()).collect(),
            default: None,
            ports: vec![port("http", 8080, "web"), port("admin", 9000, "admin")],
            health: Some(Health {
                port: "http".to_owned(),
                path: "/".to_owned(),
                within: crate::model::launch::Span(9),
            }),
            env: BTreeMap::new(),
            user: "app".to_owned(),
            dir: "/app".to_owned(),
        }
    }

    #[test]
    fn web_is_the_first_and_commands_that_end_are_left_out() {
        let processes: &[(&str, &[&str])] =
            &[("admin", &["a", "b c"]), ("release", &["migrate"]), ("web", &["w"]), ("worker", &["sh", "-c", "x"])];
        let all = together(&launch(processes, &["admin", "web", "worker"])).unwrap();
        let argv = &all.processes[ALL].argv;
        assert_eq!(argv[..2], ["/bin/bash", "-c"]);
        let wanted = ["web", "", "1", "w", "admin", "9000", "2", "a", "b c", "worker", "", "3", "sh", "-c", "x"];
        assert_eq!(argv[4..], wanted);
        assert_eq!((all.default_process(), all.ports.len()), (Some(ALL), 1));
        assert_eq!(all.env_of(ALL)["PORT"], "8080");
        assert!(all.health.is_some());
    }

    #[test]
    fn without_a_web_nothing_is_asked_for() {
        let all = together(&launch(&[("worker", &["w"])], &["worker"])).unwrap();
        assert_eq!((all.ports.len(), all.health), (0, None));
        assert_eq!(together(&launch(&[("release", &["w"])], &[])), None);
    }
}
