//! A tree, a kernel and a launch become a disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use till_core::plan::Bytes;
use till_core::port::{DiskMaker, DiskOrder, ForeignDisk, MadeDisk};
use till_core::{Digest, Failure};
use till_image::{DiskIds, ROOT_OFFSET, Unpacking, root_bytes, settle, unpack, write_table};
use uuid::Uuid;

use super::furnish::{self, Facts, Piece};
use super::kernel::{self, Kernel};
use super::{MachineError, Machines, blocking, grub, io};
use crate::process;

const MIB: u64 = 1 << 20;
/// The least room that a disk has beyond what is on it: for logs, and what a first boot writes.
const ROOM: u64 = 192 * MIB;
/// Disks are of whole numbers of this.
const STEP: u64 = 64 * MIB;

#[async_trait]
impl DiskMaker for Machines {
    fn edition(&self) -> Digest {
        Digest::of(self.guest)
    }

    async fn make(&self, order: &DiskOrder, work: &Path, into: &Path) -> Result<MadeDisk, Failure> {
        let tree = work.join("tree");
        std::fs::create_dir(&tree).map_err(io("make", &tree))?;
        let (archive, root) = (order.tree.clone(), tree.clone());
        blocking("cannot unpack the image", move || unpack_at(&archive, &root)).await?;
        let kernel = match &order.kernel {
            Some(package) => kernel::of_package(package, work).await?,
            None => kernel::of_tree(&tree)?,
        };
        let ids = ids(&order.seed);
        let facts = facts(&tree)?;
        let (guest, epoch) = (self.guest, order.epoch);
        let machine = furnish::machine(&order.launch, &order.hostname);
        let mut pieces = furnish::pieces(&machine, &facts, guest, &ids.root.to_string());
        let release = kernel.release.clone();
        let init = furnish::init(&facts);
        let grub_cfg = grub::configuration(&release, &ids.root.to_string(), init);
        pieces.push(Piece::File { path: "/boot/grub/grub.cfg".to_owned(), mode: 0o644, bytes: grub_cfg.into_bytes() });
        let root = tree.clone();
        let (used, files) = blocking("cannot furnish the disk", move || {
            furnished(&kernel, &root, pieces, guest, epoch)?;
            Ok(measure(&root))
        })
        .await?;
        let size = size(order.size, used, files)?;
        let disk = std::fs::File::create_new(into).map_err(io("make", into))?;
        disk.set_len(size).map_err(io("make", into))?;
        let sector = grub::bios(work, &ids.root.to_string()).await?;
        write_table(into, size, &ids, &sector)?;
        make_root(&tree, into, size, files, &ids, epoch).await?;
        grub::uefi(work, &ids.root.to_string(), into, ids.esp, epoch).await?;
        disk.sync_all().map_err(io("sync", into))?;
        Ok(MadeDisk { kernel: release, size: Bytes(size), systemd: facts.systemd })
    }

    async fn read(&self, disk: &ForeignDisk, kernel: &Path, work: &Path, into: &Path) -> Result<(), Failure> {
        super::foreign::read(self, disk, kernel, work, into).await
    }

    async fn compress(&self, disk: &Path, into: &Path) -> Result<(), Failure> {
        let mut command = process::command("qemu-img");
        command.args([
            "convert",
            "-f",
            "raw",
            "-O",
            "qcow2",
            "-c",
            "-o",
            "compression_type=zstd,compat=1.1",
            "-m",
            "4",
        ]);
        command.arg(plain(disk)).arg(plain(into));
        process::output(command).await?;
        Ok(())
    }

    async fn flatten(&self, chain: &[PathBuf], format: &str, into: &Path) -> Result<(), Failure> {
        super::chain::flatten(chain, format, into).await
    }
}

/// A path that qemu-img takes for one: not for a protocol, nor for an option.
fn plain(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn unpack_at(archive: &Path, root: &Path) -> Result<(), Failure> {
    let file = std::fs::File::open(archive).map_err(io("open", archive))?;
    let unpacking = Unpacking::plain(None);
    unpack(&mut std::io::BufReader::with_capacity(1 << 18, file), root, "", &unpacking)?;
    Ok(())
}

/// What kind of tree it is.
fn facts(tree: &Path) -> Result<Facts, Failure> {
    let has = |path: &str| till_image::find_matching(tree, path).map(|found| !found.is_empty());
    let wants = "/etc/systemd/system/multi-user.target.wants";
    let networks = ["systemd-networkd", "NetworkManager", "networking", "connman"];
    let mut network = false;
    for name in networks {
        network |= has(&format!("{wants}/{name}.service"))?;
    }
    // The package `systemd` alone is there for its tools; `systemd-sysv` makes it the first process.
    Ok(Facts { systemd: has("/lib/systemd/systemd")? && has("/sbin/init")?, network })
}

/// Puts kernel, initramfs and pieces into the tree.
fn furnished(kernel: &Kernel, tree: &Path, mut pieces: Vec<Piece>, guest: &[u8], epoch: u32) -> Result<(), Failure> {
    let initramfs = kernel.initramfs(guest)?;
    kernel.move_into(tree)?;
    pieces.push(Piece::File { path: format!("/boot/till-{}.img", kernel.release), mode: 0o644, bytes: initramfs });
    let archive = archive(&pieces, epoch).map_err(io("pack", "what a machine needs"))?;
    let unpacking = Unpacking::plain(Some((0, 0)));
    unpack(&mut archive.as_slice(), tree, "", &unpacking)?;
    for name in ["dev", "proc", "sys", "run", "tmp"] {
        let path = tree.join(name);
        let made = std::fs::create_dir(&path);
        if made.is_ok() && name == "tmp" {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o1777)).map_err(io("make", &path))?;
        }
    }
    clamp(tree, epoch).map_err(|error| io("set times in", tree)(error).into())
}

