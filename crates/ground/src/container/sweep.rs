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
    // Also when another runtime than today's had made it.
    cgroup::destroy(name);
    pastas(&folder.path).for_each(cgroup::kill_process);
}

/// The folder's pasta, known by its arguments: it may not have come to write its pid.
fn pastas(folder: &Path) -> impl Iterator<Item = u32> {
    let ready = folder.join("pasta.pid").into_os_string().into_encoded_bytes();
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(move |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == ready)
    })
}
