//! Go's build info: the toolchain, the main module, and the modules that it was built of.
//!
//! Since Go 1.18 the texts follow the header; before, it had the addresses of their string headers.

use super::super::{Ecosystem, Found, Record};
use super::Elf;

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Before the texts, or the addresses: magic, size of an address, flags, and two addresses.
const HEADER: usize = 32;
/// The header lies at a multiple of this.
const ALIGN: usize = 16;
const INLINE: u8 = 2;
const BIG: u8 = 1;
/// Texts are as long as the list of modules is.
const MAX_TEXT: u64 = 16 << 20;
/// Without sections, the beginning of the data is searched.
const MAX_SEARCHED: u64 = 1 << 20;
/// What stands around the list of modules, so that it can be found without a header.
const MARK: usize = 16;

/// The modules of a Go program; nothing for any other.
pub(super) fn read(elf: &Elf<'_>) -> Found {
    let Some(info) = header(elf) else {
        return Found::default();
    };
    let texts = match info.get(15) {
        Some(flags) if flags & INLINE != 0 => inline(&info),
        Some(flags) => pointed(elf, &info, flags & BIG != 0),
        None => None,
    };
    match texts {
        Some((version, modules)) => Found::packages(packages(&version, &modules)),
        None => Found::unreadable("Go's build info is damaged"),
    }
}

/// The bytes from the header on.
fn header(elf: &Elf<'_>) -> Option<Vec<u8>> {
    let mut bytes = elf.section(b".go.buildinfo", MAX_TEXT).or_else(|| {
        let data = elf.segments.iter().find(|segment| segment.writable)?;
        elf.content.bytes(data.offset, data.size.min(MAX_SEARCHED), MAX_SEARCHED)
    })?;
    let at = (0..bytes.len()).step_by(ALIGN).find(|at| bytes[*at..].starts_with(MAGIC))?;
    bytes.drain(..at);
    Some(bytes)
}

fn inline(info: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (version, rest) = counted(info.get(HEADER..)?)?;
    let (modules, _) = counted(rest)?;
    Some((version.to_vec(), modules.to_vec()))
}

/// A text after its length, and what follows.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_u64;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return bytes.get(index + 1..)?.split_at_checked(usize::try_from(length).ok()?);
        }
    }
    None
}

fn pointed(elf: &Elf<'_>, info: &[u8], big: bool) -> Option<(Vec<u8>, Vec<u8>)> {
    let size = usize::from(*info.get(14)?);
    if !matches!(size, 4 | 8) {
        return None;
    }
    let number = |bytes: &[u8], at: usize| {
        let bytes = bytes.get(at..at + size)?;
        let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(if big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    };
    // A string's header is the address of its text, and its length.
    let text = |at: usize| {
        let string = elf.at_address(number(info, at)?, size as u64 * 2, 16)?;
        elf.at_address(number(&string, 0)?, number(&string, size)?, MAX_TEXT)
    };
    Some((text(16)?, text(16 + size).unwrap_or_default()))
}

fn packages(version: &[u8], modules: &[u8]) -> Vec<Record> {
    let version = String::from_utf8_lossy(version);
    // `go1.22.1 X:experiment`
    let version = version.split_whitespace().next().unwrap_or_default();
    let mut packages: Vec<Record> =
        Record::new(Ecosystem::Golang, "stdlib", version.strip_prefix("go").unwrap_or(version)).into_iter().collect();
    let marked = modules.len() > 2 * MARK && modules[modules.len() - MARK - 1] == b'\n';
    let modules = if marked { &modules[MARK..modules.len() - MARK] } else { b"" };
    for line in String::from_utf8_lossy(modules).lines() {
        let mut words = line.split('\t');
        let (kind, name, version) = (words.next(), words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let record = || Record::new(Ecosystem::Golang, name, version);
        match kind {
            Some("mod" | "dep") => packages.extend(record()),
            // What stands in the place of the module before.
            Some("=>") if packages.len() > 1 => {
                if let (Some(record), Some(last)) = (record(), packages.last_mut()) {
                    *last = record;
                }
            }
            _ => {}
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::super::tests::elf;

    const MODULES: &str = "path\texample.com/app/cmd\nmod\texample.com/app\t(devel)\t\ndep\tgithub.com/a/b\tv1.2.3\th1:x=\n\
        dep\tgithub.com/c/d\tv2.0.0\n=>\tgithub.com/fork/d\tv2.0.1\th1:y=\nbuild\tGOOS=linux\n";

    fn modules() -> Vec<u8> {
        [[1; 16].as_slice(), MODULES.as_bytes(), &[2; 16]].concat()
    }

    fn seen(bytes: &[u8]) -> Vec<String> {
        let found = read(&bytes);
        assert_eq!(found.findings, [] as [String; 0]);
        found.packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect()
    }

    const EXPECTED: [&str; 4] =
        ["stdlib 1.22.1", "example.com/app (devel)", "github.com/a/b v1.2.3", "github.com/fork/d v2.0.1"];

    #[test]
    fn texts_that_follow_the_header_are_read() {
        let mut info = b"\xff Go buildinf:\x08\x02".to_vec();
        info.resize(32, 0);
        info.push(8);
        info.extend_from_slice(b"go1.22.1");
        let modules = modules();
        info.extend([(modules.len() & 0x7f | 0x80) as u8, (modules.len() >> 7) as u8]);
        info.extend_from_slice(&modules);
        assert_eq!(seen(&elf(&[(".go.buildinfo", &info)])), EXPECTED);
        // In a section of another name it is found in the data.
        let shifted = [[0; 48].as_slice(), &info].concat();
        assert_eq!(seen(&elf(&[(".data", &shifted)])), EXPECTED);
        let found = read(&elf(&[(".go.buildinfo", &info[..60])]).as_slice());
        assert_eq!((found.packages.len(), found.findings.len()), (0, 1));
    }

    #[test]
    fn texts_at_addresses_are_read() {
        let modules = modules();
        // The header at 64, the strings' headers at 96 and 112, the texts at 128 and 144; addresses are 0x1000 more.
        let mut data = b"\xff Go buildinf:\x08\x00".to_vec();
        let address = |value: usize| u64::try_from(value).unwrap().to_le_bytes();
        for value in [0x1000 + 96, 0x1000 + 112, 0x1000 + 128, 8, 0x1000 + 144, modules.len()] {
            data.extend_from_slice(&address(value));
        }
        data.extend_from_slice(b"go1.22.1\0\0\0\0\0\0\0\0");
        data.extend_from_slice(&modules);
        assert_eq!(seen(&elf(&[(".data", &data)])), EXPECTED);
    }
}
