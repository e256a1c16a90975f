//! A recipe becomes a base: the same mill as for apps; only who wrote the plan differs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use till_core::id::PreparationId;
use till_core::model::artifact::BASE_LABEL;
use till_core::model::name::Wanted;
use till_core::model::{BaseLabel, BaseRef, BaseSpec, SourceView, base};
use till_core::plan::{Decision, Plan, lint};
use till_core::port::SourceTree;
use till_core::recipe::{FoundFile, Ground, Recipe, RecipeSpec};
use till_core::{Digest, Failure, Fault, provenance};
use till_image::{Assembly, Platform};
use till_ledger::BaseFact;

use crate::catalog::{BaseAbout, BaseEntry, written};
use crate::collect::Staging;
use crate::inventory::Told;
use crate::journal::{Event, Observer, StepReport};
use crate::lock::{self, Sharing};
use crate::mill::{Material, Milling};
use crate::world::{World, configured};
use crate::{Engine, new_bits};

/// The newest time in a base: 2024-01-01. A constant, so that the same packages give the same bytes whenever they are
/// put together.
pub(crate) const EPOCH: u64 = 1_704_067_200;

/// A base that is there.
#[derive(Debug, Clone)]
pub struct Made {
    /// What the ledger knows.
    pub fact: BaseFact,
    /// What it says of itself.
    pub label: BaseLabel,
    /// It was there before.
    pub reused: bool,
    /// How each step went.
    pub steps: Vec<StepReport>,
}

impl Engine {
    /// Makes the base of a folder, or takes the one that an equal plan has made.
    pub async fn recreate(
        &self,
        folder: &Path,
        source: &dyn SourceTree,
        afresh: bool,
        observer: &dyn Observer,
    ) -> Result<Made, Failure> {
        let locks = self.folder("locks")?;
        let _no_gc =
            lock::take(&locks, "gc", Sharing::Shared, || observer.event(Event::Waiting("for gc to end"))).await?;
        let spec = read_spec(folder)?;
        let from = match spec.recipe.from() {
            Some(from) => Some(self.base(from).await?),
            None => None,
        };
        let mut view = SourceView::default();
        // Other recipes name the few files that they take; what else lies in the folder is nobody's business.
        if let RecipeSpec::Dockerfile(_) = spec.recipe {
            view = source.view().await?;
            let texts: Vec<_> = spec.recipe.texts(&view).iter().filter_map(|path| view.file(path).cloned()).collect();
            view.texts = source.texts(&texts).await?;
        }
        let plan = self.plan_base(folder, &spec, from.as_ref(), &view, observer).await?;
        let waiting = format!("for another making of `{}`", spec.name);
        let _turn = lock::take(&locks, &format!("base-{}", spec.name), Sharing::Alone, || {
            observer.event(Event::Waiting(&waiting))
        })
        .await?;
        let label = BaseLabel {
            version: 1,
            from: from.as_ref().map(|from| from.fact.version.clone()),
            plan: plan.digest(),
            images: plan.images.clone(),
            spec,
        };
        if let Some(made) = self.known_base(&label, afresh).await? {
            return Ok(made);
        }
        let id = PreparationId::from_bits(new_bits());
        let staging = self.staging(&id)?;
        self.ledger.begin(&id, "base", label.spec.name.as_str(), &label.plan, (self.now)()).await?;
        let making = Making { label: &label, plan: &plan, folder, source: (source, &view), afresh, observer };
        let result = self.make(&making, &staging).await;
        let failure = result.as_ref().err().map(Failure::chain);
        self.ledger.end(&id, failure.as_deref(), (self.now)()).await?;
        drop(staging);
        result
    }

    async fn plan_base(
        &self,
        folder: &Path,
        spec: &BaseSpec,
        from: Option<&BaseEntry>,
        view: &SourceView,
        observer: &dyn Observer,
    ) -> Result<Plan, Failure> {
        let mut files = Vec::new();
        for path in spec.recipe.reads() {
            find_files(folder, &path, &mut files)?;
        }
        let mut world = World::new(self, Fault::Base, observer).beside(folder.to_owned());
        let plan = loop {
            let ground = Ground {
                from: from.map(|from| &from.fact.version),
                epoch: EPOCH,
                files: &files,
                folder: view,
                known: &world.known,
                environment: self.environment.name(),
                architecture: &Platform::host().architecture,
            };
            match spec.recipe.plan(&ground)? {
                Decision::Plan(plan) => break *plan,
                Decision::Needs(needs) => world.find_out(&needs).await?,
            }
        };
        plan.warnings.iter().for_each(|warning| observer.event(Event::Notice(warning)));
        match lint(&plan).first() {
            None => Ok(plan),
            Some(finding) => Err(Failure::new(
                Fault::Base,
                format!("the recipe cannot be carried out: {}: {}", finding.place, finding.what),
            )),
        }
    }

