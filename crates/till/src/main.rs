//! `till`: the binary. Commands, configuration, wiring; the only place that reads the environment, prints and exits.
//!
//! ```text
//! main.rs      from the command line to an exit code
//! cli.rs       what can be typed
//! config.rs    settings: file, environment, command line
//! wire.rs      which technology fills which port
//! screen.rs    what people see: progress, results, failures
//! commands/    one file each
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where is printed")]

mod cli;
mod commands;
mod config;
mod screen;
mod wire;

use std::process::ExitCode;

use clap::Parser;
use till_core::{Failure, Fault};

/// The exit code of an interrupted command, as shells give it.
const INTERRUPTED: u8 = 130;
/// How long work that cannot be interrupted is waited for.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    let screen = screen::Screen::new(&arguments);
    let outcome = start(arguments, &screen);
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            screen.failure(&failure);
            ExitCode::from(failure.fault.exit_code())
        }
    }
}

fn start(arguments: cli::Arguments, screen: &screen::Screen) -> Result<ExitCode, Failure> {
    if arguments.command.needs_machine() {
        if !rustix::process::geteuid().is_root() {
            return Err(Failure::new(
                Fault::House,
                "till needs root on this machine: it makes namespaces, mounts and cgroups",
            )
            .hint("sudo till …"));
        }
        // Before the runtime makes threads: they are to live in the same mount namespace.
        till_ground::container::enter()?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::house("cannot start the runtime", error))?;
    let outcome = runtime.block_on(async {
        let mut interrupt = signal(tokio::signal::unix::SignalKind::interrupt())?;
        let mut hangup = signal(tokio::signal::unix::SignalKind::hangup())?;
        let mut terminate = signal(tokio::signal::unix::SignalKind::terminate())?;
        // A command that is dropped clears away what it had begun.
        tokio::select! {
            outcome = commands::run(arguments, screen) => outcome,
            _ = interrupt.recv() => Ok(interrupted(screen)),
            _ = terminate.recv() => Ok(interrupted(screen)),
            _ = hangup.recv() => Ok(interrupted(screen)),
        }
    });
    // Work in threads (a layer being written) ends and clears away before we leave; what does not is swept next time.
    runtime.shutdown_timeout(PATIENCE);
    outcome
}

fn signal(kind: tokio::signal::unix::SignalKind) -> Result<tokio::signal::unix::Signal, Failure> {
    tokio::signal::unix::signal(kind).map_err(|error| Failure::house("cannot listen for signals", error))
}

fn interrupted(screen: &screen::Screen) -> ExitCode {
    screen.say("interrupted; nothing is left behind");
    ExitCode::from(INTERRUPTED)
}
