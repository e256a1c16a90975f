//! Nouns, decisions and ports of Tillage.
//!
//! Everything that is *decided* is decided here, as data, before anything is done. There is no file, clock, process,
//! network or log in this crate (its `clippy.toml` bans them), so every decision can be tested as a table.
#![deny(missing_docs)]

pub mod contract;
pub mod detect;
pub mod digest;
pub mod dockerfile;
pub mod fault;
pub mod id;
pub mod inventory;
pub mod known;
pub mod model;
pub mod packages;
pub mod plan;
pub mod port;
pub mod provenance;
pub mod recipe;
pub mod system;
pub mod words;

pub use digest::{BlobDigest, DiffId, Digest, ManifestDigest, PlanDigest};
pub use fault::{Blame, Failure, Fault};
