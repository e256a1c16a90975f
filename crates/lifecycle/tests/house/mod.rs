//! A directory with all that the phases want: buildpacks, layers, an app, a platform, a cache.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// The program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_lifecycle");
/// Whose exported files are, when we are root.
const OWNER: &str = "1234";

/// It.
pub(crate) struct House {
    directory: TempDir,
}

impl House {
    /// With empty directories.
    pub(crate) fn new() -> Self {
        let house = Self { directory: TempDir::new().unwrap() };
        for name in ["buildpacks", "layers", "workspace", "platform/env", "build-config/env", "cache"] {
            fs::create_dir_all(house.path(name)).unwrap();
        }
        house
    }

    /// With one buildpack, which passes and builds like this.
    pub(crate) fn simple(build: &str) -> Self {
        let house = Self::new();
        house.buildpack("b", "api = \"0.10\"", "", build);
        house.order("[[order]]\ngroup = [{ id = \"b\" }]\n");
        house
    }

    /// For the next build of the same app: another instance, with the same buildpacks and cache.
    pub(crate) fn next(self) -> Self {
        for name in ["layers", "workspace", "into"] {
            fs::remove_dir_all(self.path(name)).unwrap();
            fs::create_dir(self.path(name)).unwrap();
        }
        self.app();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// An app with a few files.
    pub(crate) fn app(&self) {
        for name in ["main", "README.md", "static/a", "static/deep/b", "dir/inner", ".profile"] {
            self.write(&format!("workspace/{name}"), "export OWN=profile\n");
        }
    }

    /// `about` is the beginning of `buildpack.toml`; a table `[buildpack]` in it comes last.
    pub(crate) fn buildpack(&self, id: &str, about: &str, detect: &str, build: &str) {
        let directory = format!("buildpacks/{}/1.0.0", id.replace('/', "_"));
        let (tables, rest) = match about.split_once("\n[buildpack]") {
            Some((tables, rest)) => (tables, rest),
            None => (about, ""),
        };
        let own = format!("[buildpack]\nid = \"{id}\"\nversion = \"1.0.0\"{rest}\n");
        let (head, tables) = tables.split_once('\n').unwrap_or((tables, ""));
        self.write(&format!("{directory}/buildpack.toml"), &format!("{head}\n{own}{tables}\n"));
        for (name, script) in [("detect", detect), ("build", build)] {
            let path = format!("{directory}/bin/{name}");
            let text = format!("{path}.text");
            self.write(&text, &format!("#!/usr/bin/env bash\n{script}\n"));
            // By another process: while a test forks, its child would hold what this one writes, and the kernel starts no
            // program that somebody writes.
            let mut install = Command::new("install");
            assert!(install.args(["-m", "755"]).args([self.path(&text), self.path(&path)]).status().unwrap().success());
        }
    }

    pub(crate) fn composite(&self, id: &str, order: &str) {
        let text = format!("api = \"0.10\"\n[buildpack]\nid = \"{id}\"\nversion = \"1.0.0\"\n{order}");
        self.write(&format!("buildpacks/{id}/1.0.0/buildpack.toml"), &text);
    }

    pub(crate) fn order(&self, text: &str) {
        self.write("order.toml", text);
    }

    /// Runs a phase: exit code, output, error output.
    pub(crate) fn run_with(&self, phase: &str, flags: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
        let mut command = Command::new(PROGRAM);
        command.arg(phase).env("SECRET", "kept").envs(variables.iter().copied());
        for name in ["app", "layers", "platform", "buildpacks", "build-config", "into"] {
            let directory = if name == "app" { "workspace" } else { name };
            command.arg(format!("-{name}")).arg(self.path(directory));
        }
        command.arg("-order").arg(self.path("order.toml")).arg("-cache").arg(self.path("cache"));
        command.args(["-uid", OWNER, "-gid", OWNER]).args(flags);
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    pub(crate) fn succeeds_with(&self, phase: &str, flags: &[&str]) -> String {
        let (code, output, error) = self.run_with(phase, flags, &[]);
        assert_eq!(code, 0, "{phase}: {output}{error}");
        output
    }

    pub(crate) fn succeeds(&self, phase: &str) -> String {
        self.succeeds_with(phase, &[])
    }

    pub(crate) fn build(&self, phases: &[&str]) {
        phases.iter().for_each(|phase| drop(self.succeeds(phase)));
    }

    pub(crate) fn fails_with(&self, phase: &str, flags: &[&str], code: i32, said: &str) {
        let (ended, output, error) = self.run_with(phase, flags, &[]);
        assert_eq!(ended, code, "{phase}, expecting {said}: {output}{error}");
        assert!(output.contains(said) || error.contains(said), "{phase}, expecting {said}: {output}{error}");
    }

    pub(crate) fn fails(&self, phase: &str, code: i32, said: &str) {
        self.fails_with(phase, &[], code, said);
    }

    pub(crate) fn report(&self) -> Value {
        serde_json::from_str(&self.read("into/report.json")).unwrap()
    }

    /// The directory of a layer, by the end of its name.
    pub(crate) fn layer(&self, name: &str) -> PathBuf {
        let entries = fs::read_dir(self.path("into")).unwrap().map(|entry| entry.unwrap().path());
        entries.into_iter().find(|path| path.to_string_lossy().ends_with(name)).unwrap()
    }

    /// Where a file of this house is in a layer.
    pub(crate) fn exported(&self, directory: &str, file: &str) -> PathBuf {
        self.layer(directory).join(self.path(file).strip_prefix("/").unwrap())
    }

    pub(crate) fn read_exported(&self, directory: &str, file: &str) -> String {
        fs::read_to_string(self.exported(directory, file)).unwrap()
    }

    /// All that was exported: paths below this house, modes, times, contents; as root owners, too.
    pub(crate) fn listing(&self) -> Vec<String> {
        let own = self.directory.path().strip_prefix("/").unwrap().display().to_string();
        let mut list = Vec::new();
        walk(&self.path("into"), &mut list);
        let mut list: Vec<_> = list.into_iter().filter(|line| !line.contains("report.json")).collect();
        for line in &mut list {
            *line = line.replace(&self.path("into").display().to_string(), "").replace(&own, "HOUSE");
        }
        list.retain(|line| !line.contains("launcher/cnb"));
        list.sort();
        list
    }

    /// The exported image's file system.
    pub(crate) fn image(&self) -> Image {
        let root = TempDir::new().unwrap();
        let report = self.report();
        for layer in report["layers"].as_array().unwrap() {
            let from = self.path("into").join(layer["directory"].as_str().unwrap()).join(".");
            let copied = Command::new("cp").arg("-a").arg(from).arg(root.path()).status().unwrap();
            assert!(copied.success());
        }
        // In the image, layers and app are at the paths of the build; here below the root.
        let house = root.path().join(self.directory.path().strip_prefix("/").unwrap());
        Image { root, house }
    }
}

fn walk(path: &Path, list: &mut Vec<String>) {
    let metadata = path.symlink_metadata().unwrap();
    let owner = metadata.uid();
    let content = match metadata.file_type() {
        kind if kind.is_file() => fs::read(path).map(|bytes| format!("{} bytes", bytes.len())).unwrap(),
        kind if kind.is_symlink() => fs::read_link(path).unwrap().display().to_string(),
        _ => String::new(),
    };
    if path.components().count() > 4 {
        list.push(format!("{} {:o} {owner} {content}", path.display(), metadata.mode()));
    }
    if metadata.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| walk(&entry.unwrap().path(), list));
    }
}

/// An image's file system in a directory.
pub(crate) struct Image {
    root: TempDir,
    house: PathBuf,
}

impl Image {
    pub(crate) fn root(&self) -> &str {
        self.root.path().to_str().unwrap()
    }

    /// Where a path of the house is in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.house.join(name)
    }

    /// Starts the launcher by a name: exit code, output, error output.
    pub(crate) fn launch(&self, name: &str, words: &[&str]) -> (i32, String, String) {
        let launcher = self.root.path().join("cnb/lifecycle/launcher");
        let name =
            if name == "launcher" { "/cnb/lifecycle/launcher".to_owned() } else { format!("/cnb/process/{name}") };
        let mut command = Command::new(launcher);
        command.arg0(name).args(words).current_dir("/");
        command.env("CNB_LAYERS_DIR", self.path("layers")).env("CNB_APP_DIR", self.path("workspace"));
        let output = command.env("CNB_PLATFORM_API", "0.13").output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }
}
