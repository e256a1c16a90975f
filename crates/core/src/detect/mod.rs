//! Which base prepares a source when nobody says: what the source looks like, in a fixed order, and which of the bases that
//! are there is for that. Reads names and a few texts of the source; runs nothing, and decides nothing that a base decides.
//!
//! ```text
//! mod.rs        the question, the answer, the order
//! language.rs   languages by the files at the root
//! packaging.rs  what says more than a language: Dockerfile, .s2i, .openshift, project.toml, Heroku's files
//! supply.rs     which base is for it
//! words.rs      how it is told
//! ```
//!
//! The order, and what is done about conflicts, is in docs/reference/detection.md.

mod language;
mod packaging;
mod supply;
#[cfg(test)]
mod tests;
mod words;

use serde::Serialize;

use crate::dockerfile::spec::Choice;
use crate::model::{BaseName, BaseRef, SourceView};

pub use words::Undetected;

/// A base that is there, as far as its choice depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its name.
    pub name: BaseName,
    /// What it says that it is for.
    pub tags: Vec<String>,
    /// The kind of its contract; none for an image that prepares no source.
    pub contract: Option<String>,
    /// What the image was called where it was imported from.
    pub references: Vec<String>,
}

/// What is to be decided.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The source, with the texts that [`reads`] asks for.
    pub source: &'a SourceView,
    /// The base that till.toml names.
    pub named: Option<&'a BaseRef>,
    /// What is said of the app's Dockerfile.
    pub dockerfile: &'a Choice,
    /// The buildpacks that who builds names.
    pub buildpacks: &'a [String],
    /// The bases that are there, one version of each.
    pub bases: &'a [Offer],
}

/// What a source was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "&'static str")]
pub enum Kind {
    /// Nothing: till.toml says what prepares it.
    Named,
    /// Its own Dockerfile says how it is built.
    Dockerfile,
    /// Written for a builder image of source-to-image.
    S2i,
    /// Written for a cartridge of OpenShift 2.
    Cartridge,
    /// Written for Cloud Native Buildpacks.
    Cnb,
    /// Written for Heroku's buildpacks.
    Heroku,
    /// A language, or something like one.
    Language(&'static str),
    /// Of no known language, but a Procfile says what is started.
    Procfile,
    /// Of no known language, but a script starts it.
    Shell,
}

impl From<Kind> for &'static str {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Named => "till.toml",
            Kind::Dockerfile => "dockerfile",
            Kind::S2i => "s2i",
            Kind::Cartridge => "cartridge",
            Kind::Cnb => "cnb",
            Kind::Heroku => "heroku",
            Kind::Language(name) => name,
            Kind::Procfile => "procfile",
            Kind::Shell => "shell",
        }
    }
}

/// What was seen in the source, before it is known which base would do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    kind: Kind,
    /// The files that say so; not empty.
    files: Vec<String>,
    /// What it is, with its article: `a Go program`.
    what: String,
    /// The builder image that the source names.
    builder: Option<String>,
}

/// One way in which the source could be prepared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Match {
    /// What it was taken for.
    pub kind: Kind,
    /// The base that prepares it, be it there or not; none where none is needed, or nothing says which.
    pub base: Option<BaseName>,
    /// The files that say so.
    pub files: Vec<String>,
    /// What the source is, with its article.
    pub what: String,
    /// Why, as a sentence without its stop.
    pub because: String,
    /// How it is chosen by who builds.
    pub how: String,
    /// What is missing for it.
    pub lack: Option<Lack>,
}

/// What is missing before a source can be prepared in that way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lack {
    /// A sentence without its stop.
    pub what: String,
    /// What to do.
    pub hint: String,
}

/// Something that was looked at and not taken for what its name says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The file.
    pub what: String,
    /// Why.
    pub why: String,
}

/// The answer: what the source is taken for, and what it could be taken for as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Detection {
    /// The first that matches, be its base there or not.
    pub chosen: Option<Match>,
    /// The others, in order.
    pub others: Vec<Match>,
    /// What came near.
    pub refused: Vec<Refused>,
    /// The names at the root of the source, for who has to be told that nothing matches; a folder's ends with `/`.
    pub root: Vec<String>,
    /// Folders below it that would match by themselves.
    pub folders: Vec<String>,
}

/// The files of the source whose text [`detect`] needs.
pub fn reads(source: &SourceView) -> Vec<String> {
    packaging::READ.iter().filter(|name| packaging::is_file(source, name)).map(|name| (*name).to_owned()).collect()
}

/// Looks at the source. Fails never: what cannot be read is passed over, and told.
pub fn detect(question: &Question<'_>) -> Detection {
    let mut refused = Vec::new();
    let mut seen: Vec<_> = packaging::asked(question).into_iter().collect();
    seen.extend(packaging::seen(question, &mut refused));
    seen.extend(language::seen(question.source, question.bases, &mut refused));
    // A Procfile is honoured by every language's base; of none, or where there would be a server of files only, it decides.
    let place = seen.iter().position(|seen| seen.kind == Kind::Language(language::STATIC)).unwrap_or(seen.len());
    if let Some(procfile) = packaging::procfile(question.source, &mut refused) {
        seen.insert(place, procfile);
    }
    seen.extend(language::script(question.source));
    let languages: Vec<_> = seen.iter().filter(|seen| matches!(seen.kind, Kind::Language(_))).cloned().collect();
    seen.extend(packaging::heroku_too(question.source, &seen));
    let named = question.named.map(|base| supply::named(base, question.bases));
    let matches = seen.into_iter().map(|seen| supply::supplied(seen, &languages, question));
    let mut matches = named.into_iter().chain(matches);
    Detection {
        chosen: matches.next(),
        others: matches.collect(),
        refused,
        root: words::root(question.source),
        folders: language::folders(question.source),
    }
}
