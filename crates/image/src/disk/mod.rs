//! Disks that boot: everything of them that needs no tool.
//!
//! ```text
//! sector      34       the BIOS boot partition: GRUB's core image
//! 1 MiB                the EFI system partition, 32 MiB
//! 33 MiB               the root file system, ext4, to the last whole MiB before the second table
//! ```
//!
//! ```text
//! table.rs      the partition table (UEFI 2.10, chapter 5), GRUB's boot sector and core image
//! ext4.rs       times of inodes, which mke2fs takes from the tree that it copies
//! initramfs.rs  the archive that a kernel starts from
//! header.rs     what others call a disk image, by its first bytes
//! ```
//!
//! Equal inputs give equal bytes.

mod ext4;
mod header;
mod initramfs;
mod table;

pub use ext4::settle;
pub(crate) use header::check_qcow2;
pub use header::{BadDisk, DiskFormat, check};
pub use initramfs::{Initramfs, initramfs};
pub use table::{BootSector, DiskIds, ESP_BYTES, ESP_OFFSET, ROOT_OFFSET, root_bytes, write_table};
