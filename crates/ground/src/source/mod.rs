//! Source code: a directory, or a git repository at a commit.
//!
//! ```text
//! mod.rs        which of the two a SOURCE is
//! directory.rs  a directory: what git would track, or all of it
//! git.rs        a repository at a commit, read from its objects: no checkout, no hooks, no filters, no attributes
//! archive.rs    the tar that both write
//! code.rs       code of others, by its address: a repository, an archive of the web, a directory
//! ```

mod archive;
mod code;
mod directory;
mod git;
mod ignored;

use std::path::{Path, PathBuf};

pub use code::Places;
use till_core::port::SourceTree;
use till_core::{Blame, Failure, Fault};

/// The text of a file that planning may ask for; larger ones are no configuration.
const MAX_TEXT: u64 = 1 << 20;

/// What is wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no such thing.
    #[error("there is no source at `{0}`")]
    Absent(PathBuf),
    /// Neither a directory nor a repository.
    #[error("`{0}` is neither a directory nor a git repository")]
    Neither(PathBuf),
    /// `--rev` on what is no repository.
    #[error("`{path}` is no git repository, so it has no revision `{rev}`")]
    NoRepository {
        /// The source.
        path: PathBuf,
        /// What was asked for.
        rev: String,
    },
    /// The revision does not exist.
    #[error("the repository `{repository}` has no revision `{rev}`")]
    NoRevision {
        /// The repository.
        repository: String,
        /// What was asked for.
        rev: String,
    },
    /// There is no commit at all.
    #[error("the repository `{0}` is empty: it has no commit")]
    EmptyRepository(String),
    /// A name that is not UTF-8.
    #[error("the source has a file whose name is not UTF-8: {0}")]
    Name(String),
    /// A device, a socket, a pipe.
    #[error("`{0}` in the source is neither file, directory nor symlink")]
    Special(String),
    /// Read failed.
    #[error("cannot read `{path}` of the source")]
    Read {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It changed while we read it.
    #[error("`{0}` of the source changed while it was read")]
    Changed(String),
    /// The archive could not be written.
    #[error("cannot write the source's archive")]
    Write(#[source] std::io::Error),
    /// What should be a tar archive is none.
    #[error("`{}` is not a tar archive", .0.display())]
    NoArchive(PathBuf),
    /// What stands after an archive's `#` is no digest.
    #[error("`{found}` in `{address}` is not a digest: an archive has `#sha256:…`, a repository `#branch`")]
    Checksum {
        /// The whole.
        address: String,
        /// What stands there.
        found: String,
    },
    /// An address of a kind that we do not fetch from.
    #[error("`{0}` is not an address that source is fetched from: https, ssh and git are")]
    Scheme(String),
}

impl Blame for SourceError {
    fn fault(&self) -> Fault {
        match self {
            Self::Absent(_)
            | Self::Neither(_)
            | Self::NoRepository { .. }
            | Self::NoRevision { .. }
            | Self::Checksum { .. }
            | Self::Scheme(_) => Fault::Caller,
            Self::Write(_) => Fault::House,
            _ => Fault::Source,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::EmptyRepository(_) => Some("commit something first".to_owned()),
            Self::NoRevision { .. } => Some("a branch, a tag or a commit's id; `git log` lists them".to_owned()),
            Self::Name(_) | Self::Special(_) => Some("name it in .tillignore, or rename it".to_owned()),
            Self::Changed(_) => Some("build again when nothing writes to it".to_owned()),
            _ => None,
        }
    }
}

/// Opens what a user names as SOURCE: a directory, a repository (work tree, bare, or address), at `rev` where one is given.
pub async fn open(source: &str, rev: Option<&str>, staging: &Path) -> Result<Box<dyn SourceTree>, Failure> {
    if is_address(source) {
        let allowed = ["https://", "http://", "ssh://", "git://"].iter().any(|scheme| source.starts_with(scheme));
        if !allowed && !is_scp_like(source) {
            return Err(SourceError::Scheme(source.to_owned()).into());
        }
        return Ok(Box::new(git::Repository::fetch(source, rev, staging).await?));
    }
    let path = Path::new(source);
    let path = path.canonicalize().map_err(|_| SourceError::Absent(path.to_owned()))?;
    if !path.is_dir() {
        return Err(SourceError::Neither(path).into());
    }
    match (git::Layout::of(&path).await, rev) {
        (Some(git::Layout::Bare), rev) => Ok(Box::new(git::Repository::open(&path, rev.unwrap_or("HEAD")).await?)),
        (Some(git::Layout::WorkTree), Some(rev)) => Ok(Box::new(git::Repository::open(&path, rev).await?)),
        (Some(git::Layout::WorkTree), None) => open_work_tree(&path).await,
        (None, Some(rev)) => Err(SourceError::NoRepository { path, rev: rev.to_owned() }.into()),
        (None, None) => Ok(Box::new(directory::Directory::whole(&path).await?)),
    }
}

/// A folder as it lies there, whatever repository is around it.
pub async fn folder(path: &Path) -> Result<Box<dyn SourceTree>, Failure> {
    let path = path.canonicalize().map_err(|_| SourceError::Absent(path.to_owned()))?;
    if !path.is_dir() {
        return Err(SourceError::Neither(path).into());
    }
    Ok(Box::new(directory::Directory::whole(&path).await?))
}

/// A clean work tree is its commit; a changed one is what lies there; a directory that the repository around it ignores is
/// a directory like any other.
async fn open_work_tree(path: &Path) -> Result<Box<dyn SourceTree>, Failure> {
    if git::is_ignored_part(path).await {
        return Ok(Box::new(directory::Directory::whole(path).await?));
    }
    if git::is_clean(path).await? {
        return Ok(Box::new(git::Repository::open(path, "HEAD").await?));
    }
    Ok(Box::new(directory::Directory::tracked(path).await?))
}

fn is_address(source: &str) -> bool {
    (source.contains("://") || source.contains("::") || is_scp_like(source)) && !Path::new(source).exists()
}

/// `user@host:path`.
fn is_scp_like(source: &str) -> bool {
    source.split_once(':').is_some_and(|(host, _)| host.contains('@') && !host.contains('/') && !host.starts_with('-'))
}
