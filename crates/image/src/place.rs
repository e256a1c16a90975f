//! How places outside are typed, as containers' tools agree on it: `TRANSPORT:PATH[:REFERENCE]`.

use std::path::PathBuf;

/// The kind of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Oci,
    OciArchive,
    DockerArchive,
}

/// Takes a text apart; none when it is no such text. The first `:` ends the path.
pub(crate) fn named(text: &str) -> Option<(Transport, PathBuf, Option<String>)> {
    let (transport, place) = text.split_once(':')?;
    let transport = match transport {
        "oci" => Transport::Oci,
        "oci-archive" => Transport::OciArchive,
        "docker-archive" => Transport::DockerArchive,
        _ => return None,
    };
    let (path, reference) = match place.split_once(':') {
        Some((path, reference)) => (path, Some(reference)),
        None => (place, None),
    };
    let is_bad = |reference: &str| reference.is_empty() || reference.contains(|c: char| c.is_control() || c == ' ');
    if path.is_empty() || path.contains('\0') || reference.is_some_and(is_bad) {
        return None;
    }
    Some((transport, path.into(), reference.map(str::to_owned)))
}
