//! What an artifact says of its build by labels (docs/new_labels.md of source-to-image), and what its steps add to that.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{AppSection, PlanError, Request};

const NAMESPACE: &str = "io.openshift.s2i.build.";
const DISPLAY_NAME: &str = "io.k8s.display-name";
const DESCRIPTION: &str = "io.k8s.description";
/// Where a step may leave labels.
pub(super) const METADATA: &str = "/tmp/.s2i/image_metadata.json";
/// The most that names and values of all labels may come to, in bytes.
const MAX: usize = 10_240;

/// The labels of a build. What lies on this machine is not named.
pub(super) fn generated(request: &Request<'_>, section: &AppSection) -> BTreeMap<String, String> {
    let source = request.source;
    let about = source.about.clone().unwrap_or_default();
    let origin = source.origin.as_ref();
    // Of a work tree with changes no commit is true.
    let commit = |text: String| if source.dirty { String::new() } else { text };
    let of_build = [
        ("commit.author", commit(about.author)),
        ("commit.date", commit(about.date)),
        ("commit.id", commit(source.commit.as_ref().map(ToString::to_string).unwrap_or_default())),
        ("commit.message", commit(about.subject)),
        ("commit.ref", origin.and_then(|origin| origin.revision.clone()).unwrap_or_default()),
        ("source-location", origin.map(|origin| origin.address.clone()).unwrap_or_default()),
        ("source-context-dir", section.context_dir.clone().unwrap_or_default()),
        ("image", builder(request)),
    ];
    let name = section.display_name.clone().or_else(|| request.known.app.as_ref().map(ToString::to_string));
    let of_catalogue =
        [(DISPLAY_NAME, name.unwrap_or_default()), (DESCRIPTION, section.description.clone().unwrap_or_default())];
    let build = of_build.into_iter().map(|(name, value)| (format!("{NAMESPACE}{name}"), value));
    let labels = build.chain(of_catalogue.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let said = labels.filter(|(_, value)| !value.is_empty());
    said.chain(section.labels.clone()).collect()
}

/// What the builder is called.
pub(super) fn builder(request: &Request<'_>) -> String {
    request.base.map(|base| base.name.to_string()).unwrap_or_default()
}

/// The builder by which an artifact says that it was built.
pub(super) fn builder_of(labels: &BTreeMap<String, String>) -> Option<&str> {
    labels.get(&format!("{NAMESPACE}image")).map(String::as_str)
}

#[derive(Debug, Deserialize)]
struct Metadata {
    #[serde(default)]
    labels: Vec<BTreeMap<String, String>>,
}

/// The labels that a step left; a later one wins.
pub(super) fn left(text: &str) -> Result<BTreeMap<String, String>, PlanError> {
    let bad = |error: serde_json::Error| PlanError::Left {
        path: METADATA.to_owned(),
        step: "a step".to_owned(),
        why: format!("expected {{\"labels\":[{{\"NAME\":\"VALUE\"}}]}}: {error}"),
    };
    // An object and no list, which would do for the structure, too.
    let object: serde_json::Map<_, _> = serde_json::from_str(text).map_err(bad)?;
    let metadata: Metadata = serde_json::from_value(object.into()).map_err(bad)?;
    Ok(metadata.labels.into_iter().flatten().collect())
}

/// Fails when there is more of them than registries and clusters take.
pub(super) fn expect_few(labels: &BTreeMap<String, String>) -> Result<(), PlanError> {
    let size: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size <= MAX {
        return Ok(());
    }
    let largest = labels.iter().max_by_key(|(name, value)| name.len() + value.len());
    let (largest, value) = largest.map_or(("", 0), |(name, value)| (name.as_str(), value.len()));
    Err(PlanError::Setting {
        place: "the labels of the artifact".to_owned(),
        why: format!("they have {size} bytes, of which {MAX} are allowed; `{largest}` alone has {value}"),
        hint: Some(
            "labels come from the builder, [s2i] in till.toml and what assemble writes to ".to_owned() + METADATA,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_steps_leave_them() {
        let labels = left(r#"{"labels":[{"a":"1","b":"2"},{"a":"3"}],"other":1}"#).unwrap();
        assert_eq!(labels, BTreeMap::from([("a".to_owned(), "3".to_owned()), ("b".to_owned(), "2".to_owned())]));
        assert!(left("{}").unwrap().is_empty());
        for bad in
            ["", "x", "[]", r#"{"labels":{"a":"1"}}"#, r#"{"labels":[{"a":1}]}"#, r#"{"labels":[]}{"labels":[]}"#]
        {
            assert!(left(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn too_much_is_said_with_what_is_largest() {
        let labels = BTreeMap::from([("a".to_owned(), "x".repeat(MAX - 1)), ("b".to_owned(), String::new())]);
        let error = expect_few(&labels).unwrap_err().to_string();
        assert!(error.contains("10241 bytes") && error.contains("`a`"), "{error}");
        assert!(expect_few(&BTreeMap::from([("a".to_owned(), "x".repeat(MAX - 1))])).is_ok());
    }
}
