//! Debian packages (deb(5)): what one says of itself, and its files. Nothing of it is run.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::copy::archives::{Content, look};
use crate::error::{ImageError, failed};
use crate::unpack::reader::Reader;
use crate::unpack::{Unpacking, unpack};

const MAGIC: &[u8; 8] = b"!<arch>\n";
/// An `ar` member's header.
const HEADER: usize = 60;
/// The largest control archive, unpacked; those of Debian have some hundred KiB at most.
const MAX_CONTROL: u64 = 64 << 20;

/// The text of a package's control file (deb-control(5)).
pub fn control(path: &Path) -> Result<String, ImageError> {
    let mut file = File::open(path).map_err(failed("read", path))?;
    read(&mut file).map_err(failed("read the package", path))
}

/// Unpacks the files of a package into a directory that has nothing yet.
pub fn extract(path: &Path, into: &Path) -> Result<(), ImageError> {
    let mut file = File::open(path).map_err(failed("read", path))?;
    let mut part = member(&mut file, "data.tar").map_err(failed("read the package", path))?;
    let unpacking = Unpacking::plain(Some((0, 0)));
    match look(&mut part).map_err(failed("read the package", path))? {
        Content::Archive(mut archive) => unpack(&mut archive, into, "", &unpacking).map(drop),
        Content::File(_) => {
            let why = io::Error::new(io::ErrorKind::InvalidData, "its data.tar is not a tar archive");
            Err(failed("read the package", path)(why))
        }
    }
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// The part of that name, however it is compressed.
fn member<R: Read + Seek>(mut file: R, name: &str) -> io::Result<io::Take<R>> {
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic)?;
    if &magic != MAGIC {
        return Err(bad("it is not a package"));
    }
    loop {
        let mut header = [0; HEADER];
        file.read_exact(&mut header).map_err(|_| bad(&format!("it has no {name}")))?;
        let text = |range: std::ops::Range<usize>| String::from_utf8_lossy(&header[range]).trim().to_owned();
        let size: u64 = text(48..58).parse().map_err(|_| bad("a part of it has no size"))?;
        if text(0..16).starts_with(name) {
            return Ok(file.take(size));
        }
        // Parts begin at even places.
        let next = i64::try_from(size.next_multiple_of(2)).map_err(|_| bad("a part of it is too large"))?;
        file.seek(SeekFrom::Current(next))?;
    }
}

fn read(file: &mut (impl Read + Seek)) -> io::Result<String> {
    let mut part = member(file, "control.tar")?;
    let Content::Archive(archive) = look(&mut part)? else {
        return Err(bad("its control.tar is not a tar archive"));
    };
    let mut archive = archive.take(MAX_CONTROL);
    let mut reader = Reader::new(&mut archive);
    while let Some(entry) = reader.next()? {
        if matches!(entry.path.as_slice(), b"./control" | b"control") {
            let mut text = String::new();
            reader.read_to_string(&mut text)?;
            return Ok(text);
        }
    }
    Err(bad("its control.tar has no control file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, content: &[u8]) -> Vec<u8> {
        let mut bytes =
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", content.len()).into_bytes();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
        bytes
    }

    fn package(control: &[(&str, &[u8])]) -> Vec<u8> {
        let parts = control.iter().map(|(name, content)| member(name, content));
        std::iter::once(MAGIC.to_vec()).chain([member("debian-binary", b"2.0\n")]).chain(parts).flatten().collect()
    }

    fn tar(name: &str, text: &str) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, text.as_bytes()).unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn the_control_file_is_found_however_it_is_compressed() {
        let tar = tar("./control", "Package: a\n");
        let zstd = zstd::encode_all(tar.as_slice(), 1).unwrap();
        for part in [("control.tar", tar.as_slice()), ("control.tar.zst/", &zstd)] {
            let bytes = package(&[("odd", b"x"), part]);
            assert_eq!(read(&mut io::Cursor::new(bytes)).unwrap(), "Package: a\n");
        }
    }

    #[test]
    fn what_is_no_package_is_said_to_be_none() {
        let other = tar("other", "x");
        for (bytes, said) in [
            (b"PK not one".to_vec(), "it is not a package"),
            (package(&[]), "no control.tar"),
            (package(&[("control.tar", b"text")]), "not a tar archive"),
            (package(&[("control.tar", &other)]), "no control file"),
            ([MAGIC.as_slice(), &[b' '; HEADER]].concat(), "has no size"),
        ] {
            let error = read(&mut io::Cursor::new(bytes)).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
