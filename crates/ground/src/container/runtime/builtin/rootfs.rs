//! What an instance sees as `/`: the mounted overlay, with the kernel's file systems and a few devices in it.
//!
//! All of it is mounted by handles of places in the image, which are found without following a symlink. Nothing runs in the
//! instance yet.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount,
    open_tree,
};

use super::spec::{Mount, Spec};
use super::{Said, failed};

/// Devices that are no way to anything of the machine. Those of the host are mounted: an instance's root may make none.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// What programs expect beside them.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Makes the instance's root that of this process, whose mount namespace is its own.
pub(super) fn enter(spec: &Spec) -> Said<()> {
    let root = &spec.root.path;
    let slave = MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM;
    mount_change("/", slave).map_err(failed("make / a slave"))?;
    // With what was mounted in it: what steps are lent.
    rustix::mount::mount_bind_recursive(root, root).map_err(failed("mount the root"))?;
    for mount in &spec.mounts {
        attach(root, mount).map_err(|error| match error {
            Errno::LOOP | Errno::NOTDIR => format!("the image's {} is no directory", mount.destination),
            error => format!("cannot mount {}: {error}", mount.destination),
        })?;
    }
    devices(&place(root, "/dev").map_err(failed("find /dev"))?)?;
    pivot(root).map_err(failed("change the root"))?;
    for path in &spec.linux.masked_paths {
        hide(path).map_err(|error| format!("cannot hide {}: {error}", path.display()))?;
    }
    for path in &spec.linux.readonly_paths {
        protect(path).map_err(|error| format!("cannot protect {}: {error}", path.display()))?;
    }
    let cwd = &spec.process.cwd;
    std::fs::create_dir_all(cwd).map_err(|error| format!("the image's working directory {}: {error}", cwd.display()))
}

/// A handle of a directory of the image; it and those above it are made where they are missing. A symlink is refused.
fn place(root: &Path, path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut here = rustix::fs::open(root, flags, Mode::empty())?;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let look = |here: &OwnedFd| rustix::fs::openat2(here, part, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
        here = match look(&here) {
            Err(Errno::NOENT) => {
                rustix::fs::mkdirat(&here, part, Mode::from_raw_mode(0o755))?;
                look(&here)?
            }
            other => other?,
        };
    }
    Ok(here)
}

fn attach(root: &Path, mount: &Mount) -> Result<(), Errno> {
    let context = fsopen(mount.kind.as_str(), FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", mount.source.as_str())?;
    let mut flags = MountAttrFlags::empty();
    for option in &mount.options {
        match (option.as_str(), option.split_once('=')) {
            // The mount, and what is mounted.
            ("ro", _) => {
                fsconfig_set_flag(&context, "ro")?;
                flags |= MountAttrFlags::MOUNT_ATTR_RDONLY;
            }
            ("nosuid", _) => flags |= MountAttrFlags::MOUNT_ATTR_NOSUID,
            ("nodev", _) => flags |= MountAttrFlags::MOUNT_ATTR_NODEV,
            ("noexec", _) => flags |= MountAttrFlags::MOUNT_ATTR_NOEXEC,
            ("strictatime", _) => flags |= MountAttrFlags::MOUNT_ATTR_STRICTATIME,
            (_, Some((key, value))) => fsconfig_set_string(&context, key, value)?,
            (flag, None) => fsconfig_set_flag(&context, flag)?,
        }
    }
    fsconfig_create(&context)?;
    let mounted = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, flags)?;
    attach_at(&mounted, &place(root, &mount.destination)?)
}

fn attach_at(mounted: &OwnedFd, place: &OwnedFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mounted, "", place, "", flags)
}

fn devices(folder: &OwnedFd) -> Said<()> {
    for name in DEVICES {
        device(folder, name).map_err(|error| format!("cannot mount /dev/{name}: {error}"))?;
    }
    for (name, target) in LINKS {
        rustix::fs::symlinkat(target, folder, name).map_err(failed("make a link in /dev"))?;
    }
    Ok(())
}

fn device(folder: &OwnedFd, name: &str) -> Result<(), Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    drop(rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o666))?);
    let place = rustix::fs::openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    attach_at(&open_tree(CWD, format!("/dev/{name}"), flags)?, &place)
}

/// The old root is put over the new one, and taken away: nothing of it is left (pivot_root(2)).
fn pivot(root: &Path) -> Result<(), Errno> {
    rustix::process::chdir(root)?;
    rustix::process::pivot_root(".", ".")?;
    mount_change(".", MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")
}

/// A directory becomes empty, a file `/dev/null`.
fn hide(path: &Path) -> Result<(), Errno> {
    let done = match rustix::fs::stat(path) {
        Ok(stat) if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() => {
            rustix::mount::mount("tmpfs", path, "tmpfs", MountFlags::RDONLY, c"")
        }
        Ok(_) => rustix::mount::mount_bind("/dev/null", path),
        Err(error) => Err(error),
    };
    where_it_is(done)
}

fn protect(path: &Path) -> Result<(), Errno> {
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let bound = rustix::mount::mount_bind_recursive(path, path);
    where_it_is(bound.and_then(|()| rustix::mount::mount_remount(path, flags, c"")))
}

/// Kernels differ in what they have there.
fn where_it_is(done: Result<(), Errno>) -> Result<(), Errno> {
    match done {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
        other => other,
    }
}
