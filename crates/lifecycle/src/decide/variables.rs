//! Environments of buildpacks and processes: what survives of our own, and what layers, users and operators add.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Directories of a layer, and the path variables that each stands before.
pub(crate) type Roots = &'static [(&'static str, &'static [&'static str])];

/// While building.
pub(crate) const BUILD_ROOTS: Roots = &[
    ("bin", &["PATH"]),
    ("lib", &["LD_LIBRARY_PATH", "LIBRARY_PATH"]),
    ("include", &["CPATH"]),
    ("pkgconfig", &["PKG_CONFIG_PATH"]),
];
/// When a process starts.
pub(crate) const LAUNCH_ROOTS: Roots = &[("bin", &["PATH"]), ("lib", &["LD_LIBRARY_PATH"])];

/// What buildpacks see of our own environment, besides the path variables of [`BUILD_ROOTS`].
const SURVIVORS: [&str; 9] = [
    "CNB_STACK_ID",
    "HOME",
    "HOSTNAME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];
/// Beyond the specification: what tells package clients of the machine's mirrors and whose certificates it trusts. Whoever
/// starts the builds sets them where they are needed, and without them nothing could be fetched there.
const LENT: [&str; 14] = [
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "GOPROXY",
    "NODE_EXTRA_CA_CERTS",
    "NPM_CONFIG_CAFILE",
    "NPM_CONFIG_REGISTRY",
    "PIP_CERT",
    "PIP_EXTRA_INDEX_URL",
    "PIP_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "UV_INDEX_URL",
    "npm_config_registry",
];
/// What processes do not see of the image's environment.
const HIDDEN: [&str; 5] =
    ["CNB_APP_DIR", "CNB_DEPRECATION_MODE", "CNB_LAYERS_DIR", "CNB_PLATFORM_API", "CNB_PROCESS_TYPE"];

/// What a file means whose name has no suffix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plain {
    /// In layers: it replaces.
    Override,
    /// Of the operator: it holds where there is nothing.
    Default,
}

/// A file of a directory such as `env.build`: its name, and its content, verbatim.
pub(crate) type EnvFile = (OsString, OsString);

/// Variables by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Variables(BTreeMap<OsString, OsString>);

impl Variables {
    /// What of our own environment buildpacks see.
    pub(crate) fn for_build(ours: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let known = |name: &OsString| SURVIVORS.iter().chain(&LENT).any(|known| name == known) || is_path(name);
        Self(ours.filter(|(name, _)| known(name)).collect())
    }

    /// What of our own environment processes see. The directories of the launcher leave `PATH`.
    pub(crate) fn for_launch(ours: impl Iterator<Item = (OsString, OsString)>, without: &[&str]) -> Self {
        let mut all = Self(ours.filter(|(name, _)| !HIDDEN.iter().any(|hidden| name == hidden)).collect());
        if let Some(path) = all.0.get_mut(OsStr::new("PATH")) {
            let parts = path.as_bytes().split(|byte| *byte == b':');
            let kept: Vec<_> = parts.filter(|part| !without.iter().any(|name| name.as_bytes() == *part)).collect();
            *path = OsStr::from_bytes(&kept.join(&b':')).to_owned();
        }
        all
    }

    /// Sets one, whatever was there.
    pub(crate) fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    /// The value of one; empty where there is none.
    pub(crate) fn get(&self, name: &str) -> &OsStr {
        self.0.get(OsStr::new(name)).map_or(OsStr::new(""), OsString::as_os_str)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.0.iter()
    }

    /// Puts directories of a layer (of those in `roots`, the ones that are `there`) before the path variables.
    pub(crate) fn add_roots(&mut self, layer: &Path, roots: Roots, there: impl Fn(&str) -> bool) {
        for (directory, names) in roots.iter().filter(|(directory, _)| there(directory)) {
            for name in *names {
                self.prepend(OsStr::new(name), layer.join(directory).as_os_str(), OsStr::new(":"));
            }
        }
    }

    /// Applies the files of a directory, in the order of their names. What is behind the first dot says how.
    pub(crate) fn apply(&mut self, files: &[EnvFile], plain: Plain) {
        let mut files: Vec<_> = files.iter().collect();
        files.sort();
        let delimiter = |name: &OsStr| {
            let mut file = name.to_owned();
            file.push(".delim");
            files.iter().find(|(name, _)| *name == file).map(|(_, value)| value.clone()).unwrap_or_default()
        };
        for (file, value) in &files {
            let (name, suffix) = split(file);
            if name.is_empty() || name.as_bytes().contains(&b'=') {
                continue;
            }
            match (suffix, plain) {
                (b"override", _) | (b"", Plain::Override) => self.set(name, value),
                (b"default", _) | (b"", Plain::Default) if self.0.get(name).is_none_or(|value| value.is_empty()) => {
                    self.set(name, value);
                }
                (b"append", _) => {
                    let mut whole = self.0.remove(name).unwrap_or_default();
                    if !whole.is_empty() {
                        whole.push(delimiter(name));
                    }
                    whole.push(value);
                    self.set(name, whole);
                }
                (b"prepend", _) => self.prepend(name, value, &delimiter(name)),
                _ => {}
            }
        }
    }

