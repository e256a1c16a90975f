//! What ADD takes for an archive: tar, by its content and not its name; plain or in one of four compressions.

use std::io::{self, BufRead, BufReader, Read};

use liblzma::stream::{CONCATENATED, Stream};

use crate::archive::BLOCK;

/// How much is looked at; GNU tar pads to 20 blocks, but one is enough to know it.
const LOOK: usize = BLOCK;

/// The most memory for unpacking xz: `xz -9` wants 65 MiB, and a header may ask for 4 GiB.
const XZ_MEMORY: u64 = 256 << 20;

/// The content of a file: unpacked if it is an archive.
pub(crate) enum Content<'a> {
    Archive(Box<dyn Read + 'a>),
    File(Box<dyn Read + 'a>),
}

/// Looks at the beginning of a file.
pub(crate) fn look<'a>(content: &'a mut dyn Read) -> io::Result<Content<'a>> {
    let mut content = BufReader::with_capacity(1 << 16, content);
    let beginning = fill(&mut content)?;
    let Some(compression) = Compression::of(&beginning) else {
        let whole = Box::new(io::Cursor::new(beginning.clone()).chain(content));
        return Ok(if is_tar(&beginning) { Content::Archive(whole) } else { Content::File(whole) });
    };
    // What is inside is known only when it is read; so what was read to look is put before the rest.
    let whole = io::Cursor::new(beginning.clone()).chain(content);
    let mut inside = compression.open(Peeked { read: Vec::new(), rest: whole, keep: true })?;
    let start = fill_lenient(&mut inside);
    match start {
        Some(start) if is_tar(&start) => {
            inside.stop_keeping();
            Ok(Content::Archive(Box::new(io::Cursor::new(start).chain(inside))))
        }
        _ => Ok(Content::File(Box::new(inside.into_whole()))),
    }
}

/// The beginning of something: a block, or all there is.
fn fill(read: &mut dyn BufRead) -> io::Result<Vec<u8>> {
    let mut beginning = Vec::new();
    read.take(LOOK as u64).read_to_end(&mut beginning)?;
    Ok(beginning)
}

/// The same of what may not be what its first bytes say.
fn fill_lenient(read: &mut dyn Read) -> Option<Vec<u8>> {
    let mut beginning = Vec::new();
    read.take(LOOK as u64).read_to_end(&mut beginning).ok()?;
    Some(beginning)
}

/// A block whose checksum is right (POSIX.1, ustar).
fn is_tar(block: &[u8]) -> bool {
    let Some(field) = block.get(148..156) else {
        return false;
    };
    let digits: String = field.iter().map(|byte| char::from(*byte)).collect();
    let Ok(said) = u64::from_str_radix(digits.trim_matches(|c| c == ' ' || c == '\0'), 8) else {
        return false;
    };
    let blank = |(at, byte): (usize, &u8)| if (148..156).contains(&at) { u64::from(b' ') } else { u64::from(*byte) };
    block.len() == BLOCK && block.iter().enumerate().map(blank).sum::<u64>() == said
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

impl Compression {
    fn of(beginning: &[u8]) -> Option<Self> {
        let magics: [(&[u8], Self); 4] = [
            (&[0x1f, 0x8b, 0x08], Self::Gzip),
            (b"BZh", Self::Bzip2),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Self::Xz),
            (&[0x28, 0xb5, 0x2f, 0xfd], Self::Zstd),
        ];
        magics.into_iter().find(|(magic, _)| beginning.starts_with(magic)).map(|(_, compression)| compression)
    }

    fn open<R: Read>(self, from: Peeked<R>) -> io::Result<Inside<R>> {
        Ok(match self {
            Self::Gzip => Inside::Gzip(flate2::read::MultiGzDecoder::new(from)),
            Self::Bzip2 => Inside::Bzip2(bzip2::read::MultiBzDecoder::new(from)),
            Self::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
                Inside::Xz(liblzma::read::XzDecoder::new_stream(from, stream))
            }
            Self::Zstd => Inside::Zstd(zstd::Decoder::new(from)?),
        })
    }
}

/// A reader that remembers what was read while it is only looked at.
struct Peeked<R> {
    read: Vec<u8>,
    rest: R,
    keep: bool,
}

impl<R: Read> Read for Peeked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.rest.read(buffer)?;
        if self.keep {
            self.read.extend_from_slice(&buffer[..count]);
        }
        Ok(count)
    }
}

