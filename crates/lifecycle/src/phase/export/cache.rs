//! The cache of the next build.
//!
//! ```text
//! CACHE/committed/cache.json                          what is known of the layers
//! CACHE/committed/BUILDPACK/layers/LAYER/…            contents
//! CACHE/committed/BUILDPACK/sbom/LAYER/sbom.ENDING    SBOM files
//! CACHE/staging/                                      what is to be committed; of a build that failed: removed by the next
//! ```

use std::path::Path;

use rustix::fs::RenameFlags;

use super::Left;
use crate::failure::{Doing as _, Failure};
use crate::model::folder;
use crate::model::memory::{Memory, Remembered};
use crate::phase::{CACHE_FILE, CACHED_LAYERS, CACHED_SBOM, COMMITTED, STAGING};
use crate::tree::{Folder, Links, Owner, bring, copy};

/// A new cache that does not count yet.
pub(super) struct Staged(Folder);

/// Writes the new cache beside the old one. Layers that are launched, too, are copied; others are moved.
pub(super) fn stage(cache: &Path, layers: &Folder, left: &[Left], exec_env: &str) -> Result<Staged, Failure> {
    let deed = || format!("write the cache {}", cache.display());
    let cache = Folder::open(cache).doing(deed)?;
    cache.remove(STAGING).doing(deed)?;
    let staging = cache.make(STAGING).doing(deed)?;
    let mut remembered = Vec::new();
    for left in left {
        let directory = folder(&left.member.id);
        let cached: Vec<_> = left.layers.iter().filter(|found| found.layer.types.cache).collect();
        for found in &cached {
            let deed = || format!("cache layer {}:{}", left.member.id, found.name);
            let Some(own) = &left.folder else { continue };
            let target = staging.make(&directory).doing(deed)?;
            let contents = target.make(CACHED_LAYERS).doing(deed)?;
            let name = found.name.as_ref();
            if found.layer.types.launch {
                copy(own, name, &contents, name, Owner::Kept, &mut Links::default()).doing(deed)?;
            } else {
                bring(own, name, &contents, &mut Links::default()).doing(deed)?;
            }
            let sbom = layers.descend(&Path::new("sbom/cache").join(&directory)).doing(deed)?;
            if let Some(sbom) = sbom.filter(|sbom| matches!(sbom.stat(name), Ok(Some(_)))) {
                let target = target.make(CACHED_SBOM).doing(deed)?;
                copy(&sbom, name, &target, name, Owner::Kept, &mut Links::default()).doing(deed)?;
            }
        }
        if !cached.is_empty() || left.store.is_some() {
            remembered.push(Remembered {
                id: left.member.id.clone(),
                version: left.member.version.clone(),
                layers: cached.iter().map(|found| (found.name.clone(), found.layer.clone())).collect(),
                store: left.store.clone(),
            });
        }
    }
    let text = serde_json::to_string(&Memory::new(exec_env, remembered)).doing(deed)?;
    staging.write(CACHE_FILE, text.as_bytes()).doing(deed)?;
    Ok(Staged(cache))
}

impl Staged {
    /// Makes it the cache, at once.
    pub(super) fn commit(self) -> Result<(), Failure> {
        let deed = || "commit the cache".to_owned();
        let Self(cache) = self;
        if matches!(cache.stat(COMMITTED), Ok(None)) {
            return rustix::fs::renameat(&cache, STAGING, &cache, COMMITTED).doing(deed);
        }
        if rustix::fs::renameat_with(&cache, STAGING, &cache, COMMITTED, RenameFlags::EXCHANGE).is_err() {
            // A file system that cannot exchange: for a moment there is no cache, which is allowed.
            cache.remove(COMMITTED).doing(deed)?;
            return rustix::fs::renameat(&cache, STAGING, &cache, COMMITTED).doing(deed);
        }
        cache.remove(STAGING).doing(deed)
    }
}
