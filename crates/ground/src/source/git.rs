//! A git repository at a commit. Its objects are read (`ls-tree`, `cat-file --batch`): nothing is checked out, so neither
//! hooks, filters, attributes nor the repository's own configuration have a say.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use async_trait::async_trait;
use till_core::Failure;
use till_core::model::source::{FileKind, Notice, Origin, SourceFile};
use till_core::model::{CommitId, CommitInfo, SourceView};
use till_core::plan::NamedFile;
use till_core::port::SourceTree;
use tokio::process::Command;

use super::archive::{Archive, is_lfs_pointer};
use super::{MAX_TEXT, SourceError, ignored};
use crate::process;
use crate::scratch::Scratch;

/// What kind of repository a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Bare,
    WorkTree,
}

fn git(directory: &Path) -> Command {
    let mut command = process::command("git");
    command
        .arg("-C")
        .arg(directory)
        .args([
            "-c",
            "safe.directory=*",
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.quotePath=false",
        ])
        .args(["-c", "log.showSignature=false", "--no-optional-locks"])
        .env("GIT_TERMINAL_PROMPT", "0")
        // What is missing is not fetched from where the repository's configuration says, with the commands that it names.
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_ALLOW_PROTOCOL", "none")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE");
    command
}

async fn line(directory: &Path, arguments: &[&str]) -> Result<String, process::ToolError> {
    let mut command = git(directory);
    command.args(arguments);
    let bytes = process::output(command).await?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

impl Layout {
    /// None for a directory that is not itself a repository's work tree or bare directory, or inside a work tree.
    pub(super) async fn of(path: &Path) -> Option<Self> {
        if !may_be_one(path) {
            return None;
        }
        let answer = line(path, &["rev-parse", "--is-bare-repository", "--is-inside-work-tree"]).await.ok()?;
        let mut answers = answer.lines();
        match (answers.next()?, answers.next()) {
            ("true", _) => Some(Self::Bare),
            (_, Some("true")) => Some(Self::WorkTree),
            // Inside a `.git` directory: as good as bare.
            _ => Some(Self::Bare),
        }
    }
}

/// Whether git would find a repository here or above: a `.git`, or what makes a bare one. To start git costs more than to look.
fn may_be_one(path: &Path) -> bool {
    path.ancestors().any(|folder| {
        let has = |name: &str| folder.join(name).symlink_metadata().is_ok();
        has(".git") || (has("HEAD") && has("objects") && has("refs")) || has("commondir")
    })
}

/// Is the work tree at `path` exactly its commit: nothing changed, nothing new? What lies in submodules does not matter.
pub(super) async fn is_clean(path: &Path) -> Result<bool, Failure> {
    let mut command = git(path);
    without_filters(&mut command, path).await;
    command.args(["status", "--porcelain", "--untracked-files=all", "--ignore-submodules=dirty", "--", "."]);
    Ok(process::output(command).await?.is_empty())
}

/// Turns off every filter that is configured: `status` would run them on what may have changed.
async fn without_filters(command: &mut Command, path: &Path) {
    let mut list = git(path);
    list.args(["config", "--list", "--null", "--name-only"]);
    let listed = process::output(list).await.unwrap_or_default();
    let keys = listed.split(|byte| *byte == 0).filter(|key| key.starts_with(b"filter."));
    let names: BTreeSet<_> =
        keys.filter_map(|key| key.rsplitn(2, |byte| *byte == b'.').nth(1)).map(OsStr::from_bytes).collect();
    let settings = names.iter().flat_map(|filter| {
        [("clean", ""), ("smudge", ""), ("process", ""), ("required", "false")]
            .map(|(key, value)| ([*filter, OsStr::new(key)].join(OsStr::new(".")), value))
    });
    let mut count = 0;
    for (key, value) in settings {
        command.env(format!("GIT_CONFIG_KEY_{count}"), key).env(format!("GIT_CONFIG_VALUE_{count}"), value);
        count += 1;
    }
    command.env("GIT_CONFIG_COUNT", count.to_string());
}

/// Is this a directory inside a work tree of which the repository knows nothing?
pub(super) async fn is_ignored_part(path: &Path) -> bool {
    let prefix = line(path, &["rev-parse", "--show-prefix"]).await.unwrap_or_default();
    !prefix.is_empty() && work_tree_files(path).await.is_ok_and(|files| files.is_empty())
}

/// A commit, and what it says of itself.
pub(super) struct Head {
    pub(super) commit: CommitId,
    pub(super) time: u64,
    pub(super) about: CommitInfo,
}

/// One line each, and none of them can hold a line's end. The subject is cut as s2i cuts it.
const HEAD: &str = "--format=%H %ct%n%an <%ae>%n%ad%n%<(80,trunc)%s";

/// The commit of the work tree, if there is one.
pub(super) async fn head(path: &Path) -> Result<Option<Head>, Failure> {
    match line(path, &["log", "-1", HEAD, "--date=default", "HEAD", "--"]).await {
        Ok(text) => Ok(parse_head(&text)),
        Err(_) => Ok(None),
    }
}

fn parse_head(text: &str) -> Option<Head> {
    let mut lines = text.lines();
    let (commit, time) = lines.next()?.split_once(' ')?;
    let mut next = || lines.next().unwrap_or_default().trim().to_owned();
    let about = CommitInfo { author: next(), date: next(), subject: next() };
    Some(Head { commit: commit.parse().ok()?, time: time.parse().ok()?, about })
}

/// An address without name and password, which are nobody else's business.
fn without_password(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            format!("{scheme}://{}{path}", host.rsplit_once('@').map_or(host, |(_, host)| host))
        }
        None => address.to_owned(),
    }
}