    /// The newest version, when its plan and description are the same. An older one is not taken: who goes back to an old
    /// recipe wants what it makes to be the newest.
    async fn known_base(&self, label: &BaseLabel, afresh: bool) -> Result<Option<Made>, Failure> {
        if afresh {
            return Ok(None);
        }
        let newest = BaseRef { name: label.spec.name.clone(), version: Wanted::Newest };
        if self.ledger.base(&newest).await?.is_none() {
            return Ok(None);
        }
        let BaseEntry { fact, about, image } = self.base(&newest).await?;
        let BaseAbout::Made(known) = about else {
            return Ok(None);
        };
        let whole = image.layers.iter().all(|layer| self.store.has(&layer.blob));
        Ok((*known == *label && whole).then(|| Made { fact, label: *known, reused: true, steps: Vec::new() }))
    }

    async fn make(&self, making: &Making<'_>, staging: &Staging) -> Result<Made, Failure> {
        let Making { label, plan, folder, observer, .. } = *making;
        let secrets = BTreeMap::new();
        // What apt downloads is the same for every base: those caches are the recipe's, in turns. A Dockerfile's are its own.
        let caches = if plan.caches.is_empty() { format!(".base-{}", label.spec.name) } else { ".recipes".to_owned() };
        let milling = Milling {
            engine: self,
            plan,
            material: Material { source: Some(making.source), folder: Some(folder), secrets: &secrets },
            caches: self.folder(&format!("caches/{caches}"))?,
            fault: Fault::Base,
            afresh: making.afresh,
            observer,
            staging: staging.path(),
            logs: self.folder(&format!("logs/{}", staging.id))?,
        };
        let locks = self.folder("locks")?;
        let _caches = lock::take(&locks, "recipe-caches", Sharing::Alone, || {
            observer.event(Event::Waiting("for another base to be made"))
        })
        .await?;
        let milled = milling.run().await?;
        let below = plan.root(&plan.top).map(|digest| till_image::load(&self.store, digest)).transpose()?;
        let assembly = Assembly {
            base: below.as_ref(),
            layers: milled.layers,
            epoch: EPOCH,
            labels: BTreeMap::from([(BASE_LABEL.to_owned(), written(label))]),
            launch: None,
            annotations: BTreeMap::from([
                ("org.opencontainers.image.title".to_owned(), label.spec.name.to_string()),
                ("org.opencontainers.image.description".to_owned(), label.spec.description.clone()),
            ]),
            ..configured(plan, below.as_ref())
        };
        let image = till_image::assemble(&assembly, &self.store)?;
        let told = Told {
            made: provenance::Made::Base(label.spec.name.as_str()),
            plan,
            base: label.from.as_ref(),
            dirty: false,
            variables: BTreeSet::new(),
            preparation: &staging.id,
        };
        self.describe(&image, &told, observer).await;
        let fact = self.ledger.add_base(&label.spec.name, &image.manifest, &label.plan, (self.now)()).await?;
        Ok(Made { fact, label: label.clone(), reused: false, steps: milled.steps })
    }
}

/// A base that is being made.
struct Making<'a> {
    label: &'a BaseLabel,
    plan: &'a Plan,
    folder: &'a Path,
    source: (&'a dyn SourceTree, &'a SourceView),
    afresh: bool,
    observer: &'a dyn Observer,
}

fn read_spec(folder: &Path) -> Result<BaseSpec, Failure> {
    let path = folder.join(base::FILE);
    let text = std::fs::read_to_string(&path).map_err(|error| Failure {
        fault: Fault::Caller,
        ..Failure::house(format!("cannot read `{}`", path.display()), error)
            .hint("give the folder of a base: it has a base.toml")
    })?;
    BaseSpec::parse(&text).map_err(|error| {
        let failure = Failure::from(error);
        let hint = failure.hint.clone().unwrap_or_default();
        Failure::new(failure.fault, format!("{}: {}", path.display(), failure.chain())).hint(hint)
    })
}

/// The file of that path, or all files below it, sorted. A symlink could lead out of the folder: none is followed.
fn find_files(folder: &Path, path: &str, found: &mut Vec<FoundFile>) -> Result<(), Failure> {
    let full = folder.join(path);
    let failed =
        |error| Failure { fault: Fault::Base, ..Failure::house(format!("cannot read `{}`", full.display()), error) };
    let linked = path.match_indices('/').map(|(end, _)| &path[..end]).find(|above| folder.join(above).is_symlink());
    let meta = std::fs::symlink_metadata(&full).map_err(failed)?;
    if linked.is_some() || !(meta.is_dir() || meta.is_file()) {
        let what = format!("`{}` is neither a file nor a directory of the base's folder", full.display());
        return Err(Failure::new(Fault::Base, what).hint("put a copy there in place of a link"));
    }
    if meta.is_file() {
        let bytes = std::fs::read(&full).map_err(failed)?;
        let file = FoundFile { path: path.to_owned(), digest: Digest::of(&bytes) };
        if !found.contains(&file) {
            found.push(file);
        }
        return Ok(());
    }
    let mut names: Vec<_> = std::fs::read_dir(&full)
        .map_err(failed)?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.iter().try_for_each(|name| find_files(folder, &format!("{}/{name}", path.trim_end_matches('/')), found))
}
