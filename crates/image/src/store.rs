//! A content-addressed store on disk, safe against crashes.
//!
//! ```text
//! ROOT/oci-layout                 makes it an OCI image layout
//! ROOT/blobs/sha256/<hex>         a blob; never changed, there only when whole and on disk
//! ROOT/converted/<hex>.<form>     which blob is the same layer in another compression; made again when that is gone
//! ROOT/staging/<pid>-<n>-<salt>   being written; its writer holds a lock (flock) on it
//! ```
//!
//! It knows no references: who needs which blob is written down elsewhere.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest as _, Sha256};
use till_core::inventory::LayerScan;
use till_core::{BlobDigest, DiffId, Digest};

use crate::error::{ImageError, failed};

/// What a layout says of itself.
pub(crate) const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// The largest blob that is read whole. Manifests and configs have a few KiB.
const MAX_WHOLE: u64 = 16 << 20;

/// The store.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    staging: PathBuf,
    seen: Arc<Mutex<VecDeque<(DiffId, LayerScan)>>>,
}

/// The folder of what is known of conversions.
const CONVERTED: &str = "converted";

/// Of how many layers is remembered what was seen when they were packed: those of a preparation or two, until it is asked for.
const SEEN: usize = 8;

impl Store {
    /// The store at that place; makes what is missing.
    pub fn open(root: &Path) -> Result<Self, ImageError> {
        Self::open_staged(root, root.join("staging"))
    }

    /// The same, with another place for half-written blobs (on the same file system).
    pub(crate) fn open_staged(root: &Path, staging: PathBuf) -> Result<Self, ImageError> {
        let store = Self { root: root.to_owned(), staging, seen: Arc::default() };
        for dir in [&store.blob_dir(), &store.staging] {
            fs::create_dir_all(dir).map_err(failed("make directory", dir))?;
        }
        let layout = root.join("oci-layout");
        if !layout.exists() {
            store.replace(&layout, LAYOUT)?;
        }
        Ok(store)
    }