    /// Adds what the user gives: path variables stand before what is there, others replace it.
    pub(crate) fn add_user(&mut self, files: &[EnvFile]) {
        for (name, value) in files {
            if is_path(name) {
                self.prepend(name, value, OsStr::new(":"));
            } else if !name.is_empty() && !name.as_bytes().contains(&b'=') {
                self.set(name, value);
            }
        }
    }

    fn prepend(&mut self, name: &OsStr, value: &OsStr, delimiter: &OsStr) {
        let mut whole = value.to_owned();
        if let Some(before) = self.0.remove(name).filter(|before| !before.is_empty()) {
            whole.push(delimiter);
            whole.push(before);
        }
        self.set(name, whole);
    }
}

fn is_path(name: &OsStr) -> bool {
    BUILD_ROOTS.iter().any(|(_, names)| names.iter().any(|known| name == *known))
}

/// The name of the variable, and what is behind the first dot.
fn split(file: &OsStr) -> (&OsStr, &[u8]) {
    let bytes = file.as_bytes();
    let dot = bytes.iter().position(|byte| *byte == b'.').unwrap_or(bytes.len());
    (OsStr::from_bytes(&bytes[..dot]), bytes.get(dot + 1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<EnvFile> {
        let pair = |word: &str| {
            let (name, value) = word.split_once('=').unwrap();
            (name.into(), value.into())
        };
        text.split_whitespace().map(pair).collect()
    }

    fn shown(variables: &Variables) -> String {
        let shown = variables.iter().map(|(name, value)| format!("{}={}", name.display(), value.display()));
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn suffixes_say_how_a_file_is_applied() {
        for (before, files, plain, after) in [
            ("A=1", "A=2", Plain::Override, "A=2"),
            ("A=1", "A.override=2", Plain::Default, "A=2"),
            ("A=1", "A=2", Plain::Default, "A=1"),
            ("A=", "A.default=2", Plain::Override, "A=2"),
            ("A=1", "A.default=2", Plain::Override, "A=1"),
            ("A=1", "A.append=2", Plain::Override, "A=12"),
            ("A=1", "A.append=2 A.delim=:", Plain::Override, "A=1:2"),
            ("A=1", "A.prepend=2 A.delim=;", Plain::Override, "A=2;1"),
            ("", "A.prepend=2 A.delim=;", Plain::Override, "A=2"),
            ("", "A.append=2 A.delim=;", Plain::Override, "A=2"),
            ("A=1", "A.other=2 A.append.x=3", Plain::Override, "A=1"),
            ("", ".append=2 A.delim=:", Plain::Override, ""),
            // In the order of the names: append, then override.
            ("A=1", "A.override=3 A.append=2", Plain::Override, "A=3"),
        ] {
            let mut variables = Variables(pairs(before).into_iter().collect());
            variables.apply(&pairs(files), plain);
            assert_eq!(shown(&variables), after, "{before} + {files}");
        }
    }

    #[test]
    fn values_are_taken_verbatim() {
        let mut variables = Variables::default();
        variables.apply(&[("A".into(), " two\nlines\n".into())], Plain::Override);
        assert_eq!(variables.get("A"), " two\nlines\n");
    }

    #[test]
    fn little_survives_into_a_build() {
        let ours = "PATH=/bin HOME=/h SECRET=1 CNB_STACK_ID=s http_proxy=p CNB_APP_DIR=/a CPATH=/c";
        let variables = Variables::for_build(pairs(ours).into_iter());
        assert_eq!(shown(&variables), "CNB_STACK_ID=s CPATH=/c HOME=/h PATH=/bin http_proxy=p");
    }

    #[test]
    fn processes_do_not_see_the_launcher() {
        let ours = "PATH=/cnb/process:/cnb/lifecycle:/bin:/usr/bin CNB_LAYERS_DIR=/l CNB_APP_DIR=/a CNB_PROCESS_TYPE=w \
            CNB_PLATFORM_API=0.13 CNB_DEPRECATION_MODE=quiet OTHER=1";
        let variables = Variables::for_launch(pairs(ours).into_iter(), &["/cnb/process", "/cnb/lifecycle"]);
        assert_eq!(shown(&variables), "OTHER=1 PATH=/bin:/usr/bin");
    }

    #[test]
    fn directories_of_layers_stand_first() {
        let mut variables = Variables(pairs("PATH=/bin").into_iter().collect());
        variables.add_roots(Path::new("/l/a"), BUILD_ROOTS, |directory| directory != "include");
        let expected =
            "LD_LIBRARY_PATH=/l/a/lib LIBRARY_PATH=/l/a/lib PATH=/l/a/bin:/bin PKG_CONFIG_PATH=/l/a/pkgconfig";
        assert_eq!(shown(&variables), expected);
        let mut variables = Variables::default();
        variables.add_roots(Path::new("/l/a"), LAUNCH_ROOTS, |_| true);
        assert_eq!(shown(&variables), "LD_LIBRARY_PATH=/l/a/lib PATH=/l/a/bin");
    }

    #[test]
    fn users_prepend_to_paths_and_replace_the_rest() {
        let mut variables = Variables(pairs("PATH=/bin A=1").into_iter().collect());
        variables.add_user(&pairs("PATH=/mine A=2 LIBRARY_PATH=/lib"));
        assert_eq!(shown(&variables), "A=2 LIBRARY_PATH=/lib PATH=/mine:/bin");
    }
}
