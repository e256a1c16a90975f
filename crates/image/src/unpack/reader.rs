//! Reading tar: ustar, PAX records and GNU's long names.
//!
//! Our own, because the `tar` crate takes a line break in a PAX value for the record's end (0.4.46): a file's attribute
//! could then rename its file. What different readers understand differently is refused here: sparse files, links with
//! content, archives without an end.

use std::io::{self, Read};

use crate::archive::{Attributes, BLOCK, padding};

/// The most bytes before an entry that only describe it: they are kept in memory.
const MAX_DESCRIPTION: u64 = 4 << 20;

/// An archive that is read entry by entry; reading from it reads the content of the latest entry.
pub(super) struct Reader<'a> {
    inner: &'a mut dyn Read,
    /// Of the latest entry's content.
    left: u64,
    padding: u64,
}

/// An entry as the archive has it, nothing believed yet.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) flag: u8,
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) size: u64,
    pub(super) mtime: i64,
    /// Of all namespaces.
    pub(super) attributes: Attributes,
}

/// What stands before an entry and speaks of it.
#[derive(Default)]
struct Records {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    uid: Option<u64>,
    gid: Option<u64>,
    size: Option<u64>,
    mtime: Option<i64>,
    attributes: Attributes,
}

impl<'a> Reader<'a> {
    pub(super) fn new(inner: &'a mut dyn Read) -> Self {
        Self { inner, left: 0, padding: 0 }
    }

    /// The next entry; none at the archive's end.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut records = Records::default();
        let mut descriptions = 0;
        loop {
            let rest = self.left + self.padding;
            let skipped = io::copy(&mut (&mut self.inner).take(rest), &mut io::sink())?;
            if skipped < rest {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut block = [0; BLOCK];
            self.inner.read_exact(&mut block)?;
            if block == [0; BLOCK] {
                self.begin(0)?;
                return Ok(None);
            }
            check_sum(&block)?;
            let flag = block[156];
            let size = number(&block[124..136])?;
            if !matches!(flag, b'x' | b'g' | b'L' | b'K') {
                return self.entry(&block, size, records).map(Some);
            }
            descriptions += size;
            self.begin(size)?;
            if descriptions > MAX_DESCRIPTION {
                return Err(bad("an entry's description is too long"));
            }
            let mut text = Vec::new();
            self.read_to_end(&mut text)?;
            match flag {
                b'x' => records.parse(&text)?,
                b'L' => records.path = Some(until_nul(&text).to_vec()),
                b'K' => records.link = Some(until_nul(&text).to_vec()),
                // What is said of all entries (git says its commit) is nothing that is needed.
                _ => {}
            }
        }
    }

    fn entry(&mut self, block: &[u8; BLOCK], size: u64, records: Records) -> io::Result<Entry> {
        let size = records.size.unwrap_or(size);
        self.begin(size)?;
        let header_time = i64::try_from(number(&block[136..148])?).unwrap_or(0);
        Ok(Entry {
            flag: block[156],
            path: records.path.unwrap_or_else(|| header_path(block)),
            link: records.link.unwrap_or_else(|| until_nul(&block[157..257]).to_vec()),
            mode: (number(&block[100..108])? & 0o7777) as u32,
            uid: records.uid.map_or_else(|| number(&block[108..116]), Ok)?,
            gid: records.gid.map_or_else(|| number(&block[116..124]), Ok)?,
            size,
            mtime: records.mtime.unwrap_or(header_time),
            attributes: records.attributes,
        })
    }

