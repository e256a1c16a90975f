//! What goes: blobs, unless they are there, on from where a connection broke; manifests.

use std::path::Path;

use reqwest::{Method, Response, StatusCode, Url};
use till_core::Digest;
use till_core::model::Reference;
use till_core::model::manifest::Document;
use till_core::port::{Published, Sent};

use super::ask::{Ask, Body};
use super::error::{RegistryError, failed};
use super::session::Session;
use crate::http::{self, Patience};

/// What blobs are while they go.
const BYTES: &str = "application/octet-stream";
/// Bytes of the largest blob that goes in one request with its end, as every registry has to take it. Of so little nothing
/// is gained by going on from where a connection broke, and few configs and documents are larger.
const SMALL: u64 = 128 << 10;

/// A blob on its way.
struct Upload<'a> {
    session: &'a Session<'a>,
    deed: String,
    digest: &'a Digest,
    path: &'a Path,
    size: u64,
}

/// How one attempt ended.
enum End {
    /// The blob is there.
    Done,
    /// The registry has forgotten what came: from the beginning.
    Lost(RegistryError),
}

/// Puts a blob there, unless it is.
pub(super) async fn blob(
    session: &Session<'_>,
    digest: &Digest,
    path: &Path,
    sibling: Option<&str>,
    patience: Patience,
) -> Result<Sent, RegistryError> {
    let size = std::fs::metadata(path).map_err(failed("read", path))?.len();
    let upload = Upload { session, deed: format!("send the blob {digest}"), digest, path, size };
    if upload.is_there().await? {
        return Ok(Sent::Skipped);
    }
    let mut sibling = sibling;
    let mut attempt = 0;
    loop {
        let Some(location) = upload.begin(sibling.take()).await? else {
            return Ok(Sent::Mounted);
        };
        match upload.carry(location, patience).await? {
            End::Done => return Ok(Sent::Uploaded),
            End::Lost(error) => {
                // What ended it may have come after it was done.
                if upload.is_there().await? {
                    return Ok(Sent::Uploaded);
                }
                if !patience.again(attempt, None).await {
                    return Err(error);
                }
                attempt += 1;
            }
        }
    }
}

