//! What is decided, without touching a file: each part is tested as a table.
//!
//! ```text
//! order.rs      groups to try, of an order with composite buildpacks
//! resolve.rs    who takes part: build plans with alternatives
//! target.rs     whether a buildpack is made for this machine
//! variables.rs  environments: what survives, what layers, users and operators add
//! processes.rs  what several buildpacks say of processes, together
//! reuse.rs      what of the last build the next one gets
//! glob.rs       patterns of slices
//! command.rs    what the launcher starts
//! ```

pub(crate) mod command;
pub(crate) mod glob;
pub(crate) mod order;
pub(crate) mod processes;
pub(crate) mod resolve;
pub(crate) mod reuse;
pub(crate) mod target;
pub(crate) mod variables;
