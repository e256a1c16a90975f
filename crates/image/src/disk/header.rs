//! What a file that somebody calls a disk image is, by its first bytes. The format is what was said, never what the bytes
//! look like: these only say whether that can be true, and whether the file reaches for others.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use till_core::{Blame, Fault};

use crate::error::{ImageError, failed};

/// The format of a disk image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskFormat {
    /// The bytes of the disk.
    Raw,
    /// QEMU's qcow2, version 2 or 3.
    Qcow2,
}

impl DiskFormat {
    /// As QEMU calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// A disk image that is not taken.
#[derive(Debug, thiserror::Error)]
#[error("cannot take `{name}` as {}: {why}", format.as_str())]
pub struct BadDisk {
    name: String,
    format: DiskFormat,
    why: String,
    hint: &'static str,
}

impl Blame for BadDisk {
    fn fault(&self) -> Fault {
        Fault::Caller
    }

    fn hint(&self) -> Option<String> {
        Some(self.hint.to_owned())
    }
}

const FLATTEN: &str = "qemu-img convert -f qcow2 -O qcow2 FROM TO writes one that is whole, of an image that you trust";
const OTHER: &str = "qemu-img convert -f FORMAT -O qcow2 FROM TO writes one in a format that is taken";

/// First bytes of formats that are not raw. Whoever probed would take the file for one of these.
const MAGICS: [(&[u8], u64, &str); 12] = [
    (b"QFI\xfb", 0, "QEMU's qcow"),
    (b"KDMV", 0, "VMware's VMDK"),
    (b"COWD", 0, "VMware's VMDK"),
    (b"# Disk DescriptorFile", 0, "a VMDK descriptor, which names other files"),
    (b"vhdxfile", 0, "Microsoft's VHDX"),
    (b"conectix", 0, "Microsoft's VHD"),
    (b"QED\0", 0, "QEMU's QED"),
    (b"LUKS\xba\xbe", 0, "LUKS"),
    (b"WithoutFreeSpace", 0, "Parallels'"),
    (b"WithouFreSpacExt", 0, "Parallels'"),
    (b"\x7f\x10\xda\xbe", 64, "VirtualBox's VDI"),
    (b"<?xml", 0, "an XML document"),
];

/// The largest disk.
const MAX_SIZE: u64 = 16 << 40;
/// The largest table of level 1: of a disk of that size with clusters of 64 KiB.
const MAX_L1: u32 = 1 << 18;
/// Of `incompatible_features`: dirty, corrupt, data file, compression, extended L2. Those that change where data lies, or say
/// that it is damaged, are not taken.
const CORRUPT: u64 = 1 << 1;
const DATA_FILE: u64 = 1 << 2;
const COMPRESSION: u64 = 1 << 3;
/// Header extensions (docs/interop/qcow2.rst).
const END: u32 = 0;
const BACKING_FORMAT: u32 = 0xe279_2aca;
const DATA_FILE_NAME: u32 = 0x4441_5441;
const FEATURE_NAMES: u32 = 0x6803_f857;
const BITMAPS: u32 = 0x2385_2875;

/// Whether a file can be taken as a disk image of that format. Answers the size of the disk.
pub fn check(path: &Path, name: &str, format: DiskFormat) -> Result<Result<u64, BadDisk>, ImageError> {
    let bad = |why: String, hint| BadDisk { name: name.to_owned(), format, why, hint };
    let meta = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Err(bad("there is no such file".to_owned(), "name a file")));
        }
        meta => meta.map_err(failed("find", path))?,
    };
    if !meta.is_file() {
        return Ok(Err(bad("it is no file".to_owned(), "name a file")));
    }
    let file = File::open(path).map_err(failed("open", path))?;
    let mut head = vec![0; 4096];
    let mut read = 0;
    while let Some(count) = Some(file.read_at(&mut head[read..], read as u64).map_err(failed("read", path))?)
        && count > 0
    {
        read += count;
    }
    head.truncate(read);
    Ok(match format {
        DiskFormat::Raw => raw(&head, meta.len()).map_err(|why| bad(why, OTHER)),
        DiskFormat::Qcow2 => qcow2(&head, meta.len()).map_err(|why| bad(why, FLATTEN)),
    })
}

/// Whether a file of that length, which begins so, can be taken as a qcow2: if not, why.
pub(crate) fn check_qcow2(head: &[u8], length: u64) -> Result<u64, String> {
    qcow2(head, length)
}

fn raw(head: &[u8], length: u64) -> Result<u64, String> {
    for (magic, at, what) in MAGICS {
        let at = usize::try_from(at).unwrap_or(0);
        if head.get(at..at + magic.len()) == Some(magic) {
            return Err(format!("its first bytes are those of {what}"));
        }
    }
    match length {
        0 => Err("it is empty".to_owned()),
        length if length > MAX_SIZE => Err("it is larger than 16 TiB".to_owned()),
        length if !length.is_multiple_of(512) => Err("its length is not of whole sectors of 512 bytes".to_owned()),
        length => Ok(length),
    }
}

