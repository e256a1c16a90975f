//! What instances left behind whose owner is dead: processes, cgroups, folders. (Their mounts went with the owner.)

use std::path::Path;

use till_core::Failure;
use till_core::id::InstanceId;

use super::seat::{Folder, instances};
use super::{ContainerError, House, cgroup, io};

/// How often a folder is cleared that something still writes to; each takes as long as a runtime needs to start and end.
const ATTEMPTS: u32 = 20;

/// Clears every instance that nobody holds. A running artifact's folder stays, with its log, marked as ended.
pub(super) fn sweep(house: &House) -> Result<usize, Failure> {
    let parent = instances(&house.config.data);
    let data = &house.config.data;
    let scratches = [data.clone(), super::trees::folder(data, house.config.ids())?, data.join("staging")];
    let mut count = scratches.iter().map(|parent| crate::scratch::sweep(parent)).sum();
    for path in crate::scratch::born(&parent) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Ok(id) = name.strip_prefix(".new-").unwrap_or(&name).parse::<InstanceId>() else {
            continue;
        };
        let Some(folder) = Folder::adopt(&path)? else {
            // Its owner died before it made the lock, or while it removed it; or is just removing it.
            if !path.join("lock").exists() {
                let _ = std::fs::remove_dir_all(&path);
            }
            continue;
        };
        if super::runner::is_ended(&folder.path) {
            continue;
        }
        clear(house, &id, &folder)?;
        count += 1;
    }
    Ok(count)
}

fn clear(house: &House, id: &InstanceId, folder: &Folder) -> Result<(), ContainerError> {
    for attempt in 1.. {
        kill_processes(house, id.as_str(), folder);
        if super::runner::is_artifact(&folder.path) {
            return super::runner::mark_lost(&folder.path);
        }
        match std::fs::remove_dir_all(&folder.path) {
            // A runtime that its owner had started is in no cgroup yet, and may still write there until it ends by itself.
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty && attempt < ATTEMPTS => {}
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io("remove", &folder.path)(error));
            }
            _ => break,
        }
    }
    Ok(())
}

/// Ends everything that an instance of a dead owner still runs.
pub(super) fn kill_processes(house: &House, name: &str, folder: &Folder) {
    house.runtime.destroy(&folder.state(), name);
    for pid in cgroup::processes(name) {
        kill(pid);
    }
    cgroup::remove(name);
    if let Some(pid) = pasta(&folder.path) {
        kill(pid);
    }
}

fn kill(pid: u32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid.cast_signed()) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// The pid of the folder's pasta, if that number is still its.
fn pasta(folder: &Path) -> Option<u32> {
    let pid = std::fs::read_to_string(folder.join("pasta.pid")).ok()?.trim().parse::<u32>().ok()?;
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let folder = folder.to_string_lossy();
    String::from_utf8_lossy(&line).contains(folder.as_ref()).then_some(pid)
}
