//! One layer, looked through in one pass: digests, size, compression, and each entry by the rules of unpacking.
//!
//! ```text
//! blob ─► sha256, size ─► decompressed by what it is ─► sha256 (diff id), limits ─► entries
//!              └► kept as it is                              └► or kept as its tar
//! ```
//!
//! Nothing is unpacked here. What passes can be unpacked later without a limit.

use std::cell::RefCell;
use std::io::{self, BufReader, Read, Write};
use std::rc::Rc;

use sha2::{Digest as _, Sha256};
use till_core::port::Layer;
use till_core::{DiffId, Digest};

use super::limits::{ImportLimits, Policy};
use super::names::Names;
use crate::compress::{Compression, decompress};
use crate::error::{ImageError, shown};
use crate::ids::IdShift;
use crate::store::Store;
use crate::unpack::{Member, Reader, Unpacking, What};

/// How many things that are left out are named.
const NOTICES: usize = 20;

/// What a layer was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// In which form it is.
    pub compression: Compression,
    /// Bytes of its tar.
    pub bytes: u64,
    /// Its entries, with the directories that it only implies.
    pub entries: u64,
    /// What is left out of it.
    pub notices: Vec<String>,
}

/// Looks through a layer whose blob is in the store.
pub fn verify_layer(store: &Store, layer: &Layer, limits: &ImportLimits) -> Result<Verified, ImageError> {
    let path = store.path(&layer.blob);
    let blob = std::fs::File::open(&path).map_err(crate::error::failed("read", &path))?;
    let passage = Passage {
        blob: Box::new(blob),
        named: Some((&layer.blob.0, layer.size)),
        diff_id: &layer.diff_id,
        keep: Keep::Nothing,
        bytes: limits.bytes,
    };
    passage.look_through(limits)
}

/// A layer on its way.
pub(crate) struct Passage<'a> {
    pub(crate) blob: Box<dyn Read + 'a>,
    /// What the manifest says of the blob.
    pub(crate) named: Option<(&'a Digest, u64)>,
    /// What the config says of its tar.
    pub(crate) diff_id: &'a DiffId,
    pub(crate) keep: Keep<'a>,
    /// How many bytes its tar may have.
    pub(crate) bytes: u64,
}

/// What is kept of what passes.
pub(crate) enum Keep<'a> {
    Nothing,
    /// The blob, as it comes.
    Blob(&'a mut dyn Write),
    /// The tar.
    Tar(&'a mut dyn Write),
}

impl<'p> Passage<'p> {
    pub(crate) fn look_through(self, limits: &'p ImportLimits) -> Result<Verified, ImageError> {
        let name = self.named.map_or(&self.diff_id.0, |(digest, _)| digest).clone();
        let trouble = Rc::new(RefCell::new(None));
        let (keep_blob, keep_tar) = match self.keep {
            Keep::Nothing => (None, None),
            Keep::Blob(into) => (Some(into), None),
            Keep::Tar(into) => (None, Some(into)),
        };
        let raw = Rc::new(RefCell::new(Tap {
            inner: self.blob,
            into: keep_blob,
            sum: Sum::default(),
            limit: self.named.map_or(u64::MAX, |(_, size)| size),
            over: "it is larger than its manifest says",
            below: Below::File,
            trouble: Rc::clone(&trouble),
        }));
        let pass = || -> Result<(Verified, Sum), ImageError> {
            let (compression, tar) = decompress(Shared(Rc::clone(&raw))).map_err(ImageError::Archive)?;
            let tar = Tap {
                inner: Box::new(Guarded { inner: tar, raw: Rc::clone(&raw), count: 0, limits }) as Box<dyn Read + '_>,
                into: keep_tar,
                sum: Sum::default(),
                limit: self.bytes,
                over: "it has more bytes than an image may have",
                below: Below::Decoder,
                trouble: Rc::clone(&trouble),
            };
            let mut tar = BufReader::with_capacity(1 << 16, tar);
            let mut verified = entries(&mut tar, limits)?;
            let sum = tar.into_inner().sum;
            // What follows the compressed bytes belongs to the blob, too.
            io::copy(&mut Shared(Rc::clone(&raw)), &mut io::sink()).map_err(ImageError::Archive)?;
            verified.compression = compression;
            verified.bytes = sum.count;
            Ok((verified, sum))
        };
        let passed = pass();
        if let Some((deed, source)) = trouble.borrow_mut().take() {
            return Err(ImageError::Io { deed, path: name.as_str().into(), source });
        }
        let refused = |source| ImageError::RefusedLayer { digest: name.clone(), source: Box::new(source) };
        let (verified, tar) = passed.map_err(refused)?;
        let raw = raw.borrow();
        compare(self.named, &raw.sum, self.diff_id, &tar).map_err(refused)?;
        Ok(verified)
    }
}

fn compare(named: Option<(&Digest, u64)>, raw: &Sum, diff_id: &DiffId, tar: &Sum) -> Result<(), ImageError> {
    let other = |what: &'static str, expected: &Digest, found: Digest| ImageError::Other {
        what,
        expected: expected.to_string(),
        found: found.to_string(),
    };
    if let Some((digest, size)) = named {
        if raw.count != size {
            let (expected, found) = (format!("{size} bytes"), format!("{} bytes", raw.count));
            return Err(ImageError::Other { what: "size", expected, found });
        }
        if raw.digest() != *digest {
            return Err(other("digest", digest, raw.digest()));
        }
    }
    if tar.digest() == diff_id.0 { Ok(()) } else { Err(other("diff id", diff_id, tar.digest())) }
}

