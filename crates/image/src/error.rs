//! What can go wrong with images, and whose doing it is.

use std::io;
use std::path::PathBuf;

use till_core::{Blame, Digest, Fault};

/// A deed with images that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file system refused.
    #[error("cannot {deed} `{}`", path.display())]
    Io {
        /// What was attempted.
        deed: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Something in a tree that no layer can hold.
    #[error("cannot keep `{path}` in an image: {why}")]
    Unfit {
        /// Inside the tree.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something that was asked for, and is not in a tree.
    #[error("there is no `{path}` there")]
    Absent {
        /// Inside the tree.
        path: String,
    },
    /// Something in an archive that is not let into a tree.
    #[error("cannot take `{path}` from the archive: {why}")]
    Hostile {
        /// As the archive calls it.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Bytes that are no tar archive.
    #[error("cannot read the archive")]
    Archive(#[source] io::Error),
    /// More content than allowed.
    #[error("cannot unpack the archive: more than {limit} bytes")]
    TooLarge {
        /// What was allowed.
        limit: u64,
    },
    /// More entries than allowed.
    #[error("cannot unpack the archive: more than {limit} files")]
    TooMany {
        /// What was allowed.
        limit: u64,
    },
    /// An id that an instance does not have.
    #[error("cannot shift id {id}: an instance has {count} ids, from {first} outside")]
    Id {
        /// The id.
        id: u64,
        /// The first id outside.
        first: u32,
        /// How many an instance has.
        count: u32,
    },
    /// A pattern that is not understood.
    #[error("cannot use pattern `{pattern}`: {why}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A stored blob with other content than its name says.
    #[error("the store is damaged: content of {expected} has digest {found}")]
    Damaged {
        /// The name.
        expected: Digest,
        /// What its content is.
        found: Digest,
    },
    /// A file that is not the blob that it was said to be.
    #[error("`{}` is not the blob {expected}: its digest is {found}", path.display())]
    Alien {
        /// The file.
        path: PathBuf,
        /// What it was said to be.
        expected: Digest,
        /// What its content is.
        found: Digest,
    },
    /// A stored layer that cannot be read as one.
    #[error("the store is damaged: cannot read layer {digest}")]
    DamagedLayer {
        /// The stored layer.
        digest: Digest,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A stored manifest or config that is not understood.
    #[error("cannot understand {what} {digest}")]
    Document {
        /// `manifest` or `config`.
        what: &'static str,
        /// Which.
        digest: Digest,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A manifest whose layers are not those of its config.
    #[error("cannot use image {digest}: {layers} layers, but {diff_ids} diff ids")]
    Layers {
        /// The manifest.
        digest: Digest,
        /// In the manifest.
        layers: usize,
        /// In the config.
        diff_ids: usize,
    },
    /// A history that does not tell of each new layer.
    #[error("cannot assemble an image: {layers} new layers, but {entries} entries of history with a layer")]
    History {
        /// New layers.
        layers: usize,
        /// Entries with a layer.
        entries: usize,
    },
    /// A blob that is asked for whole, but too large for that.
    #[error("cannot read {digest} into memory: {size} bytes")]
    LargeBlob {
        /// Which.
        digest: Digest,
        /// Its size.
        size: u64,
    },
    /// A layer of a form that is not known.
    #[error("cannot read layer {digest}: unknown media type `{media_type}`")]
    MediaType {
        /// The layer.
        digest: Digest,
        /// What the manifest calls it.
        media_type: String,
    },
    /// A directory that is to become an OCI layout, but holds something else.
    #[error("cannot export into `{}`: it is neither empty nor an OCI layout", path.display())]
    NoLayout {
        /// The directory.
        path: PathBuf,
    },
    /// Something of an image of strangers that is not taken.
    #[error("cannot take {what}: {why}")]
    Refused {
        /// Which part of it.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A layer of strangers that is not taken.
    #[error("cannot take layer {digest}")]
    RefusedLayer {
        /// Which.
        digest: Digest,
        /// What is wrong with it.
        #[source]
        source: Box<ImageError>,
    },
    /// Something that is not what it is called.
    #[error("its {what} is {found}, not {expected}")]
    Other {
        /// What was compared.
        what: &'static str,
        /// What was said.
        expected: String,
        /// What is.
        found: String,
    },
    /// An image that was named, and is not there, or not only there.
    #[error("{what}")]
    Choice {
        /// What was looked for, and what there is.
        what: String,
        /// What to say instead.
        hint: String,
    },
    /// A place that was named wrongly, or that cannot be used.
    #[error("cannot use `{place}`: {why}")]
    Place {
        /// As it was named.
        place: String,
        /// What is wrong with it.
        why: String,
        /// What to name instead.
        hint: &'static str,
    },
    /// An index that is not understood.
    #[error("cannot understand `{}`", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A default process that the launch does not have.
    #[error("cannot assemble an image: the launch has no process `{process}`")]
    Process {
        /// The process that was asked for.
        process: String,
    },
}

impl Blame for ImageError {
    fn fault(&self) -> Fault {
        match self {
            Self::Absent { .. }
            | Self::Unfit { .. }
            | Self::Hostile { .. }
            | Self::Archive(_)
            | Self::TooLarge { .. }
            | Self::TooMany { .. }
            | Self::Id { .. }
            | Self::Pattern { .. } => Fault::Source,
            Self::NoLayout { .. } | Self::Choice { .. } | Self::Place { .. } => Fault::Caller,
            Self::Refused { .. } | Self::RefusedLayer { .. } | Self::Other { .. } => Fault::Base,
            Self::Io { .. }
            | Self::Damaged { .. }
            | Self::DamagedLayer { .. }
            | Self::Alien { .. }
            | Self::Document { .. }
            | Self::Layers { .. }
            | Self::History { .. }
            | Self::LargeBlob { .. }
            | Self::MediaType { .. }
            | Self::Index { .. }
            | Self::Process { .. } => Fault::House,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Io { source, .. }
                if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                Some("free disk space, e.g. with `till gc`".to_owned())
            }
            Self::Choice { hint, .. } => Some(hint.clone()),
            Self::Place { hint, .. } => Some((*hint).to_owned()),
            Self::Refused { .. } | Self::RefusedLayer { .. } => {
                Some("nothing of it was taken; ask who made the image".to_owned())
            }
            Self::NoLayout { .. } => Some("name a directory that does not exist yet".to_owned()),
            Self::Damaged { .. } | Self::DamagedLayer { .. } => {
                Some("check the disk; what was built of this blob has to be built again".to_owned())
            }
            _ => None,
        }
    }
}

/// For `map_err`: the deed and its object, to a failure of the file system.
pub(crate) fn failed<E: Into<io::Error>>(deed: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(E) -> ImageError {
    move |source| ImageError::Io { deed, path: path.into(), source: source.into() }
}

/// A path inside a tree, for people.
pub(crate) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
