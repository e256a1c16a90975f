//! Artifacts that run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use till_core::id::InstanceId;
use till_core::model::{Launch, Protocol, together};
use till_core::plan::Limits;
use till_core::port::{Observed, RunMachine, RunRequest};
use till_core::words::{list, nearest};
use till_core::{Failure, Fault};
use till_ledger::InstanceFact;

use crate::catalog::ArtifactEntry;
use crate::disk::Runs;
use crate::journal::Observer;
use crate::lock::{self, Sharing};
use crate::{Engine, new_bits, unknown};

/// A new id for an instance.
pub fn new_instance_id() -> InstanceId {
    InstanceId::from_bits(new_bits())
}

/// What of an artifact is run.
#[derive(Debug, Clone, Default)]
pub enum Wanted {
    /// `web`, or the only one.
    #[default]
    Default,
    /// The one of that name.
    Named(String),
    /// All services, in one instance.
    All,
}

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct RunWish {
    /// Its id, chosen before anything happens, so that who asked can stop it at any moment.
    pub id: InstanceId,
    /// Which artifact.
    pub artifact: String,
    /// Which process type.
    pub process: Wanted,
    /// Which port of the host's loopback.
    pub publish: Option<u16>,
    /// Environment beyond the artifact's.
    pub env: BTreeMap<String, String>,
    /// Where; none: where it was made for.
    pub environment: Option<String>,
    /// The kernel's package, for a machine; none: the artifact's.
    pub kernel: Option<String>,
}

/// An instance and what is known of it now.
#[derive(Debug, Clone)]
pub struct InstanceEntry {
    /// What the ledger knows.
    pub fact: InstanceFact,
    /// What is seen.
    pub observed: Observed,
    /// The port's protocol is HTTP.
    pub http: bool,
}

impl InstanceEntry {
    /// Where it answers.
    pub fn url(&self) -> Option<String> {
        let scheme = if self.http { "http" } else { "tcp" };
        self.fact.port.map(|port| format!("{scheme}://127.0.0.1:{port}/"))
    }
}

impl Engine {
    /// Starts an artifact and waits until it answers.
    pub async fn run(&self, wish: &RunWish, observer: &dyn Observer) -> Result<InstanceEntry, Failure> {
        let locks = self.folder("locks")?;
        let _no_gc = lock::take(&locks, "gc", Sharing::Shared, || {}).await?;
        let entry = self.artifact(&wish.artifact).await?;
        let mut launch = entry.label.launch.clone();
        let in_machine = match &wish.environment {
            Some(name) => self.environment(name)?.has_kernel(),
            None => entry.label.machine.is_some(),
        };
        if wish.kernel.is_some() && !in_machine {
            return Err(Failure::new(Fault::Caller, "a container has this machine's kernel").hint("--in qemu"));
        }
        let system = entry.label.machine.as_ref().and_then(|machine| machine.system.as_ref());
        if system.is_some() {
            refuse_of_system(wish, in_machine)?;
        }
        let process = process_of(wish, &mut launch, in_machine, system.is_some())?;
        launch.env.extend(wish.env.clone());
        let machine = if in_machine {
            if process != together::ALL {
                launch.services = vec![process.clone()];
            }
            Some(self.machine_for(&entry, &launch, wish, observer).await?)
        } else {
            None
        };
        let port = launch.ports.iter().find(|port| port.process == process || process == together::ALL);
        let http = port.is_some_and(|port| is_http(port.protocol));
        let mut fact = InstanceFact {
            id: wish.id.clone(),
            artifact: entry.fact.digest,
            process: process.clone(),
            port: None,
            began: (self.now)(),
        };
        self.ledger.put_instance(&fact).await?;
        let request = RunRequest {
            id: fact.id.clone(),
            layers: entry.image.layers,
            launch,
            process,
            publish: wish.publish,
            limits: Limits::default(),
            machine,
            transient: false,
        };
        let started = self.runner.start(&request).await;
        if started.is_err() && self.runner.inspect(&fact.id).await? == Observed::Gone {
            // It never began: there is nothing to look at or to stop.
            self.ledger.remove_instance(&fact.id).await?;
        }
        fact.port = started?.port;
        self.ledger.put_instance(&fact).await?;
        Ok(InstanceEntry { fact, observed: Observed::Running, http })
    }

    /// The machine that an artifact runs in, with this kernel, or the one that it was made with.
    async fn machine_for(
        &self,
        entry: &ArtifactEntry,
        launch: &Launch,
        wish: &RunWish,
        observer: &dyn Observer,
    ) -> Result<RunMachine, Failure> {
        let kernel = match (&wish.kernel, &entry.label.machine) {
            (None, Some(machine)) => machine.kernel.clone(),
            (wanted, _) => {
                let base = entry.label.base.as_ref().map_or(&entry.fact.digest, |base| &base.digest);
                self.kernel_upon(Some(base), &entry.image.layers, wanted.as_deref(), observer).await?
            }
        };
        let runs = Runs {
            image: &entry.fact.digest,
            layers: &entry.image.layers,
            launch,
            app: &entry.fact.app,
            memory: Limits::default().memory,
            system: entry.label.machine.as_ref().and_then(|machine| machine.system.as_ref()),
        };
        self.machine(&runs, kernel.as_ref(), observer).await
    }

