//! Times in an ext4 file system that was copied from a tree (the kernel's documentation, "Data Structures and Algorithms").
//!
//! mke2fs takes times of change and of reading from the tree, where nobody can set them: the same tree would never be the same
//! file system. The file system must have no checksums yet (`^metadata_csum`).

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::error::{ImageError, failed};

const SUPERBLOCK: u64 = 1024;
const MAGIC: u16 = 0xEF53;
/// `INCOMPAT_64BIT`: group descriptors have more.
const WIDE: u32 = 0x80;
/// `RO_COMPAT_METADATA_CSUM`.
const CHECKSUMS: u32 = 0x400;

/// Of an inode: mode, times.
const MODE: usize = 0x0;
const ACCESSED: usize = 0x8;
const CHANGED: usize = 0xC;
const MODIFIED: usize = 0x10;
const EXTRA_SIZE: usize = 0x80;
const CHANGED_EXTRA: usize = 0x84;
const ACCESSED_EXTRA: usize = 0x8C;
const CREATED: usize = 0x90;

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Gives every inode of the file system at that place of a file the times that its time of modification allows: read then,
/// changed and made at `epoch`.
pub fn settle(disk: &Path, offset: u64, epoch: u32) -> Result<(), ImageError> {
    let file = File::options().read(true).write(true).open(disk).map_err(failed("open", disk))?;
    settle_file(&file, offset, epoch).map_err(failed("set the times of the file system in", disk))
}

fn settle_file(file: &File, offset: u64, epoch: u32) -> std::io::Result<()> {
    let bad = |why: &str| std::io::Error::other(why.to_owned());
    let mut superblock = [0; 1024];
    file.read_exact_at(&mut superblock, offset + SUPERBLOCK)?;
    if short(&superblock, 0x38) != MAGIC || long(&superblock, 0x64) & CHECKSUMS != 0 {
        return Err(bad("it is no ext4 without checksums"));
    }
    let block = 1024_u64 << long(&superblock, 0x18);
    let per_group = u64::from(long(&superblock, 0x28));
    let size = usize::from(short(&superblock, 0x58));
    let groups = u64::from(long(&superblock, 0x0)).div_ceil(per_group.max(1));
    let wide = long(&superblock, 0x60) & WIDE != 0;
    let descriptor = if wide { u64::from(short(&superblock, 0xFE)) } else { 32 };
    let table = offset + (u64::from(long(&superblock, 0x14)) + 1) * block;
    for group in 0..groups {
        let mut about = vec![0; usize::try_from(descriptor).map_err(std::io::Error::other)?];
        file.read_exact_at(&mut about, table + group * descriptor)?;
        let high = if wide { u64::from(long(&about, 0x28)) << 32 } else { 0 };
        let unused = u64::from(short(&about, 0x1C));
        let at = offset + (high | u64::from(long(&about, 0x8))) * block;
        let count = usize::try_from(per_group.saturating_sub(unused)).map_err(std::io::Error::other)?;
        let mut inodes = vec![0; count * size];
        file.read_exact_at(&mut inodes, at)?;
        inodes.chunks_exact_mut(size).for_each(|inode| settle_inode(inode, epoch));
        file.write_all_at(&inodes, at)?;
    }
    Ok(())
}

fn settle_inode(inode: &mut [u8], epoch: u32) {
    if short(inode, MODE) == 0 {
        return;
    }
    let modified = long(inode, MODIFIED);
    inode[ACCESSED..ACCESSED + 4].copy_from_slice(&modified.to_le_bytes());
    inode[CHANGED..CHANGED + 4].copy_from_slice(&epoch.to_le_bytes());
    // What of the larger inode is there (`i_extra_isize`).
    let extra = if inode.len() > 128 { usize::from(short(inode, EXTRA_SIZE)) } else { 0 };
    if 128 + extra >= CREATED + 8 {
        inode[CHANGED_EXTRA..CHANGED_EXTRA + 4].fill(0);
        inode[ACCESSED_EXTRA..ACCESSED_EXTRA + 4].fill(0);
        inode[CREATED..CREATED + 4].copy_from_slice(&epoch.to_le_bytes());
        inode[CREATED + 4..CREATED + 8].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inode_keeps_its_time_of_modification_and_nothing_of_the_tree_it_came_from() {
        let mut inode = vec![7; 256];
        inode[EXTRA_SIZE..EXTRA_SIZE + 2].copy_from_slice(&32_u16.to_le_bytes());
        settle_inode(&mut inode, 1000);
        let seven = u32::from_le_bytes([7; 4]);
        assert_eq!((long(&inode, MODIFIED), long(&inode, ACCESSED)), (seven, seven));
        assert_eq!((long(&inode, CHANGED), long(&inode, CREATED), long(&inode, CHANGED_EXTRA)), (1000, 1000, 0));
        let unused = vec![0; 256];
        let mut settled = unused.clone();
        settle_inode(&mut settled, 1000);
        assert_eq!(settled, unused);
    }

    #[test]
    fn what_is_no_file_system_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        std::fs::write(&path, vec![1; 8192]).unwrap();
        assert!(settle(&path, 0, 0).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), vec![1; 8192]);
    }
}
