//! HTTP clients: whom they trust, how they follow redirects, how often they ask again.
//!
//! Certificates are the system's (`SSL_CERT_FILE` and `SSL_CERT_DIR` win), proxies the environment's (`HTTPS_PROXY`,
//! `NO_PROXY`), as in every other client; loopback is reached directly.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Request, RequestBuilder, Response, StatusCode, Url};

use crate::tls;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(15);
/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// Redirects in a row.
const REDIRECTS: usize = 10;
/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Which certificates are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Trust {
    /// Those that the system knows.
    System,
    /// Any: the registry is configured as insecure.
    Anyone,
}

/// Which way connections go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Route {
    /// By the environment's proxy, where there is one.
    Usual,
    /// Directly.
    Direct,
}

/// Why there is no answer, or no end of one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("nothing came for {} seconds", SILENCE.as_secs())]
    Silence,
    #[error("more than {REDIRECTS} redirects")]
    Redirects,
    #[error("sent from https to http")]
    Weaker,
}

/// A client, for reading ([`ask`]) and writing: so both have the same connections. It follows no redirect by itself, for who
/// writes wants to be told; and it does not mind silence, for a server is silent as long as it is sent something: who
/// writes has to say itself how long that may be.
pub(crate) fn client(trust: Trust, route: Route) -> Result<Client, Broken> {
    tls::provide();
    let builder = Client::builder()
        .user_agent(concat!("till/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .tcp_user_timeout(SILENCE)
        .redirect(Policy::none());
    let builder = match trust {
        Trust::System => builder.tls_backend_preconfigured(tls::system()),
        Trust::Anyone => builder.tls_danger_accept_invalid_certs(true),
    };
    let builder = match route {
        Route::Usual => builder,
        Route::Direct => builder.no_proxy(),
    };
    Ok(builder.build()?)
}

/// Reads: asks, and goes where it is sent, without credentials if it is another host, and with nothing that is posted; from
/// https only to https.
pub(crate) async fn ask(client: &Client, request: RequestBuilder) -> Result<Response, Broken> {
    let mut request = request.build()?;
    for _ in 0..=REDIRECTS {
        let again = request.try_clone();
        let response = timely(client.execute(request)).await?;
        let (Some(url), Some(next)) = (elsewhere(&response), again) else {
            return Ok(response);
        };
        if response.url().scheme() == "https" && url.scheme() != "https" {
            return Err(Broken::Weaker);
        }
        // What is posted is a token, and for nobody else.
        if next.method() == Method::POST && response.url().origin() != url.origin() {
            return Ok(response);
        }
        request = redirected(next, url, response.status());
    }
    Err(Broken::Redirects)
}

/// The next piece of an answer.
pub(crate) async fn piece(response: &mut Response) -> Result<Option<impl AsRef<[u8]>>, Broken> {
    timely(response.chunk()).await
}

/// What is being waited for, unless the server says nothing for too long.
async fn timely<T>(wait: impl Future<Output = Result<T, reqwest::Error>>) -> Result<T, Broken> {
    Ok(tokio::time::timeout(SILENCE, wait).await.map_err(|_| Broken::Silence)??)
}

/// Where an answer sends us.
fn elsewhere(response: &Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    response.url().join(header(response, "location")?).ok()
}

/// A request that is sent elsewhere. As everywhere, only some answers let what was posted be posted again.
fn redirected(mut request: Request, to: Url, by: StatusCode) -> Request {
    if request.url().origin() != to.origin() {
        request.headers_mut().remove(AUTHORIZATION);
    }
    if request.method() == Method::POST && !matches!(by.as_u16(), 307 | 308) {
        *request.method_mut() = Method::GET;
        *request.body_mut() = None;
        request.headers_mut().remove(CONTENT_TYPE);
    }
    *request.url_mut() = to;
    request
}

/// Whether an address is this machine itself.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The route to an address.
pub(crate) fn route(url: &Url) -> Route {
    if url.host_str().is_some_and(is_loopback) { Route::Direct } else { Route::Usual }
}

/// How often and how soon something is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Attempts in all.
    pub attempts: u32,
    /// The wait after the first; each further one is twice as long.
    pub first: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 5, first: Duration::from_millis(500) }
    }
}

impl Patience {
    /// Whether there is an attempt after this one (the first is 0). Waits until it is time for it.
    pub(crate) async fn again(&self, attempt: u32, asked: Option<Duration>) -> bool {
        if attempt + 1 >= self.attempts {
            return false;
        }
        let own = self.first.saturating_mul(1 << attempt.min(10));
        tokio::time::sleep(asked.unwrap_or(own).min(LONGEST_WAIT)).await;
        true
    }
}

/// Whether an answer means that the same may be asked again, later.
pub(crate) fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// How long a server wants us to wait. Dates are not read: seconds are what servers of this kind send.
pub(crate) fn retry_after(response: &Response) -> Option<Duration> {
    let text = header(response, "retry-after")?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// A header's text.
pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Why something failed, on one line; without the address, whose query may be a secret.
pub(crate) fn why(error: impl Into<Broken>) -> String {
    let error = match error.into() {
        Broken::Http(error) => error.without_url(),
        error => return error.to_string(),
    };
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_this_machine_and_nothing_else() {
        for (host, loopback) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("127.8.9.10", true),
            ("::1", true),
            ("[::1]", true),
            ("localhost.example.org", false),
            ("128.0.0.1", false),
            ("127.0.0.1.example.org", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(host), loopback, "{host}");
        }
    }

    #[test]
    fn what_is_sent_elsewhere_takes_no_secret_along_and_is_posted_again_only_where_that_is_wanted() {
        let client = Client::builder().tls_backend_preconfigured(tls::system()).build().unwrap();
        let ask = |method: Method| {
            let request = client.request(method, "https://example.org/a").header(AUTHORIZATION, "secret");
            request.header(CONTENT_TYPE, "text/plain").body("secret").build().unwrap()
        };
        for (method, to, by, expected, authorised, body) in [
            (Method::GET, "https://example.org/b", 302, Method::GET, true, true),
            (Method::HEAD, "https://example.org:444/b", 307, Method::HEAD, false, true),
            (Method::GET, "https://other.example.org/b", 307, Method::GET, false, true),
            (Method::GET, "http://example.org/b", 301, Method::GET, false, true),
            (Method::POST, "https://example.org/b", 303, Method::GET, true, false),
            (Method::POST, "https://example.org/b", 308, Method::POST, true, true),
        ] {
            let by = StatusCode::from_u16(by).unwrap();
            let request = redirected(ask(method), to.parse().unwrap(), by);
            let has = (request.headers().contains_key(AUTHORIZATION), request.body().is_some());
            assert_eq!((request.url().as_str(), request.method(), has), (to, &expected, (authorised, body)), "{by}");
        }
    }
}