enum Inside<R: Read> {
    Gzip(flate2::read::MultiGzDecoder<Peeked<R>>),
    Bzip2(bzip2::read::MultiBzDecoder<Peeked<R>>),
    Xz(liblzma::read::XzDecoder<Peeked<R>>),
    Zstd(zstd::Decoder<'static, BufReader<Peeked<R>>>),
}

impl<R: Read> Inside<R> {
    fn stop_keeping(&mut self) {
        let peeked = match self {
            Self::Gzip(inside) => inside.get_mut(),
            Self::Bzip2(inside) => inside.get_mut(),
            Self::Xz(inside) => inside.get_mut(),
            Self::Zstd(inside) => inside.get_mut().get_mut(),
        };
        peeked.keep = false;
        peeked.read = Vec::new();
    }

    /// The file as it is, from its first byte.
    fn into_whole(self) -> io::Chain<io::Cursor<Vec<u8>>, R> {
        let peeked = match self {
            Self::Gzip(inside) => inside.into_inner(),
            Self::Bzip2(inside) => inside.into_inner(),
            Self::Xz(inside) => inside.into_inner(),
            Self::Zstd(inside) => inside.finish().into_inner(),
        };
        io::Cursor::new(peeked.read).chain(peeked.rest)
    }
}

impl<R: Read> Read for Inside<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(inside) => inside.read(buffer),
            Self::Bzip2(inside) => inside.read(buffer),
            Self::Xz(inside) => inside.read(buffer),
            Self::Zstd(inside) => inside.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn is_archive(bytes: &[u8]) -> bool {
        let mut reader = bytes;
        let (content, archive) = match look(&mut reader).unwrap() {
            Content::Archive(content) => (content, true),
            Content::File(content) => (content, false),
        };
        let mut read = Vec::new();
        let mut content = content;
        content.read_to_end(&mut read).unwrap();
        if !archive {
            assert_eq!(read, bytes, "a file is given on as it is");
        }
        archive
    }

    #[test]
    fn what_wants_too_much_memory_is_left_as_it_is() {
        use liblzma::stream::{Check, Filters, LzmaOptions};
        let tar = {
            let mut builder = tar::Builder::new(Vec::new());
            builder.append_data(&mut tar::Header::new_ustar(), "a", io::empty()).unwrap();
            builder.into_inner().unwrap()
        };
        for (dictionary, archive) in [(64 << 20, true), (1 << 30, false)] {
            let mut filters = Filters::new();
            let options = LzmaOptions::new_preset(0).unwrap();
            filters.lzma2(&options);
            let stream = Stream::new_stream_encoder(&filters, Check::Crc32).unwrap();
            let mut xz = Vec::new();
            liblzma::read::XzEncoder::new_stream(tar.as_slice(), stream).read_to_end(&mut xz).unwrap();
            with_dictionary(&mut xz, dictionary);
            assert_eq!(is_archive(&xz), archive, "{dictionary}");
            // Several streams, one after the other.
            assert_eq!(is_archive(&[xz.clone(), xz].concat()), archive, "{dictionary}");
        }
    }

    /// Says another size of the dictionary in the first block's header: to compress with it would take ten times as much.
    fn with_dictionary(xz: &mut [u8], size: u32) {
        // After the stream's header of 12 bytes: size, flags, filter, size of its properties, the properties: 2^(11 + n/2).
        let end = 12 + (usize::from(xz[12]) + 1) * 4;
        assert_eq!(xz[14..16], [0x21, 1]);
        xz[16] = u8::try_from((size.ilog2() - 12) * 2).unwrap();
        let mut sum = flate2::Crc::new();
        sum.update(&xz[12..end - 4]);
        xz[end - 4..end].copy_from_slice(&sum.sum().to_le_bytes());
    }

    #[test]
    fn an_archive_is_known_by_its_content() {
        let mut header = tar::Header::new_ustar();
        header.set_size(3);
        header.set_mode(0o644);
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_data(&mut header, "a", &b"abc"[..]).unwrap();
        let tar = builder.into_inner().unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&tar).unwrap();
        let mut text = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        text.write_all(b"only text").unwrap();
        for (bytes, archive) in [
            (tar.clone(), true),
            (gzip.finish().unwrap(), true),
            (zstd::encode_all(tar.as_slice(), 1).unwrap(), true),
            (text.finish().unwrap(), false),
            (b"only text".to_vec(), false),
            (Vec::new(), false),
            (vec![0; 512], false),
            (b"BZh is how bzip2 begins".to_vec(), false),
            (vec![0x1f, 0x8b, 8, 0, 1], false),
            (vec![b'x'; 100_000], false),
        ] {
            assert_eq!(is_archive(&bytes), archive, "{:?}", &bytes[..bytes.len().min(20)]);
        }
    }
}
