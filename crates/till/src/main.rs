//! `till`: the binary. Commands, configuration, wiring; the only place that reads the environment, prints and exits.
//!
//! ```text
//! main.rs      from the command line to an exit code
//! cli.rs       what can be typed
//! config.rs    settings: file, environment, command line
//! inside.rs    the program that runs inside instances
//! wire.rs      which technology fills which port
//! screen.rs    what people see: progress, results, failures
//! commands/    one file each
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where is printed")]

mod cli;
mod commands;
mod config;
mod inside;
mod screen;
mod wire;

use std::process::ExitCode;

use clap::Parser;
use till_core::{Failure, Fault};
use tokio::signal::unix::{SignalKind, signal};

/// The exit code of an interrupted command, as shells give it.
const INTERRUPTED: u8 = 130;
/// How long work that cannot be interrupted is waited for.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    if let cli::Command::Container { bundle, parent } = &arguments.command {
        return contain(bundle, *parent);
    }
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

/// Before anything else: it makes namespaces, for which there may be one thread only. Its words are a step's output.
fn contain(bundle: &std::path::Path, parent: u32) -> ExitCode {
    match till_ground::container::contain(bundle, parent) {
        Ok(()) => ExitCode::SUCCESS,
        Err(said) => {
            if !said.is_empty() {
                eprintln!("{said}");
            }
            // As shells say that a command cannot be run.
            ExitCode::from(126)
        }
    }
}

fn start(arguments: cli::Arguments, screen: &screen::Screen) -> Result<ExitCode, Failure> {
    // What is made in images must not depend on who calls; what is private is made so explicitly.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
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
        // What is run is stopped when it is interrupted, and takes care of that itself; so does who supervises it.
        if matches!(arguments.command, cli::Command::Run(_) | cli::Command::Supervise { .. }) {
            return commands::run(arguments, screen).await;
        }
        // Any other command that is dropped clears away what it had begun.
        tokio::select! {
            outcome = commands::run(arguments, screen) => outcome,
            interrupted = interruption() => interrupted.map(|()| {
                screen.interrupted();
                ExitCode::from(INTERRUPTED)
            }),
        }
    });
    // Work in threads (a layer being written) ends and clears away before we leave; what does not is swept next time.
    runtime.shutdown_timeout(PATIENCE);
    outcome
}

/// Waits until somebody wants us to stop.
async fn interruption() -> Result<(), Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::house("cannot listen for signals", error));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}
