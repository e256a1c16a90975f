//! Reading stored layers.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::rc::Rc;

use sha2::{Digest as _, Sha256};
use till_core::Digest;
use till_core::port::Layer;

use crate::compress::{self, Compression};
use crate::error::{ImageError, failed};
use crate::store::Store;

/// A layer's tar, decompressed as it is read.
pub fn open_layer(store: &Store, layer: &Layer) -> Result<Box<dyn Read>, ImageError> {
    let path = store.path(&layer.blob);
    let file = File::open(&path).map_err(failed("read", &path))?;
    decompress(layer, file)
}

fn decompress(layer: &Layer, blob: impl Read + 'static) -> Result<Box<dyn Read>, ImageError> {
    if Compression::of_media_type(&layer.media_type).is_none() {
        return Err(ImageError::MediaType { digest: layer.blob.0.clone(), media_type: layer.media_type.clone() });
    }
    let damaged = |source| ImageError::DamagedLayer { digest: layer.blob.0.clone(), source };
    compress::decompress(blob).map(|(_, tar)| tar).map_err(damaged)
}

/// A layer's tar that is compared with its digests while it is read.
pub(crate) struct VerifiedLayer {
    tar: Hashing<Box<dyn Read>>,
    blob: Rc<RefCell<Sha256>>,
    layer: Layer,
}

impl VerifiedLayer {
    pub(crate) fn open(store: &Store, layer: &Layer) -> Result<Self, ImageError> {
        let path = store.path(&layer.blob);
        let file = File::open(&path).map_err(failed("read", &path))?;
        let blob = Rc::new(RefCell::new(Sha256::new()));
        let hashed = Hashing { inner: file, hash: Rc::clone(&blob) };
        Ok(Self {
            tar: Hashing { inner: decompress(layer, hashed)?, hash: Rc::new(RefCell::new(Sha256::new())) },
            blob,
            layer: layer.clone(),
        })
    }

    /// Reads what is left, and compares.
    pub(crate) fn verify(mut self) -> Result<(), ImageError> {
        io::copy(&mut self.tar, &mut io::sink())
            .map_err(|source| ImageError::DamagedLayer { digest: self.layer.blob.0.clone(), source })?;
        compare(&self.layer.blob, &self.blob)?;
        compare(&self.layer.diff_id, &self.tar.hash)
    }
}

impl Read for VerifiedLayer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tar.read(buffer)
    }
}

fn compare(expected: &Digest, hash: &RefCell<Sha256>) -> Result<(), ImageError> {
    let found = Digest::from_sha256(hash.borrow().clone().finalize().as_slice());
    if found == *expected { Ok(()) } else { Err(ImageError::Damaged { expected: expected.clone(), found }) }
}

struct Hashing<R> {
    inner: R,
    hash: Rc<RefCell<Sha256>>,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.borrow_mut().update(&buffer[..count]);
        Ok(count)
    }
}
