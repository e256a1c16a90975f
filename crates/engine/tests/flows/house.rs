//! An engine whose machine, packages and runner are fakes; its store and its layers are real.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use till_core::Failure;
use till_core::contract::Settings;
use till_core::dockerfile::spec::Choice;
use till_engine::{Built, Engine, Event, LockUse, Made, Observer, Reach, Remake, Wish};
use till_image::Store;
use till_ledger::Ledger;
use till_testkit::{Bench, Desks, Disks, Machine, MemorySource, Packages, Shelf};

/// The first part of every `base.toml` here.
pub(crate) const HEAD: &str = "description = \"d\"\nowner = \"o\"\n[recipe]\nkind = \"debian\"\n";

/// A contract with two stages, a test and a step after it.
pub(crate) const CONTRACT: &str = r#"
[contract]
kind = "command"
user = "app"
remove = ["/app/scrap"]
[[contract.cache]]
name = "things"
path = "/cache"
[[contract.step]]
name = "deps"
reads = ["deps.txt"]
run = ["deps"]
[[contract.step]]
name = "build"
run = ["build"]
[[contract.step]]
name = "prune"
after = "test"
run = ["prune"]
[contract.test]
name = "check"
run = ["check"]
[[contract.process]]
name = "web"
run = ["serve"]
[[contract.port]]
name = "http"
number = 8080
protocol = "http"
"#;

/// An engine with everything around it.
pub(crate) struct House {
    pub(crate) engine: Engine,
    pub(crate) machine: Machine,
    pub(crate) packages: Arc<Packages>,
    pub(crate) bench: Arc<Bench>,
    pub(crate) disks: Arc<Disks>,
    pub(crate) desks: Arc<Desks>,
    pub(crate) shelf: Arc<Shelf>,
    folder: TempDir,
}

impl House {
    /// An empty one.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data/images")).unwrap();
        let (machine, packages, bench) = (Machine::new(&store), Arc::<Packages>::default(), Arc::<Bench>::default());
        let (shelf, disks, desks) = (Arc::<Shelf>::default(), Arc::<Disks>::default(), Arc::<Desks>::default());
        let engine = Engine {
            data: folder.path().join("data"),
            ledger: Ledger::in_memory().await.unwrap(),
            store,
            environment: Arc::new(machine.clone()),
            others: Vec::new(),
            bootstrapper: packages.clone(),
            systems: desks.clone(),
            disks: disks.clone(),
            runner: bench.clone(),
            registry: shelf.clone(),
            fetcher: shelf.clone(),
            sources: shelf.clone(),
            programs: BTreeMap::from([("program", &b"a program"[..])]),
            settings: Settings::default(),
            now: || 1_000_000,
        };
        Self { engine, machine, packages, bench, disks, desks, shelf, folder }
    }

    /// One with the base `base`, whose contract is [`CONTRACT`].
    pub(crate) async fn with_base() -> Self {
        Self::with_contract(CONTRACT).await
    }

    /// The same with another contract.
    pub(crate) async fn with_contract(contract: &str) -> Self {
        let house = Self::new().await;
        house.make("base", &format!("suite = \"bookworm\"\n{contract}")).await;
        house.machine.deeds();
        house
    }

    /// The folder of a base; `rest` follows upon [`HEAD`].
    pub(crate) fn recipe(&self, name: &str, rest: &str) -> PathBuf {
        let folder = self.folder.path().join("bases").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("base.toml"), format!("name = \"{name}\"\n{HEAD}{rest}")).unwrap();
        folder
    }

    /// Makes a base.
    pub(crate) async fn make(&self, name: &str, rest: &str) -> Made {
        let folder = self.recipe(name, rest);
        self.recreate(&folder, false, &Silent).await.unwrap()
    }

    /// Makes the base of a folder.
    pub(crate) async fn recreate(&self, folder: &Path, afresh: bool, observer: &dyn Observer) -> Result<Made, Failure> {
        let remake = Remake { afresh, lock: LockUse::Refresh(folder.join("base.lock")) };
        self.engine.recreate(folder, &MemorySource::folder(folder), &remake, observer).await
    }

    /// Makes the base of a folder as its lock says.
    pub(crate) async fn follow(&self, folder: &Path, afresh: bool) -> Result<Made, Failure> {
        let remake = Remake { afresh, lock: LockUse::Follow(folder.join("base.lock")) };
        self.engine.recreate(folder, &MemorySource::folder(folder), &remake, &Silent).await
    }

    /// Prepares an app.
    pub(crate) async fn prepare(&self, wish: &Wish) -> Result<Built, Failure> {
        self.engine.prepare(wish, &Silent).await
    }
}

/// The app `app` with the base `base`; with `deps.txt`, and what is given.
pub(crate) fn wish(files: &[(&str, &str)]) -> Wish {
    let all: Vec<_> = [("deps.txt", "one")].iter().chain(files).copied().collect();
    wish_for("app", MemorySource::new(&all))
}

/// An app of that source with the base `base`.
pub(crate) fn wish_for(app: &str, source: MemorySource) -> Wish {
    Wish {
        source: Arc::new(source),
        base: Some("base".parse().unwrap()),
        name: None,
        default_name: app.parse().unwrap(),
        env: BTreeMap::new(),
        choice: Choice::default(),
        buildpacks: Vec::new(),
        reach: Reach::World,
        secrets: BTreeMap::new(),
        environment: None,
        disk: false,
        looks: false,
        kernel: None,
        afresh: false,
        clear_cache: false,
    }
}

/// Watches nothing.
pub(crate) struct Silent;

impl Observer for Silent {
    fn event(&self, _: Event<'_>) {}
}

/// Writes down what it sees.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Vec<String>>);

impl Seen {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// What follows upon a word, e.g. everything that `began`.
    pub(crate) fn of(&self, word: &str) -> Vec<String> {
        let after = |line: String| line.strip_prefix(&format!("{word} ")).map(str::to_owned);
        self.all().into_iter().filter_map(after).collect()
    }
}

impl Observer for Seen {
    fn event(&self, event: Event<'_>) {
        let line = match event {
            Event::Notice(text) => format!("notice {text}"),
            Event::Waiting(text) => format!("waiting {text}"),
            Event::Began(step) => format!("began {step}"),
            Event::Output(bytes) => format!("output {}", String::from_utf8_lossy(bytes)),
            Event::Ended(step) => format!("ended {}{}", step.name, if step.reused { " (reused)" } else { "" }),
            Event::Failed(step) => format!("failed {step}"),
        };
        self.0.lock().unwrap().push(line);
    }
}
