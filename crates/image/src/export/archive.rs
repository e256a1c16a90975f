//! One file for other tools: an OCI layout as a tar, sorted, without times or owners.
//!
//! With a `manifest.json` it is an archive of Docker's, too, in the form that Docker itself writes since version 25 and
//! that skopeo and podman read. It is written beside its place, and put there when it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use till_core::{Digest, ManifestDigest};

use super::convert::{convert, is_other, kept};
use super::layout::finished;
use super::{ExportCompression, REFERENCE};
use crate::archive::{BLOCK, Header, Kind, padding, write_header};
use crate::compress::Compression;
use crate::error::{ImageError, failed};
use crate::image::{Descriptor, Index, Manifest, document, json as written, load};
use crate::store::{BlobWriter, LAYOUT, Store, unique};

/// What an archive is made of.
pub(super) struct Pieces {
    manifest: Descriptor,
    config: Digest,
    /// In the image's order.
    layers: Vec<Digest>,
    /// All blobs, sorted.
    blobs: Vec<(Digest, u64, Piece)>,
}

/// Where a blob's bytes are.
enum Piece {
    Here(Vec<u8>),
    Stored(PathBuf),
    /// Made for this archive; goes with it.
    Made(BlobWriter),
}

/// What the archive is for.
pub(super) enum Form<'a> {
    Oci { reference: &'a str },
    Docker { name: Option<&'a str> },
}

/// Everything that goes into an archive.
pub(super) fn gather(
    store: &Store,
    manifest: &ManifestDigest,
    compression: ExportCompression,
) -> Result<Pieces, ImageError> {
    let image = load(store, manifest)?;
    let bytes = store.get(manifest)?;
    let mut parsed: Manifest = document("manifest", &manifest.0, &bytes)?;
    let config = store.get(&image.config_digest)?;
    let mut blobs = vec![(image.config_digest.clone(), config.len() as u64, Piece::Here(config))];
    let mut layers = Vec::new();
    let mut changed = false;
    for (descriptor, layer) in parsed.layers.iter_mut().zip(&image.layers) {
        let (digest, size, piece) = match is_other(layer, compression) {
            Some(to @ (Compression::Gzip | Compression::Zstd)) => {
                let converted = kept(store, layer, to)?;
                *descriptor = Descriptor::of_layer(&converted);
                changed = true;
                let path = store.path(&converted.blob);
                (converted.blob.0, converted.size, Piece::Stored(path))
            }
            Some(to) => {
                let (converted, blob) = convert(store, layer, store.writer()?, to)?;
                *descriptor = Descriptor::of_layer(&converted);
                changed = true;
                (converted.blob.0, converted.size, Piece::Made(blob))
            }
            None => (layer.blob.0.clone(), store.size(&layer.blob)?, Piece::Stored(store.path(&layer.blob))),
        };
        layers.push(digest.clone());
        blobs.push((digest, size, piece));
    }
    let (bytes, media_type) = finished(parsed, bytes, changed)?;
    let manifest = Descriptor::new(media_type, Digest::of(&bytes), bytes.len() as u64);
    blobs.push((manifest.digest.clone(), bytes.len() as u64, Piece::Here(bytes)));
    blobs.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    // Empty layers are often there more than once.
    blobs.dedup_by(|(one, ..), (other, ..)| one == other);
    Ok(Pieces { manifest, config: image.config_digest, layers, blobs })
}

/// Writes the archive; answers the manifest in it.
pub(super) fn write(path: &Path, pieces: &Pieces, form: &Form<'_>) -> Result<ManifestDigest, ImageError> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => {
            return Err(ImageError::Place {
                place: path.display().to_string(),
                why: "it is there, and no file".to_owned(),
                hint: "name a file that does not exist yet, or an archive that is to be replaced",
            });
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("find", path)(error)),
        _ => {}
    }
    let begun = Begun::beside(path)?;
    let mut into = BufWriter::with_capacity(1 << 20, &begun.file);
    fill(&mut into, pieces, form)?;
    into.flush().map_err(failed("write", &begun.path))?;
    drop(into);
    begun.finish(path)?;
    Ok(ManifestDigest(pieces.manifest.digest.clone()))
}

