//! What the texts mean that name cartridges, and what of the source is read for them.

use std::collections::BTreeSet;

use super::managed;
use super::manifest::{self, Flaw};
use super::spec::CartridgeSpec;
use crate::model::{AppFile, SourceView};

/// What a wanted text names.
pub(super) enum Place {
    /// By a name.
    Name,
    /// A directory or a manifest of the source.
    Source(String),
    /// Somewhere else.
    Address,
}

pub(super) fn place(text: &str) -> Place {
    if text.contains("://") || text.starts_with('/') || (text.contains('@') && text.contains(':')) {
        return Place::Address;
    }
    if text.contains('/') || text.starts_with('.') || is_manifest(text) {
        let parts: Vec<_> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        return Place::Source(parts.join("/"));
    }
    Place::Name
}

pub(super) fn is_manifest(text: &str) -> bool {
    text.ends_with(".yml") || text.ends_with(".yaml")
}

/// The files of the source whose text says something of cartridges.
pub(super) fn reads(spec: &CartridgeSpec, app: &AppFile, source: &SourceView) -> Vec<String> {
    let of_app = app.cartridge.iter().flat_map(|section| &section.cartridges);
    let mut paths = BTreeSet::new();
    for wanted in of_app.chain(&spec.cartridges) {
        let Place::Source(place) = place(wanted.text()) else {
            continue;
        };
        if is_manifest(&place) {
            paths.insert(place);
            continue;
        }
        let below = |folder: &str| {
            let prefix = format!("{place}/{folder}/");
            source.files.iter().filter(move |file| file.path.starts_with(&prefix)).map(|file| file.path.clone())
        };
        paths.extend([manifest::FILE, managed::FILE].map(|file| format!("{place}/{file}")));
        paths.extend(below("bin").chain(below("hooks")));
    }
    paths.into_iter().filter(|path| source.file(path).is_some()).collect()
}

/// Does the first line end as on Windows?
pub(super) fn has_windows_line_ends(text: &str) -> bool {
    text.split('\n').next().is_some_and(|line| line.ends_with('\r'))
}

/// What is wrong with a script of such lines.
pub(super) fn windows_line_ends(script: &str) -> Flaw {
    Flaw {
        what: format!("{script} has the line ends of Windows (CRLF), with which it cannot be executed"),
        hint: Some("save it with plain line ends, or let git do so: `* text eol=lf` in .gitattributes".to_owned()),
    }
}
