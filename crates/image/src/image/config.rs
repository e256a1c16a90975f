//! What an image says of itself: the spec's config, read so that writing it again says the same.
//!
//! Docker's configs have more keys than the spec, and write what is empty in several ways (`null`, `""`, `[]`). Whatever
//! is not understood or says nothing is kept beside what is understood. What keys mean is decided by who uses them.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use till_core::DiffId;

/// The keys of a JSON object.
pub type Object = BTreeMap<String, Value>;

/// What an image says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImageConfig {
    /// The environment of what is started, in order. An entry that has no `=` is a whole line under an empty name.
    pub env: Vec<(String, String)>,
    /// Who it runs as.
    pub user: String,
    /// Where it runs.
    pub dir: String,
    /// What is started.
    pub entrypoint: Vec<String>,
    /// Its arguments, unless others are given.
    pub cmd: Vec<String>,
    /// Ports, e.g. `8080/tcp`.
    pub exposed_ports: BTreeSet<String>,
    /// Directories whose content does not belong to the image.
    pub volumes: BTreeSet<String>,
    /// The signal that ends it, e.g. `SIGTERM` or `15`.
    pub stop_signal: Option<String>,
    /// How its health is found out.
    pub healthcheck: Option<Healthcheck>,
    /// What runs the shell form of commands.
    pub shell: Vec<String>,
    /// Instructions for builds upon it.
    pub on_build: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made, as RFC 3339.
    pub created: String,
    /// For which processor, as Go calls it: `amd64`, `arm64`.
    pub architecture: String,
    /// For which system: `linux`.
    pub os: String,
    /// Which kind of that processor: `v8`.
    pub variant: Option<String>,
    /// How it came about.
    pub history: Vec<History>,
    /// Other keys of `config`, e.g. Docker's `ArgsEscaped`.
    pub config_rest: Object,
    /// Other keys of the whole, e.g. `os.version`.
    pub rest: Object,
}

/// How health is found out, as Docker writes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `NONE`; or `CMD` and an argv; or `CMD-SHELL` and a line for the shell. Nothing: the base's.
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Nanoseconds between two checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<u64>,
    /// Nanoseconds after which a check has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// Nanoseconds in which failing counts for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_period: Option<u64>,
    /// Nanoseconds between two checks in that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_interval: Option<u64>,
    /// How many failures make it ill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Other keys.
    #[serde(flatten)]
    pub rest: Object,
}

/// How a layer, or a change of the config, came about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When, as RFC 3339.
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "String::is_empty")]
    pub created: String,
    /// By what.
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// By whom.
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// What else is to be said.
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Whether no layer belongs to it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
    /// Other keys.
    #[serde(skip)]
    pub rest: Object,
}

impl ImageConfig {
    /// A variable's value: the last one's, where there are several.
    pub fn env_of(&self, name: &str) -> Option<&str> {
        self.env.iter().rfind(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Sets a variable: in its place if it is there, else at the end.
    pub fn set_env(&mut self, name: &str, value: &str) {
        let place = self.env.iter().position(|(other, _)| other == name).unwrap_or(self.env.len());
        self.env.retain(|(other, _)| other != name);
        self.env.insert(place, (name.to_owned(), value.to_owned()));
    }

    /// Reads a config; answers with the layers that it names.
    pub(super) fn read(bytes: &[u8]) -> serde_json::Result<(Self, Vec<DiffId>)> {
        let (document, rest) = split::<Document>(serde_json::from_slice(bytes)?)?;
        let (execution, config_rest) = split::<Execution>(document.config)?;
        let history = document.history.into_iter().map(|entry| {
            let (known, rest) = split::<History>(entry)?;
            Ok(History { rest, ..known })
        });
        let config = Self {
            env: execution.env.iter().map(|line| variable(line)).collect(),
            user: execution.user,
            dir: execution.working_dir,
            entrypoint: execution.entrypoint,
            cmd: execution.cmd,
            exposed_ports: execution.exposed_ports.into_keys().collect(),
            volumes: execution.volumes.into_keys().collect(),
            stop_signal: execution.stop_signal,
            healthcheck: execution.healthcheck,
            shell: execution.shell,
            on_build: execution.on_build,
            labels: execution.labels,
            created: document.created,
            architecture: document.architecture,
            os: document.os,
            variant: document.variant,
            history: history.collect::<serde_json::Result<_>>()?,
            config_rest,
            rest,
        };
        Ok((config, document.rootfs.diff_ids))
    }

    /// The config's JSON, for an image of these layers.
    pub(super) fn write(&self, diff_ids: Vec<DiffId>) -> serde_json::Result<Vec<u8>> {
        let keys = |names: &BTreeSet<String>| names.iter().map(|name| (name.clone(), Object::new())).collect();
        let execution = Execution {
            user: self.user.clone(),
            exposed_ports: keys(&self.exposed_ports),
            env: self.env.iter().map(|(name, value)| line(name, value)).collect(),
            entrypoint: self.entrypoint.clone(),
            cmd: self.cmd.clone(),
            volumes: keys(&self.volumes),
            working_dir: self.dir.clone(),
            labels: self.labels.clone(),
            stop_signal: self.stop_signal.clone(),
            healthcheck: self.healthcheck.clone(),
            shell: self.shell.clone(),
            on_build: self.on_build.clone(),
        };
        let document = Document {
            created: self.created.clone(),
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            variant: self.variant.clone(),
            config: join(&execution, &self.config_rest)?,
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids },
            history: self.history.iter().map(|entry| join(entry, &entry.rest)).collect::<serde_json::Result<_>>()?,
        };
        serde_json::to_vec(&join(&document, &self.rest)?)
    }
}

/// The whole of a config.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Document {
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "String::is_empty")]
    created: String,
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "String::is_empty")]
    architecture: String,
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "String::is_empty")]
    os: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "Object::is_empty")]
    config: Object,
    rootfs: RootFs,
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "Vec::is_empty")]
    history: Vec<Object>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct RootFs {
    #[serde(rename = "type")]
    kind: String,
    #[serde(deserialize_with = "or_nothing")]
    diff_ids: Vec<DiffId>,
}

