//! Registries of images, by the distribution protocol (OCI distribution spec 1.1), with the files of configuration and
//! credentials that containers tools share. It writes none of these files.
//!
//! ```text
//! mod.rs           the port; which places are asked, and how they are reached
//! conf.rs          registries.conf: where a repository is
//! credentials.rs   auth files: who we are
//! challenge.rs     what a registry wants to see of us
//! ask.rs           one request, and what is sent with it
//! session.rs       requests: authorisation, patience
//! there.rs         what a place has already
//! pull.rs          manifests and blobs that come
//! push.rs          blobs and manifests that go
//! ```

mod ask;
mod base64;
mod challenge;
mod conf;
mod credentials;
mod error;
mod pull;
mod push;
mod session;
mod there;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use reqwest::{Client, StatusCode, Url};
use till_core::model::manifest::{Descriptor, Document};
use till_core::model::{ImageName, Reference};
use till_core::port::{Published, Registry, Sent};
use till_core::{Digest, Failure, ManifestDigest};

use crate::http::{self, Broken, Patience, Route, Trust};
use conf::{Conf, Place, Way};
pub use credentials::auth_files;
pub use error::RegistryError;
use session::{Host, Session};

/// What tokens for pulling and for pushing are good for.
const PULL: &str = "pull";
const PUSH: &str = "pull,push";

/// All registries.
#[derive(Debug)]
pub struct Registries {
    folder: PathBuf,
    /// What the folder's files say: of the beginning for all that is asked, however often they are changed meanwhile.
    conf: OnceLock<Conf>,
    auth_files: Vec<PathBuf>,
    patience: Patience,
    clients: Mutex<HashMap<(Trust, Route), Client>>,
    /// By host, and whether it may be insecure.
    hosts: tokio::sync::Mutex<HashMap<(String, bool), Arc<Host>>>,
}

impl Registries {
    /// With the configuration of a folder (normally `/etc/containers`) and these files with credentials. They are read when
    /// they are needed: the configuration once, for it is asked about every blob.
    pub fn new(folder: &Path, auth_files: Vec<PathBuf>, patience: Patience) -> Self {
        let (clients, hosts) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { folder: folder.to_owned(), conf: OnceLock::new(), auth_files, patience, clients, hosts }
    }

    fn client(&self, trust: Trust, route: Route) -> Result<Client, RegistryError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&(trust, route)) {
            return Ok(client.clone());
        }
        let client = http::client(trust, route).map_err(|error| RegistryError::Connection {
            deed: "make a client".to_owned(),
            host: "any".to_owned(),
            why: http::why(error),
        })?;
        clients.insert((trust, route), client.clone());
        Ok(client)
    }

    fn conf(&self) -> Result<&Conf, RegistryError> {
        if let Some(conf) = self.conf.get() {
            return Ok(conf);
        }
        let read = Conf::read(&self.folder)?;
        Ok(self.conf.get_or_init(|| read))
    }

    fn places(&self, of: &Reference, way: Way) -> Result<Vec<Place>, RegistryError> {
        self.conf()?.places(of, way)
    }

    /// A session at a place, whose server is asked once what it speaks.
    async fn session(&self, place: Place, actions: &str, sibling: Option<&str>) -> Result<Session<'_>, RegistryError> {
        let key = (place.host.clone(), place.may_be_plain());
        let mut hosts = self.hosts.lock().await;
        let host = match hosts.get(&key) {
            Some(host) => host.clone(),
            None => {
                let host = Arc::new(self.greet(&place).await?);
                hosts.insert(key, host.clone());
                host
            }
        };
        Ok(Session::new(self, host, place, actions, sibling))
    }

    /// Finds out how a server is reached: by https; by http only where that will do and https does not.
    async fn greet(&self, place: &Place) -> Result<Host, RegistryError> {
        let error = match self.greet_by("https", place).await {
            Err(error @ (RegistryError::Connection { .. } | RegistryError::Refused { .. })) if place.may_be_plain() => {
                error
            }
            other => return other,
        };
        // Where that fails as well, the first error says more.
        self.greet_by("http", place).await.map_err(|_| error)
    }

    async fn greet_by(&self, scheme: &str, place: &Place) -> Result<Host, RegistryError> {
        let deed = || "ask what it speaks".to_owned();
        let url = Url::parse(&format!("{scheme}://{}/v2/", place.host)).map_err(|error| RegistryError::Nonsense {
            deed: deed(),
            host: place.host.clone(),
            why: error.to_string(),
        })?;
        let trust = if place.insecure { Trust::Anyone } else { Trust::System };
        let route = http::route(&url);
        let client = self.client(trust, route)?;
        let mut attempt = 0;
        loop {
            let (wait, error) = match http::ask(&client, client.get(url.clone())).await {
                Ok(response) if matches!(response.status(), StatusCode::OK | StatusCode::UNAUTHORIZED) => {
                    let challenge = session::challenge(&response);
                    return Ok(Host::new(url, trust, route, challenge));
                }
                Ok(response) => {
                    let status = response.status();
                    let refused = RegistryError::Refused {
                        deed: deed(),
                        host: place.host.clone(),
                        status: status.as_u16(),
                        said: String::new(),
                    };
                    if !http::is_passing(status) {
                        return Err(refused);
                    }
                    (http::retry_after(&response), refused)
                }
                Err(error) => {
                    let refused = matches!(&error, Broken::Http(error) if error.is_connect());
                    let host = place.host.clone();
                    let error = RegistryError::Connection { deed: deed(), host, why: http::why(error) };
                    if refused {
                        return Err(error);
                    }
                    (None, error)
                }
            };
            if !self.patience.again(attempt, wait).await {
                return Err(error);
            }
            attempt += 1;
        }
    }
}

