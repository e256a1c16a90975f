//! The few calls to the kernel for which there is no safe library, each in a function that is. Only for a process that has
//! one thread.

use std::ffi::CString;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

use super::filter::Instruction;

/// The namespaces that a process can enter by itself, by the names of the runtime spec; none for those that it is born into.
pub(super) fn namespace(kind: &str) -> Option<UnshareFlags> {
    match kind {
        "user" | "pid" => Some(UnshareFlags::empty()),
        "ipc" => Some(UnshareFlags::NEWIPC),
        "uts" => Some(UnshareFlags::NEWUTS),
        "mount" => Some(UnshareFlags::NEWNS),
        "cgroup" => Some(UnshareFlags::NEWCGROUP),
        "network" => Some(UnshareFlags::NEWNET),
        _ => None,
    }
}

/// A copy of this process whose parent is our parent, the first in new namespaces of users and processes. None in the copy.
pub(super) fn copy() -> io::Result<Option<Pid>> {
    let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWPID | libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: without CLONE_VM the copy has memory of its own, and no stack is named: it is as fork(2). This process has one
    // thread, so nobody else can have held a lock that the copy would wait for.
    #[expect(unsafe_code, reason = "no library offers clone(2) with namespaces")]
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(flags), 0_usize, 0_usize, 0_usize, 0_usize) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(i32::try_from(pid).ok().and_then(Pid::from_raw)),
    }
}

/// Enters new namespaces. What is in them belongs to the user that this process is now.
pub(super) fn enter(namespaces: UnshareFlags) -> io::Result<()> {
    // SAFETY: no descriptor or memory is unshared, and this process has one thread.
    #[expect(unsafe_code, reason = "rustix marks unshare as unsafe for flags that we do not use")]
    let done = unsafe { rustix::thread::unshare_unsafe(namespaces) };
    Ok(done?)
}

/// Lets every signal do what it does in a new process: who called us may ignore some.
pub(super) fn default_signals() -> io::Result<()> {
    for number in (1..=64).filter(|number| ![libc::SIGKILL, libc::SIGSTOP].contains(number)) {
        let action = SigAction { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 };
        // SAFETY: the kernel reads one action as it defines it, with a mask of eight bytes. By its own number and not by the
        // C library, which does not let two of them be reset that it uses itself.
        #[expect(unsafe_code, reason = "no library offers sigaction(2) for all signals")]
        let done = unsafe {
            libc::syscall(libc::SYS_rt_sigaction, number, &raw const action, std::ptr::null::<SigAction>(), 8_usize)
        };
        answer(done)?;
    }
    Ok(())
}

/// `struct kernel_sigaction`.
#[repr(C)]
struct SigAction {
    handler: usize,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

/// Puts the filter over all further system calls. It cannot be taken off again.
pub(super) fn filter_calls(program: &[Instruction]) -> io::Result<()> {
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let length = libc::c_ushort::try_from(program.len()).map_err(too_long)?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel copies `len` instructions from `filter`, which lives as long as this call, and changes nothing.
    #[expect(unsafe_code, reason = "no library takes a filter that is compiled already")]
    let done = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    answer(done.into())
}

/// Gives this process a keyring of its own, with nothing in it.
pub(super) fn new_keyring() -> io::Result<()> {
    // SAFETY: a null pointer asks for a keyring without a name; no memory of ours is read or written.
    #[expect(unsafe_code, reason = "no library offers keyctl(2)")]
    let done = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<u8>()) };
    answer(done)
}

/// Closes every descriptor but the standard ones: what our caller has left open is nothing for an instance. To be called before
/// this process has opened any.
pub(super) fn close_others() -> io::Result<()> {
    // SAFETY: nothing in this process has a descriptor yet that it would still use.
    #[expect(unsafe_code, reason = "no library offers close_range(2)")]
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    answer(done)
}

/// Becomes another program; comes back only when that failed. Not by the C library's search, which would give what is no
/// program to a shell.
pub(super) fn execute(program: &Path, argv: &[String], env: &[String]) -> io::Error {
    let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
    let texts = |all: &[String]| all.iter().map(|one| text(one.as_bytes())).collect::<io::Result<Vec<_>>>();
    let (program, argv, env) = match (text(program.as_os_str().as_bytes()), texts(argv), texts(env)) {
        (Ok(program), Ok(argv), Ok(env)) => (program, argv, env),
        (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => return error,
    };
    let pointers = |all: &[CString]| {
        all.iter().map(|one| one.as_ptr()).chain(std::iter::once(std::ptr::null())).collect::<Vec<_>>()
    };
    let (argv, env) = (pointers(&argv), pointers(&env));
    // SAFETY: both lists end with a null pointer, and what they point to lives as long as this call.
    #[expect(unsafe_code, reason = "no library offers execve(2) without the search of execvp(3)")]
    unsafe {
        libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr());
    }
    io::Error::last_os_error()
}

/// Lets no descriptor but the standard ones pass the next exec.
pub(super) fn close_at_exec() -> io::Result<()> {
    // SAFETY: descriptors are only marked; none is closed now.
    #[expect(unsafe_code, reason = "no library offers close_range(2)")]
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    answer(done)
}

/// Brings the loopback of this network namespace up (netdevice(7)).
pub(super) fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    let mut name = [0; libc::IFNAMSIZ];
    (name[0], name[1]) = (b'l'.cast_signed(), b'o'.cast_signed());
    let flags = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or_default();
    let request = libc::ifreq { ifr_name: name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags } };
    // SAFETY: the kernel reads one `ifreq`, which lives as long as this call.
    #[expect(unsafe_code, reason = "no library offers this ioctl(2)")]
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    answer(done.into())
}

fn answer(done: libc::c_long) -> io::Result<()> {
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