/// Looks through all entries, to the end of the tar.
fn entries(tar: &mut dyn Read, limits: &ImportLimits) -> Result<Verified, ImageError> {
    let unpacking = Unpacking::of_layer(IdShift { first: 0, count: limits.ids });
    let mut names = Names::default();
    let mut verified = Verified { compression: Compression::None, bytes: 0, entries: 0, notices: Vec::new() };
    let mut count: u64 = 0;
    let mut archive = Reader::new(tar);
    while let Some(entry) = archive.next().map_err(ImageError::Archive)? {
        count += 1;
        if count + names.implied > limits.entries {
            return Err(ImageError::TooMany { limit: limits.entries });
        }
        let Some(member) = Member::of(entry, &unpacking)? else {
            continue;
        };
        let hostile = |why: &str| ImageError::Hostile { path: shown(&member.path), why: why.to_owned() };
        check_rights(&member, limits.setuid).map_err(hostile)?;
        names.take(&member).map_err(hostile)?;
        if member.what == What::Device && verified.notices.len() < NOTICES {
            verified
                .notices
                .push(format!("the device `{}` is left out: instances have their own", shown(&member.path)));
        }
    }
    nothing_more(tar)?;
    verified.entries = count + names.implied;
    Ok(verified)
}

fn check_rights(member: &Member, policy: Policy) -> Result<(), &'static str> {
    let more = member.what == What::File && member.mode & 0o6000 != 0;
    let capable = member.attributes.iter().any(|(name, _)| name == b"security.capability");
    match policy {
        Policy::Refuse if more || capable => Err("it runs with more rights than who calls it"),
        _ => Ok(()),
    }
}

/// After the tar's end stand zeros alone: what some readers pass over, others would take for entries.
fn nothing_more(tar: &mut dyn Read) -> Result<(), ImageError> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match tar.read(&mut buffer).map_err(ImageError::Archive)? {
            0 => return Ok(()),
            count if buffer[..count].iter().all(|byte| *byte == 0) => {}
            _ => return Err(ImageError::Archive(invalid("there is something after its end"))),
        }
    }
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// How many bytes passed, and their hash.
#[derive(Default)]
struct Sum {
    hash: Sha256,
    count: u64,
}

impl Sum {
    fn digest(&self) -> Digest {
        Digest::from_sha256(self.hash.clone().finalize().as_slice())
    }
}

/// What failed on this machine, not in the image.
type Trouble = Rc<RefCell<Option<(&'static str, io::Error)>>>;

/// Sums up what passes, up to a limit, and keeps it if somebody wants it.
struct Tap<'a> {
    inner: Box<dyn Read + 'a>,
    into: Option<&'a mut dyn Write>,
    sum: Sum,
    limit: u64,
    over: &'static str,
    below: Below,
    trouble: Trouble,
}

/// What is read from: when that fails it is this machine's doing, or the image's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    File,
    Decoder,
}

impl Tap<'_> {
    fn note(&self, deed: &'static str, error: io::Error) -> io::Error {
        if error.kind() == io::ErrorKind::Interrupted {
            return error;
        }
        self.trouble.borrow_mut().replace((deed, error));
        io::Error::other(deed)
    }
}

impl Read for Tap<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.inner.read(buffer) {
            Err(error) if self.below == Below::File => return Err(self.note("read", error)),
            other => other?,
        };
        self.sum.count += count as u64;
        if self.sum.count > self.limit {
            return Err(invalid(self.over));
        }
        self.sum.hash.update(&buffer[..count]);
        match self.into.as_mut().map(|into| into.write_all(&buffer[..count])) {
            Some(Err(error)) => Err(self.note("write", error)),
            _ => Ok(count),
        }
    }
}

/// A reader that others look at as well.
struct Shared<R>(Rc<RefCell<R>>);

impl<R: Read> Read for Shared<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

/// Stops what becomes too much larger by unpacking than it was.
struct Guarded<'a> {
    inner: Box<dyn Read + 'a>,
    raw: Rc<RefCell<Tap<'a>>>,
    count: u64,
    limits: &'a ImportLimits,
}

impl Read for Guarded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        let fair = self.raw.borrow().sum.count.saturating_mul(self.limits.ratio);
        if self.count > self.limits.ratio_from.max(fair) {
            return Err(invalid("it becomes suspiciously large by unpacking"));
        }
        Ok(count)
    }
}
