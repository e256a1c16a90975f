//! Settings: `config.toml` in the data directory, which may be empty or missing. The command line and `TILL_*` win.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use till_core::words::explain_toml;
use till_core::{Failure, Fault};
use till_image::Compression;

/// Where everything is kept when nobody says.
const DATA: &str = "/var/lib/till";

/// What stands in `DATA/config.toml`. Every key has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// How layers are stored: `zstd` or `gzip`.
    pub(crate) compression: Compression,
    /// What makes containers: runtimes to try, the best first.
    pub(crate) runtimes: Vec<String>,
    /// The first of the 65,536 ids that instances have outside.
    pub(crate) first_id: u32,
    /// Buildpacks by name, and their addresses.
    pub(crate) buildpacks: BTreeMap<String, String>,
    /// Cartridges by name, and their addresses.
    pub(crate) cartridges: BTreeMap<String, String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            compression: Compression::default(),
            runtimes: till_ground::container::candidates().map(str::to_owned).to_vec(),
            first_id: 100_000,
            buildpacks: BTreeMap::new(),
            cartridges: BTreeMap::new(),
        }
    }
}

/// The data directory, absolute.
pub(crate) fn data(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let path = given.unwrap_or(Path::new(DATA));
    std::fs::create_dir_all(path).and_then(|()| path.canonicalize()).map_err(|error| {
        Failure::house(format!("cannot make the data directory `{}`", path.display()), error)
            .hint("choose another with --data DIR or TILL_DATA")
    })
}

impl Config {
    pub(crate) fn read(data: &Path) -> Result<Self, Failure> {
        let mut config = Self::written(data)?;
        if let Ok(runtimes) = std::env::var("TILL_RUNTIMES") {
            config.runtimes =
                runtimes.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        }
        Ok(config)
    }

    fn written(data: &Path) -> Result<Self, Failure> {
        let path = data.join("config.toml");
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text.map_err(|error| Failure::house(format!("cannot read `{}`", path.display()), error))?,
        };
        toml::from_str(&text).map_err(|error| {
            Failure::new(Fault::House, format!("cannot read `{}`:\n{}", path.display(), explain_toml(&error)))
        })
    }
}
