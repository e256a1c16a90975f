//! Which image of a layout: by its reference, then by platform. An index is never taken for one of its images silently.

use std::collections::BTreeSet;

use till_core::Digest;

use super::place::Place;
use crate::admit::{Blobs as _, Document, Listed, MAX_DOCUMENT, MAX_INDEX, brief, fetch, is_index, parse_platform};
use crate::error::ImageError;
use crate::platform::Platform;

/// Indexes within indexes. One is usual.
const MAX_DEPTH: usize = 8;

/// Descriptors of all indexes together.
const MAX_LISTED: usize = 2000;

/// Names that tools give images in a layout: the spec's, and containerd's.
const NAMES: [&str; 2] = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];

/// Which image is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) reference: Option<&'a str>,
    pub(super) platform: &'a Platform,
}

/// The image that was chosen.
pub(super) struct Chosen {
    pub(super) manifest: Vec<u8>,
    pub(super) index: Option<Digest>,
    pub(super) platforms: Vec<Platform>,
    pub(super) reference: Option<String>,
}

/// A manifest that could be meant, and what it is said to be for.
struct Candidate {
    listed: Listed,
    platform: Platform,
}

/// Chooses an image of a layout.
pub(super) fn choose(place: &Place, wish: Wish<'_>) -> Result<Chosen, ImageError> {
    let named = by_reference(place, top(place)?, wish.reference)?;
    let reference = named.first().and_then(|listed| name(listed).map(str::to_owned));
    let index = match named.as_slice() {
        [only] if is_index(&only.media_type) => Some(only.digest.clone()),
        _ => None,
    };
    let mut search = Search { place, seen: BTreeSet::new(), count: 0, found: Vec::new() };
    search.all(named, 0)?;
    let platforms: Vec<_> = search.found.iter().map(|candidate| candidate.platform.clone()).collect();
    let mut best: Option<(u8, &Candidate)> = None;
    for candidate in &search.found {
        let Some(rank) = wish.platform.rank(&candidate.platform) else {
            continue;
        };
        // An index may list what was left away when it was copied. Of equals the first is meant.
        if best.is_none_or(|(other, _)| rank < other) && place.open(&candidate.listed.digest)?.is_some() {
            best = Some((rank, candidate));
        }
    }
    let Some((_, Candidate { listed, platform })) = best else {
        return Err(no_platform(place, wish.platform, &platforms));
    };
    let manifest = fetch(place, listed, "manifest", MAX_DOCUMENT)?;
    let own = platform_of(place, listed, &manifest)?;
    if wish.platform.rank(&own).is_none() {
        let why = format!("it is called an image for {platform}, and calls itself one for {own}");
        return Err(ImageError::Refused { what: format!("manifest {}", listed.digest), why: brief(&why) });
    }
    Ok(Chosen { manifest, index, platforms, reference })
}

/// What an image says that it is for.
fn platform_of(place: &Place, listed: &Listed, manifest: &[u8]) -> Result<Platform, ImageError> {
    let what = format!("manifest {}", listed.digest);
    match Document::read(manifest, &what)? {
        Document::Manifest { config, .. } => {
            parse_platform(&fetch(place, &config, "config", MAX_DOCUMENT)?, &config.digest)
        }
        Document::Index(_) => {
            Err(ImageError::Refused { what, why: "it is called a manifest, and is an index".to_owned() })
        }
    }
}

/// Nothing there is for this machine.
pub(super) fn no_platform(place: &Place, wanted: &Platform, there: &[Platform]) -> ImageError {
    let there: BTreeSet<_> = there.iter().map(|platform| brief(&platform.to_string())).collect();
    let there = there.into_iter().take(40).collect::<Vec<_>>().join(", ");
    let there = if there.is_empty() { "no image at all".to_owned() } else { there };
    ImageError::Choice {
        what: format!("`{}` has no image for {wanted}; it has {there}", place.path().display()),
        hint: "take an image that was made for this machine".to_owned(),
    }
}

