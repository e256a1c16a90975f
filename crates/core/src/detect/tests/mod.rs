//! Which base prepares a source, as tables.
//!
//! ```text
//! languages.rs  every file that makes a source one of a language, and every conflict
//! packaging.rs  what says more than a language
//! supply.rs     which of the bases that are there
//! told.rs       what is said when nothing matches, or the base is missing
//! ```

mod languages;
mod packaging;
mod supply;
mod told;

use super::*;
use crate::digest::Digest;
use crate::model::{FileKind, SourceFile};

/// The bases that come along, and those that a house would import.
pub(super) const HOUSE: [(&str, &str, &str); 11] = [
    ("debian", "command", "debian procfile"),
    ("gear", "cartridge", ""),
    ("go", "command", "go golang"),
    ("heroku", "heroku", ""),
    ("java", "command", "java maven"),
    ("node", "command", "node javascript"),
    ("php", "command", "php composer"),
    ("python", "command", "python wsgi"),
    ("ruby", "command", "ruby rack"),
    ("rust", "command", "rust cargo"),
    ("static", "command", "static html"),
];

/// A base: name, kind of contract (empty for none), tags with blanks between.
pub(super) fn offer((name, contract, tags): (&str, &str, &str)) -> Offer {
    Offer {
        name: name.parse().unwrap(),
        tags: tags.split_whitespace().map(str::to_owned).collect(),
        contract: Some(contract.to_owned()).filter(|kind| !kind.is_empty()),
        references: Vec::new(),
    }
}

pub(super) fn house() -> Vec<Offer> {
    HOUSE.map(offer).to_vec()
}

/// A source of these paths and texts; a path that ends with `@` is a link.
pub(super) fn view(files: &[(&str, &str)]) -> SourceView {
    let mut view = SourceView::default();
    for (path, text) in files {
        let (path, kind) = path.strip_suffix('@').map_or((*path, FileKind::File), |path| (path, FileKind::Symlink));
        view.texts.insert(path.to_owned(), (*text).to_owned());
        let content = Digest::of(text.as_bytes()).to_string();
        view.files.push(SourceFile { path: path.to_owned(), kind, content });
    }
    view.files.sort_by(|a, b| a.path.cmp(&b.path));
    view
}

/// What those files are taken for, given these bases. Only the texts that are asked for are there.
pub(super) fn of(files: &[(&str, &str)], bases: &[Offer]) -> Detection {
    let mut source = view(files);
    let wanted = reads(&source);
    source.texts.retain(|path, _| wanted.contains(path));
    detect(&Question { source: &source, named: None, dockerfile: &Choice::default(), buildpacks: &[], bases })
}

/// The same for files without text, given the bases of the house.
pub(super) fn of_names(names: &str) -> Detection {
    let files: Vec<_> = names.split_whitespace().map(|name| (name, "")).collect();
    of(&files, &house())
}

/// `kind base`, of the choice.
pub(super) fn chosen(detection: &Detection) -> String {
    detection.chosen.as_ref().map_or("nothing".to_owned(), told)
}

/// The others, with commas.
pub(super) fn others(detection: &Detection) -> String {
    detection.others.iter().map(told).collect::<Vec<_>>().join(", ")
}

fn told(found: &Match) -> String {
    let base = found.base.as_ref().map_or("-", BaseName::as_str);
    let there = if found.lack.is_some() { "!" } else { "" };
    format!("{} {base}{there}", <&str>::from(found.kind))
}
