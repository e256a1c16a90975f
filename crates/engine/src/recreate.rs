//! A recipe becomes a base: the same mill as for apps; only who wrote the plan differs.
//!
//! What a recipe leaves open (packages of today, images by tag) is found out before the plan is there, and written into its
//! lock; with `--locked` the lock's answers are taken instead. A Dockerfile's steps cannot be asked beforehand what they will
//! get: they are carried out once and watched, and then once more with just that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use till_core::id::PreparationId;
use till_core::model::artifact::BASE_LABEL;
use till_core::model::base_lock::{LockedImage, LockedRemote, PackageChange};
use till_core::model::name::Wanted;
use till_core::model::{BaseLabel, BaseLock, BaseRef, BaseSpec, SourceView, base};
use till_core::packages::{Resolved, archive};
use till_core::plan::{Decision, Deed, Plan, lint};
use till_core::port::SourceTree;
use till_core::recipe::{FoundFile, Ground, Recipe, RecipeSpec};
use till_core::{Digest, Failure, Fault, provenance};
use till_image::{Assembly, Image, Platform};
use till_ledger::BaseFact;

use crate::catalog::{BaseAbout, BaseEntry, written};
use crate::collect::Staging;
use crate::inventory::Told;
use crate::journal::{Event, Observer, StepReport};
use crate::lock::{self, Sharing};
use crate::mill::{Material, Milled, Milling};
use crate::world::{World, configured};
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

