//! What a machine of ours is told, and what it answers: the wire between the host and the program `guest` inside.
//!
//! ```text
//! machine.json    on a disk: what the machine runs                       MACHINE, Machine
//! job.json        in the initramfs of a preparation: what it runs        JOB, Job
//! till-tree       a tree of the host (virtiofs): upon what it runs       TREE
//! till-foreign    a disk that others made: what is read of it            FOREIGN, READ
//! till.ctl        a virtio port: one JSON object a line                  CONTROL, Word
//! till.log        a virtio port: the output of a job, as it came         LOG
//! ```
#![deny(missing_docs)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where a disk has what its machine runs.
pub const MACHINE: &str = "/usr/lib/till/machine.json";
/// Where a disk has this program.
pub const PROGRAM: &str = "/usr/lib/till/guest";
/// The word of the kernel's command line that names the file system to start from, by its UUID.
pub const ROOT: &str = "till.root=";
/// The word of the kernel's command line that names the program to go on with, on that file system.
pub const INIT: &str = "till.init=";
/// In the initramfs: the kernel modules to load, a path in each line, in this order.
pub const MODULES: &str = "/modules.list";
/// The virtio port of [`Word`]s.
pub const CONTROL: &str = "till.ctl";

/// In the initramfs of a preparation: what it runs. It is removed when it was read.
pub const JOB: &str = "/job.json";
/// The virtiofs tag of the tree that a preparation runs upon.
pub const TREE: &str = "till-tree";
/// The virtio port of a job's output.
pub const LOG: &str = "till.log";

/// The serial number of a disk that others made.
pub const FOREIGN: &str = "till-foreign";
/// The word of the kernel's command line that says that the tree of that disk is to be written to [`LOG`], as a tar archive.
pub const READ: &str = "till.read";

/// What a machine runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Of this structure: 1.
    pub version: u32,
    /// What the machine calls itself.
    pub hostname: String,
    /// The commands, by process type.
    pub processes: BTreeMap<String, Command>,
    /// The process types that run as long as it does.
    pub services: Vec<String>,
    /// How it is known that they are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
}

/// A command, exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// All of its environment.
    pub env: BTreeMap<String, String>,
    /// Where it starts.
    pub dir: String,
    /// Who runs it: a name in the image's `/etc/passwd`, or a number.
    pub user: String,
    /// Of a service: when it ends well it is done, and not started again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_end: bool,
}

/// How it is known that a machine is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// The port.
    pub port: u16,
    /// The path that is asked for, where HTTP/1.1 is spoken; without one, that something listens is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Is it a port of datagrams?
    #[serde(default)]
    pub datagrams: bool,
}

/// What a preparation does: one command, upon a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Said with each word, so that nobody but who has read the job can speak for it.
    pub nonce: String,
    /// The command.
    pub command: Command,
    /// Does it have a network?
    pub network: bool,
    /// Is the console its terminal? Then nothing of it is written to [`LOG`].
    pub terminal: bool,
    /// Bytes of memory for all its processes.
    pub memory: u64,
    /// Processes and threads at once.
    pub pids: u32,
}

/// What a machine says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "lowercase", deny_unknown_fields)]
pub enum Word {
    /// A job's command is about to be started.
    Begun {
        /// Of the job.
        nonce: String,
    },
    /// A job's command ended, and all that it had started.
    Ended {
        /// Of the job.
        nonce: String,
        /// Its exit code, or 128 and the signal's number.
        code: u8,
        /// Processes were killed for want of memory.
        oom: bool,
        /// Processes could not be started: there were too many.
        pids: bool,
    },
    /// The tree of a foreign disk was written, whole.
    Read,
    /// The services of a machine answer.
    Ready,
    /// A service of a machine ended.
    Exited {
        /// Its process type.
        service: String,
        /// Is it done, or started again?
        done: bool,
        /// Its exit code, or 128 and the signal's number.
        code: u8,
    },
    /// It cannot go on.
    Failed {
        /// Why.
        why: String,
    },
}

impl Word {
    /// One line.
    pub fn line(&self) -> String {
        // Strings and numbers: nothing in it can fail to be written.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_were_written() {
        let nonce = "n".to_owned();
        for word in [
            Word::Begun { nonce: nonce.clone() },
            Word::Ended { nonce, code: 3, oom: false, pids: true },
            Word::Read,
            Word::Ready,
            Word::Exited { service: "web".to_owned(), done: false, code: 3 },
            Word::Failed { why: "a\nb".to_owned() },
        ] {
            let line = word.line();
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            assert_eq!(serde_json::from_str::<Word>(&line).unwrap(), word);
        }
    }
}
