//! The first process of an instance, from the moment when it is in its namespaces until it is the command. Whatever it may
//! not do afterwards is taken from it here, in the order in which it can still be done.

use std::convert::Infallible;
use std::io::{PipeReader, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, Gid, Mode, OFlags, Uid};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};

use super::filter::Instruction;
use super::spec::{Process, Spec};
use super::{Said, failed, kernel, rootfs};

/// Becomes the command; comes back only when something failed. `maker` says a byte when the ids are mapped, and one when this
/// process is in its cgroups. Standard input is the socket to the one who wanted the container.
pub(super) fn run(
    spec: &Spec,
    filter: &[Instruction],
    mut maker: PipeReader,
    namespaces: UnshareFlags,
) -> Said<Infallible> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed("hide itself"))?;
    wait(&mut maker)?;
    become_user(0, 0, &[])?;
    let late = namespaces & UnshareFlags::NEWCGROUP;
    kernel::enter(namespaces - late).map_err(failed("make namespaces"))?;
    say(b"n")?;
    kernel::default_signals().map_err(failed("reset signals"))?;
    rustix::process::setsid().map_err(failed("begin a session"))?;
    kernel::new_keyring().map_err(failed("make a keyring"))?;
    rustix::system::sethostname(spec.hostname.as_bytes()).map_err(failed("set the host's name"))?;
    kernel::loopback_up().map_err(failed("bring the loopback up"))?;
    rootfs::enter(spec)?;
    wait(&mut maker)?;
    // Where it is now is the root of all that it will see of cgroups.
    kernel::enter(late).map_err(failed("make a namespace of cgroups"))?;
    let process = &spec.process;
    // As the root that it still is, who may go everywhere in the image; or else as the user, to whom it may belong.
    let is_there = rustix::process::chdir(&process.cwd).is_ok();
    rustix::thread::set_no_new_privs(process.no_new_privileges).map_err(failed("renounce new privileges"))?;
    bound(process)?;
    become_user(process.user.uid, process.user.gid, &process.user.additional_gids)?;
    restrict(process)?;
    rustix::process::umask(Mode::from_raw_mode(process.user.umask));
    if !is_there {
        rustix::process::chdir(&process.cwd).map_err(|error| format!("chdir to {:?}: {error}", process.cwd))?;
    }
    // A place that is not below the root has no path.
    let cwd = rustix::process::getcwd(Vec::new()).map_err(failed("look where it is"))?;
    if !cwd.as_bytes().starts_with(b"/") {
        return Err(format!("chdir to {:?}: it is not in the image", process.cwd));
    }
    let program = find(process)?;
    kernel::close_at_exec().map_err(failed("close what is not its own"))?;
    kernel::filter_calls(filter).map_err(failed("filter system calls"))?;
    say(b"r")?;
    gate()?;
    Err(format!("exec {}: {}", program.display(), kernel::execute(&program, &process.args, &process.env)))
}

/// Waits for a byte. That none comes means that whoever would send it has failed, and has said so.
fn wait(line: &mut PipeReader) -> Said<()> {
    let mut byte = [0];
    line.read_exact(&mut byte).map_err(|_| String::new())
}

/// Tells the one who wanted the container how far it is.
fn say(letter: &[u8]) -> Said<()> {
    rustix::io::write(rustix::stdio::stdin(), letter).map(drop).map_err(failed("say how far it is"))
}

/// Waits to be started. Standard input is nothing to read from afterwards.
fn gate() -> Said<()> {
    let mut byte = [0];
    match rustix::io::read(rustix::stdio::stdin(), &mut byte) {
        Ok(1) => {}
        _ => return Err(String::new()),
    }
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    rustix::stdio::dup2_stdin(null.map_err(failed("open /dev/null"))?).map_err(failed("close the gate"))
}

fn become_user(uid: u32, gid: u32, groups: &[u32]) -> Said<()> {
    let groups: Vec<_> = groups.iter().map(|group| Gid::from_raw(*group)).collect();
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::thread::set_thread_groups(&groups).map_err(failed("set the groups"))?;
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(failed("set the group"))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(failed("set the user"))
}

/// What a process may use; set before it is one of an instance, whose root may raise no limit of our caller's.
pub(super) fn limit(process: &Process) -> Said<()> {
    for limit in &process.rlimits {
        let resource = match limit.kind.as_str() {
            "RLIMIT_NOFILE" => Resource::Nofile,
            "RLIMIT_FSIZE" => Resource::Fsize,
            "RLIMIT_CORE" => Resource::Core,
            other => return Err(format!("the limit {other} is not known to the built-in runtime")),
        };
        let wanted = Rlimit { current: Some(limit.soft), maximum: Some(limit.hard) };
        rustix::process::setrlimit(resource, wanted).map_err(failed(&format!("set {}", limit.kind)))?;
    }
    Ok(())
}

/// Gives up for good what is not among the bounding capabilities; while the user still is one who may.
fn bound(process: &Process) -> Said<()> {
    let kept = capabilities(&process.capabilities.bounding)?;
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        // The kernel knows fewer than there are bits.
        match rustix::thread::capability_is_in_bounding_set(capability) {
            Ok(true) if !kept.contains(capability) => {
                rustix::thread::remove_capability_from_bounding_set(capability)
                    .map_err(failed("give up a capability"))?;
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    Ok(())
}

fn restrict(process: &Process) -> Said<()> {
    rustix::thread::clear_ambient_capability_set().map_err(failed("give up capabilities"))?;
    let sets = CapabilitySets {
        effective: capabilities(&process.capabilities.effective)?,
        permitted: capabilities(&process.capabilities.permitted)?,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets).map_err(failed("give up capabilities"))
}

fn capabilities(names: &[String]) -> Said<CapabilitySet> {
    let one = |name: &String| {
        let known = name.strip_prefix("CAP_").and_then(CapabilitySet::from_name);
        known.ok_or_else(|| format!("the capability {name} is not known to the built-in runtime"))
    };
    names.iter().map(one).collect()
}

/// The program that the first argument names, as execvp(3) would find it: the words of its failures are those of other
/// runtimes.
fn find(process: &Process) -> Said<PathBuf> {
    let name = process.args.first().ok_or("there is no command")?;
    let because = |why: &str| format!("exec: {name:?}: {why}");
    if name.contains('/') {
        let path = PathBuf::from(name);
        return is_executable(&path).map(|()| path).map_err(|error| because(&error.to_string()));
    }
    let path = process.env.iter().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or_default();
    let places = path
        .split(':')
        .filter(|_| !name.is_empty())
        .map(|folder| Path::new(if folder.is_empty() { "." } else { folder }).join(name));
    let mut denied = false;
    for place in places {
        match is_executable(&place) {
            Ok(()) => return Ok(place),
            Err(error) => denied |= error.kind() == std::io::ErrorKind::PermissionDenied,
        }
    }
    Err(because(if denied { "permission denied" } else { "executable file not found in $PATH" }))
}

fn is_executable(path: &Path) -> std::io::Result<()> {
    if std::fs::metadata(path)?.is_dir() {
        return Err(std::io::Error::from(std::io::ErrorKind::PermissionDenied));
    }
    Ok(rustix::fs::access(path, Access::EXEC_OK)?)
}
