//! Images to registries and from them.
//!
//! ```text
//! DATA/partial/<hex>    a blob that is being received; its receiver holds a lock (flock) on it. What a pull leaves behind is
//!                       the beginning for the next one, until `gc`
//! ```
//!
//! Blobs go and come several at once, each asked for once, none that is there already. A manifest comes and goes last: who
//! sees it finds all that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use till_core::id::PreparationId;
use till_core::model::base_lock::RECIPE_MEDIA_TYPE;
use till_core::model::manifest::{BadDocument, Content, Descriptor, Document, OCI_INDEX, OCI_MANIFEST, Platform};
use till_core::model::{BaseRef, ImageName, Reference};
use till_core::port::{MAX_DOCUMENT, Sent};
use till_core::{Digest, Failure, Fault, ManifestDigest};
use till_image::{Admitted, Destination, ExportCompression, Image, ImportLimits, Store};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::lock::{self, Lock, Sharing};
use crate::{Engine, new_bits};

/// The folder of what has not come whole.
pub(crate) const PARTIAL: &str = "partial";
/// Blobs under way at once: more do not make one connection's network faster, and burden small registries.
const PARALLEL: usize = 4;
/// Indexes in indexes; nobody makes more than one.
const MAX_DEPTH: usize = 3;
/// The largest image that is received, compressed. Larger ones are a mistake, or an attack on the disk.
const MAX_IMAGE: u64 = 64 << 30;

/// What is to be pushed.
#[derive(Debug, Clone)]
pub struct PushWish {
    /// An artifact or a base.
    pub wanted: String,
    /// Where to.
    pub to: ImageName,
    /// How layers are compressed there.
    pub compression: ExportCompression,
    /// Another repository of the same registry that may have its blobs.
    pub sibling: Option<String>,
    /// Manifests of the store whose subject it is, e.g. signatures.
    pub referrers: Vec<ManifestDigest>,
}

/// Blobs that went; the manifest is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PushTraffic {
    /// Sent.
    pub sent: u64,
    /// They were there.
    pub skipped: u64,
    /// The registry had them in the other repository.
    pub mounted: u64,
    /// That were sent.
    pub bytes: u64,
}

/// A push under way.
#[derive(Default)]
struct Going {
    traffic: PushTraffic,
    /// Blobs that the registry was asked about.
    asked: BTreeSet<Digest>,
}

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

