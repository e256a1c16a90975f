//! `guest`: the first process of our machines.
//!
//! One small static program: it needs no libraries, no shell and no other program of the image. It decides nothing: what it
//! does was decided on the host (`lib.rs`).
//!
//! ```text
//! initrd.rs    the first process of the initramfs: modules, then the root file system
//! modules.rs   kernel modules
//! errand.rs    one command of a preparation, upon a tree of the host
//! foreign.rs   the tree of a disk that others made
//! disks.rs     block devices, by what they are
//! grow.rs      the root file system takes all of its disk
//! machine.rs   the first process of a disk whose image has no systemd: services, power button
//! ready.rs     waits until services answer, and says so
//! service.rs   one command: who, where, with what
//! network.rs   DHCP
//! port.rs      what is said to the host
//! system.rs    what the kernel offers and no library does
//! ```
#![expect(clippy::print_stderr, reason = "its standard error is the console of the machine")]

mod disks;
mod errand;
mod foreign;
mod grow;
mod initrd;
mod machine;
mod modules;
mod network;
mod port;
mod ready;
mod service;
mod system;

use std::process::ExitCode;

/// What is said of something that did not work; there is nobody to take it apart.
type Result<T, E = String> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().collect();
    let first = rustix::process::getpid().is_init();
    let outcome =
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            // The kernel calls it `/init`.
            ["/init", ..] if first => initrd::run(),
            [_, "machine", ..] if first => machine::run(),
            [_, "ready"] => ready::run(),
            [_, "network"] => {
                network::keep();
                Ok(())
            }
            [_, "service", name] => service::become_process(name),
            _ => Err("this is the first process of machines, or called by one: machine, ready, network, service NAME"
                .to_owned()),
        };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("till: {why}");
            if first {
                port::say(&till_guest::Word::Failed { why });
                system::power_off();
            }
            ExitCode::FAILURE
        }
    }
}

/// The error of a deed on something.
fn failed<E: std::fmt::Display>(deed: &str, what: impl std::fmt::Display) -> impl FnOnce(E) -> String {
    let said = format!("cannot {deed} `{what}`");
    move |error| format!("{said}: {error}")
}
