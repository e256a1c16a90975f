//! A stage, as the text that a system is handed: a line for each act, fields between tabs, UTF-8, `%XX` for what lines and fields
//! are parted by. `crates/guest/windows/job.c` reads it.

use std::collections::{BTreeMap, BTreeSet};

use super::line::command_line;
use super::upon::{Service, SystemDraft};
use crate::model::Protocol;
use crate::plan::{Deed, Injection, Network, Place, Plan, Stage, Step};

/// One thing that the system does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// The archive of that number is unpacked.
    Unpack {
        /// From 0.
        archive: usize,
        /// Where.
        to: String,
    },
    /// A command runs.
    Run(Step),
    /// A process starts with the system from now on.
    Service(Service),
    /// The firewall lets in what is for a port.
    Open {
        /// Its number.
        port: u16,
        /// `TCP` or `UDP`.
        transport: &'static str,
    },
    /// It is made what several machines can be started from.
    Generalize(Vec<String>),
    /// It is switched off.
    Off,
}

impl Act {
    /// For people.
    pub fn name(&self) -> String {
        match self {
            Self::Unpack { .. } => "source".to_owned(),
            Self::Run(step) => step.name.clone(),
            Self::Service(service) => format!("service {}", service.process),
            Self::Open { port, .. } => format!("firewall {port}"),
            Self::Generalize(_) => "generalize".to_owned(),
            Self::Off => "shutdown".to_owned(),
        }
    }
}

/// What a system does between one start and being off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// In this order.
    pub acts: Vec<Act>,
    /// May a step have the system restarted?
    restarts: bool,
    /// Names services in the system's own lists.
    title: String,
    epoch: u64,
}

impl Job {
    /// What a stage comes to; none where the plan is for no such system.
    pub fn of(plan: &Plan, number: usize, stage: &Stage, title: &str) -> Option<Self> {
        let system = plan.system.as_ref()?;
        let mut acts = Vec::new();
        let mut archives = 0..;
        for deed in &stage.deeds {
            match deed {
                Deed::Inject(Injection { place: Place::Dir(to), .. }) => {
                    acts.push(Act::Unpack { archive: archives.next()?, to: to.clone() });
                }
                Deed::Run(step) => acts.push(Act::Run(step.clone())),
                Deed::Inject(_) | Deed::Bootstrap(_) => return None,
            }
        }
        if plan.is_work(number) {
            acts.extend(last(system));
        }
        acts.push(Act::Off);
        Some(Self { acts, restarts: system.spec.restarts, title: title.to_owned(), epoch: stage.epoch })
    }

    /// One step alone, of which nothing is kept.
    pub fn trial(step: &Step, title: &str) -> Self {
        Self { acts: vec![Act::Run(step.clone()), Act::Off], restarts: false, title: title.to_owned(), epoch: 0 }
    }

    /// Does any of its steps need the outside? A system has a network, or has none, from its start to its end.
    pub fn network(&self) -> bool {
        self.acts.iter().any(|act| matches!(act, Act::Run(step) if step.network == Network::Egress))
    }

    /// Its text. `house` are variables of steps that reach the outside, `lent` files of the drive that such variables name.
    pub fn text(&self, nonce: &str, house: &BTreeMap<String, String>, lent: &BTreeMap<String, String>) -> String {
        let mut text = line(&["nonce", nonce]);
        for act in &self.acts {
            match act {
                Act::Unpack { archive, to } => text += &line(&["unpack", &archive_name(*archive), to]),
                Act::Run(step) => {
                    text += &line(&["variable", "SOURCE_DATE_EPOCH", &self.epoch.to_string()]);
                    if step.network == Network::Egress {
                        lent.iter().for_each(|(name, file)| text += &line(&["lend", name, file]));
                        text += &variables(house);
                    }
                    text += &variables(&step.env);
                    let restarts = if self.restarts { "1" } else { "0" };
                    text += &line(&["run", restarts, &step.dir, &command_line(&step.argv)]);
                }
                Act::Service(service) => {
                    text += &variables(&service.env);
                    let title = format!("{} of {}", service.process, self.title);
                    let name = format!("till-{}", service.process);
                    text += &line(&["service", &name, &title, &service.dir, &command_line(&service.argv)]);
                }
                Act::Open { port, transport } => {
                    text += &line(&["open", transport, &port.to_string(), &format!("till {} {port}", self.title)]);
                }
                Act::Generalize(argv) => text += &line(&["run", "0", "", &command_line(argv)]),
                Act::Off => text += &line(&["off"]),
            }
        }
        text
    }
}

