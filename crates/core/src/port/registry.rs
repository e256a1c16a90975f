//! Port: registries of images, and files of the web.

use std::path::Path;

use async_trait::async_trait;

use crate::digest::{Digest, ManifestDigest};
use crate::fault::Failure;
use crate::model::manifest::{Descriptor, Document};
use crate::model::reference::{ImageName, Reference};

/// The largest manifest or index; registries themselves take no larger ones than a few MiB.
pub const MAX_DOCUMENT: u64 = 16 << 20;

/// Where images come from and go to. Whoever calls may do so for several blobs at once.
#[async_trait]
pub trait Registry: Send + Sync {
    /// The reference that a name means here. Fails with the caller's fault when the configuration does not say.
    fn qualify(&self, name: &ImageName) -> Result<Reference, Failure>;

    /// A manifest or index, which is what its digest says; none: there is none of that name.
    async fn document(&self, wanted: &Reference) -> Result<Option<Document>, Failure>;

    /// Gets a blob of a repository. What `into` holds already is the beginning of it from an earlier attempt, and not asked
    /// for again; after a failure it holds what came. Afterwards it holds exactly what the digest says.
    async fn fetch(&self, repository: &Reference, blob: &Digest, size: u64, into: &Path) -> Result<(), Failure>;

    /// The same, of the place to which is pushed: no mirror answers for it.
    async fn document_there(&self, wanted: &Reference) -> Result<Option<Document>, Failure>;

    /// The digest of what has that name at the place to which is pushed; none: nothing has, or the registry does not say.
    async fn digest_there(&self, wanted: &Reference) -> Result<Option<ManifestDigest>, Failure>;

    /// What the place to which is pushed lists as belonging to a manifest, perhaps not all of it; none: it keeps no such
    /// list.
    async fn referrers_there(&self, subject: &Reference) -> Result<Option<Vec<Descriptor>>, Failure>;

    /// Puts a blob into a repository, unless it is there; `sibling` is another repository of the same registry that may
    /// have it.
    async fn send(
        &self,
        repository: &Reference,
        blob: &Digest,
        from: &Path,
        sibling: Option<&str>,
    ) -> Result<Sent, Failure>;

    /// Puts a manifest or index under a tag or its digest. All that it names has to be there.
    async fn publish(&self, at: &Reference, document: &Document) -> Result<Published, Failure>;
}

/// How a blob came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It was sent.
    Uploaded,
    /// The registry took it from another repository.
    Mounted,
    /// It was there.
    Skipped,
}

/// What a registry made of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The subject under which it is found by the referrers' API; none: the registry does not know of subjects.
    pub subject: Option<Digest>,
}

/// What was fetched of the web.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// As the server or the address calls it: one part of a path. None where neither says.
    pub name: Option<String>,
    /// When it was changed last, in seconds since 1970, where the server says.
    pub last_modified: Option<i64>,
    /// Of its bytes.
    pub digest: Digest,
    /// How many.
    pub size: u64,
}

/// Gets single files.
#[async_trait]
pub trait Fetcher: Send + Sync {
    /// The same as [`Fetcher::fetch`] where the file may be missing: none when the server says that there is none.
    async fn fetch_if_there(&self, url: &str, limit_bytes: u64, into: &Path) -> Result<Option<Fetched>, Failure> {
        self.fetch(url, limit_bytes, into).await.map(Some)
    }

    /// Gets what an http or https address names, into a file that it makes or replaces. Fails when it is larger than the
    /// limit.
    async fn fetch(&self, url: &str, limit_bytes: u64, into: &Path) -> Result<Fetched, Failure>;
}
