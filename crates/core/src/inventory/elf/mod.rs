//! What binaries say of themselves: Go's build info, and the list that cargo-auditable leaves.
//!
//! Of an ELF file only the headers are read, and the few parts that are asked for.

mod auditable;
mod go;

use super::content::{big, little};
use super::{Content, Found};

/// Tables of sections and segments, and their names: as large as those of any real program, many times over.
const MAX_TABLE: u64 = 8 << 20;
const MAX_NAMES: u64 = 8 << 20;
const MAX_NAME: usize = 64;

/// A segment that is loaded.
const LOAD: u64 = 1;
const WRITABLE: u64 = 2;

/// Reads a binary. One that says nothing of packages, or is damaged, is nothing to remark upon.
pub(super) fn read(content: &dyn Content) -> Found {
    let Some(elf) = Elf::parse(content) else {
        return Found::default();
    };
    let mut found = go::read(&elf);
    let rust = auditable::read(&elf);
    found.packages.extend(rust.packages);
    found.findings.extend(rust.findings);
    found
}

/// An ELF file's headers.
struct Elf<'a> {
    content: &'a dyn Content,
    /// The highest byte of a number is first.
    big: bool,
    sections: Vec<Section>,
    segments: Vec<Segment>,
}

/// A part of the file with a name.
struct Section {
    name: Vec<u8>,
    offset: u64,
    size: u64,
}

/// A part of the file that is loaded to an address.
struct Segment {
    writable: bool,
    offset: u64,
    address: u64,
    size: u64,
}

/// A table's entry: numbers at places that depend on whether the file is of 32 or 64 bits.
struct Fields<'a> {
    bytes: &'a [u8],
    big: bool,
    wide: bool,
}

impl Fields<'_> {
    fn number<const N: usize>(&self, at: usize) -> Option<u64> {
        if self.big { big::<N>(self.bytes, at) } else { little::<N>(self.bytes, at) }
    }

    /// A number as wide as an address, at one place or the other.
    fn word(&self, narrow: usize, wide: usize) -> Option<u64> {
        if self.wide { self.number::<8>(wide) } else { self.number::<4>(narrow) }
    }

    /// A number of `N` bytes, at one place or the other.
    fn at<const N: usize>(&self, narrow: usize, wide: usize) -> Option<u64> {
        self.number::<N>(if self.wide { wide } else { narrow })
    }
}

impl<'a> Elf<'a> {
    fn parse(content: &'a dyn Content) -> Option<Self> {
        let head = content.bytes(0, 64, 64).or_else(|| content.bytes(0, 52, 52))?;
        let (wide, big) = match (head.get(..4)?, head[4], head[5]) {
            (b"\x7fELF", class @ (1 | 2), data @ (1 | 2)) => (class == 2, data == 2),
            _ => return None,
        };
        let fields = Fields { bytes: &head, big, wide };
        let segments = (fields.word(28, 32)?, fields.at::<2>(42, 54)?, fields.at::<2>(44, 56)?);
        let sections = (fields.word(32, 40)?, fields.at::<2>(46, 58)?, fields.at::<2>(48, 60)?);
        let names = fields.at::<2>(50, 62)?;
        let mut elf = Self { content, big, sections: Vec::new(), segments: Vec::new() };
        // Either table may be missing.
        elf.segments = elf.load_segments(segments, wide).unwrap_or_default();
        elf.sections = elf.load_sections(sections, names, wide).unwrap_or_default();
        Some(elf)
    }

    fn load_segments(&self, (offset, size, count): (u64, u64, u64), wide: bool) -> Option<Vec<Segment>> {
        let table = self.content.bytes(offset, size * count, MAX_TABLE)?;
        let entries = table.chunks_exact(usize::try_from(size).ok().filter(|size| *size > 0)?);
        let segment = |bytes| {
            let fields = Fields { bytes, big: self.big, wide };
            let segment = Segment {
                writable: fields.at::<4>(24, 4)? & WRITABLE != 0,
                offset: fields.word(4, 8)?,
                address: fields.word(8, 16)?,
                size: fields.word(16, 32)?,
            };
            (fields.number::<4>(0)? == LOAD).then_some(segment)
        };
        Some(entries.filter_map(segment).collect())
    }

