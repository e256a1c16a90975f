//! What comes: manifests whole and bounded, blobs into files, from where the file ends.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use reqwest::{Method, Response, StatusCode};
use sha2::{Digest as _, Sha256};
use till_core::model::manifest::{Document, MANIFEST_TYPES};
use till_core::port::MAX_DOCUMENT;
use till_core::{Digest, ManifestDigest};

use super::ask::Ask;
use super::error::{RegistryError, failed};
use super::session::Session;
use crate::http::{self, Patience};

/// Bytes after which a connection that breaks has not been in vain: attempts are counted anew.
const PROGRESS: u64 = 1 << 20;

/// The manifest or index of that tag or digest.
pub(super) async fn document(
    session: &Session<'_>,
    wanted: &str,
    patience: Patience,
) -> Result<Option<Document>, RegistryError> {
    let deed = format!("get the manifest {}:{wanted}", session.place.repository);
    let mut attempt = 0;
    loop {
        match document_once(session, &deed, wanted).await {
            Err(error @ RegistryError::Connection { .. }) => {
                if !patience.again(attempt, None).await {
                    return Err(error);
                }
                attempt += 1;
            }
            other => return other,
        }
    }
}

async fn document_once(session: &Session<'_>, deed: &str, wanted: &str) -> Result<Option<Document>, RegistryError> {
    let ask = Ask::reading(deed, Method::GET, session.url(&format!("manifests/{wanted}")));
    let response = session.patiently(&ask.header("Accept", MANIFEST_TYPES.join(", "))).await?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => {
            session.pass_over(response).await;
            return Ok(None);
        }
        _ => return Err(session.refused(deed, response).await),
    }
    let of = |name: &str| http::header(&response, name).map(str::to_owned);
    let (media_type, promised) = (of("content-type"), of("docker-content-digest"));
    let bytes = session.read(deed, "the manifest", response, MAX_DOCUMENT).await?;
    let digest = Digest::of(&bytes);
    // The digest that was asked for counts; what the registry says of a tag must be true as well.
    for expected in [Some(wanted), promised.as_deref()].into_iter().flatten().flat_map(str::parse::<Digest>) {
        if expected != digest {
            return Err(session.other_bytes(&expected, digest));
        }
    }
    let media_type = media_type.ok_or_else(|| session.nonsense(deed, "it has no media type"))?;
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_owned();
    Ok(Some(Document { digest: ManifestDigest(digest), media_type, bytes }))
}

/// A file that is to become a blob, and the hash of what is in it.
struct Partial<'a> {
    path: &'a Path,
    file: File,
    hash: Sha256,
    size: u64,
}

impl<'a> Partial<'a> {
    fn open(path: &'a Path, most: u64) -> Result<Self, RegistryError> {
        let opened = File::options().create(true).read(true).write(true).truncate(false).open(path);
        let file = opened.map_err(failed("open", path))?;
        let mut partial = Self { path, file, hash: Sha256::new(), size: 0 };
        let mut buffer = vec![0; 1 << 17];
        loop {
            match partial.file.read(&mut buffer).map_err(failed("read", path))? {
                0 => break,
                count => {
                    partial.hash.update(&buffer[..count]);
                    partial.size += count as u64;
                }
            }
        }
        if partial.size > most {
            partial.empty()?;
        }
        Ok(partial)
    }

    fn empty(&mut self) -> Result<(), RegistryError> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map_err(failed("empty", self.path))?;
        (self.hash, self.size) = (Sha256::new(), 0);
        Ok(())
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), RegistryError> {
        self.file.write_all(bytes).map_err(failed("write", self.path))?;
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn digest(&self) -> Digest {
        Digest::from_sha256(self.hash.clone().finalize().as_slice())
    }
}

/// Fills a file with a blob.
pub(super) async fn blob(
    session: &Session<'_>,
    digest: &Digest,
    size: u64,
    into: &Path,
    patience: Patience,
) -> Result<(), RegistryError> {
    let deed = format!("get the blob {digest}");
    let mut partial = Partial::open(into, size)?;
    let mut attempt = 0;
    while partial.size < size {
        let before = partial.size;
        let outcome = part(session, &deed, digest, size, &mut partial).await;
        if partial.size >= before + PROGRESS {
            attempt = 0;
        }
        match outcome {
            Ok(()) if partial.size == size => break,
            // It ended too soon, and said that this was all: as good as a broken connection.
            Ok(()) => {
                let what = format!("the blob {digest}");
                if !patience.again(attempt, None).await {
                    return Err(RegistryError::Size { host: session.host.name(), what, size });
                }
            }
            Err(error @ RegistryError::Connection { .. }) => {
                if !patience.again(attempt, None).await {
                    return Err(error);
                }
            }
            Err(error) => {
                // What is larger than promised or comes from elsewhere is not the beginning of anything.
                if matches!(error, RegistryError::Size { .. }) {
                    partial.empty()?;
                }
                return Err(error);
            }
        }
        attempt += 1;
    }
    let found = partial.digest();
    if found != *digest {
        partial.empty()?;
        return Err(session.other_bytes(digest, found));
    }
    Ok(())
}

/// Gets what one connection gives.
async fn part(
    session: &Session<'_>,
    deed: &str,
    digest: &Digest,
    size: u64,
    partial: &mut Partial<'_>,
) -> Result<(), RegistryError> {
    let mut ask = Ask::reading(deed, Method::GET, session.url(&format!("blobs/{digest}")));
    if partial.size > 0 {
        ask = ask.header("Range", format!("bytes={}-", partial.size));
    }
    let mut response = session.patiently(&ask).await?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT if begins_at(&response) == Some(partial.size) => {}
        // All of it, from the beginning, though only the rest was asked for.
        StatusCode::OK => partial.empty()?,
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if partial.size > 0 => {
            partial.empty()?;
            return Ok(());
        }
        _ => return Err(session.refused(deed, response).await),
    }
    while let Some(piece) = http::piece(&mut response).await.map_err(|error| session.broken(deed, error))? {
        let piece = piece.as_ref();
        if partial.size + piece.len() as u64 > size {
            let what = format!("the blob {digest}");
            return Err(RegistryError::Size { host: session.host.name(), what, size });
        }
        partial.add(piece)?;
    }
    Ok(())
}

/// Where a part of a file begins: `bytes 5-9/10`.
fn begins_at(response: &Response) -> Option<u64> {
    let range = http::header(response, "content-range")?.strip_prefix("bytes ")?;
    range.split('-').next()?.trim().parse().ok()
}
