//! The one mill: whatever wrote the plan, it becomes layers here. Nothing is chosen any more.
//!
//! ```text
//! mod.rs    which stages are needed, in which order, and which are taken from before
//! stage.rs  one stage: its instance, its deeds, its layer
//! sitting.rs one stage in a system that does all of it itself
//! spread.rs directories of another tree, each of which becomes a layer
//! starts.rs why something cannot be started
//! files.rs  archives of what is put into instances
//! ```
//!
//! Work is asked for from the top: a stage is looked at when something needs it, so what nothing needs is never made.
//! Stages that do not need each other are made at the same time, as many as there are processors.

mod files;
mod sitting;
mod spread;
mod stage;
mod starts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::future::{BoxFuture, FutureExt, try_join_all};
use till_core::contract::Collected;
use till_core::model::SourceView;
use till_core::plan::{Footing, Plan, Reuse, Stage, content_key, private_stages, stage_keys};
use till_core::port::{Layer, SourceTree};
use till_core::{Digest, Failure, Fault, ManifestDigest};
use tokio::sync::{OnceCell, Semaphore};

pub(crate) use files::digest_of_file;

use crate::Engine;
use crate::journal::{Event, Observer, StepReport};

/// Where the files of a plan come from.
pub(crate) struct Material<'a> {
    /// Source, or what a base's folder holds for a Dockerfile.
    pub(crate) source: Option<(&'a dyn SourceTree, &'a SourceView)>,
    /// The folder of a base.
    pub(crate) folder: Option<&'a Path>,
    /// What steps may ask for by name, and nobody else may know.
    pub(crate) secrets: &'a BTreeMap<String, Vec<u8>>,
    /// Archives of just the packages of steps, each in a folder that its packages name.
    pub(crate) packages: Option<&'a Path>,
    /// Where steps that are watched leave what they got, each in a folder of its number.
    pub(crate) record: Option<&'a Path>,
}

/// A plan that is carried out.
pub(crate) struct Milling<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) plan: &'a Plan,
    pub(crate) material: Material<'a>,
    pub(crate) caches: PathBuf,
    /// Whose doing a failing step is.
    pub(crate) fault: Fault,
    pub(crate) afresh: bool,
    /// May its layers be taken by others later?
    pub(crate) keeps_layers: bool,
    /// Who builds sits at a terminal, and wants to look into the instance of a step that failed.
    pub(crate) looks: bool,
    pub(crate) observer: &'a dyn Observer,
    /// For archives; goes with the milling.
    pub(crate) staging: PathBuf,
    /// For the logs of steps.
    pub(crate) logs: PathBuf,
}

/// What came of it.
pub(crate) struct Milled {
    /// The new ones, and what made each.
    pub(crate) layers: Vec<(Layer, String)>,
    pub(crate) collected: Collected,
    pub(crate) steps: Vec<StepReport>,
    pub(crate) notices: Vec<String>,
}

/// What happened so far.
#[derive(Default)]
struct Story {
    steps: Vec<StepReport>,
    notices: Vec<String>,
    collected: Collected,
    /// Archives that were begun.
    archives: usize,
    /// Logs that were begun.
    logs: usize,
}

/// A layer that is there.
#[derive(Clone)]
struct Made {
    layer: Layer,
    /// Names it for the conclusion.
    name: String,
    /// For the image's history.
    created_by: String,
}

struct Mill<'a> {
    milling: Milling<'a>,
    keys: Vec<Option<Digest>>,
    private: Vec<bool>,
    /// The layers of each stage, as soon as they are there: one, unless it is spread.
    layers: Vec<OnceCell<Vec<Made>>>,
    story: Mutex<Story>,
    /// As many stages at once as there are processors.
    turns: Semaphore,
    /// Caches that one step at a time may use.
    locks: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Milling<'_> {
    pub(crate) async fn run(self) -> Result<Milled, Failure> {
        let private = private_stages(self.plan);
        let scoped = |(number, key): (usize, Option<Digest>)| key.map(|key| self.scoped(&key, private[number]));
        let mill = Mill {
            keys: stage_keys(self.plan).into_iter().enumerate().map(scoped).collect(),
            private,
            layers: self.plan.stages.iter().map(|_| OnceCell::new()).collect(),
            story: Mutex::default(),
            turns: Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)),
            locks: Mutex::default(),
            milling: self,
        };
        let plan = mill.milling.plan;
        let chain = plan.chain(&plan.top);
        let layers = try_join_all(chain.iter().map(|number| mill.layers(*number))).await?.concat();
        // Only they who have layers of their own making have to be told from what lies below.
        let below = match chain.iter().any(|number| plan.stages[*number].spread.is_some()) {
            true => mill.image(plan.root(&plan.top))?.pop(),
            false => None,
        };
        let mut story = mill.story.into_inner().unwrap_or_else(PoisonError::into_inner);
        story.collected.below = below.map(|layer| layer.diff_id);
        story.collected.layers = layers.iter().map(|made| (made.name.clone(), made.layer.diff_id.clone())).collect();
        Ok(Milled {
            layers: layers.into_iter().map(|made| (made.layer, made.created_by)).collect(),
            collected: story.collected,
            steps: story.steps,
            notices: story.notices,
        })
    }

    /// Caches are one app's, and what a step takes from them is in its layer: so the layer is taken again by that app only.
    fn scoped(&self, key: &Digest, private: bool) -> Digest {
        // The caches' folder is called like the app; where it lies does not matter.
        match self.caches.file_name().filter(|_| private) {
            Some(app) => Digest::of(format!("{key} {}", app.to_string_lossy()).as_bytes()),
            None => key.clone(),
        }
    }
}

