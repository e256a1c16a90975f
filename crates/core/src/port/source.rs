//! Port: source code, at one state that does not change while it is used.

use std::path::Path;

use async_trait::async_trait;

use crate::fault::Failure;
use crate::model::SourceView;
use crate::model::source::{Notice, SourceFile};
use crate::plan::NamedFile;

/// Source code at one state.
#[async_trait]
pub trait SourceTree: Send + Sync {
    /// The names of all files, no texts. Fails with the caller's fault for a revision that does not exist.
    async fn view(&self) -> Result<SourceView, Failure>;

    /// The text of a few files (of a symlink: where it leads), each at most 1 MiB.
    async fn texts(&self, files: &[SourceFile]) -> Result<std::collections::BTreeMap<String, String>, Failure>;

    /// Writes those files under their new names as one tar archive to `into`: in the order given (by name), owner 0, times
    /// of `epoch`, with entries for the directories above. Fails when a file is no longer what its `content` says. Answers
    /// with what a reader of the archive should know.
    async fn archive(&self, files: &[NamedFile], epoch: u64, into: &Path) -> Result<Vec<Notice>, Failure>;
}

/// Where code of others comes from.
#[async_trait]
pub trait Sources: Send + Sync {
    /// Opens what an address of [`crate::known::Need::Code`] names, as it is today. What it needs while it is used lies in
    /// `staging`.
    async fn open(&self, address: &str, staging: &Path) -> Result<Box<dyn SourceTree>, Failure>;

    /// The files of a tar archive, as they are in it.
    async fn of_archive(&self, archive: &Path, staging: &Path) -> Result<Box<dyn SourceTree>, Failure>;
}
