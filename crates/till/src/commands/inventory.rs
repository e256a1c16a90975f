//! `till sbom`, `till provenance` and `till diff`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use till_core::Failure;
use till_core::inventory::diff::{Change, Difference};
use till_core::inventory::{Distribution, FileEntry};
use till_engine::{Engine, Format};

use crate::cli::SbomFormat;
use crate::screen::{Screen, clean};

pub(super) async fn sbom(engine: &Engine, image: &str, format: SbomFormat, screen: &Screen) -> Result<(), Failure> {
    let format = match format {
        SbomFormat::Cyclonedx => Format::CycloneDx,
        SbomFormat::Spdx => Format::Spdx,
    };
    document(&engine.sbom(image, format).await?, screen);
    Ok(())
}

pub(super) async fn provenance(engine: &Engine, image: &str, screen: &Screen) -> Result<(), Failure> {
    document(&engine.provenance(image).await?, screen);
    Ok(())
}

/// The document itself: on one line with --json, for people without.
fn document(document: &Value, screen: &Screen) {
    screen.result(document, &format!("{document:#}"));
}

/// A distribution in answers; its `id` is null when it is not known.
pub(super) fn distribution(distribution: &Distribution) -> Value {
    match distribution {
        Distribution::Known { id, version_id, codename, .. } => {
            json!({ "id": id, "version": version_id, "codename": codename, "name": distribution.describe() })
        }
        Distribution::Unknown { .. } => {
            json!({ "id": null, "version": null, "codename": null, "name": distribution.describe() })
        }
    }
}

pub(super) async fn diff(engine: &Engine, first: &str, second: &str, screen: &Screen) -> Result<(), Failure> {
    let difference = engine.diff(first, second).await?;
    let mut lines = Vec::new();
    section(&mut lines, "packages", &difference.packages, &versions, &|change| {
        format!("{} → {}", versions(&change.from), versions(&change.to))
    });
    section(&mut lines, "files", &difference.files, &|file| format!("{} bytes", file.size), &file_change);
    section(&mut lines, "config", &difference.config, &String::clone, &|change| {
        format!("{} → {}", change.from, change.to)
    });
    if lines.is_empty() {
        lines.push("packages, files and config are the same".to_owned());
    }
    screen.result(&json!(difference), &clean(&lines.join("\n")));
    Ok(())
}

fn section<T>(
    lines: &mut Vec<String>,
    name: &str,
    difference: &Difference<T>,
    show: &dyn Fn(&T) -> String,
    change: &dyn Fn(&Change<T>) -> String,
) {
    if difference.is_empty() {
        return;
    }
    lines.push(name.to_owned());
    // Names of strangers may have line breaks in them.
    let mut line = |sign, key: &str, text: String| lines.push(format!("  {sign} {key}  {text}").replace('\n', " "));
    difference.removed.iter().for_each(|(key, value)| line('-', key, show(value)));
    difference.added.iter().for_each(|(key, value)| line('+', key, show(value)));
    difference.changed.iter().for_each(|(key, value)| line('~', key, change(value)));
}

fn versions(versions: &BTreeSet<String>) -> String {
    versions.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// What of a file is not the same.
fn file_change(change: &Change<FileEntry>) -> String {
    let (from, to) = (&change.from, &change.to);
    let mut words = Vec::new();
    if from.kind != to.kind {
        words.push("kind".to_owned());
    }
    if from.mode != to.mode {
        words.push(format!("mode {:o} → {:o}", from.mode, to.mode));
    }
    if (from.uid, from.gid) != (to.uid, to.gid) {
        words.push(format!("owner {}:{} → {}:{}", from.uid, from.gid, to.uid, to.gid));
    }
    if from.content != to.content || from.size != to.size {
        words.push(format!("content {} → {} bytes", from.size, to.size));
    }
    words.join(", ")
}
