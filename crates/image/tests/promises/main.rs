//! What this crate promises to the others. Names that begin with `root_` need root: they make owners and devices.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
mod copy;
mod evil;
mod fuzz;
mod hostile;
mod image;
mod import;
mod pack;
mod remove;
mod scan;
mod store;
mod unpack;
