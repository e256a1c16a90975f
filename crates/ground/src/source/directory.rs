//! A directory as source: the files that git would track where it is a work tree, else all of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use sha2::{Digest as _, Sha256};
use till_core::model::source::{FileKind, Notice, SourceFile};
use till_core::model::{CommitId, CommitInfo, SourceView};
use till_core::plan::NamedFile;
use till_core::port::SourceTree;
use till_core::{Digest, Failure};

use super::archive::{Archive, is_lfs_pointer};
use super::{MAX_TEXT, SourceError, git, ignored};

pub(super) struct Directory {
    root: PathBuf,
    commit: Option<CommitId>,
    time: Option<u64>,
    about: Option<CommitInfo>,
    /// Sorted; without what .tillignore leaves out.
    paths: Vec<String>,
    notices: Vec<Notice>,
}

impl Directory {
    /// What git would track: tracked and not ignored, as it lies there now.
    pub(super) async fn tracked(root: &Path) -> Result<Self, Failure> {
        let listed = git::work_tree_files(root).await?;
        let head = git::head(root).await?;
        let mut directory = Self::of(root, listed)?;
        if let Some(head) = head {
            directory.commit = Some(head.commit);
            directory.time = Some(head.time);
            directory.about = Some(head.about);
        }
        Ok(directory)
    }

    /// Everything below, without `.git`.
    pub(super) async fn whole(root: &Path) -> Result<Self, Failure> {
        let start = root.to_owned();
        let listed = blocking(move || {
            let mut found = Vec::new();
            walk(&start, &mut Vec::new(), &mut found)?;
            Ok(found)
        })
        .await?;
        Ok(Self::of(root, listed)?)
    }

    fn of(root: &Path, listed: Vec<Vec<u8>>) -> Result<Self, SourceError> {
        let ignored = ignored::parse(&ignored_text(root));
        let mut paths = Vec::with_capacity(listed.len());
        let mut notices = Vec::new();
        for path in listed {
            if ignored::leaves_out(&ignored, &path) {
                continue;
            }
            let path = String::from_utf8(path)
                .map_err(|error| SourceError::Name(String::from_utf8_lossy(error.as_bytes()).into_owned()))?;
            // A submodule is listed as one name, which is a directory; a file may be tracked and deleted.
            match open_plainly(root, path.trim_end_matches('/'), OFlags::PATH).and_then(|handle| handle.metadata()) {
                Ok(meta) if meta.is_dir() => notices.push(Notice {
                    path: path.trim_end_matches('/').to_owned(),
                    what: "submodule, skipped".to_owned(),
                }),
                Ok(_) => paths.push(path),
                Err(_) => {}
            }
        }
        paths.sort();
        Ok(Self { root: root.to_owned(), commit: None, time: None, about: None, paths, notices })
    }
}

/// The text of `.tillignore`; nothing for what is no plain file.
fn ignored_text(root: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(Found::File(file, _)) = open(root, ignored::FILE) {
        let _ = file.take(MAX_TEXT).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(Failure::house("cannot read the source", error)),
    }
}

fn walk(directory: &Path, prefix: &mut Vec<u8>, found: &mut Vec<Vec<u8>>) -> Result<(), SourceError> {
    let unreadable = |source| SourceError::Read { path: directory.display().to_string(), source };
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        // A repository within keeps its addresses there, and at times passwords; git itself would not take it either.
        if name == ".git" {
            continue;
        }
        let length = prefix.len();
        prefix.extend_from_slice(name.as_bytes());
        if entry.file_type().map_err(unreadable)?.is_dir() {
            prefix.push(b'/');
            walk(&entry.path(), prefix, found)?;
        } else {
            found.push(prefix.clone());
        }
        prefix.truncate(length);
    }
    Ok(())
}

/// What a file of the directory is, and its content: a file opened without following links, or a link's target.
enum Found {
    File(File, Metadata),
    Link(String),
}

/// No directory on the way may be a symlink: it could lead anywhere, also where git lists files behind it as its own.
fn open_plainly(root: &Path, path: &str, flags: OFlags) -> io::Result<File> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let root = rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve)?.into())
}

fn open(root: &Path, path: &str) -> Result<Found, SourceError> {
    let unreadable = |source| SourceError::Read { path: path.to_owned(), source };
    let handle = open_plainly(root, path, OFlags::PATH).map_err(unreadable)?;
    let meta = handle.metadata().map_err(unreadable)?;
    if meta.is_symlink() {
        let target = rustix::fs::readlinkat(&handle, "", Vec::new()).map_err(|error| unreadable(error.into()))?;
        return Ok(Found::Link(utf8(OsString::from_vec(target.into_bytes()))?));
    }
    if !meta.is_file() {
        return Err(SourceError::Special(path.to_owned()));
    }
    let file = open_plainly(root, path, OFlags::RDONLY | OFlags::NONBLOCK).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        return Err(SourceError::Special(path.to_owned()));
    }
    Ok(Found::File(file, meta))
}

