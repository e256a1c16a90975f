//! Trees for the tests: made, read back, compared.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use till_image::{Compression, IdShift, Packing, Store, Unpacking, Whiteouts};

pub(crate) const EPOCH: u64 = 1_600_000_000;

/// A directory for one test, in which a store and trees are.
pub(crate) struct Lab {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Store,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        Self { dir, store }
    }

    /// A new empty tree.
    pub(crate) fn tree(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    }
}

pub(crate) fn packing(compression: Compression) -> Packing {
    Packing { ids: IdShift::none(), epoch: EPOCH, compression }
}

pub(crate) fn source() -> Unpacking {
    Unpacking {
        ids: IdShift::none(),
        owner: None,
        whiteouts: Whiteouts::Refuse,
        limit_bytes: Some(1 << 20),
        limit_files: Some(100),
    }
}

/// All that a test compares of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) kind: String,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) mtime: (i64, i64),
    pub(crate) content: Vec<u8>,
    pub(crate) attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first path of the same file.
    pub(crate) same_as: Vec<u8>,
}

/// A whole tree, by paths.
pub(crate) fn look(root: &Path) -> BTreeMap<Vec<u8>, Seen> {
    let mut seen = BTreeMap::new();
    look_into(root, root, &mut seen);
    let mut first = BTreeMap::new();
    for (path, (inode, file)) in &mut seen {
        file.same_as = first.entry(*inode).or_insert_with(|| path.clone()).clone();
        if file.kind != "file" {
            file.same_as = Vec::new();
        }
    }
    seen.into_iter().map(|(path, (_, file))| (path, file)).collect()
}

fn look_into(root: &Path, dir: &Path, seen: &mut BTreeMap<Vec<u8>, (u64, Seen)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let kind = metadata.file_type();
        let (name, content) = if kind.is_file() {
            ("file", fs::read(&path).unwrap())
        } else if kind.is_symlink() {
            ("symlink", fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec())
        } else if kind.is_fifo() {
            ("fifo", Vec::new())
        } else if kind.is_char_device() {
            ("device", metadata.rdev().to_string().into_bytes())
        } else {
            look_into(root, &path, seen);
            ("directory", Vec::new())
        };
        let relative = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
        let file = Seen {
            kind: name.to_owned(),
            mode: metadata.mode() & 0o7777,
            owner: (metadata.uid(), metadata.gid()),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            content,
            attributes: if matches!(name, "file" | "directory") { attributes(&path) } else { BTreeMap::new() },
            same_as: Vec::new(),
        };
        seen.insert(relative, (metadata.ino(), file));
    }
}

pub(crate) fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 65536];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 65536];
            let name = CString::new(name).unwrap();
            let size = rustix::fs::lgetxattr(path, &name, &mut value[..]).unwrap();
            (name.into_bytes(), value[..size].to_vec())
        })
        .collect()
}

pub(crate) fn set_attribute(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
}

pub(crate) fn set_mtime(path: &Path, seconds: i64) {
    let time = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: 123 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

pub(crate) fn make_node(path: &Path, kind: rustix::fs::FileType, device: u64) {
    let mode = rustix::fs::Mode::from_raw_mode(0o640);
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, device).unwrap();
}
