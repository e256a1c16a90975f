//! A new image from layers and words about them.

use std::collections::BTreeMap;

use till_core::model::Launch;
use till_core::port::Layer;
use till_core::{Digest, ManifestDigest};

use super::spec::{CONFIG, Descriptor, MANIFEST, Manifest};
use super::{History, Image, ImageConfig};
use crate::compress::Compression;
use crate::error::ImageError;
use crate::store::Store;
use till_core::model::manifest::architecture;

/// Labels of this house: they speak of one image, not of what is built upon it.
const OWN_LABELS: &str = "io.tillage.";

/// Beginnings of keys by which Docker and BuildKit speak of one image, not of what is built upon it.
const OF_ONE_IMAGE: [&str; 5] = ["container", "docker_version", "id", "parent", "moby.buildkit."];

/// What an image is made of.
#[derive(Debug, Clone, Default)]
pub struct Assembly<'a> {
    /// What it is built upon: its layers come first, its config is where the new one begins.
    pub base: Option<&'a Image>,
    /// Where the config begins in place of the base's; its history is not taken: the base's is.
    pub config: Option<ImageConfig>,
    /// The new layers, the lowest first, and what made each of them.
    pub layers: Vec<(Layer, String)>,
    /// How the new layers came about, with the steps between that left none; in place of one entry for each layer.
    pub history: Option<Vec<History>>,
    /// Seconds since 1970: when it was made.
    pub epoch: u64,
    /// Labels beside the base's; those of the base that begin with `io.tillage.` are dropped.
    pub labels: BTreeMap<String, String>,
    /// How it is started, and the process that is started by default.
    pub launch: Option<(&'a Launch, Option<&'a str>)>,
    /// Of the manifest.
    pub annotations: BTreeMap<String, String>,
}

/// Makes an image and stores its config and manifest. Its layers have to be in the store.
pub fn assemble(assembly: &Assembly<'_>, store: &Store) -> Result<Image, ImageError> {
    let layers: Vec<Layer> = assembly
        .base
        .iter()
        .flat_map(|base| &base.layers)
        .chain(assembly.layers.iter().map(|(layer, _)| layer))
        .map(by_the_spec)
        .collect();
    let diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let config_bytes = configure(assembly)?.write(diff_ids).map_err(unwritable("config"))?;
    // As it will be read: what is set wins over what it was set beside.
    let (config, _) = ImageConfig::read(&config_bytes).map_err(unwritable("config"))?;
    let config_digest = store.put(&config_bytes)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        config: Descriptor::new(CONFIG, config_digest.clone(), config_bytes.len() as u64),
        layers: layers.iter().map(Descriptor::of_layer).collect(),
        annotations: assembly.annotations.clone(),
    };
    Ok(Image { manifest: ManifestDigest(store.put(&json("manifest", &manifest)?)?), config_digest, layers, config })
}

/// The layer under the spec's name of its form: Docker's names have no place in the spec's manifests.
fn by_the_spec(layer: &Layer) -> Layer {
    let name = Compression::of_media_type(&layer.media_type).map(|known| known.media_type().to_owned());
    Layer { media_type: name.unwrap_or_else(|| layer.media_type.clone()), ..layer.clone() }
}

/// The JSON of a document of ours.
pub(crate) fn json(what: &'static str, document: &impl serde::Serialize) -> Result<Vec<u8>, ImageError> {
    serde_json::to_vec(document).map_err(unwritable(what))
}

/// Strings, numbers and maps of strings: it cannot fail, but serde cannot know.
fn unwritable(what: &'static str) -> impl FnOnce(serde_json::Error) -> ImageError {
    move |source| ImageError::Document { what, digest: Digest::of(b""), source }
}

fn configure(assembly: &Assembly<'_>) -> Result<ImageConfig, ImageError> {
    let base = assembly.base.map(|base| &base.config);
    let mut config = assembly.config.as_ref().or(base).cloned().unwrap_or_default();
    let created = rfc3339(assembly.epoch);
    config.history = history(assembly, &created)?;
    config.created = created;
    if config.os.is_empty() {
        config.os = "linux".to_owned();
    }
    if config.architecture.is_empty() {
        config.architecture = architecture().to_owned();
    }
    config.rest.retain(|key, _| !OF_ONE_IMAGE.iter().any(|prefix| key.starts_with(prefix)));
    config.labels.retain(|name, _| !name.starts_with(OWN_LABELS));
    config.labels.extend(assembly.labels.clone());
    if let Some((launch, process)) = assembly.launch {
        start(&mut config, launch, process)?;
    }
    Ok(config)
}

/// The base's history and ours: as many entries with a layer as there are layers.
fn history(assembly: &Assembly<'_>, created: &str) -> Result<Vec<History>, ImageError> {
    let count = |history: &[History]| history.iter().filter(|entry| !entry.empty_layer).count();
    let mut history = Vec::new();
    if let Some(base) = assembly.base {
        history.clone_from(&base.config.history);
        // Some say nothing of their history. Ours must not be taken for that of their layers.
        if count(&history) != base.layers.len() {
            history = vec![History { created: base.config.created.clone(), ..History::default() }; base.layers.len()];
        }
    }
    match &assembly.history {
        Some(ours) if count(ours) == assembly.layers.len() => history.extend(ours.iter().cloned()),
        Some(ours) => return Err(ImageError::History { layers: assembly.layers.len(), entries: count(ours) }),
        None => history.extend(assembly.layers.iter().map(|(_, made_by)| History {
            created: created.to_owned(),
            created_by: made_by.clone(),
            ..History::default()
        })),
    }
    Ok(history)
}

fn start(config: &mut ImageConfig, launch: &Launch, process: Option<&str>) -> Result<(), ImageError> {
    config.cmd = Vec::new();
    match process {
        Some(name) => {
            let process = launch.processes.get(name).ok_or_else(|| ImageError::Process { process: name.to_owned() })?;
            config.entrypoint = process.argv.clone();
            launch.env_of(name).iter().for_each(|(name, value)| config.set_env(name, value));
        }
        None => {
            config.entrypoint = Vec::new();
            launch.env.iter().for_each(|(name, value)| config.set_env(name, value));
        }
    }
    config.user = launch.user.clone();
    config.dir = launch.dir.clone();
    let exposed = |port: &till_core::model::Port| format!("{}/{}", port.number, port.protocol.transport());
    config.exposed_ports = launch.ports.iter().map(exposed).collect();
    Ok(())
}

/// Seconds since 1970 as a time in UTC (RFC 3339).
pub fn rfc3339(epoch: u64) -> String {
    let (days, seconds) = (epoch / 86_400, epoch % 86_400);
    // Years that begin in March, so that the leap day is the last one; in eras of 400 years (H. Hinnant's
    // `civil_from_days`).
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + carry;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn times_are_written_as_rfc_3339() {
        for (epoch, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(epoch), text);
        }
    }
}
