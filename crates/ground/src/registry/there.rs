//! What a place has already, asked before anything goes there. It only saves work: whatever does not answer so that it is
//! understood, or not at all, has nothing, and the failure is left to the request that then has to be made.

use reqwest::{Method, StatusCode};
use till_core::model::manifest::{Content, Descriptor, Document, MANIFEST_TYPES, OCI_INDEX};
use till_core::port::MAX_DOCUMENT;
use till_core::{Digest, ManifestDigest};

use super::ask::Ask;
use super::session::Session;
use crate::http;

/// The digest of the manifest under that tag or digest. Nobody is asked for the manifest itself: some registries count that
/// as a pull.
pub(super) async fn digest(session: &Session<'_>, wanted: &str) -> Option<ManifestDigest> {
    let deed = format!("look for the manifest {}:{wanted}", session.place.repository);
    let ask = Ask::reading(&deed, Method::HEAD, session.url(&format!("manifests/{wanted}")));
    let response = session.once(&ask.header("Accept", MANIFEST_TYPES.join(", "))).await.ok()?;
    if response.status() != StatusCode::OK {
        return None;
    }
    http::header(&response, "docker-content-digest")?.parse().ok().map(ManifestDigest)
}

/// What it lists as belonging to a manifest, by the referrers' API; none: it has none. Of a long list this is the beginning.
pub(super) async fn referrers(session: &Session<'_>, subject: &str) -> Option<Vec<Descriptor>> {
    let deed = format!("ask what belongs to {subject}");
    let ask = Ask::reading(&deed, Method::GET, session.url(&format!("referrers/{subject}")));
    let response = session.once(&ask.header("Accept", OCI_INDEX)).await.ok()?;
    if response.status() != StatusCode::OK {
        session.pass_over(response).await;
        return None;
    }
    let bytes = session.read(&deed, "the list", response, MAX_DOCUMENT).await.ok()?;
    let digest = ManifestDigest(Digest::of(&bytes));
    match Content::of(&Document { digest, media_type: OCI_INDEX.to_owned(), bytes }) {
        Ok(Content::Index(entries)) => Some(entries),
        _ => None,
    }
}
