//! Places in an image, found and made without ever leaving it, whatever its symlinks say.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;

use super::ContainerError;

/// What was made so that something could be mounted on it; removed again before a snapshot, if nothing came into it.
#[derive(Debug, Default)]
pub(super) struct Stubs(Vec<String>);

const RESOLVE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

fn place_error(path: &str) -> impl Fn(Errno) -> ContainerError {
    move |source| ContainerError::Place { path: path.to_owned(), source }
}

fn root_handle(root: &Path) -> Result<OwnedFd, ContainerError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(root, flags, Mode::empty()).map_err(place_error("/"))
}

fn look(root: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat2(
        root,
        path.trim_start_matches('/'),
        OFlags::PATH | OFlags::CLOEXEC | flags,
        Mode::empty(),
        RESOLVE,
    )
}

/// A handle of the directory at `path`; it and those above it are made, of `owner` outside, where they are missing. A
/// symlink to what is not there is followed, too: that is made.
pub(super) fn directory(
    root: &Path,
    path: &str,
    owner: (u32, u32),
    stubs: &mut Stubs,
) -> Result<OwnedFd, ContainerError> {
    let followed = till_image::followed(root, path).map_err(place_error(path))?;
    let root = root_handle(root)?;
    let mut here = look(&root, "./", OFlags::DIRECTORY).map_err(place_error(path))?;
    let mut walked = String::new();
    for part in followed.split('/').filter(|part| !part.is_empty()) {
        walked.push('/');
        walked.push_str(part);
        here = match look(&root, &walked, OFlags::DIRECTORY) {
            Err(Errno::NOENT) => {
                make(&here, part, owner).map_err(place_error(path))?;
                stubs.0.push(walked.clone());
                look(&root, &walked, OFlags::DIRECTORY)
            }
            result => result,
        }
        .map_err(place_error(path))?;
    }
    Ok(here)
}

fn make(parent: &OwnedFd, name: &str, owner: (u32, u32)) -> Result<(), Errno> {
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
    give(parent, name, owner)
}

fn give(parent: impl AsFd, name: &str, (uid, gid): (u32, u32)) -> Result<(), Errno> {
    rustix::fs::chownat(parent, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW)
}

/// A handle of the file at `path`; an empty one is made where it is missing. None when its directory is missing, too.
pub(super) fn file(
    root: &Path,
    path: &str,
    owner: (u32, u32),
    stubs: &mut Stubs,
) -> Result<Option<OwnedFd>, ContainerError> {
    let root = root_handle(root)?;
    match look(&root, path, OFlags::empty()) {
        Err(Errno::NOENT) => {}
        result => return result.map(Some).map_err(place_error(path)),
    }
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let above = if above.is_empty() { "./" } else { above };
    let Ok(parent) = look(&root, above, OFlags::DIRECTORY) else {
        return Ok(None);
    };
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    match rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644)) {
        Ok(_) => {}
        // A symlink that leads nowhere: left as it is.
        Err(Errno::EXIST) => return Ok(None),
        Err(error) => return Err(place_error(path)(error)),
    }
    give(&parent, name, owner).map_err(place_error(path))?;
    stubs.0.push(path.to_owned());
    look(&root, path, OFlags::empty()).map(Some).map_err(place_error(path))
}

/// A handle of what is at `path`.
pub(super) fn existing(root: &Path, path: &str) -> Result<OwnedFd, ContainerError> {
    let root = root_handle(root)?;
    let inside = path.trim_matches('/');
    look(&root, if inside.is_empty() { "./" } else { inside }, OFlags::empty()).map_err(place_error(path))
}

/// Is it a handle of a directory?
pub(super) fn is_directory(handle: &OwnedFd) -> bool {
    let stat = rustix::fs::fstat(handle);
    stat.is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory)
}

/// Removes what was made and stayed empty.
pub(super) fn clear(root: &Path, stubs: &Stubs) -> Result<(), ContainerError> {
    let root = root_handle(root)?;
    for path in stubs.0.iter().rev() {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let above = if above.is_empty() { "./" } else { above };
        let Ok(parent) = look(&root, above, OFlags::DIRECTORY) else {
            continue;
        };
        let Ok(stat) = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        let _ = match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
            // A directory that is not empty stays: removal refuses.
            rustix::fs::FileType::Directory => rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR),
            rustix::fs::FileType::RegularFile if stat.st_size == 0 => {
                rustix::fs::unlinkat(&parent, name, AtFlags::empty())
            }
            _ => Ok(()),
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn root_a_link_to_a_directory_that_is_not_there_makes_it_inside() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("opt")).unwrap();
        for (link, target, made) in [
            ("absolute", "/opt/current", "opt/current"),
            ("relative", "opt/v1/bin", "opt/v1/bin"),
            ("chain", "absolute/deep", "opt/current/deep"),
            ("leaving", "../../../out", "out"),
        ] {
            symlink(target, root.join(link)).unwrap();
            let mut stubs = Stubs::default();
            let handle = directory(&root, &format!("/{link}/./below/"), (7, 8), &mut stubs).unwrap();
            assert!(is_directory(&handle));
            assert!(root.join(link).is_symlink() && root.join(made).join("below").is_dir(), "{link}");
            clear(&root, &stubs).unwrap();
            assert!(!root.join(made).exists(), "{link}: what stayed empty goes again");
            directory(&root, &format!("/{link}"), (7, 8), &mut stubs).unwrap();
        }
        symlink("round", root.join("round")).unwrap();
        std::fs::write(root.join("file"), b"").unwrap();
        for path in ["/round", "/round/x", "/file", "/file/x"] {
            directory(&root, path, (7, 8), &mut Stubs::default()).unwrap_err();
        }
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["root"]);
    }
}
