//! What a layer adds and removes, and what that leaves of the layers below.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// What an entry of a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A pipe or a device.
    Special,
}

/// A file of an image, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    /// Whose it is.
    pub uid: u64,
    /// Which group's.
    pub gid: u64,
    /// Bytes of content.
    pub size: u64,
    /// Of its content, where somebody asked for it; of a link: where it leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Digest>,
}

/// What one layer does to those below. Paths have no `/` at either end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerFiles {
    /// What it adds or replaces.
    pub entries: BTreeMap<String, FileEntry>,
    /// What it removes, with all that lies below.
    pub removed: BTreeSet<String>,
    /// Directories of which nothing is left but what it adds.
    pub emptied: BTreeSet<String>,
}

impl LayerFiles {
    /// Takes out of a view by paths what this layer removes or replaces.
    pub fn hide<V>(&self, view: &mut BTreeMap<String, V>) {
        if view.is_empty() {
            return;
        }
        for path in &self.emptied {
            remove_below(view, path);
        }
        for path in &self.removed {
            view.remove(path);
            remove_below(view, path);
        }
        for (path, entry) in &self.entries {
            view.remove(path);
            if entry.kind != FileKind::Directory {
                remove_below(view, path);
            }
        }
    }

    /// Lays this layer over the files of those below.
    pub fn cover(self, files: &mut BTreeMap<String, FileEntry>) {
        self.hide(files);
        files.extend(self.entries);
    }
}

/// Removes all that is in a directory; of the root: everything.
fn remove_below<V>(view: &mut BTreeMap<String, V>, directory: &str) {
    if directory.is_empty() {
        return view.clear();
    }
    // `0` follows `/`: between the two is all that begins with the directory and a `/`.
    let (first, end) = (format!("{directory}/"), format!("{directory}0"));
    while let Some((path, _)) = view.range::<String, _>(&first..&end).next() {
        let path = path.clone();
        view.remove(&path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: FileKind) -> FileEntry {
        FileEntry { kind, mode: 0o644, uid: 0, gid: 0, size: 0, content: None }
    }

    fn layer(entries: &[(&str, FileKind)], removed: &[&str], emptied: &[&str]) -> LayerFiles {
        let texts = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        LayerFiles {
            entries: entries.iter().map(|(path, kind)| ((*path).to_owned(), entry(*kind))).collect(),
            removed: texts(removed),
            emptied: texts(emptied),
        }
    }

    #[test]
    fn what_is_above_hides_what_is_below() {
        use FileKind::{Directory, File, Symlink};
        let below = ["a", "d", "d/x", "d/y/z", "d0", "d.x", "e/f"];
        for (above, left) in [
            (layer(&[], &[], &[]), below.as_slice()),
            (layer(&[("a", File)], &[], &[]), &["d", "d/x", "d/y/z", "d0", "d.x", "e/f"]),
            (layer(&[], &["d"], &[]), &["a", "d0", "d.x", "e/f"]),
            (layer(&[], &[], &["d"]), &["a", "d", "d0", "d.x", "e/f"]),
            (layer(&[("d", Symlink)], &[], &[]), &["a", "d0", "d.x", "e/f"]),
            (layer(&[("e", Directory)], &[], &[]), &["a", "d", "d/x", "d/y/z", "d0", "d.x", "e/f"]),
            (layer(&[], &[], &[""]), &[]),
        ] {
            let mut view: BTreeMap<String, ()> = below.iter().map(|path| ((*path).to_owned(), ())).collect();
            above.hide(&mut view);
            let expected: BTreeSet<_> = left.iter().map(|path| (*path).to_owned()).collect();
            assert_eq!(view.into_keys().collect::<BTreeSet<_>>(), expected, "{above:?}");
        }
    }
}
