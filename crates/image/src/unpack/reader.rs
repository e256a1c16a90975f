//! Reading tar: ustar, PAX records and GNU's long names.
//!
//! Our own, because the `tar` crate takes a line break in a PAX value for the record's end (0.4.46): a file's attribute
//! could then rename its file. What different readers understand differently is refused here: sparse files, links with
//! content. An archive that ends between two entries is whole, as for Go's reader: some that write layers leave out the
//! blocks of zeros at the end (umoci 0.4), and the padding before them.

use std::io::{self, Read};

use crate::archive::{Attributes, BLOCK, padding};

/// The most bytes before an entry that only describe it: they are kept in memory. Go's reader takes no more either.
const MAX_DESCRIPTION: u64 = 1 << 20;

/// The largest size that a header's octal digits can say. What is larger stands in a record, with this or 0 in the header.
const MAX_OCTAL: u64 = 0o777_7777_7777;

/// An archive that is read entry by entry; reading from it reads the content of the latest entry.
pub(crate) struct Reader<'a> {
    inner: &'a mut dyn Read,
    /// Of the latest entry's content.
    left: u64,
    padding: u64,
}

/// An entry as the archive has it, nothing believed yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    pub(crate) flag: u8,
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) size: u64,
    pub(crate) mtime: i64,
    /// Of all namespaces.
    pub(crate) attributes: Attributes,
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
    pub(crate) fn new(inner: &'a mut dyn Read) -> Self {
        Self { inner, left: 0, padding: 0 }
    }

    /// The next entry; none at the archive's end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut records = Records::default();
        let mut descriptions = 0;
        loop {
            if self.skip(self.left)? < self.left {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.skip(self.padding)?;
            let Some(block) = self.block()? else {
                self.begin(0)?;
                return if descriptions == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            };
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
            descriptions = size.saturating_add(descriptions).max(1);
            self.begin(size)?;
            if descriptions > MAX_DESCRIPTION {
                return Err(bad("an entry's description is too long"));
            }
            let mut text = Vec::new();
            self.read_to_end(&mut text)?;
            match flag {
                b'x' => records.parse(&text)?,
                b'L' => once(&mut records.path, until_nul(&text).to_vec())?,
                b'K' => once(&mut records.link, until_nul(&text).to_vec())?,
                _ => nothing_of_entries(&text)?,
            }
        }
    }

    fn skip(&mut self, count: u64) -> io::Result<u64> {
        io::copy(&mut (&mut self.inner).take(count), &mut io::sink())
    }

    /// The next block; none where nothing is left.
    fn block(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut block = Vec::with_capacity(BLOCK);
        (&mut self.inner).take(BLOCK as u64).read_to_end(&mut block)?;
        match block.try_into() {
            Ok(block) => Ok(Some(block)),
            Err(part) if part.is_empty() => Ok(None),
            Err(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn entry(&mut self, block: &[u8; BLOCK], size: u64, records: Records) -> io::Result<Entry> {
        let size = one_size(records.size, size)?;
        self.begin(size)?;
        let header_time = time(&block[136..148])?;
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
            b"path" => once(&mut self.path, value.to_vec())?,
            b"linkpath" => once(&mut self.link, value.to_vec())?,
            b"size" => once(&mut self.size, decimal(value)?)?,
            b"uid" => once(&mut self.uid, decimal(value)?)?,
            b"gid" => once(&mut self.gid, decimal(value)?)?,
            b"mtime" => {
                let whole = value.split(|byte| *byte == b'.').next();
                once(&mut self.mtime, decimal(whole.unwrap_or(value))?)?;
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

/// Sets what may be said twice only in the same words: of two, readers choose differently.
fn once<T: PartialEq>(place: &mut Option<T>, value: T) -> io::Result<()> {
    match place.replace(value) {
        Some(before) if Some(&before) != place.as_ref() => Err(bad("an entry is described twice, differently")),
        _ => Ok(()),
    }
}

/// The size of which both a record and the header speak: equal, or too large for the header.
fn one_size(record: Option<u64>, header: u64) -> io::Result<u64> {
    match record {
        None => Ok(header),
        Some(size) if size == header || (size > MAX_OCTAL && matches!(header, 0 | MAX_OCTAL)) => Ok(size),
        Some(_) => Err(bad("an entry's header and its records say different sizes")),
    }
}

/// Records for all entries that follow (git says its commit) are not needed; but some readers would take them for each.
fn nothing_of_entries(text: &[u8]) -> io::Result<()> {
    let mut records = Records::default();
    records.parse(text)?;
    if records.path.is_some() || records.link.is_some() || records.size.is_some() {
        return Err(bad("one name or size is said of all entries"));
    }
    Ok(())
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

/// A header's time: like its other numbers, but before 1970 it is GNU's binary of a negative number.
fn time(field: &[u8]) -> io::Result<i64> {
    if field[0] == 0xff {
        let low = field.iter().rev().take(8).rev();
        return Ok(low.fold(-1, |value: i64, byte| value << 8 | i64::from(*byte)));
    }
    Ok(i64::try_from(number(field)?).unwrap_or(0))
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
        for twice in ["10 path=a\n10 path=b\n", "10 size=1\n10 size=2\n"] {
            let said = Records::default().parse(twice.as_bytes()).unwrap_err().to_string();
            assert!(said.contains("twice"), "{twice}: {said}");
        }
        for damaged in ["5 a=b\n", "7 a=b\n", "6 a=b ", " a=b\n", "0 a=b\n", "6 abc\n", "99999999999999999999 a=b\n"] {
            assert!(Records::default().parse(damaged.as_bytes()).is_err(), "{damaged}");
        }
    }

    #[test]
    fn an_archive_may_end_between_entries_and_nowhere_else() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        header.set_mode(0o644);
        let long = "n".repeat(150);
        builder.append_data(&mut header, "a", &b"abc"[..]).unwrap();
        builder.append_data(&mut header, &long, &b"abc"[..]).unwrap();
        let tar = builder.into_inner().unwrap();
        // Two headers and contents, and a long name with its own header: a block each, and two at the end.
        assert_eq!(tar.len(), 8 * BLOCK);
        let entries = |tar: &mut &[u8]| -> io::Result<usize> {
            let mut reader = Reader::new(tar);
            let mut count = 0;
            while reader.next()?.is_some() {
                count += 1;
            }
            Ok(count)
        };
        for length in 0..=tar.len() {
            let whole = match length {
                0 => Some(0),
                515..=1024 => Some(1),
                2563..=3072 | 3584.. => Some(2),
                _ => None,
            };
            assert_eq!(entries(&mut &tar[..length]).ok(), whole, "{length}");
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
        assert_eq!(time(&[0xff; 12]).unwrap(), -1);
        assert_eq!(time(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\x00").unwrap(), -512);
        assert_eq!(time(b"00000000017\0").unwrap(), 15);
    }
}
