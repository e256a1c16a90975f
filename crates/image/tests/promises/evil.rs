//! Archives and layouts that no library would write.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use till_core::Digest;
use till_image::{ImageError, ImportLimits, ImportSource, Imported, Platform, import};

use crate::common::{Lab, look};

/// An archive that is written byte by byte: no library would write these.
#[derive(Clone, Default)]
pub(crate) struct Evil(pub(crate) Vec<u8>);

impl Evil {
    pub(crate) fn entry(mut self, flag: u8, name: &str, link: &str, content: &[u8]) -> Self {
        self.header(flag, name.as_bytes(), link.as_bytes(), content.len() as u64, 0);
        self.content(content);
        self
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        self.entry(b'0', name, "", content.as_bytes())
    }

    pub(crate) fn pax(self, key: &str, value: &str) -> Self {
        let rest = key.len() + value.len() + 3;
        let length = rest + (rest + 2).to_string().len();
        let record = format!("{length} {key}={value}\n");
        assert_eq!(record.len(), length);
        self.entry(b'x', "pax", "", record.as_bytes())
    }

    pub(crate) fn header(&mut self, flag: u8, name: &[u8], link: &[u8], size: u64, uid: u64) {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link);
        header.set_entry_type(tar::EntryType::new(flag));
        header.set_mode(0o4755);
        header.set_size(size);
        header.set_uid(uid);
        header.set_gid(0);
        header.set_mtime(1000);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
    }

    pub(crate) fn content(&mut self, content: &[u8]) {
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn platform() -> Platform {
    "linux/amd64".parse().unwrap()
}

pub(crate) const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An OCI layout in which anything can stand, a store, and a neighbour of both that must not be touched.
pub(crate) struct Layout {
    pub(crate) lab: Lab,
    pub(crate) dir: PathBuf,
    outside: PathBuf,
}

impl Layout {
    pub(crate) fn new() -> Self {
        let lab = Lab::new();
        let dir = lab.tree("layout");
        let outside = lab.tree("outside");
        fs::write(outside.join("secret"), "secret").unwrap();
        fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
        fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self { lab, dir, outside }
    }

    /// Adds a blob; its descriptor.
    pub(crate) fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        fs::write(self.dir.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    pub(crate) fn json(&self, media_type: &str, document: &Value) -> Value {
        self.blob(media_type, document.to_string().as_bytes())
    }

    /// Adds an image of these layers (media type, blob, tar) for a processor; its descriptor.
    pub(crate) fn image(&self, architecture: &str, layers: &[(&str, Vec<u8>, Vec<u8>)]) -> Value {
        let diff_ids: Vec<_> = layers.iter().map(|(_, _, tar)| Digest::of(tar)).collect();
        let config = json!({ "architecture": architecture, "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids } });
        let layers: Vec<_> = layers.iter().map(|(media_type, blob, _)| self.blob(media_type, blob)).collect();
        let config = self.json(CONFIG, &config);
        self.json(MANIFEST, &json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers }))
    }

    /// Writes the index.
    pub(crate) fn index(&self, manifests: &[Value]) {
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        fs::write(self.dir.join("index.json"), index.to_string()).unwrap();
    }

    pub(crate) fn source(&self, reference: Option<&str>) -> ImportSource {
        ImportSource::Layout { dir: self.dir.clone(), reference: reference.map(str::to_owned) }
    }

    /// Imports; nothing outside may change, and what is refused leaves nothing.
    pub(crate) fn import(&self, from: &ImportSource, limits: &ImportLimits) -> Result<Imported, ImageError> {
        let seen = |path: &Path| look(path);
        let before = (seen(&self.outside), seen(&self.dir), self.lab.store.blobs().unwrap());
        let result = import(&self.lab.store, from, &platform(), limits);
        assert_eq!((seen(&self.outside), seen(&self.dir)), (before.0, before.1));
        if result.is_err() {
            assert_eq!(self.lab.store.blobs().unwrap(), before.2);
        }
        let staging = self.lab.dir.path().join("store/staging");
        assert_eq!(fs::read_dir(staging).unwrap().count(), 0);
        result
    }

    /// Imports an image of one layer.
    pub(crate) fn one_layer(&self, tar: &[u8], limits: &ImportLimits) -> Result<Imported, ImageError> {
        self.index(&[self.image("amd64", &[(TAR, tar.to_vec(), tar.to_vec())])]);
        self.import(&self.source(None), limits)
    }
}

/// The whole of what is said.
pub(crate) fn said(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", said(source)),
        None => error.to_string(),
    }
}
