//! The files of the specification, as types: what is read is taken apart and judged here, without touching a file.
//!
//! ```text
//! api.rs         versions of the buildpack API
//! descriptor.rs  buildpack.toml, order.toml
//! group.rs       group.toml, plan.toml, build plans, a buildpack's own plan, build.toml
//! layer.rs       LAYER.toml, store.toml, names of layers, SBOM files
//! launch.rs      launch.toml, metadata.toml
//! memory.rs      what the next build must know: till.json in the image, cache.json in the cache
//! report.rs      what `export` answers
//! data.rs        TOML as JSON and back
//! ```

pub(crate) mod api;
pub(crate) mod data;
pub(crate) mod descriptor;
pub(crate) mod group;
pub(crate) mod launch;
pub(crate) mod layer;
pub(crate) mod memory;
pub(crate) mod report;

/// The directory of a buildpack below the layers: its id, with `/` as `_`.
pub(crate) fn folder(id: &str) -> String {
    id.replace('/', "_")
}

/// The execution environment where none is given.
pub(crate) const PRODUCTION: &str = "production";

/// Whether a list of execution environments (none: all of them) has this one.
pub(crate) fn runs_in(list: &[String], exec_env: &str) -> bool {
    list.is_empty() || list.iter().any(|name| name == "*" || name == exec_env)
}