impl Upload<'_> {
    async fn is_there(&self) -> Result<bool, RegistryError> {
        let deed = format!("look for the blob {}", self.digest);
        let ask = Ask::reading(&deed, Method::HEAD, self.session.url(&format!("blobs/{}", self.digest)));
        let response = self.session.patiently(&ask).await?;
        match response.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.session.refused(&deed, response).await),
        }
    }

    /// Where to send it; none: the registry has taken it from the sibling. Asked twice it only opens one more.
    async fn begin(&self, sibling: Option<&str>) -> Result<Option<Url>, RegistryError> {
        let mut url = self.session.url("blobs/uploads/");
        if let Some(sibling) = sibling {
            url.query_pairs_mut().append_pair("mount", self.digest.as_str()).append_pair("from", sibling);
        }
        let response = self.session.patiently(&Ask::writing(&self.deed, Method::POST, url, Body::Nothing)).await?;
        match response.status() {
            StatusCode::CREATED if sibling.is_some() => Ok(None),
            StatusCode::ACCEPTED => self.location(&response).map(Some),
            _ => Err(self.session.refused(&self.deed, response).await),
        }
    }

    /// Sends all of it, in as many parts as connections break.
    async fn carry(&self, mut location: Url, patience: Patience) -> Result<End, RegistryError> {
        if self.size <= SMALL {
            let bytes = std::fs::read(self.path).map_err(failed("read", self.path))?;
            return self.close(location, Body::Bytes(&bytes)).await;
        }
        let (mut at, mut attempt) = (0, 0);
        while at < self.size {
            let body = Body::File { path: self.path, from: at, size: self.size };
            let ask = Ask::writing(&self.deed, Method::PATCH, location.clone(), body)
                .header("Content-Type", BYTES)
                .header("Content-Range", format!("{at}-{}", self.size - 1));
            let (wait, error) = match self.session.once(&ask).await {
                Ok(response) if response.status() == StatusCode::ACCEPTED => {
                    location = self.location(&response)?;
                    let came = held(&response).unwrap_or(self.size).min(self.size);
                    if came > at {
                        at = came;
                        continue;
                    }
                    (None, self.session.nonsense(&self.deed, "it takes nothing"))
                }
                Ok(response) => {
                    let (status, wait) = (response.status(), http::retry_after(&response));
                    let error = self.session.refused(&self.deed, response).await;
                    match status {
                        StatusCode::NOT_FOUND => return Ok(End::Lost(error)),
                        StatusCode::RANGE_NOT_SATISFIABLE => {}
                        _ if http::is_passing(status) => {}
                        _ => return Err(error),
                    }
                    (wait, error)
                }
                Err(error @ RegistryError::Connection { .. }) => (None, error),
                Err(error) => return Err(error),
            };
            if !patience.again(attempt, wait).await {
                return Err(error);
            }
            attempt += 1;
            match self.state(&location).await? {
                Some((next, came)) => (location, at) = (next, came.min(self.size)),
                None => return Ok(End::Lost(error)),
            }
        }
        self.close(location, Body::Nothing).await
    }

    /// How far it is; none: the registry does not know any more, or has so little that it cannot be told from nothing.
    async fn state(&self, location: &Url) -> Result<Option<(Url, u64)>, RegistryError> {
        let ask = Ask::writing(&self.deed, Method::GET, location.clone(), Body::Nothing);
        let response = self.session.patiently(&ask).await?;
        let known = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::OK | StatusCode::ACCEPTED);
        match held(&response) {
            // Registries write `0-0` for one byte and for none.
            Some(came) if known && came > 1 => Ok(Some((self.location(&response)?, came))),
            _ => Ok(None),
        }
    }

    /// Says that this was all, or that this is: then nothing has been sent before.
    async fn close(&self, mut location: Url, all: Body<'_>) -> Result<End, RegistryError> {
        location.query_pairs_mut().append_pair("digest", self.digest.as_str());
        let ask = Ask::writing(&self.deed, Method::PUT, location, all).header("Content-Type", BYTES);
        match self.session.once(&ask).await {
            Ok(response) if response.status() == StatusCode::CREATED => Ok(End::Done),
            Ok(response) => {
                let status = response.status();
                let error = self.session.refused(&self.deed, response).await;
                let lost = status == StatusCode::NOT_FOUND || http::is_passing(status);
                if lost { Ok(End::Lost(error)) } else { Err(error) }
            }
            Err(error @ RegistryError::Connection { .. }) => Ok(End::Lost(error)),
            Err(error) => Err(error),
        }
    }

    /// Where the next part goes. Registries behind a proxy often give their own address with the wrong scheme.
    fn location(&self, response: &Response) -> Result<Url, RegistryError> {
        let base = &self.session.host.base;
        let nonsense = |why| self.session.nonsense(&self.deed, why);
        let text = http::header(response, "location").ok_or_else(|| nonsense("it says no location"))?;
        let mut url = base.join(text).map_err(|_| nonsense("its location is no address"))?;
        if url.scheme() != base.scheme() {
            if url.host() == base.host() && matches!(url.scheme(), "http" | "https") {
                let port = url.port().filter(|_| base.port().is_some()).or(base.port());
                let _ = url.set_scheme(base.scheme());
                let _ = url.set_port(port);
            } else if url.scheme() != "https" {
                return Err(nonsense("it sends us from https to http"));
            }
        }
        Ok(url)
    }
}

/// How many bytes the registry says it has: `0-99` are a hundred.
fn held(response: &Response) -> Option<u64> {
    let range = http::header(response, "range")?;
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let (_, last) = range.split_once('-')?;
    last.trim().parse::<u64>().ok()?.checked_add(1)
}

/// Puts a manifest or index there.
pub(super) async fn document(
    session: &Session<'_>,
    at: &Reference,
    document: &Document,
) -> Result<Published, RegistryError> {
    let deed = format!("send the manifest {}", document.digest);
    let url = session.url(&format!("manifests/{}", at.wanted()));
    let ask = Ask::writing(&deed, Method::PUT, url, Body::Bytes(&document.bytes))
        .header("Content-Type", document.media_type.as_str());
    let response = session.patiently(&ask).await?;
    if response.status() != StatusCode::CREATED {
        return Err(session.refused(&deed, response).await);
    }
    let of = |name: &str| http::header(&response, name).and_then(|text| text.parse::<Digest>().ok());
    match of("docker-content-digest") {
        Some(found) if found != *document.digest => Err(session.other_bytes(&document.digest, found)),
        _ => Ok(Published { subject: of("oci-subject") }),
    }
}
