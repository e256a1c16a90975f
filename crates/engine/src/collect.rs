//! What nothing needs any more goes: `gc` on demand, and the sweep of what the dead left behind at every start.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;
use till_core::id::PreparationId;
use till_core::{DiffId, Digest, Failure, Fault};

use crate::exchange::PARTIAL;
use crate::lock::{self, Lock, Sharing};
use crate::{Engine, inventory};

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Collection {
    /// Blobs of images.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Unpacked layers.
    pub trees: u64,
    /// Layers that could have been taken again.
    pub layers: u64,
    /// Logs of preparations that left nothing.
    pub logs: u64,
    /// Caches of apps that have no artifact.
    pub caches: u64,
}

/// What the dead had left behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Instances.
    pub instances: usize,
    /// Half-written blobs and archives.
    pub files: usize,
    /// Preparations that never ended.
    pub preparations: usize,
}

/// A directory for the archives of one preparation; it goes with its handle, or with the sweep when its owner died.
pub(crate) struct Staging {
    /// Whose archives they are.
    pub(crate) id: PreparationId,
    path: PathBuf,
    _lock: Lock,
}

impl Staging {
    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

impl Engine {
    pub(crate) fn staging(&self, id: &PreparationId) -> Result<Staging, Failure> {
        let _birth = lock::births(&self.folder("staging")?, Sharing::Shared)?;
        let path = self.folder(&format!("staging/{id}"))?;
        match lock::try_take(&path, "lock", Sharing::Alone)? {
            Some(lock) => Ok(Staging { id: id.clone(), path, _lock: lock }),
            None => Err(Failure::new(Fault::House, format!("preparation {id} is carried out already"))),
        }
    }

    /// Removes what the dead left behind. Done at every start; safe while others work.
    pub async fn sweep(&self) -> Result<Swept, Failure> {
        let mut swept =
            Swept { instances: self.environment.sweep().await?, files: self.store.sweep()?, preparations: 0 };
        for other in &self.others {
            swept.instances += other.sweep().await?;
        }
        let staging = self.folder("staging")?;
        let _no_birth = lock::births(&staging, Sharing::Alone)?;
        for entry in std::fs::read_dir(&staging).into_iter().flatten().flatten() {
            let ours = entry.file_name().to_string_lossy().starts_with("prep_");
            if ours && lock::is_free(&entry.path(), "lock") && std::fs::remove_dir_all(entry.path()).is_ok() {
                swept.files += 1;
            }
        }
        for unended in self.ledger.unended().await? {
            // Who lives has a staging directory from before it was written down until after its end was.
            if staging.join(unended.id.as_str()).exists() {
                continue;
            }
            self.ledger.end(&unended.id, Some("till was killed"), (self.now)()).await?;
            swept.preparations += 1;
        }
        Ok(swept)
    }