fn top(place: &Place) -> Result<Vec<Listed>, ImageError> {
    let what = format!("`{}`", place.path().join("index.json").display());
    let refused = |why: &str| ImageError::Refused { what: what.clone(), why: why.to_owned() };
    if place.document("oci-layout", MAX_INDEX)?.is_none() {
        let why = "it is no OCI layout: it has no file oci-layout".to_owned();
        return Err(ImageError::Place { place: place.path().display().to_string(), why, hint: super::SOURCES });
    }
    let bytes = place.document("index.json", MAX_INDEX)?.ok_or_else(|| refused("it is not there"))?;
    match Document::read(&bytes, &what)? {
        Document::Index(listed) => Ok(listed),
        Document::Manifest { .. } => Err(refused("it is no index")),
    }
}

fn name(listed: &Listed) -> Option<&str> {
    NAMES.iter().find_map(|key| listed.annotations.get(*key)).map(String::as_str)
}

/// What is meant by a reference; without one, all, if they are not several images.
fn by_reference(place: &Place, all: Vec<Listed>, reference: Option<&str>) -> Result<Vec<Listed>, ImageError> {
    let names: BTreeSet<_> = all.iter().filter_map(|listed| name(listed).map(str::to_owned)).collect();
    let Some(reference) = reference else {
        return if names.len() > 1 { Err(several(place, &names)) } else { Ok(all) };
    };
    let is_meant = |listed: &Listed| {
        listed.digest.as_str() == reference
            || NAMES.iter().any(|key| listed.annotations.get(*key).is_some_and(|name| name == reference))
    };
    let meant: Vec<_> = all.into_iter().filter(is_meant).collect();
    if meant.is_empty() { Err(nothing(place, reference, &names)) } else { Ok(meant) }
}

fn listing(names: &BTreeSet<String>) -> String {
    names.iter().take(40).map(|name| brief(name)).collect::<Vec<_>>().join(", ")
}

/// Several images, and none was named.
pub(super) fn several(place: &Place, names: &BTreeSet<String>) -> ImageError {
    ImageError::Choice {
        what: format!("`{}` has several images: {}", place.path().display(), listing(names)),
        hint: "name one of them behind the path, after a `:`".to_owned(),
    }
}

/// An image was named that is not there.
pub(super) fn nothing(place: &Place, reference: &str, names: &BTreeSet<String>) -> ImageError {
    let hint = if names.is_empty() {
        "its images have no names: leave the name away".to_owned()
    } else {
        format!("it has {}", listing(names))
    };
    ImageError::Choice { what: format!("`{}` has no image `{reference}`", place.path().display()), hint }
}

/// All manifests below some descriptors.
struct Search<'a> {
    place: &'a Place,
    seen: BTreeSet<Digest>,
    count: usize,
    found: Vec<Candidate>,
}

impl Search<'_> {
    fn all(&mut self, listed: Vec<Listed>, depth: usize) -> Result<(), ImageError> {
        for listed in listed {
            self.count += 1;
            if self.count > MAX_LISTED {
                let what = format!("`{}`", self.place.path().display());
                return Err(ImageError::Refused { what, why: format!("its indexes list more than {MAX_LISTED}") });
            }
            let is_new = self.seen.insert(listed.digest.clone());
            if is_new && !is_attestation(&listed) {
                self.one(listed, depth)?;
            }
        }
        Ok(())
    }

    fn one(&mut self, listed: Listed, depth: usize) -> Result<(), ImageError> {
        if is_index(&listed.media_type) {
            let what = format!("index {}", listed.digest);
            if depth == MAX_DEPTH {
                return Err(ImageError::Refused { what, why: format!("it lies in {MAX_DEPTH} others") });
            }
            let bytes = fetch(self.place, &listed, "index", MAX_INDEX)?;
            return match Document::read(&bytes, &what)? {
                Document::Index(below) => self.all(below, depth + 1),
                Document::Manifest { .. } => {
                    Err(ImageError::Refused { what, why: "it is called an index, and is a manifest".to_owned() })
                }
            };
        }
        let platform = match listed.platform.clone() {
            Some(platform) => platform,
            None => platform_of(self.place, &listed, &fetch(self.place, &listed, "manifest", MAX_DOCUMENT)?)?,
        };
        self.found.push(Candidate { listed, platform });
        Ok(())
    }
}

/// BuildKit keeps what it says of images in manifests of a platform that does not exist.
fn is_attestation(listed: &Listed) -> bool {
    listed.annotations.contains_key("vnd.docker.reference.type")
        || listed.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
}