/// Tracked files and those that are neither tracked nor ignored, relative to `path`.
pub(super) async fn work_tree_files(path: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let mut command = git(path);
    command.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", "."]);
    let bytes = process::output(command).await?;
    Ok(bytes.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
}

/// A repository at a commit, or at a directory within it.
pub(super) struct Repository {
    path: PathBuf,
    commit: CommitId,
    time: u64,
    about: CommitInfo,
    origin: Option<Origin>,
    /// The tree's object: of the commit, or of the directory that was named.
    tree: String,
    /// Removed with us, for one that was fetched.
    _fetched: Option<Scratch>,
}

impl Repository {
    pub(super) async fn open(path: &Path, rev: &str) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let commit = Self::resolve(path, rev).await;
        let Some(Head { commit, time, about }) = commit else {
            let any = line(path, &["rev-list", "--all", "--max-count=1"]).await.unwrap_or_default();
            return Err(if any.is_empty() {
                SourceError::EmptyRepository(name).into()
            } else {
                SourceError::NoRevision { repository: name, rev: rev.to_owned() }.into()
            });
        };
        // In a work tree's subdirectory only that subdirectory is the source.
        let prefix = line(path, &["rev-parse", "--show-prefix"]).await.unwrap_or_default();
        let spec = format!("{}:{}", commit.as_str(), prefix.trim_end_matches('/'));
        let tree = line(path, &["rev-parse", "--verify", "--end-of-options", &spec])
            .await
            .map_err(|_| SourceError::NoRevision { repository: name, rev: spec.clone() })?;
        Ok(Self { path: path.to_owned(), commit, time, about, origin: None, tree, _fetched: None })
    }

    async fn resolve(path: &Path, rev: &str) -> Option<Head> {
        let wanted = format!("{rev}^{{commit}}");
        let commit = line(path, &["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted]).await.ok()?;
        let commit = commit.lines().last()?.to_owned();
        parse_head(&line(path, &["log", "-1", HEAD, "--date=default", &commit, "--"]).await.ok()?)
    }

    /// A repository somewhere else, fetched whole into a directory that goes with us.
    pub(super) async fn fetch(address: &str, rev: Option<&str>, staging: &Path) -> Result<Self, Failure> {
        let scratch =
            Scratch::new(staging).map_err(|error| Failure::house("cannot make a directory to fetch into", error))?;
        let directory = scratch.join("repository");
        std::fs::create_dir(&directory)
            .map_err(|error| Failure::house("cannot make a directory to fetch into", error))?;
        let mut command = git(&directory);
        command.args(["clone", "--quiet", "--mirror", "--"]).arg(OsStr::new(address)).arg(".");
        command.env("GIT_ALLOW_PROTOCOL", "https:http:ssh:git");
        process::output(command).await.map_err(|error| {
            Failure {
                fault: till_core::Fault::Caller,
                ..Failure::house(format!("cannot fetch the source from `{address}`"), error)
            }
            .hint("check the address, and that this machine may read it")
        })?;
        let mut repository = Self::open(&directory, rev.unwrap_or("HEAD")).await?;
        repository._fetched = Some(scratch);
        repository.origin = Some(Origin { address: without_password(address), revision: rev.map(str::to_owned) });
        Ok(repository)
    }

    /// Starts `cat-file --batch` in a thread of its own and hands each object in turn to `each`.
    async fn objects<T: Send + 'static>(
        &self,
        files: Vec<NamedFile>,
        mut each: impl FnMut(&mut T, &NamedFile, u64, &mut dyn Read) -> Result<(), SourceError> + Send + 'static,
        mut state: T,
    ) -> Result<T, Failure> {
        let mut command = git(&self.path);
        command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let command = command.into_std();
        let work = move || -> Result<T, SourceError> {
            let mut command = command;
            let broken = |source| SourceError::Read { path: "git cat-file".to_owned(), source };
            let mut child = command.spawn().map_err(broken)?;
            let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
                return Err(broken(std::io::ErrorKind::BrokenPipe.into()));
            };
            let mut stdout = BufReader::with_capacity(1 << 17, stdout);
            for named in &files {
                let file = &named.file;
                writeln!(stdin, "{}", file.content).and_then(|()| stdin.flush()).map_err(broken)?;
                let mut header = String::new();
                stdout.read_line(&mut header).map_err(broken)?;
                let size = header.split_whitespace().nth(2).and_then(|size| size.parse::<u64>().ok());
                let size = size.ok_or_else(|| SourceError::Changed(file.path.clone()))?;
                let mut content = (&mut stdout).take(size);
                each(&mut state, named, size, &mut content)?;
                std::io::copy(&mut content, &mut std::io::sink()).map_err(broken)?;
                stdout.read_exact(&mut [0]).map_err(broken)?;
            }
            drop(stdin);
            child.wait().map_err(broken)?;
            Ok(state)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => Ok(result?),
            Err(error) => Err(Failure::house("cannot read the repository", error)),
        }
    }
}

