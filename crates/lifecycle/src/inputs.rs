//! What several phases read: buildpacks, groups, files of variables, the machine.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::arguments::Settings;
use crate::decide::target::{Machine, arch, os_release};
use crate::decide::variables::{EnvFile, Plain, Variables};
use crate::failure::{BUILDPACK_API, Doing as _, Failure};
use crate::model::api::Api;
use crate::model::descriptor::{Catalogue, Descriptor};

/// Reads a TOML file that we were given.
pub(crate) fn toml_file<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let text = fs::read_to_string(path).doing(|| format!("read {}", path.display()))?;
    toml::from_str(&text).doing(|| format!("read {}", path.display()))
}

/// All buildpacks: `BUILDPACKS/ID/VERSION/buildpack.toml`.
pub(crate) fn catalogue(buildpacks: &Path) -> Result<Catalogue, Failure> {
    let mut all = Vec::new();
    for id in directories(buildpacks)? {
        for directory in directories(&id)? {
            let path = directory.join("buildpack.toml");
            let text = match fs::read_to_string(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                text => text.doing(|| format!("read {}", path.display()))?,
            };
            all.push(Descriptor::parse(&text, directory).doing(|| format!("read {}", path.display()))?);
        }
    }
    Ok(Catalogue(all))
}

fn directories(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let deed = || format!("list {}", path.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(path).doing(deed)? {
        let path = entry.doing(deed)?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A buildpack of the catalogue, and its API.
pub(crate) fn buildpack<'a>(
    catalogue: &'a Catalogue,
    id: &str,
    version: &str,
) -> Result<(&'a Descriptor, Api), Failure> {
    let missing = || Failure::new(format!("buildpack {id}@{version} is not in the builder"));
    let descriptor = catalogue.find(id, version).ok_or_else(missing)?;
    let api = descriptor.api();
    let api = api.map_err(|why| Failure::exit(BUILDPACK_API, format!("buildpack {}: {why}", descriptor.name())))?;
    Ok((descriptor, api))
}

/// The files of a directory such as `env`: names, and contents verbatim. A directory that is not there has none.
pub(crate) fn env_files(directory: &Path) -> Result<Vec<EnvFile>, Failure> {
    let deed = || format!("read {}", directory.display());
    let entries = match fs::read_dir(directory) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries.doing(deed)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.doing(deed)?;
        let path = entry.path();
        let deed = || format!("read {}", path.display());
        if path.is_dir() {
            continue;
        }
        let value = fs::read(&path).doing(deed)?;
        if value.contains(&0) {
            return Err(Failure::new(format!("{} holds a zero byte, which no variable can", path.display())));
        }
        files.push((entry.file_name(), OsString::from_vec(value)));
    }
    files.sort();
    Ok(files)
}

/// The environment of a buildpack's program: what layers have added so far, the user's unless it wants none, the
/// operator's, and its own paths.
pub(crate) fn environment(
    so_far: &Variables,
    (descriptor, api): (&Descriptor, Api),
    settings: &Settings,
    machine: &Machine,
) -> Result<Variables, Failure> {
    let mut variables = so_far.clone();
    if !descriptor.buildpack.clear_env {
        variables.add_user(&env_files(&settings.platform.join("env"))?);
    }
    variables.apply(&env_files(&settings.build_config.join("env"))?, Plain::Default);
    variables.set("CNB_BUILDPACK_DIR", &descriptor.directory);
    if api >= Api::PATHS {
        variables.set("CNB_PLATFORM_DIR", &settings.platform);
    }
    if api >= Api::TARGETS {
        machine.variables().for_each(|(name, value)| variables.set(name, value));
    }
    if api >= Api::EXEC_ENVS {
        variables.set("CNB_EXEC_ENV", &settings.exec_env);
    }
    Ok(variables)
}

/// This machine, as `CNB_TARGET_*` name it or as it names itself.
pub(crate) fn machine(variable: impl Fn(&str) -> Option<OsString>) -> Machine {
    let text = |name: &str| variable(name).and_then(|value| value.into_string().ok()).unwrap_or_default();
    let or = |name: &str, other: &str| Some(text(name)).filter(|text| !text.is_empty()).unwrap_or(other.to_owned());
    let (distro, distro_version) = if text("CNB_TARGET_DISTRO_NAME").is_empty() {
        os_release(&fs::read_to_string("/etc/os-release").unwrap_or_default())
    } else {
        (text("CNB_TARGET_DISTRO_NAME"), text("CNB_TARGET_DISTRO_VERSION"))
    };
    Machine {
        os: or("CNB_TARGET_OS", std::env::consts::OS),
        arch: or("CNB_TARGET_ARCH", arch(std::env::consts::ARCH)),
        variant: text("CNB_TARGET_ARCH_VARIANT"),
        distro,
        distro_version,
        stack: text("CNB_STACK_ID"),
    }
}

/// A directory for a moment: removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one that nobody else has.
    pub(crate) fn new() -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt as _;
        let base = std::env::temp_dir();
        for number in 0..u32::MAX {
            let path = base.join(format!("lifecycle-{}-{number}", std::process::id()));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| Self(path)).doing(|| format!("make a directory in {}", base.display())),
            }
        }
        Err(Failure::new(format!("{} is full", base.display())))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left of it does not harm: the instance goes.
        let _ = fs::remove_dir_all(&self.0);
    }
}
