//! What one buildpack's build left in its directory of the layers, judged: it is a stranger's doing.

use std::path::Path;

use crate::failure::{Doing as _, Failure};
use crate::model::api::Api;
use crate::model::descriptor::Descriptor;
use crate::model::group::BuildFile;
use crate::model::launch::Launch;
use crate::model::layer::{self, About, Layer, Sbom};
use crate::tree::{Folder, What};

/// A layer, by name.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) layer: Layer,
    /// Whether it has a directory.
    pub(crate) here: bool,
}

/// All layers that are described, sorted by name. A description or a directory that is a symlink is an error, as is a
/// directory with a name that no layer may have.
pub(crate) fn layers(folder: &Folder) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for file in folder.texts().doing(|| "list its layers".to_owned())? {
        if layer::is_reserved(&file) && folder.what(&file).doing(|| format!("look at {file}"))? != What::Nothing {
            return Err(Failure::new(format!("a layer must not be named `{file}`")));
        }
        let Some(name) = layer::described(&file) else { continue };
        let text = folder.text(&file).doing(|| format!("read {file}"))?.unwrap_or_default();
        let layer = Layer::parse(&text).doing(|| format!("read {file}"))?;
        let here = match folder.what(name).doing(|| format!("look at layer {name}"))? {
            What::Nothing => false,
            What::Folder => true,
            What::File | What::Other => {
                return Err(Failure::new(format!("layer {name} must be a directory, and is a file or a symlink")));
            }
        };
        found.push(Found { name: name.to_owned(), layer, here });
    }
    Ok(found)
}

/// Renames the directories of layers that are for nothing to `NAME.ignore`.
pub(crate) fn ignore(folder: &Folder, layers: &mut [Found]) -> Result<(), Failure> {
    for found in layers.iter_mut().filter(|found| found.here && found.layer.types.none()) {
        let deed = || format!("put layer {} aside", found.name);
        let aside = format!("{}.ignore", found.name);
        folder.remove(&aside).doing(deed)?;
        rustix::fs::renameat(folder, &found.name, folder, &aside).doing(deed)?;
        found.here = false;
    }
    Ok(())
}

/// `launch.toml` and `build.toml`; what is not there says nothing.
pub(crate) fn files(folder: &Folder, id: &str, api: Api) -> Result<(Launch, BuildFile), Failure> {
    let text = |name: &str| folder.text(name).doing(|| format!("read {name}"));
    let launch = match text("launch.toml")? {
        Some(text) => Launch::parse(&text, api, id).doing(|| "read launch.toml".to_owned())?,
        None => Launch::default(),
    };
    let build = match text("build.toml")? {
        Some(text) => toml::from_str(&text).doing(|| "read build.toml".to_owned())?,
        None => BuildFile::default(),
    };
    Ok((launch, build))
}

/// An SBOM file, and which directories below `LAYERS/sbom` it belongs into.
#[derive(Debug)]
pub(crate) struct FoundSbom {
    /// As the buildpack named it.
    pub(crate) name: String,
    pub(crate) sbom: Sbom,
    pub(crate) kinds: Vec<&'static str>,
}

/// The SBOM files that count. One of a format that the buildpack did not announce is an error; one of a layer that is not
/// there counts for nothing.
pub(crate) fn sboms(folder: &Folder, descriptor: &Descriptor, layers: &[Found]) -> Result<Vec<FoundSbom>, Failure> {
    let mut all = Vec::new();
    for name in folder.texts().doing(|| "list its SBOM files".to_owned())? {
        let Some(sbom) = Sbom::of(&name) else { continue };
        if !sbom.is_announced(&descriptor.buildpack.sbom_formats) {
            let media_type = sbom.media_type();
            return Err(Failure::new(format!("{name}: sbom-formats of buildpack.toml does not have {media_type}")));
        }
        let kinds = match &sbom.about {
            About::Build => vec!["build"],
            About::Launch => vec!["launch"],
            About::Layer(layer) => {
                let types = layers.iter().find(|found| found.name == *layer).map(|found| found.layer.types);
                let types = types.unwrap_or_default();
                let kinds = [(types.build, "build"), (types.launch, "launch"), (types.cache, "cache")];
                kinds.into_iter().filter(|(is, _)| *is).map(|(_, kind)| kind).collect()
            }
        };
        all.push(FoundSbom { name, sbom, kinds });
    }
    Ok(all)
}

/// The store, if there is one.
pub(crate) fn store(folder: &Folder) -> Result<Option<serde_json::Value>, Failure> {
    let text = folder.text("store.toml").doing(|| "read store.toml".to_owned())?;
    text.map(|text| layer::parse_store(&text).doing(|| "read store.toml".to_owned())).transpose()
}

/// Whether a directory of a layer (`bin`, `lib`, …) is there.
pub(crate) fn has_directory(layer: &Path, directory: &str) -> bool {
    layer.join(directory).is_dir()
}
