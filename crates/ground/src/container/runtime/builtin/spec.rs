//! What the built-in runtime reads of a bundle's config.json (OCI runtime spec 1.0): what our bundles say, and no more.
//! A key that is not known here is refused, so that nothing is asked for in vain.

use std::path::PathBuf;

use serde::Deserialize;

use super::filter::Seccomp;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Spec {
    #[serde(rename = "ociVersion")]
    _version: String,
    pub(super) process: Process,
    pub(super) root: Root,
    pub(super) hostname: String,
    pub(super) mounts: Vec<Mount>,
    pub(super) linux: Linux,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Process {
    pub(super) terminal: bool,
    pub(super) user: User,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<String>,
    pub(super) cwd: PathBuf,
    pub(super) no_new_privileges: bool,
    pub(super) capabilities: Capabilities,
    pub(super) rlimits: Vec<Rlimit>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) additional_gids: Vec<u32>,
    pub(super) umask: u32,
}

/// By name; what is not named is empty.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Capabilities {
    pub(super) bounding: Vec<String>,
    pub(super) permitted: Vec<String>,
    pub(super) effective: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rlimit {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) soft: u64,
    pub(super) hard: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Root {
    pub(super) path: PathBuf,
    pub(super) readonly: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mount {
    pub(super) destination: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) source: String,
    pub(super) options: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Linux {
    cgroups_path: String,
    pub(super) namespaces: Vec<Namespace>,
    pub(super) uid_mappings: Vec<Mapping>,
    pub(super) gid_mappings: Vec<Mapping>,
    pub(super) resources: Resources,
    pub(super) masked_paths: Vec<PathBuf>,
    pub(super) readonly_paths: Vec<PathBuf>,
    pub(super) seccomp: Seccomp,
}

impl Linux {
    /// The instance's name, which its cgroup has, too.
    pub(super) fn cgroup(&self) -> Option<&str> {
        self.cgroups_path.strip_prefix("/till/").filter(|name| !name.is_empty() && !name.contains('/'))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Namespace {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mapping {
    #[serde(rename = "containerID")]
    inside: u32,
    #[serde(rename = "hostID")]
    outside: u32,
    size: u32,
}

impl Mapping {
    /// What an id inside is outside.
    pub(super) fn outside(&self, id: u32) -> Option<u32> {
        let offset = id.checked_sub(self.inside).filter(|offset| *offset < self.size)?;
        self.outside.checked_add(offset)
    }

    /// As `/proc/PID/uid_map` takes it (user_namespaces(7)).
    pub(super) fn line(&self) -> String {
        format!("{} {} {}\n", self.inside, self.outside, self.size)
    }
}

/// What a cgroup is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::container) struct Resources {
    pub(in crate::container) memory: Memory,
    pub(in crate::container) pids: Pids,
    #[serde(default)]
    pub(in crate::container) cpu: Option<Cpu>,
    /// None but those that every instance has; nothing else is ever asked for.
    #[serde(rename = "devices")]
    _devices: Vec<serde_json::Value>,
}

/// In bytes; `swap` is of memory and swap together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::container) struct Memory {
    pub(in crate::container) limit: u64,
    pub(in crate::container) swap: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::container) struct Pids {
    pub(in crate::container) limit: u64,
}

/// In microseconds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::container) struct Cpu {
    pub(in crate::container) quota: u64,
    pub(in crate::container) period: u64,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use till_core::plan::{Limits, Network, Step};
    use till_image::IdShift;

    use super::*;
    use crate::container::spec::{Seat, write_bundle};

    #[test]
    fn what_our_bundles_say_is_understood() {
        let folder = tempfile::tempdir().unwrap();
        let step = Step {
            name: "step".to_owned(),
            argv: vec!["true".to_owned()],
            env: BTreeMap::new(),
            dir: "/".to_owned(),
            user: "root".to_owned(),
            network: Network::None,
            built: Vec::new(),
            mounts: Vec::new(),
        };
        for cpu in [None, Some(1500)] {
            let limits = Limits { cpu, ..Limits::default() };
            let ids = IdShift { first: 100_000, count: 65_536 };
            let seat = Seat { name: "inst", root: folder.path(), ids, limits: &limits };
            write_bundle(folder.path(), &step, &seat, BTreeMap::new()).unwrap();
            let text = std::fs::read(folder.path().join("config.json")).unwrap();
            let spec: Spec = serde_json::from_slice(&text).unwrap();
            let mapping = &spec.linux.uid_mappings[0];
            assert_eq!(mapping.line(), "0 100000 65536\n");
            assert_eq!([0, 65_535, 65_536].map(|id| mapping.outside(id)), [Some(100_000), Some(165_535), None]);
            assert_eq!(spec.linux.cgroup(), Some("inst"));
            assert_eq!(spec.linux.resources.cpu.map(|cpu| cpu.quota), cpu.map(|cpu| u64::from(cpu) * 100));
            super::super::filter::compile(&spec.linux.seccomp).unwrap();
        }
    }
}
