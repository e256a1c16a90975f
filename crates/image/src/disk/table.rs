//! The partition table of a disk, with GRUB for a BIOS before it.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use gpt::partition::Partition;
use gpt::partition_types::{BIOS, EFI, LINUX_ROOT_X64};
use uuid::Uuid;

use crate::error::{ImageError, failed};

const SECTOR: u64 = 512;
const MIB: u64 = 1 << 20;
/// The first sector after the table.
const CORE: u64 = 34;
/// Where the EFI system partition begins, in bytes.
pub const ESP_OFFSET: u64 = MIB;
/// How long it is: FAT16 needs 16 MiB, and some firmware wants more.
pub const ESP_BYTES: u64 = 32 * MIB;
/// Where the root file system begins, in bytes.
pub const ROOT_OFFSET: u64 = ESP_OFFSET + ESP_BYTES;

/// How long the root file system of a disk of so many bytes is.
pub fn root_bytes(disk: u64) -> u64 {
    (disk / MIB).saturating_sub(1) * MIB - ROOT_OFFSET
}

/// The names of a disk and its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskIds {
    /// The disk; with it, what the firmware knows it by.
    pub disk: Uuid,
    /// BIOS boot, EFI system, root.
    pub partitions: [Uuid; 3],
    /// The root file system.
    pub root: Uuid,
    /// What its directories are hashed with.
    pub hash: Uuid,
    /// The EFI system partition's file system.
    pub esp: u32,
}

/// GRUB for a BIOS.
#[derive(Debug, Clone)]
pub struct BootSector {
    /// `boot.img`: a sector.
    pub boot: Vec<u8>,
    /// What `grub-mkimage` made for `i386-pc`.
    pub core: Vec<u8>,
}

/// Writes table and boot loader into a disk, a file of that size that has nothing there yet.
pub fn write_table(disk: &Path, size: u64, ids: &DiskIds, grub: &BootSector) -> Result<(), ImageError> {
    let failed_at = |deed| failed(deed, disk);
    let file = File::options().read(true).write(true).open(disk).map_err(failed_at("open"))?;
    let other = |error: gpt::GptError| failed_at("partition")(std::io::Error::other(error));
    let sectors = size / SECTOR;
    let short = u32::try_from(sectors - 1).unwrap_or(u32::MAX);
    let record = gpt::mbr::ProtectiveMBR::with_lb_size(short).to_bytes();
    file.write_all_at(&record, 0).map_err(failed_at("partition"))?;
    let config = gpt::GptConfig::new().writable(true);
    let mut table = config.create_from_device(&file, Some(ids.disk)).map_err(other)?;
    let part = |kind: &gpt::partition_types::Type, number: usize, name: &str, first: u64, last: u64| Partition {
        part_type_guid: kind.clone(),
        part_guid: ids.partitions[number],
        first_lba: first,
        last_lba: last,
        flags: 0,
        name: name.to_owned(),
    };
    let root_end = (ROOT_OFFSET + root_bytes(size)) / SECTOR - 1;
    let partitions = BTreeMap::from([
        (1, part(&BIOS, 0, "till-bios", CORE, ESP_OFFSET / SECTOR - 1)),
        (2, part(&EFI, 1, "till-efi", ESP_OFFSET / SECTOR, ROOT_OFFSET / SECTOR - 1)),
        (3, part(&LINUX_ROOT_X64, 2, "till-root", ROOT_OFFSET / SECTOR, root_end)),
    ]);
    table.update_partitions(partitions).map_err(other)?;
    table.write().map_err(other)?;
    install(&file, &record, grub).map_err(failed_at("write the boot loader of"))
}

/// Where the boot sector says what is next (GRUB's `boot.S`, `kernel_sector`), and where it looks for the drive
/// (`boot_drive_check`): two bytes that jump over that, which is what `grub-bios-setup` writes for a drive that the BIOS names.
const KERNEL_SECTOR: usize = 0x5c;
const DRIVE_CHECK: usize = 0x66;
/// The list of blocks at the end of the core's first sector (GRUB's `diskboot.S`): start, count, segment.
const BLOCK_LIST: usize = 512 - 12;
/// Where the rest of the core is loaded: `GRUB_BOOT_MACHINE_KERNEL_SEG + (512 >> 4)`.
const SEGMENT: u16 = 0x820;

/// What `grub-bios-setup` does, without a device to do it to.
fn install(file: &File, record: &[u8; 512], grub: &BootSector) -> std::io::Result<()> {
    let bad = |why: &str| Err(std::io::Error::other(why.to_owned()));
    let sectors = grub.core.len().div_ceil(512);
    let room = usize::try_from(ESP_OFFSET / SECTOR - CORE).unwrap_or(0);
    if grub.boot.len() != 512 || !(2..=room).contains(&sectors) {
        return bad("GRUB's images are not as they should be");
    }
    let mut boot = grub.boot.clone();
    boot[440..].copy_from_slice(&record[440..]);
    boot[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&CORE.to_le_bytes());
    boot[DRIVE_CHECK..DRIVE_CHECK + 2].copy_from_slice(&[0x90, 0x90]);
    let mut core = grub.core.clone();
    core[BLOCK_LIST..BLOCK_LIST + 8].copy_from_slice(&(CORE + 1).to_le_bytes());
    let rest = u16::try_from(sectors - 1).unwrap_or(u16::MAX);
    core[BLOCK_LIST + 8..BLOCK_LIST + 10].copy_from_slice(&rest.to_le_bytes());
    core[BLOCK_LIST + 10..BLOCK_LIST + 12].copy_from_slice(&SEGMENT.to_le_bytes());
    file.write_all_at(&boot, 0)?;
    file.write_all_at(&core, CORE * SECTOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> DiskIds {
        let id = |number| Uuid::from_u128(number);
        DiskIds { disk: id(1), partitions: [id(2), id(3), id(4)], root: id(5), hash: id(6), esp: 7 }
    }

    #[test]
    fn a_disk_has_its_table_twice_and_the_boot_loader_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let grub = BootSector { boot: vec![0xAA; 512], core: vec![0xCC; 3 * 512 - 7] };
        let write = |name: &str| {
            let path = folder.path().join(name);
            File::create(&path).unwrap().set_len(64 * MIB).unwrap();
            write_table(&path, 64 * MIB, &ids(), &grub).unwrap();
            std::fs::read(path).unwrap()
        };
        let bytes = write("one");
        assert!(bytes == write("two"), "the same disk has the same bytes");
        assert_eq!(bytes[510..512], [0x55, 0xAA]);
        assert_eq!((bytes[KERNEL_SECTOR], bytes[0x66], bytes[0]), (34, 0x90, 0xAA));
        let core = &bytes[34 * 512..];
        assert_eq!((core[500], core[508], core[510..512].to_vec()), (35, 2, vec![0x20, 0x08]));
        let table = gpt::GptConfig::new().open_from_device(std::io::Cursor::new(bytes)).unwrap();
        let named: Vec<_> = table.partitions().values().filter(|part| part.is_used()).collect();
        assert_eq!(
            named.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(),
            ["till-bios", "till-efi", "till-root"]
        );
        assert_eq!((named[2].first_lba * 512, named[2].part_guid), (ROOT_OFFSET, ids().partitions[2]));
        assert_eq!((named[2].last_lba + 1) * 512, 63 * MIB);
        assert!(table.backup_header().is_ok());
    }
}
