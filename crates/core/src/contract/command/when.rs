//! Conditions on the source, and the templates that they fill.

use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobMatcher};

use super::spec::{OneOrMany, WhenSpec};
use crate::model::SourceView;

/// A glob over paths of the source: `*` stays within a directory, `**` does not.
pub(super) fn glob(pattern: &str) -> Result<GlobMatcher, String> {
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| format!("`{pattern}` is not a glob: {error}"))
}

/// The files of the source that a name or glob means, sorted.
pub(super) fn matching<'a>(source: &'a SourceView, pattern: &str) -> Vec<&'a str> {
    if !pattern.contains(['*', '?', '[', '{']) {
        return source.file(pattern).map(|file| file.path.as_str()).into_iter().collect();
    }
    match glob(pattern) {
        Ok(glob) => source.files.iter().map(|file| file.path.as_str()).filter(|path| glob.is_match(path)).collect(),
        Err(_) => Vec::new(),
    }
}

fn any_of<'a>(source: &'a SourceView, patterns: &OneOrMany) -> Vec<&'a str> {
    patterns.iter().flat_map(|pattern| matching(source, pattern)).collect()
}

/// What a condition that holds has found: values for templates.
pub(super) type Found = BTreeMap<String, String>;

/// What the source part of a condition finds; none when it does not hold.
pub(super) fn holds(when: &WhenSpec, source: &SourceView) -> Option<Found> {
    if when.absent.as_ref().is_some_and(|patterns| !any_of(source, patterns).is_empty()) {
        return None;
    }
    let Some(patterns) = &when.file else {
        return Some(Found::new());
    };
    let file = any_of(source, patterns).into_iter().find(|path| match &when.contains {
        None => true,
        Some(texts) => source.texts.get(*path).is_some_and(|text| texts.iter().any(|wanted| text.contains(wanted))),
    })?;
    let name = file.rsplit('/').next().unwrap_or(file);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    Some(Found::from([("file".to_owned(), file.to_owned()), ("stem".to_owned(), stem.to_owned())]))
}

/// The files whose text a condition needs.
pub(super) fn reads(when: &WhenSpec, source: &SourceView) -> Vec<String> {
    match (&when.file, &when.contains) {
        (Some(patterns), Some(_)) => any_of(source, patterns).into_iter().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Puts values in the place of `{{name}}`.
pub(super) fn fill(template: &str, values: &Found) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) =
            after.split_once("}}").ok_or_else(|| format!("`{template}` has a `{{{{` without `}}}}`"))?;
        text.push_str(before);
        match values.get(name.trim()) {
            Some(value) => text.push_str(value),
            None => return Err(format!("`{template}` names `{name}`, which is not known here")),
        }
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}
