//! What makes containers of bundles: the built-in runtime, or an OCI runtime by its command line. Chosen by a probe run, not
//! by presence: Debian's crun, for one, is there and refuses machines whose cgroups are hybrid.

mod builtin;

use std::io::PipeWriter;
use std::path::{Path, PathBuf};

use till_core::plan::{Limits, Network, Step};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::spec::{Seat, write_bundle};
use super::{ContainerError, io, overlay::Overlay, trees};
use crate::process;
use crate::scratch::Scratch;
pub use builtin::contain;
pub(super) use builtin::spec as built_in_spec;

/// What the built-in one is called where runtimes are named.
const BUILT_IN: &str = "built-in";

/// The names under which runtimes are looked for, the best first.
pub fn candidates() -> [&'static str; 3] {
    [BUILT_IN, "runc", "crun"]
}

/// A runtime that was found to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runtime {
    /// Ours.
    BuiltIn,
    /// The command of another.
    Tool(PathBuf),
}

/// A container that is not started yet.
pub(super) struct Created {
    pub(super) pid: u32,
    gate: Gate,
    /// Somebody waits for its first process, which is our child.
    pub(super) is_watched: bool,
}

impl Created {
    /// Ends whoever may still do something with the first process's number: to be called before that can be another's.
    pub(super) fn abandon(&mut self) {
        if let Gate::Socket { maker, .. } = &mut self.gate {
            let _ = maker.start_kill();
            while matches!(maker.try_wait(), Ok(None)) {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        if self.is_watched {
            return;
        }
        self.abandon();
        super::cgroup::kill_process(self.pid);
        if let Some(pid) = rustix::process::Pid::from_raw(self.pid.cast_signed()) {
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
        }
    }
}

/// How it is started.
enum Gate {
    /// By a letter; when the socket is closed it ends.
    Socket {
        socket: UnixStream,
        /// The process that makes it, which ends by itself.
        maker: Box<tokio::process::Child>,
    },
    /// By a command.
    Command,
}

impl Gate {
    /// Waits for that letter; false when it does not come any more.
    async fn hears(&mut self, letter: u8) -> bool {
        match self {
            Self::Socket { socket, .. } => socket.read_u8().await.is_ok_and(|said| said == letter),
            Self::Command => true,
        }
    }
}

/// Where a container is made: its bundle, what the runtime keeps of it, a place for its pid, and its name.
pub(super) struct Site<'s> {
    pub(super) bundle: &'s Path,
    pub(super) state: &'s Path,
    pub(super) pid_file: &'s Path,
    pub(super) name: &'s str,
}

impl Runtime {
    /// The runtime of that name.
    pub(super) fn named(name: &str) -> Self {
        if name == BUILT_IN { Self::BuiltIn } else { Self::Tool(name.into()) }
    }

    /// What it is called.
    pub fn name(&self) -> String {
        match self {
            Self::BuiltIn => BUILT_IN.to_owned(),
            Self::Tool(tool) => tool.display().to_string(),
        }
    }

    /// The first candidate that makes an instance as ours are. What was found is remembered in `data` until one of the tools,
    /// our binary or the boot changes; `fresh` probes again.
    pub async fn probe(names: &[String], data: &Path, first_id: u32, fresh: bool) -> Result<Self, till_core::Failure> {
        let memory = data.join("runtime");
        let stamps: String = names.iter().map(|name| format!("{}\n", stamp(name))).collect();
        let text = std::fs::read_to_string(&memory).unwrap_or_default();
        if let Some(name) = remembered(&text, &stamps, names).filter(|_| !fresh) {
            return Ok(Self::named(name));
        }
        let mut said = Vec::new();
        for name in names {
            let runtime = Self::named(name);
            match try_run(&runtime, data, first_id).await {
                Ok(()) => {
                    std::fs::write(&memory, format!("{stamps}{CHOSEN}{name}")).map_err(io("write", &memory))?;
                    return Ok(runtime);
                }
                Err(error) => said.push(format!("{name}: {}", till_core::Failure::from(error).chain())),
            }
        }
        Err(ContainerError::NoRuntime(said.join("; ")).into())
    }

