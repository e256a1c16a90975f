//! A recipe becomes a base: the same mill as for apps; only who wrote the plan differs.
//!
//! What a recipe leaves open (packages of today, images by tag) is found out before the plan is there, and written into its
//! lock; with `--locked` the lock's answers are taken instead. A Dockerfile's steps cannot be asked beforehand what they will
//! get: they are carried out once and watched, and then once more with just that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use till_core::dockerfile::spec::Choice;
use till_core::id::PreparationId;
use till_core::model::artifact::BASE_LABEL;
use till_core::model::base_lock::PackageChange;
use till_core::model::name::Wanted;
use till_core::model::{BaseLabel, BaseLock, BaseRef, BaseSpec};
use till_core::packages::archive;
use till_core::plan::Plan;
use till_core::port::SourceTree;
use till_core::recipe::RecipeSpec;
use till_core::{Failure, Fault, provenance};
use till_image::{Assembly, Image};
use till_ledger::BaseFact;

use crate::catalog::{BaseAbout, BaseEntry, written};
use crate::collect::Staging;
use crate::draft::{Draft, WRITING, read_spec};
use crate::inventory::Told;
use crate::journal::{Event, Observer, StepReport};
use crate::lock::{self, Sharing};
use crate::mill::{Material, Milled, Milling};
use crate::world::configured;
use crate::{Engine, new_bits};

/// The newest time in a base: 2024-01-01. A constant, so that the same packages give the same bytes whenever they are
/// put together.
pub(crate) const EPOCH: u64 = 1_704_067_200;

/// How a base is made.
#[derive(Debug, Clone)]
pub struct Remake {
    /// Whatever was made before.
    pub afresh: bool,
    /// What is done with its lock.
    pub lock: LockUse,
}

/// What is done with a base's lock.
#[derive(Debug, Clone)]
pub enum LockUse {
    /// The file is written anew.
    Refresh(PathBuf),
    /// What the file says is done, and nothing else.
    Follow(PathBuf),
}

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
    /// What it was made of.
    pub lock: BaseLock,
    /// What differs from the lock that was there before.
    pub changes: Vec<PackageChange>,
}

impl Engine {
    /// Makes the base of a folder, or takes the one that an equal plan has made.
    pub async fn recreate(
        &self,
        folder: &Path,
        source: &dyn SourceTree,
        remake: &Remake,
        observer: &dyn Observer,
    ) -> Result<Made, Failure> {
        let locks = self.folder("locks")?;
        let _no_gc =
            lock::take(&locks, "gc", Sharing::Shared, || observer.event(Event::Waiting("for gc to end"))).await?;
        let spec = read_spec(folder)?;
        let waiting = format!("for another making of `{}`", spec.name);
        let _turn = lock::take(&locks, &format!("base-{}", spec.name), Sharing::Alone, || {
            observer.event(Event::Waiting(&waiting))
        })
        .await?;
        let (LockUse::Refresh(path) | LockUse::Follow(path)) = &remake.lock;
        let older = read_lock(path, &spec)?;
        let followed = match (&remake.lock, &older) {
            (LockUse::Refresh(_), _) => None,
            (LockUse::Follow(_), Some(lock)) => Some(lock),
            (LockUse::Follow(_), None) => {
                return Err(Failure::new(Fault::Caller, format!("there is no `{}` to follow", path.display()))
                    .hint("`till base build` without --locked writes it"));
            }
        };
        let mut draft = self.draft(folder, source, spec, followed, Some(path), observer).await?;
        let mut made = match self.known_base(&draft, followed, remake.afresh).await? {
            Some(made) => made,
            None => self.make(&mut draft, followed, remake.afresh, observer).await?,
        };
        if followed.is_none() {
            made.changes = older.as_ref().map(|older| made.lock.changes_since(older)).unwrap_or_default();
            write_lock(path, &made.lock, older.as_ref(), observer);
        }
        Ok(made)
    }

