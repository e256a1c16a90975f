//! Single files of the web, by http and https. No credentials, no cookies, no partial files.

use std::io::Write as _;
use std::path::Path;

use async_trait::async_trait;
use reqwest::{Response, Url};
use sha2::{Digest as _, Sha256};
use till_core::port::{Fetched, Fetcher};
use till_core::words::percent_decoded;
use till_core::{Blame, Digest, Failure, Fault};

use crate::http::{self, Broken, Patience, Trust};

/// The longest file name.
const MAX_NAME: usize = 255;

/// Files of the web.
#[derive(Debug, Clone, Default)]
pub struct Web {
    /// How often and how soon is tried again.
    pub patience: Patience,
}

/// A file that could not be got.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("`{0}` is not an address that files are fetched from: http and https are")]
    Address(String),
    #[error("cannot get `{url}`: {why}")]
    Connection { url: String, why: String },
    #[error("cannot get `{url}`: the server answers {status}")]
    Refused { url: String, status: u16 },
    #[error("cannot get `{url}`: it is larger than {limit} bytes")]
    TooLarge { url: String, limit: u64 },
    #[error("cannot write `{path}`")]
    Write { path: String, source: std::io::Error },
}

impl Blame for FetchError {
    fn fault(&self) -> Fault {
        match self {
            Self::Connection { .. } | Self::Write { .. } => Fault::House,
            Self::Refused { status, .. } if *status >= 500 => Fault::House,
            _ => Fault::Source,
        }
    }
}

#[async_trait]
impl Fetcher for Web {
    async fn fetch(&self, url: &str, limit_bytes: u64, into: &Path) -> Result<Fetched, Failure> {
        Ok(self.patiently(url, limit_bytes, into).await?)
    }

    async fn fetch_if_there(&self, url: &str, limit_bytes: u64, into: &Path) -> Result<Option<Fetched>, Failure> {
        match self.patiently(url, limit_bytes, into).await {
            Err(FetchError::Refused { status: 404 | 410, .. }) => Ok(None),
            other => Ok(Some(other?)),
        }
    }
}

impl Web {
    async fn patiently(&self, url: &str, limit_bytes: u64, into: &Path) -> Result<Fetched, FetchError> {
        let address = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let address = address.ok_or_else(|| FetchError::Address(url.to_owned()))?;
        let mut attempt = 0;
        loop {
            let (wait, error) = match self.once(&address, limit_bytes, into).await {
                Ok(fetched) => return Ok(fetched),
                Err((wait, error)) => (wait, error),
            };
            let passing = match &error {
                FetchError::Connection { .. } => true,
                FetchError::Refused { status, .. } => http::is_passing(status_code(*status)),
                _ => false,
            };
            if !passing || !self.patience.again(attempt, wait).await {
                let _ = std::fs::remove_file(into);
                return Err(error);
            }
            attempt += 1;
        }
    }
}

fn status_code(status: u16) -> reqwest::StatusCode {
    reqwest::StatusCode::from_u16(status).unwrap_or(reqwest::StatusCode::BAD_REQUEST)
}

type Wait = Option<std::time::Duration>;

impl Web {
    async fn once(&self, address: &Url, limit: u64, into: &Path) -> Result<Fetched, (Wait, FetchError)> {
        // Without name, password and query: they may be secrets.
        let shown = || format!("{}{}", address.origin().ascii_serialization(), address.path());
        let broken = |error: Broken| (None, FetchError::Connection { url: shown(), why: http::why(error) });
        let large = || (None, FetchError::TooLarge { url: shown(), limit });
        let write = |source| (None, FetchError::Write { path: into.display().to_string(), source });
        let client = http::client(Trust::System, http::route(address)).map_err(broken)?;
        let mut response = http::ask(&client, client.get(address.clone())).await.map_err(broken)?;
        if !response.status().is_success() {
            let status = response.status().as_u16();
            return Err((http::retry_after(&response), FetchError::Refused { url: shown(), status }));
        }
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(large());
        }
        let mut file = std::fs::File::create(into).map_err(write)?;
        let (mut hash, mut size) = (Sha256::new(), 0);
        while let Some(piece) = http::piece(&mut response).await.map_err(broken)? {
            size += piece.as_ref().len() as u64;
            if size > limit {
                return Err(large());
            }
            file.write_all(piece.as_ref()).map_err(write)?;
            hash.update(piece.as_ref());
        }
        Ok(Fetched {
            name: name(&response, address),
            last_modified: http::header(&response, "last-modified").and_then(seconds),
            digest: Digest::from_sha256(hash.finalize().as_slice()),
            size,
        })
    }
}

/// What the file is called: by the server, or by the last part of the address that was asked for.
fn name(response: &Response, address: &Url) -> Option<String> {
    let said = http::header(response, "content-disposition").and_then(disposition);
    let last = address.path_segments().and_then(|mut parts| parts.next_back().map(percent_decoded));
    said.filter(|name| is_name(name)).or(last.filter(|name| is_name(name)))
}

fn is_name(name: &str) -> bool {
    let plain = name.chars().all(|c| c != '/' && !c.is_control());
    plain && !matches!(name, "" | "." | "..") && name.len() <= MAX_NAME
}

/// `attachment; filename="a.tar"`
fn disposition(text: &str) -> Option<String> {
    let value = text.split(';').skip(1).find_map(|part| part.trim().strip_prefix("filename="))?;
    Some(value.trim().trim_matches('"').to_owned())
}

/// Seconds since 1970 of a time as servers write it: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: i64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let name = words.next()?;
    let month = i64::try_from(MONTHS.iter().position(|month| *month == name)?).ok()? + 1;
    let year: i64 = words.next()?.parse().ok().filter(|year| (1970..10_000).contains(year))?;
    let mut clock =
        words.next()?.split(':').map(|part| part.parse::<i64>().ok().filter(|part| (0..=60).contains(part)));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    // Years that begin in March, as in H. Hinnant's `days_from_civil`.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_servers_write_them() {
        for (text, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("Mon, 01 Mar 2100 00:00:00 GMT", Some(4_107_542_400)),
            ("yesterday", None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn a_name_is_one_part_of_a_path() {
        assert_eq!(disposition("attachment; filename=\"a b.tar\"").as_deref(), Some("a b.tar"));
        assert_eq!(disposition("inline"), None);
        for (name, good) in [("a", true), ("", false), ("..", false), ("a/b", false), ("a\nb", false)] {
            assert_eq!(is_name(name), good, "{name:?}");
        }
    }
}
