//! Recipes that last: with each base its lock and the files of its recipe are kept, as documents about its image, so that it
//! can be made again without the folder that it came from.

use std::path::{Path, PathBuf};

use till_core::id::PreparationId;
use till_core::model::base_lock::{MEDIA_TYPE, RECIPE_MEDIA_TYPE};
use till_core::model::{BaseLock, BaseRef, BaseVersion, SourceFile, base};
use till_core::plan::NamedFile;
use till_core::port::SourceTree;
use till_core::recipe::{Recipe, RecipeSpec};
use till_core::{Failure, Fault, ManifestDigest};
use till_image::{Image, Unpacking, attach, attached};
use till_ledger::ReferrerFact;

use crate::collect::Staging;
use crate::draft::{Draft, find_files, read_spec};
use crate::inventory::ImageDifference;
use crate::journal::{Event, Observer};
use crate::lock::{self, Sharing};
use crate::recreate::EPOCH;
use crate::{Engine, new_bits};

/// The recipe of a base, as it was kept: a folder that goes with its handle.
pub struct KeptRecipe {
    /// The base.
    pub version: BaseVersion,
    lock: BaseLock,
    staging: Staging,
    _no_gc: lock::Lock,
}

impl KeptRecipe {
    /// The folder.
    pub fn folder(&self) -> PathBuf {
        self.staging.path().join("recipe")
    }
}

/// What came of making a base again.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The base.
    pub version: BaseVersion,
    /// What was made now.
    pub digest: ManifestDigest,
    /// What differs; none: it is the same, byte for byte.
    pub differences: Option<ImageDifference>,
}

impl Engine {
    /// What a base was made of, if that was kept.
    pub async fn base_lock(&self, base: &crate::BaseEntry) -> Result<Option<BaseLock>, Failure> {
        self.kept_lock(&base.fact.version.digest).await
    }

