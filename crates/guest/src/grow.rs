//! The root file system takes all of its disk: the partition before it is mounted, the file system after.

use std::fs::File;
use std::path::Path;

use crate::disks::Device;
use crate::{Result, failed, system};

/// A sector, for the kernel's `size` and `start`, whatever the disk's are.
const SECTOR: u64 = 512;
/// Less is not worth a new table.
const WORTH: u64 = 16 << 20;
/// The alignment of partitions.
const MIB: u64 = 1 << 20;

/// Lets a partition reach to the end of its disk, if it is the last one there.
pub(crate) fn partition(device: &Device) -> Result<()> {
    let number = |device: &Device, name: &str| device.fact(name).and_then(|text| text.parse::<u64>().ok());
    let (Some(disk), Some(partition)) = (device.disk(), number(device, "partition")) else {
        return Ok(());
    };
    let (start, size) = (number(device, "start").unwrap_or(0), number(device, "size").unwrap_or(0));
    let whole = number(&disk, "size").unwrap_or(0) * SECTOR;
    // The second table is at the end: 33 sectors.
    let end = (whole.saturating_sub(34 * SECTOR)) / MIB * MIB;
    if end < (start + size) * SECTOR + WORTH {
        return Ok(());
    }
    let path = disk.path();
    let file = File::options().read(true).write(true).open(&path).map_err(failed("open", path.display()))?;
    let partition = u32::try_from(partition).map_err(failed("count", "partitions"))?;
    rewrite(&file, partition, whole / SECTOR, end / SECTOR - 1)
        .map_err(failed("write the table of", path.display()))?;
    let number = i32::try_from(partition).map_err(failed("count", "partitions"))?;
    let (start, length) = (start * SECTOR, end - start * SECTOR);
    system::resize_partition(&file, number, start, length).map_err(failed("lengthen", &device.name))
}

/// Writes the table anew for a disk of so many sectors, with a partition that ends there.
fn rewrite(disk: &File, number: u32, sectors: u64, last: u64) -> Result<(), Box<dyn std::error::Error>> {
    let table = gpt::GptConfig::new().writable(false).open_from_device(disk)?;
    let (guid, mut partitions) = (*table.guid(), table.partitions().clone());
    let begins_after = |first: u64| partitions.values().any(|other| other.is_used() && other.first_lba > first);
    match partitions.get(&number).map(|partition| partition.first_lba) {
        Some(first) if !begins_after(first) => {}
        _ => return Ok(()),
    }
    if let Some(partition) = partitions.get_mut(&number) {
        partition.last_lba = last;
    }
    // A protective record over the whole disk; the boot loader's code before it stays.
    let short = u32::try_from(sectors - 1).unwrap_or(u32::MAX);
    gpt::mbr::ProtectiveMBR::with_lb_size(short).update_conservative(&mut &*disk)?;
    let config = gpt::GptConfig::new().writable(true);
    let mut table = config.create_from_device(disk, Some(guid))?;
    table.update_partitions(partitions)?;
    table.write()?;
    Ok(())
}

/// Lets the file system that is mounted at `root` take all of its partition.
pub(crate) fn file_system(device: &Device, root: &Path) -> Result<()> {
    let stat = rustix::fs::statvfs(root).map_err(failed("look at", root.display()))?;
    let sectors = device.fact("size").and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let blocks = sectors * SECTOR / stat.f_frsize;
    // What the file system itself takes is not counted there; asking for what it has is no error.
    let mounted = File::open(root).map_err(failed("open", root.display()))?;
    match system::resize(&mounted, blocks) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        other => other.map_err(failed("lengthen the file system of", &device.name)),
    }
}
