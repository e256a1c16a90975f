//! A preparation: one command upon a tree, and what it wrote.
//!
//! ```text
//! mod.rs    the disks, the tree, what is lent, the way out
//! run.rs    the command
//! pack.rs   what it wrote, as tar
//!
//! till-base   ext4, read only: the image
//! till-work   ext4: job.json, upper/ and work/ of the overlay, loans/NAME
//! till-out    raw: a tar with upper/ as a layer has it, and those of loans/ that are kept
//! ```
//!
//! Whatever the command left running is killed before anything is packed.

mod pack;
mod run;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};
use till_guest::{DISKS, Job, Loan, Word};

use crate::{Result, disks, failed, network, port, system};

const BASE: &str = "/base";
const WORK: &str = "/work";
/// Where the tree is seen.
const TREE: &str = "/tree";

pub(crate) fn run() -> Result<()> {
    port::say(&Word::Up { kernel: kernel(), uptime: system::uptime() });
    let [base, work, out] = DISKS;
    let attach = |serial: &str, place: &str, flags| {
        std::fs::create_dir_all(place).map_err(failed("make", place))?;
        let path = disks::by_serial(serial)?.path();
        mount(path.as_path(), place, "ext4", flags, c"").map_err(failed("mount", serial))
    };
    attach(base, BASE, MountFlags::RDONLY)?;
    attach(work, WORK, MountFlags::RELATIME)?;
    let text = std::fs::read(format!("{WORK}/job.json")).map_err(failed("read", "job.json"))?;
    let job: Job = serde_json::from_slice(&text).map_err(failed("read", "job.json"))?;
    overlay()?;
    let mut places = Places::default();
    places.fill(&job)?;
    network::loopback()?;
    if job.network
        && let Some(card) = network::card()
    {
        network::configure(&card)?;
    }
    port::say(&Word::Begun { nonce: job.nonce.clone() });
    let ended = run::run(TREE, WORK, &job)?;
    port::say(&ended);
    places.clear()?;
    unmount(TREE, UnmountFlags::empty()).map_err(failed("unmount", TREE))?;
    let disk = disks::by_serial(out)?.path();
    let into = File::options().write(true).open(&disk).map_err(failed("open", disk.display()))?;
    let mut into = std::io::BufWriter::with_capacity(1 << 20, into);
    pack::pack(Path::new(WORK), &job.loans, &mut into).map_err(failed("pack", "what was written"))?;
    into.flush().map_err(failed("write", disk.display()))?;
    into.into_inner().map_err(failed("write", disk.display()))?.sync_all().map_err(failed("write", disk.display()))?;
    port::say(&Word::Packed { nonce: job.nonce });
    system::power_off()
}

fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// As containers have it on the host, so that what is written looks the same.
fn overlay() -> Result<()> {
    std::fs::create_dir_all(TREE).map_err(failed("make", TREE))?;
    let options = format!(
        "lowerdir={BASE},upperdir={WORK}/upper,workdir={WORK}/work,redirect_dir=off,metacopy=off,index=off,xino=off"
    );
    let options = std::ffi::CString::new(options).unwrap_or_default();
    mount("overlay", TREE, "overlay", MountFlags::empty(), options.as_c_str()).map_err(failed("mount", TREE))
}

/// What is seen in the tree while the command runs, and is no part of it.
#[derive(Default)]
struct Places {
    /// What was not there before, the outermost first.
    made: Vec<String>,
    mounted: Vec<String>,
}

impl Places {
    fn fill(&mut self, job: &Job) -> Result<()> {
        for name in ["proc", "sys", "dev", "run"] {
            self.directory(&format!("{TREE}/{name}"))?;
        }
        system::mount_kernel(TREE)?;
        self.mounted.extend(["proc", "sys", "dev", "run"].map(|name| format!("{TREE}/{name}")));
        for loan in &job.loans {
            self.lend(loan)?;
        }
        Ok(())
    }

    fn lend(&mut self, loan: &Loan) -> Result<()> {
        let from = format!("{WORK}/loans/{}", loan.name);
        let is_directory = Path::new(&from).is_dir();
        // Links of the image lead inside the image.
        let place = inside(&loan.path);
        match is_directory {
            true => self.directory(&place)?,
            false => self.file(&place)?,
        }
        mount_bind(from.as_str(), place.as_str()).map_err(failed("lend", &loan.path))?;
        self.mounted.push(place);
        Ok(())
    }

    fn directory(&mut self, path: &str) -> Result<()> {
        let mut above = String::new();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            above = format!("{above}/{part}");
            match std::fs::create_dir(&above) {
                Ok(()) => self.made.push(above.clone()),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("make", above)(error)),
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &str) -> Result<()> {
        if let Some((above, _)) = path.rsplit_once('/') {
            self.directory(above)?;
        }
        match File::options().write(true).create_new(true).open(path) {
            Ok(_) => self.made.push(path.to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("make", path)(error)),
        }
        Ok(())
    }

    /// Takes it all away again. What the command put into a directory that we made stays, with the directory.
    fn clear(&mut self) -> Result<()> {
        for place in self.mounted.drain(..).rev() {
            unmount(place.as_str(), UnmountFlags::DETACH).map_err(failed("unmount", &place))?;
        }
        for path in self.made.drain(..).rev() {
            let emptied = std::fs::metadata(&path).is_ok_and(|meta| meta.is_dir() || meta.len() == 0);
            if emptied {
                let _ = std::fs::remove_dir(&path).or_else(|_| std::fs::remove_file(&path));
            }
        }
        Ok(())
    }
}

/// A path of the image as we see it: links on its way lead inside the image, as far as they are there.
fn inside(path: &str) -> String {
    let mut ahead: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut walked: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(part) = ahead.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                walked.pop();
                continue;
            }
            _ => {}
        }
        let here = format!("{TREE}/{}", walked.join("/"));
        match std::fs::read_link(Path::new(&here).join(&part)) {
            Ok(target) if links < 40 => {
                links += 1;
                let target = target.to_string_lossy().into_owned();
                if target.starts_with('/') {
                    walked.clear();
                }
                ahead.extend(target.split('/').rev().map(str::to_owned));
            }
            _ => walked.push(part),
        }
    }
    format!("{TREE}/{}", walked.join("/"))
}
