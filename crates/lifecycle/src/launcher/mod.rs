//! The launcher: in the app's image, it makes the environment and gives way to the process.
//!
//! ```text
//! mod.rs      from the command line to exec
//! layers.rs   what layers have for a process: variables, programs that set some, profiles
//! ```

mod layers;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::decide::command::{How, Start, of_process, of_user, script};
use crate::decide::variables::Variables;
use crate::failure::{BUILDPACK_API, Doing as _, Failure, PLATFORM_API};
use crate::inputs::toml_file;
use crate::model::api::Api;
use crate::model::launch::Metadata;

/// Every failure to launch.
pub(crate) const LAUNCH: u8 = 82;
/// Directories of the launcher itself, which processes need not find.
const OWN: [&str; 2] = ["/cnb/process", "/cnb/lifecycle"];

/// Which process is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// By the name that we were started by.
    Process(String),
    /// By the words behind the name of the launcher.
    Command,
}

/// Starts it; comes back only with a failure.
pub(crate) fn launch(own_name: &OsStr, wanted: &Wanted, words: Vec<OsString>) -> Failure {
    start(own_name, wanted, words).unwrap_or_else(|failure| Failure { exit: failure.exit.or(Some(LAUNCH)), ..failure })
}

fn start(own_name: &OsStr, wanted: &Wanted, words: Vec<OsString>) -> Result<Failure, Failure> {
    let or = |name: &str, default: &str| {
        let given = std::env::var_os(name).filter(|value| !value.is_empty());
        given.map_or_else(|| PathBuf::from(default), PathBuf::from)
    };
    let (layers, app) = (or("CNB_LAYERS_DIR", "/layers"), or("CNB_APP_DIR", "/workspace"));
    let metadata: Metadata = toml_file(&layers.join("config/metadata.toml"))?;
    check_apis(&metadata)?;
    let start = choose(wanted, words, &metadata)?;
    std::env::set_current_dir(&app).doing(|| format!("enter the app {}", app.display()))?;

    let variables = Variables::for_launch(std::env::vars_os(), &OWN);
    let process =
        layers::Process { layers: &layers, app: &app, buildpacks: &metadata.buildpacks, kind: start.kind.as_deref() };
    let variables = process.variables(variables)?;
    match start.how {
        How::Direct => direct(&start, &variables),
        How::Script | How::Words => shell(own_name, &start, &variables, &process.profiles()?),
    }
}

fn check_apis(metadata: &Metadata) -> Result<(), Failure> {
    if let Ok(api) = std::env::var("CNB_PLATFORM_API")
        && !Api::is_platform(&api)
    {
        return Err(Failure::exit(PLATFORM_API, format!("platform API {api} is not supported")));
    }
    for buildpack in &metadata.buildpacks {
        let bad = |why| Failure::exit(BUILDPACK_API, format!("buildpack {}: {why}", buildpack.name()));
        Api::supported(&buildpack.api).map_err(bad)?;
    }
    Ok(())
}

fn choose(wanted: &Wanted, words: Vec<OsString>, metadata: &Metadata) -> Result<Start, Failure> {
    match wanted {
        Wanted::Process(kind) => match metadata.process(kind) {
            Some(process) => Ok(of_process(process, words, metadata)),
            None => Err(Failure::new(format!("there is no process `{kind}`; there are: {}", metadata.types()))),
        },
        Wanted::Command => of_user(words).ok_or_else(|| {
            Failure::new(format!("there is no default process: a command is needed. Processes: {}", metadata.types()))
        }),
    }
}

/// Without a shell.
fn direct(start: &Start, variables: &Variables) -> Result<Failure, Failure> {
    let program = look_up(&start.program, variables.get("PATH"))?;
    if !start.working_dir.is_empty() {
        let deed = || format!("enter the working directory {}", start.working_dir);
        std::env::set_current_dir(&start.working_dir).doing(deed)?;
    }
    let mut command = Command::new(&program);
    command.arg0(&start.program).args(&start.args).env_clear().envs(variables.iter());
    Ok(Failure::new(format!("cannot start {}: {}", program.display(), command.exec())))
}

/// By bash, which sources the profiles first.
fn shell(own_name: &OsStr, start: &Start, variables: &Variables, profiles: &[OsString]) -> Result<Failure, Failure> {
    let mut command = Command::new("/bin/bash");
    command.arg0("bash").arg("-c").arg(script(profiles, start)).arg(own_name).arg(&start.program).args(&start.args);
    command.env_clear().envs(variables.iter());
    Ok(Failure::new(format!("cannot start the process by /bin/bash: {}", command.exec())))
}

/// The first file of this name in `PATH` that may be run; a name with a `/` is a path.
fn look_up(program: &OsStr, path: &OsStr) -> Result<PathBuf, Failure> {
    if program.as_bytes().contains(&b'/') {
        return Ok(PathBuf::from(program));
    }
    for directory in std::env::split_paths(path) {
        // An empty part is the current directory for shells; here it would be a surprise.
        let candidate = directory.join(program);
        if !directory.as_os_str().is_empty() && is_program(&candidate) {
            return Ok(candidate);
        }
    }
    Err(Failure::new(format!("cannot find the program {} in PATH ({})", program.display(), path.display())))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}