fn fill(into: &mut impl Write, pieces: &Pieces, form: &Form<'_>) -> Result<(), ImageError> {
    let mut manifest = pieces.manifest.clone();
    let mut saved = None;
    match form {
        Form::Oci { reference } => {
            manifest.annotations.insert(REFERENCE.to_owned(), (*reference).to_owned());
        }
        Form::Docker { name } => {
            // As Docker does: the whole name for containerd, the tag alone for the spec.
            if let Some((_, tag)) = name.and_then(|name| name.rsplit_once(':')) {
                manifest.annotations.insert(REFERENCE.to_owned(), tag.to_owned());
                let whole = name.unwrap_or_default().to_owned();
                manifest.annotations.insert("io.containerd.image.name".to_owned(), whole);
            }
            let at = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
            let tags: Vec<_> = name.iter().collect();
            let layers: Vec<_> = pieces.layers.iter().map(at).collect();
            let entry = json!([{ "Config": at(&pieces.config), "RepoTags": tags, "Layers": layers }]);
            saved = Some(written("manifest.json", &entry)?);
        }
    }
    let index = Index { manifests: vec![manifest], ..Index::default() };
    directory(into, "blobs")?;
    directory(into, "blobs/sha256")?;
    for (digest, size, piece) in &pieces.blobs {
        let name = format!("blobs/sha256/{}", digest.hex());
        match piece {
            Piece::Here(bytes) => file(into, &name, *size, &mut bytes.as_slice())?,
            Piece::Stored(path) => stored(into, &name, *size, path)?,
            Piece::Made(blob) => stored(into, &name, *size, blob.path())?,
        }
    }
    let mut small = |name: &str, bytes: &[u8]| file(into, name, bytes.len() as u64, &mut { bytes });
    small("index.json", &written("index", &index)?)?;
    if let Some(saved) = saved {
        small("manifest.json", &saved)?;
    }
    small("oci-layout", LAYOUT)?;
    into.write_all(&[0; 2 * BLOCK]).map_err(failed("write", "the archive"))
}

fn stored(into: &mut impl Write, name: &str, size: u64, path: &Path) -> Result<(), ImageError> {
    let mut from = File::open(path).map_err(failed("read", path))?;
    file(into, name, size, &mut from)
}

fn directory(into: &mut impl Write, name: &str) -> Result<(), ImageError> {
    header(into, name, Kind::Directory, 0)
}

fn file(into: &mut impl Write, name: &str, size: u64, from: &mut dyn io::Read) -> Result<(), ImageError> {
    header(into, name, Kind::File, size)?;
    let failed = failed::<io::Error>;
    let copied = io::copy(&mut io::Read::take(from, size), into).map_err(failed("write", name))?;
    if copied < size {
        return Err(failed("read", name)(io::ErrorKind::UnexpectedEof.into()));
    }
    let rest = usize::try_from(padding(size)).unwrap_or(0);
    into.write_all(&[0; BLOCK][..rest]).map_err(failed("write", name))
}

fn header(into: &mut impl Write, name: &str, kind: Kind, size: u64) -> Result<(), ImageError> {
    let mode = if kind == Kind::Directory { 0o755 } else { 0o644 };
    let (path, attributes) = (name.as_bytes(), &Vec::new());
    let header = Header { path, kind, mode, uid: 0, gid: 0, size, mtime: 0, link: b"", attributes };
    let mut bytes = Vec::new();
    write_header(&header, &mut bytes);
    into.write_all(&bytes).map_err(failed("write", name))
}

/// A file that is not whole yet; without an end it is removed.
struct Begun {
    file: File,
    path: PathBuf,
}

impl Begun {
    fn beside(path: &Path) -> Result<Self, ImageError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let path = path.with_file_name(format!(".{name}.{}", unique()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => Ok(Self { file, path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ImageError::Place {
                place: path.parent().unwrap_or(Path::new(".")).display().to_string(),
                why: "there is no such directory".to_owned(),
                hint: "make it first",
            }),
            Err(error) => Err(failed("make", &path)(error)),
        }
    }

    fn finish(self, place: &Path) -> Result<(), ImageError> {
        self.file.sync_all().map_err(failed("sync", &self.path))?;
        fs::rename(&self.path, place).map_err(failed("make", place))
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        // Gone already when it is finished.
        let _ = fs::remove_file(&self.path);
    }
}
