//! The tar of some source files: sorted, owner 0, one time for all.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use tar::{Builder, EntryType, Header};
use till_core::model::source::FileKind;

use super::SourceError;

pub(super) struct Archive {
    builder: Builder<BufWriter<File>>,
    epoch: u64,
    /// The directories that have an entry already.
    last: String,
}

impl Archive {
    pub(super) fn create(path: &Path, epoch: u64) -> Result<Self, SourceError> {
        let file = File::create(path).map_err(SourceError::Write)?;
        Ok(Self { builder: Builder::new(BufWriter::with_capacity(1 << 18, file)), epoch, last: String::new() })
    }

    /// Entries for the directories above `path` that have none yet (files come sorted).
    fn parents(&mut self, path: &str) -> Result<(), SourceError> {
        for (end, _) in path.match_indices('/') {
            let directory = &path[..=end];
            if !self.last.starts_with(directory) {
                let mut header = self.header(EntryType::Directory, 0o755, 0);
                self.builder.append_data(&mut header, directory, io::empty()).map_err(SourceError::Write)?;
            }
        }
        path.clone_into(&mut self.last);
        Ok(())
    }

    fn header(&self, kind: EntryType, mode: u32, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(self.epoch);
        header.set_uid(0);
        header.set_gid(0);
        header
    }

    /// A file with exactly `size` bytes of content.
    pub(super) fn file(
        &mut self,
        path: &str,
        kind: FileKind,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), SourceError> {
        self.parents(path)?;
        let mode = if kind == FileKind::Executable { 0o755 } else { 0o644 };
        let mut header = self.header(EntryType::Regular, mode, size);
        self.builder.append_data(&mut header, path, content).map_err(SourceError::Write)
    }

    pub(super) fn symlink(&mut self, path: &str, target: &str) -> Result<(), SourceError> {
        self.parents(path)?;
        let mut header = self.header(EntryType::Symlink, 0o777, 0);
        // As it is, where it fits: `append_link` writes `a//b` as `a/b`.
        match header.set_link_name_literal(target) {
            Ok(()) => self.builder.append_data(&mut header, path, io::empty()),
            Err(_) => self.builder.append_link(&mut header, path, target),
        }
        .map_err(SourceError::Write)
    }

    pub(super) fn finish(self) -> Result<(), SourceError> {
        let mut file = self.builder.into_inner().map_err(SourceError::Write)?;
        file.flush().map_err(SourceError::Write)
    }
}

/// Is this the beginning of a git LFS pointer (its spec, version 1)?
pub(super) fn is_lfs_pointer(beginning: &[u8]) -> bool {
    beginning.starts_with(b"version https://git-lfs.github.com/spec/v1\n")
}
