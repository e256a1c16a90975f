//! Images from registries, and to them (`push.rs`).
//!
//! ```text
//! DATA/partial/<hex>    a blob that is being received; its receiver holds a lock (flock) on it. What a pull leaves behind is
//!                       the beginning for the next one, until `gc`
//! ```
//!
//! Blobs go and come several at once, each asked for once, none that is there already. A manifest comes and goes last: who
//! sees it finds all that it names.

mod push;

use std::sync::Arc;

use serde::Serialize;
use till_core::model::manifest::{BadDocument, Content, Descriptor, Document, Platform};
use till_core::model::{ImageName, Reference};
use till_core::port::MAX_DOCUMENT;
use till_core::{Failure, Fault, ManifestDigest};
use till_image::{Admitted, Image, ImportLimits};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use push::{PushTraffic, PushWish, Pushed};

use crate::Engine;
use crate::lock::{self, Lock, Sharing};

/// The folder of what has not come whole.
pub(crate) const PARTIAL: &str = "partial";
/// Blobs under way at once: four large ones (more do not make one connection's network faster, and burden small registries),
/// or twice as many small ones, of whose time most is spent in waiting for answers. A large one takes two of these shares.
const SHARES: usize = 8;
/// From how many bytes on a blob is a large one.
const LARGE: u64 = 1 << 20;
/// Indexes in indexes; nobody makes more than one.
const MAX_DEPTH: usize = 3;
/// The largest image that is received, compressed. Larger ones are a mistake, or an attack on the disk.
const MAX_IMAGE: u64 = 64 << 30;

/// Blobs that came; the manifest is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PullTraffic {
    /// Received.
    pub received: u64,
    /// They were in the store.
    pub skipped: u64,
    /// That were received.
    pub bytes: u64,
}

/// An image of a registry, whole in the store. Nothing else knows of it: while this is held no `gc` takes it, afterwards
/// only what the ledger names is kept.
#[derive(Debug)]
pub struct Pulled {
    /// The image.
    pub image: Image,
    /// The index in which it was chosen for this machine.
    pub index: Option<ManifestDigest>,
    /// What was left out of it.
    pub notices: Vec<String>,
    /// Where it came from.
    pub reference: Reference,
    /// What it took.
    pub blobs: PullTraffic,
    _no_gc: Lock,
}

