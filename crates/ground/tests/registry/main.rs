//! Registries: a real one, and one that does everything wrong.
//!
//! ```text
//! real.rs      docker-registry of Debian: open, with passwords, with https
//! odd.rs       a server of our own that breaks connections, lies and never ends
//! scripts.rs   what happens then, to what comes
//! uploads.rs   what happens then, to what goes
//! there.rs     what is asked before anything goes
//! known.rs     how often configuration and credentials are read
//! web.rs       files of the web
//! ```
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod known;
mod odd;
mod real;
mod scripts;
mod there;
mod uploads;
mod web;

use std::path::{Path, PathBuf};
use std::time::Duration;

use till_core::model::Reference;
use till_core::{Digest, Failure};
use till_ground::Patience;
use till_ground::registry::Registries;

/// Four attempts, without waiting.
const PATIENCE: Patience = Patience { attempts: 4, first: Duration::ZERO };

/// Registries with nothing configured, and these credentials.
fn registries(folder: &Path, auth: Option<&str>) -> Registries {
    let files: Vec<PathBuf> = auth
        .map(|text| {
            let path = folder.join("auth.json");
            std::fs::write(&path, text).unwrap();
            path
        })
        .into_iter()
        .collect();
    Registries::new(folder, files, PATIENCE)
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

/// Bytes that no compression makes smaller, and their digest.
fn noise(count: usize) -> (Vec<u8>, Digest) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(count);
    let digest = Digest::of(&bytes);
    (bytes, digest)
}

/// It failed, and said that.
#[track_caller]
fn failed<T: std::fmt::Debug>(outcome: Result<T, Failure>, said: &str) -> Failure {
    let failure = outcome.unwrap_err();
    assert!(failure.to_string().contains(said), "no `{said}` in: {failure}");
    failure
}
