//! What a step is lent: mounted while it runs, and no part of what the instance leaves behind.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use till_core::Failure;
use till_core::port::{Lent, Loan};
use till_image::{Unpacking, Whiteouts};

use super::mounts::{Access, Bind};
use super::overlay::Overlay;
use super::places::{self, Stubs};
use super::seat::{Folder, lower};
use super::{ContainerError, House, io, trees};

/// What is mounted, and unmounted when dropped: the mounts first, then what they show.
#[derive(Default)]
pub(super) struct Loans {
    binds: Vec<Bind>,
    overlays: Vec<Overlay>,
    folders: Vec<Kept>,
}

/// A directory that goes with the step.
struct Kept(PathBuf);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Where loans are mounted, and for whom.
pub(super) struct Desk<'a> {
    pub(super) house: &'a House,
    pub(super) folder: &'a Folder,
    /// Of the instance: names the overlays.
    pub(super) name: &'a str,
    /// Of its file system.
    pub(super) root: &'a Path,
    pub(super) limit_bytes: u64,
}

impl Desk<'_> {
    /// Mounts all of them, in their order.
    pub(super) fn lend(&self, loans: &[Loan], stubs: &mut Stubs) -> Result<Loans, Failure> {
        let mut lent = Loans::default();
        for (number, loan) in loans.iter().enumerate() {
            let access = if loan.write { Access::Write } else { Access::Read };
            match &loan.what {
                Lent::Image { layers, source } => {
                    let overlay = self.image(number, &lower(self.house, layers)?, loan.write)?;
                    let part = places::existing(&overlay.root(), source)?;
                    let place = self.place(&loan.path, places::is_directory(&part), stubs)?;
                    lent.binds.push(Bind::handle(&part, &place, access)?);
                    lent.overlays.push(overlay);
                }
                Lent::Archive(tar) => {
                    let tree = self.unpacked(number, tar, None)?;
                    let place = self.place(&loan.path, true, stubs)?;
                    lent.binds.push(Bind::mount(&tree.0, &place, access)?);
                    lent.folders.push(tree);
                }
                Lent::File { tar, owner, mode } => {
                    let tree = self.unpacked(number, tar, Some(*owner))?;
                    let file = tree.0.join("file");
                    set_mode(&file, *mode)?;
                    let place = self.place(&loan.path, false, stubs)?;
                    lent.binds.push(Bind::mount(&file, &place, access)?);
                    lent.folders.push(tree);
                }
                Lent::Directory { host, owner, mode } => {
                    self.directory(host, *owner, *mode)?;
                    let place = self.place(&loan.path, true, stubs)?;
                    lent.binds.push(Bind::mount(host, &place, access)?);
                }
                Lent::Tmpfs(size) => {
                    let place = self.place(&loan.path, true, stubs)?;
                    lent.binds.push(Bind::memory(&place, self.nobody(), *size)?);
                }
            }
        }
        Ok(lent)
    }

    /// Root inside.
    fn nobody(&self) -> (u32, u32) {
        let first = self.house.config.first_id;
        (first, first)
    }

    /// A handle of where it is mounted, made when missing.
    fn place(&self, path: &str, directory: bool, stubs: &mut Stubs) -> Result<OwnedFd, ContainerError> {
        if directory {
            return places::directory(self.root, path, self.nobody(), stubs);
        }
        let (above, _) = path.rsplit_once('/').unwrap_or(("", ""));
        places::directory(self.root, above, self.nobody(), stubs)?;
        places::file(self.root, path, self.nobody(), stubs)?
            .ok_or_else(|| ContainerError::Place { path: path.to_owned(), source: rustix::io::Errno::NOENT })
    }

    fn image(&self, number: usize, lower: &[PathBuf], write: bool) -> Result<Overlay, ContainerError> {
        let name = format!("{}-{number}", self.name);
        if !write {
            return Overlay::read_only(&name, lower);
        }
        // What is written goes with the instance's folder.
        let upper = self.folder.path.join(format!("loan-{number}"));
        if upper.exists() {
            std::fs::remove_dir_all(&upper).map_err(io("clear", &upper))?;
        }
        trees::new_root(&upper, self.house.config.ids())?;
        self.folder.mount_at(&name, lower, &upper, &format!("loan-{number}-work"))
    }

    fn unpacked(&self, number: usize, tar: &Path, owner: Option<(u32, u32)>) -> Result<Kept, Failure> {
        let tree = Kept(self.folder.path.join(format!("loan-{number}")));
        if tree.0.exists() {
            std::fs::remove_dir_all(&tree.0).map_err(io("clear", &tree.0))?;
        }
        trees::new_root(&tree.0, self.house.config.ids())?;
        let unpacking = Unpacking {
            ids: self.house.config.ids(),
            owner,
            whiteouts: Whiteouts::Plain,
            limit_bytes: Some(self.limit_bytes),
            limit_files: None,
        };
        let file = std::fs::File::open(tar).map_err(io("open", tar))?;
        let mut reader = std::io::BufReader::with_capacity(1 << 17, file);
        till_image::unpack(&mut reader, &tree.0, "", &unpacking)?;
        Ok(tree)
    }

    /// A directory that survives: who it belongs to is said when it is made, and left to steps from then on.
    fn directory(&self, host: &Path, owner: (u32, u32), mode: u32) -> Result<(), Failure> {
        if host.exists() {
            return Ok(());
        }
        let ids = self.house.config.ids();
        std::fs::create_dir_all(host).map_err(io("make", host))?;
        std::os::unix::fs::chown(host, Some(ids.outside(owner.0)?), Some(ids.outside(owner.1)?))
            .map_err(io("give away", host))?;
        Ok(set_mode(host, mode)?)
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), ContainerError> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(io("set the mode of", path))
}
