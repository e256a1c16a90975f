//! Fakes of the ports, and suites that every implementation of a port passes. For tests only.
//!
//! ```text
//! tree.rs         files in memory
//! machine.rs      Environment, Instance: steps are closures over files in memory; layers are real blobs of a store
//! source.rs       SourceTree: files in memory
//! packages.rs     Bootstrapper: a file for each package
//! disks.rs        DiskMaker: what was ordered
//! bench.rs        Runner: a table of what runs
//! shelf.rs        Registry: documents and blobs in memory
//! archive.rs      what stands in a tar
//! conformance/    one suite for each port
//! ```
#![deny(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub mod archive;
mod bench;
pub mod conformance;
mod disks;
mod machine;
mod packages;
mod shelf;
mod source;
mod systems;
mod tree;

pub use bench::Bench;
pub use disks::Disks;
pub use machine::{Held, Machine, Scene};
pub use packages::{Packages, deb};
pub use shelf::Shelf;
pub use source::MemorySource;
pub use systems::Desks;
pub use tree::{Entry, Tree, tree};