    /// Makes a container, as far as that its network can be connected. Its output goes to `output`; when there is none (None is
    /// answered), what the runtime had to say went there.
    pub(super) async fn create(&self, site: &Site<'_>, output: PipeWriter) -> std::io::Result<Option<Created>> {
        let Self::Tool(tool) = self else {
            return builtin::create(site.bundle, output).await;
        };
        let mut create = process::command(tool);
        create.arg("--root").arg(site.state).arg("create").arg("--bundle").arg(site.bundle);
        create.arg("--pid-file").arg(site.pid_file).arg(site.name);
        create.stdout(output.try_clone()?).stderr(output);
        let status = create.status().await?;
        if !status.success() {
            return Ok(None);
        }
        Ok(Some(Created { pid: read_pid(site.pid_file)?, gate: Gate::Command, is_watched: false }))
    }

    /// Waits until nothing but the start is missing; false when something failed, which was said where its output goes.
    pub(super) async fn ready(&self, created: &mut Created) -> bool {
        let ready = created.gate.hears(b'r').await;
        if let Gate::Socket { maker, .. } = &mut created.gate {
            let _ = maker.wait().await;
        }
        ready
    }

    /// Lets a container's command begin that is ready.
    pub(super) async fn start(&self, site: &Site<'_>, created: &mut Created) -> Result<(), String> {
        match (self, &mut created.gate) {
            (Self::Tool(tool), Gate::Command) => {
                let mut start = process::command(tool);
                start.arg("--root").arg(site.state).arg("start").arg(site.name);
                process::output(start).await.map(drop).map_err(|error| error.to_string())
            }
            (_, Gate::Socket { socket, .. }) => socket.write_all(b"g").await.map_err(|error| error.to_string()),
            (Self::BuiltIn, Gate::Command) => Err("it was made by another runtime".to_owned()),
        }
    }

    /// Removes a container whose first process has ended.
    pub(super) async fn delete(&self, state: &Path, name: &str) {
        if let Self::Tool(tool) = self {
            let mut delete = process::command(tool);
            delete.arg("--root").arg(state).args(["delete", "--force"]).arg(name);
            let _ = process::output(delete).await;
        }
        super::cgroup::remove(name);
    }

    /// Whether there is a container that nobody has deleted.
    pub(super) fn has(&self, state: &Path, name: &str) -> bool {
        match self {
            Self::BuiltIn => super::cgroup::exists(name),
            Self::Tool(_) => state.join(name).exists(),
        }
    }

    /// Kills and removes a container, whatever its state; for use in `Drop` and by the sweep.
    pub(super) fn destroy(&self, state: &Path, name: &str) {
        match self {
            Self::BuiltIn => super::cgroup::destroy(name),
            Self::Tool(tool) => process::run_quietly(&[
                tool.as_os_str(),
                "--root".as_ref(),
                state.as_os_str(),
                "delete".as_ref(),
                "--force".as_ref(),
                name.as_ref(),
            ]),
        }
    }
}

/// Before the name of the one that was chosen.
const CHOSEN: &str = "chosen: ";

/// The one that was chosen of the same candidates. Somebody may be writing it, or have other candidates.
fn remembered<'n>(text: &str, stamps: &str, names: &'n [String]) -> Option<&'n String> {
    let chosen = text.strip_prefix(stamps)?.strip_prefix(CHOSEN)?;
    names.iter().find(|name| *name == chosen)
}

fn read_pid(file: &Path) -> std::io::Result<u32> {
    let bad = |_| std::io::Error::from(std::io::ErrorKind::InvalidData);
    std::fs::read_to_string(file)?.trim().parse().map_err(bad)
}