/// An image in a registry.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// As it is there: another than here when its layers were compressed in another way.
    pub digest: ManifestDigest,
    /// Where.
    pub reference: Reference,
    /// What it took.
    pub blobs: PushTraffic,
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
            jobs.push(async move { engine.receive(&repository, &part).await });
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

    /// Puts an artifact or a base into a registry.
    pub async fn push(&self, wish: &PushWish) -> Result<Pushed, Failure> {
        let reference = self.registry.qualify(&wish.to)?;
        let _no_gc = lock::take(&self.folder("locks")?, "gc", Sharing::Shared, || {}).await?;
        let ours = self.named(&wish.wanted).await?;
        let staging = self.staging(&PreparationId::from_bits(new_bits()))?;
        let (store, digest) = match wish.compression {
            ExportCompression::Keep => (self.store.clone(), ours),
            compression => {
                let (store, layout) = (self.store.clone(), staging.path().join("layout"));
                blocking(move || {
                    let to = Destination::Layout { dir: layout.clone(), reference: "push".to_owned() };
                    let digest = till_image::export(&store, &ours, &to, compression)?;
                    Ok((Store::open(&layout)?, digest))
                })
                .await?
            }
        };
        if let Some(expected) = reference.digest.as_ref().filter(|expected| **expected != digest) {
            let what = format!("`{}` is {digest} there, not {expected}", wish.wanted);
            return Err(Failure::new(Fault::Caller, what).hint("push to a tag"));
        }
        let mut going = Going::default();
        let image = stored(&store, &digest)?;
        self.send(&store, &reference, &image, wish.sibling.as_deref(), &mut going).await?;
        self.registry.publish(&reference, &image).await?;
        for referrer in &wish.referrers {
            self.refer(&reference, &digest, referrer, &mut going).await?;
        }
        Ok(Pushed { digest, reference, blobs: going.traffic })
    }

    /// The documents about an artifact or a base: inventories, provenance, lock. Not the files of its recipe: not everybody
    /// who may have the image may see them.
    pub async fn documents_of(&self, wanted: &str) -> Result<Vec<ManifestDigest>, Failure> {
        let facts = self.ledger.referrers(&self.named(wanted).await?).await?;
        let public = facts.into_iter().filter(|fact| fact.artifact_type != RECIPE_MEDIA_TYPE);
        Ok(public.map(|fact| fact.manifest).collect())
    }

    /// The image of an artifact or a base. What could be either is refused: nobody wants to push the wrong one.
    async fn named(&self, wanted: &str) -> Result<ManifestDigest, Failure> {
        let artifact = self.artifact(wanted).await;
        let base = match wanted.parse::<BaseRef>() {
            Ok(base) => self.base(&base).await.ok(),
            Err(_) => None,
        };
        match (artifact, base) {
            (Ok(artifact), None) => Ok(artifact.image.manifest),
            (Err(_), Some(base)) => Ok(base.image.manifest),
            (Err(error), None) => Err(error),
            (Ok(artifact), Some(base)) => {
                let (digest, version) = (artifact.image.manifest.short().to_owned(), &base.fact.version);
                let what = format!("`{wanted}` is both an app and a base");
                let hint = format!("`{digest}` is the app's artifact, `{}@{}` the base", version.name, version.version);
                Err(Failure::new(Fault::Caller, what).hint(hint))
            }
        }
    }

    /// Sends what a manifest names.
    async fn send(
        &self,
        store: &Store,
        to: &Reference,
        document: &Document,
        sibling: Option<&str>,
        going: &mut Going,
    ) -> Result<(), Failure> {
        let parts = match Content::of(document).map_err(|error| not_understood(to, error))? {
            Content::Image { config, layers, .. } => unique(std::iter::once(*config).chain(layers)),
            Content::Index(_) => return Err(Failure::new(Fault::House, "an index is not an image")),
        };
        // Documents about an image share what they have for config: that, too, is asked for once.
        let parts = parts.into_iter().filter(|part| going.asked.insert(part.digest.clone())).collect::<Vec<_>>();
        let traffic = &mut going.traffic;
        let job = |part: Descriptor| {
            let (registry, path, to) = (Arc::clone(&self.registry), store.path(&part.digest), to.clone());
            let sibling = sibling.map(str::to_owned);
            async move { Ok((registry.send(&to, &part.digest, &path, sibling.as_deref()).await?, part.size)) }
        };
        for (sent, size) in together(parts.into_iter().map(job).collect()).await? {
            match sent {
                Sent::Skipped => traffic.skipped += 1,
                Sent::Mounted => traffic.mounted += 1,
                Sent::Uploaded => {
                    traffic.sent += 1;
                    traffic.bytes += size;
                }
            }
        }
        Ok(())
    }

    /// Pushes a manifest that belongs to an image. Where the registry does not know of subjects it is entered in the index
    /// that has the image's digest as its tag, as the distribution spec says.
    async fn refer(
        &self,
        to: &Reference,
        subject: &ManifestDigest,
        referrer: &ManifestDigest,
        going: &mut Going,
    ) -> Result<(), Failure> {
        let document = stored(&self.store, referrer)?;
        let belongs = match Content::of(&document) {
            Ok(Content::Image { subject: Some(found), .. }) => found.digest == **subject,
            _ => false,
        };
        if !belongs {
            return Err(Failure::new(Fault::Caller, format!("the manifest {referrer} does not belong to {subject}")));
        }
        self.send(&self.store, to, &document, None, going).await?;
        let published = self.registry.publish(&to.at_digest(referrer), &document).await?;
        if published.subject.is_some() {
            return Ok(());
        }
        let list = to.at_tag(&format!("sha256-{}", subject.hex()));
        let mut entries = match self.registry.document(&list).await? {
            None => Vec::new(),
            Some(list) => match Content::of(&list) {
                Ok(Content::Index(entries)) => entries,
                _ => Vec::new(),
            },
        };
        if entries.iter().any(|entry| entry.digest == **referrer) {
            return Ok(());
        }
        entries.push(entry(&document));
        let index = serde_json::json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
        let bytes = index.to_string().into_bytes();
        let digest = ManifestDigest(Digest::of(&bytes));
        self.registry.publish(&list, &Document { digest, media_type: OCI_INDEX.to_owned(), bytes }).await?;
        Ok(())
    }
}

/// A manifest of the store, with what it says it is.
fn stored(store: &Store, digest: &ManifestDigest) -> Result<Document, Failure> {
    let bytes = store.get(digest)?;
    let said: Option<Value> = serde_json::from_slice(&bytes).ok();
    let media_type = said.as_ref().and_then(|said| said.get("mediaType")?.as_str()).unwrap_or(OCI_MANIFEST).to_owned();
    Ok(Document { digest: digest.clone(), media_type, bytes })
}

/// How a referrer stands in an index: with its kind and annotations, so that readers need not fetch it.
fn entry(document: &Document) -> Descriptor {
    let said: Value = serde_json::from_slice(&document.bytes).unwrap_or_default();
    let kind = said.get("artifactType").or_else(|| said.get("config")?.get("mediaType"));
    let parts = [("artifactType", kind), ("annotations", said.get("annotations"))];
    let rest = parts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.clone())));
    Descriptor {
        media_type: document.media_type.clone(),
        digest: document.digest.0.clone(),
        size: document.bytes.len() as u64,
        platform: None,
        rest: rest.collect::<BTreeMap<_, _>>(),
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

fn not_understood(what: &Reference, error: BadDocument) -> Failure {
    Failure::new(Fault::Source, format!("cannot understand the manifest of {what}: {error}"))
}

fn other_machine(what: &Reference, known: &str) -> Failure {
    let known = if known.is_empty() { "it says nothing of machines" } else { known };
    let text = format!("the image {what} is not for this machine ({})", Platform::here().shown());
    Failure::new(Fault::Caller, text).hint(format!("there is: {known}"))
}

/// Does several things, a few of them at once. The first failure ends all.
async fn together<T: Send + 'static>(
    jobs: Vec<impl Future<Output = Result<T, Failure>> + Send + 'static>,
) -> Result<Vec<T>, Failure> {
    let permits = Arc::new(Semaphore::new(PARALLEL));
    let mut running = JoinSet::new();
    for job in jobs {
        let permits = Arc::clone(&permits);
        running.spawn(async move {
            let _permit = permits.acquire().await;
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