    /// The newest version, when its plan and description are the same. An older one is not taken: who goes back to an old
    /// recipe wants what it makes to be the newest.
    async fn known_base(
        &self,
        draft: &Draft<'_>,
        followed: Option<&BaseLock>,
        afresh: bool,
    ) -> Result<Option<Made>, Failure> {
        if afresh {
            return Ok(None);
        }
        let newest = BaseRef { name: draft.label.spec.name.clone(), version: Wanted::Newest };
        if self.ledger.base(&newest).await?.is_none() {
            return Ok(None);
        }
        let BaseEntry { fact, about, image } = self.base(&newest).await?;
        let (BaseAbout::Made(known), Some(lock)) = (about, self.kept_lock(&fact.version.digest).await?) else {
            return Ok(None);
        };
        let mut label = draft.label.clone();
        if draft.is_watched() {
            // What its steps would get today nobody knows before; so what they got is taken to be it.
            label.plan = archive::locked(&draft.plan, &lock.package).digest();
        }
        let whole = image.layers.iter().all(|layer| self.store.has(&layer.blob));
        let same = *known == label && whole && followed.is_none_or(|lock| lock.digest == fact.version.digest);
        Ok(same.then(|| Made { fact, label, reused: true, steps: Vec::new(), lock, changes: Vec::new() }))
    }

    async fn make(
        &self,
        draft: &mut Draft<'_>,
        followed: Option<&BaseLock>,
        afresh: bool,
        observer: &dyn Observer,
    ) -> Result<Made, Failure> {
        let id = PreparationId::from_bits(new_bits());
        let staging = self.staging(&id)?;
        self.ledger.begin(&id, "base", draft.label.spec.name.as_str(), &draft.label.plan, (self.now)()).await?;
        let result = self.make_in(draft, followed, afresh, observer, &staging).await;
        let failure = result.as_ref().err().map(Failure::chain);
        self.ledger.end(&id, failure.as_deref(), (self.now)()).await?;
        drop(staging);
        result
    }

    async fn make_in(
        &self,
        draft: &mut Draft<'_>,
        followed: Option<&BaseLock>,
        afresh: bool,
        observer: &dyn Observer,
        staging: &Staging,
    ) -> Result<Made, Failure> {
        let (image, steps) = self.mill_recipe(draft, afresh, observer, staging).await?;
        if let Some(lock) = followed.filter(|lock| lock.digest != image.manifest) {
            return Err(self.other_bytes(lock, &image).await);
        }
        let name = draft.label.spec.name.clone();
        let dockerfile = match &draft.label.spec.recipe {
            RecipeSpec::Dockerfile(spec) => Some(Choice::from(spec)),
            RecipeSpec::Debian(_) => None,
        };
        let told = Told {
            made: provenance::Made::Base(name.as_str()),
            plan: &draft.plan,
            base: draft.label.from.as_ref(),
            dirty: false,
            variables: BTreeSet::new(),
            dockerfile: dockerfile.as_ref(),
            secrets: BTreeSet::new(),
            preparation: &staging.id,
        };
        self.describe(&image, &told, observer).await;
        let lock = draft.lock(&image);
        self.keep_recipe(draft, &lock, &image, staging).await?;
        let fact = self.ledger.add_base(&name, &image.manifest, &draft.label.plan, (self.now)()).await?;
        Ok(Made { fact, label: draft.label.clone(), reused: false, steps, lock, changes: Vec::new() })
    }