/// A base before it is made.
pub(crate) struct Draft<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) source: &'a dyn SourceTree,
    pub(crate) view: SourceView,
    pub(crate) label: BaseLabel,
    pub(crate) plan: Plan,
    found: Resolved,
    remotes: Vec<LockedRemote>,
    /// It follows a lock.
    locked: bool,
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
        let mut draft = self.draft(folder, source, spec, followed, observer).await?;
        let mut made = match self.known_base(&mut draft, remake.afresh).await? {
            Some(made) => made,
            None => self.make(&mut draft, followed, remake.afresh, observer).await?,
        };
        if followed.is_none() {
            made.changes = older.as_ref().map(|older| made.lock.changes_since(older)).unwrap_or_default();
            write_lock(path, &made.lock, older.as_ref(), observer);
        }
        Ok(made)
    }

    /// Decides all that can be decided before something is done.
    pub(crate) async fn draft<'a>(
        &self,
        folder: &'a Path,
        source: &'a dyn SourceTree,
        spec: BaseSpec,
        lock: Option<&BaseLock>,
        observer: &dyn Observer,
    ) -> Result<Draft<'a>, Failure> {
        let from = match spec.recipe.from() {
            Some(from) => Some(self.below(from, lock).await?),
            None => None,
        };
        let mut view = SourceView::default();
        // Other recipes name the few files that they take; what else lies in the folder is nobody's business.
        if let RecipeSpec::Dockerfile(_) = spec.recipe {
            view = source.view().await?;
            // The lock is of the recipe, and not a part of it.
            view.files.retain(|file| file.path != till_core::model::base_lock::FILE);
            let texts: Vec<_> = spec.recipe.texts(&view).iter().filter_map(|path| view.file(path).cloned()).collect();
            view.texts = source.texts(&texts).await?;
        }
        let mut world = World::new(self, Fault::Base, observer).beside(folder.to_owned()).locked(lock);
        let mut plan = self.plan_base(folder, &spec, from.as_ref(), &view, &mut world).await?;
        let mut found = world.known.packages.take().unwrap_or_default();
        if let (RecipeSpec::Dockerfile(_), Some(lock)) = (&spec.recipe, lock) {
            found = Resolved { packages: lock.package.clone(), suites: lock.suite.clone() };
            self.ensure(&found.packages, observer).await?;
            plan = archive::locked(&plan, &found.packages);
        }
        let label = BaseLabel {
            version: 1,
            from: from.as_ref().map(|from| from.fact.version.clone()),
            plan: plan.digest(),
            images: plan.images.clone(),
            spec,
        };
        if let Some(lock) = lock.filter(|lock| lock.plan != label.plan) {
            let what = format!("the lock is of another recipe: its plan is {}, this one's {}", lock.plan, label.plan);
            return Err(Failure::new(Fault::Base, what)
                .hint("the recipe was changed since, or till was; build without --locked to write the lock anew"));
        }
        let remotes = world.remotes();
        Ok(Draft { folder, source, view, label, plan, found, remotes, locked: lock.is_some() })
    }

    /// The base below: the newest that is meant, or the one that the lock says.
    async fn below(&self, from: &BaseRef, lock: Option<&BaseLock>) -> Result<BaseEntry, Failure> {
        let Some(locked) = lock.and_then(|lock| lock.from.as_ref()) else {
            return self.base(from).await;
        };
        let wanted = BaseRef { name: from.name.clone(), version: Wanted::Digest(locked.digest.clone()) };
        if self.ledger.base(&wanted).await?.is_none() {
            let what = format!("the base `{}` is not here with the digest that the lock says", from.name);
            return Err(Failure::new(Fault::Caller, format!("{what}: {}", locked.digest))
                .hint("make it from its own lock first: till base build --locked FOLDER"));
        }
        self.base(&wanted).await
    }

    async fn plan_base(
        &self,
        folder: &Path,
        spec: &BaseSpec,
        from: Option<&BaseEntry>,
        view: &SourceView,
        world: &mut World<'_>,
    ) -> Result<Plan, Failure> {
        let mut files = Vec::new();
        for path in spec.recipe.reads() {
            find_files(folder, &path, &mut files)?;
        }
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
        plan.warnings.iter().for_each(|warning| world.notice(warning));
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
    async fn known_base(&self, draft: &mut Draft<'_>, afresh: bool) -> Result<Option<Made>, Failure> {
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
        let same = *known == label && whole;
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
        let told = Told {
            made: provenance::Made::Base(name.as_str()),
            plan: &draft.plan,
            base: draft.label.from.as_ref(),
            dirty: false,
            variables: BTreeSet::new(),
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
        let mut watched = None;
        if draft.is_watched() {
            let record = staging.path().join("record");
            let plan = archive::watched(&draft.plan);
            let milled = self.mill_base(draft, &plan, Some(&record), afresh, observer, staging).await?;
            steps.extend(milled.steps.clone());
            draft.found = self.recorded(record).await?;
            draft.plan = archive::locked(&draft.plan, &draft.found.packages);
            draft.label.plan = draft.plan.digest();
            // Nothing was got: what came of it is what is wanted.
            watched = draft.plan.packages.is_empty().then_some(milled);
        }
        let milled = match watched {
            Some(milled) => milled,
            None => {
                let plan = draft.plan.clone();
                let milled = self.mill_base(draft, &plan, None, afresh, observer, staging).await?;
                steps.extend(milled.steps.clone());
                milled
            }
        };
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
            ..configured(plan, below.as_ref())
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
        if !plan.packages.is_empty() || plan.stages.iter().flat_map(|stage| &stage.deeds).any(wants_packages) {
            self.write_archive(&draft.found.packages, draft.suite(), &packages).await?;
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
            observer,
            staging: staging.path(),
            logs: self.folder(&format!("logs/{}", staging.id))?,
        };
        milling.run().await
    }
}

/// Can it be done only where there is an archive of packages, even of none?
fn wants_packages(deed: &Deed) -> bool {
    use till_core::plan::Mounted;
    match deed {
        Deed::Bootstrap(_) => true,
        Deed::Run(step) => step.mounts.iter().any(|mount| matches!(mount.what, Mounted::Packages(_))),
        Deed::Inject(_) => false,
    }
}

impl Draft<'_> {
    /// Is what its steps get known only when they have got it?
    fn is_watched(&self) -> bool {
        let dockerfile = matches!(self.label.spec.recipe, RecipeSpec::Dockerfile(_));
        dockerfile && !self.locked && archive::may_fetch(&self.plan)
    }

    /// What the archive of its packages is called.
    fn suite(&self) -> &str {
        match &self.label.spec.recipe {
            RecipeSpec::Debian(spec) => spec.suite.as_deref().unwrap_or("locked"),
            RecipeSpec::Dockerfile(_) => "locked",
        }
    }

    /// What it was made of.
    fn lock(&self, image: &Image) -> BaseLock {
        let label = &self.label;
        let named = |(name, digest): (&String, &till_core::ManifestDigest)| LockedImage {
            name: name.clone(),
            digest: digest.clone(),
        };
        let from = label.from.as_ref();
        BaseLock {
            from: from.map(|from| LockedImage { name: from.name.to_string(), digest: from.digest.clone() }),
            image: self.plan.images.iter().map(named).collect(),
            remote: self.remotes.clone(),
            suite: self.found.suites.clone(),
            package: self.found.packages.clone(),
            ..BaseLock::new(label.spec.name.clone(), image.manifest.clone(), label.plan.clone())
        }
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
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut file, lock.text().as_bytes())?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(file.path(), mode)?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    if let Err(error) = write() {
        observer.event(Event::Notice(&format!("cannot write `{}`: {error}", path.display())));
    }
}

pub(crate) fn read_spec(folder: &Path) -> Result<BaseSpec, Failure> {
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
pub(crate) fn find_files(folder: &Path, path: &str, found: &mut Vec<FoundFile>) -> Result<(), Failure> {
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
