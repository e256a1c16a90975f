//! What a Dockerfile consists of, after reading.
//!
//! Text that may hold variables is a [`Word`], raw; text that never does is a `String`.

use std::fmt;

/// Text as written, with its quotes, escapes and variables: what it means is said by [`super::expand`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Word(pub String);

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Word({:?})", self.0)
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// From one `FROM` to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The line of its `FROM`, from 1.
    pub line: u32,
    /// `--platform`.
    pub platform: Option<Word>,
    /// A reference, the name of a stage before, or `scratch`.
    pub image: Word,
    /// Its name, in lower case.
    pub name: Option<String>,
    /// Its instructions.
    pub lines: Vec<Line>,
    /// The `FROM` as written.
    pub original: String,
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it begins, from 1.
    pub number: u32,
    /// As written, its continuations joined, without the bodies of heredocs.
    pub original: String,
    /// What it says.
    pub instruction: Instruction,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// `ARG name[=default] …`.
    Arg(Vec<ArgDef>),
    /// `ENV key=value …`.
    Env(Vec<(Word, Word)>),
    /// `LABEL key=value …`.
    Label(Vec<(Word, Word)>),
    /// `RUN`.
    Run(Run),
    /// `COPY`.
    Copy(Copy),
    /// `ADD`.
    Add(Add),
    /// `WORKDIR`.
    Workdir(Word),
    /// `USER`.
    User(Word),
    /// `EXPOSE`; each word may become several ([`super::expand::words`]), and each of those is read by [`super::port`].
    Expose(Vec<Word>),
    /// `VOLUME`.
    Volume(Vec<Word>),
    /// `CMD`.
    Cmd(Command),
    /// `ENTRYPOINT`.
    Entrypoint(Command),
    /// `SHELL`; never empty.
    Shell(Vec<String>),
    /// `HEALTHCHECK`.
    Healthcheck(Healthcheck),
    /// `STOPSIGNAL`; read by [`super::signal`] after expansion.
    Stopsignal(Word),
    /// `ONBUILD`: the trigger, with its heredocs, as [`super::parse_trigger`] reads it.
    Onbuild(String),
    /// `MAINTAINER`.
    Maintainer(String),
}

/// One name that `ARG` declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgDef {
    /// Its name.
    pub name: String,
    /// What it is where nobody gives a value.
    pub default: Option<Word>,
}

/// What `CMD`, `ENTRYPOINT` and `HEALTHCHECK` start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Text for the shell.
    Shell(String),
    /// A program with its arguments; empty clears an inherited one.
    Exec(Vec<String>),
}

/// `RUN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What is run.
    pub command: RunCommand,
    /// `--mount`s in their order.
    pub mounts: Vec<MountSpec>,
    /// `--network`.
    pub network: Option<RunNetwork>,
}

/// What `RUN` runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunCommand {
    /// Text for the shell, with the bodies of its heredocs after it, which the shell itself reads.
    Shell(String),
    /// A program with its arguments; never empty.
    Exec(Vec<String>),
    /// A heredoc and nothing else. Where [`RunCommand::is_file`], the body is a file to be run; else text for the shell.
    Script {
        /// The word that ends it.
        name: String,
        /// Its text, tabs stripped where `<<-` asks for it.
        body: String,
        /// Whether the word was without quotes. The body is never expanded by us; the shell does it either way.
        expand: bool,
    },
}

impl RunCommand {
    /// Whether it is a script that names its own interpreter.
    pub fn is_file(&self) -> bool {
        matches!(self, Self::Script { body, .. } if body.starts_with("#!"))
    }
}

/// What a `RUN` may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunNetwork {
    /// What builds may reach.
    Default,
    /// Nothing.
    None,
}

/// `RUN --mount`.
///
/// A field whose text has variables is left at its default until [`MountSpec::expanded`]; `target`, `source` and `id` keep
/// the raw text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountSpec {
    /// Of which kind.
    pub kind: MountKind,
    /// Where, in the step.
    pub target: Option<Word>,
    /// What, within `from`. Never of a secret, where it is the id.
    pub source: Option<Word>,
    /// A stage, an image or a named context; the build context where missing.
    pub from: Option<String>,
    /// Of a cache, or of a secret, which has one or a target.
    pub id: Option<Word>,
    /// Of a cache.
    pub sharing: Sharing,
    /// What was said; binds are read-only where nothing was, caches and tmpfs are not.
    pub read_only: Option<bool>,
    /// Of a new cache, or of a secret's file.
    pub mode: Option<u32>,
    /// The same.
    pub uid: Option<u32>,
    /// The same.
    pub gid: Option<u32>,
    /// Whether a missing secret fails the step.
    pub required: bool,
    /// Of a tmpfs, in bytes.
    pub size: Option<u64>,
    /// The variable that holds the secret.
    pub env: Option<String>,
    /// What was written after `--mount=`.
    pub text: String,
}

/// What is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountKind {
    /// Files of the context, a stage or an image.
    Bind,
    /// A directory that outlives the build.
    Cache,
    /// Memory.
    Tmpfs,
    /// A file or variable that is in no layer.
    Secret,
}

/// Who may use a cache at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Everybody.
    Shared,
    /// Each a copy of its own.
    Private,
    /// One after the other.
    Locked,
}

/// `COPY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// `--from`: a stage, its index, an image or a named context.
    pub from: Option<String>,
    /// `--chown`.
    pub chown: Option<Word>,
    /// `--chmod`; read by [`super::mode`] after expansion.
    pub chmod: Option<Word>,
    /// `--link`.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude`s.
    pub exclude: Vec<Word>,
    /// Never empty.
    pub sources: Vec<Source>,
    /// Where to.
    pub dest: Word,
}

/// What `COPY` and `ADD` take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A path, pattern or, for `ADD`, a URL.
    Path(Word),
    /// A file whose text stands in the Dockerfile.
    Heredoc(Heredoc),
}

/// A file whose text stands in the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it, which is also the file's name.
    pub name: String,
    /// Its text.
    pub body: String,
    /// Whether [`super::expand::heredoc`] applies.
    pub expand: bool,
}

/// `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// What it has in common with `COPY`; `from` is `None` and `parents` is false.
    pub copy: Copy,
    /// `--checksum`.
    pub checksum: Option<Word>,
    /// `--keep-git-dir`.
    pub keep_git_dir: bool,
    /// `--unpack`.
    pub unpack: Option<bool>,
}

/// `HEALTHCHECK`. Where a number is missing, the runtime's default holds. Times are nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    /// What is run.
    pub test: HealthTest,
    /// Between two tests.
    pub interval: Option<u64>,
    /// For one test.
    pub timeout: Option<u64>,
    /// In which failures do not count.
    pub start_period: Option<u64>,
    /// Between two tests in the start period.
    pub start_interval: Option<u64>,
    /// How many failures make it unhealthy.
    pub retries: Option<u32>,
}

/// What tells health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthTest {
    /// Nothing, not even what the base says.
    None,
    /// A command.
    Command(Command),
}
