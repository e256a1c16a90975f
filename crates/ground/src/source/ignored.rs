//! `.tillignore`: what of the source is not taken along; the notation of .gitignore.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

pub(super) const FILE: &str = ".tillignore";

/// A matcher for the text of a `.tillignore`; lines that are no pattern are passed over, as git does.
pub(super) fn parse(text: &str) -> Gitignore {
    let mut builder = GitignoreBuilder::new("/");
    for line in text.lines() {
        let _ = builder.add_line(None, line);
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

/// Is that file left out?
pub(super) fn leaves_out(ignored: &Gitignore, path: &[u8]) -> bool {
    let path = Path::new(OsStr::from_bytes(path));
    !ignored.is_empty() && ignored.matched_path_or_any_parents(path, false).is_ignore()
}
