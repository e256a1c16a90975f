//! What the phases say when they are done becomes the launch, and the labels by which other tools know the image (CNB
//! platform specification, "Labels").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::builder::RunImage;
use super::planning::REPORT;
use crate::contract::conclude::RELEASE;
use crate::contract::{Collected, Conclusion, PlanError, Request};
use crate::digest::{DiffId, ManifestDigest};
use crate::model::{Launch, Port, Process};
use crate::plan::{Config, ImageDraft, Plan, Record};

/// What layers the image has, and by whom.
pub const METADATA: &str = "io.buildpacks.lifecycle.metadata";
/// How it was built.
const BUILD: &str = "io.buildpacks.build.metadata";
/// Of which source.
const PROJECT: &str = "io.buildpacks.project.metadata";
/// May the run image below be replaced?
pub(super) const REBASABLE: &str = "io.buildpacks.rebasable";

/// What `lifecycle export` writes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    layers: Vec<Exported>,
    processes: Vec<ReportedProcess>,
    default_process: Option<String>,
    entrypoint: Vec<String>,
    working_dir: String,
    environment: BTreeMap<String, String>,
    path_prefix: String,
    labels: BTreeMap<String, String>,
    buildpacks: Vec<Buildpack>,
}

/// A directory that became a layer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Exported {
    kind: String,
    created_by: String,
    buildpack: Option<String>,
    layer: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ReportedProcess {
    r#type: String,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    direct: bool,
    working_dir: Option<String>,
    #[serde(default)]
    buildpack_id: String,
}

#[derive(Debug, Deserialize)]
struct Buildpack {
    id: String,
    version: String,
    #[serde(default)]
    api: String,
    #[serde(default)]
    homepage: String,
    #[serde(default)]
    layers: BTreeMap<String, BuildpackLayer>,
    store: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct BuildpackLayer {
    #[serde(default)]
    build: bool,
    #[serde(default)]
    cache: bool,
    #[serde(default)]
    launch: bool,
    #[serde(default)]
    data: Value,
}

/// What the label says of the run image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Below {
    /// Its topmost layer; everything above it is the app's.
    #[serde(default)]
    pub top_layer: String,
    /// What exactly lies there.
    #[serde(default)]
    pub reference: String,
    /// As it was named.
    #[serde(default)]
    pub image: String,
    /// Where else it can be had.
    #[serde(default)]
    pub mirrors: Vec<String>,
}

impl Below {
    /// A run image of that name.
    pub fn new(image: &str, digest: &ManifestDigest, top_layer: Option<&DiffId>) -> Self {
        let bare = image.split('@').next().unwrap_or(image);
        Self {
            top_layer: top_layer.map(ToString::to_string).unwrap_or_default(),
            reference: format!("{bare}@{digest}"),
            image: image.to_owned(),
            mirrors: Vec::new(),
        }
    }
}

/// The labels that can be told before anything is done.
pub(super) fn promised(run: &RunImage, digest: &ManifestDigest, request: &Request<'_>) -> BTreeMap<String, String> {
    let below = Below { mirrors: run.mirrors.clone(), ..Below::new(&run.image, digest, None) };
    let metadata = json!({
        "runImage": below,
        "stack": { "runImage": { "image": run.image, "mirrors": run.mirrors } },
    });
    let mut labels =
        BTreeMap::from([(METADATA.to_owned(), metadata.to_string()), (REBASABLE.to_owned(), "true".to_owned())]);
    if let Some(commit) = &request.source.commit {
        let project = json!({ "source": { "type": "git", "version": { "commit": commit } } });
        labels.insert(PROJECT.to_owned(), project.to_string());
    }
    labels
}

pub(super) fn conclude(plan: &Plan, collected: &Collected) -> Result<Conclusion, PlanError> {
    let bad = |why: String| PlanError::Contract(format!("what its phases say of the result cannot be read: {why}"));
    let text = collected.texts.get(REPORT).ok_or_else(|| bad("there is no report".to_owned()))?;
    let report: Report = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    if report.layers.len() != collected.layers.len() {
        return Err(bad(format!("{} layers are told, {} are there", report.layers.len(), collected.layers.len())));
    }
    let mut config = plan.image.clone().map(|image| image.config).unwrap_or_default();
    let metadata = metadata(&config, &report, collected);
    config.labels.insert(METADATA.to_owned(), metadata.to_string());
    config.labels.insert(BUILD.to_owned(), build(&report).to_string());
    config.labels.extend(report.labels.clone());
    for (name, value) in &report.environment {
        config.set(name, value);
    }
    let path = match config.variable("PATH") {
        Some(path) if !path.is_empty() => format!("{}:{path}", report.path_prefix),
        _ => report.path_prefix.clone(),
    };
    config.set("PATH", &path);
    config.dir.clone_from(&report.working_dir);
    config.entrypoint.clone_from(&report.entrypoint);
    config.cmd.clear();
    let launch = launch(plan, &report, &config);
    for port in &launch.ports {
        config.ports.insert(format!("{}/{}", port.number, port.protocol.transport()));
    }
    let history = report.layers.iter().map(|layer| Record { text: layer.created_by.clone(), layer: true }).collect();
    Ok(Conclusion { launch, image: Some(ImageDraft { config, history }) })
}

