//! The built-in runtime: makes containers as an OCI runtime does, from the same bundle, without starting one thrice.
//!
//! ```text
//! till ── spawns ──► till __container BUNDLE …     one thread, host's root
//!   │                  ├─ clone ──► init             till's child, with ids and processes of its own
//!   │                  ├─ maps ids ─────► │          namespaces
//!   │ ◄──────────────────── `n` ───────── │          a network can be connected from here on
//!   │                  ├─ puts it into its cgroups ► │ mounts, root, limits, capabilities, user, system calls
//!   │ ◄──────────────────── `r` ───────── │ nothing but the start is missing
//!   ├─ start: `g` ──────────────────────► ├─ exec of the command
//!   └─ delete: the cgroups               ─┘
//! ```
//!
//! The letters go over a socket that is init's standard input. When it is closed, init ends.
//!
//! What it does not know of a bundle it refuses; then, or where the kernel lacks what it needs, the probe chooses another.
//! The order of things and what is protected follow runc 1.1 (docs/decisions/0014).

mod filter;
mod init;
mod kernel;
mod rootfs;
pub(in crate::container) mod spec;

use std::io::{PipeWriter, Write as _};
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{Gid, Uid};
use rustix::thread::UnshareFlags;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;

use super::super::cgroup;
use super::{Created, Gate};
use crate::container::ContainerError;
use crate::process;
use spec::Spec;

/// This process's own binary, even when the file was replaced meanwhile.
const OURSELVES: &str = "/proc/self/exe";

/// What failed, in words for the step's output; empty when somebody else has said it.
type Said<T> = Result<T, String>;

fn failed<E: std::fmt::Display>(deed: &str) -> impl Fn(E) -> String {
    move |error| format!("cannot {deed}: {error}")
}

/// Makes a container, as far as that its network can be connected. Its output, and what there is to say when it fails, go to
/// `output`.
pub(super) async fn create(bundle: &Path, output: PipeWriter) -> std::io::Result<Option<Created>> {
    // Here, so that whoever clears away after us either finds them or has nothing to find.
    let spec = read(bundle).map_err(std::io::Error::other)?;
    let name = spec.linux.cgroup().ok_or(std::io::ErrorKind::InvalidInput)?;
    cgroup::make(name, &spec.linux.resources).map_err(|error| std::io::Error::other(chain(&error)))?;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut command = process::command(OURSELVES);
    command.arg0("till").arg("__container").arg(bundle).arg(std::process::id().to_string());
    command.stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs))).stdout(output.try_clone()?).stderr(output);
    let maker = Box::new(command.spawn()?);
    // It holds the other ends, which would keep us from seeing that nobody has them any more.
    drop(command);
    let mut socket = UnixStream::from_std(ours)?;
    let Ok(pid) = socket.read_u32().await else {
        return Ok(None);
    };
    let mut created = Created { pid, gate: Gate::Socket { socket, maker }, is_watched: false };
    let is_made = created.gate.hears(b'n').await;
    Ok(is_made.then_some(created))
}

/// `till __container BUNDLE PARENT`: makes the container of a bundle for the process PARENT, and says its first process's
/// number over the socket that is standard input. In that process it comes back only when something failed. To be called while
/// there is one thread, before anything is opened.
pub fn contain(bundle: &Path, parent: u32) -> Result<(), String> {
    kernel::close_others().map_err(failed("close what our caller has left open"))?;
    // What is made after the death of the one who wanted it, no sweep would find; and it may have died before this.
    let with_parent = Some(rustix::process::Signal::KILL);
    rustix::process::set_parent_process_death_signal(with_parent).map_err(failed("die with our parent"))?;
    if rustix::process::getppid().is_none_or(|pid| pid.as_raw_nonzero().get().cast_unsigned() != parent) {
        return Err("the one who wanted the container is gone".to_owned());
    }
    let spec = read(bundle)?;
    let filter = filter::compile(&spec.linux.seccomp)?;
    let namespaces = spec.linux.namespaces.iter().try_fold(UnshareFlags::empty(), |flags, namespace| {
        let flag = kernel::namespace(&namespace.kind);
        flag.map(|flag| flags | flag).ok_or_else(|| format!("there is no namespace `{}`", namespace.kind))
    })?;
    let name = spec.linux.cgroup().ok_or("the bundle names no cgroup of ours")?;
    if spec.process.terminal || spec.root.readonly {
        return Err("terminals and roots that are only read are not known to the built-in runtime".to_owned());
    }
    own_output(&spec)?;
    init::limit(&spec.process)?;
    let (line, mut told) = std::io::pipe().map_err(failed("make a pipe"))?;
    let Some(pid) = kernel::copy().map_err(failed("make an instance's first process"))? else {
        drop(told);
        return init::run(&spec, &filter, line, namespaces).map(|never| match never {});
    };
    drop(line);
    let pid = pid.as_raw_nonzero().get().cast_unsigned();
    rustix::io::write(rustix::stdio::stdin(), &pid.to_be_bytes()).map_err(failed("say the pid"))?;
    for (file, mappings) in [("uid_map", &spec.linux.uid_mappings), ("gid_map", &spec.linux.gid_mappings)] {
        let lines: String = mappings.iter().map(spec::Mapping::line).collect();
        std::fs::write(format!("/proc/{pid}/{file}"), lines).map_err(failed("map ids"))?;
    }
    // That it is gone it has said itself.
    let gone = |_| String::new();
    told.write_all(b".").map_err(gone)?;
    // The kernel takes its time for that, in which the instance is furnished.
    match cgroup::put(pid, name, &spec.linux.resources) {
        Err(ContainerError::Io { source, .. }) if source.raw_os_error() == Some(libc::ESRCH) => Err(String::new()),
        Err(error) => Err(chain(&error)),
        Ok(()) => told.write_all(b".").map_err(gone),
    }
}

fn read(bundle: &Path) -> Said<Spec> {
    let text = std::fs::read(bundle.join("config.json")).map_err(failed("read the bundle"))?;
    serde_json::from_slice(&text).map_err(failed("understand the bundle"))
}

/// Gives our outputs to the instance's user, who may then open them again by `/dev/stdout` and `/dev/stderr`.
fn own_output(spec: &Spec) -> Said<()> {
    let user = &spec.process.user;
    let outside = |mappings: &[spec::Mapping], id: u32| {
        let found = mappings.iter().find_map(|mapping| mapping.outside(id));
        found.ok_or_else(|| format!("the image's user or group {id} is no id of an instance"))
    };
    let uid = outside(&spec.linux.uid_mappings, user.uid).map(Uid::from_raw)?;
    let gid = outside(&spec.linux.gid_mappings, user.gid).map(Gid::from_raw)?;
    for output in [rustix::stdio::stdout(), rustix::stdio::stderr()] {
        rustix::fs::fchown(output, Some(uid), Some(gid)).map_err(failed("give the output away"))?;
    }
    Ok(())
}

fn chain(error: &ContainerError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}
