//! Puts files where source comes from; with real git.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;
use till_core::model::FileKind;
use till_core::port::SourceTree;
use till_testkit::Tree;

/// Where source comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// No repository.
    Plain,
    /// A work tree whose commit has other files.
    Changed,
    /// A work tree as it was committed.
    Clean,
    /// A repository without a work tree.
    Bare,
}

impl Place {
    /// A directory with those files.
    pub(crate) fn of(self, files: &Tree) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        match self {
            Self::Plain => lay(path, files),
            Self::Changed => {
                repository(path);
                std::fs::write(path.join("zz-deleted"), "").unwrap();
                std::fs::write(path.join("a"), "committed").unwrap();
                commit(path);
                std::fs::remove_file(path.join("zz-deleted")).unwrap();
                std::fs::remove_file(path.join("a")).unwrap();
                lay(path, files);
            }
            Self::Clean => {
                repository(path);
                lay(path, files);
                commit(path);
            }
            Self::Bare => {
                let work = Self::Clean.of(files);
                git(path, &["clone", "--quiet", "--bare", work.path().to_str().unwrap(), "."]);
            }
        }
        folder
    }
}

/// Writes files below a directory.
pub(crate) fn lay(root: &Path, files: &Tree) {
    for (path, entry) in files {
        let full = root.join(path);
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        if entry.kind == FileKind::Symlink {
            symlink(std::str::from_utf8(&entry.content).unwrap(), &full).unwrap();
            continue;
        }
        std::fs::write(&full, &entry.content).unwrap();
        let mode = if entry.kind == FileKind::Executable { 0o755 } else { 0o644 };
        std::fs::set_permissions(&full, PermissionsExt::from_mode(mode)).unwrap();
    }
}

/// Makes a repository there.
pub(crate) fn repository(path: &Path) {
    git(path, &["init", "--quiet", "--initial-branch=main"]);
}

/// Commits everything that lies there.
pub(crate) fn commit(path: &Path) {
    git(path, &["add", "--all", "--force", "."]);
    git(path, &["commit", "--quiet", "--allow-empty", "--message=m"]);
}

/// git, with nothing of who runs the test, and always at the same time.
#[expect(clippy::disallowed_methods, reason = "a test uses git as people do")]
pub(crate) fn git(path: &Path, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new("git");
    command.current_dir(path).args(arguments);
    for (name, value) in [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("GIT_AUTHOR_NAME", "a"),
        ("GIT_AUTHOR_EMAIL", "a@example.org"),
        ("GIT_COMMITTER_NAME", "a"),
        ("GIT_COMMITTER_EMAIL", "a@example.org"),
        ("GIT_AUTHOR_DATE", "1112911993 +0200"),
        ("GIT_COMMITTER_DATE", "1112911993 +0200"),
    ] {
        command.env(name, value);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Opens source as a user names it.
pub(crate) async fn open(path: &Path) -> Box<dyn SourceTree> {
    till_ground::source::open(path.to_str().unwrap(), None, &std::env::temp_dir()).await.unwrap()
}
