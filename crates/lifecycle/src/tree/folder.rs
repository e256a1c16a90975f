//! An open directory.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// Larger than any description that is meant; a stranger's file must not fill the memory.
const TEXT: u64 = 16 << 20;

/// A directory that is open.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Nothing,
    Folder,
    File,
    Other,
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A name that stays within a directory: what strangers wrote may hold others.
fn plain(name: &(impl AsRef<OsStr> + ?Sized)) -> io::Result<&OsStr> {
    let name = name.as_ref();
    if name.is_empty() || name == "." || name == ".." || name.as_bytes().contains(&b'/') {
        return Err(io::Error::other(format!("`{}` is not the name of a file", name.display())));
    }
    Ok(name)
}

const OPEN: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens a directory by a path that we were given; symlinks in it are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::open(path, OPEN, Mode::empty())?))
    }

    /// Opens a directory in it. `None`: there is nothing of this name. A symlink is an error, as is a file.
    pub(crate) fn enter(&self, name: impl AsRef<OsStr>) -> io::Result<Option<Self>> {
        match rustix::fs::openat(&self.0, plain(&name)?, OPEN | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(folder) => Ok(Some(Self(folder))),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(io::Error::other("it is not a directory, or a symlink to one")),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a directory below it, name by name. `None`: there is none.
    pub(crate) fn descend(&self, path: &Path) -> io::Result<Option<Self>> {
        let mut folder = Self(self.0.try_clone()?);
        for component in path.components() {
            match component {
                Component::Normal(name) => match folder.enter(name)? {
                    Some(next) => folder = next,
                    None => return Ok(None),
                },
                Component::RootDir | Component::CurDir => {}
                Component::ParentDir | Component::Prefix(_) => return Err(io::Error::other("the path leads upwards")),
            }
        }
        Ok(Some(folder))
    }

    /// Makes a directory in it, where there is none, and opens it.
    pub(crate) fn make(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        match rustix::fs::mkdirat(&self.0, plain(&name)?, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        self.enter(name)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The names in it, sorted.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// The names in it that are text, sorted: others cannot be what we look for.
    pub(crate) fn texts(&self) -> io::Result<Vec<String>> {
        Ok(self.names()?.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    /// What a name says of itself; `None`: there is nothing.
    pub(crate) fn stat(&self, name: impl AsRef<OsStr>) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.0, plain(&name)?, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What a name stands for.
    pub(crate) fn what(&self, name: impl AsRef<OsStr>) -> io::Result<What> {
        Ok(match self.stat(name)?.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            None => What::Nothing,
            Some(FileType::Directory) => What::Folder,
            Some(FileType::RegularFile) => What::File,
            Some(_) => What::Other,
        })
    }

    /// Opens a regular file in it. `None`: there is nothing. Anything else is an error, and does not block.
    pub(crate) fn file(&self, name: impl AsRef<OsStr>) -> io::Result<Option<File>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.0, plain(&name)?, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(io::Error::other("it is a symlink")),
            Err(error) => return Err(error.into()),
        };
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        Ok(Some(file))
    }

    /// The text of a file in it. `None`: there is nothing.
    pub(crate) fn text(&self, name: impl AsRef<OsStr>) -> io::Result<Option<String>> {
        let Some(file) = self.file(name)? else { return Ok(None) };
        let mut text = String::new();
        file.take(TEXT + 1).read_to_string(&mut text)?;
        if text.len() as u64 > TEXT {
            return Err(io::Error::other(format!("it has more than {} MiB", TEXT >> 20)));
        }
        Ok(Some(text))
    }

    /// Makes a file that is not there yet.
    pub(crate) fn create(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, plain(&name)?, flags, Mode::from_raw_mode(mode))?.into())
    }

    /// Writes a file; what had the name is replaced, and never written through.
    pub(crate) fn write(&self, name: impl AsRef<OsStr>, text: &[u8]) -> io::Result<()> {
        let name = name.as_ref();
        if self.what(name)? != What::Nothing {
            rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?;
        }
        self.create(name, 0o644)?.write_all(text)
    }

    /// Makes a symlink.
    pub(crate) fn link(&self, name: impl AsRef<OsStr>, target: &str) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, &self.0, plain(&name)?)?)
    }

    /// Removes whatever has the name.
    pub(crate) fn remove(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        let name = name.as_ref();
        match self.what(name)? {
            What::Nothing => Ok(()),
            What::File | What::Other => Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?),
            What::Folder => {
                self.empty(name, 0)?;
                Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
            }
        }
    }

    fn empty(&self, name: &OsStr, depth: u32) -> io::Result<()> {
        if depth > super::DEPTH {
            return Err(super::too_deep());
        }
        let Some(folder) = self.enter(name)? else { return Ok(()) };
        for name in folder.names()? {
            let is_folder = folder.what(&name)? == What::Folder;
            if is_folder {
                folder.empty(&name, depth + 1)?;
            }
            let flags = if is_folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
            rustix::fs::unlinkat(&folder.0, &name, flags)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_leads_out_of_a_tree() {
        let temporary = tempfile::tempdir().unwrap();
        let at = temporary.path();
        std::fs::create_dir_all(at.join("in/deep")).unwrap();
        std::fs::create_dir(at.join("out")).unwrap();
        std::fs::write(at.join("out/secret"), "s").unwrap();
        symlink("../out", at.join("in/link")).unwrap();
        symlink("../out/secret", at.join("in/file")).unwrap();
        let folder = Folder::open(&at.join("in")).unwrap();
        assert!(folder.enter("link").is_err() && folder.text("file").is_err());
        for name in ["..", ".", "", "link/secret", "deep/."] {
            assert!(folder.enter(name).is_err() && folder.make(name).is_err() && folder.file(name).is_err(), "{name}");
            assert!(folder.link(name, "x").is_err() && folder.remove(name).is_err(), "{name}");
        }
        assert!(folder.descend(Path::new("link/x")).is_err() && folder.descend(Path::new("../out")).is_err());
        assert!(folder.descend(Path::new("/deep")).unwrap().is_some() && folder.enter("none").unwrap().is_none());
        folder.write("file", b"new").unwrap();
        folder.remove("link").unwrap();
        assert_eq!(std::fs::read_to_string(at.join("out/secret")).unwrap(), "s");
        assert_eq!(folder.text("file").unwrap().as_deref(), Some("new"));
        assert_eq!(folder.texts().unwrap(), ["deep", "file"]);
        folder.remove("deep").unwrap();
        assert_eq!(folder.what("deep").unwrap(), What::Nothing);
    }
}
