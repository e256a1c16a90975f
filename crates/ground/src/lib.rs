//! Everything outside: one folder for each technology, each filling ports of core. No folder names another.
//!
//! ```text
//! process.rs   the one place where processes are started
//! http.rs      clients for registries and files of the web
//! tls.rs       whose certificates they believe
//! fetch.rs     Fetcher: files of the web
//! scratch.rs   directories for work in progress, and their sweep
//! hypervisor.rs what container/ asks of qemu/
//! source/      SourceTree: a directory, a git repository
//! debian/      Bootstrapper: mmdebstrap
//! registry/    Registry: images, by the distribution protocol
//! qemu/        DiskMaker: disks that boot; steps in machines
//! container/   Environment and Runner: an OCI runtime over overlayfs
//! ```

pub mod container;
pub mod debian;
pub mod fetch;
mod http;
pub mod hypervisor;
pub mod process;
pub mod qemu;
pub mod registry;
mod scratch;
pub mod source;
mod tls;

pub use http::Patience;