#[async_trait]
impl SourceTree for Repository {
    async fn view(&self) -> Result<SourceView, Failure> {
        let mut command = git(&self.path);
        // --full-tree: the tree is named by its object, wherever we stand.
        command.args(["ls-tree", "-r", "-z", "--full-tree", &self.tree]);
        let listing = process::output(command).await?;
        let mut view = SourceView {
            commit: Some(self.commit.clone()),
            time: Some(self.time),
            about: Some(self.about.clone()),
            origin: self.origin.clone(),
            ..SourceView::default()
        };
        // Names that are not UTF-8.
        let mut foreign: Vec<&[u8]> = Vec::new();
        for entry in listing.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            match std::str::from_utf8(entry) {
                Ok(text) => read_entry(text, &mut view),
                Err(_) => foreign.extend(entry.splitn(2, |byte| *byte == b'\t').nth(1)),
            }
        }
        view.files.sort_by(|a, b| a.path.cmp(&b.path));
        let text = match view.file(ignored::FILE).cloned() {
            Some(file) => self.texts(&[file]).await?.into_values().next().unwrap_or_default(),
            None => String::new(),
        };
        let ignored = ignored::parse(&text);
        view.files.retain(|file| !ignored::leaves_out(&ignored, file.path.as_bytes()));
        if let Some(name) = foreign.iter().find(|name| !ignored::leaves_out(&ignored, name)) {
            return Err(SourceError::Name(String::from_utf8_lossy(name).into_owned()).into());
        }
        Ok(view)
    }

    async fn texts(&self, files: &[SourceFile]) -> Result<BTreeMap<String, String>, Failure> {
        let each =
            |texts: &mut BTreeMap<String, String>, NamedFile { file, .. }: &NamedFile, _, content: &mut dyn Read| {
                let mut bytes = Vec::new();
                content
                    .take(MAX_TEXT)
                    .read_to_end(&mut bytes)
                    .map_err(|source| SourceError::Read { path: file.path.clone(), source })?;
                texts.insert(file.path.clone(), String::from_utf8_lossy(&bytes).into_owned());
                Ok(())
            };
        if files.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.objects(NamedFile::all(files), each, BTreeMap::new()).await
    }

    async fn archive(&self, files: &[NamedFile], epoch: u64, into: &Path) -> Result<Vec<Notice>, Failure> {
        let archive = Archive::create(into, epoch)?;
        let each =
            |(archive, notices): &mut (Archive, Vec<Notice>), named: &NamedFile, size: u64, content: &mut dyn Read| {
                let NamedFile { name, file } = named;
                let unreadable = |source| SourceError::Read { path: file.path.clone(), source };
                if file.kind == FileKind::Symlink {
                    let mut target = String::new();
                    content.read_to_string(&mut target).map_err(unreadable)?;
                    return archive.symlink(name, &target);
                }
                let mut beginning = vec![0; usize::try_from(size.min(64)).unwrap_or(64)];
                content.read_exact(&mut beginning).map_err(unreadable)?;
                if is_lfs_pointer(&beginning) {
                    notices.push(Notice {
                        path: file.path.clone(),
                        what: "LFS pointer, its content is not fetched".to_owned(),
                    });
                }
                archive.file(name, file.kind, size, &mut beginning.as_slice().chain(content))
            };
        let (archive, notices) = self.objects(files.to_vec(), each, (archive, Vec::new())).await?;
        archive.finish()?;
        Ok(notices)
    }
}

