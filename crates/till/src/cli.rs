//! What can be typed. The names of verbs and flags are a contract (docs/reference/json.md).

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use till_core::model::{AppName, BaseName, BaseRef, ImageName};
use till_core::plan::Bytes;

/// Turns source code into immutable server images that run, scale and stay patched.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// Where everything is kept
    #[arg(long, global = true, env = "TILL_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Answer with one JSON object on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing but the result
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Base images: what prepares source
    #[command(subcommand)]
    Base(Base),
    /// Show everything that a build would do, and do nothing
    Plan(Build),
    /// Prepare source: from a commit to an immutable artifact
    Build(Build),
    /// Say which base would prepare source, why, and which others could
    Explain(Explain),
    /// Artifacts: what came of builds
    #[command(subcommand)]
    Artifact(Artifact),
    /// Put an artifact or a base into a registry
    Push(Push),
    /// Get an image from a registry
    Pull(Pull),
    /// Print what is in an image: its bill of materials
    Sbom {
        /// An artifact, or base:NAME[@VERSION]
        image: String,
        /// The form of the document
        #[arg(long, default_value = "cyclonedx")]
        format: SbomFormat,
    },
    /// Print how an image came about
    Provenance {
        /// An artifact, or base:NAME[@VERSION]
        image: String,
    },
    /// Show what differs between two images: packages, files, configuration
    Diff {
        /// An artifact, or base:NAME[@VERSION]
        first: String,
        /// The same
        second: String,
    },
    /// Run an artifact and wait until it answers
    Run(Run),
    /// List what runs
    Ps,
    /// Show the output of an instance
    Logs(Logs),
    /// Stop instances
    Stop(Stop),
    /// Remove what nothing needs any more
    Gc,
    /// Check what this machine offers, and say how to get what is missing
    Doctor,
    /// Supervise one running artifact
    #[command(name = "__supervise", hide = true)]
    Supervise { folder: PathBuf },
    /// Make a container of a bundle
    #[command(name = "__container", hide = true)]
    Container { bundle: PathBuf, parent: u32 },
}

