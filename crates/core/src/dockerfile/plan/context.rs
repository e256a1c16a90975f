//! The files that may be copied: those of the source, without what .dockerignore names.

use std::collections::{BTreeMap, BTreeSet};

use crate::dockerfile::glob;
use crate::dockerfile::ignore::Ignore;
use crate::model::source::{FileKind, SourceFile};

/// As many symlinks as the kernel follows in one path.
const MAX_LINKS: usize = 40;

/// The files that may be copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// By path.
    files: BTreeMap<String, SourceFile>,
    /// Where symlinks lead.
    links: BTreeMap<String, String>,
    /// What .dockerignore leaves out, for the words of errors.
    ignored: BTreeSet<String>,
}

/// What a path of the context is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item<'c> {
    File(&'c SourceFile),
    Directory,
}

impl Context {
    /// The files of a source; `links` says where its symlinks lead.
    pub fn new(files: &[SourceFile], links: &BTreeMap<String, String>, ignore: &Ignore) -> Self {
        let (ignored, files): (Vec<_>, Vec<_>) = files.iter().partition(|file| ignore.excludes(&file.path));
        Self {
            files: files.into_iter().map(|file| (file.path.clone(), file.clone())).collect(),
            links: links.clone(),
            ignored: ignored.into_iter().map(|file| file.path.clone()).collect(),
        }
    }

    /// Files under other names; `links` says by these where symlinks lead. Nothing is left out.
    pub fn named(files: BTreeMap<String, SourceFile>, links: BTreeMap<String, String>) -> Self {
        Self { files, links, ignored: BTreeSet::new() }
    }

    /// What is at a path, which may be empty for all.
    pub(super) fn item(&self, path: &str) -> Option<Item<'_>> {
        match self.files.get(path) {
            Some(file) => Some(Item::File(file)),
            None if path.is_empty() || self.below(path).next().is_some() => Some(Item::Directory),
            None => None,
        }
    }

    /// The files below a directory, with their paths from there.
    pub(super) fn below<'c>(&'c self, path: &str) -> impl Iterator<Item = (&'c str, &'c SourceFile)> + use<'c> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let from = prefix.clone();
        self.files
            .range(from..)
            .take_while({
                let prefix = prefix.clone();
                move |(path, _)| path.starts_with(&prefix)
            })
            .map(move |(path, file)| (&path[prefix.len()..], file))
    }

    /// Where a path ends when symlinks are followed, in it and at its end. None when it leads out or in a circle.
    pub(super) fn followed(&self, path: &str) -> Option<String> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            let link = path.match_indices('/').map(|(end, _)| end).chain([path.len()]).find_map(|end| {
                let file = self.files.get(&path[..end])?;
                (file.kind == FileKind::Symlink).then(|| (end, self.links.get(&path[..end])))
            });
            let Some((end, target)) = link else {
                return Some(path);
            };
            let target = target?;
            let rest = &path[end..];
            let above =
                if target.starts_with('/') { "" } else { path[..end].rsplit_once('/').map_or("", |(above, _)| above) };
            path = clean(&format!("{above}/{target}{rest}"));
        }
        None
    }

    /// The paths, directories too, that a pattern finds; `**` only where `deep`.
    pub(super) fn matching(&self, pattern: &str, deep: bool) -> Result<Vec<String>, String> {
        let mut candidates = BTreeSet::new();
        for path in self.files.keys() {
            candidates.extend(path.match_indices('/').map(|(end, _)| &path[..end]));
            candidates.insert(path.as_str());
        }
        let fits = |path: &&str| {
            let fits = if deep { glob::matches_deep(pattern, path) } else { glob::matches(pattern, path) };
            fits.map_err(|_| format!("`{pattern}` is no pattern"))
        };
        let mut found = Vec::new();
        for path in candidates {
            if fits(&path)? {
                found.push(path.to_owned());
            }
        }
        Ok(found)
    }

    /// Did .dockerignore leave it out?
    pub(super) fn is_ignored(&self, path: &str) -> bool {
        let below = format!("{path}/");
        self.ignored.contains(path)
            || self.ignored.range(below.clone()..).next().is_some_and(|next| next.starts_with(&below))
    }
}

/// Without `/` at either end, `.`, empty parts, and `..`, which ends at the root.
pub fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