    /// The same by its image.
    pub(crate) async fn kept_lock(&self, image: &ManifestDigest) -> Result<Option<BaseLock>, Failure> {
        let Some(bytes) = self.document(image, MEDIA_TYPE).await? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&bytes);
        let name = self.ledger.bases().await?.into_iter().find(|base| base.version.digest == *image);
        Ok(name.and_then(|base| BaseLock::parse(&text, &base.version.name).ok()))
    }

    async fn document(&self, image: &ManifestDigest, kind: &str) -> Result<Option<Vec<u8>>, Failure> {
        let facts = self.ledger.referrers(image).await?;
        let Some(fact) = facts.into_iter().find(|fact| fact.artifact_type == kind) else {
            return Ok(None);
        };
        Ok(attached(&self.store, &fact.manifest).ok().map(|document| document.bytes))
    }

    /// Keeps a base's lock and the files of its recipe.
    pub(crate) async fn keep_recipe(
        &self,
        draft: &Draft<'_>,
        lock: &BaseLock,
        image: &Image,
        staging: &Staging,
    ) -> Result<(), Failure> {
        let tar = staging.path().join("recipe.tar");
        let failed = |error| Failure::house("cannot keep the recipe", error);
        write_recipe(draft, &tar).await?;
        let documents =
            [(MEDIA_TYPE, lock.text().into_bytes()), (RECIPE_MEDIA_TYPE, std::fs::read(&tar).map_err(failed)?)];
        let created = till_image::rfc3339(EPOCH);
        for (kind, bytes) in documents {
            let manifest = attach(&self.store, &image.manifest, kind, &bytes, &created)?;
            let (subject, artifact_type) = (image.manifest.clone(), kind.to_owned());
            let fact = ReferrerFact { subject, artifact_type, manifest, made: (self.now)() };
            self.ledger.add_referrer(&fact).await?;
        }
        Ok(())
    }

    /// The recipe by which a base was made.
    pub async fn recipe(&self, wanted: &BaseRef) -> Result<KeptRecipe, Failure> {
        let no_gc = lock::take(&self.folder("locks")?, "gc", Sharing::Shared, || {}).await?;
        let entry = self.base(wanted).await?;
        let version = entry.fact.version;
        if entry.about.external().is_some() {
            return Err(Failure::new(
                Fault::Caller,
                format!("the base {version} was made by others: it has no recipe"),
            )
            .hint("it can only be imported again"));
        }
        let lock = self.kept_lock(&version.digest).await?;
        let tar = self.document(&version.digest, RECIPE_MEDIA_TYPE).await?;
        let (Some(lock), Some(tar)) = (lock, tar) else {
            return Err(Failure::new(Fault::Caller, format!("the recipe of {version} was not kept"))
                .hint("make it again: till base build --afresh FOLDER"));
        };
        let staging = self.staging(&PreparationId::from_bits(new_bits()))?;
        let kept = KeptRecipe { version, lock, staging, _no_gc: no_gc };
        let folder = kept.folder();
        let failed = |error| Failure::house(format!("cannot make `{}`", folder.display()), error);
        std::fs::create_dir(&folder).map_err(failed)?;
        let unpacking = Unpacking::plain(Some((0, 0)));
        till_image::unpack(&mut tar.as_slice(), &folder, "", &unpacking)?;
        Ok(kept)
    }

    /// Makes a base again from its kept recipe and its lock, and compares. Nothing of it is kept.
    pub async fn verify(
        &self,
        kept: &KeptRecipe,
        source: &dyn SourceTree,
        observer: &dyn Observer,
    ) -> Result<Verified, Failure> {
        // Its caches are those of its makings.
        let waiting = format!("for another making of `{}`", kept.version.name);
        let locks = self.folder("locks")?;
        let _turn = lock::take(&locks, &format!("base-{}", kept.version.name), Sharing::Alone, || {
            observer.event(Event::Waiting(&waiting));
        })
        .await?;
        let folder = kept.folder();
        let mut draft = self.draft(&folder, source, read_spec(&folder)?, Some(&kept.lock), None, observer).await?;
        let id = PreparationId::from_bits(new_bits());
        let staging = self.staging(&id)?;
        self.ledger.begin(&id, "verify", kept.version.name.as_str(), &draft.label.plan, (self.now)()).await?;
        let result = self.mill_recipe(&mut draft, true, observer, &staging).await;
        let failure = result.as_ref().err().map(Failure::chain);
        self.ledger.end(&id, failure.as_deref(), (self.now)()).await?;
        let (image, _) = result?;
        let differences = match image.manifest == kept.version.digest {
            true => None,
            false => {
                let before = till_image::load(&self.store, &kept.version.digest)?;
                Some(self.difference(&before, &image).await?)
            }
        };
        Ok(Verified { version: kept.version.clone(), digest: image.manifest, differences })
    }

    /// The failure of a locked making that came to something else.
    pub(crate) async fn other_bytes(&self, lock: &BaseLock, image: &Image) -> Failure {
        let what = format!("what was made is {}, but the lock says {}", image.manifest, lock.digest);
        let failure = Failure::new(Fault::Base, what);
        let Ok(before) = till_image::load(&self.store, &lock.digest) else {
            return failure.hint("the image that the lock says is not here, so what differs cannot be told");
        };
        match self.difference(&before, image).await {
            Ok(difference) => failure
                .evidence(difference.lines(20))
                .hint("a step of the recipe gives something else each time; `till base verify` tells what"),
            Err(_) => failure,
        }
    }
}

/// The files of a base's folder that its recipe reads, with its `base.toml`.
async fn write_recipe(draft: &Draft<'_>, tar: &Path) -> Result<(), Failure> {
    if let RecipeSpec::Dockerfile(_) = draft.label.spec.recipe {
        let used = draft.plan.source_files();
        // Those that planning reads, and those that the plan takes: what else lies there may be nobody's business.
        let wanted = |file: &&SourceFile| {
            file.path == base::FILE || used.contains(file.path.as_str()) || draft.view.texts.contains_key(&file.path)
        };
        let files: Vec<_> = draft.view.files.iter().filter(wanted).cloned().collect();
        draft.source.archive(&NamedFile::all(&files), EPOCH, tar).await?;
        return Ok(());
    }
    let mut found = Vec::new();
    for path in std::iter::once(base::FILE.to_owned()).chain(draft.label.spec.recipe.reads()) {
        find_files(draft.folder, &path, &mut found)?;
    }
    let failed = |error| Failure::house(format!("cannot write `{}`", tar.display()), error);
    let mut builder = tar::Builder::new(std::fs::File::create(tar).map_err(failed)?);
    for file in found {
        let bytes = std::fs::read(draft.folder.join(&file.path)).map_err(failed)?;
        let mut header = tar::Header::new_gnu();
        header.set_mode(file.mode());
        header.set_size(bytes.len() as u64);
        header.set_mtime(EPOCH);
        builder.append_data(&mut header, &file.path, bytes.as_slice()).map_err(failed)?;
    }
    builder.into_inner().map_err(failed).map(drop)
}
