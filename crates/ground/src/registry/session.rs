//! Requests to one place of a registry: with the right authorisation, again when that is out of date, and with patience.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::AUTHORIZATION;
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;
use till_core::Digest;
use tokio::sync::Mutex;

use super::ask::{Ask, Purpose};
use super::challenge::Challenge;
use super::conf::Place;
use super::credentials::{self, Credentials};
use super::error::RegistryError;
use super::{Registries, base64};
use crate::http::{self, Broken, Route, Trust};

/// How much of an answer of few words is read: errors, tokens.
const MAX_WORDS: u64 = 1 << 20;
/// How long a token is good when nobody says (the distribution project's rule).
const TOKEN_LIFE: u64 = 60;
/// A token that ends sooner than this is as good as ended.
const MARGIN: Duration = Duration::from_secs(10);

/// A server that speaks the protocol.
#[derive(Debug)]
pub(super) struct Host {
    /// `scheme://host[:port]/`
    pub(super) base: Url,
    pub(super) trust: Trust,
    pub(super) route: Route,
    access: Mutex<Access>,
}

/// What it wants to see of us, and what we have for that.
#[derive(Debug, Default)]
struct Access {
    challenge: Option<Challenge>,
    /// By scope.
    tokens: HashMap<String, (String, Instant)>,
    /// Headers with name and password, by how the place is known: asking a helper for each request would take longer than
    /// the request. None: nobody has any.
    passwords: HashMap<String, Option<String>>,
}

/// One place of a registry, for one purpose.
#[derive(Debug)]
pub(super) struct Session<'a> {
    registries: &'a Registries,
    pub(super) host: Arc<Host>,
    pub(super) place: Place,
    /// As token servers write it: `repository:NAME:pull,push`.
    scope: String,
}

impl Host {
    pub(super) fn new(base: Url, trust: Trust, route: Route, challenge: Option<Challenge>) -> Self {
        Self { base, trust, route, access: Mutex::new(Access { challenge, ..Access::default() }) }
    }

