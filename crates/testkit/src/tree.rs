//! Files in memory.

use std::collections::BTreeMap;

use till_core::model::FileKind;

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: FileKind,
    /// Its bytes; of a symlink: where it leads.
    pub content: Vec<u8>,
}

/// Files by path.
pub type Tree = BTreeMap<String, Entry>;

/// Files of these paths and texts. A path that ends with `@` is a symlink, one with `*` an executable, as `ls -F` writes
/// them.
pub fn tree(files: &[(&str, &str)]) -> Tree {
    let entry = |(path, text): &(&str, &str)| {
        let (kind, path) = match (path.strip_suffix('@'), path.strip_suffix('*')) {
            (Some(path), _) => (FileKind::Symlink, path),
            (_, Some(path)) => (FileKind::Executable, path),
            _ => (FileKind::File, *path),
        };
        (path.to_owned(), Entry { kind, content: text.as_bytes().to_vec() })
    };
    files.iter().map(entry).collect()
}
