//! Images to registries, and the documents about them.
//!
//! First all blobs, several at once; then the image's manifest; then those of its documents, several at once; then, where the
//! registry keeps no list of what belongs to an image, the list, once. Whatever is there is believed to be whole: a registry
//! takes a manifest only when it has what that names, and keeps it as long.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use till_core::model::base_lock::RECIPE_MEDIA_TYPE;
use till_core::model::manifest::{Content, Descriptor, Document, OCI_INDEX, OCI_MANIFEST};
use till_core::model::{BaseRef, ImageName, Reference};
use till_core::port::Sent;
use till_core::{Digest, Failure, Fault, ManifestDigest};
use till_image::{ExportCompression, Store};

use super::{blocking, not_understood, together, unique};
use crate::Engine;
use crate::lock::{self, Sharing};

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

/// A manifest of a store, and the blobs that it names.
struct Load<'a> {
    document: Document,
    parts: Vec<Descriptor>,
    store: &'a Store,
}

/// A blob that has to be there.
struct Part {
    digest: Digest,
    size: u64,
    path: PathBuf,
    sibling: Option<String>,
}

/// A push under way.
#[derive(Default)]
struct Going {
    traffic: PushTraffic,
    /// Blobs that were met. Documents about an image share what they have for config: that, too, is asked for once.
    met: BTreeSet<Digest>,
    /// Those that the registry has to be asked about.
    parts: Vec<Part>,
}

impl Engine {
    /// Puts an artifact or a base into a registry.
    pub async fn push(&self, wish: &PushWish) -> Result<Pushed, Failure> {
        let reference = self.registry.qualify(&wish.to)?;
        let _no_gc = lock::take(&self.folder("locks")?, "gc", Sharing::Shared, || {}).await?;
        let ours = self.named(&wish.wanted).await?;
        let (store, compression) = (self.store.clone(), wish.compression);
        let digest = blocking(move || till_image::converted(&store, &ours, compression)).await?;
        if let Some(expected) = reference.digest.as_ref().filter(|expected| **expected != digest) {
            let what = format!("`{}` is {digest} there, not {expected}", wish.wanted);
            return Err(Failure::new(Fault::Caller, what).hint("push to a tag"));
        }
        let (image, _) = load(&self.store, &digest)?;
        let documents = wish.referrers.iter().map(|referrer| self.belonging(referrer, &digest));
        let blobs = self.send(&reference, image, documents.collect::<Result<_, _>>()?, wish.sibling.as_deref()).await?;
        Ok(Pushed { digest, reference, blobs })
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

    /// A manifest that belongs to an image.
    fn belonging(&self, referrer: &ManifestDigest, subject: &ManifestDigest) -> Result<Load<'_>, Failure> {
        match load(&self.store, referrer)? {
            (load, Some(found)) if found == **subject => Ok(load),
            _ => Err(Failure::new(Fault::Caller, format!("the manifest {referrer} does not belong to {subject}"))),
        }
    }

    /// Sends an image and the documents about it, as far as they are not there.
    async fn send(
        &self,
        to: &Reference,
        image: Load<'_>,
        documents: Vec<Load<'_>>,
        sibling: Option<&str>,
    ) -> Result<PushTraffic, Failure> {
        let subject = image.document.digest.clone();
        let is_there = self.registry.digest_there(to).await?.as_ref() == Some(&subject);
        // Of an image that was not there nothing is asked: its documents are hardly there either.
        let listed = if is_there && !documents.is_empty() { self.listed(to, &subject).await? } else { BTreeSet::new() };
        let mut going = Going::default();
        if is_there {
            going.pass(&image);
        } else {
            going.take(&image, sibling);
        }
        let (known, missing): (Vec<_>, Vec<_>) =
            documents.into_iter().partition(|load| listed.contains(&*load.document.digest));
        known.iter().for_each(|load| going.pass(load));
        missing.iter().for_each(|load| going.take(load, None));
        let traffic = self.carry(to, going).await?;
        if !is_there {
            self.registry.publish(to, &image.document).await?;
        }
        self.attach(to, &subject, missing.into_iter().map(|load| load.document).collect()).await?;
        Ok(traffic)
    }