    /// All instances, the newest first. Those of which nothing is left are forgotten.
    pub async fn instances(&self) -> Result<Vec<InstanceEntry>, Failure> {
        let mut entries = Vec::new();
        for fact in self.ledger.instances().await? {
            let observed = self.runner.inspect(&fact.id).await?;
            let young = (self.now)() - fact.began < 60;
            if observed == Observed::Gone && !young {
                self.ledger.remove_instance(&fact.id).await?;
                continue;
            }
            let http = match self.artifact(fact.artifact.as_str()).await {
                Ok(entry) => {
                    let launch = entry.label.launch;
                    // All of them together listen where `web` does.
                    let all = fact.process == together::ALL && !launch.processes.contains_key(together::ALL);
                    let launch = if all { together::together(&launch).unwrap_or(launch) } else { launch };
                    launch.ports.iter().any(|port| port.process == fact.process && is_http(port.protocol))
                }
                Err(_) => false,
            };
            entries.push(InstanceEntry { fact, observed, http });
        }
        Ok(entries)
    }

    async fn instance(&self, wanted: &str) -> Result<InstanceFact, Failure> {
        let facts = self.ledger.instances().await?;
        let hex = wanted.strip_prefix("inst_").unwrap_or(wanted);
        let mut found = facts.iter().filter(|fact| {
            hex.len() >= 4 && (fact.id.as_str().ends_with(hex) || fact.id.as_str()[5..].starts_with(hex))
        });
        match (found.next(), found.next()) {
            (Some(fact), None) => Ok(fact.clone()),
            (Some(_), Some(_)) => {
                Err(unknown(format!("`{wanted}` names several instances"), "give the whole id; `till ps` shows it"))
            }
            (None, _) => Err(unknown(format!("there is no instance `{wanted}`"), "`till ps` shows what runs")),
        }
    }

    /// Where the log of an instance is.
    pub async fn log(&self, wanted: &str) -> Result<(InstanceFact, PathBuf), Failure> {
        let fact = self.instance(wanted).await?;
        let path = self.runner.log(&fact.id);
        Ok((fact, path))
    }

    /// Stops an instance and forgets it.
    pub async fn stop(&self, wanted: &str) -> Result<InstanceFact, Failure> {
        let fact = self.instance(wanted).await?;
        self.runner.stop(&fact.id).await?;
        self.ledger.remove_instance(&fact.id).await?;
        Ok(fact)
    }
}

/// Which process type is run; of all, the launch becomes one that starts all.
fn process_of(wish: &RunWish, launch: &mut Launch, in_machine: bool, is_system: bool) -> Result<String, Failure> {
    match &wish.process {
        // All of them are services of the system.
        Wanted::Default if is_system => Ok(together::ALL.to_owned()),
        Wanted::Default => choose(&launch.processes, launch.default_process(), None),
        Wanted::Named(name) => choose(&launch.processes, None, Some(name)),
        Wanted::All => {
            let none = || Failure::new(Fault::Caller, "the artifact has no process that runs on");
            let all = together::together(launch).ok_or_else(none)?;
            // A machine has something that keeps several running.
            if !in_machine {
                *launch = all;
            }
            Ok(together::ALL.to_owned())
        }
    }
}

/// A system starts what is registered in it, as it is registered.
fn refuse_of_system(wish: &RunWish, in_machine: bool) -> Result<(), Failure> {
    let refused = |what: &str, hint: &str| Err(Failure::new(Fault::Caller, what).hint(hint));
    if !in_machine {
        return refused("the artifact is a disk: it does not run in a container", "leave --in out");
    }
    if wish.kernel.is_some() {
        return refused("the artifact is a disk: its kernel is its own", "leave --kernel out");
    }
    if matches!(wish.process, Wanted::Named(_)) || !wish.env.is_empty() {
        let what =
            "the artifact's processes are services of its system, which starts all of them as they were registered";
        return refused(what, "set what they need in till.toml, and leave --process and --env out");
    }
    Ok(())
}

fn is_http(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Http | Protocol::H2c)
}

fn choose(
    processes: &BTreeMap<String, till_core::model::Process>,
    default: Option<&str>,
    wanted: Option<&str>,
) -> Result<String, Failure> {
    let names = || processes.keys().map(String::as_str);
    match wanted.or(default) {
        Some(name) if processes.contains_key(name) => Ok(name.to_owned()),
        Some(name) => {
            let near = nearest(name, names()).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            Err(unknown(format!("the artifact has no process `{name}`"), &format!("{near}it has: {}", list(names()))))
        }
        None => Err(Failure::new(Fault::Caller, "the artifact has several processes, none of them `web`")
            .hint(format!("give --process or --all; it has: {}", list(names())))),
    }
}
