//! The bundle's `config.json` (OCI runtime spec 1.0): what an instance may do, in one place.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use till_core::plan::{Limits, Step};
use till_image::IdShift;

use super::users::{self, User};
use super::{ContainerError, io};

/// Of root inside, over the instance's own ids only: what packages and servers need, and nothing of the machine.
const CAPABILITIES: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Told to be empty: what of the machine would show through.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Where a step runs.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    /// The container's name, and its cgroup's.
    pub(super) name: &'a str,
    /// The mounted overlay.
    pub(super) root: &'a Path,
    pub(super) ids: IdShift,
    pub(super) limits: &'a Limits,
}

/// Writes the bundle for one step. The step's own variables win over `env`, the house's.
pub(super) fn write_bundle(
    bundle: &Path,
    step: &Step,
    seat: &Seat<'_>,
    env: BTreeMap<String, String>,
) -> Result<(), ContainerError> {
    let user = users::find(seat.root, &step.user)?;
    let config = config(step, seat, &user, env).map_err(|error| ContainerError::Io {
        deed: "understand",
        path: "seccomp.json".into(),
        source: error.into(),
    })?;
    let path = bundle.join("config.json");
    std::fs::write(&path, config.to_string()).map_err(io("write", &path))
}

fn config(
    step: &Step,
    seat: &Seat<'_>,
    user: &User,
    house: BTreeMap<String, String>,
) -> Result<Value, serde_json::Error> {
    let mut env = house;
    env.insert("HOME".to_owned(), user.home.clone());
    env.extend(step.env.clone());
    let env: Vec<_> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    // A user that is not root has none of them, as everywhere.
    let caps = if user.uid == 0 { CAPABILITIES.as_slice() } else { &[] };
    let bounding = CAPABILITIES.as_slice();
    let mapping = json!([{ "containerID": 0, "hostID": seat.ids.first, "size": seat.ids.count }]);
    let namespaces: Vec<_> = ["pid", "ipc", "uts", "mount", "cgroup", "user", "network"]
        .iter()
        .map(|kind| json!({ "type": kind }))
        .collect();
    // Beyond the limit, so that the instance's end, not a write's, is what tells of it.
    let disk = seat.limits.disk.0.saturating_mul(2);
    // Root of a user namespace may lower the machine's limit, not raise it.
    let files =
        rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.map_or(65_536, |most| most.min(65_536));
    Ok(json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": user.uid, "gid": user.gid, "additionalGids": user.groups, "umask": 0o022 },
            "args": step.argv,
            "env": env,
            "cwd": step.dir,
            "noNewPrivileges": true,
            "capabilities": { "bounding": bounding, "permitted": caps, "effective": caps },
            "rlimits": [
                { "type": "RLIMIT_NOFILE", "soft": files, "hard": files },
                { "type": "RLIMIT_FSIZE", "soft": disk, "hard": disk },
                { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 },
            ],
        },
        "root": { "path": seat.root, "readonly": false },
        "hostname": "till",
        "mounts": mounts(),
        "linux": {
            "cgroupsPath": format!("/till/{}", seat.name),
            "namespaces": namespaces,
            "uidMappings": mapping,
            "gidMappings": mapping,
            "resources": resources(seat.limits),
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
            "seccomp": super::seccomp::profile(&CAPABILITIES)?,
        },
    }))
}

fn mounts() -> Vec<Value> {
    let tmpfs = |path: &str, options: &[&str]| json!({ "destination": path, "type": "tmpfs", "source": "tmpfs", "options": options });
    vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] }),
        tmpfs("/dev", &["nosuid", "strictatime", "mode=755", "size=64k"]),
        json!({ "destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] }),
        tmpfs("/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=256m"]),
        json!({ "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"] }),
        json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"] }),
    ]
}

/// The limits, as the runtime spec has them.
pub(super) fn resources(limits: &Limits) -> Value {
    let mut resources = json!({
        "memory": { "limit": limits.memory.0, "swap": limits.memory.0 },
        "pids": { "limit": limits.pids },
        "devices": [{ "allow": false, "access": "rwm" }],
    });
    if let Some(cpu) = limits.cpu {
        resources["cpu"] = json!({ "quota": u64::from(cpu) * 100, "period": 100_000 });
    }
    resources
}
