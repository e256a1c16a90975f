//! A registry in memory, and code of others.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use till_core::model::manifest::{Content, Descriptor, Document};
use till_core::model::{ImageName, Reference};
use till_core::port::{Fetched, Fetcher, Published, Registry, Sent, SourceTree, Sources};
use till_core::{Digest, Failure, Fault, ManifestDigest};

use crate::source::MemorySource;

/// A registry in memory; every repository has all blobs. It writes down what it is asked.
#[derive(Debug, Default)]
pub struct Shelf {
    documents: Mutex<BTreeMap<String, Document>>,
    blobs: Mutex<BTreeMap<Digest, Vec<u8>>>,
    deeds: Mutex<Vec<String>>,
    code: Mutex<BTreeMap<String, MemorySource>>,
    /// Whether it says that it knows whom a manifest belongs to.
    pub knows_subjects: bool,
}

impl Shelf {
    /// What it was asked for since it was asked last, in the order of the alphabet: blobs come in any.
    pub fn deeds(&self) -> Vec<String> {
        let mut deeds = std::mem::take(&mut *self.deeds.lock().unwrap());
        deeds.sort();
        deeds
    }

    /// Puts a blob there.
    pub fn put(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.blobs.lock().unwrap().insert(digest.clone(), bytes.to_vec());
        digest
    }

    /// Puts code of others at an address.
    pub fn lay(&self, address: &str, code: MemorySource) {
        self.code.lock().unwrap().insert(address.to_owned(), code);
    }

    /// From now on a blob is other bytes than its digest says.
    pub fn spoil(&self, blob: &Digest) {
        self.blobs.lock().unwrap().insert(blob.clone(), b"spoilt".to_vec());
    }

    /// A blob is gone, whatever names it.
    pub fn lose(&self, blob: &Digest) {
        self.blobs.lock().unwrap().remove(blob);
    }

    /// Puts a document there, under a reference and its digest.
    pub fn set(&self, at: &str, media_type: &str, text: &str) -> ManifestDigest {
        let (bytes, at) = (text.as_bytes().to_vec(), at.parse::<Reference>().unwrap());
        let document =
            Document { digest: ManifestDigest(Digest::of(&bytes)), media_type: media_type.to_owned(), bytes };
        self.keep(&at, &document);
        document.digest
    }

    /// The text of a document.
    pub fn text(&self, at: &str) -> Option<String> {
        let document = self.documents.lock().unwrap().get(at).cloned()?;
        Some(String::from_utf8(document.bytes).unwrap())
    }

    fn keep(&self, at: &Reference, document: &Document) {
        let mut documents = self.documents.lock().unwrap();
        documents.insert(key(&at.at_digest(&document.digest)), document.clone());
        documents.insert(key(at), document.clone());
    }

    fn note(&self, deed: String) {
        self.deeds.lock().unwrap().push(deed);
    }
}

fn key(at: &Reference) -> String {
    match &at.digest {
        Some(digest) => format!("{}/{}@{digest}", at.registry, at.repository),
        None => format!("{}/{}:{}", at.registry, at.repository, at.wanted()),
    }
}

/// Its blobs are files of the web, too: `https://…/sha256:…`.
#[async_trait]
impl Fetcher for Shelf {
    async fn fetch(&self, url: &str, _: u64, into: &Path) -> Result<Fetched, Failure> {
        self.deeds.lock().unwrap().push(format!("fetch {url}"));
        let digest = url.rsplit('/').next().and_then(|name| name.parse::<Digest>().ok());
        let bytes = digest.and_then(|digest| self.blobs.lock().unwrap().get(&digest).cloned());
        let bytes = bytes.ok_or_else(|| Failure::new(Fault::Source, format!("there is no {url}")))?;
        std::fs::write(into, &bytes).unwrap();
        Ok(Fetched { name: None, last_modified: None, digest: Digest::of(&bytes), size: bytes.len() as u64 })
    }
}