    /// Stores a small blob.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, ImageError> {
        let digest = Digest::of(bytes);
        if self.has(&digest) {
            return Ok(digest);
        }
        let mut writer = self.writer()?;
        writer.write_all(bytes).map_err(failed("write", &writer.path))?;
        Ok(writer.finish()?.0.0)
    }

    /// A small blob's bytes, which are what the digest says.
    pub fn get(&self, digest: &Digest) -> Result<Vec<u8>, ImageError> {
        let size = self.size(digest)?;
        if size > MAX_WHOLE {
            return Err(ImageError::LargeBlob { digest: digest.clone(), size });
        }
        let path = self.path(digest);
        let file = File::open(&path).map_err(failed("read", &path))?;
        let mut bytes = Vec::new();
        file.take(MAX_WHOLE).read_to_end(&mut bytes).map_err(failed("read", &path))?;
        let found = Digest::of(&bytes);
        if found == *digest { Ok(bytes) } else { Err(ImageError::Damaged { expected: digest.clone(), found }) }
    }

    /// Whether the blob is there.
    pub fn has(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Where the blob is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.blob_dir().join(digest.hex())
    }

    /// The blob's bytes on disk.
    pub fn size(&self, digest: &Digest) -> Result<u64, ImageError> {
        let path = self.path(digest);
        let metadata = fs::metadata(&path).map_err(failed("find blob", &path))?;
        Ok(metadata.len())
    }

    /// Begins a blob.
    pub fn writer(&self) -> Result<BlobWriter, ImageError> {
        loop {
            let path = self.staging.join(unique());
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o444)
                .open(&path)
                .map_err(failed("make", &path))?;
            // Between making and locking, a sweep may have taken it for a dead writer's: then another one is made.
            let locked = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
            let linked = file.metadata().is_ok_and(|metadata| metadata.nlink() > 0);
            if locked && linked {
                return Ok(BlobWriter { store: self.clone(), path, file, hash: Sha256::new(), size: 0 });
            }
        }
    }

    /// Makes a blob of a file, which lies on the same file system and is gone afterwards: for what came from elsewhere. It is
    /// read once more, and refused when it is not what the digest says.
    pub fn take(&self, file: &Path, expected: &Digest) -> Result<(), ImageError> {
        let mut source = File::open(file).map_err(failed("read", file))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 17];
        loop {
            match source.read(&mut buffer).map_err(failed("read", file))? {
                0 => break,
                count => hash.update(&buffer[..count]),
            }
        }
        let found = Digest::from_sha256(hash.finalize().as_slice());
        if found != *expected {
            return Err(ImageError::Alien { path: file.to_owned(), expected: expected.clone(), found });
        }
        let place = self.path(expected);
        rustix::fs::fchmod(&source, rustix::fs::Mode::from_raw_mode(0o444)).map_err(failed("close", file))?;
        source.sync_all().map_err(failed("sync", file))?;
        fs::rename(file, &place).map_err(failed("make", &place))?;
        sync_dir(&self.blob_dir())
    }

    /// Removes a blob. Answers how many bytes that freed; none when it is not there.
    pub fn remove(&self, digest: &Digest) -> Result<u64, ImageError> {
        let path = self.path(digest);
        let metadata = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            other => other.map_err(failed("find blob", &path))?,
        };
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            other => other.map(|()| metadata.len()).map_err(failed("remove", &path)),
        }
    }

    /// All blobs and their sizes, sorted.
    pub fn blobs(&self) -> Result<Vec<(Digest, u64)>, ImageError> {
        let dir = self.blob_dir();
        let mut blobs = Vec::new();
        for entry in fs::read_dir(&dir).map_err(failed("list", &dir))? {
            let entry = entry.map_err(failed("list", &dir))?;
            let name = entry.file_name();
            let digest = format!("sha256:{}", name.to_string_lossy()).parse::<Digest>();
            // A blob that was removed meanwhile is none.
            if let (Ok(digest), Ok(metadata)) = (digest, entry.metadata()) {
                blobs.push((digest, metadata.len()));
            }
        }
        blobs.sort();
        Ok(blobs)
    }

    /// Removes half-written blobs whose writer is dead. Answers how many. Safe while others write.
    pub fn sweep(&self) -> Result<usize, ImageError> {
        let mut swept = 0;
        for entry in fs::read_dir(&self.staging).map_err(failed("list", &self.staging))? {
            let path = entry.map_err(failed("list", &self.staging))?.path();
            let Ok(file) = File::open(&path) else {
                continue;
            };
            // Removed while the lock is held: who locks it later finds it unlinked.
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                match fs::remove_file(&path) {
                    Ok(()) => swept += 1,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(failed("remove", &path)(error)),
                }
            }
        }
        Ok(swept)
    }

    /// The blob that has the same layer in another form, and its size; none when it is not there (any more).
    pub(crate) fn conversion(&self, of: &BlobDigest, media_type: &str) -> Option<(BlobDigest, u64)> {
        let digest: Digest = fs::read_to_string(self.conversion_note(of, media_type)).ok()?.parse().ok()?;
        let size = self.size(&digest).ok()?;
        Some((BlobDigest(digest), size))
    }

    /// Remembers which blob that is.
    pub(crate) fn remember_conversion(
        &self,
        of: &BlobDigest,
        media_type: &str,
        blob: &BlobDigest,
    ) -> Result<(), ImageError> {
        let note = self.conversion_note(of, media_type);
        let folder = self.root.join(CONVERTED);
        fs::create_dir_all(&folder).map_err(failed("make directory", &folder))?;
        self.replace(&note, blob.to_string().as_bytes())
    }

    fn conversion_note(&self, of: &BlobDigest, media_type: &str) -> PathBuf {
        let (_, form) = media_type.rsplit_once('+').unwrap_or(("", "tar"));
        self.root.join(CONVERTED).join(format!("{}.{form}", of.hex()))
    }

    /// Forgets conversions whose blobs are gone.
    pub fn forget_conversions(&self) -> Result<(), ImageError> {
        for entry in fs::read_dir(self.root.join(CONVERTED)).into_iter().flatten().flatten() {
            let digest = fs::read_to_string(entry.path()).ok().and_then(|text| text.parse::<Digest>().ok());
            if !digest.is_some_and(|digest| self.has(&digest)) {
                fs::remove_file(entry.path()).map_err(failed("remove", entry.path()))?;
            }
        }
        Ok(())
    }

    /// Remembers what was seen of a layer that was just packed, for as long as this process lives and few others are.
    pub(crate) fn remember(&self, layer: &DiffId, scan: LayerScan) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() == SEEN {
            seen.pop_front();
        }
        seen.push_back((layer.clone(), scan));
    }

    /// What is remembered of a layer. It is asked for once.
    pub(crate) fn seen(&self, layer: &DiffId) -> Option<LayerScan> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let at = seen.iter().position(|(known, _)| known == layer)?;
        seen.remove(at).map(|(_, scan)| scan)
    }

    /// Where half-written blobs are, and what nobody needs after this process.
    pub(crate) fn staging(&self) -> &Path {
        &self.staging
    }

    /// Where the store is.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Puts these bytes at `path` (inside the store), all at once.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
        let mut writer = self.writer()?;
        let staged = writer.path.clone();
        writer.write_all(bytes).map_err(failed("write", &staged))?;
        writer.file.sync_all().map_err(failed("sync", &staged))?;
        fs::rename(&staged, path).map_err(failed("make", path))?;
        sync_dir(&self.root)
    }

    /// Makes a blob of what `write` writes, believing that it has this digest: for copies from another store.
    pub(crate) fn adopt(
        &self,
        digest: &Digest,
        write: impl FnOnce(&mut File) -> io::Result<u64>,
    ) -> Result<(), ImageError> {
        let mut writer = self.writer()?;
        let place = self.path(digest);
        write(&mut writer.file).map_err(failed("write", &writer.path))?;
        writer.file.sync_all().map_err(failed("sync", &writer.path))?;
        fs::rename(&writer.path, &place).map_err(failed("make", &place))?;
        sync_dir(&self.blob_dir())
    }

    fn blob_dir(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }
}

