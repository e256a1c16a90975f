//! Files from one tree to a place in another, as a Dockerfile's COPY and ADD do it (BuildKit's dockerfile reference).
//!
//! ```text
//! gather.rs   a tree's files, named by patterns, to a tar archive
//! land.rs     a tar archive to a place in a tree
//! archives.rs what ADD takes for an archive
//! ```
//!
//! Names in the archive are relative to the place; `./` is the directory whose content is copied. Neither tree is left,
//! whatever its symlinks say.

pub(crate) mod archives;
mod gather;
mod land;

pub use gather::{Gathering, gather};
pub use land::{Landed, Rewriting, land};