    /// For words about failures.
    pub(super) fn name(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

impl<'a> Session<'a> {
    /// A session whose tokens are good for these actions, and for reading a sibling.
    pub(super) fn new(
        registries: &'a Registries,
        host: Arc<Host>,
        place: Place,
        actions: &str,
        sibling: Option<&str>,
    ) -> Self {
        let mut scope = format!("repository:{}:{actions}", place.repository);
        if let Some(sibling) = sibling {
            scope.push_str(&format!(" repository:{sibling}:pull"));
        }
        Self { registries, host, place, scope }
    }

    /// The address of something of the repository: `manifests/…`, `blobs/…`.
    pub(super) fn url(&self, rest: &str) -> Url {
        let mut url = self.host.base.clone();
        url.set_path(&format!("/v2/{}/{rest}", self.place.repository));
        url
    }

    /// Asks once; a token that is out of date is renewed. Answers with whatever comes but a refusal to let us.
    pub(super) async fn once(&self, ask: &Ask<'_>) -> Result<Response, RegistryError> {
        let ours = ask.url.origin() == self.host.base.origin();
        let client = self.registries.client(self.host.trust, self.route(&ask.url))?;
        let mut authorization = if ours { self.authorization(ask.deed).await? } else { None };
        for renewed in [false, true] {
            let request = ask.build(&client, authorization.clone())?;
            let response = match ask.purpose {
                Purpose::Read => http::ask(&client, request).await,
                Purpose::Write => request.send().await.map_err(Broken::from),
            };
            let response = response.map_err(|error| self.broken(ask.deed, error))?;
            // Only the registry itself may say what it wants of us: where it sends us nobody else gets a password.
            let by_it = response.url().origin() == self.host.base.origin();
            match response.status() {
                StatusCode::UNAUTHORIZED if by_it && ours && !renewed => {
                    self.renew(&response, authorization.as_deref()).await;
                    authorization = self.authorization(ask.deed).await?;
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(self.refused(ask.deed, response).await),
                _ => return Ok(response),
            }
        }
        Err(self.nonsense(ask.deed, "it asks for authorisation again and again"))
    }

    /// Asks until there is an answer that is not passing, within patience. Only for what may be asked twice.
    pub(super) async fn patiently(&self, ask: &Ask<'_>) -> Result<Response, RegistryError> {
        let patience = self.registries.patience;
        let mut attempt = 0;
        loop {
            let (wait, error) = match self.once(ask).await {
                Ok(response) if http::is_passing(response.status()) => {
                    (http::retry_after(&response), self.refused(ask.deed, response).await)
                }
                Err(error @ RegistryError::Connection { .. }) => (None, error),
                other => return other,
            };
            if !patience.again(attempt, wait).await {
                return Err(error);
            }
            attempt += 1;
        }
    }

    fn route(&self, url: &Url) -> Route {
        if url.origin() == self.host.base.origin() { self.host.route } else { http::route(url) }
    }

    /// Forgets the token or password that was not good enough (not one that somebody got meanwhile), and takes note of what
    /// is wanted.
    async fn renew(&self, response: &Response, used: Option<&str>) {
        let mut access = self.host.access.lock().await;
        if access.passwords.get(&self.place.known_as).is_some_and(|known| known.as_deref() == used) {
            access.passwords.remove(&self.place.known_as);
        }
        let used = used.and_then(|used| used.strip_prefix("Bearer "));
        if access.tokens.get(&self.scope).is_some_and(|(token, _)| Some(token.as_str()) == used) {
            access.tokens.remove(&self.scope);
        }
        if let Some(challenge) = challenge(response) {
            access.challenge = Some(challenge);
        }
    }

    /// The header that lets us in; none where the registry wants none, or we have none.
    async fn authorization(&self, deed: &str) -> Result<Option<String>, RegistryError> {
        // Held while a token is fetched: who comes meanwhile waits for that one.
        let mut access = self.host.access.lock().await;
        let (realm, service) = match &access.challenge {
            None => return Ok(None),
            Some(Challenge::Basic) => {
                if let Some(known) = access.passwords.get(&self.place.known_as) {
                    return Ok(known.clone());
                }
                let found = self.credentials().await?.as_ref().and_then(basic);
                access.passwords.insert(self.place.known_as.clone(), found.clone());
                return Ok(found);
            }
            Some(Challenge::Bearer { realm, service }) => (realm.clone(), service.clone()),
        };
        if let Some((token, until)) = access.tokens.get(&self.scope)
            && *until > Instant::now() + MARGIN
        {
            return Ok(Some(format!("Bearer {token}")));
        }
        let given = self.token(deed, &realm, service.as_deref()).await?;
        let life = Duration::from_secs(given.expires_in.unwrap_or(TOKEN_LIFE).max(TOKEN_LIFE));
        let token = given.token.or(given.access_token);
        let token = token.ok_or_else(|| self.nonsense(deed, "its token server gave no token"))?;
        let header = format!("Bearer {token}");
        access.tokens.insert(self.scope.clone(), (token, Instant::now() + life));
        Ok(Some(header))
    }

    async fn credentials(&self) -> Result<Option<Credentials>, RegistryError> {
        credentials::find(&self.registries.auth_files, &self.place).await
    }

    /// Asks the token server.
    async fn token(&self, deed: &str, realm: &str, service: Option<&str>) -> Result<Given, RegistryError> {
        let mut url = Url::parse(realm).map_err(|_| self.nonsense(deed, "its token server has no address"))?;
        if url.scheme() != "https" && self.host.base.scheme() == "https" {
            return Err(self.nonsense(deed, "its token server is reached by plain http"));
        }
        let credentials = self.credentials().await?;
        let mut parameters: Vec<(&str, &str)> = service.map(|service| ("service", service)).into_iter().collect();
        let client = self.registries.client(self.host.trust, http::route(&url))?;
        let request = if let Some(Credentials::Identity { token }) = &credentials {
            parameters.extend([("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "till")]);
            parameters.push(("scope", &self.scope));
            let mut form = url.clone();
            form.query_pairs_mut().clear().extend_pairs(parameters);
            let body = form.query().unwrap_or_default().to_owned();
            client.post(url).header("Content-Type", "application/x-www-form-urlencoded").body(body)
        } else {
            parameters.extend(self.scope.split(' ').map(|scope| ("scope", scope)));
            url.query_pairs_mut().extend_pairs(parameters);
            match credentials.as_ref().and_then(basic) {
                Some(header) => client.get(url).header(AUTHORIZATION, header),
                None => client.get(url),
            }
        };
        let mut attempt = 0;
        let response = loop {
            let again = request.try_clone().ok_or_else(|| self.nonsense(deed, "cannot ask twice"))?;
            let (wait, error) = match http::ask(&client, again).await {
                Ok(response) if http::is_passing(response.status()) => {
                    (http::retry_after(&response), self.refused(deed, response).await)
                }
                Ok(response) => break response,
                Err(error) => (None, self.broken(deed, error)),
            };
            if !self.registries.patience.again(attempt, wait).await {
                return Err(error);
            }
            attempt += 1;
        };
        if !response.status().is_success() {
            return Err(self.refused(deed, response).await);
        }
        let bytes = self.read(deed, "its token", response, MAX_WORDS).await?;
        serde_json::from_slice(&bytes).map_err(|_| self.nonsense(deed, "its token server gave no JSON"))
    }

    /// The whole of an answer, if it is no larger than allowed.
    pub(super) async fn read(
        &self,
        deed: &str,
        what: &str,
        mut response: Response,
        limit: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let mut bytes = Vec::new();
        while let Some(piece) = http::piece(&mut response).await.map_err(|error| self.broken(deed, error))? {
            bytes.extend_from_slice(piece.as_ref());
            if bytes.len() as u64 > limit {
                let what = format!("{what} is longer than allowed: it");
                return Err(RegistryError::Size { host: self.host.name(), what, size: limit });
            }
        }
        Ok(bytes)
    }

    /// Reads the words of an answer that nobody wants to know: so its connection can be used again.
    pub(super) async fn pass_over(&self, response: Response) {
        let _ = self.read("", "its answer", response, MAX_WORDS).await;
    }

    pub(super) fn broken(&self, deed: &str, error: Broken) -> RegistryError {
        RegistryError::Connection { deed: deed.to_owned(), host: self.host.name(), why: http::why(error) }
    }

    pub(super) fn nonsense(&self, deed: &str, why: &str) -> RegistryError {
        RegistryError::Nonsense { deed: deed.to_owned(), host: self.host.name(), why: why.to_owned() }
    }

    pub(super) fn other_bytes(&self, expected: &Digest, found: Digest) -> RegistryError {
        RegistryError::Digest { host: self.host.name(), expected: expected.clone(), found }
    }

    /// The error of an answer that is no success.
    pub(super) async fn refused(&self, deed: &str, response: Response) -> RegistryError {
        let (status, deed, host) = (response.status(), deed.to_owned(), self.host.name());
        let bytes = self.read(&deed, "its error", response, MAX_WORDS).await.unwrap_or_default();
        let said = said(&bytes);
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let who = match self.credentials().await {
                Ok(Some(Credentials::Password { user, .. })) => format!("the user `{user}`"),
                Ok(Some(Credentials::Identity { .. })) => "the owner of the token".to_owned(),
                _ => "anybody".to_owned(),
            };
            return RegistryError::Denied { deed, host, who, said };
        }
        RegistryError::Refused { deed, host, status: status.as_u16(), said }
    }
}

/// What a token server gives.
#[derive(Deserialize)]
struct Given {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

fn basic(credentials: &Credentials) -> Option<String> {
    match credentials {
        Credentials::Password { user, password } => {
            Some(format!("Basic {}", base64::encode(format!("{user}:{password}").as_bytes())))
        }
        Credentials::Identity { .. } => None,
    }
}

/// What an answer wants to see of us; of several ways a token.
pub(super) fn challenge(response: &Response) -> Option<Challenge> {
    let headers = response.headers().get_all("www-authenticate");
    let known: Vec<_> = headers.iter().filter_map(|header| Challenge::of(header.to_str().ok()?)).collect();
    known.iter().find(|challenge| **challenge != Challenge::Basic).or(known.first()).cloned()
}

/// The words of the protocol's errors, for people.
fn said(bytes: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Error>,
    }
    #[derive(Deserialize)]
    struct Error {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Ok(Errors { errors }) = serde_json::from_slice(bytes) else {
        return String::new();
    };
    let word = |text: &str| text.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
    errors.iter().take(3).map(|error| format!(": {} ({})", word(&error.message), word(&error.code))).collect()
}
