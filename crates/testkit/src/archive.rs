//! What stands in a tar.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use tar::{Builder, EntryType, Header};
use till_core::model::FileKind;

use crate::tree::Entry;

/// An entry of a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// As it stands there.
    pub path: String,
    /// None for a directory.
    pub entry: Option<Entry>,
    /// Permission bits.
    pub mode: u32,
    /// User and group.
    pub owner: (u64, u64),
    /// Seconds since 1970.
    pub time: u64,
}

/// All entries of a tar, in its order.
pub fn read(path: &Path) -> Vec<Found> {
    let mut archive = tar::Archive::new(BufReader::new(File::open(path).unwrap()));
    archive.entries().unwrap().map(|entry| found(&mut entry.unwrap())).collect()
}

fn found(entry: &mut tar::Entry<'_, impl Read>) -> Found {
    let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
    let header = entry.header().clone();
    let mode = header.mode().unwrap();
    let mut content = Vec::new();
    let kind = match header.entry_type() {
        EntryType::Directory => None,
        EntryType::Symlink => {
            content = entry.link_name_bytes().unwrap().into_owned();
            Some(FileKind::Symlink)
        }
        EntryType::Regular if mode & 0o100 != 0 => Some(FileKind::Executable),
        EntryType::Regular => Some(FileKind::File),
        other => panic!("{path} is a {other:?}"),
    };
    entry.read_to_end(&mut content).unwrap();
    Found {
        path,
        entry: kind.map(|kind| Entry { kind, content }),
        mode,
        owner: (header.uid().unwrap(), header.gid().unwrap()),
        time: header.mtime().unwrap(),
    }
}

/// Writes those files, which are sorted, as a tar.
pub fn write<'a>(files: impl IntoIterator<Item = (&'a str, &'a Entry)>, epoch: u64, into: impl Write) {
    let mut builder = Builder::new(into);
    let mut last = String::new();
    for (path, entry) in files {
        for (end, _) in path.match_indices('/').filter(|(end, _)| !last.starts_with(&path[..=*end])) {
            directory(&mut builder, &path[..=end], epoch);
        }
        path.clone_into(&mut last);
        let mut header = Header::new_gnu();
        header.set_mtime(epoch);
        header.set_mode(if entry.kind == FileKind::File { 0o644 } else { 0o755 });
        header.set_uid(0);
        header.set_gid(0);
        if entry.kind == FileKind::Symlink {
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            let target = std::str::from_utf8(&entry.content).unwrap();
            match header.set_link_name_literal(target) {
                Ok(()) => builder.append_data(&mut header, path, std::io::empty()).unwrap(),
                Err(_) => builder.append_link(&mut header, path, target).unwrap(),
            }
        } else {
            header.set_size(entry.content.len() as u64);
            builder.append_data(&mut header, path, entry.content.as_slice()).unwrap();
        }
    }
    builder.into_inner().unwrap().flush().unwrap();
}

fn directory(builder: &mut Builder<impl Write>, path: &str, epoch: u64) {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Directory);
    header.set_mtime(epoch);
    header.set_mode(0o755);
    header.set_size(0);
    header.set_uid(0);
    header.set_gid(0);
    builder.append_data(&mut header, path, std::io::empty()).unwrap();
}
