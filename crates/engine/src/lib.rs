//! Movement: carries plans out through ports, and writes down what came of it. It names no technology.
//!
//! ```text
//! mill.rs      the one mill: a plan becomes layers
//! prepare.rs   source + base -> artifact
//! chain.rs     several contracts in a row: the output of one is the source of the next
//! detect.rs    which base prepares a source, when nobody says
//! draft.rs     a base before it is made
//! rebase.rs    another image below an artifact
//! recreate.rs  recipe -> base
//! recipes.rs   what is kept of recipes: to follow a lock, to make a base again and compare
//! packages/    which packages a recipe comes to, kept and lent
//! import.rs    images that others made -> bases
//! run.rs       artifacts that run
//! usage.rs     what a base says itself of how it is used
//! world.rs     what a Dockerfile names of the world outside
//! disk.rs      images as disks that boot
//! kernel.rs    which kernel they have
//! system.rs    images that are disks, and stay so
//! exchange/    images to registries and from them
//! catalog.rs   what there is: bases and artifacts, found by what people type
//! collect.rs   gc, and the sweep at start
//! inventory.rs what is in images, how they came about, what differs
//! journal.rs   logs of steps: kept, bounded, shown
//! lock.rs      who may do what at the same time
//! ```

mod catalog;
mod chain;
mod collect;
mod detect;
mod disk;
mod draft;
mod exchange;
mod import;
mod inventory;
mod journal;
mod kernel;
mod lock;
mod mill;
mod packages;
mod prepare;
mod rebase;
mod recipes;
mod recreate;
mod run;
mod system;
mod usage;
mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use till_core::contract::Settings;
use till_core::port::{Bootstrapper, DiskMaker, Environment, Fetcher, Registry, Runner, Sources, Systems};
use till_core::words::list;
use till_core::{Failure, Fault};
use till_image::Store;
use till_ledger::Ledger;

pub use catalog::{ArtifactEntry, BaseAbout, BaseEntry};
pub use collect::{Collection, Swept};
pub use disk::{DiskWish, WrittenDisk};
pub use exchange::{PullTraffic, Pulled, PushTraffic, PushWish, Pushed};
pub use import::{BaseImported, DiskImportWish, ImportWish, Naming};
pub use inventory::{Format, ImageDifference, Named};
pub use journal::{Event, Observer, StepReport, plain};
pub use kernel::KERNEL;
pub use prepare::{Built, Planned, Wish};
pub use rebase::{RebaseWish, Rebased};
pub use recipes::{KeptRecipe, Verified};
pub use recreate::{LockUse, Made, Remake};
pub use run::{InstanceEntry, RunWish, Wanted, new_instance_id};
pub use world::Reach;

/// Everything that work needs, wired by till.
#[derive(Clone)]
pub struct Engine {
    /// Where everything is kept.
    pub data: PathBuf,
    /// Facts.
    pub ledger: Ledger,
    /// Images.
    pub store: Store,
    /// Where plans are carried out, and whatever else is done in images.
    pub environment: Arc<dyn Environment>,
    /// Where plans are carried out when it is asked for by name.
    pub others: Vec<Arc<dyn Environment>>,
    /// What makes systems from packages.
    pub bootstrapper: Arc<dyn Bootstrapper>,
    /// What starts systems that stay disks.
    pub systems: Arc<dyn Systems>,
    /// What makes disks of images.
    pub disks: Arc<dyn DiskMaker>,
    /// What runs artifacts.
    pub runner: Arc<dyn Runner>,
    /// Where images come from and go to.
    pub registry: Arc<dyn Registry>,
    /// What gets single files of the web.
    pub fetcher: Arc<dyn Fetcher>,
    /// Where code of others comes from.
    pub sources: Arc<dyn Sources>,
    /// Programs of the house that run inside instances, by name.
    pub programs: BTreeMap<&'static str, &'static [u8]>,
    /// What the operator says of code that contracts call by name.
    pub settings: Settings,
    /// Seconds since 1970, now.
    pub now: fn() -> i64,
}

impl Engine {
    /// The environment of that name; the usual one where there is none.
    fn environment_of(&self, name: Option<&str>) -> Result<&dyn Environment, Failure> {
        name.map_or(Ok(&*self.environment), |name| self.environment(name))
    }

    /// The environment of that name.
    fn environment(&self, name: &str) -> Result<&dyn Environment, Failure> {
        let all = std::iter::once(&self.environment).chain(&self.others);
        let found = all.clone().find(|environment| environment.name() == name);
        found.map(|environment| &**environment).ok_or_else(|| {
            let names = list(all.map(|environment| environment.name()));
            unknown(format!("there is no environment `{name}`"), &format!("there is: {names}"))
        })
    }

    /// A folder of the data directory, made when missing.
    fn folder(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.data.join(name);
        std::fs::create_dir_all(&path)
            .map_err(|error| Failure::house(format!("cannot make `{}`", path.display()), error))?;
        Ok(path)
    }
}

/// 128 bits for an id that sorts by time.
fn new_bits() -> u128 {
    uuid::Uuid::now_v7().as_u128()
}

/// Something that a command named does not exist.
fn unknown(what: String, hint: &str) -> Failure {
    Failure::new(Fault::Caller, what).hint(hint)
}