impl Engine {
    /// Brings an image of a registry into the store: of an index, the one for this machine.
    pub async fn pull(&self, from: &ImageName, limits: &ImportLimits) -> Result<Pulled, Failure> {
        let reference = self.registry.qualify(from)?;
        let no_gc = lock::take(&self.folder("locks")?, "gc", Sharing::Shared, || {}).await?;
        let (index, document, parts) = self.choose(&reference).await?;
        let size = parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.size));
        if size.is_none_or(|size| size > MAX_IMAGE) {
            return Err(Failure::new(Fault::Source, format!("the image {reference} is too large to be received"))
                .hint(format!("at most {MAX_IMAGE} bytes, compressed, are")));
        }
        let mut blobs = PullTraffic::default();
        let mut jobs = Vec::new();
        for part in parts {
            if self.store.has(&part.digest) {
                blobs.skipped += 1;
                continue;
            }
            let (engine, repository) = (self.clone(), reference.clone());
            jobs.push((part.size, async move { engine.receive(&repository, &part).await }));
        }
        for bytes in together(jobs).await? {
            blobs.received += 1;
            blobs.bytes += bytes;
        }
        let (store, limits) = (self.store.clone(), limits.clone());
        let Admitted { image, notices } = blocking(move || till_image::admit(&store, &document.bytes, &limits)).await?;
        let (ours, theirs) = (Platform::here(), &image.config.architecture);
        if !theirs.is_empty() && *theirs != ours.architecture {
            return Err(other_machine(&reference, &format!("linux/{theirs}")));
        }
        Ok(Pulled { image, index, notices, reference, blobs, _no_gc: no_gc })
    }

    /// The manifest that is meant, the index that led to it, and the blobs that it names, each once.
    async fn choose(&self, wanted: &Reference) -> Result<(Option<ManifestDigest>, Document, Vec<Descriptor>), Failure> {
        let mut at = wanted.clone();
        let mut index = None;
        for _ in 0..=MAX_DEPTH {
            let found = self.registry.document(&at).await?;
            let document = found.ok_or_else(|| {
                Failure::new(Fault::Caller, format!("there is no image {at}")).hint("is its repository or tag right?")
            })?;
            match Content::of(&document).map_err(|error| not_understood(&at, error))? {
                Content::Image { config, layers, .. } => {
                    if config.size > MAX_DOCUMENT {
                        return Err(Failure::new(Fault::Source, format!("the config of {at} is too large")));
                    }
                    return Ok((index, document, unique(std::iter::once(*config).chain(layers))));
                }
                Content::Index(entries) => {
                    let entry = Platform::here().choose(&entries).ok_or_else(|| {
                        let known = entries.iter().filter_map(|entry| entry.platform.as_ref()).map(Platform::shown);
                        other_machine(wanted, &known.collect::<Vec<_>>().join(", "))
                    })?;
                    at = at.at_digest(&ManifestDigest(entry.digest.clone()));
                    index.get_or_insert(document.digest);
                }
            }
        }
        Err(Failure::new(Fault::Source, format!("{wanted} is an index of indexes of indexes"))
            .hint("name the image itself by its digest"))
    }

    /// Gets one blob into the store. Answers its size; nothing when somebody else got it meanwhile.
    async fn receive(&self, repository: &Reference, part: &Descriptor) -> Result<u64, Failure> {
        let (folder, name) = (self.folder(PARTIAL)?, part.digest.hex());
        let _ours = lock::take(&folder, name, Sharing::Alone, || {}).await?;
        let path = folder.join(name);
        if self.store.has(&part.digest) {
            // The file that we have locked, unless it has become the blob itself.
            let _ = std::fs::remove_file(&path);
            return Ok(0);
        }
        self.registry.fetch(repository, &part.digest, part.size, &path).await?;
        let (store, digest) = (self.store.clone(), part.digest.clone());
        blocking(move || store.take(&path, &digest)).await?;
        Ok(part.size)
    }
}

/// Each blob once, though an image may have the same layer twice.
fn unique(parts: impl Iterator<Item = Descriptor>) -> Vec<Descriptor> {
    let mut found: Vec<Descriptor> = Vec::new();
    for part in parts {
        if !found.iter().any(|other| other.digest == part.digest) {
            found.push(part);
        }
    }
    found
}

fn not_understood(what: &impl std::fmt::Display, error: BadDocument) -> Failure {
    Failure::new(Fault::Source, format!("cannot understand the manifest of {what}: {error}"))
}

fn other_machine(what: &Reference, known: &str) -> Failure {
    let known = if known.is_empty() { "it says nothing of machines" } else { known };
    let text = format!("the image {what} is not for this machine ({})", Platform::here().shown());
    Failure::new(Fault::Caller, text).hint(format!("there is: {known}"))
}

/// Does several things, each of which moves that many bytes, a few of them at once. The first failure ends all.
async fn together<T: Send + 'static>(
    jobs: Vec<(u64, impl Future<Output = Result<T, Failure>> + Send + 'static)>,
) -> Result<Vec<T>, Failure> {
    let shares = Arc::new(Semaphore::new(SHARES));
    let mut running = JoinSet::new();
    for (bytes, job) in jobs {
        let shares = Arc::clone(&shares);
        running.spawn(async move {
            let _shares = shares.acquire_many(if bytes < LARGE { 1 } else { 2 }).await;
            job.await
        });
    }
    let mut done = Vec::new();
    while let Some(ended) = running.join_next().await {
        done.push(ended.map_err(|error| Failure::house("cannot go on", error))??);
    }
    Ok(done)
}

/// Work on files in a thread that may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, till_image::ImageError> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(Failure::house("cannot go on", error)),
    }
}
