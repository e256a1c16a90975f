//! The supervisor of one running artifact: `till __supervise FOLDER`. It holds the folder's lock while the instance lives,
//! keeps its output, and says how it ended.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use till_core::Failure;
use till_core::plan::{Bytes, Limits, Network, Step};
use till_core::port::LogSink;
use till_image::{Compression, Store};
use tokio::signal::unix::{SignalKind, signal};

use super::errand::{Group, Sockets};
use super::mounts::{Access, Bind};
use super::places::{self, Stubs};
use super::runner::{Ended, MachineOrder, Order, READY, Running, is_ended, read_json, write_json};
use super::seat::Folder;
use super::spec::Seat;
use super::{Config, ContainerError, House, Machine, Runtime, egress, io, step};
use crate::hypervisor::{Hypervisor, Life, Told};

/// Runs the instance of a folder to its end; a machine by that hypervisor.
pub async fn supervise(folder: &Path, hypervisor: &dyn Hypervisor) -> Result<(), Failure> {
    let _ = rustix::process::setsid();
    let Some(order) = read_json::<Order>(folder, "request.json") else {
        return Err(Failure::new(till_core::Fault::House, format!("there is no order in {}", folder.display())));
    };
    let Some(folder) = Folder::inherited(folder)? else {
        return Err(Failure::new(till_core::Fault::House, "another supervisor has this instance"));
    };
    if is_ended(&folder.path) {
        return Ok(());
    }
    let ended = match &order.machine {
        Some(machine) => live(&order, machine, &folder, hypervisor).await,
        None => run(&order, &folder).await,
    };
    let ended = match ended {
        Ok(ended) => ended,
        Err(failure) => Ended {
            how: "could not be started".to_owned(),
            code: None,
            said: Some(failure.chain()),
            fault: Some(failure.fault),
        },
    };
    // What it wrote goes with it; what it said stays.
    let _ = std::fs::remove_dir_all(folder.upper());
    write_json(&folder.path, "ended.json", &ended)?;
    Ok(())
}

async fn run(order: &Order, folder: &Folder) -> Result<Ended, Failure> {
    let house = House {
        config: Config {
            data: order.data.clone(),
            first_id: order.first_id,
            compression: Compression::default(),
            supervisor: PathBuf::new(),
            machine: Machine::default(),
        },
        store: Store::open(&order.data.join("images"))?,
        runtime: Runtime::named(&order.runtime),
    };
    let overlay = folder.mount(order.id.as_str(), &order.lower)?;
    let root = overlay.root();
    let resolver = egress::write_resolv_conf(&folder.path).map_err(io("write", &folder.path))?;
    let hosts = egress::write_hosts(&folder.path).map_err(io("write", &folder.path))?;
    let nobody = (order.first_id, order.first_id);
    let mut binds = Vec::new();
    for (source, path) in [(resolver, "/etc/resolv.conf"), (hosts, "/etc/hosts")] {
        if let Some(place) = places::file(&root, path, nobody, &mut Stubs::default())? {
            binds.push(Bind::mount(&source, &place, Access::Read)?);
        }
    }
    let seat = Seat { name: order.id.as_str(), root: &root, ids: house.config.ids(), limits: &order.limits };
    let mut log = RollingLog::create(&folder.path, order.limits.log.0).map_err(io("write the log in", &folder.path))?;
    let running =
        step::Running::start(&house, folder, &seat, &command(order)?, BTreeMap::new(), &order.forwards).await?;
    let facts = Running { pid: running.pid, supervisor: std::process::id() };
    write_json(&folder.path, "running.json", &facts)?;
    let exit = running.wait(None, || false, &mut log).await;
    drop(binds);
    drop(overlay);
    Ok(Ended::of(exit.evidence))
}

/// A machine in place of a container.
async fn live(
    order: &Order,
    machine: &MachineOrder,
    folder: &Folder,
    hypervisor: &dyn Hypervisor,
) -> Result<Ended, Failure> {
    let limits = Limits { memory: Bytes(machine.memory), ..order.limits.clone() };
    let sockets = Sockets::make(order.id.as_str())?;
    let group = Group::make(order.id.as_str(), &limits)?;
    let mut asked =
        signal(SignalKind::terminate()).map_err(|error| Failure::house("cannot listen for signals", error))?;
    let stop = async move {
        asked.recv().await;
    };
    tokio::pin!(stop);
    let mut log = RollingLog::create(&folder.path, order.limits.log.0).map_err(io("write the log in", &folder.path))?;
    // Who wants it to end asks us.
    let facts = Running { pid: std::process::id(), supervisor: std::process::id() };
    write_json(&folder.path, "running.json", &facts)?;
    let once = order.launch.ports.iter().all(|port| port.process != order.process).then_some(order.process.as_str());
    let life = Life {
        disk: &machine.disk,
        system: machine.system.as_ref(),
        hostname: &machine.hostname,
        kernel: machine.kernel.as_deref(),
        overlay: &folder.upper().join("disk"),
        memory: machine.memory,
        limits: &limits,
        forwards: &order.forwards,
        once,
        forwarder: egress::forwarder(),
        folder: &sockets.0,
        adopt: &|pid| group.put(pid),
    };
    let mut told = |Told::Ready| drop(std::fs::write(folder.path.join(READY), b""));
    hypervisor.live(&life, &mut told, stop, &mut log).await.map(Ended::of)
}

fn command(order: &Order) -> Result<Step, ContainerError> {
    let process = order.launch.processes.get(&order.process).ok_or_else(|| ContainerError::Start {
        step: order.process.clone(),
        said: "the artifact has no such process".to_owned(),
    })?;
    Ok(Step {
        name: order.process.clone(),
        argv: process.argv.clone(),
        env: order.launch.env_of(&order.process),
        dir: order.launch.dir.clone(),
        user: order.launch.user.clone(),
        network: Network::Egress,
        built: Vec::new(),
        mounts: Vec::new(),
    })
}

/// A log of at most twice `half` bytes: when one half is full it becomes `log.1`, and a new one is begun.
struct RollingLog {
    folder: PathBuf,
    file: File,
    written: u64,
    half: u64,
}

impl RollingLog {
    fn create(folder: &Path, limit: u64) -> std::io::Result<Self> {
        Ok(Self {
            file: File::create(folder.join("log"))?,
            folder: folder.to_owned(),
            written: 0,
            half: (limit / 2).max(4096),
        })
    }

    fn roll(&mut self) -> std::io::Result<()> {
        std::fs::rename(self.folder.join("log"), self.folder.join("log.1"))?;
        self.file = File::create(self.folder.join("log"))?;
        self.written = 0;
        Ok(())
    }
}

impl LogSink for RollingLog {
    fn write(&mut self, bytes: &[u8]) {
        if self.written > self.half {
            let _ = self.roll();
        }
        self.written += bytes.len() as u64;
        let _ = self.file.write_all(bytes);
    }
}
