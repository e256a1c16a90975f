//! One request: what is asked, and what is sent with it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use futures_util::stream::{TryStream, try_unfold};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH};
use reqwest::{Client, Method, RequestBuilder, Url};
use tokio::task::{JoinHandle, spawn_blocking};

use super::error::{RegistryError, failed};

/// How long a registry may think about what it got.
const SLOW_REGISTRY: Duration = Duration::from_secs(300);
/// Bytes in a second of the slowest line that is waited for.
const SLOW_LINE: u64 = 50_000;
/// Bytes of a file that are read at once. Each piece is the work of another thread, so that small ones take longer to be
/// asked for than to be read; larger ones gain nothing, and several blobs go at once.
const PIECE: usize = 256 << 10;

/// One request.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    /// For words about failures: `get the manifest …`.
    pub(super) deed: &'a str,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body<'a>,
    pub(super) purpose: Purpose,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It goes wherever it is sent, and waits as long as something comes.
    Read,
    /// It goes nowhere else, and waits as long as what it brings needs.
    Write,
}

/// What is sent with it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body<'a> {
    Nothing,
    Bytes(&'a [u8]),
    /// A file from there to its end.
    File {
        path: &'a Path,
        from: u64,
        size: u64,
    },
}

impl<'a> Ask<'a> {
    /// A request that reads.
    pub(super) fn reading(deed: &'a str, method: Method, url: Url) -> Self {
        Self { deed, method, url, headers: Vec::new(), body: Body::Nothing, purpose: Purpose::Read }
    }

    /// A request that writes.
    pub(super) fn writing(deed: &'a str, method: Method, url: Url, body: Body<'a>) -> Self {
        Self { deed, method, url, headers: Vec::new(), body, purpose: Purpose::Write }
    }

    #[must_use]
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// How long a request that writes may take: as long as a slow line needs, and a slow registry to look at what came.
    fn longest(&self) -> Duration {
        let bytes = match self.body {
            Body::Nothing => 0,
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::File { from, size, .. } => size - from,
        };
        SLOW_REGISTRY + Duration::from_secs(bytes / SLOW_LINE)
    }

    pub(super) fn build(
        &self,
        client: &Client,
        authorization: Option<String>,
    ) -> Result<RequestBuilder, RegistryError> {
        let mut request = client.request(self.method.clone(), self.url.clone());
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if self.purpose == Purpose::Write {
            request = request.timeout(self.longest());
        }
        Ok(match self.body {
            Body::Nothing if matches!(self.method, Method::GET | Method::HEAD) => request,
            Body::Nothing => request.header(CONTENT_LENGTH, 0),
            Body::Bytes(bytes) => request.body(bytes.to_vec()),
            Body::File { path, from, size } => {
                let mut file = File::open(path).map_err(failed("read", path))?;
                file.seek(SeekFrom::Start(from)).map_err(failed("read", path))?;
                request.header(CONTENT_LENGTH, size - from).body(reqwest::Body::wrap_stream(pieces(file)))
            }
        })
    }
}

/// The rest of a file. While a piece is on its way the next one is read.
fn pieces(file: File) -> impl TryStream<Ok = Vec<u8>, Error = io::Error> + Send + 'static {
    try_unfold(piece(file), |next| async move {
        let (bytes, file) = next.await??;
        Ok((!bytes.is_empty()).then(|| (bytes, piece(file))))
    })
}

/// The next piece of a file; an empty one is its end.
fn piece(mut file: File) -> JoinHandle<io::Result<(Vec<u8>, File)>> {
    spawn_blocking(move || {
        let mut bytes = Vec::with_capacity(PIECE);
        (&mut file).take(PIECE as u64).read_to_end(&mut bytes)?;
        Ok((bytes, file))
    })
}
