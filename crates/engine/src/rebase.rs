//! Another image below an artifact: its lower layers are exchanged, and nothing is run. For what Cloud Native Buildpacks
//! made, which keep what is the app's apart from what is below it.

use till_core::contract::cnb::{self, Below, NewRun, Rebase, Rules};
use till_core::id::PreparationId;
use till_core::model::artifact::ARTIFACT_LABEL;
use till_core::plan::Bytes;
use till_core::provenance::Exchange;
use till_core::{Digest, Failure, Fault, ManifestDigest, PlanDigest};
use till_image::{Assembly, History, Image};
use till_ledger::ArtifactFact;

use crate::catalog::{ArtifactEntry, written};
use crate::disk::Runs;
use crate::journal::Observer;
use crate::lock::{self, Sharing};
use crate::system::refuse_disk;
use crate::world::World;
use crate::{Engine, new_bits};

/// The time of images that buildpacks made, 1980-01-01T00:00:01Z.
const EPOCH: u64 = 315_532_801;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct RebaseWish {
    /// The artifact.
    pub artifact: String,
    /// What is to lie below it, a base or a reference; by default the newest of what lies there now.
    pub run: Option<String>,
    /// Are the rules held that keep it from what it does not fit upon?
    pub rules: Rules,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Rebased {
    /// What it is now.
    pub artifact: ManifestDigest,
    /// What it was.
    pub from: ManifestDigest,
    /// What lies below now.
    pub run: String,
    /// Its digest.
    pub run_digest: ManifestDigest,
    /// That lay there already: nothing was changed.
    pub unchanged: bool,
}

impl Engine {
    /// Puts an artifact upon another image.
    pub async fn rebase(&self, wish: &RebaseWish, observer: &dyn Observer) -> Result<Rebased, Failure> {
        let _no_gc = lock::take(&self.folder("locks")?, "gc", Sharing::Shared, || {}).await?;
        let entry = self.artifact(&wish.artifact).await?;
        refuse_disk(&entry.image.layers, "it cannot be laid upon another base")?;
        let labels = &entry.image.config.labels;
        let run = wish.run.clone().or_else(|| family(labels)).ok_or_else(|| {
            let what = format!("nothing says what `{}` lies upon: it was not made by buildpacks", wish.artifact);
            Failure::new(Fault::Caller, what).hint("build the app again upon the new base")
        })?;
        let below = World::new(self, Fault::Caller, observer).image(&run).await?;
        let new = NewRun {
            name: &run,
            digest: &below.manifest,
            labels: &below.config.labels,
            top: below.layers.last().map(|layer| &layer.diff_id),
        };
        let layers: Vec<_> = entry.image.layers.iter().map(|layer| &layer.diff_id).collect();
        let rebased = |artifact: ManifestDigest, unchanged| Rebased {
            artifact,
            from: entry.fact.digest.clone(),
            run: run.clone(),
            run_digest: below.manifest.clone(),
            unchanged,
        };
        match cnb::rebase(labels, &layers, &new, wish.rules)? {
            Rebase::Nothing => Ok(rebased(entry.fact.digest.clone(), true)),
            Rebase::Exchange { below: count, labels } => {
                let image = self.exchanged(&entry, count, labels, &run, &below)?;
                let id = PreparationId::from_bits(new_bits());
                self.gate_of(&entry, &image, &id, observer).await?;
                self.enter(&entry, &image, (&run, &below), id, observer).await?;
                Ok(rebased(image.manifest, false))
            }
        }
    }

    fn exchanged(
        &self,
        entry: &ArtifactEntry,
        count: usize,
        labels: std::collections::BTreeMap<String, String>,
        run: &str,
        below: &Image,
    ) -> Result<Image, Failure> {
        let mut label = entry.label.clone();
        label.plan = plan(entry, below);
        label.images = [(run.to_owned(), below.manifest.clone())].into();
        let mut config = entry.image.config.clone();
        config.labels = labels;
        let upper = entry.image.layers.iter().skip(count).cloned().map(|layer| (layer, String::new())).collect();
        let assembly = Assembly {
            base: Some(below),
            history: Some(above(&config.history, count, entry.image.layers.len() - count)),
            config: Some(config),
            layers: upper,
            epoch: EPOCH,
            labels: [(ARTIFACT_LABEL.to_owned(), written(&label))].into(),
            launch: None,
            annotations: [
                ("org.opencontainers.image.title".to_owned(), entry.fact.app.to_string()),
                ("org.opencontainers.image.base.digest".to_owned(), below.manifest.to_string()),
                ("org.opencontainers.image.base.name".to_owned(), run.to_owned()),
            ]
            .into(),
        };
        Ok(till_image::assemble(&assembly, &self.store)?)
    }

    /// What was made for machines is booted from its disk before it is an artifact, also when only what lies below it changed.
    async fn gate_of(
        &self,
        entry: &ArtifactEntry,
        image: &Image,
        id: &PreparationId,
        observer: &dyn Observer,
    ) -> Result<(), Failure> {
        let Some(machine) = &entry.label.machine else { return Ok(()) };
        let runs = Runs {
            image: &image.manifest,
            layers: &image.layers,
            launch: &entry.label.launch,
            app: &entry.fact.app,
            memory: Bytes(machine.min_memory),
            system: machine.system.as_ref(),
        };
        let log = self.folder(&format!("logs/{id}"))?.join("boot.log");
        self.gate(&runs, machine.kernel.as_ref(), &log, observer).await
    }

    async fn enter(
        &self,
        entry: &ArtifactEntry,
        image: &Image,
        (run, below): (&str, &Image),
        id: PreparationId,
        observer: &dyn Observer,
    ) -> Result<(), Failure> {
        let (plan, now) = (plan(entry, below), (self.now)());
        self.ledger.begin(&id, "app", entry.fact.app.as_str(), &plan, now).await?;
        let fact = ArtifactFact {
            digest: image.manifest.clone(),
            plan,
            made: now,
            preparation: id.clone(),
            ..entry.fact.clone()
        };
        self.ledger.add_artifact(&fact).await?;
        let exchange = Exchange {
            subject: &image.manifest,
            app: entry.fact.app.as_str(),
            from: &entry.fact.digest,
            run: (run, &below.manifest),
            preparation: &id,
        };
        self.describe_rebased(image, &exchange, observer).await;
        Ok(self.ledger.end(&id, None, (self.now)()).await?)
    }
}

/// Stands for the plan that would have made it: nobody wrote one, and none that is written has this digest.
fn plan(entry: &ArtifactEntry, below: &Image) -> PlanDigest {
    PlanDigest(Digest::of(format!("rebase {} {}", entry.fact.plan, below.manifest).as_bytes()))
}

/// What lies below now, in whichever version is the newest.
fn family(labels: &std::collections::BTreeMap<String, String>) -> Option<String> {
    let metadata: serde_json::Value = serde_json::from_str(labels.get(cnb::METADATA)?).ok()?;
    let below: Below = serde_json::from_value(metadata["runImage"].clone()).ok()?;
    let name = below.image.split('@').next().unwrap_or_default().to_owned();
    (!name.is_empty()).then_some(name)
}

/// The history of the layers above the lowest so many.
fn above(history: &[History], count: usize, layers: usize) -> Vec<History> {
    let mut seen = 0;
    let rest: Vec<_> = history
        .iter()
        .skip_while(|entry| {
            let below = seen < count;
            seen += usize::from(below && !entry.empty_layer);
            below
        })
        .cloned()
        .collect();
    match rest.iter().filter(|entry| !entry.empty_layer).count() == layers {
        true => rest,
        false => vec![History::default(); layers],
    }
}
