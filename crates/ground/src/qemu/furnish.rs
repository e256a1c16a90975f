//! What is put into a tree so that it is a machine: decided here, as data.

use std::collections::BTreeMap;

use till_core::model::{Launch, Protocol};
use till_guest::{Command, MACHINE, Machine, PROGRAM, Ready};

/// What a tree has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// systemd is there.
    pub(super) systemd: bool,
    /// Something of its own configures the network.
    pub(super) network: bool,
}

/// Something that is put into a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    File { path: String, mode: u32, bytes: Vec<u8> },
    Link { path: String, target: String },
}

impl Piece {
    fn text(path: &str, text: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), mode: 0o644, bytes: text.into().into_bytes() }
    }

    fn link(path: String, target: &str) -> Self {
        Self::Link { path, target: target.to_owned() }
    }
}

/// The first process of a machine, as its kernel is told.
pub(super) fn init(facts: &Facts) -> &'static str {
    if facts.systemd { "/lib/systemd/systemd" } else { PROGRAM }
}

/// What the machine is told of the launch.
pub(super) fn machine(launch: &Launch, hostname: &str) -> Machine {
    let command = |(name, process): (&String, &till_core::model::Process)| {
        let command = Command {
            argv: process.argv.clone(),
            env: environment(launch, name),
            dir: launch.dir.clone(),
            user: launch.user.clone(),
            // Who listens for others is never done.
            may_end: launch.ports.iter().all(|port| port.process != *name),
        };
        (name.clone(), command)
    };
    let services: Vec<_> =
        launch.services.iter().filter(|name| launch.processes.contains_key(*name)).cloned().collect();
    Machine {
        version: 1,
        hostname: hostname.to_owned(),
        processes: launch.processes.iter().map(command).collect(),
        ready: ready(launch, &services),
        services,
    }
}

/// As a container's process has it.
fn environment(launch: &Launch, process: &str) -> BTreeMap<String, String> {
    let mut env = launch.env_of(process);
    env.entry("PATH".to_owned())
        .or_insert_with(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
    env
}

/// The health question, or that something listens at the first port.
fn ready(launch: &Launch, services: &[String]) -> Option<Ready> {
    let runs = |port: &&till_core::model::Port| services.contains(&port.process);
    let asked = launch.health.as_ref();
    let named = asked.and_then(|health| launch.ports.iter().filter(runs).find(|port| port.name == health.port));
    let port = named.or_else(|| launch.ports.iter().find(runs))?;
    let path = asked.filter(|_| named.is_some()).map_or("/", |health| &health.path);
    Some(Ready {
        port: port.number,
        path: (port.protocol == Protocol::Http).then(|| path.to_owned()),
        datagrams: port.protocol == Protocol::Udp,
    })
}

/// Everything but kernel, initramfs and boot loader.
pub(super) fn pieces(machine: &Machine, facts: &Facts, guest: &[u8], root: &str) -> Vec<Piece> {
    let json = serde_json::to_string_pretty(machine).unwrap_or_default();
    let mut pieces = vec![
        Piece::File { path: PROGRAM.to_owned(), mode: 0o755, bytes: guest.to_vec() },
        Piece::text(MACHINE, json + "\n"),
        Piece::text("/etc/fstab", format!("UUID={root} / ext4 rw,relatime 0 1\n")),
        Piece::text("/etc/hostname", format!("{}\n", machine.hostname)),
        Piece::text("/etc/hosts", hosts(&machine.hostname)),
    ];
    if facts.systemd {
        pieces.extend(units(machine, facts));
        // systemd makes one at the first boot, for this machine alone (machine-id(5)).
        pieces.push(Piece::text("/etc/machine-id", ""));
    }
    pieces
}

fn hosts(hostname: &str) -> String {
    format!("127.0.0.1\tlocalhost\n127.0.1.1\t{hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n")
}

/// Where systemd looks for what the machine's owner says.
const UNITS: &str = "/etc/systemd/system";
const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";

/// Units for systemd. Who runs what with which environment is in machine.json: unit files have rules of their own about
/// quotes, `%` and `$`.
fn units(machine: &Machine, facts: &Facts) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut add = |name: &str, text: String, enabled: bool| {
        pieces.push(Piece::text(&format!("{UNITS}/{name}"), text));
        if enabled {
            pieces.push(Piece::link(format!("{WANTS}/{name}"), &format!("../{name}")));
        }
    };
    if !facts.network {
        let text = format!(
            "[Unit]\nDescription=Address by DHCP\nWants=network.target\nBefore=network.target network-online.target\n\n\
             [Service]\nExecStart={PROGRAM} network\nRestart=always\nRestartSec=1\n"
        );
        add("till-network.service", text, true);
    }
    for (name, command) in &machine.processes {
        let restart = if command.may_end { "on-failure" } else { "always" };
        let text = format!(
            "[Unit]\nDescription=Process {name}\nAfter=network.target network-online.target\n\n\
             [Service]\nExecStart={PROGRAM} service {name}\nRestart={restart}\nRestartSec=1\n\
             StandardOutput=journal+console\nStandardError=journal+console\n"
        );
        add(&unit(name), text, machine.services.contains(name));
    }
    let after: Vec<_> = machine.services.iter().map(|name| unit(name)).collect();
    let text = format!(
        "[Unit]\nDescription=The processes answer\nAfter={}\n\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
         TimeoutStartSec=infinity\nExecStart={PROGRAM} ready\nStandardError=journal+console\n",
        after.join(" ")
    );
    add("till-ready.service", text, true);
    pieces
}

