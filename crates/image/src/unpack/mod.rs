//! Archives into trees. Whoever wrote the archive, nothing outside the tree is touched.
//!
//! Sources come from strangers, layers from our own store; both take the same way. A process that dies leaves a part of
//! the tree: whoever wants it whole unpacks beside its place and renames.

mod entry;
mod place;
pub(crate) mod reader;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use till_core::port::Layer;

use crate::error::ImageError;
use crate::ids::IdShift;
use crate::reading::VerifiedLayer;
use crate::store::Store;
pub(crate) use entry::{Member, What, safe_parts};
pub(crate) use place::Place;
pub(crate) use reader::Reader;

/// How an archive becomes a tree.
#[derive(Debug, Clone)]
pub struct Unpacking {
    /// How owners are shifted.
    pub ids: IdShift,
    /// The ids inside that everything belongs to, whatever the archive says.
    pub owner: Option<(u32, u32)>,
    /// What names that begin with `.wh.` mean.
    pub whiteouts: Whiteouts,
    /// The most bytes of content.
    pub limit_bytes: Option<u64>,
    /// The most entries.
    pub limit_files: Option<u64>,
}

impl Unpacking {
    /// Into a tree, without whiteouts.
    pub(crate) fn into_tree(ids: IdShift, owner: Option<(u32, u32)>, limit_bytes: Option<u64>) -> Self {
        Self { ids, owner, whiteouts: Whiteouts::Refuse, limit_bytes, limit_files: None }
    }

    /// An archive that is no layer, as it is: without limits, with the ids that it says or those of one owner.
    pub fn plain(owner: Option<(u32, u32)>) -> Self {
        let ids = IdShift { first: 0, count: 65_536 };
        Self { ids, owner, whiteouts: Whiteouts::Plain, limit_bytes: None, limit_files: None }
    }

    /// How a layer becomes a tree. It was looked through when it came into the store: there are no limits.
    pub(crate) fn of_layer(ids: IdShift) -> Self {
        Self { ids, owner: None, whiteouts: Whiteouts::Overlay, limit_bytes: None, limit_files: None }
    }
}

/// What names that begin with `.wh.` mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whiteouts {
    /// The archive is a layer: they are removed files, as overlayfs wants them (a character device 0:0,
    /// `trusted.overlay.opaque`). Names are relative; devices directly in `dev` are left out.
    Overlay,
    /// They are an error: of a source, they would vanish from the image.
    Refuse,
    /// Nothing.
    Plain,
}

/// What was unpacked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Bytes of content.
    pub bytes: u64,
    /// Entries.
    pub files: u64,
}

/// Unpacks an archive into `root/prefix`. The prefix is resolved inside of `root`, the archive inside of the prefix.
pub fn unpack(tar: &mut dyn Read, root: &Path, prefix: &str, unpacking: &Unpacking) -> Result<Unpacked, ImageError> {
    let mut place = Place::open(root, prefix, unpacking)?;
    let mut times = BTreeMap::new();
    let mut done = Unpacked::default();
    let mut archive = Reader::new(tar);
    while let Some(entry) = archive.next().map_err(ImageError::Archive)? {
        count(&mut done, entry.size, unpacking)?;
        if let Some(member) = Member::of(entry, unpacking)? {
            if member.what != What::Device {
                place.take(&member, &mut archive)?;
            }
            if member.what == What::Directory {
                times.insert(member.path, member.mtime);
            }
        }
    }
    for (path, mtime) in times {
        place.set_directory_time(&path, mtime)?;
    }
    Ok(done)
}

/// Unpacks a stored layer into `root`; fails when the layer is not what its digests say.
pub fn unpack_layer(store: &Store, layer: &Layer, root: &Path, ids: IdShift) -> Result<Unpacked, ImageError> {
    let unpacking = Unpacking::of_layer(ids);
    let mut tar = VerifiedLayer::open(store, layer)?;
    match unpack(&mut tar, root, "", &unpacking) {
        Err(ImageError::Archive(source)) => Err(ImageError::DamagedLayer { digest: layer.blob.0.clone(), source }),
        other => {
            let done = other?;
            tar.verify()?;
            Ok(done)
        }
    }
}

/// Counts an entry, as long as no limit is reached.
pub(crate) fn count(done: &mut Unpacked, size: u64, unpacking: &Unpacking) -> Result<(), ImageError> {
    done.files += 1;
    done.bytes = done.bytes.saturating_add(size);
    match (unpacking.limit_files, unpacking.limit_bytes) {
        (Some(limit), _) if done.files > limit => Err(ImageError::TooMany { limit }),
        (_, Some(limit)) if done.bytes > limit => Err(ImageError::TooLarge { limit }),
        _ => Ok(()),
    }
}
