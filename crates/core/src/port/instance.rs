//! Port: a place where a plan is carried out. Container now; virtual machines later.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

use crate::digest::{BlobDigest, DiffId};
use crate::fault::{Failure, Fault};
use crate::id::InstanceId;
use crate::packages::Package;
use crate::plan::{Bootstrap, Injection, Limits, Step, TreeFiles};

/// One layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Of its tar.
    pub diff_id: DiffId,
    /// Of the stored bytes.
    pub blob: BlobDigest,
    /// Stored bytes.
    pub size: u64,
    /// The image spec's name of its form, e.g. `application/vnd.oci.image.layer.v1.tar+zstd`.
    pub media_type: String,
}

impl Layer {
    /// The form of layers of a disk: qcow2, which says what differs from the layers below it, and names no other file.
    pub const DISK: &str = "application/vnd.tillage.disk.layer.v1+qcow2";

    /// Is it of a disk, and not of a tree?
    pub fn is_disk(&self) -> bool {
        self.media_type == Self::DISK
    }
}

/// A directory of the host that is mounted into an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// On the host.
    pub host: PathBuf,
    /// Inside.
    pub path: String,
    /// Whose it is inside: a name in its `/etc/passwd`, or a number.
    pub owner: String,
}

/// Something that a step is lent: it is mounted for that step, and no part of what the instance leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loan {
    /// Inside.
    pub path: String,
    /// May the step write to it?
    pub write: bool,
    /// What it is.
    pub what: Lent,
}

/// What a step is lent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lent {
    /// A part of another image; what is written to it is thrown away.
    Image {
        /// The lowest first.
        layers: Vec<Layer>,
        /// The part.
        source: String,
    },
    /// The files of a tar archive; what is written to them is thrown away.
    Archive(PathBuf),
    /// The only file of a tar archive.
    File {
        /// The archive.
        tar: PathBuf,
        /// User and group inside.
        owner: (u32, u32),
        /// Permission bits.
        mode: u32,
    },
    /// A directory that survives; made when missing, of that owner inside and with that mode.
    Directory {
        /// On the host.
        host: PathBuf,
        /// User and group inside.
        owner: (u32, u32),
        /// Permission bits.
        mode: u32,
    },
    /// Memory, at most so many bytes.
    Tmpfs(Option<u64>),
}

/// With what an instance is opened.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Chosen by who opens it, and written down before.
    pub id: InstanceId,
    /// The image, lowest layer first; empty for an instance that has nothing yet.
    pub layers: Vec<Layer>,
    /// Caches.
    pub mounts: Vec<Mount>,
    /// The package of the kernel that its steps run on, in an environment of machines; none: the image has one.
    pub kernel: Option<PathBuf>,
    /// What it may use.
    pub limits: Limits,
    /// Seconds since 1970: `SOURCE_DATE_EPOCH` of its steps.
    pub epoch: u64,
}

/// Where an environment's instances come from.
#[async_trait]
pub trait Environment: Send + Sync {
    /// Its name in plans, e.g. `container`.
    fn name(&self) -> &'static str;

    /// Do its steps run on a kernel of their own, and not on this machine's?
    fn has_kernel(&self) -> bool {
        false
    }

    /// Writes files of an image as a tar archive to `into`; their names are relative to where they will go.
    async fn gather(&self, layers: &[Layer], files: &TreeFiles, into: &Path) -> Result<(), Failure>;

    /// A new instance of an image.
    async fn open(&self, opening: Opening) -> Result<Box<dyn Instance>, Failure>;

    /// Removes what it keeps of layers that are not among these. Called only when nothing is open. Answers how many.
    async fn collect(&self, keep: &BTreeSet<DiffId>) -> Result<u64, Failure>;

    /// Removes what instances left behind whose opener is dead. Answers how many.
    async fn sweep(&self) -> Result<usize, Failure>;
}

/// The largest text that is read from an instance, in bytes: it is kept in memory.
pub const MAX_TEXT: u64 = 16 << 20;

/// An instance in which a preparation happens. Dropped without a snapshot it is killed and removed.
#[async_trait]
pub trait Instance: Send {
    /// Puts files into the instance. `content` is a tar archive whose paths are relative to the place.
    async fn inject(&mut self, what: &Injection, content: &Path) -> Result<(), Failure>;

    /// Runs a command and waits for it and all that it started.
    async fn run(&mut self, step: &Step, loans: &[Loan], log: &mut dyn LogSink) -> Result<Exit, Failure>;

    /// The same without loans, and then forgets whatever the command wrote.
    async fn trial(&mut self, step: &Step, log: &mut dyn LogSink) -> Result<Exit, Failure>;

    /// After a step that failed: gives the terminal of this process to a shell, run as that step was, until it ends. What it
    /// writes is of no use to anybody, for there is no snapshot after it.
    async fn shell(&mut self, step: &Step, _loans: &[Loan]) -> Result<(), Failure> {
        let what = format!("nobody can look into the instance of step `{}`", step.name);
        Err(Failure::new(Fault::Caller, what).hint("machines have a shell: --in qemu"))
    }

    /// The paths that each of these patterns finds; `*` may stand in any part.
    async fn find(&mut self, patterns: &[String]) -> Result<crate::contract::Collected, Failure>;

