//! As much of ZIP as it takes to find entries by name: the directory at the end, and content as it is or deflated.

use super::super::Content;
use super::super::content::{inflate, little};

const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";

/// The end's record, and the longest comment behind it.
const END_SIZE: u64 = 22;
const MAX_COMMENT: u64 = 65535;
/// A directory of some hundred thousand classes.
const MAX_DIRECTORY: u64 = 32 << 20;

const STORED: u64 = 0;
const DEFLATED: u64 = 8;

/// The entries of an archive that are wanted.
pub(super) struct Zip {
    pub(super) entries: Vec<Entry>,
    /// How much it took to find them.
    pub(super) directory: u64,
}

/// A file of an archive.
pub(super) struct Entry {
    pub(super) name: String,
    method: u64,
    packed: u64,
    /// Of its local header, from the beginning of the content.
    at: u64,
}

impl Entry {
    pub(super) fn is_stored(&self) -> bool {
        self.method == STORED
    }
}

impl Zip {
    /// Finds the entries whose names are wanted.
    pub(super) fn open(content: &dyn Content, wanted: &dyn Fn(&str) -> bool) -> Option<Self> {
        let (begin, size, end) = directory(content)?;
        // What stands before an archive is not counted in its offsets.
        let directory_at = end.checked_sub(size)?;
        let shift = directory_at.checked_sub(begin)?;
        let directory = content.bytes(directory_at, size, MAX_DIRECTORY)?;
        let mut rest = directory.as_slice();
        let mut entries = Vec::new();
        while rest.starts_with(ENTRY) {
            let (name, extra, comment) = (little::<2>(rest, 28)?, little::<2>(rest, 30)?, little::<2>(rest, 32)?);
            let after_name = usize::try_from(46 + name).ok()?;
            let name = String::from_utf8_lossy(rest.get(46..after_name)?);
            if wanted(&name) {
                entries.push(Entry {
                    name: name.into_owned(),
                    method: little::<2>(rest, 10)?,
                    packed: little::<4>(rest, 20)?,
                    at: little::<4>(rest, 42)?.checked_add(shift)?,
                });
            }
            rest = rest.get(after_name + usize::try_from(extra + comment).ok()?..)?;
        }
        Some(Self { entries, directory: size })
    }
}

/// Where the directory begins (as the archive counts), how large it is, and where it really ends.
fn directory(content: &dyn Content) -> Option<(u64, u64, u64)> {
    let searched = content.size().min(END_SIZE + MAX_COMMENT);
    let from = content.size() - searched;
    let tail = content.bytes(from, searched, searched)?;
    let at =
        (0..=tail.len().checked_sub(usize::try_from(END_SIZE).ok()?)?).rev().find(|at| tail[*at..].starts_with(END))?;
    let end = &tail[at..];
    let (size, begin) = (little::<4>(end, 12)?, little::<4>(end, 16)?);
    let at = from + at as u64;
    if begin != u64::from(u32::MAX) && size != u64::from(u32::MAX) {
        return Some((begin, size, at));
    }
    let locator = content.bytes(at.checked_sub(20)?, 20, 20)?;
    let at = little::<8>(&locator, 8)?;
    let end = content.bytes(at, 56, 56)?;
    let known = locator.starts_with(LOCATOR_64) && end.starts_with(END_64);
    known.then_some((little::<8>(&end, 48)?, little::<8>(&end, 40)?, at))
}

/// Where the packed bytes of an entry are, and how many.
pub(super) fn place(content: &dyn Content, entry: &Entry) -> Option<(u64, u64)> {
    let local = content.bytes(entry.at, 30, 30)?;
    let at = entry.at + 30 + little::<2>(&local, 26)? + little::<2>(&local, 28)?;
    local.starts_with(LOCAL).then_some((at, entry.packed))
}

/// An entry's content, unless it is more than `limit`.
pub(super) fn unpack(content: &dyn Content, entry: &Entry, limit: u64) -> Option<Vec<u8>> {
    let (at, size) = place(content, entry)?;
    let packed = content.bytes(at, size, limit)?;
    match entry.method {
        STORED => Some(packed),
        DEFLATED => inflate(&packed, limit),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in super::super) enum Packing {
        Stored,
        Deflated,
    }

    /// An archive with these files.
    pub(in super::super) fn zip(files: &[(&str, &[u8], Packing)]) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for (name, content, packing) in files {
            let packed = match packing {
                Packing::Stored => content.to_vec(),
                Packing::Deflated => {
                    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
                    encoder.write_all(content).unwrap();
                    encoder.finish().unwrap()
                }
            };
            let at = u32::try_from(bytes.len()).unwrap();
            let mut common = vec![20, 0, 0, 0, if *packing == Packing::Stored { 0 } else { 8 }, 0];
            common.extend_from_slice(&[0; 8]);
            common.extend_from_slice(&u32::try_from(packed.len()).unwrap().to_le_bytes());
            common.extend_from_slice(&u32::try_from(content.len()).unwrap().to_le_bytes());
            common.extend_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
            common.extend_from_slice(&[0; 2]);
            bytes.extend_from_slice(LOCAL);
            bytes.extend_from_slice(&common);
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(&packed);
            directory.extend_from_slice(ENTRY);
            directory.extend_from_slice(&[20, 0]);
            directory.extend_from_slice(&common);
            directory.extend_from_slice(&[0; 10]);
            directory.extend_from_slice(&at.to_le_bytes());
            directory.extend_from_slice(name.as_bytes());
        }
        let at = u32::try_from(bytes.len()).unwrap();
        bytes.extend_from_slice(&directory);
        bytes.extend_from_slice(END);
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&u32::try_from(directory.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(&at.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes
    }

    #[test]
    fn entries_are_found_and_unpacked() {
        let bytes = zip(&[("a", b"stored", Packing::Stored), ("dir/b", &[b'x'; 1000], Packing::Deflated)]);
        let content: &dyn Content = &bytes.as_slice();
        let zip = Zip::open(content, &|_| true).unwrap();
        assert_eq!(zip.entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["a", "dir/b"]);
        assert_eq!(unpack(content, &zip.entries[0], 100).unwrap(), b"stored");
        assert_eq!(unpack(content, &zip.entries[1], 1000).unwrap(), [b'x'; 1000]);
        assert_eq!(unpack(content, &zip.entries[1], 999), None);
    }
}