fn launch(plan: &Plan, report: &Report, config: &Config) -> Launch {
    let draft = &plan.launch;
    let started = |process: &ReportedProcess| {
        (process.r#type.clone(), Process { argv: vec![format!("/cnb/process/{}", process.r#type)] })
    };
    let mut processes: BTreeMap<_, _> = report.processes.iter().map(started).collect();
    let said = draft.processes.iter().filter_map(|(name, candidates)| {
        candidates.first().map(|candidate| (name.clone(), Process { argv: candidate.argv.clone() }))
    });
    processes.extend(said);
    let mut env: BTreeMap<_, _> = config.env.iter().cloned().collect();
    // What the user says stays; what the image sets is there only now.
    let set = |name: &String| report.environment.contains_key(name) || name == "PATH";
    env.extend(draft.env.iter().filter(|(name, _)| !set(name)).map(|(name, value)| (name.clone(), value.clone())));
    let default = report.default_process.clone().filter(|name| processes.contains_key(name));
    // Where there is no `web`, it is the default process that is meant, whatever it is called.
    let ports = draft.ports.iter().filter_map(|port| match processes.contains_key(&port.process) {
        true => Some(port.clone()),
        false => default.clone().map(|process| Port { process, ..port.clone() }),
    });
    let ports: Vec<_> = ports.collect();
    Launch {
        services: processes.keys().filter(|name| *name != RELEASE).cloned().collect(),
        default,
        health: draft.health.clone().filter(|health| ports.iter().any(|port| port.name == health.port)),
        ports,
        processes,
        env,
        user: draft.user.clone(),
        dir: report.working_dir.clone(),
    }
}

/// `io.buildpacks.lifecycle.metadata`: for each layer, by whom it was made and what its content is.
fn metadata(config: &Config, report: &Report, collected: &Collected) -> Value {
    let promised = config.labels.get(METADATA).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let mut metadata = promised.unwrap_or_else(|| json!({}));
    let all = || report.layers.iter().zip(collected.layers.iter().map(|(_, diff_id)| diff_id));
    let of = |kinds: &[&str]| {
        let found = all().filter(|(layer, _)| kinds.contains(&layer.kind.as_str()));
        found.map(|(_, diff_id)| json!({ "sha": diff_id })).collect::<Vec<_>>()
    };
    metadata["app"] = Value::Array(of(&["slice", "app"]));
    for (key, kind) in
        [("sbom", "sbom"), ("config", "config"), ("launcher", "launcher"), ("process-types", "process-types")]
    {
        if let Some(layer) = of(&[kind]).pop() {
            metadata[key] = layer;
        }
    }
    metadata["buildpacks"] = Value::Array(
        report
            .buildpacks
            .iter()
            .map(|buildpack| {
                let layers = buildpack.layers.iter().map(|(name, layer)| {
                    let made = all().find(|(made, _)| {
                        made.buildpack.as_deref() == Some(&buildpack.id) && made.layer.as_deref() == Some(name)
                    });
                    let value = json!({
                        "sha": made.map(|(_, diff_id)| diff_id.to_string()).unwrap_or_default(),
                        "data": layer.data,
                        "build": layer.build,
                        "launch": layer.launch,
                        "cache": layer.cache,
                    });
                    (name.clone(), value)
                });
                let mut value = json!({
                    "key": buildpack.id,
                    "version": buildpack.version,
                    "layers": layers.collect::<serde_json::Map<_, _>>(),
                });
                if let Some(store) = &buildpack.store {
                    value["store"] = json!({ "metadata": store });
                }
                value
            })
            .collect(),
    );
    if let Some(below) = &collected.below {
        metadata["runImage"]["topLayer"] = json!(below);
    }
    metadata
}

/// `io.buildpacks.build.metadata`.
fn build(report: &Report) -> Value {
    let processes: Vec<_> = report
        .processes
        .iter()
        .map(|process| {
            let mut value = json!({
                "type": process.r#type,
                "command": process.command,
                "args": process.args,
                "direct": process.direct,
                "buildpackID": process.buildpack_id,
            });
            if let Some(dir) = &process.working_dir {
                value["working-dir"] = json!(dir);
            }
            value
        })
        .collect();
    let buildpacks: Vec<_> = report
        .buildpacks
        .iter()
        .map(|buildpack| {
            json!({
                "id": buildpack.id,
                "version": buildpack.version,
                "api": buildpack.api,
                "homepage": buildpack.homepage,
            })
        })
        .collect();
    json!({
        "bom": Value::Null,
        "buildpacks": buildpacks,
        "launcher": { "version": env!("CARGO_PKG_VERSION"), "source": { "git": {} } },
        "processes": processes,
    })
}