impl Command {
    /// Does it make mounts?
    pub(crate) fn needs_machine(&self) -> bool {
        !matches!(self, Self::Doctor) || rustix::process::geteuid().is_root()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Base {
    /// Make the base of a folder with a base.toml
    Build {
        path: PathBuf,
        /// Make it anew, whatever was made before
        #[arg(long)]
        afresh: bool,
        /// Make exactly what the lock says, down to the byte
        #[arg(long)]
        locked: bool,
        /// The lock (default: base.lock in the folder)
        #[arg(long, value_name = "FILE")]
        lock: Option<PathBuf>,
    },
    /// Make one version again from its recipe and its lock, and compare
    Verify {
        #[arg(value_name = "NAME[@VERSION]")]
        base: BaseRef,
    },
    /// List all versions of all bases
    List,
    /// Show one version
    Show {
        #[arg(value_name = "NAME[@VERSION]")]
        base: BaseRef,
    },
    /// Let one version say itself how it is used (S2I's script `usage`)
    Usage {
        #[arg(value_name = "NAME[@VERSION]")]
        base: BaseRef,
    },
    /// Take an image that others made as a base, as it is
    Import(Import),
    /// Write one version for other tools
    Export {
        #[arg(value_name = "NAME[@VERSION]")]
        base: BaseRef,
        /// oci:DIR[:REFERENCE], oci-archive:FILE[:REFERENCE], docker-archive:FILE[:NAME:TAG], or disk:FILE.qcow2 or
        /// disk:FILE.raw for a disk that boots
        target: String,
        /// How layers are compressed there; `keep` keeps the base's digest; in a docker-archive they never are
        #[arg(long, default_value = "gzip")]
        compression: ExportCompression,
        #[command(flatten)]
        disk: DiskOptions,
    },
    /// Forget one version
    Remove {
        #[arg(value_name = "NAME[@VERSION]")]
        base: BaseRef,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DiskOptions {
    /// The kernel of a disk, by its Debian package (default: the image's own, or linux-image-cloud-amd64)
    #[arg(long, value_name = "PACKAGE[=VERSION]")]
    pub(crate) kernel: Option<String>,
    /// How large a disk is, e.g. 4GiB (default: what is on it, and some room); it grows with the one it is put on
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub(crate) size: Option<Bytes>,
}

fn bytes(text: &str) -> Result<Bytes, String> {
    Bytes::try_from(text.to_owned()).map_err(|error| error.to_string())
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// oci:DIR[:REFERENCE], oci-archive:FILE[:REFERENCE], docker-archive:FILE[:NAME:TAG],
    /// [docker://]HOST/REPOSITORY[:TAG][@DIGEST], or disk:FILE.qcow2 or disk:FILE.raw for a disk of Linux
    pub(crate) source: String,
    #[command(flatten)]
    pub(crate) about: AboutBase,
}

#[derive(Debug, Args)]
pub(crate) struct AboutBase {
    /// What the base is called (default: what the image is called, or its file)
    #[arg(long)]
    pub(crate) name: Option<BaseName>,
    /// A file with a [contract], as in a base.toml; without one, other bases can be made upon it, and nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) contract: Option<PathBuf>,
    /// What becomes of programs that run with more rights than their caller's
    #[arg(long, default_value = "keep")]
    pub(crate) setuid: Setuid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Setuid {
    /// They stay: inside an instance they have its rights alone
    Keep,
    /// An image that has one is refused
    Refuse,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A directory, or a git repository (path or address)
    #[arg(default_value = ".")]
    pub(crate) source: String,
    /// A commit, branch or tag of the repository
    #[arg(long, value_name = "REV")]
    pub(crate) rev: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// A directory, or a git repository (path or address)
    #[arg(default_value = ".")]
    pub(crate) source: String,
    /// The base that prepares it (default: what till.toml says, or what `till explain` says)
    #[arg(long, value_name = "NAME[@VERSION]")]
    pub(crate) base: Option<BaseRef>,
    /// A commit, branch or tag of the repository
    #[arg(long, value_name = "REV")]
    pub(crate) rev: Option<String>,
    /// The app's name (default: what till.toml says, or the directory's name)
    #[arg(long)]
    pub(crate) name: Option<AppName>,
    /// A variable for build and run; not for secrets, for it is written into the artifact
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,
    /// The Dockerfile, from the root of the source (default: Dockerfile, or Containerfile)
    #[arg(long, short, value_name = "PATH")]
    pub(crate) file: Option<String>,
    /// The stage of the Dockerfile that becomes the artifact (default: the last)
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    /// A value for an ARG of the Dockerfile; without a value, the variable of that name
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) build_arg: Vec<String>,
    /// A buildpack: a name of the settings, an address or a directory; in order, where there are several
    #[arg(long, value_name = "BUILDPACK")]
    pub(crate) buildpack: Vec<String>,
    /// A secret for RUN --mount=type=secret: id=NAME,src=FILE or id=NAME,env=VARIABLE
    #[arg(long, value_name = "id=NAME,src=FILE")]
    pub(crate) secret: Vec<String>,
    /// Where it is carried out; by default in a container, or in the system that the base is
    #[arg(long = "in", value_name = "ENVIRONMENT")]
    pub(crate) environment: Option<EnvironmentName>,
    /// What comes of it: an image for containers, a disk for machines, or both; a disk is booted before it is given out
    #[arg(long, value_name = "FORM", value_delimiter = ',', default_value = "oci")]
    pub(crate) to: Vec<Form>,
    /// With --in qemu: carry it out in containers, in a fraction of the time, and boot only what comes of it
    #[arg(long)]
    pub(crate) no_boot: bool,
    /// With --in qemu: a shell in the machine of a step that fails, before it is gone
    #[arg(long)]
    pub(crate) keep_failed: bool,
    /// The kernel of its machines, by its Debian package (default: the image's own, or the one it had before, or the newest
    /// linux-image-cloud-amd64)
    #[arg(long, value_name = "PACKAGE[=VERSION]")]
    pub(crate) kernel: Option<String>,
    /// Take nothing that was made before
    #[arg(long)]
    pub(crate) afresh: bool,
    /// Empty what builds of this app keep for the next one (downloads, packages); with --afresh, all begins anew
    #[arg(long)]
    pub(crate) clear_cache: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EnvironmentName {
    Container,
    /// Each step in a virtual machine of its own
    Qemu,
}

/// What an artifact is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Oci,
    Disk,
}

impl EnvironmentName {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Qemu => "qemu",
        }
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

pub(crate) fn variables(pairs: &[(String, String)]) -> BTreeMap<String, String> {
    pairs.iter().cloned().collect()
}

#[derive(Debug, Subcommand)]
pub(crate) enum Artifact {
    /// List all, the newest first
    List,
    /// Show one
    Show { artifact: String },
    /// Write one for other tools
    Export {
        artifact: String,
        /// oci:DIR[:REFERENCE], oci-archive:FILE[:REFERENCE], docker-archive:FILE[:NAME:TAG], or disk:FILE.qcow2 or
        /// disk:FILE.raw for a disk that boots
        target: String,
        /// How layers are compressed there; `keep` keeps the artifact's digest, gzip is read by every tool; in a
        /// docker-archive they never are
        #[arg(long, default_value = "gzip")]
        compression: ExportCompression,
        #[command(flatten)]
        disk: DiskOptions,
    },
    /// Put one that buildpacks made upon another run image, without building it again
    Rebase {
        artifact: String,
        /// A base or a reference (default: the newest of what lies below it now)
        #[arg(long, value_name = "IMAGE")]
        run_image: Option<String>,
        /// Whether or not it fits upon that
        #[arg(long)]
        force: bool,
    },
    /// Forget one
    Remove { artifact: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportCompression {
    Keep,
    Gzip,
    Zstd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SbomFormat {
    Cyclonedx,
    Spdx,
}

#[derive(Debug, Args)]
pub(crate) struct Push {
    /// A digest, its first digits, an app's name for its newest artifact, or a base
    #[arg(value_name = "ARTIFACT|BASE")]
    pub(crate) image: String,
    /// HOST/REPOSITORY[:TAG]
    pub(crate) reference: ImageName,
    /// How layers are compressed there; `keep` keeps the digest, gzip is read by every tool
    #[arg(long, default_value = "keep")]
    pub(crate) compression: ExportCompression,
    /// Another repository of that registry, from which it may take what it has
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) mount_from: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// HOST/REPOSITORY[:TAG][@DIGEST]
    pub(crate) reference: ImageName,
    #[command(flatten)]
    pub(crate) about: AboutBase,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// A digest, its first digits, or an app's name for its newest
    pub(crate) artifact: String,
    /// The process type (default: web, or the only one)
    #[arg(long)]
    pub(crate) process: Option<String>,
    /// All process types that run on, in one instance; the first that ends ends all
    #[arg(long, conflicts_with = "process")]
    pub(crate) all: bool,
    /// The port of this machine's loopback (default: a free one)
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) publish: Option<u16>,
    /// Return when it answers; it runs on
    #[arg(long, short)]
    pub(crate) detach: bool,
    /// A variable beyond the artifact's
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,
    /// Where (default: what it was made for): a container, or a virtual machine that starts from its disk
    #[arg(long = "in", value_name = "ENVIRONMENT")]
    pub(crate) environment: Option<EnvironmentName>,
    /// The kernel of the machine, by its Debian package (default: the one that it was made with, or the newest
    /// linux-image-cloud-amd64)
    #[arg(long, value_name = "PACKAGE[=VERSION]")]
    pub(crate) kernel: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The instance, or the end of its id
    pub(crate) instance: String,
    /// Go on as it comes
    #[arg(long, short)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["instances", "all"])))]
pub(crate) struct Stop {
    /// Instances, or the ends of their ids
    pub(crate) instances: Vec<String>,
    /// All that run
    #[arg(long)]
    pub(crate) all: bool,
}
