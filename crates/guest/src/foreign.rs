//! The tree of a disk that others made, as a tar archive: its file systems are read by the guest's kernel, so that what is wrong
//! with them happens to nobody else. Nothing on it is executed, and it is not written to.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tar::{Builder, EntryType, Header};
use till_guest::{FOREIGN, LOG, Word};

use crate::{Result, disks, failed, port, system};

/// Where a file system is looked at.
const PLACE: &str = "/sysroot";
/// What root file systems are; with what keeps each from being written to, journal and all.
const KINDS: [(&str, &str); 3] = [("ext4", "noload"), ("xfs", "norecovery"), ("btrfs", "")];
/// By what a root file system is known (os-release(5)).
const SIGNS: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];

pub(crate) fn run() -> Result<()> {
    let disk = disks::by_serial(FOREIGN)?;
    let looked = disk.parts();
    if !looked.iter().any(|part| is_root(&part.path())) {
        let names: Vec<_> = looked.iter().map(|part| part.name.as_str()).collect();
        let kinds = KINDS.map(|(kind, _)| kind).join(", ");
        return Err(format!(
            "no partition ({}) has a root file system of {kinds} with an os-release",
            names.join(", ")
        ));
    }
    let port = port::open(LOG).ok_or("there is no port to write to")?;
    let mut packer = Packer { tar: Builder::new(BufWriter::with_capacity(1 << 17, port)), links: HashMap::new() };
    let written = packer.directory(Path::new(PLACE), Path::new(""));
    written.and_then(|()| packer.tar.into_inner()?.flush()).map_err(failed("read", &disk.name))?;
    port::say(&Word::Read);
    system::power_off()
}

/// Mounts it, to be read only; it stays when it is a root file system.
fn is_root(device: &Path) -> bool {
    KINDS.iter().any(|(kind, options)| {
        let flags = MountFlags::RDONLY | MountFlags::NODEV | MountFlags::NOATIME;
        let options = std::ffi::CString::new(*options).unwrap_or_default();
        if mount(device, PLACE, *kind, flags, options.as_c_str()).is_err() {
            return false;
        }
        // A link may lead to what is only right when it is the root.
        let found = SIGNS.iter().any(|sign| Path::new(PLACE).join(sign).symlink_metadata().is_ok());
        if !found {
            let _ = unmount(PLACE, UnmountFlags::empty());
        }
        found
    })
}

struct Packer<W: Write> {
    tar: Builder<W>,
    /// Files with several names: the first of each.
    links: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> Packer<W> {
    /// All that is in a directory, sorted. What is made at each start (devices, sockets) is left out.
    fn directory(&mut self, path: &Path, name: &Path) -> io::Result<()> {
        let mut names: Vec<_> =
            std::fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
        names.sort();
        for below in names {
            // Of the file system, and not of what is in it.
            if below == "lost+found" && name.as_os_str().is_empty() {
                continue;
            }
            let (path, name) = (path.join(&below), name.join(&below));
            let meta = std::fs::symlink_metadata(&path)?;
            self.entry(&path, &name, &meta)?;
            if meta.is_dir() {
                self.directory(&path, &name)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, name: &Path, meta: &Metadata) -> io::Result<()> {
        let kind = meta.file_type();
        if kind.is_char_device() || kind.is_block_device() || kind.is_socket() {
            return Ok(());
        }
        let mut header = Header::new_gnu();
        header.set_metadata_in_mode(meta, tar::HeaderMode::Complete);
        header.set_mode(meta.mode() & 0o7777);
        header.set_size(0);
        if kind.is_file() && meta.nlink() > 1 {
            if let Some(first) = self.links.get(&(meta.dev(), meta.ino())) {
                header.set_entry_type(EntryType::Link);
                return self.tar.append_link(&mut header, name, first);
            }
            self.links.insert((meta.dev(), meta.ino()), name.to_owned());
        }
        self.attributes(path)?;
        if kind.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            return self.tar.append_link(&mut header, name, std::fs::read_link(path)?);
        }
        if kind.is_file() {
            header.set_entry_type(EntryType::Regular);
            header.set_size(meta.len());
            return self.tar.append_data(&mut header, name, File::open(path)?);
        }
        header.set_entry_type(if kind.is_dir() { EntryType::Directory } else { EntryType::Fifo });
        self.tar.append_data(&mut header, name, io::empty())
    }

    /// Extended attributes, as GNU tar writes them.
    fn attributes(&mut self, path: &Path) -> io::Result<()> {
        let mut names = vec![0; 64 << 10];
        let count = match rustix::fs::llistxattr(path, names.as_mut_slice()) {
            Ok(count) => count,
            Err(rustix::io::Errno::NOTSUP) => 0,
            Err(error) => return Err(error.into()),
        };
        let mut records = Vec::new();
        for name in names[..count].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let mut value = vec![0; 64 << 10];
            let length = rustix::fs::lgetxattr(path, name, value.as_mut_slice())?;
            value.truncate(length);
            records.push((format!("SCHILY.xattr.{}", String::from_utf8_lossy(name)), value));
        }
        if records.is_empty() {
            return Ok(());
        }
        self.tar.append_pax_extensions(records.iter().map(|(name, value)| (name.as_str(), value.as_slice())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_packed_with_its_links_and_without_its_sockets() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("b")).unwrap();
        std::fs::write(tree.path().join("b/one"), b"text").unwrap();
        std::fs::hard_link(tree.path().join("b/one"), tree.path().join("b/two")).unwrap();
        std::os::unix::fs::symlink("b/one", tree.path().join("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(tree.path().join("socket")).unwrap();
        let mut packer = Packer { tar: Builder::new(Vec::new()), links: HashMap::new() };
        packer.directory(tree.path(), Path::new("")).unwrap();
        let bytes = packer.tar.into_inner().unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let described = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let link = entry.link_name().unwrap().map(|link| format!(" -> {}", link.display())).unwrap_or_default();
            format!("{} {}{link}", entry.path().unwrap().display(), entry.header().size().unwrap())
        });
        let expected = ["b 0", "b/one 4", "b/two 0 -> b/one", "link 0 -> b/one"];
        assert_eq!(described.collect::<Vec<_>>(), expected);
    }
}