    /// Removes what neither base, artifact nor instance needs. Nothing that a build needs: it waits for none, and starts
    /// only when none runs.
    pub async fn collect(&self) -> Result<Collection, Failure> {
        let locks = self.folder("locks")?;
        let Some(_alone) = lock::try_take(&locks, "gc", Sharing::Alone)? else {
            return Err(Failure::new(Fault::Caller, "builds are running, which may need what would be removed")
                .hint("try again when they have ended"));
        };
        let mut blobs: BTreeSet<Digest> = BTreeSet::new();
        let mut trees: BTreeSet<DiffId> = BTreeSet::new();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let bases = self.ledger.bases().await?.into_iter().map(|base| base.version.digest);
        let artifacts = self.ledger.artifacts().await?.into_iter().map(|artifact| artifact.digest);
        let running = self.ledger.instances().await?.into_iter().map(|instance| instance.artifact);
        for manifest in bases.chain(artifacts).chain(running) {
            if !self.store.has(&manifest) {
                continue;
            }
            let image = till_image::load(&self.store, &manifest)?;
            blobs.extend(image.layers.iter().map(|layer| layer.blob.0.clone()));
            seen.extend(till_image::chain_ids(&image.layers).iter().map(|chain| format!("{}.json", chain.hex())));
            for document in self.ledger.referrers(&manifest).await? {
                // One that is damaged keeps nothing, and is no reason to keep everything.
                blobs.extend(till_image::blobs_of(&self.store, &document.manifest).unwrap_or_default());
            }
            trees.extend(image.layers.iter().map(|layer| layer.diff_id.clone()));
            // What a base can be made of again.
            blobs.extend(self.locked_blobs(&manifest).await?);
            blobs.insert(image.config_digest);
            blobs.insert(manifest.0);
        }
        let kernels = self.kept_kernels(&|hex| blobs.iter().any(|kept| kept.hex() == hex)).await?;
        blobs.extend(kernels);
        let mut collection = Collection {
            layers: self.ledger.forget_layers(&|blob| blobs.iter().any(|kept| kept.as_str() == blob)).await?,
            ..Collection::default()
        };
        self.ledger.forget_referrers(&|image| blobs.iter().any(|kept| kept.as_str() == image)).await?;
        for (blob, _) in self.store.blobs()? {
            if !blobs.contains(&blob) {
                collection.bytes += self.store.remove(&blob)?;
                collection.blobs += 1;
            }
        }
        self.store.forget_conversions()?;
        // Whoever receives something holds the lock that we have: what lies here is of pulls that were given up.
        for entry in std::fs::read_dir(self.folder(PARTIAL)?).into_iter().flatten().flatten() {
            let size = entry.metadata().map_or(0, |metadata| metadata.len());
            if std::fs::remove_file(entry.path()).is_ok() {
                collection.bytes += size;
                collection.blobs += 1;
            }
        }
        collection.trees = self.environment.collect(&trees).await?;
        for other in &self.others {
            collection.trees += other.collect(&trees).await?;
        }
        self.remove_others(inventory::FOLDER, &|name| seen.contains(name))?;
        self.remove_others(crate::disk::KEPT, &|_| false)?;
        self.collect_around(&mut collection).await?;
        Ok(collection)
    }

    /// Logs and caches that belong to no artifact any more.
    async fn collect_around(&self, collection: &mut Collection) -> Result<(), Failure> {
        let artifacts = self.ledger.artifacts().await?;
        let apps: BTreeSet<_> = artifacts.iter().map(|artifact| artifact.app.as_str()).collect();
        let logs: BTreeSet<_> = artifacts.iter().map(|artifact| artifact.preparation.as_str()).collect();
        let limit = (self.now)() - LOGS_KEPT;
        let recent = |name: &str| made(name).is_some_and(|made| made > limit);
        collection.logs = self.remove_others("logs", &|name| logs.contains(name) || recent(name))?;
        collection.caches = self.remove_others("caches", &|name| apps.contains(name) || name.starts_with(".base-"))?;
        Ok(())
    }

    /// Removes the entries of a folder whose name is not to be kept.
    fn remove_others(&self, folder: &str, keep: &dyn Fn(&str) -> bool) -> Result<u64, Failure> {
        let mut count = 0;
        for entry in std::fs::read_dir(self.data.join(folder)).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !keep(&name) {
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                let removed =
                    if is_folder { std::fs::remove_dir_all(entry.path()) } else { std::fs::remove_file(entry.path()) };
                removed.map_err(|error| Failure::house(format!("cannot remove {folder}/{name}"), error))?;
                count += 1;
            }
        }
        Ok(count)
    }
}

/// How long the log of a preparation that failed is kept: a week, in seconds.
const LOGS_KEPT: i64 = 7 * 24 * 3600;

/// When a preparation began: its id begins with milliseconds since 1970 in 48 bits (UUID version 7).
fn made(id: &str) -> Option<i64> {
    let hex = id.strip_prefix("prep_")?.get(..12)?;
    Some(i64::from_str_radix(hex, 16).ok()? / 1000)
}
