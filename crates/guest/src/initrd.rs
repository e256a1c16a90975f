//! The first process of the initramfs.

use std::os::unix::process::CommandExt as _;
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{MountFlags, mount, mount_move};
use till_guest::{INIT, READ, ROOT};

use crate::{Result, disks, errand, failed, foreign, grow, modules, system};

/// Where the root file system is mounted before it is the root.
pub(crate) const NEW_ROOT: &str = "/sysroot";

/// Finds the root file system, and goes on with what is there; or does what a preparation wants.
pub(crate) fn run() -> Result<()> {
    system::mount_kernel("")?;
    modules::load();
    if Path::new(till_guest::JOB).exists() {
        return errand::run();
    }
    if system::command_line(READ).is_some() {
        return foreign::run();
    }
    let uuid = system::command_line(ROOT).ok_or_else(|| format!("the kernel was not told {ROOT}UUID"))?;
    let init = system::command_line(INIT).ok_or_else(|| format!("the kernel was not told {INIT}PATH"))?;
    let device = disks::by_uuid(&uuid)?;
    // A disk that does not grow is still a disk.
    if let Err(why) = grow::partition(&device) {
        eprintln!("till: {why}");
    }
    std::fs::create_dir_all(NEW_ROOT).map_err(failed("make", NEW_ROOT))?;
    let path = device.path();
    mount(path.as_path(), NEW_ROOT, "ext4", MountFlags::RELATIME, c"").map_err(failed("mount", path.display()))?;
    if let Err(why) = grow::file_system(&device, Path::new(NEW_ROOT)) {
        eprintln!("till: {why}");
    }
    go_on(&init)
}

/// Makes the root file system the root, and becomes its first process (switch_root(8)). What is in the initramfs stays in
/// memory: two megabytes.
fn go_on(init: &str) -> Result<()> {
    enter(&["proc", "sys", "dev", "run"])?;
    let mut command = std::process::Command::new(init);
    if init == till_guest::PROGRAM {
        command.arg("machine");
    }
    let error = command.env_clear().env("PATH", service_path()).exec();
    Err(failed("start", init)(error))
}

/// Makes what is mounted there the root, with these of our mounts.
pub(crate) fn enter(mounts: &[&str]) -> Result<()> {
    for name in mounts {
        let (from, to) = (format!("/{name}"), format!("{NEW_ROOT}/{name}"));
        let _ = std::fs::create_dir(&to);
        mount_move(from.as_str(), to.as_str()).map_err(failed("move", from))?;
    }
    std::env::set_current_dir(NEW_ROOT).map_err(failed("enter", NEW_ROOT))?;
    rustix::mount::move_mount(CWD, ".", CWD, "/", rustix::mount::MoveMountFlags::empty())
        .map_err(failed("move", NEW_ROOT))?;
    rustix::process::chroot(".").map_err(failed("enter", NEW_ROOT))?;
    std::env::set_current_dir("/").map_err(failed("enter", "/"))
}

/// Where systems have their programs.
fn service_path() -> &'static str {
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}
