//! Layers as one file system: overlayfs, each of whose layers is named by a short link.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount,
};

use super::mounts::MOUNTS;
use super::{ContainerError, io};

/// What overlayfs takes (`OVL_MAX_STACK`).
const MAX_LAYERS: usize = 500;

/// What `mount(2)` takes of options: a page, with the NUL.
const MAX_OPTIONS: usize = 4095;

/// What every mount of ours says: nothing that layers of others could not have.
const PLAIN: [(&str, &str); 4] = [("redirect_dir", "off"), ("metacopy", "off"), ("index", "off"), ("xino", "off")];

/// A mounted overlay; unmounted when dropped.
#[derive(Debug)]
pub(super) struct Overlay {
    /// The folder of links under [`MOUNTS`]; `root` in it is the mount point.
    folder: PathBuf,
}

/// What is mounted, by names that the kernel takes as they are: of any path, the link to it is short and plain.
struct Named {
    /// The topmost first.
    lower: Vec<String>,
    /// The directory that is written and the one for overlayfs's own work.
    written: Option<(String, String)>,
}

impl Overlay {
    /// Mounts `lower` (the topmost first) with `upper` over it.
    pub(super) fn mount(name: &str, lower: &[PathBuf], upper: &Path, work: &Path) -> Result<Self, ContainerError> {
        Self::make(name, lower, Some((upper, work)))
    }

    /// Mounts `lower` (the topmost first) to be read only.
    pub(super) fn read_only(name: &str, lower: &[PathBuf]) -> Result<Self, ContainerError> {
        Self::make(name, lower, None)
    }

    fn make(name: &str, lower: &[PathBuf], written: Option<(&Path, &Path)>) -> Result<Self, ContainerError> {
        if lower.len() > MAX_LAYERS {
            return Err(ContainerError::Layers(lower.len(), MAX_LAYERS));
        }
        let overlay = Self { folder: Path::new(MOUNTS).join(name) };
        let root = overlay.root();
        std::fs::create_dir_all(&root).map_err(io("make", &root))?;
        let named = overlay.name(lower, written)?;
        let failed = |source| ContainerError::Mount { what: format!("the overlay of {name}"), source };
        match configured(&named).map_err(failed)? {
            Some(context) => attach(&context, &root, named.written.is_none()).map_err(failed)?,
            None => mount_by_options(&named, &root)?.map_err(failed)?,
        }
        Ok(overlay)
    }

    fn name(&self, lower: &[PathBuf], written: Option<(&Path, &Path)>) -> Result<Named, ContainerError> {
        let link = |target: &Path, name: &str| {
            let link = self.folder.join(name);
            std::os::unix::fs::symlink(target, &link).map_err(io("link", &link)).map(|()| link.display().to_string())
        };
        let mut names = Vec::new();
        for (number, path) in lower.iter().enumerate() {
            names.push(link(path, &format!("{number}"))?);
        }
        // As many as overlayfs wants: without a directory that is written there have to be two.
        let least: usize = if written.is_some() { 1 } else { 2 };
        for name in ["empty", "void"].iter().take(least.saturating_sub(lower.len())) {
            let empty = self.folder.join(name);
            std::fs::create_dir(&empty).map_err(io("make", &empty))?;
            names.push(empty.display().to_string());
        }
        let written = written.map(|(upper, work)| Ok((link(upper, "u")?, link(work, "w")?))).transpose()?;
        Ok(Named { lower: names, written })
    }

    /// Where it is mounted.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.join("root")
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.root(), UnmountFlags::DETACH);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A file system context with one option for each layer, of which there may be as many as overlayfs takes. None where the
/// kernel does not know that: before Linux 6.7.
fn configured(named: &Named) -> Result<Option<OwnedFd>, Errno> {
    let Ok(context) = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC) else {
        return Ok(None);
    };
    for (number, layer) in named.lower.iter().enumerate() {
        match fsconfig_set_string(&context, "lowerdir+", layer.as_str()) {
            Err(Errno::INVAL) if number == 0 => return Ok(None),
            other => other?,
        }
    }
    if let Some((upper, work)) = &named.written {
        fsconfig_set_string(&context, "upperdir", upper.as_str())?;
        fsconfig_set_string(&context, "workdir", work.as_str())?;
        // No sync of the whole file system at unmount; what becomes a layer is synced as a blob.
        fsconfig_set_flag(&context, "volatile")?;
    }
    for (key, value) in PLAIN {
        fsconfig_set_string(&context, key, value)?;
    }
    fsconfig_set_string(&context, "source", "overlay")?;
    fsconfig_create(&context)?;
    Ok(Some(context))
}

