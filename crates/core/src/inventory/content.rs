//! Bytes that are read here and there: a file's, in memory or wherever the reader of layers keeps it.

use std::io::{self, Read};

use flate2::read::{DeflateDecoder, ZlibDecoder};

/// Content of a file.
pub trait Content {
    /// How many bytes it has.
    fn size(&self) -> u64;

    /// Fills `into` with the bytes from `at` on. False when there are not that many, or they cannot be read.
    fn fill(&self, at: u64, into: &mut [u8]) -> bool;
}

impl Content for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn fill(&self, at: u64, into: &mut [u8]) -> bool {
        let from = usize::try_from(at).ok().and_then(|at| self.get(at..)).and_then(|rest| rest.get(..into.len()));
        from.is_some_and(|from| {
            into.copy_from_slice(from);
            true
        })
    }
}

/// A part of some content.
pub(super) struct Part<'a> {
    pub(super) of: &'a dyn Content,
    pub(super) at: u64,
    pub(super) size: u64,
}

impl Content for Part<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn fill(&self, at: u64, into: &mut [u8]) -> bool {
        let end = at.checked_add(into.len() as u64);
        let begin = self.at.checked_add(at);
        end.is_some_and(|end| end <= self.size) && begin.is_some_and(|begin| self.of.fill(begin, into))
    }
}

impl dyn Content + '_ {
    /// So many bytes from there on; none when there are not that many, or more are asked for than `limit`.
    pub(super) fn bytes(&self, at: u64, count: u64, limit: u64) -> Option<Vec<u8>> {
        let end = at.checked_add(count)?;
        if count > limit || end > self.size() {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(count).ok()?];
        self.fill(at, &mut bytes).then_some(bytes)
    }

    /// All of it, unless it is more than `limit`.
    pub(super) fn whole(&self, limit: u64) -> Option<Vec<u8>> {
        self.bytes(0, self.size(), limit)
    }

    /// All of it as text; what is not UTF-8 is replaced.
    pub(super) fn text(&self, limit: u64) -> Option<String> {
        self.whole(limit).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// What was deflated, unless it is more than `limit`.
pub(super) fn inflate(deflated: &[u8], limit: u64) -> Option<Vec<u8>> {
    bounded(DeflateDecoder::new(deflated), limit).ok()
}

/// The same, in zlib's wrapping.
pub(super) fn inflate_zlib(deflated: &[u8], limit: u64) -> Option<Vec<u8>> {
    bounded(ZlibDecoder::new(deflated), limit).ok()
}

fn bounded(from: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// A number of `N` bytes at that place, the highest byte first.
pub(super) fn big<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes: &[u8; N] = bytes.get(at..)?.first_chunk()?;
    Some(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// The same, the lowest byte first.
pub(super) fn little<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes: &[u8; N] = bytes.get(at..)?.first_chunk()?;
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_beyond_the_end() {
        let content: &dyn Content = &b"0123456789".as_slice();
        assert_eq!(content.bytes(2, 3, 10).unwrap(), b"234");
        assert_eq!(content.bytes(10, 0, 10).unwrap(), b"");
        for (at, count, limit) in [(8, 3, 10), (0, 4, 3), (u64::MAX, 1, 10), (11, 0, 10)] {
            assert_eq!(content.bytes(at, count, limit), None, "{at} {count} {limit}");
        }
        let part = Part { of: content, at: 4, size: 4 };
        let part: &dyn Content = &part;
        assert_eq!(part.whole(9).unwrap(), b"4567");
        assert_eq!(part.bytes(3, 2, 9), None);
    }

    #[test]
    fn what_is_packed_too_small_is_not_unpacked() {
        use std::io::Write as _;
        let mut bomb = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
        let bomb = bomb.finish().unwrap();
        assert!(bomb.len() < 2048);
        assert_eq!(inflate(&bomb, 1 << 20).unwrap().len(), 1 << 20);
        assert_eq!(inflate(&bomb, (1 << 20) - 1), None);
        assert_eq!(inflate(b"\xff\xff", 100), None);
    }
}