    /// Sees to it that the registry has the blobs.
    async fn carry(&self, to: &Reference, going: Going) -> Result<PushTraffic, Failure> {
        let Going { mut traffic, parts, .. } = going;
        let job = |part: Part| {
            let (registry, to) = (Arc::clone(&self.registry), to.clone());
            let send = async move {
                Ok((registry.send(&to, &part.digest, &part.path, part.sibling.as_deref()).await?, part.size))
            };
            (part.size, send)
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
        Ok(traffic)
    }

    /// Puts the manifests of documents there. Those whose subject the registry does not take note of are entered in the index
    /// that has the image's digest as its tag, as the distribution spec says.
    async fn attach(&self, to: &Reference, subject: &ManifestDigest, documents: Vec<Document>) -> Result<(), Failure> {
        let job = |document: &Document| {
            let (registry, at, document) =
                (Arc::clone(&self.registry), to.at_digest(&document.digest), document.clone());
            let bytes = document.bytes.len() as u64;
            let publish = async move {
                let published = registry.publish(&at, &document).await?;
                Ok(published.subject.is_none().then_some(document.digest))
            };
            (bytes, publish)
        };
        let unlisted = together(documents.iter().map(job).collect()).await?.into_iter().flatten();
        let unlisted = unlisted.collect::<BTreeSet<_>>();
        if unlisted.is_empty() {
            return Ok(());
        }
        // Read when nothing else is left to be done: what somebody else enters before it is written again is lost.
        let list = list(to, subject);
        let mut entries = self.entries(&list).await?;
        let before = entries.len();
        for document in documents.iter().filter(|document| unlisted.contains(&document.digest)) {
            if !entries.iter().any(|entry| entry.digest == *document.digest) {
                entries.push(entry(document));
            }
        }
        if entries.len() == before {
            return Ok(());
        }
        let index = serde_json::json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
        let bytes = index.to_string().into_bytes();
        let digest = ManifestDigest(Digest::of(&bytes));
        self.registry.publish(&list, &Document { digest, media_type: OCI_INDEX.to_owned(), bytes }).await?;
        Ok(())
    }

    /// What is known there to belong to an image: to the registry itself, or by the index.
    async fn listed(&self, to: &Reference, subject: &ManifestDigest) -> Result<BTreeSet<Digest>, Failure> {
        let entries = match self.registry.referrers_there(&to.at_digest(subject)).await? {
            Some(entries) => entries,
            None => self.entries(&list(to, subject)).await?,
        };
        Ok(entries.into_iter().map(|entry| entry.digest).collect())
    }

    /// What stands in an index; nothing where there is none.
    async fn entries(&self, list: &Reference) -> Result<Vec<Descriptor>, Failure> {
        match self.registry.document_there(list).await?.as_ref().map(Content::of) {
            Some(Ok(Content::Index(entries))) => Ok(entries),
            _ => Ok(Vec::new()),
        }
    }
}

impl Going {
    /// The registry has a manifest, and so its blobs.
    fn pass(&mut self, load: &Load<'_>) {
        let new = load.parts.iter().filter(|part| self.met.insert(part.digest.clone()));
        self.traffic.skipped += new.count() as u64;
    }

    /// The registry is to have the blobs of a manifest.
    fn take(&mut self, load: &Load<'_>, sibling: Option<&str>) {
        for part in load.parts.iter().filter(|part| self.met.insert(part.digest.clone())) {
            let (digest, path) = (part.digest.clone(), load.store.path(&part.digest));
            self.parts.push(Part { digest, size: part.size, path, sibling: sibling.map(str::to_owned) });
        }
    }
}

/// Under what is kept which manifests belong to an image, where the registry does not do it.
fn list(to: &Reference, subject: &ManifestDigest) -> Reference {
    to.at_tag(&format!("sha256-{}", subject.hex()))
}

/// A manifest of a store, and what it says that it belongs to.
fn load<'a>(store: &'a Store, digest: &ManifestDigest) -> Result<(Load<'a>, Option<Digest>), Failure> {
    let bytes = store.get(digest)?;
    let said: Option<Value> = serde_json::from_slice(&bytes).ok();
    let media_type = said.as_ref().and_then(|said| said.get("mediaType")?.as_str()).unwrap_or(OCI_MANIFEST).to_owned();
    let document = Document { digest: digest.clone(), media_type, bytes };
    match Content::of(&document).map_err(|error| not_understood(digest, error))? {
        Content::Image { config, layers, subject } => {
            let parts = unique(std::iter::once(*config).chain(layers));
            Ok((Load { document, parts, store }, subject.map(|subject| subject.digest)))
        }
        Content::Index(_) => Err(Failure::new(Fault::House, "an index is not an image")),
    }
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
