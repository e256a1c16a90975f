//! What a builder says of itself (CNB platform specification, "Build Image", "run.toml", "stack.toml"; labels as `pack
//! builder create` writes them).

use serde::{Deserialize, Serialize};

use super::spec::CnbSpec;
use crate::contract::{ContractSpec, PlanError, Request};
use crate::digest::ManifestDigest;
use crate::known::{Known, Need};
use crate::plan::Config;
use crate::words::explain_toml;

/// The label by which an image is known as a builder.
const METADATA: &str = "io.buildpacks.builder.metadata";

/// In which groups buildpacks are tried.
pub(super) const ORDER: &str = "/cnb/order.toml";
/// Run images.
const RUN: &str = "/cnb/run.toml";
/// The same before platform API 0.12.
const STACK: &str = "/cnb/stack.toml";

/// The contract of an image that says of itself that it is a builder.
pub fn of_image(config: &Config) -> Option<ContractSpec> {
    config.labels.contains_key(METADATA).then(|| ContractSpec::Cnb(Box::default()))
}

/// A run image, and where else it can be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunImage {
    pub(super) image: String,
    #[serde(default)]
    pub(super) mirrors: Vec<String>,
}

#[derive(Deserialize)]
struct Run {
    #[serde(default)]
    images: Vec<RunImage>,
}

#[derive(Deserialize)]
struct Stack {
    #[serde(rename = "run-image")]
    run_image: Option<RunImage>,
}

/// What the label says.
#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    images: Vec<RunImage>,
    stack: Option<MetadataStack>,
}

#[derive(Deserialize)]
struct MetadataStack {
    #[serde(rename = "runImage")]
    run_image: Option<RunImage>,
}

/// What a file of the builder says; none when it is not there.
pub(super) fn text<'a>(known: &'a Known, image: &ManifestDigest, path: &str) -> Result<Option<&'a str>, Need> {
    match known.looks.get(&(image.clone(), path.to_owned())) {
        Some(texts) => Ok(texts.get(path).map(String::as_str)),
        None => Err(Need::Look { image: image.clone(), pattern: path.to_owned() }),
    }
}

fn read<T: for<'a> Deserialize<'a>>(path: &str, text: &str) -> Result<T, PlanError> {
    let why = |error| PlanError::Contract(format!("`{path}` of the builder cannot be read: {}", explain_toml(&error)));
    toml::from_str(text).map_err(why)
}

/// The run image that is said: by the app, the base's contract, the builder's files or its label. `needs` gets what has to
/// be known to tell.
pub(super) fn run_image(
    spec: &CnbSpec,
    request: &Request<'_>,
    builder: &ManifestDigest,
    needs: &mut Vec<Need>,
) -> Result<Option<RunImage>, PlanError> {
    let app = request.app.cnb.as_ref().and_then(|section| section.run_image.clone());
    if let Some(image) = app.or_else(|| spec.run_image.clone()) {
        return Ok(Some(RunImage { image, mirrors: Vec::new() }));
    }
    let (run, stack) = match (text(request.known, builder, RUN), text(request.known, builder, STACK)) {
        (Ok(run), Ok(stack)) => (run, stack),
        (run, stack) => {
            needs.extend(run.err().into_iter().chain(stack.err()));
            return Ok(None);
        }
    };
    let run = run.map(|text| read::<Run>(RUN, text)).transpose()?;
    let stack = stack.map(|text| read::<Stack>(STACK, text)).transpose()?;
    let label = request.image.labels.get(METADATA).and_then(|text| serde_json::from_str::<Metadata>(text).ok());
    let (images, old) = label.map(|label| (label.images, label.stack)).unwrap_or_default();
    let found = run
        .and_then(|run| run.images.into_iter().next())
        .or_else(|| stack.and_then(|stack| stack.run_image))
        .or_else(|| images.into_iter().next())
        .or_else(|| old.and_then(|stack| stack.run_image));
    found.filter(|found| !found.image.is_empty()).map(Some).ok_or_else(|| {
        let what =
            "the builder names no run image: it has neither /cnb/run.toml nor a label that does; say `run_image`";
        PlanError::Contract(what.to_owned())
    })
}

/// User and group that build.
pub(super) fn user(config: &Config) -> Result<(u32, u32), PlanError> {
    let (user, group) = config.user.split_once(':').unwrap_or((&config.user, ""));
    let number = |name: &str, other: &str| config.variable(name).unwrap_or(other).parse::<u32>().ok();
    match number("CNB_USER_ID", user) {
        Some(0) => {
            Err(PlanError::Contract("the builder would build as root, which its specification forbids".to_owned()))
        }
        Some(uid) => Ok((uid, number("CNB_GROUP_ID", group).unwrap_or(uid))),
        None => Err(PlanError::Contract("the builder sets no CNB_USER_ID".to_owned())),
    }
}

/// order.toml.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    #[serde(default)]
    pub(super) order: Vec<Group>,
    #[serde(default, rename = "order-extensions", skip_serializing_if = "Vec::is_empty")]
    pub(super) extensions: Vec<Group>,
}

/// Buildpacks that go together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) group: Vec<Member>,
}

/// A buildpack of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) id: String,
    #[serde(default)]
    pub(super) version: String,
    #[serde(default)]
    pub(super) optional: bool,
}

/// The builder's own order.
pub(super) fn order(text: &str) -> Result<Order, PlanError> {
    read(ORDER, text)
}
