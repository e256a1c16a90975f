//! What was written, as tar: what overlayfs says of removed files becomes what layers say (OCI image spec, "Whiteouts").
//! The host reads it as it reads any stranger's archive.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};
use till_guest::Loan;

/// overlayfs's own attributes; what they say is said by names.
const OVERLAY: &str = "trusted.overlay.";
const OPAQUE: &str = "trusted.overlay.opaque";

struct Packer<W: Write> {
    tar: Builder<W>,
    /// Files with several names: the first of each.
    links: HashMap<(u64, u64), PathBuf>,
}

/// Packs `upper` and the loans that are kept of the work disk.
pub(super) fn pack(work: &Path, loans: &[Loan], into: &mut impl Write) -> io::Result<()> {
    let mut packer = Packer { tar: Builder::new(into), links: HashMap::new() };
    packer.tree(work, Path::new("upper"))?;
    let kept: Vec<_> = loans.iter().filter(|loan| loan.kept).collect();
    for loan in kept {
        packer.tree(work, &Path::new("loans").join(&loan.name))?;
    }
    packer.tar.finish()
}

impl<W: Write> Packer<W> {
    /// A directory and all that is in it, sorted.
    fn tree(&mut self, root: &Path, name: &Path) -> io::Result<()> {
        let path = root.join(name);
        let meta = std::fs::symlink_metadata(&path)?;
        if !meta.is_dir() {
            return self.entry(&path, name, &meta);
        }
        self.entry(&path, name, &meta)?;
        if xattr::get(&path, OPAQUE)?.is_some() {
            self.marker(&name.join(".wh..wh..opq"))?;
        }
        let mut names =
            std::fs::read_dir(&path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        for below in names {
            self.tree(root, &name.join(below))?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, name: &Path, meta: &Metadata) -> io::Result<()> {
        let kind = meta.file_type();
        if kind.is_char_device() && meta.rdev() == 0 {
            let file = [OsStr::new(".wh."), name.file_name().unwrap_or_default()].map(OsStr::as_bytes).concat();
            return self.marker(&name.with_file_name(OsString::from_vec(file)));
        }
        if !(kind.is_dir() || kind.is_file() || kind.is_symlink() || kind.is_fifo()) {
            return Ok(());
        }
        let mut header = Header::new_gnu();
        header.set_metadata_in_mode(meta, tar::HeaderMode::Complete);
        header.set_mode(meta.mode() & 0o7777);
        header.set_size(0);
        if kind.is_file() && meta.nlink() > 1 {
            if let Some(first) = self.links.get(&(meta.dev(), meta.ino())) {
                header.set_entry_type(EntryType::Link);
                let first = first.clone();
                return self.tar.append_link(&mut header, name, &first);
            }
            self.links.insert((meta.dev(), meta.ino()), name.to_owned());
        }
        self.attributes(path)?;
        if kind.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            return self.tar.append_link(&mut header, name, std::fs::read_link(path)?);
        }
        if kind.is_file() {
            header.set_size(meta.len());
            header.set_entry_type(EntryType::Regular);
            return self.tar.append_data(&mut header, name, File::open(path)?);
        }
        header.set_entry_type(if kind.is_dir() { EntryType::Directory } else { EntryType::Fifo });
        self.tar.append_data(&mut header, name, io::empty())
    }

    /// Extended attributes, as GNU tar writes them.
    fn attributes(&mut self, path: &Path) -> io::Result<()> {
        let mut records = Vec::new();
        for name in xattr::list(path)? {
            let Some(name) = name.to_str().filter(|name| !name.starts_with(OVERLAY)) else { continue };
            if let Some(value) = xattr::get(path, name)? {
                records.push((format!("SCHILY.xattr.{name}"), value));
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        self.tar.append_pax_extensions(records.iter().map(|(name, value)| (name.as_str(), value.as_slice())))
    }

    fn marker(&mut self, name: &Path) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(0);
        header.set_mode(0o600);
        self.tar.append_data(&mut header, name, io::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_packed_with_its_links() {
        let work = tempfile::tempdir().unwrap();
        let make = |path: &str| {
            let path = work.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"text").unwrap();
        };
        ["upper/b/one", "loans/kept/x", "loans/other/y"].iter().for_each(|path| make(path));
        std::fs::hard_link(work.path().join("upper/b/one"), work.path().join("upper/b/two")).unwrap();
        std::os::unix::fs::symlink("b/one", work.path().join("upper/link")).unwrap();
        let loan = |name: &str, kept| Loan { name: name.to_owned(), path: "/x".to_owned(), kept };
        let mut bytes = Vec::new();
        pack(work.path(), &[loan("other", false), loan("kept", true)], &mut bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let described = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let link = entry.link_name().unwrap().map(|link| format!(" -> {}", link.display())).unwrap_or_default();
            format!("{} {}{link}", entry.path().unwrap().display(), entry.header().size().unwrap())
        });
        let expected = [
            "upper 0",
            "upper/b 0",
            "upper/b/one 4",
            "upper/b/two 0 -> upper/b/one",
            "upper/link 0 -> b/one",
            "loans/kept 0",
            "loans/kept/x 4",
        ];
        assert_eq!(described.collect::<Vec<_>>(), expected);
    }
}