fn utf8(name: OsString) -> Result<String, SourceError> {
    String::from_utf8(name.into_vec())
        .map_err(|error| SourceError::Name(String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// What a file is and what names its content.
fn describe(root: &Path, path: &str, notices: &mut Vec<Notice>) -> Result<SourceFile, SourceError> {
    let (kind, content) = match open(root, path)? {
        Found::Link(target) => (FileKind::Symlink, Digest::of(target.as_bytes())),
        Found::File(mut file, meta) => {
            let (digest, beginning) =
                hash(&mut file).map_err(|source| SourceError::Read { path: path.to_owned(), source })?;
            if is_lfs_pointer(&beginning) {
                notices
                    .push(Notice { path: path.to_owned(), what: "LFS pointer, its content is not fetched".to_owned() });
            }
            let executable = meta.permissions().mode() & 0o100 != 0;
            (if executable { FileKind::Executable } else { FileKind::File }, digest)
        }
    };
    Ok(SourceFile { path: path.to_owned(), kind, content: content.to_string() })
}

fn hash(file: &mut File) -> io::Result<(Digest, Vec<u8>)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    let mut beginning = Vec::new();
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((Digest::from_sha256(&hasher.finalize()), beginning));
        }
        if beginning.is_empty() {
            beginning.extend_from_slice(&buffer[..count.min(64)]);
        }
        hasher.update(&buffer[..count]);
    }
}

/// Passes bytes on and hashes them.
struct Hashing<'a> {
    file: &'a mut File,
    hasher: Sha256,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

#[async_trait]
impl SourceTree for Directory {
    async fn view(&self) -> Result<SourceView, Failure> {
        let (root, paths, mut notices) = (self.root.clone(), self.paths.clone(), self.notices.clone());
        let (files, notices) = blocking(move || {
            let files = paths.iter().map(|path| describe(&root, path, &mut notices)).collect::<Result<Vec<_>, _>>()?;
            Ok((files, notices))
        })
        .await?;
        Ok(SourceView {
            commit: self.commit.clone(),
            dirty: self.commit.is_some(),
            time: self.time,
            files,
            notices,
            about: self.about.clone(),
            ..SourceView::default()
        })
    }

    async fn texts(&self, files: &[SourceFile]) -> Result<BTreeMap<String, String>, Failure> {
        let (root, files) = (self.root.clone(), files.to_vec());
        blocking(move || {
            let mut texts = BTreeMap::new();
            for file in files {
                let text = match open(&root, &file.path)? {
                    Found::Link(target) => target,
                    Found::File(content, _) => {
                        let mut bytes = Vec::new();
                        content
                            .take(MAX_TEXT)
                            .read_to_end(&mut bytes)
                            .map_err(|source| SourceError::Read { path: file.path.clone(), source })?;
                        String::from_utf8_lossy(&bytes).into_owned()
                    }
                };
                texts.insert(file.path, text);
            }
            Ok(texts)
        })
        .await
    }

    async fn archive(&self, files: &[NamedFile], epoch: u64, into: &Path) -> Result<Vec<Notice>, Failure> {
        let (root, files, into) = (self.root.clone(), files.to_vec(), into.to_owned());
        blocking(move || {
            let mut archive = Archive::create(&into, epoch)?;
            for file in &files {
                write_one(&root, file, &mut archive)?;
            }
            archive.finish()?;
            Ok(Vec::new())
        })
        .await
    }
}

fn write_one(root: &Path, NamedFile { name, file }: &NamedFile, archive: &mut Archive) -> Result<(), SourceError> {
    let changed = || SourceError::Changed(file.path.clone());
    let content = match open(root, &file.path)? {
        Found::Link(target) if file.kind == FileKind::Symlink => {
            archive.symlink(name, &target)?;
            Digest::of(target.as_bytes())
        }
        Found::File(mut content, meta) if file.kind != FileKind::Symlink => {
            let mut hashing = Hashing { file: &mut content, hasher: Sha256::new() };
            archive.file(name, file.kind, meta.len(), &mut (&mut hashing).take(meta.len())).map_err(|_| changed())?;
            Digest::from_sha256(&hashing.hasher.finalize())
        }
        _ => return Err(changed()),
    };
    if content.as_str() == file.content { Ok(()) } else { Err(changed()) }
}