#[async_trait]
impl Registry for Registries {
    fn qualify(&self, name: &ImageName) -> Result<Reference, Failure> {
        Ok(self.conf()?.qualify(name)?)
    }

    async fn document(&self, wanted: &Reference) -> Result<Option<Document>, Failure> {
        let (mut last, name) = (None, wanted.wanted());
        for place in self.places(wanted, Way::From)? {
            let session = self.session(place, PULL, None).await;
            let found = match session {
                Ok(session) => pull::document(&session, &name, self.patience).await,
                Err(error) => Err(error),
            };
            match found {
                Ok(Some(document)) => return Ok(Some(document)),
                Ok(None) => last = None,
                Err(error) => last = Some(error),
            }
        }
        // The place itself is the last: what it says counts, not what its mirrors said.
        last.map_or(Ok(None), |error| Err(error.into()))
    }

    async fn fetch(&self, repository: &Reference, blob: &Digest, size: u64, into: &Path) -> Result<(), Failure> {
        let mut last = None;
        for place in self.places(repository, Way::From)? {
            let got = match self.session(place, PULL, None).await {
                Ok(session) => pull::blob(&session, blob, size, into, self.patience).await,
                Err(error) => Err(error),
            };
            match got {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
        }
        last.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn document_there(&self, wanted: &Reference) -> Result<Option<Document>, Failure> {
        Ok(pull::document(&self.to(wanted, None).await?, &wanted.wanted(), self.patience).await?)
    }

    async fn digest_there(&self, wanted: &Reference) -> Result<Option<ManifestDigest>, Failure> {
        Ok(there::digest(&self.to(wanted, None).await?, &wanted.wanted()).await)
    }

    async fn referrers_there(&self, subject: &Reference) -> Result<Option<Vec<Descriptor>>, Failure> {
        Ok(there::referrers(&self.to(subject, None).await?, &subject.wanted()).await)
    }

    async fn send(
        &self,
        repository: &Reference,
        blob: &Digest,
        from: &Path,
        sibling: Option<&str>,
    ) -> Result<Sent, Failure> {
        let session = self.to(repository, sibling).await?;
        Ok(push::blob(&session, blob, from, sibling, self.patience).await?)
    }

    async fn publish(&self, at: &Reference, document: &Document) -> Result<Published, Failure> {
        Ok(push::document(&self.to(at, None).await?, at, document).await?)
    }
}

impl Registries {
    async fn to(&self, repository: &Reference, sibling: Option<&str>) -> Result<Session<'_>, RegistryError> {
        match self.places(repository, Way::To)?.pop() {
            Some(place) => self.session(place, PUSH, sibling).await,
            None => Err(RegistryError::Blocked(repository.to_string())),
        }
    }
}
