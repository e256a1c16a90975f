//! Images that others made, into the store: from an OCI layout, an OCI archive, an archive of Docker's.
//!
//! ```text
//! place.rs    files of a layout: in a directory, or in a tar
//! choose.rs   which image: by its reference and our platform
//! docker.rs   archives of `docker save`
//! ```
//!
//! What is taken is looked through by [`crate::admit`] and keeps its bytes. Only archives of Docker's have no manifest:
//! theirs is made here, the same for the same content; their layers are compressed as ours are.

mod choose;
mod docker;
mod place;

use std::io::Read;
use std::path::PathBuf;

use till_core::Digest;

use crate::admit::{Blobs, ImportLimits, take};
use crate::error::ImageError;
use crate::image::Image;
use crate::place::{Transport, named};
use crate::platform::Platform;
use crate::store::Store;
use choose::Wish;
use place::Place;

/// Where an image is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportSource {
    /// `oci:DIR[:REFERENCE]`
    Layout {
        /// The layout.
        dir: PathBuf,
        /// Which of its images; a name or a digest.
        reference: Option<String>,
    },
    /// `oci-archive:FILE[:REFERENCE]`
    OciArchive {
        /// The archive.
        file: PathBuf,
        /// Which of its images; a name or a digest.
        reference: Option<String>,
    },
    /// `docker-archive:FILE[:NAME:TAG]`
    DockerArchive {
        /// The archive.
        file: PathBuf,
        /// Which of its images.
        reference: Option<String>,
    },
}

/// What an image was taken from, in words.
pub(crate) const SOURCES: &str = "oci:DIR[:REFERENCE], oci-archive:FILE[:REFERENCE] or docker-archive:FILE[:NAME:TAG]";

impl ImportSource {
    /// Reads what was typed. As with other tools, the first `:` ends the path.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let bad = || ImageError::Place {
            place: text.to_owned(),
            why: "it names no place to import from".to_owned(),
            hint: SOURCES,
        };
        let (transport, path, reference) = named(text).ok_or_else(bad)?;
        Ok(match transport {
            Transport::Oci => Self::Layout { dir: path, reference },
            Transport::OciArchive => Self::OciArchive { file: path, reference },
            Transport::DockerArchive => Self::DockerArchive { file: path, reference },
        })
    }
}

/// An image that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The image, in the store.
    pub image: Image,
    /// The index of several platforms from which it was chosen.
    pub index: Option<Digest>,
    /// What that index had, in its order.
    pub platforms: Vec<Platform>,
    /// What the image was called there.
    pub reference: Option<String>,
    /// What was left out of it.
    pub notices: Vec<String>,
}

/// Takes an image into the store, whole or not at all.
pub fn import(
    store: &Store,
    from: &ImportSource,
    platform: &Platform,
    limits: &ImportLimits,
) -> Result<Imported, ImageError> {
    match from {
        ImportSource::Layout { dir, reference } => {
            layout(&Place::directory(dir)?, store, Wish { reference: reference.as_deref(), platform }, limits)
        }
        ImportSource::OciArchive { file, reference } => {
            let place = Place::archive(file, store, limits)?;
            layout(&place, store, Wish { reference: reference.as_deref(), platform }, limits)
        }
        ImportSource::DockerArchive { file, reference } => {
            let place = Place::archive(file, store, limits)?;
            docker::import(&place, store, Wish { reference: reference.as_deref(), platform }, limits)
        }
    }
}

fn layout(place: &Place, store: &Store, wish: Wish<'_>, limits: &ImportLimits) -> Result<Imported, ImageError> {
    let chosen = choose::choose(place, wish)?;
    let admitted = take(place, store, &chosen.manifest, limits)?;
    Ok(Imported {
        image: admitted.image,
        index: chosen.index,
        platforms: chosen.platforms,
        reference: chosen.reference,
        notices: admitted.notices,
    })
}

impl Blobs for Place {
    fn open(&self, digest: &Digest) -> Result<Option<Box<dyn Read + '_>>, ImageError> {
        self.file(&format!("blobs/sha256/{}", digest.hex()))
    }
}
