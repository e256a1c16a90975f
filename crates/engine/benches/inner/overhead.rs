//! W1: one small file is put in, `true` is run, the image is there and described. It is what `till build` does behind the
//! command line, with everything real but who runs containers: ledger, store and documents are on disk.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use till_core::contract::Settings;
use till_core::dockerfile::spec::Choice;
use till_core::port::Environment;
use till_core::{Failure, Fault};
use till_engine::{Engine, Event, LockUse, Observer, Remake, Wish};
use till_image::Store;
use till_ledger::Ledger;
use till_testkit::{Bench, Machine, MemorySource, Packages, Shelf};

use crate::bare::Bare;

/// The base of the bench: its contract knows one step.
const BASE: &str = r#"
name = "bench"
description = "what the bench builds with"
owner = "Tillage"
[recipe]
kind = "debian"
suite = "bookworm"
[[recipe.file]]
source = "status"
path = "/var/lib/dpkg/status"
[[recipe.file]]
source = "os-release"
path = "/etc/os-release"
[contract]
kind = "command"
[contract.source]
as = "dir"
at = "/app"
[[contract.step]]
name = "true"
run = ["true"]
[[contract.process]]
name = "web"
run = ["true"]
"#;

const DISTRIBUTION: &str = "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nPRETTY_NAME=\"Debian 12\"\n";

/// As many as the smallest Debian has, about: each is in every document.
const PACKAGES: u32 = 100;

pub(crate) fn set_up(folder: &Path) -> Result<(), Failure> {
    let recipe = folder.join("base");
    let files = [("base.toml", BASE), ("status", &status()), ("os-release", DISTRIBUTION)];
    let written = std::fs::create_dir_all(&recipe)
        .and_then(|()| files.iter().try_for_each(|(name, text)| std::fs::write(recipe.join(name), text)));
    written.map_err(|error| Failure::house("cannot write the base's folder", error))?;
    wait(async {
        let engine = engine(folder, |store| Arc::new(Machine::new(&store))).await?;
        let remake = Remake { afresh: false, lock: LockUse::Refresh(recipe.join("base.lock")) };
        let source = MemorySource::folder(&recipe);
        engine.recreate(&recipe, &source, &remake, &Silent).await.map(drop)
    })
}

pub(crate) fn go(folder: &Path) -> Result<(), Failure> {
    let instances = folder.join("data/instances");
    wait(async {
        let engine = engine(folder, |store| Arc::new(Bare { store, instances })).await?;
        engine.sweep().await?;
        let built = engine.prepare(&wish()?, &Silent).await?;
        // That documents cannot be made fails no build, so we look.
        match engine.ledger.referrers(&built.artifact).await?.len() {
            3 if !built.reused => Ok(()),
            _ => Err(Failure::new(Fault::House, "that was not a whole build: the folder has to be set up anew")),
        }
    })
}

/// One thread: how several share the work differs from run to run.
fn wait(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::house("cannot start", error))?.block_on(work)
}

async fn engine(folder: &Path, environment: impl FnOnce(Store) -> Arc<dyn Environment>) -> Result<Engine, Failure> {
    let data = folder.join("data");
    let store = Store::open(&data.join("images"))?;
    let shelf = Arc::<Shelf>::default();
    Ok(Engine {
        ledger: Ledger::open(&data.join("ledger.sqlite")).await?,
        environment: environment(store.clone()),
        store,
        data,
        others: Vec::new(),
        bootstrapper: Arc::<Packages>::default(),
        systems: Arc::new(till_testkit::Desks::default()),
        disks: Arc::new(till_testkit::Disks::default()),
        runner: Arc::<Bench>::default(),
        registry: shelf.clone(),
        fetcher: shelf.clone(),
        sources: shelf,
        programs: BTreeMap::new(),
        settings: Settings::default(),
        now: || 1_700_000_000,
    })
}

fn wish() -> Result<Wish, Failure> {
    let not_a_name = |_| Failure::new(Fault::House, "that is not a name");
    Ok(Wish {
        source: Arc::new(MemorySource::new(&[("file", "a small file\n")])),
        base: "bench".parse().ok(),
        name: None,
        default_name: "w1".parse().map_err(not_a_name)?,
        env: BTreeMap::new(),
        choice: Choice::default(),
        buildpacks: Vec::new(),
        reach: till_engine::Reach::World,
        secrets: BTreeMap::new(),
        environment: None,
        disk: false,
        looks: false,
        kernel: None,
        afresh: false,
        clear_cache: false,
    })
}

/// dpkg's database of a system.
fn status() -> String {
    let mut text = String::new();
    for number in 0..PACKAGES {
        // A string takes whatever is written to it.
        let _ = writeln!(
            text,
            "Package: package{number}\nStatus: install ok installed\nArchitecture: amd64\nSource: source{number}\n\
             Version: 1.{number}-2+deb12u1\nDescription: number {number}\n of a system\n"
        );
    }
    text
}

struct Silent;

impl Observer for Silent {
    fn event(&self, _: Event<'_>) {}
}