/// How it is executed. The spec's sets are maps of keys to nothing.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Execution {
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "String::is_empty")]
    user: String,
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "BTreeMap::is_empty")]
    exposed_ports: BTreeMap<String, Object>,
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "Vec::is_empty")]
    env: Vec<String>,
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "Vec::is_empty")]
    entrypoint: Vec<String>,
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "Vec::is_empty")]
    cmd: Vec<String>,
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "BTreeMap::is_empty")]
    volumes: BTreeMap<String, Object>,
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "String::is_empty")]
    working_dir: String,
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_signal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthcheck: Option<Healthcheck>,
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "Vec::is_empty")]
    shell: Vec<String>,
    #[serde(deserialize_with = "or_nothing", skip_serializing_if = "Vec::is_empty")]
    on_build: Vec<String>,
}

/// What is absent, and what is `null`, says nothing.
pub(super) fn or_nothing<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// What is understood of an object, and the keys that are not, or that say nothing.
fn split<T: Serialize + DeserializeOwned>(mut object: Object) -> serde_json::Result<(T, Object)> {
    let known: T = serde_json::from_value(Value::Object(object.clone().into_iter().collect()))?;
    let said = join(&known, &Object::new())?;
    object.retain(|key, _| !said.contains_key(key));
    Ok((known, object))
}

/// The object of both.
fn join<T: Serialize>(known: &T, rest: &Object) -> serde_json::Result<Object> {
    let mut object = rest.clone();
    object.extend(serde_json::from_value::<Object>(serde_json::to_value(known)?)?);
    Ok(object)
}

/// A name may begin with `=`, as on Windows.
fn variable(line: &str) -> (String, String) {
    let equals = line.char_indices().skip(1).find(|(_, letter)| *letter == '=');
    match equals {
        Some((at, _)) => (line[..at].to_owned(), line[at + 1..].to_owned()),
        None => (String::new(), line.to_owned()),
    }
}

fn line(name: &str, value: &str) -> String {
    if name.is_empty() { value.to_owned() } else { format!("{name}={value}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Docker writes them, with everything that could get lost.
    const DOCKERS: &str = r#"{"architecture":"arm64","variant":"v8","os":"linux","os.version":"1","author":"a",
        "docker_version":"20","container":"c","created":"2024-01-02T03:04:05.678901234Z",
        "config":{"Hostname":"","AttachStdin":false,"User":"","Env":["PATH=/bin","B=1","A=x=y","BARE","=C:=\\","A=z"],
            "Cmd":null,"Entrypoint":[],"ArgsEscaped":true,"Image":"sha256:0","Volumes":{"/data":{}},"WorkingDir":"/w",
            "OnBuild":null,"Labels":{"k":"v"},"StopSignal":"SIGINT","Shell":["/bin/bash","-c"],"ExposedPorts":{"80/tcp":{}},
            "Healthcheck":{"Test":["CMD-SHELL","x"],"Interval":30000000000,"Timeout":0,"Retries":3,"Other":1}},
        "rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},
        "history":[{"created":"2024-01-02T03:04:05Z","created_by":"ADD x","comment":"c","author":"me"},
            {"created_by":"ENV","empty_layer":true,"odd":[1]},{"empty_layer":false,"comment":""}]}"#;

    #[test]
    fn what_is_read_is_written_again() {
        let minimal = r#"{"architecture":"amd64","os":"linux","config":null,"rootfs":{"type":"layers","diff_ids":[]}}"#;
        for text in [DOCKERS, minimal] {
            let (config, diff_ids) = ImageConfig::read(text.as_bytes()).unwrap();
            let written: Value = serde_json::from_slice(&config.write(diff_ids).unwrap()).unwrap();
            assert_eq!(written, serde_json::from_str::<Value>(text).unwrap());
        }
    }

    #[test]
    fn what_is_understood_is_at_hand() {
        let (mut config, _) = ImageConfig::read(DOCKERS.as_bytes()).unwrap();
        assert_eq!(config.env_of("A"), Some("z"));
        assert_eq!(config.env[3..5], [(String::new(), "BARE".to_owned()), ("=C:".to_owned(), "\\".to_owned())]);
        assert_eq!(config.healthcheck.as_ref().unwrap().interval, Some(30_000_000_000));
        assert_eq!((config.variant.as_deref(), config.history[1].empty_layer), (Some("v8"), true));
        config.set_env("A", "new");
        config.set_env("N", "1");
        let lines: Vec<_> = config.env.iter().map(|(name, value)| line(name, value)).collect();
        assert_eq!(lines, ["PATH=/bin", "B=1", "A=new", "BARE", "=C:=\\", "N=1"]);
        // What is set wins over what said nothing.
        config.cmd = vec!["x".to_owned()];
        let written: Value = serde_json::from_slice(&config.write(Vec::new()).unwrap()).unwrap();
        assert_eq!(written["config"]["Cmd"], serde_json::json!(["x"]));
    }
}