    fn begin(&mut self, size: u64) -> io::Result<()> {
        if size > u64::MAX / 2 {
            return Err(bad("an entry's size is no size"));
        }
        self.left = size;
        self.padding = padding(size);
        Ok(())
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.inner.read(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

impl Records {
    /// Adds `LENGTH KEY=VALUE\n` records, where the length counts itself and alone says where the record ends.
    fn parse(&mut self, mut text: &[u8]) -> io::Result<()> {
        while !text.is_empty() {
            let (record, rest) = split_record(text).ok_or_else(|| bad("PAX records are damaged"))?;
            let equals = record.iter().position(|byte| *byte == b'=');
            let equals = equals.ok_or_else(|| bad("a PAX record has no value"))?;
            self.add(&record[..equals], &record[equals + 1..])?;
            text = rest;
        }
        Ok(())
    }

    fn add(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        match key {
            // No value: the header's holds.
            b"path" | b"linkpath" | b"size" | b"uid" | b"gid" | b"mtime" if value.is_empty() => {}
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(decimal(value)?),
            b"uid" => self.uid = Some(decimal(value)?),
            b"gid" => self.gid = Some(decimal(value)?),
            b"mtime" => {
                let whole = value.split(|byte| *byte == b'.').next();
                self.mtime = Some(decimal(whole.unwrap_or(value))?);
            }
            key if key.starts_with(b"GNU.sparse.") => {
                return Err(bad("sparse files are not understood"));
            }
            key => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.attributes.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

/// The first record without its length and line break, and what follows it.
fn split_record(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = decimal(&text[..space]).ok()?;
    let record = text.get(space + 1..length)?.strip_suffix(b"\n")?;
    Some((record, &text[length..]))
}

fn decimal<T: std::str::FromStr>(text: &[u8]) -> io::Result<T> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| bad("a PAX record's number is none"))
}

fn header_path(block: &[u8; BLOCK]) -> Vec<u8> {
    let name = until_nul(&block[..100]);
    let prefix = until_nul(&block[345..500]);
    // GNU's headers have other things there.
    if block[257..263] == *b"ustar\0" && !prefix.is_empty() { [prefix, name].join(&b'/') } else { name.to_vec() }
}

fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or(text)
}

/// A header's number: octal digits, or GNU's binary of a set first bit.
fn number(field: &[u8]) -> io::Result<u64> {
    if field[0] & 0x80 != 0 {
        let first = u64::from(field[0] & 0x7f);
        return field[1..].iter().try_fold(first, |value, byte| {
            let shifted = value.checked_mul(256).ok_or_else(|| bad("a header's number is too large"))?;
            Ok(shifted | u64::from(*byte))
        });
    }
    let text = until_nul(field).trim_ascii();
    text.iter().try_fold(0, |value: u64, digit| match digit {
        b'0'..=b'7' => Ok(value * 8 + u64::from(digit - b'0')),
        _ => Err(bad("a header's number is none")),
    })
}

fn check_sum(block: &[u8; BLOCK]) -> io::Result<()> {
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    let own: u64 = block[148..156].iter().map(|byte| u64::from(*byte)).sum();
    if number(&block[148..156])? == sum - own + 8 * u64::from(b' ') {
        Ok(())
    } else {
        Err(bad("a header's sum is wrong"))
    }
}

fn bad(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_ends_where_its_length_says() {
        let mut records = Records::default();
        records.parse(b"31 SCHILY.xattr.user.x=\n9 a=b\n\n13 path=name\n").unwrap();
        assert_eq!(records.path.unwrap(), b"name");
        assert_eq!(records.attributes, [(b"user.x".to_vec(), b"\n9 a=b\n".to_vec())].to_vec());
        for damaged in ["5 a=b\n", "7 a=b\n", "6 a=b ", " a=b\n", "0 a=b\n", "6 abc\n", "99999999999999999999 a=b\n"] {
            assert!(Records::default().parse(damaged.as_bytes()).is_err(), "{damaged}");
        }
    }

    #[test]
    fn numbers_are_octal_or_binary() {
        assert_eq!(number(b"0000644\0").unwrap(), 0o644);
        assert_eq!(number(b"   644 \0").unwrap(), 0o644);
        assert_eq!(number(b"\0\0\0\0\0\0\0\0").unwrap(), 0);
        assert_eq!(number(b"\x80\0\0\0\0\0\x01\x02").unwrap(), 258);
        assert!(number(b"0000648\0").is_err());
        assert!(number(&[0xff; 12]).is_err());
    }
}