impl<'a> Mill<'a> {
    /// The layers of a stage: taken, or made with all that it needs.
    fn layers(&self, number: usize) -> BoxFuture<'_, Result<Vec<Made>, Failure>> {
        let stage = &self.milling.plan.stages[number];
        let only = |layer| vec![Made { layer, name: stage.name.clone(), created_by: format!("till: {}", stage.name) }];
        let find_or_make = async move || {
            let began = Instant::now();
            if let Some(layer) = self.known_layer(self.keys[number].as_ref()).await? {
                self.report(&stage.name, began, true);
                return Ok(only(layer));
            }
            let trees = try_join_all(stage.trees().into_iter().map(|footing| self.tree(footing))).await?;
            let _turn = self.turns.acquire().await;
            match &stage.spread {
                Some(spread) => self.spread(stage, spread, &trees).await,
                None => self.make(number, stage, trees).await.map(only),
            }
        };
        async move { self.layers[number].get_or_try_init(find_or_make).await.cloned() }.boxed()
    }

    /// All layers of something, the lowest first.
    async fn tree(&self, footing: &Footing) -> Result<Vec<Layer>, Failure> {
        let plan = self.milling.plan;
        let mut layers = self.image(plan.root(footing))?;
        let chain = plan.chain(footing);
        let made = try_join_all(chain.into_iter().map(|number| self.layers(number))).await?.concat();
        layers.extend(made.into_iter().map(|made| made.layer));
        Ok(layers)
    }

    fn image(&self, digest: Option<&ManifestDigest>) -> Result<Vec<Layer>, Failure> {
        match digest {
            Some(digest) => Ok(till_image::load(&self.milling.engine.store, digest)?.layers),
            None => Ok(Vec::new()),
        }
    }

    /// Makes a layer, unless what goes into it has made one before, whatever it was made by.
    async fn make(&self, number: usize, stage: &Stage, trees: Vec<Vec<Layer>>) -> Result<Layer, Failure> {
        let began = Instant::now();
        let gathered = self.gather(stage, &trees).await?;
        let content = (stage.reuse == Reuse::Inputs).then(|| {
            let key = content_key(self.milling.plan, stage, &self.contents(stage, &trees, &gathered));
            self.milling.scoped(&key, self.private[number])
        });
        let layer = match self.known_layer(content.as_ref()).await? {
            Some(layer) => {
                self.report(&stage.name, began, true);
                layer
            }
            None => match &self.milling.plan.system {
                Some(system) => self.sit(system, number, stage, trees.first().map_or(&[][..], Vec::as_slice)).await?,
                None => self.stage(number, stage, &trees, &gathered).await?,
            },
        };
        let now = (self.milling.engine.now)();
        if !self.milling.keeps_layers {
            return Ok(layer);
        }
        for key in self.keys[number].iter().chain(&content) {
            self.milling.engine.ledger.add_layer(key, &layer, now).await?;
        }
        Ok(layer)
    }

    /// A layer of the same inputs that is still there.
    async fn known_layer(&self, key: Option<&Digest>) -> Result<Option<Layer>, Failure> {
        let Some(key) = key.filter(|_| !self.milling.afresh) else {
            return Ok(None);
        };
        let layer = self.milling.engine.ledger.layer(key).await?;
        Ok(layer.filter(|layer| self.milling.engine.store.has(&layer.blob)))
    }

    /// What a Dockerfile asks for is the doing of who wrote it, whichever image lies below. The name says the line.
    fn of_instruction(&self, name: &str, failure: Failure) -> Failure {
        if !self.milling.plan.is_dockerfile() || !matches!(failure.fault, Fault::Base | Fault::Source) {
            return failure;
        }
        let is_named = failure.error.to_string().contains(name);
        let failure = Failure { fault: self.milling.fault, ..failure };
        if is_named { failure } else { failure.within(format!("`{name}` cannot be carried out")) }
    }

    fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn event(&self, event: Event<'_>) {
        self.milling.observer.event(event);
    }

    fn begin(&self, name: &str) -> Instant {
        self.event(Event::Began(name));
        Instant::now()
    }

    fn report(&self, name: &str, began: Instant, reused: bool) {
        let report = StepReport {
            name: name.to_owned(),
            milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            reused,
        };
        self.event(Event::Ended(&report));
        self.story().steps.push(report);
    }

    /// Something of ours that took time, told only when it was noticeable.
    fn note(&self, name: &str, began: Instant) {
        if began.elapsed().as_millis() >= 50 {
            self.report(name, began, false);
        }
    }

    /// Something that the user should know, told once.
    fn notice(&self, text: String) {
        let is_new = !self.story().notices.contains(&text);
        if is_new {
            self.event(Event::Notice(&text));
            self.story().notices.push(text);
        }
    }
}