/// What must be the same for a remembered probe to hold: the tool's path, its file, the boot.
fn stamp(name: &str) -> String {
    use std::os::unix::fs::MetadataExt;
    let path = match Runtime::named(name) {
        Runtime::BuiltIn => std::env::current_exe().ok(),
        Runtime::Tool(tool) => std::env::split_paths("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .map(|folder| folder.join(&tool))
            .find(|path| path.exists()),
    };
    let meta = path.as_ref().and_then(|path| path.metadata().ok());
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    format!("{name} {path:?} {:?} {}", meta.map(|meta| (meta.ino(), meta.mtime())), boot.trim())
}

/// Runs our own binary's nothing in an instance made of an empty directory: create is enough to see whether namespaces,
/// cgroups, mounts, capabilities and the seccomp profile are to the runtime's liking.
async fn try_run(runtime: &Runtime, data: &Path, first_id: u32) -> Result<(), ContainerError> {
    let folder = Scratch::new(data).map_err(io("make a directory in", data))?;
    let at = |name: &str| folder.join(name);
    let ids = till_image::IdShift { first: first_id, count: 65_536 };
    trees::new_root(&at("upper"), ids)?;
    std::fs::create_dir(at("work")).map_err(io("make", at("work")))?;
    std::fs::create_dir(at("bundle")).map_err(io("make", at("bundle")))?;
    super::cgroup::remove_dead_probes();
    let name = format!("{}{}", super::cgroup::PROBE, std::process::id());
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
        built: Vec::new(),
        mounts: Vec::new(),
    };
    let seat = Seat { name: &name, root: &overlay.root(), ids, limits: &Limits::default() };
    write_bundle(&at("bundle"), &step, &seat, step.env.clone())?;
    let site = Site { bundle: &at("bundle"), state: &at("state"), pid_file: &at("pid"), name: &name };
    let start = |said: String| ContainerError::Start { step: "probe".to_owned(), said };
    let (mut said, output) = std::io::pipe().map_err(|error| start(error.to_string()))?;
    let mut created = {
        // Also when we are interrupted.
        let _cleared = Cleared { runtime, state: at("state"), name: name.clone() };
        let mut created = runtime.create(&site, output).await;
        if let Ok(Some(waiting)) = &mut created
            && !runtime.ready(waiting).await
        {
            created = Ok(None);
        }
        created
    };
    match &mut created {
        Ok(Some(_)) => Ok(()),
        // Nothing that could hold the other end is left.
        Ok(None) => {
            let mut words = String::new();
            let _ = std::io::Read::read_to_string(&mut said, &mut words);
            Err(start(words.trim().to_owned()))
        }
        Err(error) => {
            let source = std::io::Error::new(error.kind(), error.to_string());
            Err(ContainerError::Io { deed: "start", path: runtime.name().into(), source })
        }
    }
}

/// A container that is gone with its handle.
struct Cleared<'r> {
    runtime: &'r Runtime,
    state: PathBuf,
    name: String,
}

impl Drop for Cleared<'_> {
    fn drop(&mut self) {
        self.runtime.destroy(&self.state, &self.name);
        super::cgroup::remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_holds_for_the_same_candidates_alone() {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (one, both) = (names(&["built-in"]), names(&["built-in", "runc"]));
        for (text, stamps, names, chosen) in [
            ("built-in 1\nchosen: built-in", "built-in 1\n", &one, Some("built-in")),
            ("built-in 1\nrunc 2\nchosen: runc", "built-in 1\nrunc 2\n", &both, Some("runc")),
            // Of a longer list, of another file, half written, nothing.
            ("built-in 1\nrunc 2\nchosen: runc", "built-in 1\n", &one, None),
            ("built-in 1\nchosen: built-in", "built-in 2\n", &one, None),
            ("built-in 1\nchosen: buil", "built-in 1\n", &one, None),
            ("built-in 1\nchosen: ", "built-in 1\n", &one, None),
            ("", "built-in 1\n", &one, None),
        ] {
            assert_eq!(remembered(text, stamps, names).map(String::as_str), chosen, "{text:?}");
        }
    }
}
