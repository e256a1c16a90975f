//! A recipe becomes a base: the same mill as for apps; only who wrote the plan differs.

use std::collections::BTreeMap;
use std::path::Path;

use till_core::id::PreparationId;
use till_core::model::artifact::BASE_LABEL;
use till_core::model::name::Wanted;
use till_core::model::{BaseLabel, BaseRef, BaseSpec, base};
use till_core::plan::lint;
use till_core::recipe::{FoundFile, Ground, Recipe};
use till_core::{Digest, Failure, Fault};
use till_image::Assembly;
use till_ledger::BaseFact;

use crate::catalog::{BaseEntry, written};
use crate::collect::Staging;
use crate::journal::{Event, Observer, StepReport};
use crate::lock::{self, Sharing};
use crate::mill::{Material, Milling};
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
    pub async fn recreate(&self, folder: &Path, afresh: bool, observer: &dyn Observer) -> Result<Made, Failure> {
        let locks = self.folder("locks")?;
        let _no_gc =
            lock::take(&locks, "gc", Sharing::Shared, || observer.event(Event::Waiting("for gc to end"))).await?;
        let spec = read_spec(folder)?;
        let from = match &spec.recipe.from {
            Some(from) => Some(self.base(from).await?),
            None => None,
        };
        let mut files = Vec::new();
        for path in spec.recipe.reads() {
            find_files(folder, &path, &mut files)?;
        }
        let ground = Ground {
            from: from.as_ref().map(|from| &from.fact.version),
            epoch: EPOCH,
            files: &files,
            environment: self.environment.name(),
        };
        let plan = spec.recipe.plan(&ground).map_err(|error| Failure::new(Fault::Base, error))?;
        if let Some(finding) = lint(&plan).first() {
            return Err(Failure::new(
                Fault::Base,
                format!("the recipe cannot be carried out: {}: {}", finding.place, finding.what),
            ));
        }
        let waiting = format!("for another making of `{}`", spec.name);
        let _turn = lock::take(&locks, &format!("base-{}", spec.name), Sharing::Alone, || {
            observer.event(Event::Waiting(&waiting))
        })
        .await?;
        let label = BaseLabel {
            version: 1,
            from: from.as_ref().map(|from| from.fact.version.clone()),
            plan: plan.digest(),
            spec,
        };
        if let Some(made) = self.known_base(&label, afresh).await? {
            return Ok(made);
        }
        let id = PreparationId::from_bits(new_bits());
        let staging = self.staging(&id)?;
        self.ledger.begin(&id, "base", label.spec.name.as_str(), &label.plan, (self.now)()).await?;
        let result = self.make(&label, &plan, from.as_ref(), folder, &staging, observer).await;
        let failure = result.as_ref().err().map(Failure::chain);
        self.ledger.end(&id, failure.as_deref(), (self.now)()).await?;
        drop(staging);
        result
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
        let BaseEntry { fact, label: known, image } = self.base(&newest).await?;
        let whole = image.layers.iter().all(|layer| self.store.has(&layer.blob));
        Ok((known == *label && whole).then(|| Made { fact, label: known, reused: true, steps: Vec::new() }))
    }

    async fn make(
        &self,
        label: &BaseLabel,
        plan: &till_core::plan::Plan,
        from: Option<&BaseEntry>,
        folder: &Path,
        staging: &Staging,
        observer: &dyn Observer,
    ) -> Result<Made, Failure> {
        let below = from.map(|from| from.image.layers.clone()).unwrap_or_default();
        let milling = Milling {
            engine: self,
            plan,
            base: &below,
            material: Material::Folder(folder),
            // What apt downloads is the same for every base: the caches are the recipe's, in turns.
            caches: self.folder("caches/.recipes")?,
            fault: Fault::Base,
            afresh: true,
            observer,
            staging: staging.path(),
            logs: self.folder(&format!("logs/{}", staging.id))?,
            steps: Vec::new(),
            notices: Vec::new(),
        };
        let locks = self.folder("locks")?;
        let _caches = lock::take(&locks, "recipe-caches", Sharing::Alone, || {
            observer.event(Event::Waiting("for another base to be made"))
        })
        .await?;
        let milled = milling.run().await?;
        let assembly = Assembly {
            base: from.map(|from| &from.image),
            layers: milled.layers,
            epoch: EPOCH,
            labels: BTreeMap::from([(BASE_LABEL.to_owned(), written(label))]),
            launch: None,
            annotations: BTreeMap::from([
                ("org.opencontainers.image.title".to_owned(), label.spec.name.to_string()),
                ("org.opencontainers.image.description".to_owned(), label.spec.description.clone()),
            ]),
        };
        let image = till_image::assemble(&assembly, &self.store)?;
        let fact = self.ledger.add_base(&label.spec.name, &image.manifest, &label.plan, (self.now)()).await?;
        Ok(Made { fact, label: label.clone(), reused: false, steps: milled.steps })
    }
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
