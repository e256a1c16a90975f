//! `metadata/managed_files.yml`: which files of a cartridge are locked, rendered, linked. Keys may be written as Ruby's symbols.

use serde::Deserialize;

use super::yaml::{self, Pairs, Texts};

/// Where it lies in a cartridge.
pub(super) const FILE: &str = "metadata/managed_files.yml";

/// What of it matters here; the rest is for upgrades and snapshots, which there are none of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct File {
    #[serde(alias = ":locked_files")]
    locked_files: Texts,
    #[serde(alias = ":processed_templates")]
    processed_templates: Texts,
    #[serde(alias = ":dependency_dirs")]
    dependency_dirs: Pairs,
    #[serde(alias = ":build_dependency_dirs")]
    build_dependency_dirs: Pairs,
}

/// The files that are managed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Managed {
    /// The user's only while the gear is unlocked.
    pub(super) locked: Vec<String>,
    /// Rendered after `setup`.
    pub(super) templates: Vec<String>,
    /// Links, and what of the dependencies they lead to.
    pub(super) dependencies: Vec<(String, String)>,
    /// The same for what only builds need.
    pub(super) build_dependencies: Vec<(String, String)>,
}

/// Reads the text of the file.
pub(super) fn parse(text: &str) -> Result<Managed, String> {
    let file = yaml::read::<File>(text)?.unwrap_or_default();
    Ok(Managed {
        locked: plain(file.locked_files.0)?,
        templates: plain(file.processed_templates.0)?,
        dependencies: links(file.dependency_dirs)?,
        build_dependencies: links(file.build_dependency_dirs)?,
    })
}

fn plain(entries: Vec<String>) -> Result<Vec<String>, String> {
    // They become lines of a list.
    match entries.iter().find(|entry| entry.is_empty() || entry.contains(['\n', '\t', '\0'])) {
        Some(entry) => Err(format!("{entry:?} is no name of a file")),
        None => Ok(entries),
    }
}

/// What is linked has the link's name, unless another is given.
fn links(pairs: Pairs) -> Result<Vec<(String, String)>, String> {
    let mut links = Vec::new();
    for (link, target) in pairs.0 {
        let target = target.unwrap_or_else(|| link.strip_prefix("~/").unwrap_or(&link).to_owned());
        let checked = plain(vec![link, target])?;
        if let [link, target] = checked.as_slice() {
            links.push((link.clone(), target.clone()));
        }
    }
    Ok(links)
}
