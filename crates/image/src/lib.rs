//! Bytes of images: the store on disk, layers (packed from overlays, unpacked into trees), manifests, exports.
//!
//! Synchronous, local files only: no processes, no network, no clock. Trees that strangers wrote are touched by
//! directory descriptors alone, so that nothing inside such a tree leads out of it.
#![deny(missing_docs)]

mod admit;
mod archive;
mod compress;
mod copy;
mod deb;
mod disk;
mod error;
mod export;
mod ids;
mod image;
mod import;
mod pack;
mod place;
mod platform;
mod reading;
mod referrer;
mod remove;
mod scan;
mod store;
mod tree;
mod unpack;

pub use admit::{Admitted, ImportLimits, Policy, Verified, admit, verify_layer};
pub use compress::Compression;
pub use copy::{Gathering, Landed, Rewriting, gather, land};
pub use deb::{control, extract};
pub use disk::{
    BadDisk, BootSector, DiskFormat, DiskIds, ESP_BYTES, ESP_OFFSET, Initramfs, ROOT_OFFSET, check as check_disk,
    initramfs, root_bytes, settle, write_table,
};
pub use error::ImageError;
pub use export::{Destination, ExportCompression, converted, export};
pub use ids::IdShift;
pub use image::{Assembly, Healthcheck, History, Image, ImageConfig, Object, assemble, load, rfc3339};
pub use import::{ImportSource, Imported, import};
pub use pack::{Packed, Packing, pack};
pub use platform::{BadPlatform, Platform};
pub use reading::open_layer;
pub use referrer::{Attached, attach, attached, blobs_of};
pub use remove::{find_matching, read_file, read_text, remove_matching};
pub use scan::{chain_ids, list_files, take_inventory};
pub use store::{BlobWriter, Store};
pub use tree::followed;
pub use unpack::{Unpacked, Unpacking, Whiteouts, unpack, unpack_layer};
