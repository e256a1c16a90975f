//! The phases: what is decided is carried out. Each reads what the one before has left.
//!
//! ```text
//! prepare.rs   app and layers               ─► directories of the builds' user
//! detect.rs    order, buildpacks, app          ─► group.toml, plan.toml
//! restore.rs   group, cache, previous image    ─► LAYERS/BUILDPACK/…
//! build.rs     group, plan, app                ─► layers, config/metadata.toml
//! outputs.rs   what one buildpack's build left, judged
//! export/      all of it                       ─► a tree for each layer of the image, a report, the new cache
//! ```

mod build;
mod detect;
mod export;
mod outputs;
mod prepare;
mod restore;

pub(crate) use build::build;
pub(crate) use detect::detect;
pub(crate) use export::export;
pub(crate) use prepare::prepare;
pub(crate) use restore::restore;

use std::io::Write as _;

/// Where a layer of the cache is, below a buildpack's directory in it.
const CACHED_LAYERS: &str = "layers";
/// Where its SBOM files are: `sbom/LAYER/sbom.ENDING`.
const CACHED_SBOM: &str = "sbom";
/// What the cache is now, below its directory.
const COMMITTED: &str = "committed";
/// What it will be.
const STAGING: &str = "staging";
/// What the cache remembers, in [`COMMITTED`].
const CACHE_FILE: &str = "cache.json";
/// What an image remembers, in the directory `config` of its layers.
const IMAGE_FILE: &str = "till.json";

/// Says something to whoever reads the log.
fn say(text: &str) {
    // Nobody may be listening any more; the work goes on.
    let _ = writeln!(std::io::stdout(), "{text}");
}