fn number(head: &[u8], at: usize) -> Result<u32, String> {
    let bytes = head.get(at..at + 4).ok_or("its header is cut short")?;
    Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn wide(head: &[u8], at: usize) -> Result<u64, String> {
    Ok(u64::from(number(head, at)?) << 32 | u64::from(number(head, at + 4)?))
}

fn qcow2(head: &[u8], length: u64) -> Result<u64, String> {
    let refuse = |is_so: bool, why: &str| if is_so { Err(why.to_owned()) } else { Ok(()) };
    refuse(!head.starts_with(b"QFI\xfb"), "it is no qcow2")?;
    let version = number(head, 4)?;
    refuse(!matches!(version, 2 | 3), "its version is neither 2 nor 3")?;
    refuse(wide(head, 8)? != 0 || number(head, 16)? != 0, "it has a backing file")?;
    refuse(!(9..=21).contains(&number(head, 20)?), "its clusters are of no size that there is")?;
    let size = wide(head, 24)?;
    refuse(size == 0 || size > MAX_SIZE, "its disk is empty, or larger than 16 TiB")?;
    refuse(number(head, 32)? != 0, "it is encrypted")?;
    let (l1, l1_at) = (number(head, 36)?, wide(head, 40)?);
    refuse(l1 > MAX_L1, "its tables are larger than those of any disk")?;
    refuse(l1_at > length || l1_at + u64::from(l1) * 8 > length, "its tables are not in the file")?;
    let (refcounts, clusters) = (wide(head, 48)?, number(head, 56)?);
    refuse(refcounts > length || clusters > 1 << 12, "its tables are not in the file")?;
    refuse(number(head, 60)? != 0, "it has internal snapshots")?;
    let mut at = 72;
    if version == 3 {
        let features = wide(head, 72)?;
        refuse(features & DATA_FILE != 0, "it keeps its data in another file")?;
        refuse(features & CORRUPT != 0, "it says that it is damaged")?;
        refuse(features & !(COMPRESSION | 1) != 0, "it has features that are not known")?;
        at = usize::try_from(number(head, 100)?).unwrap_or(0);
        refuse(at < 104 || !at.is_multiple_of(8), "its header is of no length that there is")?;
    }
    extensions(head, at)?;
    Ok(size)
}

/// None may reach for another file.
fn extensions(head: &[u8], mut at: usize) -> Result<(), String> {
    loop {
        let (kind, length) = (number(head, at)?, number(head, at + 4)?);
        match kind {
            END => return Ok(()),
            BACKING_FORMAT => return Err("it has a backing file".to_owned()),
            DATA_FILE_NAME => return Err("it keeps its data in another file".to_owned()),
            BITMAPS => return Err("it has dirty bitmaps".to_owned()),
            FEATURE_NAMES => {}
            other => return Err(format!("it has a header extension {other:#010x} that is not known")),
        }
        at += 8 + usize::try_from(length).unwrap_or(usize::MAX / 2).next_multiple_of(8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plain header of version 3 of a disk of 1 MiB.
    fn header() -> Vec<u8> {
        let mut head = vec![0; 4096];
        let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"QFI\xfb");
        put(4, &3_u32.to_be_bytes());
        put(20, &16_u32.to_be_bytes());
        put(24, &(1_u64 << 20).to_be_bytes());
        put(36, &1_u32.to_be_bytes());
        put(40, &(3_u64 << 16).to_be_bytes());
        put(48, &(1_u64 << 16).to_be_bytes());
        put(56, &1_u32.to_be_bytes());
        put(100, &112_u32.to_be_bytes());
        head
    }

    #[test]
    fn a_qcow2_that_reaches_for_something_is_refused_with_the_reason() {
        let length = 1 << 20;
        assert_eq!(qcow2(&header(), length), Ok(1 << 20));
        let changes: [(usize, &[u8], &str); 15] = [
            (0, b"KDMV", "no qcow2"),
            (4, &9_u32.to_be_bytes(), "version"),
            (8, &512_u64.to_be_bytes(), "backing file"),
            (16, &11_u32.to_be_bytes(), "backing file"),
            (20, &40_u32.to_be_bytes(), "clusters"),
            (24, &(1_u64 << 62).to_be_bytes(), "16 TiB"),
            (32, &1_u32.to_be_bytes(), "encrypted"),
            (36, &(1_u32 << 30).to_be_bytes(), "tables"),
            (40, &(1_u64 << 60).to_be_bytes(), "tables"),
            (60, &1_u32.to_be_bytes(), "snapshots"),
            (72, &4_u64.to_be_bytes(), "another file"),
            (72, &2_u64.to_be_bytes(), "damaged"),
            (72, &32_u64.to_be_bytes(), "features"),
            (112, &BACKING_FORMAT.to_be_bytes(), "backing file"),
            (112, &DATA_FILE_NAME.to_be_bytes(), "another file"),
        ];
        for (at, bytes, said) in changes {
            let mut head = header();
            head[at..at + bytes.len()].copy_from_slice(bytes);
            let why = qcow2(&head, length).unwrap_err();
            assert!(why.contains(said), "{at}: {why}");
        }
        assert!(qcow2(&header()[..90], length).unwrap_err().contains("cut short"));
    }

    #[test]
    fn a_raw_disk_that_could_be_taken_for_something_else_is_refused() {
        for (magic, at, _) in MAGICS {
            let mut head = vec![0; 4096];
            let at = usize::try_from(at).unwrap();
            head[at..at + magic.len()].copy_from_slice(magic);
            assert!(raw(&head, 4096).unwrap_err().contains("its first bytes"));
        }
        assert_eq!(raw(&[0; 4096], 1 << 20), Ok(1 << 20));
        assert!(raw(&[0; 4096], 1000).is_err());
        assert!(raw(&[], 0).is_err());
    }

    #[test]
    fn a_file_is_what_was_said_of_it_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        std::fs::write(&path, header()).unwrap();
        let said = check(&path, "disk", DiskFormat::Raw).unwrap().unwrap_err().to_string();
        assert_eq!(said, "cannot take `disk` as raw: its first bytes are those of QEMU's qcow");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(check(&link, "link", DiskFormat::Qcow2).unwrap().is_err(), "no link is followed");
    }
}
