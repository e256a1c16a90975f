//! Those whom we are measured with, each with everything it keeps in a folder of its own below `target/bench`.
//!
//! None of them touches what the machine's own daemons keep, and none makes a bridge or a firewall rule: what they run uses
//! the host's network.

mod containers;
mod docker;
mod registry;
mod umoci;

pub(super) use containers::Containers;
pub(super) use docker::{Builder, Docker};
pub(super) use registry::Registry;
pub(super) use umoci::Umoci;
