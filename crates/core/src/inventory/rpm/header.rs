//! A package's header: an index of tags, and a store of values.

use super::super::content::big;
use super::super::{Ecosystem, Record, SourcePackage, line};

const NAME: u64 = 1000;
const VERSION: u64 = 1001;
const RELEASE: u64 = 1002;
const EPOCH: u64 = 1003;
const LICENCE: u64 = 1014;
const ARCH: u64 = 1022;
const SOURCE_RPM: u64 = 1044;

/// Types of values: a number of four bytes, and three kinds of texts.
const INT32: u64 = 4;
const TEXTS: [u64; 3] = [6, 8, 9];

/// The package of a header; none when it is damaged.
pub(super) fn package(blob: &[u8]) -> Option<Record> {
    let header = Header::parse(blob)?;
    let version = header.text(VERSION)?;
    let version = match header.text(RELEASE) {
        Some(release) => format!("{version}-{release}"),
        None => version,
    };
    let version = match header.number(EPOCH) {
        Some(epoch) if epoch > 0 => format!("{epoch}:{version}"),
        _ => version,
    };
    let mut record = Record::new(Ecosystem::Rpm, &header.text(NAME)?, &version)?;
    record.arch = header.text(ARCH);
    record.licence = header.text(LICENCE);
    record.source = header.text(SOURCE_RPM).and_then(|file| source(&file));
    Some(record)
}

/// `NAME-VERSION-RELEASE.src.rpm`.
fn source(file: &str) -> Option<SourcePackage> {
    let stem = file.strip_suffix(".src.rpm").or_else(|| file.strip_suffix(".nosrc.rpm"))?;
    let (rest, release) = stem.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    Some(SourcePackage { name: name.to_owned(), version: format!("{version}-{release}") })
}

struct Header<'a> {
    index: &'a [u8],
    store: &'a [u8],
}

impl<'a> Header<'a> {
    fn parse(blob: &'a [u8]) -> Option<Self> {
        let entries = usize::try_from(big::<4>(blob, 0)?).ok()?;
        let size = usize::try_from(big::<4>(blob, 4)?).ok()?;
        let (index, rest) = blob.get(8..)?.split_at_checked(entries.checked_mul(16)?)?;
        Some(Self { index, store: rest.get(..size)? })
    }

    /// The type of a tag's value, and the store from there on.
    fn value(&self, tag: u64) -> Option<(u64, &'a [u8])> {
        let entry = self.index.chunks_exact(16).find(|entry| big::<4>(entry, 0) == Some(tag))?;
        let offset = usize::try_from(big::<4>(entry, 8)?).ok()?;
        Some((big::<4>(entry, 4)?, self.store.get(offset..)?))
    }

    fn text(&self, tag: u64) -> Option<String> {
        let (kind, value) = self.value(tag)?;
        let text = value.split(|byte| *byte == 0).next()?;
        TEXTS.contains(&kind).then(|| line(&String::from_utf8_lossy(text)))?
    }

    fn number(&self, tag: u64) -> Option<u64> {
        let (kind, value) = self.value(tag)?;
        (kind == INT32).then(|| big::<4>(value, 0))?
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A header with these tags; numbers are digits.
    pub(in super::super) fn header(tags: &[(u64, &str)]) -> Vec<u8> {
        let (mut index, mut store) = (Vec::new(), Vec::new());
        let number = |into: &mut Vec<u8>, value: usize| into.extend(u32::try_from(value).unwrap().to_be_bytes());
        for (tag, text) in tags {
            number(&mut index, usize::try_from(*tag).unwrap());
            number(&mut index, if *tag == EPOCH { 4 } else { 6 });
            number(&mut index, store.len());
            number(&mut index, 1);
            if *tag == EPOCH {
                number(&mut store, text.parse().unwrap());
            } else {
                store.extend_from_slice(text.as_bytes());
                store.push(0);
            }
        }
        let mut blob = Vec::new();
        number(&mut blob, tags.len());
        number(&mut blob, store.len());
        blob.extend(index);
        blob.extend(store);
        blob
    }

    #[test]
    fn a_header_names_a_package() {
        let blob = header(&[
            (NAME, "openssl-libs"),
            (VERSION, "3.0.7"),
            (RELEASE, "24.el9"),
            (EPOCH, "1"),
            (LICENCE, "ASL 2.0"),
            (ARCH, "x86_64"),
            (SOURCE_RPM, "openssl-3.0.7-24.el9.src.rpm"),
        ]);
        let record = package(&blob).unwrap();
        assert_eq!((record.name.as_str(), record.version.as_str()), ("openssl-libs", "1:3.0.7-24.el9"));
        assert_eq!((record.arch.as_deref(), record.licence.as_deref()), (Some("x86_64"), Some("ASL 2.0")));
        let source = record.source.unwrap();
        assert_eq!((source.name.as_str(), source.version.as_str()), ("openssl", "3.0.7-24.el9"));
        for end in 0..blob.len() {
            assert_eq!(package(&blob[..end]), None, "{end}");
        }
    }

    #[test]
    fn an_offset_beyond_the_store_is_no_value() {
        let mut blob = header(&[(NAME, "a"), (VERSION, "1")]);
        blob[16..20].copy_from_slice(&[0xff; 4]);
        assert_eq!(package(&blob), None);
    }
}