    fn load_sections(&self, (offset, size, count): (u64, u64, u64), names: u64, wide: bool) -> Option<Vec<Section>> {
        let table = self.content.bytes(offset, size * count, MAX_TABLE)?;
        let size = usize::try_from(size).ok().filter(|size| *size > 0)?;
        let place = |bytes| {
            let fields = Fields { bytes, big: self.big, wide };
            Some((fields.number::<4>(0)?, fields.word(16, 24)?, fields.word(20, 32)?))
        };
        let (_, offset, length) = table.chunks_exact(size).nth(usize::try_from(names).ok()?).and_then(place)?;
        let names = self.content.bytes(offset, length, MAX_NAMES)?;
        let section = |bytes| {
            let (name, offset, size) = place(bytes)?;
            let name = names.get(usize::try_from(name).ok()?..)?;
            // Longer names are none that is asked for, and the table may have no end of them.
            let name = name[..name.len().min(MAX_NAME)].split(|byte| *byte == 0).next()?.to_vec();
            Some(Section { name, offset, size })
        };
        Some(table.chunks_exact(size).filter_map(section).collect())
    }

    /// The bytes of a section, unless they are more than `limit`.
    fn section(&self, name: &[u8], limit: u64) -> Option<Vec<u8>> {
        let section = self.sections.iter().find(|section| section.name == name)?;
        self.content.bytes(section.offset, section.size, limit)
    }

    /// So many bytes at an address of the loaded program.
    fn at_address(&self, address: u64, count: u64, limit: u64) -> Option<Vec<u8>> {
        let segment = self.segments.iter().find(|segment| {
            address
                .checked_sub(segment.address)
                .and_then(|inside| inside.checked_add(count))
                .is_some_and(|end| end <= segment.size)
        })?;
        self.content.bytes(segment.offset.checked_add(address - segment.address)?, count, limit)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A little-endian file of 64 bits with these sections, each loaded, writable, at the address `0x1000 + its offset`.
    pub(in super::super) fn elf(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let mut names = vec![0];
        let mut places = vec![(0, 0, 0)];
        let all: Vec<_> = sections.iter().copied().chain([(".shstrtab", b"".as_slice())]).collect();
        for (name, content) in &all {
            let at = names.len();
            names.extend_from_slice(name.as_bytes());
            names.push(0);
            bytes.resize(bytes.len().next_multiple_of(16), 0);
            places.push((at, bytes.len(), content.len()));
            bytes.extend_from_slice(content);
        }
        let last = places.len() - 1;
        places[last].1 = bytes.len();
        places[last].2 = names.len();
        bytes.extend_from_slice(&names);
        let put = |bytes: &mut Vec<u8>, at: usize, value: usize, size: usize| {
            bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        };
        let segments = bytes.len();
        bytes.resize(segments + 56 * sections.len(), 0);
        for (index, (_, offset, size)) in places[1..last].iter().enumerate() {
            let at = segments + 56 * index;
            put(&mut bytes, at, 1, 4);
            put(&mut bytes, at + 4, 6, 4);
            put(&mut bytes, at + 8, *offset, 8);
            put(&mut bytes, at + 16, 0x1000 + offset, 8);
            put(&mut bytes, at + 32, *size, 8);
        }
        let table = bytes.len();
        bytes.resize(table + 64 * places.len(), 0);
        for (index, (name, offset, size)) in places.iter().enumerate() {
            put(&mut bytes, table + 64 * index, *name, 4);
            put(&mut bytes, table + 64 * index + 24, *offset, 8);
            put(&mut bytes, table + 64 * index + 32, *size, 8);
        }
        for (at, value, size) in [
            (32, segments, 8),
            (40, table, 8),
            (54, 56, 2),
            (56, sections.len(), 2),
            (58, 64, 2),
            (60, places.len(), 2),
            (62, last, 2),
        ] {
            put(&mut bytes, at, value, size);
        }
        bytes
    }

    #[test]
    fn sections_and_addresses_are_found() {
        let bytes = elf(&[(".one", b"first"), (".two", b"second")]);
        let content = bytes.as_slice();
        let elf = Elf::parse(&content).unwrap();
        assert_eq!(elf.section(b".two", 100).unwrap(), b"second");
        assert_eq!(elf.section(b".two", 5), None);
        assert_eq!(elf.section(b".three", 100), None);
        assert_eq!(elf.at_address(0x1000 + 64 + 1, 4, 100).unwrap(), b"irst");
        assert_eq!(elf.at_address(0x1000 + 64 + 1, 5, 100), None);
    }

    proptest! {
        #[test]
        fn damage_is_never_a_panic(changes in prop::collection::vec((0..600usize, any::<u8>()), 0..30), end in 0..700usize) {
            let info = [b"\xff Go buildinf:\x08\x00".as_slice(), &[0x40; 64]].concat();
            let mut bytes = elf(&[(".go.buildinfo", info.as_slice()), (".dep-v0", b"x\x9c\x03\x00")]);
            for (at, byte) in changes {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            read(&bytes.as_slice());
            read(&&bytes[..end.min(bytes.len())]);
        }
    }
}