    /// What the files say that each of these patterns finds, by path; `*` may stand in any part. A file whose text is larger
    /// than [`MAX_TEXT`] is an error; what is no UTF-8 is replaced.
    async fn read(&mut self, patterns: &[String]) -> Result<BTreeMap<String, String>, Failure>;

    /// Why that user cannot start this program, if it is seen without trying: an absolute path, a path from `dir`, or a name
    /// that is looked for where the step's `PATH` says. None also where nobody looks.
    async fn unstartable(&mut self, _program: &Program<'_>) -> Result<Option<Unstartable>, Failure> {
        Ok(None)
    }

    /// What was written since the instance was opened, as a layer. By value: there is no step after it.
    async fn snapshot(self: Box<Self>, capture: &Capture) -> Result<Layer, Failure>;
}

/// A program that somebody wants to start in an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program<'a> {
    /// A path, or a name.
    pub name: &'a str,
    /// Where names are looked for, with `:` between.
    pub search: &'a str,
    /// Where paths begin that are not absolute.
    pub dir: &'a str,
    /// Who: a name in the image's `/etc/passwd`, or a number.
    pub user: &'a str,
}

/// Why a program cannot be started, and who left it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unstartable {
    /// Where it is, or should be.
    pub path: String,
    /// What is wrong with it.
    pub why: Obstacle,
    /// Was it put there since the instance was opened, and not part of the image below?
    pub written: bool,
}

/// What keeps a program from being started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// There is nothing.
    #[error("it is not there")]
    Missing,
    /// Something else is there.
    #[error("it is no file")]
    NoFile,
    /// Its permission bits.
    #[error("user `{user}` may not execute it (its mode is {mode:04o})")]
    Mode {
        /// Who would start it.
        user: String,
        /// Of the file.
        mode: u32,
    },
    /// Its first line ends with a carriage return, which becomes part of the interpreter's name.
    #[error("its first line `#!{0}` ends with a carriage return: the file has the line ends of Windows")]
    CarriageReturn(String),
    /// What its first line names.
    #[error("its interpreter `{0}` is not in the image")]
    Interpreter(String),
    /// Nothing that the kernel knows, nor a script: only a shell would take it for one.
    #[error("it is neither a program nor does it begin with `#!`")]
    Format,
}

impl Obstacle {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing => "put it there, or name the place where it is",
            Self::NoFile => "put a program there",
            Self::Mode { .. } => {
                "make it executable: chmod 755 (git update-index --chmod=+x keeps that in a repository)"
            }
            Self::CarriageReturn(_) => {
                "convert it: sed -i 's/\\r$//' FILE; `* text eol=lf` in .gitattributes keeps it so"
            }
            Self::Interpreter(_) => "install the interpreter in the image, or name one that it has in the first line",
            Self::Format => "let its first line name an interpreter, e.g. #!/bin/sh",
        }
    }
}

/// What apt answered to its [`questions`](crate::packages::apt::questions), and where the packages are now.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// To `simulate`.
    pub simulation: String,
    /// To `addresses`.
    pub addresses: String,
    /// A folder that has the packages, among others, by apt's names.
    pub archives: PathBuf,
}

/// Makes systems from packages.
#[async_trait]
pub trait Bootstrapper: Send + Sync {
    /// Gets what mirrors say of the system's suites today. Answers with a folder that has their Release files, among others,
    /// by apt's names. What it keeps for the next time is in `keep`.
    async fn update(&self, system: &Bootstrap, keep: &Path, log: &mut dyn LogSink) -> Result<PathBuf, Failure>;

    /// Finds out which packages the system comes to by that, and gets them.
    async fn resolve(&self, system: &Bootstrap, keep: &Path, log: &mut dyn LogSink) -> Result<Answers, Failure>;

    /// Gets packages by their place in mirrors, into files of `into` that [`archive::file`](crate::packages::archive::file)
    /// names. A package that no mirror has any more is an error.
    async fn fetch(&self, packages: &[Package], into: &Path, log: &mut dyn LogSink) -> Result<(), Failure>;

    /// Writes the system, made of what `archive` has, as one tar archive to `into`, no time in it later than `epoch`.
    async fn bootstrap(
        &self,
        system: &Bootstrap,
        archive: &Path,
        epoch: u64,
        into: &Path,
        log: &mut dyn LogSink,
    ) -> Result<(), Failure>;
}

/// What a snapshot takes.
#[derive(Debug, Clone, Default)]
pub struct Capture {
    /// Removed before; `*` in the last part.
    pub remove: Vec<String>,
    /// Left out, if it was written in this instance; `*` in the last part.
    pub volatile: Vec<String>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// What it was.
    pub evidence: Evidence,
    /// How long it took.
    pub took: Duration,
}

/// What ended a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Its own end, with this code (128 + n after signal n).
    Code(u8),
    /// It ended badly, and its processes had used more memory than allowed.
    OutOfMemory,
    /// It ended badly, and it could start no further processes.
    OutOfPids,
    /// It was killed: it wrote more than allowed.
    OutOfDisk,
    /// It was killed: it took too long.
    OutOfTime,
}

/// Where the output of commands goes.
pub trait LogSink: Send {
    /// Some bytes of standard output or error, as they came.
    fn write(&mut self, bytes: &[u8]);
}
