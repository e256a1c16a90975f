//! An environment whose instances are files in memory, and whose steps are closures. Its layers are real: tiny tars in a
//! store, so that images can be put together from them, lost and collected.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use till_core::contract::Collected;
use till_core::model::FileKind;
use till_core::plan::{Injection, Landing, Place, Step, TreeFiles};
use till_core::port::{Capture, Environment, Evidence, Exit, Instance, Layer, Loan, LogSink, Opening};
use till_core::{DiffId, Failure, Fault};
use till_image::Store;
use tokio::sync::Semaphore;

use crate::archive;
use crate::tree::{Entry, Tree};

/// Begins the name of an entry that says that a file of a lower layer is gone (OCI image spec).
const WHITEOUT: &str = ".wh.";

/// What a step's closure sees.
pub struct Scene<'a> {
    /// All files, by absolute path.
    pub files: &'a mut BTreeMap<String, Vec<u8>>,
    /// The step.
    pub step: &'a Step,
    /// What it is lent.
    pub loans: &'a [Loan],
    /// Where its output goes.
    pub log: &'a mut dyn LogSink,
}

type Script = Arc<dyn Fn(&mut Scene<'_>) -> Evidence + Send + Sync>;

#[derive(Default)]
struct Shared {
    scripts: BTreeMap<String, Script>,
    gates: BTreeMap<String, Arc<Gate>>,
    deeds: Vec<String>,
    living: usize,
    kept: BTreeSet<DiffId>,
}

struct Gate {
    arrived: Semaphore,
    open: Semaphore,
}

/// A step that waits until it is let go.
pub struct Held(Arc<Gate>);

impl Held {
    /// Waits until the step is there.
    pub async fn arrived(&self) {
        self.0.arrived.acquire().await.unwrap().forget();
    }

    /// Lets it go on.
    pub fn release(self) {
        self.0.open.add_permits(1);
    }
}

/// An environment in memory. A step that has no closure does nothing, and well.
#[derive(Clone)]
pub struct Machine {
    store: Store,
    shared: Arc<Mutex<Shared>>,
    in_machines: bool,
}

impl Machine {
    /// An environment that keeps its layers in that store.
    pub fn new(store: &Store) -> Self {
        Self { store: store.clone(), shared: Arc::default(), in_machines: false }
    }

    /// The same, as one of machines.
    #[must_use]
    pub fn called_qemu(self) -> Self {
        Self { in_machines: true, ..self }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    /// The layers that the last collection asked it to keep.
    pub fn kept(&self) -> BTreeSet<DiffId> {
        self.shared().kept.clone()
    }

    /// From now on the step of that name does this.
    pub fn script(&self, step: &str, script: impl Fn(&mut Scene<'_>) -> Evidence + Send + Sync + 'static) {
        self.shared().scripts.insert(step.to_owned(), Arc::new(script));
    }

    /// From now on the step of that name writes a file.
    pub fn writes(&self, step: &str, path: &str, text: &str) {
        let (path, text) = (path.to_owned(), text.as_bytes().to_vec());
        self.script(step, move |scene| {
            scene.files.insert(path.clone(), text.clone());
            Evidence::Code(0)
        });
    }

    /// From now on the step of that name fails.
    pub fn fails(&self, step: &str, evidence: Evidence) {
        self.script(step, move |scene| {
            scene.log.write(b"first line\nit broke\n");
            evidence
        });
    }

    /// The next time that the step of that name is run it waits.
    pub fn hold(&self, step: &str) -> Held {
        let gate = Arc::new(Gate { arrived: Semaphore::new(0), open: Semaphore::new(0) });
        self.shared().gates.insert(step.to_owned(), gate.clone());
        Held(gate)
    }

    /// What was done since this was asked last: `open 2` (over two layers), `inject /app: a b`, `run NAME`, `trial NAME`,
    /// `find`, `snapshot`.
    pub fn deeds(&self) -> Vec<String> {
        std::mem::take(&mut self.shared().deeds)
    }

    /// Instances that are open now.
    pub fn living(&self) -> usize {
        self.shared().living
    }

    fn did(&self, deed: impl Into<String>) {
        self.shared().deeds.push(deed.into());
    }
}

#[async_trait]
impl Environment for Machine {
    fn name(&self) -> &'static str {
        if self.in_machines { "qemu" } else { "memory" }
    }

    fn has_kernel(&self) -> bool {
        self.in_machines
    }

    async fn gather(&self, layers: &[Layer], files: &TreeFiles, into: &Path) -> Result<(), Failure> {
        self.did(format!("gather {}", files.sources.join(" ")));
        let mut all = BTreeMap::new();
        layers.iter().for_each(|layer| apply(&self.store.path(&layer.blob), &mut all));
        let mut found = Tree::new();
        for source in &files.sources {
            let below = format!("{}/", source.trim_end_matches('/'));
            for (path, content) in &all {
                let name = if path == source { path.rsplit('/').next() } else { path.strip_prefix(&below) };
                found.extend(name.map(|name| (name.to_owned(), file(content))));
            }
        }
        archive::write(
            found.iter().map(|(path, entry)| (path.as_str(), entry)),
            0,
            std::fs::File::create(into).unwrap(),
        );
        Ok(())
    }

    async fn open(&self, opening: Opening) -> Result<Box<dyn Instance>, Failure> {
        self.did(format!("open {}", opening.layers.len()));
        let mut files = BTreeMap::new();
        opening.layers.iter().for_each(|layer| apply(&self.store.path(&layer.blob), &mut files));
        self.shared().living += 1;
        Ok(Box::new(Seat {
            machine: self.clone(),
            before: files.clone(),
            files,
            mounted: BTreeSet::new(),
            epoch: opening.epoch,
        }))
    }

    async fn collect(&self, keep: &BTreeSet<DiffId>) -> Result<u64, Failure> {
        self.shared().kept = keep.clone();
        Ok(0)
    }

    async fn sweep(&self) -> Result<usize, Failure> {
        Ok(0)
    }
}

/// An instance.
struct Seat {
    machine: Machine,
    before: BTreeMap<String, Vec<u8>>,
    files: BTreeMap<String, Vec<u8>>,
    /// Files that are no part of it.
    mounted: BTreeSet<String>,
    epoch: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.machine.shared().living -= 1;
    }
}

impl Seat {
    async fn perform(&mut self, step: &Step, loans: &[Loan], log: &mut dyn LogSink) -> Exit {
        let gate = self.machine.shared().gates.remove(&step.name);
        if let Some(gate) = gate {
            gate.arrived.add_permits(1);
            gate.open.acquire().await.unwrap().forget();
        }
        let script = self.machine.shared().scripts.get(&step.name).cloned();
        let mut scene = Scene { files: &mut self.files, step, loans, log };
        let evidence = script.map_or(Evidence::Code(0), |script| script(&mut scene));
        Exit { evidence, took: Duration::ZERO }
    }
}

#[async_trait]
impl Instance for Seat {
    async fn inject(&mut self, what: &Injection, content: &Path) -> Result<(), Failure> {
        let (Place::Dir(at) | Place::Tar(at) | Place::Copy(Landing { path: at, .. })) = &what.place;
        if matches!(what.place, Place::Tar(_)) {
            self.machine.did(format!("mount {at}"));
            self.files.insert(at.clone(), std::fs::read(content).unwrap());
            self.mounted.insert(at.clone());
            return Ok(());
        }
        let found = archive::read(content).into_iter().filter_map(|found| Some((found.path, found.entry?)));
        let found: Vec<_> = found.collect();
        let names: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
        self.machine.did(format!("inject {at}: {}", names.join(" ")));
        let becomes = match &what.place {
            Place::Copy(landing) => !landing.directory && found.len() == 1,
            _ => false,
        };
        let placed = |(path, entry): (String, Entry)| {
            let at = at.trim_end_matches('/');
            (if becomes { at.to_owned() } else { format!("{at}/{path}") }, entry.content)
        };
        self.files.extend(found.into_iter().map(placed));
        Ok(())
    }

    async fn run(&mut self, step: &Step, loans: &[Loan], log: &mut dyn LogSink) -> Result<Exit, Failure> {
        loans.iter().for_each(|loan| self.machine.did(format!("lend {}", loan.path)));
        self.machine.did(format!("run {}", step.name));
        Ok(self.perform(step, loans, log).await)
    }

    async fn trial(&mut self, step: &Step, log: &mut dyn LogSink) -> Result<Exit, Failure> {
        self.machine.did(format!("trial {}", step.name));
        let files = self.files.clone();
        let exit = self.perform(step, &[], log).await;
        self.files = files;
        Ok(exit)
    }

    async fn find(&mut self, patterns: &[String]) -> Result<Collected, Failure> {
        self.machine.did("find");
        let found = patterns.iter().map(|pattern| {
            let paths = self.files.keys().filter(|path| matches(pattern, path));
            (pattern.clone(), paths.cloned().collect())
        });
        Ok(Collected { found: found.collect(), ..Collected::default() })
    }

    async fn read(&mut self, patterns: &[String]) -> Result<BTreeMap<String, String>, Failure> {
        self.machine.did("read");
        let wanted = |path: &str| patterns.iter().any(|pattern| matches(pattern, path));
        let texts = self.files.iter().filter(|(path, _)| wanted(path));
        Ok(texts.map(|(path, bytes)| (path.clone(), String::from_utf8_lossy(bytes).into_owned())).collect())
    }

    async fn snapshot(mut self: Box<Self>, capture: &Capture) -> Result<Layer, Failure> {
        self.machine.did("snapshot");
        let patterns = capture.remove.iter().chain(&capture.volatile);
        let removed = |path: &str| patterns.clone().any(|pattern| matches(pattern, path));
        self.files.retain(|path, _| !self.mounted.contains(path) && !removed(path));
        let changed = self.files.iter().filter(|(path, content)| self.before.get(*path) != Some(content));
        let mut layer: Tree = changed.map(|(path, content)| (inside(path), file(content))).collect();
        let gone = self.before.keys().filter(|path| !self.files.contains_key(*path));
        layer.extend(gone.map(|path| (whiteout(&inside(path)), file(b""))));
        let mut writer = self.machine.store.writer()?;
        archive::write(layer.iter().map(|(path, entry)| (path.as_str(), entry)), self.epoch, &mut writer);
        let (blob, size) = writer.finish().map_err(|error| Failure::new(Fault::House, error.to_string()))?;
        let media_type = "application/vnd.oci.image.layer.v1.tar".to_owned();
        Ok(Layer { diff_id: DiffId(blob.0.clone()), blob, size, media_type })
    }
}

fn file(content: &[u8]) -> Entry {
    Entry { kind: FileKind::File, content: content.to_vec() }
}

fn inside(path: &str) -> String {
    path.trim_start_matches('/').to_owned()
}

fn whiteout(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/{WHITEOUT}{name}"),
        None => format!("{WHITEOUT}{path}"),
    }
}

/// Puts a layer over files.
fn apply(layer: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    let mut archive = tar::Archive::new(BufReader::new(std::fs::File::open(layer).unwrap()));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let path = format!("/{}", String::from_utf8_lossy(&entry.path_bytes()));
        if path.contains(&format!("/{WHITEOUT}")) {
            files.remove(&path.replace(&format!("/{WHITEOUT}"), "/"));
            continue;
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.insert(path, content);
    }
}

/// Whether a path is what the pattern says; `*` stays within a part.
fn matches(pattern: &str, path: &str) -> bool {
    let (patterns, parts): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    patterns.len() == parts.len() && patterns.iter().zip(parts).all(|(pattern, part)| part_matches(pattern, part))
}

fn part_matches(pattern: &str, part: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == part,
        Some((begin, rest)) => part.strip_prefix(begin).is_some_and(|tail| {
            let ends = tail.char_indices().map(|(end, _)| end).chain([tail.len()]);
            ends.into_iter().any(|end| part_matches(rest, &tail[end..]))
        }),
    }
}