fn attach(context: &OwnedFd, root: &Path, read_only: bool) -> Result<(), Errno> {
    let mut flags = MountAttrFlags::MOUNT_ATTR_NODEV;
    flags.set(MountAttrFlags::MOUNT_ATTR_RDONLY, read_only);
    let mounted = fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, flags)?;
    move_mount(&mounted, "", CWD, root, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// The same as one line of options, of which older kernels take a page.
fn mount_by_options(named: &Named, root: &Path) -> Result<Result<(), Errno>, ContainerError> {
    let mut options = format!("lowerdir={}", named.lower.join(":"));
    let mut flags = MountFlags::NODEV;
    match &named.written {
        Some((upper, work)) => options.push_str(&format!(",upperdir={upper},workdir={work},volatile")),
        None => flags |= MountFlags::RDONLY,
    }
    for (key, value) in PLAIN {
        options.push_str(&format!(",{key}={value}"));
    }
    if options.len() > MAX_OPTIONS {
        let fit = named.lower.len() * MAX_OPTIONS / options.len();
        return Err(ContainerError::Layers(named.lower.len(), fit));
    }
    let options = std::ffi::CString::new(options).unwrap_or_default();
    Ok(rustix::mount::mount("overlay", root, "overlay", flags, options.as_c_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directories with a file each, whose names no list of options could hold.
    fn layers(folder: &Path, count: usize) -> Vec<PathBuf> {
        let make = |number: usize| {
            let layer = folder.join(format!("a layer: {number}, \\ and more"));
            std::fs::create_dir(&layer).unwrap();
            std::fs::write(layer.join(format!("{number}")), b"").unwrap();
            std::fs::write(layer.join("which"), format!("{number}")).unwrap();
            layer
        };
        (0..count).map(make).collect()
    }

    fn is_seen(overlay: &Overlay, count: usize) {
        assert_eq!(std::fs::read_to_string(overlay.root().join("which")).unwrap(), "0", "the first is the topmost");
        for number in 0..count {
            assert!(overlay.root().join(format!("{number}")).exists(), "{number}");
        }
    }

    #[test]
    fn root_an_image_may_have_as_many_layers_as_overlayfs_takes() {
        super::super::mounts::enter().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let layers = layers(folder.path(), MAX_LAYERS + 1);
        let most = &layers[..MAX_LAYERS];
        let (upper, work) = (folder.path().join("upper"), folder.path().join("work"));
        std::fs::create_dir(&upper).unwrap();
        std::fs::create_dir(&work).unwrap();
        {
            let overlay = Overlay::mount("written", most, &upper, &work).unwrap();
            is_seen(&overlay, MAX_LAYERS);
            std::fs::write(overlay.root().join("new"), b"").unwrap();
        }
        assert!(upper.join("new").exists());
        let overlay = Overlay::read_only("read", most).unwrap();
        is_seen(&overlay, MAX_LAYERS);
        assert!(std::fs::write(overlay.root().join("new"), b"").is_err());
        for few in 0..3 {
            let overlay = Overlay::read_only(&format!("few-{few}"), &layers[..few]).unwrap();
            assert_eq!(std::fs::read_dir(overlay.root()).unwrap().count(), few + few.min(1));
        }
        let said = Overlay::read_only("more", &layers).unwrap_err().to_string();
        assert_eq!(said, "the image has 501 layers, and this machine's kernel mounts no more than 500");
    }

    #[test]
    fn root_a_kernel_without_an_option_for_each_layer_gets_a_line_of_them() {
        super::super::mounts::enter().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let layers = layers(folder.path(), MAX_LAYERS);
        let overlay = Overlay { folder: Path::new(MOUNTS).join("old") };
        std::fs::create_dir_all(overlay.root()).unwrap();
        let mut named = overlay.name(&layers, None).unwrap();
        let said = mount_by_options(&named, &overlay.root()).unwrap_err().to_string();
        assert!(said.starts_with("the image has 500 layers, and this machine's kernel mounts no more than"), "{said}");
        named.lower.truncate(50);
        mount_by_options(&named, &overlay.root()).unwrap().unwrap();
        is_seen(&overlay, 50);
    }
}
