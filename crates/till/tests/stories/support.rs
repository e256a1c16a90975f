//! What stories are told with: `till`, a temporary source, the shared bases.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The data directory that all stories share.
pub fn shared_data() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("till-data");
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// What a call of `till` came to.
#[derive(Debug)]
pub struct Called {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Called {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The one JSON object on standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{self:#?}"))
    }

    /// It went well.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self
    }

    /// It failed with that exit code, and said all of that on standard error.
    #[track_caller]
    pub fn failed(self, code: i32, said: &[&str]) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        for part in said {
            assert!(self.err.contains(part), "no `{part}` in:\n{}", self.err);
        }
        self
    }
}

/// `till` with the shared data directory.
pub fn till(arguments: &[&str]) -> Called {
    till_in(&shared_data(), arguments)
}

/// `till` with a data directory.
pub fn till_in(data: &Path, arguments: &[&str]) -> Called {
    Called::of(command(data, arguments).output().unwrap())
}

/// The same, not started.
pub fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_till"));
    command.arg("--data").arg(data).args(arguments);
    command
}

/// Makes sure that a base of the repository is there; `debian` is below all others.
pub fn base(name: &str) {
    if name != "debian" {
        base("debian");
    }
    let path = repository().join("bases").join(name);
    till(&["base", "build", path.to_str().unwrap()]).ok();
}

/// A temporary source, no repository, with these files.
pub fn source(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    folder
}

pub fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Makes a folder a repository with one commit of all that is in it; answers with the commit.
pub fn commit(folder: &Path) -> String {
    for arguments in [
        ["init", "--quiet", "."].as_slice(),
        &["add", "--all"],
        &["-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "--quiet", "--message", "x"],
    ] {
        git(folder, arguments);
    }
    git(folder, &["rev-parse", "HEAD"])
}

/// Runs git in a folder and answers with what it said.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
