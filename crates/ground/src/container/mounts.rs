//! The private mount namespace in which all our mounts live, and die with us.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::thread::UnshareFlags;

use super::{ContainerError, io};

/// Where instances are mounted, in our namespace only: a tmpfs that lets mapped users pass through.
pub(super) const MOUNTS: &str = "/run/till";

/// Puts this thread, and every thread and process that it starts from now on, into a mount namespace of its own.
/// To be called before any other thread is started.
pub fn enter() -> Result<(), till_core::Failure> {
    // SAFETY: NEWNS gives this thread its own mount table and nothing else; no descriptor or memory is unshared.
    #[expect(unsafe_code, reason = "rustix marks unshare as unsafe for flags that we do not use")]
    let unshared = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) };
    let failed = |what: &str| {
        let what = what.to_owned();
        move |source| ContainerError::Mount { what, source }
    };
    // Containers outlive the runtime that creates them; they come to us when it ends.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    unshared.map_err(failed("a private mount namespace (is this root?)"))?;
    let slave = MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM;
    rustix::mount::mount_change("/", slave).map_err(failed("/ as a slave"))?;
    std::fs::create_dir_all(MOUNTS).map_err(io("make", MOUNTS))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("tmpfs", MOUNTS, "tmpfs", flags, c"mode=0711").map_err(failed(MOUNTS))?;
    Ok(())
}

/// Something of the host that is mounted elsewhere; unmounted when dropped. Known by a handle of the mount, not by its path:
/// what runs in the instance may rename the directories above it, and put a symlink in its place.
#[derive(Debug)]
pub(super) struct Bind {
    mounted: OwnedFd,
}

/// What may be done through a bind mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

impl Bind {
    /// Mounts `source` on what `place` is a handle of. Made here and not by the runtime, which would look for `source`
    /// with the rights of the instance's root, who may not pass through our directories.
    pub(super) fn mount(source: &Path, place: &OwnedFd, access: Access) -> Result<Self, ContainerError> {
        let target = PathBuf::from(format!("/proc/self/fd/{}", place.as_raw_fd()));
        let failed = |error| ContainerError::Mount { what: source.display().to_string(), source: error };
        let path = std::fs::read_link(&target).map_err(io("look at", &target))?;
        rustix::mount::mount_bind(source, &target).map_err(failed)?;
        // Nothing runs in the instance at this moment, so its path still leads to the mount.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let bind = Self { mounted: rustix::fs::open(&path, flags, Mode::empty()).map_err(failed)? };
        let mut flags = MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV;
        if access == Access::Read {
            flags |= MountFlags::RDONLY;
        }
        rustix::mount::mount_remount(bind.path(), flags, c"").map_err(failed)?;
        Ok(bind)
    }

    /// The same of what `source` is a handle of.
    pub(super) fn handle(source: &OwnedFd, place: &OwnedFd, access: Access) -> Result<Self, ContainerError> {
        Self::mount(Path::new(&format!("/proc/self/fd/{}", source.as_raw_fd())), place, access)
    }

    /// Mounts memory on what `place` is a handle of: of that owner outside, at most so many bytes.
    pub(super) fn memory(place: &OwnedFd, owner: (u32, u32), size: Option<u64>) -> Result<Self, ContainerError> {
        let target = PathBuf::from(format!("/proc/self/fd/{}", place.as_raw_fd()));
        let failed = |error| ContainerError::Mount { what: "tmpfs".to_owned(), source: error };
        let path = std::fs::read_link(&target).map_err(io("look at", &target))?;
        let size = size.map_or(String::new(), |size| format!(",size={size}"));
        let options = format!("mode=1777,uid={},gid={}{size}", owner.0, owner.1);
        let options = std::ffi::CString::new(options).unwrap_or_default();
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        rustix::mount::mount("tmpfs", &target, "tmpfs", flags, options.as_c_str()).map_err(failed)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self { mounted: rustix::fs::open(&path, flags, Mode::empty()).map_err(failed)? })
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.mounted.as_raw_fd()))
    }
}

impl Drop for Bind {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.path(), UnmountFlags::DETACH);
    }
}

/// Gives a namespace file of a process a name that others may open.
#[derive(Debug)]
pub(super) struct Pinned(pub(super) PathBuf);

impl Pinned {
    pub(super) fn new(source: &Path, target: PathBuf) -> Result<Self, ContainerError> {
        std::fs::write(&target, b"").map_err(io("make", &target))?;
        rustix::mount::mount_bind(source, &target)
            .map_err(|error| ContainerError::Mount { what: source.display().to_string(), source: error })?;
        Ok(Self(target))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, UnmountFlags::DETACH);
        let _ = std::fs::remove_file(&self.0);
    }
}
