//! Ports: everything outside is reached through one of these. Few methods each; they speak in paths and digests, not in
//! streams, because the tools behind them work on files.

mod disk;
mod instance;
mod registry;
mod runner;
mod source;
mod system;

pub use disk::{DiskMaker, DiskOrder, ForeignDisk, MadeDisk};
pub use instance::{
    Answers, Bootstrapper, Capture, Environment, Evidence, Exit, Instance, Layer, Lent, Loan, LogSink, MAX_TEXT, Mount,
    Obstacle, Opening, Program, Unstartable,
};
pub use registry::{Fetched, Fetcher, MAX_DOCUMENT, Published, Registry, Sent};
pub use runner::{Observed, RunMachine, RunRequest, Runner, Started};
pub use source::{SourceTree, Sources};
pub use system::{DiskFiles, End, Outcome, Sitting, Systems};
