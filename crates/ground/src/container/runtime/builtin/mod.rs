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
pub(super) async fn create(bundle: &Path, pid_file: &Path, output: PipeWriter) -> std::io::Result<Option<Created>> {
    // Here, so that whoever clears away after us either finds them or has nothing to find.
    let spec = read(bundle).map_err(std::io::Error::other)?;
    let name = spec.linux.cgroup().ok_or(std::io::ErrorKind::InvalidInput)?;
    cgroup::make(name, &spec.linux.resources).map_err(|error| std::io::Error::other(chain(&error)))?;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    // One of an earlier step would be taken for this one's.
    let _ = std::fs::remove_file(pid_file);
    let mut command = process::command(OURSELVES);
    command.arg0("till").arg("__container").arg(bundle).arg(pid_file).arg(std::process::id().to_string());
    command.stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs))).stdout(output.try_clone()?).stderr(output);
    let maker = Box::new(command.spawn()?);
    // It holds the other ends, which would keep us from seeing that nobody has them any more.
    drop(command);
    let mut gate = Gate::Socket { socket: UnixStream::from_std(ours)?, maker };
    if gate.hears(b'n').await {
        return Ok(Some(Created { pid: super::read_pid(pid_file)?, gate }));
    }
    super::read_pid(pid_file).into_iter().for_each(reap);
    Ok(None)
}

/// Ends a first process that was not started, and waits for it: it is our child.
pub(super) fn reap(pid: u32) {
    cgroup::kill_process(pid);
    if let Some(pid) = rustix::process::Pid::from_raw(pid.cast_signed()) {
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    }
}

/// `till __container BUNDLE PID_FILE PARENT`: makes the container of a bundle for the process PARENT, and says its first
/// process's number. In that process it comes back only when something failed. To be called while there is one thread.
pub fn contain(bundle: &Path, pid_file: &Path, parent: u32) -> Result<(), String> {
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
    own_output(&spec)?;
    let (line, mut told) = std::io::pipe().map_err(failed("make a pipe"))?;
    let Some(pid) = kernel::copy().map_err(failed("make an instance's first process"))? else {
        drop(told);
        return init::run(&spec, &filter, line, namespaces).map(|never| match never {});
    };
    drop(line);
    let pid = pid.as_raw_nonzero();
    std::fs::write(pid_file, pid.to_string()).map_err(failed("write the pid"))?;
    for (file, mappings) in [("uid_map", &spec.linux.uid_mappings), ("gid_map", &spec.linux.gid_mappings)] {
        let lines: String = mappings.iter().map(spec::Mapping::line).collect();
        std::fs::write(format!("/proc/{pid}/{file}"), lines).map_err(failed("map ids"))?;
    }
    told.write_all(b".").map_err(failed("let the instance go on"))?;
    // The kernel takes its time for that, in which the instance is furnished.
    cgroup::put(pid.get().cast_unsigned(), name, &spec.linux.resources).map_err(|error| chain(&error))?;
    told.write_all(b".").map_err(failed("let the instance go on"))
}

fn read(bundle: &Path) -> Said<Spec> {
    let text = std::fs::read(bundle.join("config.json")).map_err(failed("read the bundle"))?;
    serde_json::from_slice(&text).map_err(failed("understand the bundle"))
}

/// Gives our outputs to the instance's user, who may then open them again by `/dev/stdout` and `/dev/stderr`.
fn own_output(spec: &Spec) -> Said<()> {
    let user = &spec.process.user;
    let outside = |mappings: &[spec::Mapping], id: u32| mappings.iter().find_map(|mapping| mapping.outside(id));
    let uid = outside(&spec.linux.uid_mappings, user.uid).map(Uid::from_raw);
    let gid = outside(&spec.linux.gid_mappings, user.gid).map(Gid::from_raw);
    for output in [rustix::stdio::stdout(), rustix::stdio::stderr()] {
        rustix::fs::fchown(output, uid, gid).map_err(failed("give the output away"))?;
    }
    Ok(())
}

fn chain(error: &ContainerError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}
