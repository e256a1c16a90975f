//! The OCI runtime: chosen by a probe run, not by presence. Debian's crun, for one, is there and refuses machines whose
//! cgroups are hybrid.

use std::path::{Path, PathBuf};

use till_core::plan::{Limits, Network, Step};

use super::spec::{Seat, write_bundle};
use super::{ContainerError, io, overlay::Overlay, trees};
use crate::process;
use crate::scratch::Scratch;

/// The names under which runtimes are looked for, the best first.
pub fn candidates() -> [&'static str; 2] {
    ["runc", "crun"]
}

/// An OCI runtime that was found to work.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// The command.
    pub tool: PathBuf,
}

impl Runtime {
    /// The first candidate that runs `/bin/true`-like work in an instance as ours are. What was found is remembered in
    /// `data` until the tool or the boot changes; `fresh` probes again.
    pub async fn probe(tools: &[String], data: &Path, first_id: u32, fresh: bool) -> Result<Self, till_core::Failure> {
        let memory = data.join("runtime");
        let mut said = Vec::new();
        for tool in tools {
            let stamp = stamp(tool);
            if !fresh && std::fs::read_to_string(&memory).unwrap_or_default() == stamp {
                return Ok(Self { tool: tool.into() });
            }
            match try_run(tool, data, first_id).await {
                Ok(()) => {
                    std::fs::write(&memory, stamp).map_err(io("write", &memory))?;
                    return Ok(Self { tool: tool.into() });
                }
                Err(error) => said.push(format!("{tool}: {}", till_core::Failure::from(error).chain())),
            }
        }
        Err(ContainerError::NoRuntime(said.join("; ")).into())
    }

    /// Kills and removes a container, whatever its state; for use in `Drop` and by the sweep.
    pub(super) fn destroy(&self, state: &Path, id: &str) {
        process::run_quietly(&[
            self.tool.as_os_str(),
            "--root".as_ref(),
            state.as_os_str(),
            "delete".as_ref(),
            "--force".as_ref(),
            id.as_ref(),
        ]);
    }
}

/// What must be the same for a remembered probe to hold: the tool's path, its file, the boot.
fn stamp(tool: &str) -> String {
    use std::os::unix::fs::MetadataExt;
    let path = std::env::split_paths("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .map(|folder| folder.join(tool))
        .find(|path| path.exists());
    let meta = path.as_ref().and_then(|path| path.metadata().ok());
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    format!("{tool} {path:?} {:?} {boot}", meta.map(|meta| (meta.ino(), meta.mtime())))
}

/// Runs our own binary's nothing in an instance made of an empty directory: create is enough to see whether namespaces,
/// cgroups, mounts, capabilities and the seccomp profile are to the runtime's liking.
async fn try_run(tool: &str, data: &Path, first_id: u32) -> Result<(), ContainerError> {
    let folder = Scratch::new(data).map_err(io("make a directory in", data))?;
    let at = |name: &str| folder.join(name);
    let ids = till_image::IdShift { first: first_id, count: 65_536 };
    trees::new_root(&at("upper"), ids)?;
    std::fs::create_dir(at("work")).map_err(io("make", at("work")))?;
    std::fs::create_dir(at("bundle")).map_err(io("make", at("bundle")))?;
    let name = format!("probe-{}", std::process::id());
    let overlay = Overlay::mount(&name, &[], &at("upper"), &at("work"))?;
    let program = overlay.root().join("probe");
    std::fs::write(&program, b"").map_err(io("write", &program))?;
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))
        .map_err(io("set the mode of", &program))?;
    let step = Step {
        name: "probe".to_owned(),
        argv: vec!["/probe".to_owned()],
        env: std::collections::BTreeMap::default(),
        dir: "/".to_owned(),
        user: "root".to_owned(),
        network: Network::None,
        mounts: Vec::new(),
    };
    let seat = Seat { name: &name, root: &overlay.root(), ids, limits: &Limits::default() };
    write_bundle(&at("bundle"), &step, &seat, step.env.clone())?;
    let mut command = process::command(tool);
    command.arg("--root").arg(at("state")).arg("create").arg("--bundle").arg(at("bundle")).arg(&name);
    command.stdout(std::process::Stdio::null());
    // Not through a pipe: the container would keep it open.
    let said = std::fs::File::create(at("said")).map_err(io("write", at("said")))?;
    command.stderr(said);
    let status = command.status().await;
    Runtime { tool: tool.into() }.destroy(&at("state"), &name);
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(ContainerError::Start {
            step: "probe".to_owned(),
            said: std::fs::read_to_string(at("said")).unwrap_or_default().trim().to_owned(),
        }),
        Err(source) => Err(ContainerError::Io { deed: "start", path: tool.into(), source }),
    }
}
