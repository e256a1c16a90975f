//! Images for other tools.
//!
//! ```text
//! layout.rs    an OCI layout in a directory, of which others may have a part
//! archive.rs   one file: an OCI archive, or what `docker load` takes
//! convert.rs   layers in another compression
//! ```

mod archive;
mod convert;
mod layout;

use std::path::PathBuf;

use till_core::ManifestDigest;

use crate::compress::Compression;
use crate::error::ImageError;
use crate::place::{Transport, named};
use crate::store::Store;
pub use layout::converted;

/// The annotation under which layouts name images.
const REFERENCE: &str = "org.opencontainers.image.ref.name";

/// What an image is called where nobody says.
const LATEST: &str = "latest";

/// How layers are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportCompression {
    /// As they are stored: the manifest stays the same.
    Keep,
    /// All in this form: another manifest, but the same config and diff ids.
    Convert(Compression),
}

/// Where an image is exported to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destination {
    /// `oci:DIR[:REFERENCE]`: a layout; other references that it has stay there.
    Layout {
        /// The directory, made when missing.
        dir: PathBuf,
        /// What the image is called there.
        reference: String,
    },
    /// `oci-archive:FILE[:REFERENCE]`
    OciArchive {
        /// The file, replaced when there.
        file: PathBuf,
        /// What the image is called there.
        reference: String,
    },
    /// `docker-archive:FILE[:NAME:TAG]`: what `docker load` takes; an OCI archive as well. Its layers are not compressed.
    DockerArchive {
        /// The file, replaced when there.
        file: PathBuf,
        /// What the image is called when it is loaded.
        name: Option<String>,
    },
}

/// Where an image is exported to, in words.
const DESTINATIONS: &str = "oci:DIR[:REFERENCE], oci-archive:FILE[:REFERENCE] or docker-archive:FILE[:NAME:TAG]";

impl Destination {
    /// Reads what was typed. As with other tools, the first `:` ends the path.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let bad = |why: &str| ImageError::Place { place: text.to_owned(), why: why.to_owned(), hint: DESTINATIONS };
        let (transport, path, reference) = named(text).ok_or_else(|| bad("it is not a place to export to"))?;
        let named = || reference.clone().unwrap_or_else(|| LATEST.to_owned());
        Ok(match transport {
            Transport::Oci => Self::Layout { dir: path, reference: named() },
            Transport::OciArchive => Self::OciArchive { file: path, reference: named() },
            Transport::DockerArchive => {
                if reference.as_ref().is_some_and(|name| !is_tagged(name)) {
                    return Err(bad("what follows the file is no NAME:TAG"));
                }
                Self::DockerArchive { file: path, name: reference }
            }
        })
    }

    /// The directory or file.
    pub fn path(&self) -> &std::path::Path {
        match self {
            Self::Layout { dir, .. } => dir,
            Self::OciArchive { file, .. } | Self::DockerArchive { file, .. } => file,
        }
    }

    /// What the image is called there.
    pub fn reference(&self) -> Option<&str> {
        match self {
            Self::Layout { reference, .. } | Self::OciArchive { reference, .. } => Some(reference),
            Self::DockerArchive { name, .. } => name.as_deref(),
        }
    }
}

/// Is it a name with a tag that Docker takes?
fn is_tagged(text: &str) -> bool {
    let Some((name, tag)) = text.rsplit_once(':') else {
        return false;
    };
    let in_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/:".contains(c);
    let in_tag = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let bounded = (1..=255).contains(&name.len()) && (1..=128).contains(&tag.len());
    bounded
        && name.chars().all(in_name)
        && tag.chars().all(in_tag)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Exports an image. Answers the manifest that it has there; equal images give equal bytes.
pub fn export(
    store: &Store,
    manifest: &ManifestDigest,
    to: &Destination,
    compression: ExportCompression,
) -> Result<ManifestDigest, ImageError> {
    match to {
        Destination::Layout { dir, reference } => layout::export(store, manifest, dir, reference, compression),
        Destination::OciArchive { file, reference } => {
            let pieces = archive::gather(store, manifest, compression)?;
            archive::write(file, &pieces, &archive::Form::Oci { reference })
        }
        Destination::DockerArchive { file, name } => {
            let pieces = archive::gather(store, manifest, ExportCompression::Convert(Compression::None))?;
            archive::write(file, &pieces, &archive::Form::Docker { name: name.as_deref() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_has_a_transport_a_path_and_perhaps_a_name() {
        let parse = |text: &str| Destination::parse(text).ok();
        let layout =
            |dir: &str, reference: &str| Some(Destination::Layout { dir: dir.into(), reference: reference.to_owned() });
        assert_eq!(parse("oci:a/b"), layout("a/b", "latest"));
        assert_eq!(parse("oci:a/b:x/y:1"), layout("a/b", "x/y:1"));
        let name =
            |name: Option<&str>| Some(Destination::DockerArchive { file: "f".into(), name: name.map(str::to_owned) });
        assert_eq!(parse("docker-archive:f"), name(None));
        assert_eq!(parse("docker-archive:f:h:5000/x:1"), name(Some("h:5000/x:1")));
        for bad in [
            "",
            "oci",
            "oci:",
            "oci::x",
            "oci:a:",
            "oci:a:b c",
            "a",
            "/a",
            "docker-archive:f:x",
            "docker-archive:f:X:1",
            "docker://x",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
