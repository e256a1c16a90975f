//! The one place where processes are started: argv only, no shell; what a tool said is in the error.

use std::ffi::OsStr;
use std::io;
use std::process::{ExitStatus, Stdio};

use till_core::{Blame, Fault};
use tokio::process::Command;

/// A tool that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It could not be started.
    #[error("cannot start `{tool}`")]
    Start {
        /// The command's first word.
        tool: String,
        /// Why.
        source: io::Error,
    },
    /// It ended badly.
    #[error("`{line}` failed ({status}): {said}")]
    Failed {
        /// The command.
        line: String,
        /// How.
        status: ExitStatus,
        /// The end of its error output.
        said: String,
    },
}

impl Blame for ToolError {
    fn fault(&self) -> Fault {
        Fault::House
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("`till doctor` names what this machine lacks and how to get it".to_owned())
            }
            _ => None,
        }
    }
}

/// A command that dies with its handle and reads nothing from our input.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn command(tool: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(tool);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// A command that is killed when we are, however that comes about: it may hold what the next of us needs.
pub fn dies_with_us(command: &mut Command) {
    let ask = || {
        let asked = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
        asked.map_err(io::Error::from)
    };
    // SAFETY: between fork and exec only one system call is made, which allocates nothing and takes no lock.
    #[expect(unsafe_code, reason = "what runs between fork and exec is unsafe by its nature")]
    unsafe {
        command.pre_exec(ask);
    }
}

/// Lets a command have this descriptor. Answers by which number.
pub fn inherits(command: &mut Command, descriptor: std::os::fd::OwnedFd) -> i32 {
    use std::os::fd::AsRawFd as _;
    let number = descriptor.as_raw_fd();
    let keep = move || rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::empty()).map_err(io::Error::from);
    // SAFETY: between fork and exec only one system call is made, which allocates nothing and takes no lock.
    #[expect(unsafe_code, reason = "what runs between fork and exec is unsafe by its nature")]
    unsafe {
        command.pre_exec(keep);
    }
    number
}

/// A command that is root of a user namespace of its own, in which these ids of ours are 0, 1, … and there are no others.
pub fn in_user_namespace(command: &mut Command, ids: till_image::IdShift) {
    let map = format!("0 {} {}\n", ids.first, ids.count);
    // SAFETY: this process is a copy with one thread. What it calls allocates nothing and takes no lock: the text was made
    // before, and numbers are written on the stack.
    #[expect(unsafe_code, reason = "what runs between fork and exec is unsafe by its nature")]
    unsafe {
        command.pre_exec(move || enter_user_namespace(map.as_bytes()));
    }
}

/// Enters a new user namespace. Only a process that is outside of it may say which ids are in it: a copy of us, made before.
fn enter_user_namespace(map: &[u8]) -> io::Result<()> {
    use rustix::fs::{CWD, Mode, OFlags};
    let us = rustix::path::DecInt::new(rustix::process::getpid().as_raw_nonzero().get());
    let (line, told) = rustix::pipe::pipe()?;
    // SAFETY: the copy goes no further than `_exit`, below.
    #[expect(unsafe_code, reason = "no library offers fork(2)")]
    let copy = unsafe { libc::fork() };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    if copy == 0 {
        drop(told);
        let write = || -> io::Result<()> {
            rustix::io::read(&line, &mut [0; 1])?;
            let proc = rustix::fs::openat(CWD, c"/proc", OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
            let ours = rustix::fs::openat(proc, us, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
            for file in [c"uid_map", c"gid_map"] {
                let file = rustix::fs::openat(&ours, file, OFlags::WRONLY, Mode::empty())?;
                rustix::io::write(file, map)?;
            }
            Ok(())
        };
        let code = i32::from(write().is_err());
        // SAFETY: it ends this process at once, as it is, without what would be done at the end of the program.
        #[expect(unsafe_code, reason = "no library offers _exit(2)")]
        unsafe {
            libc::_exit(code)
        }
    }
    // SAFETY: NEWUSER gives this process other ids and capabilities, and unshares no descriptor or memory.
    #[expect(unsafe_code, reason = "rustix marks unshare as unsafe for flags that we do not use")]
    let entered = unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWUSER) };
    if entered.is_ok() {
        rustix::io::write(&told, b".")?;
    }
    drop(told);
    let status = rustix::process::waitpid(rustix::process::Pid::from_raw(copy), rustix::process::WaitOptions::empty())?;
    entered?;
    if status.and_then(|(_, status)| status.exit_status()) != Some(0) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let (uid, gid) = (rustix::fs::Uid::ROOT, rustix::fs::Gid::ROOT);
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// A process group that dies with its handle: a tool and whatever it started.
#[derive(Debug)]
pub struct Group(Option<rustix::process::Pid>);

impl Group {
    /// Of a child that was started with `process_group(0)`.
    pub fn of(child: &tokio::process::Child) -> Self {
        Self(child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())))
    }

    /// It ended by itself.
    pub fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// Runs a command to its end and gives its standard output.
pub async fn output(mut command: Command) -> Result<Vec<u8>, ToolError> {
    let result = command.output().await;
    let output = result.map_err(|source| start_error(&command, source))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(ToolError::Failed { line: line(&command), status: output.status, said: tail(&output.stderr) })
    }
}

/// The same for a command that reads `input`; what it says of a failure may be on either output.
pub async fn output_of(mut command: Command, input: &[u8]) -> Result<Vec<u8>, ToolError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|source| start_error(&command, source))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that ends without reading is judged by how it ends.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stdin, input).await;
    }
    let output = child.wait_with_output().await.map_err(|source| start_error(&command, source))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = tail(if output.stderr.is_empty() { &output.stdout } else { &output.stderr });
    Err(ToolError::Failed { line: line(&command), status: output.status, said })
}

/// The error of a command that could not be started.
pub fn start_error(command: &Command, source: io::Error) -> ToolError {
    ToolError::Start { tool: command.as_std().get_program().to_string_lossy().into_owned(), source }
}

/// Runs a command to its end without a runtime around it, for use in `Drop`; its result does not matter any more.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn run_quietly(argv: &[&OsStr]) {
    if let Some((tool, arguments)) = argv.split_first() {
        let mut command = std::process::Command::new(tool);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let _ = command.status();
    }
}

fn line(command: &Command) -> String {
    let command = command.as_std();
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The last thousand bytes of what a tool said, on one line.
fn tail(bytes: &[u8]) -> String {
    let start = bytes.len().saturating_sub(1000);
    String::from_utf8_lossy(&bytes[start..]).trim().replace('\n', "; ")
}
