//! What layers have for a process: directories and files of variables, programs that set some, profiles for the shell.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::decide::variables::{LAUNCH_ROOTS, Plain, Variables};
use crate::failure::{Doing as _, Failure};
use crate::inputs::env_files;
use crate::model::folder;
use crate::model::group::Member;

/// Where a program of `exec.d` writes variables.
const ANSWER: i32 = 3;
/// As much of them is read.
const ANSWER_BYTES: u64 = 16 << 20;

/// Which process, and of what image.
pub(super) struct Process<'a> {
    pub(super) layers: &'a Path,
    pub(super) app: &'a Path,
    pub(super) buildpacks: &'a [Member],
    /// `None`: a command of the user.
    pub(super) kind: Option<&'a str>,
}

impl Process<'_> {
    /// The environment: of each buildpack in turn all directories, then all files of variables; then all programs.
    pub(super) fn variables(&self, mut variables: Variables) -> Result<Variables, Failure> {
        let mut all = Vec::new();
        for buildpack in self.buildpacks {
            let layers = directories(&self.layers.join(folder(&buildpack.id)))?;
            for layer in &layers {
                variables.add_roots(layer, LAUNCH_ROOTS, |root| layer.join(root).is_dir());
            }
            for layer in &layers {
                for directory in self.places(layer, &["env"], "env.launch") {
                    variables.apply(&env_files(&directory)?, Plain::Override);
                }
            }
            all.extend(layers);
        }
        for layer in &all {
            for directory in self.places(layer, &[], "exec.d") {
                for program in files(&directory)? {
                    run(&program, &mut variables)?;
                }
            }
        }
        Ok(variables)
    }

    /// What the shell sources: of layers, then the app's own.
    pub(super) fn profiles(&self) -> Result<Vec<OsString>, Failure> {
        let mut profiles = Vec::new();
        for buildpack in self.buildpacks {
            for layer in directories(&self.layers.join(folder(&buildpack.id)))? {
                for directory in self.places(&layer, &[], "profile.d") {
                    profiles.extend(files(&directory)?.into_iter().map(PathBuf::into_os_string));
                }
            }
        }
        let own = self.app.join(".profile");
        if own.is_file() {
            profiles.push(own.into_os_string());
        }
        Ok(profiles)
    }

    /// Directories of a layer: those of all processes, then the process's own below the last.
    fn places(&self, layer: &Path, others: &[&str], last: &str) -> Vec<PathBuf> {
        let mut places: Vec<_> = others.iter().map(|name| layer.join(name)).collect();
        places.push(layer.join(last));
        places.extend(self.kind.map(|kind| layer.join(last).join(kind)));
        places
    }
}

/// The directories in one, sorted; none if it is not there.
fn directories(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    entries(path, |file_type| file_type.is_dir())
}

/// Everything but directories in one, sorted; nothing if it is not there.
fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    entries(path, |file_type| !file_type.is_dir())
}

fn entries(path: &Path, wanted: impl Fn(fs::FileType) -> bool) -> Result<Vec<PathBuf>, Failure> {
    let deed = || format!("list {}", path.display());
    let entries = match fs::read_dir(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries.doing(deed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.doing(deed)?;
        if wanted(entry.file_type().doing(deed)?) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Runs a program of `exec.d`: what it writes to descriptor 3 (`NAME = "value"`) replaces variables.
fn run(program: &Path, variables: &mut Variables) -> Result<(), Failure> {
    let deed = || format!("run {}", program.display());
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).doing(deed)?;
    let mut child = spawn(program, variables, writer).doing(deed)?;
    let mut text = String::new();
    let read = File::from(reader).take(ANSWER_BYTES).read_to_string(&mut text);
    let status = child.wait().doing(deed)?;
    if !status.success() {
        return Err(Failure::new(format!("{} failed ({status})", program.display())));
    }
    read.doing(|| format!("read what {} sets", program.display()))?;
    let set: BTreeMap<String, String> =
        toml::from_str(&text).doing(|| format!("read what {} sets", program.display()))?;
    for (name, value) in set {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(Failure::new(format!("{} sets {name:?}, which cannot be", program.display())));
        }
        variables.set(name, value);
    }
    Ok(())
}

/// Starts it with the writing end as descriptor 3; ours is closed, so that the pipe ends with the program.
fn spawn(program: &Path, variables: &Variables, writer: OwnedFd) -> io::Result<Child> {
    let number = writer.as_raw_fd();
    let place = move || {
        // SAFETY: after the fork these descriptors are the child's own; what is at 3 there belongs to nobody else.
        #[expect(unsafe_code, reason = "the descriptor has a number, not an owner, on the other side of a fork")]
        let (writer, mut third) = unsafe { (OwnedFd::from_raw_fd(number), OwnedFd::from_raw_fd(ANSWER)) };
        let placed = if number == ANSWER {
            rustix::io::fcntl_setfd(&writer, rustix::io::FdFlags::empty())
        } else {
            rustix::io::dup2(&writer, &mut third)
        };
        // They stay open until the program takes over.
        std::mem::forget((writer, third));
        placed.map_err(io::Error::from)
    };
    let mut command = Command::new(program);
    command.env_clear().envs(variables.iter());
    // SAFETY: between fork and exec only system calls are made: nothing is allocated, nothing is locked.
    #[expect(unsafe_code, reason = "what runs between fork and exec is unsafe by its nature")]
    unsafe {
        command.pre_exec(place);
    }
    command.spawn()
}
