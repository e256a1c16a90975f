//! Files that come to lie where a Dockerfile's COPY or ADD says (BuildKit's dockerfile reference, "COPY").

use serde::{Deserialize, Serialize};

use super::Footing;
use crate::digest::Digest;
use crate::model::source::SourceFile;

/// A file of the source under another name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedFile {
    /// Relative, below the place where it goes.
    pub name: String,
    /// In the source.
    pub file: SourceFile,
}

impl NamedFile {
    /// Those files under the names that they have.
    pub fn all(files: &[SourceFile]) -> Vec<Self> {
        files.iter().map(|file| Self { name: file.path.clone(), file: file.clone() }).collect()
    }
}

/// A text that becomes a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextFile {
    /// Relative.
    pub name: String,
    /// What is in it.
    pub text: String,
    /// Permission bits.
    pub mode: u32,
}

/// Files of another tree, which are known only when it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeFiles {
    /// Which tree.
    pub of: Footing,
    /// Absolute paths; `*`, `?` and `[…]` as in Go's `filepath.Match`.
    pub sources: Vec<String>,
    /// Keep the directories above what is found (`--parents`).
    pub parents: bool,
    /// What is left out, as in .dockerignore.
    pub exclude: Vec<String>,
}

/// A file that was fetched when the plan was made, and is in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteFile {
    /// Where it was fetched from.
    pub url: String,
    /// Of its bytes.
    pub digest: Digest,
    /// Relative.
    pub name: String,
    /// Seconds since 1970, as its server says.
    pub time: Option<u64>,
}

/// Where copied files come to lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Landing {
    /// Absolute.
    pub path: String,
    /// Is the path a directory for sure? Else a single file becomes a file of that name, unless a directory is there.
    pub directory: bool,
    /// Permission bits in octal, or symbolic (`u+x,go-w`); none: as they are.
    pub mode: Option<String>,
    /// Is a file that is a tar archive, compressed or not, unpacked (ADD)?
    pub unpack: bool,
}
