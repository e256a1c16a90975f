//! Trees that strangers wrote: reached from a directory's descriptor, name by name, and never through a symlink.
//!
//! ```text
//! folder.rs   an open directory: enter, list, read, make
//! moving.rs   trees to another place: moved where that is possible, else copied
//! normal.rs   owners and times as an image has them
//! ```

mod folder;
mod moving;
mod normal;

pub(crate) use folder::{Folder, What};
pub(crate) use moving::{Links, bring, copy};
pub(crate) use normal::{Owner, normalise};

/// Deeper than trees of software are; each level costs a descriptor.
const DEPTH: u32 = 256;

/// Says that a tree is deeper than that.
fn too_deep() -> std::io::Error {
    std::io::Error::other(format!("it is more than {DEPTH} directories deep"))
}
