//! Source as planning sees it: what it is called, the names of its files, the text of the few that are asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// A git commit: 40 (SHA-1) or 64 (SHA-256) lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(String);

/// A text that is not a commit's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a commit: expected 40 or 64 hex digits")]
pub struct BadCommit(pub String);

impl CommitId {
    /// The hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CommitId {
    type Err = BadCommit;

    fn from_str(text: &str) -> Result<Self, BadCommit> {
        let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex && matches!(text.len(), 40 | 64) { Ok(Self(text.to_owned())) } else { Err(BadCommit(text.to_owned())) }
    }
}

impl TryFrom<String> for CommitId {
    type Error = BadCommit;

    fn try_from(text: String) -> Result<Self, BadCommit> {
        text.parse()
    }
}

impl From<CommitId> for String {
    fn from(commit: CommitId) -> Self {
        commit.0
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a file of the source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A plain file.
    File,
    /// A file that may be executed.
    Executable,
    /// A symbolic link; its content is where it leads.
    Symlink,
}

/// One file of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Relative, `/` between the parts, no `.` or `..` among them.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
    /// Names the content: a git object id or `sha256:…`, whichever the source has.
    pub content: String,
}

/// Something of the source that is not taken along, or not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Where.
    pub path: String,
    /// What the user should know, e.g. `submodule, not fetched`.
    pub what: String,
}

/// What a commit says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitInfo {
    /// `Name <mail>`.
    pub author: String,
    /// As git writes it: `Thu Jan 1 00:00:00 1970 +0000`.
    pub date: String,
    /// The first line of its message, at most 80 characters.
    pub subject: String,
}

/// Where a source was fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The address, without name and password.
    pub address: String,
    /// The branch, tag or commit that was asked for.
    pub revision: Option<String>,
}

/// What planning knows of the source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceView {
    /// The commit, where the source is one (or a clean work tree of one).
    pub commit: Option<CommitId>,
    /// The work tree of a repository, with changes that are not committed.
    pub dirty: bool,
    /// Seconds since 1970 of the commit; none for a directory that is no repository.
    pub time: Option<u64>,
    /// Sorted by path.
    pub files: Vec<SourceFile>,
    /// The texts that were asked for, by path.
    pub texts: BTreeMap<String, String>,
    /// Submodules, LFS pointers and the like.
    pub notices: Vec<Notice>,
    /// What the commit says of itself.
    pub about: Option<CommitInfo>,
    /// Where it was fetched from; none for what lies on this machine.
    pub origin: Option<Origin>,
}

impl SourceView {
    /// Names the whole tree: paths, kinds and contents.
    pub fn tree(&self) -> Digest {
        let mut text = String::new();
        for file in &self.files {
            text.push_str(&format!("{:?} {} {}\0", file.kind, file.content, file.path));
        }
        Digest::of(text.as_bytes())
    }

    /// The file of that path.
    pub fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok().map(|index| &self.files[index])
    }
}

/// As many symlinks as are followed from one name.
const MAX_LINKS: usize = 8;

impl SourceView {
    /// The file that a name means when symlinks are followed: the first of them whose text is not known yet, or the end.
    pub fn followed(&self, name: &str) -> Option<&SourceFile> {
        let mut file = self.file(name)?;
        for _ in 0..MAX_LINKS {
            let target = match (file.kind, self.texts.get(&file.path)) {
                (FileKind::Symlink, Some(target)) => target,
                _ => return Some(file),
            };
            file = self.file(&resolve_link(&file.path, target)?)?;
        }
        None
    }

    /// The text of the file that a name means.
    pub fn text(&self, name: &str) -> Option<&str> {
        let file = self.followed(name).filter(|file| file.kind != FileKind::Symlink)?;
        self.texts.get(&file.path).map(String::as_str)
    }
}

/// Where a relative symlink at `path` with this target ends, if it stays inside the source.
pub fn resolve_link(path: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside_or_are_none() {
        for (path, target, end) in [
            ("a", "b", Some("b")),
            ("d/a", "../b", Some("b")),
            ("d/a", "./e/../b", Some("d/b")),
            ("a", "..", None),
            ("d/a", "../../b", None),
            ("a", "/etc/passwd", None),
        ] {
            assert_eq!(resolve_link(path, target).as_deref(), end, "{path} -> {target}");
        }
    }

    #[test]
    fn a_name_means_what_its_links_lead_to() {
        let file = |path: &str, kind| SourceFile { path: path.to_owned(), kind, content: String::new() };
        let files = vec![
            file("Procfile", FileKind::Symlink),
            file("deploy/a", FileKind::Symlink),
            file("deploy/b", FileKind::File),
            file("loop", FileKind::Symlink),
            file("out", FileKind::Symlink),
        ];
        let mut view = SourceView { files, ..SourceView::default() };
        assert_eq!(view.followed("Procfile").unwrap().path, "Procfile", "where it leads is not known yet");
        for (path, text) in
            [("Procfile", "deploy/a"), ("deploy/a", "b"), ("deploy/b", "web: x"), ("loop", "loop"), ("out", "../x")]
        {
            view.texts.insert(path.to_owned(), text.to_owned());
        }
        assert_eq!(view.followed("Procfile").unwrap().path, "deploy/b");
        assert_eq!(view.text("Procfile"), Some("web: x"));
        assert_eq!((view.text("loop"), view.text("out"), view.text("none")), (None, None, None));
    }
}
