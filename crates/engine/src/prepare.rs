//! Source and base become an artifact.

use std::collections::BTreeMap;

use till_core::contract::{Contract, Request};
use till_core::id::PreparationId;
use till_core::model::artifact::ARTIFACT_LABEL;
use till_core::model::{AppFile, AppName, ArtifactLabel, BaseRef, SourceView, app};
use till_core::plan::{Plan, lint};
use till_core::port::SourceTree;
use till_core::{Failure, Fault, ManifestDigest};
use till_image::{Assembly, Image};
use till_ledger::ArtifactFact;

use crate::catalog::{BaseEntry, written};
use crate::collect::Staging;
use crate::journal::{Event, Observer, StepReport};
use crate::lock::{self, Sharing};
use crate::mill::{Material, Milled, Milling};
use crate::{Engine, new_bits};

/// What the user asked for.
pub struct Wish {
    /// The source.
    pub source: Box<dyn SourceTree>,
    /// The base; by default what till.toml says.
    pub base: Option<BaseRef>,
    /// The app; by default what till.toml says.
    pub name: Option<AppName>,
    /// The app, when nobody says.
    pub default_name: AppName,
    /// Environment of build and run.
    pub env: BTreeMap<String, String>,
    /// Nothing that was made before is taken.
    pub afresh: bool,
}

/// A decision, before anything is done.
pub struct Planned {
    /// What will be done.
    pub plan: Plan,
    /// With which base.
    pub base: BaseEntry,
    /// For which app.
    pub app: AppName,
    /// On which source.
    pub view: SourceView,
}

/// An artifact that is there.
#[derive(Debug, Clone)]
pub struct Built {
    /// Its image.
    pub artifact: ManifestDigest,
    /// What it says of itself.
    pub label: ArtifactLabel,
    /// It was there before.
    pub reused: bool,
    /// How each step went.
    pub steps: Vec<StepReport>,
    /// What the user should know.
    pub notices: Vec<String>,
}

impl Engine {
    /// Decides what will be done, and does nothing.
    pub async fn plan(&self, wish: &Wish) -> Result<Planned, Failure> {
        let mut view = wish.source.view().await?;
        let app_file = self.read_app_file(wish, &view).await?;
        let Some(wanted) = wish.base.clone().or_else(|| app_file.base.clone()) else {
            return Err(Failure::new(Fault::Source, "nothing says which base prepares this source").hint(
                "give --base NAME, or write `base = \"NAME\"` into till.toml; `till base list` shows what there is",
            ));
        };
        let base = self.base(&wanted).await?;
        let contract = &base.label.spec.contract;
        let reads = contract.reads(&view);
        let files: Vec<_> = reads.iter().filter_map(|path| view.file(path).cloned()).collect();
        view.texts = wish.source.texts(&files).await?;
        let request = Request {
            base: &base.fact.version,
            base_epoch: crate::recreate::EPOCH,
            source: &view,
            app: &app_file,
            env: &wish.env,
            environment: self.environment.name(),
        };
        let plan = contract.plan(&request)?;
        if let Some(finding) = lint(&plan).first() {
            return Err(Failure::new(
                Fault::Base,
                format!("the plan cannot be carried out: {}: {}", finding.place, finding.what),
            ));
        }
        let app = wish.name.clone().or(app_file.name).unwrap_or_else(|| wish.default_name.clone());
        Ok(Planned { plan, base, app, view })
    }

    async fn read_app_file(&self, wish: &Wish, view: &SourceView) -> Result<AppFile, Failure> {
        let Some(file) = view.file(app::FILE).cloned() else {
            return Ok(AppFile::default());
        };
        let texts = wish.source.texts(&[file]).await?;
        let text = texts.get(app::FILE).map_or("", String::as_str);
        AppFile::parse(text).map_err(|error| {
            Failure::new(Fault::Source, error.to_string()).hint("docs/reference/till-toml.md lists every key")
        })
    }