/// One line of `ls-tree`: `MODE TYPE OBJECT\tPATH`.
fn read_entry(text: &str, view: &mut SourceView) {
    let Some((meta, path)) = text.split_once('\t') else {
        return;
    };
    let mut words = meta.split(' ');
    let kind = match words.next() {
        Some("100755") => FileKind::Executable,
        Some("120000") => FileKind::Symlink,
        Some("160000") => {
            view.notices.push(Notice { path: path.to_owned(), what: "submodule, skipped".to_owned() });
            return;
        }
        _ => FileKind::File,
    };
    if let Some(object) = words.nth(1) {
        view.files.push(SourceFile { path: path.to_owned(), kind, content: object.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_without_its_password() {
        for (address, told) in [
            ("https://h/x.git", "https://h/x.git"),
            ("https://name:word@h:8443/x@y.git", "https://h:8443/x@y.git"),
            ("https://token@h", "https://h"),
            ("git@h:x.git", "git@h:x.git"),
        ] {
            assert_eq!(without_password(address), told);
        }
    }

    #[test]
    fn a_commit_tells_of_itself_on_three_lines() {
        let id = "a".repeat(40);
        let text = format!("{id} 7\nA B <a@b>\nThu Jan 1 00:00:07 1970 +0000\nFirst line   ");
        let head = parse_head(&text).unwrap();
        assert_eq!((head.commit.as_str(), head.time, head.about.author.as_str()), (id.as_str(), 7, "A B <a@b>"));
        assert_eq!(head.about.subject, "First line");
        assert_eq!(parse_head(&format!("{id} 7")).unwrap().about, CommitInfo::default());
        assert!(parse_head("").is_none());
    }
}
