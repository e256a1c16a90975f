//! Source that is in memory.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use till_core::model::source::Notice;
use till_core::model::{CommitId, SourceFile, SourceView};
use till_core::plan::NamedFile;
use till_core::port::SourceTree;
use till_core::{Digest, Failure, Fault};

use crate::archive;
use crate::tree::{Tree, tree};

/// Source that is in memory.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    files: Tree,
    commit: Option<CommitId>,
    notices: Vec<Notice>,
    late: Vec<Notice>,
}

impl MemorySource {
    /// Those files.
    pub fn of(files: Tree) -> Self {
        Self { files, ..Self::default() }
    }

    /// The files below a folder.
    pub fn folder(path: &Path) -> Self {
        let mut files = Tree::new();
        let mut folders = vec![path.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let below = entry.path();
                match std::fs::read(&below) {
                    Ok(content) => {
                        let name = below.strip_prefix(path).unwrap().to_string_lossy().into_owned();
                        files.insert(name, crate::Entry { kind: till_core::model::FileKind::File, content });
                    }
                    Err(_) => folders.push(below),
                }
            }
        }
        Self::of(files)
    }

    /// Files of these paths and texts.
    pub fn new(files: &[(&str, &str)]) -> Self {
        Self::of(tree(files))
    }

    /// The same as a commit whose id is that digit forty times.
    #[must_use]
    pub fn commit(mut self, digit: char) -> Self {
        self.commit = Some(digit.to_string().repeat(40).parse().unwrap());
        self
    }

    /// The same with something that the view tells.
    #[must_use]
    pub fn notice(mut self, path: &str, what: &str) -> Self {
        self.notices.push(Notice { path: path.to_owned(), what: what.to_owned() });
        self
    }

    /// The same with something that is only seen when the archive is written.
    #[must_use]
    pub fn late_notice(mut self, path: &str, what: &str) -> Self {
        self.late.push(Notice { path: path.to_owned(), what: what.to_owned() });
        self
    }
}

#[async_trait]
impl SourceTree for MemorySource {
    async fn view(&self) -> Result<SourceView, Failure> {
        let file = |(path, entry): (&String, &crate::Entry)| SourceFile {
            path: path.clone(),
            kind: entry.kind,
            content: Digest::of(&entry.content).to_string(),
        };
        Ok(SourceView {
            commit: self.commit.clone(),
            time: self.commit.as_ref().map(|_| 1_000_000_000),
            files: self.files.iter().map(file).collect(),
            notices: self.notices.clone(),
            ..SourceView::default()
        })
    }

    async fn texts(&self, files: &[SourceFile]) -> Result<BTreeMap<String, String>, Failure> {
        let text = |file: &SourceFile| {
            let content = &self.files[&file.path].content;
            let most = content.len().min(1 << 20);
            (file.path.clone(), String::from_utf8_lossy(&content[..most]).into_owned())
        };
        Ok(files.iter().map(text).collect())
    }

    async fn archive(&self, files: &[NamedFile], epoch: u64, into: &Path) -> Result<Vec<Notice>, Failure> {
        let same = |file: &SourceFile| {
            let entry = self.files.get(&file.path);
            entry.is_some_and(|entry| Digest::of(&entry.content).as_str() == file.content)
        };
        if let Some(NamedFile { file, .. }) = files.iter().find(|named| !same(&named.file)) {
            return Err(Failure::new(Fault::Source, format!("`{}` changed", file.path)));
        }
        let entries = files.iter().map(|named| (named.name.as_str(), &self.files[&named.file.path]));
        archive::write(entries, epoch, std::fs::File::create(into).unwrap());
        Ok(self.late.clone())
    }
}
