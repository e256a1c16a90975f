//! Archives as `docker save` and its kin write them: `manifest.json`, a config, and layers as tars.
//!
//! The newer ones are OCI layouts as well, with the same `manifest.json`; all are read alike. They have no manifest of the
//! image's, or one that other tools do not have: it is made here, of the config as it is and of the layers' tars
//! compressed as ours are. So the same image has the same digest, whichever tool saved it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use till_core::port::Layer;
use till_core::{BlobDigest, DiffId, Digest, ManifestDigest};

use super::Imported;
use super::choose::{Wish, no_platform, nothing, several};
use super::place::Place;
use crate::admit::{ImportLimits, Keep, MAX_DOCUMENT, MAX_INDEX, Passage, brief, parse_config, parse_platform};
use crate::compress::{Compression, Compressor};
use crate::error::{ImageError, failed};
use crate::image::{CONFIG, Descriptor, MANIFEST, Manifest, json, load};
use crate::store::{BlobWriter, Store};

/// How the layers are kept.
const COMPRESSION: Compression = Compression::Zstd;

/// An image of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

impl Saved {
    fn tags(&self) -> &[String] {
        self.repo_tags.as_deref().unwrap_or_default()
    }
}

/// Takes an image of the archive.
pub(super) fn import(
    place: &Place,
    store: &Store,
    wish: Wish<'_>,
    limits: &ImportLimits,
) -> Result<Imported, ImageError> {
    let saved = choose(place, wish.reference)?;
    let config = config(place, &saved.config)?;
    let digest = Digest::of(&config);
    let platform = parse_platform(&config, &digest)?;
    if wish.platform.rank(&platform).is_none() {
        return Err(no_platform(place, wish.platform, &[platform]));
    }
    let paths = saved.layers.as_deref().unwrap_or_default();
    let (_, diff_ids) = parse_config(&config, paths.len(), limits)?;
    let mut notices = Vec::new();
    let mut left = limits.bytes;
    let mut made: BTreeMap<&DiffId, BlobWriter> = BTreeMap::new();
    for (path, diff_id) in paths.iter().zip(&diff_ids) {
        if made.contains_key(diff_id) {
            continue;
        }
        let mut compressor = compressor(store)?;
        let passage =
            Passage { blob: file(place, path)?, named: None, diff_id, keep: Keep::Tar(&mut compressor), bytes: left };
        let verified = passage.look_through(limits)?;
        left -= verified.bytes;
        notices.extend(verified.notices);
        made.insert(diff_id, compressor.finish().map_err(failed("write", store.root()))?);
    }
    let mut layers = BTreeMap::new();
    for (diff_id, blob) in made {
        let (blob, size) = blob.finish()?;
        layers.insert(diff_id, layer(diff_id, blob, size));
    }
    let layers = diff_ids.iter().filter_map(|diff_id| layers.get(diff_id)).map(Descriptor::of_layer).collect();
    let manifest = manifest(store, &config, layers)?;
    let image = load(store, &manifest)?;
    let reference = wish.reference.map(str::to_owned).or_else(|| saved.tags().first().cloned());
    Ok(Imported { image, index: None, platforms: vec![platform], reference, notices })
}

fn compressor(store: &Store) -> Result<Compressor, ImageError> {
    Compressor::new(COMPRESSION, store.writer()?).map_err(failed("write", store.root()))
}

fn layer(diff_id: &DiffId, blob: BlobDigest, size: u64) -> Layer {
    Layer { diff_id: diff_id.clone(), blob, size, media_type: COMPRESSION.media_type().to_owned() }
}

fn manifest(store: &Store, config: &[u8], layers: Vec<Descriptor>) -> Result<ManifestDigest, ImageError> {
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        config: Descriptor::new(CONFIG, store.put(config)?, config.len() as u64),
        layers,
        annotations: BTreeMap::new(),
    };
    Ok(ManifestDigest(store.put(&json("manifest", &manifest)?)?))
}

/// The image that is meant; without a reference the only one.
fn choose(place: &Place, reference: Option<&str>) -> Result<Saved, ImageError> {
    let bytes = place.document("manifest.json", MAX_INDEX)?.ok_or_else(|| ImageError::Place {
        place: place.path().display().to_string(),
        why: "it is no archive of Docker's: it has no manifest.json".to_owned(),
        hint: super::SOURCES,
    })?;
    let mut saved: Vec<Saved> = serde_json::from_slice(&bytes).map_err(|error| ImageError::Refused {
        what: format!("`{}`", place.path().join("manifest.json").display()),
        why: error.to_string(),
    })?;
    let names: BTreeSet<_> = saved.iter().flat_map(|saved| saved.tags()).cloned().collect();
    match reference {
        Some(reference) => saved
            .into_iter()
            .find(|saved| saved.tags().iter().any(|tag| whole(tag) == whole(reference)))
            .ok_or_else(|| nothing(place, reference, &names)),
        None if saved.len() > 1 => Err(several(place, &names)),
        None => saved.pop().ok_or_else(|| ImageError::Choice {
            what: format!("`{}` has no image", place.path().display()),
            hint: "save one into it".to_owned(),
        }),
    }
}

/// A name as Docker completes it: `x` is `docker.io/library/x:latest`.
fn whole(name: &str) -> String {
    let tagged = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
    let tag = if tagged { "" } else { ":latest" };
    let (first, _) = name.split_once('/').unwrap_or_default();
    let prefix = match first {
        "" => "docker.io/library/",
        host if host.contains(['.', ':']) || host == "localhost" => "",
        _ => "docker.io/",
    };
    format!("{prefix}{name}{tag}")
}

fn file<'a>(place: &'a Place, name: &str) -> Result<Box<dyn std::io::Read + 'a>, ImageError> {
    place.file(name)?.ok_or_else(|| missing(place, name))
}

fn missing(place: &Place, name: &str) -> ImageError {
    let what = format!("`{}`", place.path().display());
    ImageError::Refused { what, why: format!("it has no file `{}`", brief(name)) }
}

/// The config, which is what its name says where that is a digest.
fn config(place: &Place, name: &str) -> Result<Vec<u8>, ImageError> {
    let bytes = place.document(name, MAX_DOCUMENT)?.ok_or_else(|| missing(place, name))?;
    let last = name.rsplit('/').next().unwrap_or(name);
    let said = format!("sha256:{}", last.trim_end_matches(".json")).parse::<Digest>();
    let found = Digest::of(&bytes);
    match said {
        Ok(said) if said != found => {
            Err(ImageError::Refused { what: format!("config {said}"), why: format!("its content has digest {found}") })
        }
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn names_are_completed_as_docker_does() {
        for (name, complete) in [
            ("x", "docker.io/library/x:latest"),
            ("x:1", "docker.io/library/x:1"),
            ("a/x", "docker.io/a/x:latest"),
            ("docker.io/library/x:latest", "docker.io/library/x:latest"),
            ("localhost/x", "localhost/x:latest"),
            ("h:5000/x", "h:5000/x:latest"),
        ] {
            assert_eq!(whole(name), complete);
        }
    }
}
