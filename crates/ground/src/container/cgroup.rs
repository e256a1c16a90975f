//! What a container's cgroup counted, on machines with one hierarchy (v2), several (v1), or both.

use std::path::PathBuf;

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Processes that the kernel killed because memory ran out.
    pub(super) oom_kills: u64,
    /// Times that a process could not be started because there were too many.
    pub(super) pids_refused: u64,
}

const ROOT: &str = "/sys/fs/cgroup";

fn candidates(name: &str, controller: &str, file: &str) -> [PathBuf; 3] {
    [
        format!("{ROOT}/till/{name}/{file}").into(),
        format!("{ROOT}/{controller}/till/{name}/{file}").into(),
        format!("{ROOT}/unified/till/{name}/{file}").into(),
    ]
}

/// The number after `key` in a flat-keyed file of the container's cgroup.
fn count(name: &str, controller: &str, file: &str, key: &str) -> Option<u64> {
    let text = candidates(name, controller, file).iter().find_map(|path| std::fs::read_to_string(path).ok())?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Reads the counts of a container that has not been deleted yet.
pub(super) fn counts(name: &str) -> Counts {
    let oom = count(name, "memory", "memory.events", "oom_kill")
        .or_else(|| count(name, "memory", "memory.oom_control", "oom_kill"));
    Counts { oom_kills: oom.unwrap_or(0), pids_refused: count(name, "pids", "pids.events", "max").unwrap_or(0) }
}

/// The processes in a container's cgroup, in whichever hierarchy it is found.
pub(super) fn processes(name: &str) -> Vec<u32> {
    let text = ["memory", "pids", "systemd", "unified"]
        .iter()
        .flat_map(|controller| candidates(name, controller, "cgroup.procs"))
        .find_map(|path| std::fs::read_to_string(path).ok());
    text.unwrap_or_default().lines().filter_map(|line| line.trim().parse().ok()).collect()
}

/// Removes what is left of a container's cgroups. Only empty ones go.
pub(super) fn remove(name: &str) {
    let hierarchies =
        std::fs::read_dir(ROOT).into_iter().flatten().flatten().map(|entry| entry.path().join("till").join(name));
    for path in hierarchies.chain([PathBuf::from(ROOT).join("till").join(name)]) {
        let _ = std::fs::remove_dir(path);
    }
}
