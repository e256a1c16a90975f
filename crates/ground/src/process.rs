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
