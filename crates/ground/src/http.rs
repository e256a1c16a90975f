//! HTTP clients: whom they trust, how they follow redirects, how often they ask again.
//!
//! Certificates are the system's (`SSL_CERT_FILE` and `SSL_CERT_DIR` win), proxies the environment's (`HTTPS_PROXY`,
//! `NO_PROXY`), as in every other client; loopback is reached directly.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

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

/// What a client does when it is sent elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Redirects {
    /// It goes there, without credentials if it is another host; from https only to https.
    Follow,
    /// It says so.
    Tell,
}

/// Which way connections go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Route {
    /// By the environment's proxy, where there is one.
    Usual,
    /// Directly.
    Direct,
}

/// A client.
pub(crate) fn client(trust: Trust, redirects: Redirects, route: Route) -> Result<Client, reqwest::Error> {
    tls::provide();
    let builder = Client::builder()
        .user_agent(concat!("till/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .tcp_user_timeout(SILENCE);
    let builder = match trust {
        Trust::System => builder.tls_backend_preconfigured(tls::system()),
        Trust::Anyone => builder.tls_danger_accept_invalid_certs(true),
    };
    // A server is silent as long as it is sent something: who writes has to say itself how long that may be.
    let builder = match redirects {
        Redirects::Follow => builder.redirect(policy()).read_timeout(SILENCE),
        Redirects::Tell => builder.redirect(Policy::none()),
    };
    match route {
        Route::Usual => builder,
        Route::Direct => builder.no_proxy(),
    }
    .build()
}

fn policy() -> Policy {
    Policy::custom(|attempt| {
        let before = attempt.previous();
        let weaker = before.last().is_some_and(|url| url.scheme() == "https") && attempt.url().scheme() != "https";
        if before.len() > REDIRECTS {
            attempt.error(format!("more than {REDIRECTS} redirects"))
        } else if weaker {
            attempt.error("sent from https to http")
        } else {
            attempt.follow()
        }
    })
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
pub(crate) fn why(error: reqwest::Error) -> String {
    let error = error.without_url();
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
}
