//! A container's cgroups: its limits, and what was counted, on machines with one hierarchy (v2), several (v1), or both.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::runtime::built_in_spec::Resources;
use super::{ContainerError, io};

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

/// One hierarchy: where, and what is written there. What ends with `?` is not everywhere.
type Settings = (PathBuf, Vec<(&'static str, String)>);

/// Devices of the kernel's first hierarchy: those that every instance has. In the second they are closed by what closes them
/// here, too: nobody in an instance can make a device, and no file system of it lets one be opened.
const DEVICES: [&str; 10] = [
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
];

/// Makes a container's cgroups, with its limits.
pub(super) fn make(name: &str, resources: &Resources) -> Result<(), ContainerError> {
    make_below(Path::new(ROOT), name, resources)
}

fn make_below(root: &Path, name: &str, resources: &Resources) -> Result<(), ContainerError> {
    if is_unified(root) {
        let parent = root.join("till");
        std::fs::create_dir_all(&parent).map_err(io("make", &parent))?;
        for folder in [root, &parent] {
            let path = folder.join("cgroup.subtree_control");
            std::fs::write(&path, "+memory +pids +cpu").map_err(io("write", &path))?;
        }
    }
    for (parent, settings) in hierarchies(root, resources) {
        // Where none is mounted, plain files would be made that nobody reads.
        let mounted = parent.with_file_name("cgroup.procs");
        std::fs::metadata(&mounted).map_err(io("find the cgroups of", &mounted))?;
        let folder = parent.join(name);
        std::fs::create_dir_all(&folder).map_err(io("make", &folder))?;
        for (file, value) in settings {
            let path = folder.join(file.trim_end_matches('?'));
            if !file.ends_with('?') || path.exists() {
                std::fs::write(&path, value).map_err(io("write", &path))?;
            }
        }
    }
    Ok(())
}

/// Puts a process into a container's cgroups, which are there; where somebody has removed them, it fails.
pub(super) fn put(pid: u32, name: &str, resources: &Resources) -> Result<(), ContainerError> {
    for (parent, _) in hierarchies(Path::new(ROOT), resources) {
        let path = parent.join(name).join("cgroup.procs");
        let file = std::fs::File::options().write(true).open(&path);
        let put = file.and_then(|mut file| file.write_all(pid.to_string().as_bytes()));
        put.map_err(io("write", &path))?;
    }
    Ok(())
}

/// Puts a process of this machine into an instance's cgroups, wherever it has any.
pub(super) fn put_by_name(pid: u32, name: &str) -> Result<(), ContainerError> {
    for folder in folders(name).filter(|folder| folder.exists()) {
        let path = folder.join("cgroup.procs");
        std::fs::write(&path, pid.to_string()).map_err(io("write", &path))?;
    }
    Ok(())
}

/// Lets what is in an instance's cgroups use the processor's virtualization: `/dev/kvm`.
pub(super) fn allow_kvm(name: &str) {
    let path = Path::new(ROOT).join("devices/till").join(name).join("devices.allow");
    // Where there is no such hierarchy, nothing forbids it.
    let _ = std::fs::write(path, "c 10:232 rwm");
}

/// Whether there is one hierarchy for all.
fn is_unified(root: &Path) -> bool {
    root.join("cgroup.controllers").exists()
}

fn hierarchies(root: &Path, resources: &Resources) -> Vec<Settings> {
    let (memory, swap) = (resources.memory.limit, resources.memory.swap);
    let pids = ("pids.max", resources.pids.limit.to_string());
    let cpu = resources.cpu.as_ref();
    if is_unified(root) {
        let parent = root.join("till");
        let mut settings = vec![
            ("memory.max", memory.to_string()),
            ("memory.swap.max?", swap.saturating_sub(memory).to_string()),
            pids,
        ];
        settings.extend(cpu.map(|cpu| ("cpu.max", format!("{} {}", cpu.quota, cpu.period))));
        return vec![(parent, settings)];
    }
    let at = |controller: &str| root.join(controller).join("till");
    let mut devices = vec![("devices.deny", "a".to_owned())];
    devices.extend(DEVICES.map(|rule| ("devices.allow", rule.to_owned())));
    let memory =
        vec![("memory.limit_in_bytes", memory.to_string()), ("memory.memsw.limit_in_bytes?", swap.to_string())];
    let mut all = vec![(at("memory"), memory), (at("pids"), vec![pids]), (at("devices"), devices)];
    all.extend(cpu.map(|cpu| {
        let settings = vec![("cpu.cfs_period_us", cpu.period.to_string()), ("cpu.cfs_quota_us", cpu.quota.to_string())];
        (at("cpu"), settings)
    }));
    all
}

/// How often and how long a killed process is waited for: the kernel takes its time with one that has much memory.
const KILLS: u32 = 5000;
const PAUSE: Duration = Duration::from_millis(2);

/// Kills all processes in a container's cgroups, and removes them. Who was about to enter them either is killed, too, or finds
/// them gone.
pub(super) fn destroy(name: &str) {
    for _ in 0..KILLS {
        processes(name).into_iter().for_each(kill_process);
        remove(name);
        if !exists(name) {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Ends a process by its number.
pub(super) fn kill_process(pid: u32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid.cast_signed()) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// What the names of probes begin with; the number of their process follows.
pub(super) const PROBE: &str = "probe-";

/// Removes what probes left whose process was killed.
pub(super) fn remove_dead_probes() {
    let hierarchies = std::fs::read_dir(ROOT).into_iter().flatten().flatten().map(|entry| entry.path().join("till"));
    let entries = hierarchies.chain([PathBuf::from(ROOT).join("till")]).filter_map(|path| std::fs::read_dir(path).ok());
    let names = entries.flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    for name in names.collect::<std::collections::BTreeSet<_>>() {
        let pid = name.strip_prefix(PROBE).and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            destroy(&name);
        }
    }
}

/// Whether a container has cgroups.
pub(super) fn exists(name: &str) -> bool {
    folders(name).any(|folder| folder.exists())
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
    for folder in folders(name) {
        let _ = std::fs::remove_dir(folder);
    }
}

/// Where a container's cgroups may be: in each hierarchy that there is.
fn folders(name: &str) -> impl Iterator<Item = PathBuf> {
    let hierarchies = std::fs::read_dir(ROOT).into_iter().flatten().flatten().map(|entry| entry.path());
    hierarchies.chain([PathBuf::from(ROOT)]).map(move |hierarchy| hierarchy.join("till").join(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resources(cpu: bool) -> Resources {
        let mut value = json!({ "memory": { "limit": 1000, "swap": 1000 }, "pids": { "limit": 7 }, "devices": [] });
        if cpu {
            value["cpu"] = json!({ "quota": 50_000, "period": 100_000 });
        }
        serde_json::from_value(value).unwrap()
    }

    /// Files below `root` and what is in them.
    fn files(root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let text = std::fs::read_to_string(&path).unwrap();
                    found.push(format!("{}: {text}", path.strip_prefix(root).unwrap().display()));
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn with_several_hierarchies_each_is_told_its_part() {
        let root = tempfile::tempdir().unwrap();
        let memory = root.path().join("memory/till/inst");
        std::fs::create_dir_all(&memory).unwrap();
        make_below(root.path(), "inst", &resources(true)).unwrap_err();
        for controller in ["cpu", "devices", "memory", "pids"] {
            std::fs::create_dir_all(root.path().join(controller)).unwrap();
            std::fs::write(root.path().join(controller).join("cgroup.procs"), "").unwrap();
        }
        std::fs::write(memory.join("memory.memsw.limit_in_bytes"), "").unwrap();
        make_below(root.path(), "inst", &resources(true)).unwrap();
        let wanted = [
            "cpu/cgroup.procs: ",
            "cpu/till/inst/cpu.cfs_period_us: 100000",
            "cpu/till/inst/cpu.cfs_quota_us: 50000",
            "devices/cgroup.procs: ",
            "devices/till/inst/devices.allow: c 136:* rwm",
            "devices/till/inst/devices.deny: a",
            "memory/cgroup.procs: ",
            "memory/till/inst/memory.limit_in_bytes: 1000",
            "memory/till/inst/memory.memsw.limit_in_bytes: 1000",
            "pids/cgroup.procs: ",
            "pids/till/inst/pids.max: 7",
        ];
        assert_eq!(files(root.path()), wanted);
    }

    #[test]
    fn with_one_hierarchy_it_is_told_everything() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("cgroup.controllers"), "cpu memory pids").unwrap();
        std::fs::write(root.path().join("cgroup.procs"), "").unwrap();
        make_below(root.path(), "inst", &resources(false)).unwrap();
        let wanted = [
            "cgroup.controllers: cpu memory pids",
            "cgroup.procs: ",
            "cgroup.subtree_control: +memory +pids +cpu",
            "till/cgroup.subtree_control: +memory +pids +cpu",
            "till/inst/memory.max: 1000",
            "till/inst/pids.max: 7",
        ];
        assert_eq!(files(root.path()), wanted);
    }
}