/// What makes of a prepared system an artifact.
fn last(system: &SystemDraft) -> Vec<Act> {
    let mut acts: Vec<_> = system.services.iter().cloned().map(Act::Service).collect();
    let ports = system.services.iter().flat_map(|service| &service.ports);
    let opened: BTreeSet<_> =
        ports.map(|port| (port.number, if port.protocol == Protocol::Udp { "UDP" } else { "TCP" })).collect();
    acts.extend(opened.into_iter().map(|(port, transport)| Act::Open { port, transport }));
    if let Some(command) = &system.spec.generalize {
        let shell = super::spec::SHELL.map(str::to_owned);
        acts.push(Act::Generalize(command.argv(&shell)));
    }
    acts
}

/// What the archive of that number is called on the drive.
pub(super) fn archive_name(number: usize) -> String {
    format!("source{number}.tar")
}

fn variables(env: &BTreeMap<String, String>) -> String {
    env.iter().map(|(name, value)| line(&["variable", name, value])).collect()
}

fn line(fields: &[&str]) -> String {
    let fields: Vec<_> = fields.iter().map(|field| escape(field)).collect();
    fields.join("\t") + "\n"
}

fn escape(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    for c in field.chars() {
        match c {
            '%' => text += "%25",
            '\t' => text += "%09",
            '\n' => text += "%0A",
            '\r' => text += "%0D",
            // Nothing that could be handed to Windows has it.
            '\0' => {}
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(argv: &[&str], network: Network) -> Step {
        Step {
            name: "build".to_owned(),
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            env: BTreeMap::from([("PATH".to_owned(), "C:\\python;%PATH%".to_owned())]),
            dir: "C:\\app".to_owned(),
            user: "SYSTEM".to_owned(),
            network,
            built: Vec::new(),
            mounts: Vec::new(),
        }
    }

    #[test]
    fn a_job_is_lines_of_fields() {
        let service = Service {
            process: "web".to_owned(),
            argv: ["serve.exe", "a b"].map(str::to_owned).to_vec(),
            env: BTreeMap::from([("X".to_owned(), "tab\tand\r\nlines, 100%".to_owned())]),
            dir: "C:\\app".to_owned(),
            ports: Vec::new(),
        };
        let job = Job {
            acts: vec![
                Act::Unpack { archive: 0, to: "C:\\app".to_owned() },
                Act::Run(step(&["cmd.exe", "/d", "/s", "/c", "echo \"x\""], Network::Egress)),
                Act::Service(service),
                Act::Open { port: 8080, transport: "TCP" },
                Act::Off,
            ],
            restarts: true,
            title: "shop".to_owned(),
            epoch: 7,
        };
        let house = BTreeMap::from([("PIP_INDEX_URL".to_owned(), "u".to_owned())]);
        let lent = BTreeMap::from([("PIP_CERT".to_owned(), "lent0".to_owned())]);
        let expected = [
            "nonce\tn",
            "unpack\tsource0.tar\tC:\\app",
            "variable\tSOURCE_DATE_EPOCH\t7",
            "lend\tPIP_CERT\tlent0",
            "variable\tPIP_INDEX_URL\tu",
            "variable\tPATH\tC:\\python;%25PATH%25",
            "run\t1\tC:\\app\tcmd.exe /d /s /c \"echo \"x\"\"",
            "variable\tX\ttab%09and%0D%0Alines, 100%25",
            "service\ttill-web\tweb of shop\tC:\\app\tserve.exe \"a b\"",
            "open\tTCP\t8080\ttill shop 8080",
            "off\n",
        ];
        assert_eq!(job.text("n", &house, &lent), expected.join("\n"));
        assert!(job.network());
        let quiet = Job::trial(&step(&["x"], Network::None), "shop");
        assert!(
            !quiet.network() && !quiet.text("n", &house, &lent).contains("lend"),
            "who has no network is lent nothing"
        );
    }
}
