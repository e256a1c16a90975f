//! Which technology fills which port.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use till_core::Failure;
use till_core::contract::{Settings, cnb};
use till_engine::Engine;
use till_ground::Patience;
use till_ground::container::{self, Containers, Machine, Runtime};
use till_ground::debian::Mmdebstrap;
use till_ground::fetch::Web;
use till_ground::qemu::Machines;
use till_ground::registry::{Registries, auth_files};
use till_ground::source::Places;
use till_image::Store;
use till_ledger::Ledger;

use crate::config::Config;
use crate::inside::{GUEST, LIFECYCLE, WINDOWS};

/// Everything, wired. What the dead left behind is swept away first.
pub(crate) async fn engine(data: &Path) -> Result<Engine, Failure> {
    let config = Config::read(data)?;
    secure(data)?;
    let runtime = Runtime::probe(&config.runtimes, data, config.first_id, false).await?;
    let store = Store::open(&data.join("images"))?;
    let supervisor = std::env::current_exe().map_err(|error| Failure::house("cannot find our own binary", error))?;
    let containers = container::Config {
        data: data.to_owned(),
        first_id: config.first_id,
        compression: config.compression,
        supervisor,
        machine: Machine::of(variables()),
    };
    let containers = Arc::new(Containers::new(containers, store.clone(), runtime));
    let machines = Machines::new(GUEST, WINDOWS, data.to_owned());
    let in_machines = Arc::new(containers.with_machines(Arc::new(machines.clone())));
    let engine = Engine {
        data: data.to_owned(),
        ledger: Ledger::open(&data.join("ledger.sqlite")).await?,
        store,
        environment: containers.clone(),
        others: vec![in_machines.clone()],
        systems: in_machines,
        bootstrapper: Arc::new(Mmdebstrap { apt: PathBuf::from("/etc/apt") }),
        disks: Arc::new(machines),
        runner: containers,
        registry: Arc::new(Registries::new(
            Path::new("/etc/containers"),
            auth_files(&variables().collect()),
            Patience::default(),
        )),
        fetcher: Arc::new(Web::default()),
        sources: Arc::new(Places::default()),
        programs: BTreeMap::from([(cnb::PROGRAM, LIFECYCLE)]),
        settings: Settings { buildpacks: config.buildpacks, cartridges: config.cartridges },
        now,
    };
    engine.sweep().await?;
    Ok(engine)
}

/// Nobody but us reads what is kept: sources, logs, artifacts. The data directory itself may be anyone's, so only what we
/// make in it is closed.
fn secure(data: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    for name in ["caches", "disks", "images", "instances", "inventory", "layers", "locks", "logs", "partial", "staging"]
    {
        let path = data.join(name);
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|error| Failure::house(format!("cannot make `{}`", path.display()), error))?;
    }
    let ledger = data.join("ledger.sqlite");
    let made = std::fs::File::options().create(true).append(true).mode(0o600).open(&ledger);
    made.map_err(|error| Failure::house(format!("cannot make `{}`", ledger.display()), error))?;
    Ok(())
}

/// The environment, without what is not UTF-8.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Seconds since 1970, now.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