/// A blob that is being written. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct BlobWriter {
    store: Store,
    path: PathBuf,
    file: File,
    hash: Sha256,
    size: u64,
}

impl BlobWriter {
    /// Where its bytes are now, for words about failures.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the blob will be called, and its size, if nothing more is written.
    pub(crate) fn sum(&self) -> (Digest, u64) {
        (Digest::from_sha256(self.hash.clone().finalize().as_slice()), self.size)
    }

    /// Makes the blob part of the store: on disk, then visible.
    pub fn finish(self) -> Result<(BlobDigest, u64), ImageError> {
        let (digest, _) = self.sum();
        let place = self.store.path(&digest);
        if !self.store.has(&digest) {
            self.file.sync_all().map_err(failed("sync", &self.path))?;
            fs::rename(&self.path, &place).map_err(failed("make", &place))?;
        }
        // Also when it was there: who renamed it may not have come to this line yet.
        sync_dir(&self.store.blob_dir())?;
        Ok((BlobDigest(digest), self.size))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        // Gone already when finished; and what cannot be removed is left to `sweep`.
        let _ = fs::remove_file(&self.path);
    }
}

fn sync_dir(dir: &Path) -> Result<(), ImageError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("sync", dir))
}

/// A name that no other writer has, in this process or another.
pub(crate) fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let salt = RandomState::new().build_hasher().finish();
    format!("{}-{count}-{salt:016x}", std::process::id())
}
