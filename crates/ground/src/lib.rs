//! Everything outside: one folder for each technology, each filling ports of core. No folder names another.
//!
//! ```text
//! process.rs   the one place where processes are started
//! scratch.rs   directories for work in progress, and their sweep
//! source/      SourceTree: a directory, a git repository
//! debian/      Bootstrapper: mmdebstrap
//! container/   Environment and Runner: an OCI runtime over overlayfs
//! ```

pub mod container;
pub mod debian;
pub mod process;
mod scratch;
pub mod source;
