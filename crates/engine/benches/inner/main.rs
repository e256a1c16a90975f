//! What till itself computes in two cases of the bench, once and alone: `cargo xtask instructions` counts its instructions.
//!
//! ```text
//! inner CASE set-up FOLDER   makes what the case finds there; not counted
//! inner CASE go FOLDER       the case; counted from the start of the process to its end
//!
//! overhead.rs   W1: ledger opened, one small file planned, put in, packed, assembled, described
//! tree.rs       W2: a tree of small files packed into a layer
//! bare.rs       the environment of W1: what a container does, without the container
//! ```
//!
//! Left out is what the kernel does, and whoever runs containers. W2 is a twenty-fifth of the bench's: the work is the same
//! for each file, and a processor that is imitated takes thirty times as long. It is one without instructions for SHA-256,
//! which is therefore two fifths of W1 and two thirds of W2.
//!
//! Five runs differ by 0.8 % (W1) and 0.1 % (W2): by the seeds of hash maps, and by who waits for whom. To keep it so the
//! runtime has one thread, and all threads share one processor: how many there are decides how many compress.

mod bare;
mod overhead;
mod tree;

use std::path::Path;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use till_core::{Failure, Fault};
use till_image::IdShift;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    stay_on_one_processor()?;
    match words[..] {
        ["W1", "set-up", folder] => overhead::set_up(Path::new(folder)),
        ["W1", "go", folder] => overhead::go(Path::new(folder)),
        ["W2", "set-up", folder] => tree::set_up(Path::new(folder)),
        ["W2", "go", folder] => tree::go(Path::new(folder)),
        _ => Err(Failure::new(Fault::Caller, "expected W1 or W2, set-up or go, and a folder")),
    }
}

/// On the first that we may use, whichever that is.
fn stay_on_one_processor() -> Result<(), Failure> {
    let failed = |error| Failure::house("cannot choose a processor", std::io::Error::from(error));
    let ours = sched_getaffinity(None).map_err(failed)?;
    let mut one = CpuSet::new();
    if let Some(first) = (0..CpuSet::MAX_CPU).find(|cpu| ours.is_set(*cpu)) {
        one.set(first);
    }
    sched_setaffinity(None, &one).map_err(failed)
}

/// All that is made here belongs to who made it, who is root inside; so nobody has to be root.
fn ids() -> IdShift {
    IdShift { first: rustix::process::geteuid().as_raw(), count: 1 }
}