#[async_trait]
impl Sources for Shelf {
    async fn open(&self, address: &str, _: &Path) -> Result<Box<dyn SourceTree>, Failure> {
        self.deeds.lock().unwrap().push(format!("open {address}"));
        let code = self.code.lock().unwrap().get(address).cloned();
        let code = code.ok_or_else(|| Failure::new(Fault::Caller, format!("there is no {address}")))?;
        Ok(Box::new(code))
    }

    async fn of_archive(&self, archive: &Path, _: &Path) -> Result<Box<dyn SourceTree>, Failure> {
        let found = crate::archive::read(archive).into_iter();
        Ok(Box::new(MemorySource::of(found.filter_map(|found| Some((found.path, found.entry?))).collect())))
    }
}

#[async_trait]
impl Registry for Shelf {
    fn qualify(&self, name: &ImageName) -> Result<Reference, Failure> {
        match name {
            ImageName::Full(reference) => Ok(reference.clone()),
            ImageName::Unqualified(name) => Err(Failure::new(Fault::Caller, format!("`{name}` names no registry"))),
        }
    }

    async fn document(&self, wanted: &Reference) -> Result<Option<Document>, Failure> {
        Ok(self.documents.lock().unwrap().get(&key(wanted)).cloned())
    }

    async fn document_there(&self, wanted: &Reference) -> Result<Option<Document>, Failure> {
        self.note(format!("get {}", key(wanted)));
        self.document(wanted).await
    }

    async fn digest_there(&self, wanted: &Reference) -> Result<Option<ManifestDigest>, Failure> {
        Ok(self.document(wanted).await?.map(|document| document.digest))
    }

    async fn referrers_there(&self, subject: &Reference) -> Result<Option<Vec<Descriptor>>, Failure> {
        let wanted = subject.digest.as_deref();
        let belongs = |document: &&Document| match Content::of(document).unwrap() {
            Content::Image { subject: Some(found), .. } => Some(&found.digest) == wanted,
            _ => false,
        };
        let documents = self.documents.lock().unwrap();
        let entries = documents.values().filter(belongs).map(|document| Descriptor {
            media_type: document.media_type.clone(),
            digest: document.digest.0.clone(),
            size: document.bytes.len() as u64,
            platform: None,
            rest: BTreeMap::new(),
        });
        Ok(self.knows_subjects.then(|| entries.collect()))
    }

    async fn fetch(&self, _: &Reference, blob: &Digest, _: u64, into: &Path) -> Result<(), Failure> {
        self.note(format!("fetch {blob}"));
        let blobs = self.blobs.lock().unwrap();
        let bytes = blobs.get(blob).ok_or_else(|| Failure::new(Fault::House, format!("no blob {blob}")))?;
        std::fs::write(into, bytes).map_err(|error| Failure::house("cannot write", error))
    }

    async fn send(&self, _: &Reference, blob: &Digest, from: &Path, sibling: Option<&str>) -> Result<Sent, Failure> {
        if self.blobs.lock().unwrap().contains_key(blob) {
            return Ok(if sibling.is_some() { Sent::Mounted } else { Sent::Skipped });
        }
        self.note(format!("send {blob}"));
        let bytes = std::fs::read(from).map_err(|error| Failure::house("cannot read", error))?;
        assert_eq!(self.put(&bytes), *blob);
        Ok(Sent::Uploaded)
    }

    async fn publish(&self, at: &Reference, document: &Document) -> Result<Published, Failure> {
        let content = Content::of(document).unwrap();
        let subject = match content {
            Content::Image { config, layers, subject } => {
                let blobs = self.blobs.lock().unwrap();
                let known = layers.iter().chain([&*config]).all(|part| blobs.contains_key(&part.digest));
                assert!(known, "a manifest comes after what it names");
                subject.filter(|_| self.knows_subjects).map(|subject| subject.digest.clone())
            }
            Content::Index(_) => None,
        };
        self.note(format!("publish {}", key(at)));
        self.keep(at, document);
        Ok(Published { subject })
    }
}