/// Pieces as an archive: it is unpacked like any other, so that no link of the tree leads out of it.
fn archive(pieces: &[Piece], epoch: u32) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let header = |mode: u32| {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(u64::from(epoch));
        header.set_mode(mode);
        header
    };
    for piece in pieces {
        match piece {
            Piece::File { path, mode, bytes } => {
                let mut header = header(*mode);
                header.set_size(bytes.len() as u64);
                builder.append_data(&mut header, path.trim_start_matches('/'), bytes.as_slice())?;
            }
            Piece::Link { path, target } => {
                let mut header = header(0o777);
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, path.trim_start_matches('/'), target)?;
            }
        }
    }
    builder.into_inner()
}

/// What we made or moved has the time of today: nothing may be newer than the epoch.
fn clamp(path: &Path, epoch: u32) -> std::io::Result<()> {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    use std::os::unix::fs::MetadataExt as _;
    let meta = std::fs::symlink_metadata(path)?;
    if meta.is_dir() {
        for entry in std::fs::read_dir(path)? {
            clamp(&entry?.path(), epoch)?;
        }
    }
    if meta.mtime() > i64::from(epoch) || meta.mtime_nsec() != 0 {
        let time = Timespec { tv_sec: meta.mtime().min(i64::from(epoch)), tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

/// What a tree takes in blocks of 4 KiB, and how many files it has.
fn measure(path: &Path) -> (u64, u64) {
    let Ok(entries) = std::fs::read_dir(path) else { return (0, 0) };
    let (mut bytes, mut files) = (4096, 1);
    for entry in entries.flatten() {
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => {
                let (more, count) = measure(&entry.path());
                (bytes, files) = (bytes + more, files + count);
            }
            Ok(meta) => (bytes, files) = (bytes + meta.len().next_multiple_of(4096), files + 1),
            Err(_) => {}
        }
    }
    (bytes, files)
}

/// How large the disk is: as wished, or what it needs and a quarter more.
fn size(wished: Option<Bytes>, used: u64, files: u64) -> Result<u64, MachineError> {
    // Inodes, journal, tables.
    let needed = ROOT_OFFSET + used + used / 16 + inodes(files) * 256 + 80 * MIB;
    match wished {
        Some(size) if size.0 < needed => Err(MachineError::Small { size, needed: Bytes(needed.next_multiple_of(MIB)) }),
        Some(size) => Ok(size.0 / MIB * MIB),
        None => Ok((needed + ROOM.max(used / 4)).next_multiple_of(STEP)),
    }
}

/// How many files the file system can have: thrice those it has, and some.
fn inodes(files: u64) -> u64 {
    (files * 3).max(65_536)
}

/// The names of a disk, from what it is made of.
fn ids(seed: &Digest) -> DiskIds {
    let id = |what: &str| {
        let digest = Digest::of(format!("{seed} {what}").as_bytes());
        let number = u128::from_str_radix(&digest.hex()[..32], 16).unwrap_or_default();
        // As RFC 9562 wants those that are made of anything (version 8).
        uuid::Builder::from_custom_bytes(number.to_be_bytes()).into_uuid()
    };
    let partitions = ["bios", "efi", "root"].map(id);
    DiskIds { disk: id("disk"), partitions, root: id("file system"), hash: id("hash"), esp: short(id("esp")) }
}

fn short(id: Uuid) -> u32 {
    let (first, ..) = id.as_fields();
    first
}

/// The root file system, copied from the tree.
async fn make_root(tree: &Path, disk: &Path, size: u64, files: u64, ids: &DiskIds, epoch: u32) -> Result<(), Failure> {
    let env = BTreeMap::from([
        ("E2FSPROGS_FAKE_TIME", epoch.to_string()),
        ("SOURCE_DATE_EPOCH", epoch.to_string()),
        ("LC_ALL", "C".to_owned()),
    ]);
    let mut make = process::command("mke2fs");
    make.envs(&env).args(["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-L", "till-root"]);
    make.args(["-O", "^metadata_csum,^metadata_csum_seed,^orphan_file"]);
    make.arg("-N").arg(inodes(files).to_string()).arg("-U").arg(ids.root.to_string());
    make.arg("-E").arg(format!(
        "offset={ROOT_OFFSET},hash_seed={},lazy_itable_init=0,lazy_journal_init=0,nodiscard,root_owner=0:0",
        ids.hash
    ));
    make.arg("-d").arg(tree).arg(disk).arg((root_bytes(size) / 4096).to_string());
    process::output(make).await?;
    let disk = disk.to_owned();
    blocking("cannot finish the file system", move || Ok(settle(&disk, ROOT_OFFSET, epoch)?)).await
}
