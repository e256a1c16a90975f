//! A base before it is made: everything about it that can be decided, with a lock or without.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use till_core::model::base_lock::{self, LockedImage, LockedRemote};
use till_core::model::name::Wanted;
use till_core::model::{BaseLabel, BaseLock, BaseRef, BaseSpec, SourceView, base};
use till_core::packages::{Package, Pinned, Resolved, archive};
use till_core::plan::{Decision, Plan, lint};
use till_core::port::SourceTree;
use till_core::recipe::{FoundFile, Ground, Recipe, RecipeSpec};
use till_core::{Digest, Failure, Fault};
use till_image::{Image, Platform};

use crate::Engine;
use crate::catalog::BaseEntry;
use crate::journal::Observer;
use crate::recreate::EPOCH;
use crate::world::World;

/// A base before it is made.
pub(crate) struct Draft<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) source: &'a dyn SourceTree,
    pub(crate) view: SourceView,
    pub(crate) label: BaseLabel,
    pub(crate) plan: Plan,
    pub(crate) found: Resolved,
    remotes: Vec<LockedRemote>,
    /// The kernel of its disks.
    kernel: Option<Package>,
    /// It follows a lock.
    locked: bool,
}

impl Engine {
    /// Decides all that can be decided before something is done.
    pub(crate) async fn draft<'a>(
        &self,
        folder: &'a Path,
        source: &'a dyn SourceTree,
        spec: BaseSpec,
        lock: Option<&BaseLock>,
        lock_file: Option<&Path>,
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
            view.files.retain(|file| !is_lock(folder, &file.path, lock_file));
            let texts: Vec<_> = spec.recipe.texts(&view).iter().filter_map(|path| view.file(path).cloned()).collect();
            view.texts = source.texts(&texts).await?;
        }
        let mut world = World::new(self, Fault::Base, observer).beside(folder.to_owned()).locked(lock);
        let mut plan = self.plan_base((folder, lock_file), &spec, from.as_ref(), &view, &mut world).await?;
        let mut found = world.known.packages.take().unwrap_or_default();
        if let (RecipeSpec::Dockerfile(_), Some(lock)) = (&spec.recipe, lock) {
            found = Resolved { packages: lock.package.clone(), suites: lock.suite.clone() };
            self.ensure(&found.packages, observer).await?;
            plan = archive::locked(&plan, &found.packages);
        }
        let kernel = self.kernel_of_base(&spec, from.as_ref(), lock, observer).await?;
        let label = BaseLabel {
            version: 1,
            from: from.as_ref().map(|from| from.fact.version.clone()),
            plan: plan.digest(),
            images: plan.images.clone(),
            kernel: kernel.as_ref().map(Pinned::from),
            spec,
        };
        if let Some(lock) = lock.filter(|lock| lock.plan != label.plan) {
            let what = format!("the lock is of another recipe: its plan is {}, this one's {}", lock.plan, label.plan);
            return Err(Failure::new(Fault::Base, what)
                .hint("the recipe was changed since, or till was; build without --locked to write the lock anew"));
        }
        let remotes = world.remotes();
        Ok(Draft { folder, source, view, label, plan, found, remotes, kernel, locked: lock.is_some() })
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
        (folder, lock_file): (&Path, Option<&Path>),
        spec: &BaseSpec,
        from: Option<&BaseEntry>,
        view: &SourceView,
        world: &mut World<'_>,
    ) -> Result<Plan, Failure> {
        let mut files = Vec::new();
        for path in spec.recipe.reads() {
            find_files(folder, &path, &mut files)?;
        }
        files.retain(|file| !is_lock(folder, &file.path, lock_file));
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
}

impl Draft<'_> {
    /// Does it follow a lock?
    pub(crate) fn is_locked(&self) -> bool {
        self.locked
    }

    /// Is what its steps get known only when they have got it?
    pub(crate) fn is_watched(&self) -> bool {
        let dockerfile = matches!(self.label.spec.recipe, RecipeSpec::Dockerfile(_));
        dockerfile && !self.locked && archive::may_fetch(&self.plan)
    }

    /// What the archive of its packages is called.
    pub(crate) fn suite(&self) -> &str {
        match &self.label.spec.recipe {
            RecipeSpec::Debian(spec) => spec.suite.as_deref().unwrap_or("locked"),
            RecipeSpec::Dockerfile(_) => "locked",
        }
    }

    /// What it was made of.
    pub(crate) fn lock(&self, image: &Image) -> BaseLock {
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
            kernel: self.kernel.clone(),
            ..BaseLock::new(label.spec.name.clone(), image.manifest.clone(), label.plan.clone())
        }
    }
}

/// Is it the lock, or what a lock is written as first? It is of the recipe, and not a part of it.
fn is_lock(folder: &Path, path: &str, lock_file: Option<&Path>) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let here = lock_file.is_some_and(|file| {
        let (file, path) = (std::path::absolute(file), std::path::absolute(folder.join(path)));
        file.is_ok() && file.ok() == path.ok()
    });
    here || path == base_lock::FILE || name.starts_with(WRITING)
}

/// How the name of a lock begins that is being written.
pub(crate) const WRITING: &str = ".base.lock-";

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
        let file =
            FoundFile { path: path.to_owned(), executable: meta.mode() & 0o100 != 0, digest: Digest::of(&bytes) };
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