    /// Makes the artifact, or takes the one that an equal plan has made.
    pub async fn prepare(&self, wish: &Wish, observer: &dyn Observer) -> Result<Built, Failure> {
        let locks = self.folder("locks")?;
        let _no_gc =
            lock::take(&locks, "gc", Sharing::Shared, || observer.event(Event::Waiting("for gc to end"))).await?;
        let planned = self.plan(wish).await?;
        let notices: Vec<_> =
            planned.view.notices.iter().map(|notice| format!("{}: {}", notice.path, notice.what)).collect();
        notices.iter().for_each(|notice| observer.event(Event::Notice(notice)));
        // Caches belong to the app, so its builds come one after the other.
        let waiting = format!("for another build of `{}`", planned.app);
        let _turn = lock::take(&locks, &format!("app-{}", planned.app), Sharing::Alone, || {
            observer.event(Event::Waiting(&waiting))
        })
        .await?;
        if let Some(built) = self.known(&planned, wish, &notices).await? {
            return Ok(built);
        }
        let id = PreparationId::from_bits(new_bits());
        let staging = self.staging(&id)?;
        self.ledger.begin(&id, "app", planned.app.as_str(), &planned.plan.digest(), (self.now)()).await?;
        let result = self.carry_out(&planned, wish, &staging, observer).await;
        let failure = result.as_ref().err().map(Failure::chain);
        self.ledger.end(&id, failure.as_deref(), (self.now)()).await?;
        drop(staging);
        result.map(|mut built| {
            built.notices.splice(0..0, notices);
            built
        })
    }

    async fn known(&self, planned: &Planned, wish: &Wish, notices: &[String]) -> Result<Option<Built>, Failure> {
        if wish.afresh {
            return Ok(None);
        }
        let Some(fact) = self.ledger.artifact_of(&planned.app, &planned.plan.digest()).await? else {
            return Ok(None);
        };
        let Ok(entry) = self.artifact(fact.digest.as_str()).await else {
            return Ok(None);
        };
        if !entry.image.layers.iter().all(|layer| self.store.has(&layer.blob)) {
            return Ok(None);
        }
        // Who goes back to an older source wants what comes of it to be the newest.
        self.ledger.choose_artifact(&fact.digest).await?;
        Ok(Some(Built {
            artifact: fact.digest,
            label: entry.label,
            reused: true,
            steps: Vec::new(),
            notices: notices.to_vec(),
        }))
    }

    async fn carry_out(
        &self,
        planned: &Planned,
        wish: &Wish,
        staging: &Staging,
        observer: &dyn Observer,
    ) -> Result<Built, Failure> {
        let milling = Milling {
            engine: self,
            plan: &planned.plan,
            base: &planned.base.image.layers,
            material: Material::Source(&*wish.source, &planned.view),
            caches: self.folder(&format!("caches/{}", planned.app))?,
            fault: Fault::Source,
            afresh: wish.afresh,
            observer,
            staging: staging.path(),
            logs: self.folder(&format!("logs/{}", staging.id))?,
            steps: Vec::new(),
            notices: Vec::new(),
        };
        let milled = milling.run().await?;
        let label = self.label(planned, &milled)?;
        let image = self.assemble(planned, &milled, &label)?;
        let fact = ArtifactFact {
            digest: image.manifest.clone(),
            app: planned.app.clone(),
            plan: label.plan.clone(),
            base: planned.base.fact.version.digest.clone(),
            commit: planned.view.commit.clone(),
            made: (self.now)(),
            preparation: staging.id.clone(),
        };
        self.ledger.add_artifact(&fact).await?;
        Ok(Built { artifact: image.manifest, label, reused: false, steps: milled.steps, notices: milled.notices })
    }

    fn label(&self, planned: &Planned, milled: &Milled) -> Result<ArtifactLabel, Failure> {
        let contract = &planned.base.label.spec.contract;
        Ok(ArtifactLabel {
            version: 1,
            app: planned.app.clone(),
            contract: planned.plan.contract.clone(),
            base: planned.base.fact.version.clone(),
            commit: planned.view.commit.clone(),
            dirty: planned.view.dirty,
            source: planned.view.tree(),
            plan: planned.plan.digest(),
            launch: contract.conclude(&planned.plan, &milled.collected)?,
        })
    }

    fn assemble(&self, planned: &Planned, milled: &Milled, label: &ArtifactLabel) -> Result<Image, Failure> {
        let mut annotations = BTreeMap::from([
            ("org.opencontainers.image.title".to_owned(), planned.app.to_string()),
            ("org.opencontainers.image.base.digest".to_owned(), label.base.digest.to_string()),
            ("org.opencontainers.image.base.name".to_owned(), format!("{}@{}", label.base.name, label.base.version)),
        ]);
        if let Some(commit) = &label.commit {
            annotations.insert("org.opencontainers.image.revision".to_owned(), commit.to_string());
        }
        let assembly = Assembly {
            base: Some(&planned.base.image),
            layers: milled.layers.clone(),
            epoch: planned.plan.stages.last().map_or(0, |stage| stage.epoch),
            labels: BTreeMap::from([(ARTIFACT_LABEL.to_owned(), written(label))]),
            launch: Some((&label.launch, label.launch.default_process())),
            annotations,
        };
        Ok(till_image::assemble(&assembly, &self.store)?)
    }
}