    /// Carries out what was decided; nothing is recorded yet.
    pub(crate) async fn mill_recipe(
        &self,
        draft: &mut Draft<'_>,
        afresh: bool,
        observer: &dyn Observer,
        staging: &Staging,
    ) -> Result<(Image, Vec<StepReport>), Failure> {
        let mut steps = Vec::new();
        let mut milled = None;
        if draft.is_watched() {
            let record = staging.path().join("record");
            let plan = archive::watched(&draft.plan);
            steps.extend(self.mill_base(draft, &plan, Some(&record), afresh, observer, staging).await?.steps);
            draft.found = self.recorded(record).await?;
            let plan = archive::locked(&draft.plan, &draft.found.packages);
            match self.mill_base(draft, &plan, None, afresh, observer, staging).await {
                Ok(done) => {
                    draft.plan = plan;
                    milled = Some(done);
                }
                // It needs more of mirrors than what it installs.
                Err(failure) if failure.fault == Fault::Base && !draft.found.packages.is_empty() => {
                    draft.found.packages.clear();
                    observer.event(Event::Notice(&format!(
                        "its packages are not in the lock, for with just those it cannot be made: {}",
                        failure.chain()
                    )));
                }
                Err(failure) => return Err(failure),
            }
            draft.label.plan = draft.plan.digest();
        }
        let milled = match milled {
            Some(milled) => milled,
            None => {
                let plan = draft.plan.clone();
                self.mill_base(draft, &plan, None, afresh, observer, staging).await?
            }
        };
        steps.extend(milled.steps.clone());
        let (plan, label) = (&draft.plan, &draft.label);
        let below = plan.root(&plan.top).map(|digest| till_image::load(&self.store, digest)).transpose()?;
        let assembly = Assembly {
            base: below.as_ref(),
            layers: milled.layers,
            epoch: EPOCH,
            labels: BTreeMap::from([(BASE_LABEL.to_owned(), written(&label.portable()))]),
            launch: None,
            annotations: BTreeMap::from([
                ("org.opencontainers.image.title".to_owned(), label.spec.name.to_string()),
                ("org.opencontainers.image.description".to_owned(), label.spec.description.clone()),
            ]),
            ..configured(plan.image.as_ref(), below.as_ref())
        };
        Ok((till_image::assemble(&assembly, &self.store)?, steps))
    }

    async fn mill_base(
        &self,
        draft: &Draft<'_>,
        plan: &Plan,
        record: Option<&Path>,
        afresh: bool,
        observer: &dyn Observer,
        staging: &Staging,
    ) -> Result<Milled, Failure> {
        let packages = staging.path().join("packages");
        for list in archive::lists(plan) {
            let folder = packages.join(archive::folder(list));
            // Steps of the same packages have the same archive.
            if !folder.exists() {
                self.write_archive(list, draft.suite(), &folder).await?;
            }
        }
        let secrets = BTreeMap::new();
        let milling = Milling {
            engine: self,
            plan,
            material: Material {
                source: Some((draft.source, &draft.view)),
                folder: Some(draft.folder),
                secrets: &secrets,
                packages: Some(&packages),
                record,
            },
            caches: self.folder(&format!("caches/.base-{}", draft.label.spec.name))?,
            fault: Fault::Base,
            afresh,
            // What a lock comes to is known to be right only in the end.
            keeps_layers: !draft.is_locked(),
            looks: false,
            observer,
            staging: staging.path(),
            logs: self.folder(&format!("logs/{}", staging.id))?,
        };
        milling.run().await
    }
}

/// The lock of a base, where there is one.
fn read_lock(path: &Path, spec: &BaseSpec) -> Result<Option<BaseLock>, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Failure {
                fault: Fault::Base,
                ..Failure::house(format!("cannot read `{}`", path.display()), error)
            });
        }
    };
    let lock = BaseLock::parse(&text, &spec.name);
    Ok(Some(lock.map_err(|error| Failure::from(error).within(path.display().to_string()))?))
}

/// Writes a lock all at once. A folder that cannot be written to is no reason to lose the base.
fn write_lock(path: &Path, lock: &BaseLock, older: Option<&BaseLock>, observer: &dyn Observer) {
    if older == Some(lock) {
        return;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::Builder::new().prefix(WRITING).tempfile_in(folder)?;
        std::io::Write::write_all(&mut file, lock.text().as_bytes())?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(file.path(), mode)?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    if let Err(error) = write() {
        observer.event(Event::Notice(&format!("cannot write `{}`: {error}", path.display())));
    }
}