/// The unit of a process type. Names of process types are words of letters, digits, `-`, `_` and `.`; what else there may be
/// is no part of a file's name.
fn unit(process: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    format!("till-{}.service", process.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use till_core::model::launch::Span;
    use till_core::model::{Health, Port, Process};

    use super::*;

    fn launch() -> Launch {
        let process = |words: &[&str]| Process { argv: words.iter().map(|word| (*word).to_owned()).collect() };
        Launch {
            processes: BTreeMap::from([
                ("web".to_owned(), process(&["serve", "100% \"$x\""])),
                ("release".to_owned(), process(&["migrate"])),
            ]),
            services: vec!["web".to_owned()],
            default: None,
            ports: vec![Port {
                name: "http".to_owned(),
                number: 8080,
                protocol: Protocol::Http,
                process: "web".to_owned(),
            }],
            health: Some(Health { port: "http".to_owned(), path: "/up".to_owned(), within: Span(60) }),
            env: BTreeMap::new(),
            user: "app".to_owned(),
            dir: "/app".to_owned(),
        }
    }

    #[test]
    fn a_machine_runs_what_a_container_would() {
        let machine = machine(&launch(), "shop");
        assert_eq!(machine.services, ["web"]);
        assert_eq!(machine.processes["web"].env["PORT"], "8080");
        assert_eq!(machine.processes["release"].argv, ["migrate"]);
        let ready = machine.ready.unwrap();
        assert_eq!((ready.port, ready.path.as_deref(), ready.datagrams), (8080, Some("/up"), false));
    }

    #[test]
    fn what_only_listens_is_ready_when_it_listens() {
        let mut launch = launch();
        launch.ports[0].protocol = Protocol::Tcp;
        launch.health = None;
        assert_eq!(ready(&launch, &launch.services).unwrap().path, None);
        launch.ports.clear();
        assert_eq!(ready(&launch, &launch.services), None);
    }

    fn paths(facts: &Facts) -> Vec<String> {
        let path = |piece: Piece| match piece {
            Piece::File { path, .. } | Piece::Link { path, .. } => path,
        };
        pieces(&machine(&launch(), "shop"), facts, b"", "u").into_iter().map(path).collect()
    }

    #[test]
    fn a_tree_with_systemd_gets_a_unit_for_each_process_and_only_services_are_started() {
        let all = paths(&Facts { systemd: true, network: false });
        for path in ["till-web.service", "till-release.service", "till-network.service", "till-ready.service"] {
            assert!(all.contains(&format!("{UNITS}/{path}")), "{path}");
        }
        assert!(all.contains(&format!("{WANTS}/till-web.service")));
        assert!(!all.contains(&format!("{WANTS}/till-release.service")));
        assert!(!paths(&Facts { systemd: true, network: true }).iter().any(|path| path.contains("till-network")));
        assert!(!paths(&Facts::default()).iter().any(|path| path.contains("systemd")));
    }

    #[test]
    fn a_unit_has_nothing_of_the_command_in_it() {
        let facts = Facts { systemd: true, network: false };
        let units: Vec<_> = units(&machine(&launch(), "shop"), &facts)
            .into_iter()
            .filter_map(|piece| match piece {
                Piece::File { bytes, .. } => Some(String::from_utf8(bytes).unwrap()),
                Piece::Link { .. } => None,
            })
            .collect();
        assert!(units.iter().any(|text| text.contains("guest service web\n")));
        assert!(!units.iter().any(|text| text.contains("$x")));
    }
}
