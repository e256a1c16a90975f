//! Bytes of images: the store on disk, layers (packed from overlays, unpacked into trees), manifests, exports.
//!
//! Synchronous, local files only: no processes, no network, no clock. Trees that strangers wrote are touched by
//! directory descriptors alone, so that nothing inside such a tree leads out of it.
#![deny(missing_docs)]

mod archive;
mod compress;
mod error;
mod export;
mod ids;
mod image;
mod pack;
mod reading;
mod remove;
mod store;
mod tree;
mod unpack;

pub use compress::Compression;
pub use error::ImageError;
pub use export::{ExportCompression, export_oci};
pub use ids::IdShift;
pub use image::{Assembly, History, Image, ImageConfig, assemble, load, rfc3339};
pub use pack::{Packed, Packing, pack};
pub use reading::open_layer;
pub use remove::{find_matching, remove_matching};
pub use store::{BlobWriter, Store};
pub use unpack::{Unpacked, Unpacking, Whiteouts, unpack, unpack_layer};
