//! `launch.toml`, which a buildpack writes, and `metadata.toml`, which the launcher reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::api::Api;
use super::group::Member;

/// A process as the launcher starts it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Process {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The program, and arguments that a user cannot replace.
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) command: Vec<String>,
    #[serde(default)]
    pub(crate) args: Vec<String>,
    /// Without a shell.
    #[serde(default)]
    pub(crate) direct: bool,
    /// Empty: the app's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) working_dir: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) exec_env: Vec<String>,
    #[serde(default)]
    pub(crate) buildpack_id: String,
}

/// Files of the app that are a layer of their own, by globs relative to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slice {
    #[serde(default)]
    pub(crate) paths: Vec<String>,
}

/// A label of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Label {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// `metadata.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Metadata {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) buildpack_default_process_type: String,
    #[serde(default)]
    pub(crate) buildpacks: Vec<Member>,
    #[serde(default)]
    pub(crate) labels: Vec<Label>,
    #[serde(default)]
    pub(crate) processes: Vec<Process>,
    #[serde(default)]
    pub(crate) slices: Vec<Slice>,
}

impl Metadata {
    /// The process of a type.
    pub(crate) fn process(&self, kind: &str) -> Option<&Process> {
        self.processes.iter().find(|process| process.kind == kind)
    }

    /// All types, for people.
    pub(crate) fn types(&self) -> String {
        let names: Vec<_> = self.processes.iter().map(|process| process.kind.as_str()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    /// The labels; of the same key the last holds.
    pub(crate) fn label_map(&self) -> BTreeMap<String, String> {
        self.labels.iter().map(|label| (label.key.clone(), label.value.clone())).collect()
    }
}

/// What a buildpack says in `launch.toml`.
#[derive(Debug, Default)]
pub(crate) struct Launch {
    pub(crate) processes: Vec<Announced>,
    pub(crate) slices: Vec<Slice>,
    pub(crate) labels: Vec<Label>,
}

/// A process, and whether it is to be the default.
#[derive(Debug)]
pub(crate) struct Announced {
    pub(crate) process: Process,
    pub(crate) default: bool,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    processes: Vec<FileProcess>,
    #[serde(default)]
    slices: Vec<Slice>,
    #[serde(default)]
    labels: Vec<Label>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct FileProcess {
    #[serde(rename = "type")]
    kind: String,
    command: toml::Value,
    #[serde(default)]
    args: Vec<String>,
    direct: Option<bool>,
    #[serde(default)]
    default: bool,
    #[serde(default)]
    working_dir: String,
    #[serde(default)]
    exec_env: Vec<String>,
}

impl Launch {
    /// Reads the text of the `launch.toml` of a buildpack of this API.
    pub(crate) fn parse(text: &str, api: Api, id: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let processes =
            file.processes.into_iter().map(|process| process.read(api, id)).collect::<Result<Vec<_>, _>>()?;
        if processes.iter().filter(|announced| announced.default).count() > 1 {
            return Err("more than one process is the default".to_owned());
        }
        Ok(Self { processes, slices: file.slices, labels: file.labels })
    }
}

impl FileProcess {
    fn read(self, api: Api, id: &str) -> Result<Announced, String> {
        let kind = self.kind;
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if kind.is_empty() || kind == "." || kind == ".." || !kind.chars().all(good) {
            return Err(format!("`{kind}` is not a process type: letters, digits, `.`, `_` and `-` are"));
        }
        let (command, direct) = if api < Api::LISTS {
            (self.command.as_str().map(|word| vec![word.to_owned()]), self.direct.unwrap_or(false))
        } else if self.direct.is_some() {
            return Err(format!("process {kind}: `direct` is not a key since buildpack API 0.9"));
        } else {
            let words = self.command.as_array();
            (words.and_then(|words| words.iter().map(|word| word.as_str().map(str::to_owned)).collect()), true)
        };
        let command: Vec<String> = command.unwrap_or_default();
        if command.first().is_none_or(String::is_empty) {
            let form = if api < Api::LISTS { "text" } else { "a list of text" };
            return Err(format!("process {kind}: `command` must be {form}, and not empty"));
        }
        let working_dir = if api < Api::PATHS { String::new() } else { self.working_dir };
        let exec_env = if api < Api::EXEC_ENVS { Vec::new() } else { self.exec_env };
        let process =
            Process { kind, command, args: self.args, direct, working_dir, exec_env, buildpack_id: id.to_owned() };
        Ok(Announced { process, default: self.default })
    }
}

/// `metadata.toml` of old lifecycles has a command as text.
fn one_or_many<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Either::deserialize(from)? {
        Either::One(word) => vec![word],
        Either::Many(words) => words,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(process: &str, api: &str) -> Result<Process, String> {
        let text = format!("[[processes]]\ntype = \"web\"\n{process}\n");
        let launch = Launch::parse(&text, Api::supported(api).unwrap(), "acme/go")?;
        Ok(launch.processes.into_iter().next().unwrap().process)
    }

    #[test]
    fn commands_are_text_before_0_9_and_lists_since() {
        for (process, api, command, direct) in [
            ("command = \"run me\"", "0.8", Some("run me"), false),
            ("command = \"run\"\ndirect = true", "0.8", Some("run"), true),
            ("command = [\"run\"]", "0.8", None, false),
            ("command = [\"run\"]", "0.9", Some("run"), true),
            ("command = \"run\"", "0.9", None, true),
            ("command = [\"run\"]\ndirect = true", "0.9", None, true),
            ("command = []", "0.9", None, true),
            ("command = [1]", "0.9", None, true),
        ] {
            let read = parse(process, api);
            match command {
                Some(command) => {
                    let read = read.unwrap();
                    assert_eq!((read.command, read.direct), (vec![command.to_owned()], direct), "{process} {api}");
                }
                None => assert!(read.is_err(), "{process} {api}"),
            }
        }
    }

    #[test]
    fn types_that_would_lead_elsewhere_are_refused() {
        for kind in ["", "..", "a/b", "a b"] {
            let text = format!("[[processes]]\ntype = \"{kind}\"\ncommand = [\"x\"]\n");
            assert!(Launch::parse(&text, Api::LISTS, "a").is_err(), "{kind}");
        }
    }

    #[test]
    fn two_defaults_of_one_buildpack_are_an_error() {
        let text = "processes = [{ type = \"a\", command = [\"x\"], default = true }, { type = \"b\", command = [\"x\"], default = true }]";
        assert!(Launch::parse(text, Api::LISTS, "a").unwrap_err().contains("default"));
    }

    #[test]
    fn metadata_is_read_as_it_was_written() {
        let process = Process { kind: "web".to_owned(), command: vec!["run".to_owned()], ..Process::default() };
        let label = |value: &str| Label { key: "k".to_owned(), value: value.to_owned() };
        let metadata = Metadata {
            buildpack_default_process_type: "web".to_owned(),
            processes: vec![process],
            labels: vec![label("1"), label("2")],
            ..Metadata::default()
        };
        let text = toml::to_string(&metadata).unwrap();
        assert_eq!(toml::from_str::<Metadata>(&text).unwrap(), metadata);
        assert_eq!(metadata.label_map()["k"], "2");
        let old: Metadata = toml::from_str("[[processes]]\ntype = \"web\"\ncommand = \"run\"\n").unwrap();
        assert_eq!(old.process("web").unwrap().command, ["run"]);
    }
}
