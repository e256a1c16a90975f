//! Another run image below an app: its layers are exchanged, those of the app stay (CNB platform specification, "Rebaser").

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::report::{Below, METADATA, REBASABLE};
use crate::digest::{DiffId, ManifestDigest};
use crate::fault::{Blame, Fault};

/// What a run image says of the system in it.
const SYSTEM: [&str; 2] = ["io.buildpacks.base.distro.name", "io.buildpacks.base.distro.version"];
/// The same before platform API 0.12.
const STACK: &str = "io.buildpacks.stack.id";
/// Labels that are the run image's.
const ITS_OWN: [&str; 2] = ["io.buildpacks.base.", "io.buildpacks.stack."];

/// The image that is to lie below.
#[derive(Debug, Clone, Copy)]
pub struct NewRun<'a> {
    /// As it was named.
    pub name: &'a str,
    /// What exactly it is.
    pub digest: &'a ManifestDigest,
    /// What it says of itself.
    pub labels: &'a BTreeMap<String, String>,
    /// Its topmost layer.
    pub top: Option<&'a DiffId>,
}

/// Are the rules that keep an app from what it does not fit upon held?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// They are.
    Held,
    /// Who asks knows better.
    Waived,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebase {
    /// The lowest so many layers are exchanged, and the image says this of itself.
    Exchange {
        /// Layers of the image that lies below now.
        below: usize,
        /// All labels.
        labels: BTreeMap<String, String>,
    },
    /// That image lies below already.
    Nothing,
}

/// Why an app is not put upon another image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRebase {
    /// It was not built by buildpacks, or something changed it since.
    #[error("it was not made by Cloud Native Buildpacks: its label {METADATA} {0}")]
    Foreign(&'static str),
    /// It says that it must not be.
    #[error("it says that what lies below it must not be exchanged ({REBASABLE})")]
    Refuses,
    /// Another system.
    #[error("`{label}` is `{now}` below it, and `{new}` in the new run image")]
    System {
        /// What differs.
        label: &'static str,
        /// What it is now.
        now: String,
        /// What it would be.
        new: String,
    },
    /// Another family of images.
    #[error("it lies upon `{now}`, and `{new}` is neither that in another version nor one of its mirrors")]
    Family {
        /// What it is now.
        now: String,
        /// What it would be.
        new: String,
    },
}

impl Blame for NoRebase {
    fn fault(&self) -> Fault {
        Fault::Caller
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Foreign(_) => Some("build the app again upon the new base".to_owned()),
            _ => Some("--force does it all the same; whether the app still works is then yours to see".to_owned()),
        }
    }
}

/// The name of an image without its version: a newer one of the same family is what a rebase is for.
fn family(name: &str) -> &str {
    let bare = name.split('@').next().unwrap_or(name);
    match bare.rsplit_once(':') {
        Some((family, tag)) if !tag.contains('/') => family,
        _ => bare,
    }
}

/// Decides how an app of these labels and layers (the lowest first) gets another run image.
pub fn rebase(
    labels: &BTreeMap<String, String>,
    layers: &[&DiffId],
    run: &NewRun<'_>,
    rules: Rules,
) -> Result<Rebase, NoRebase> {
    let text = labels.get(METADATA).ok_or(NoRebase::Foreign("is not there"))?;
    let mut metadata: Value = serde_json::from_str(text).map_err(|_| NoRebase::Foreign("cannot be read"))?;
    let now: Below =
        serde_json::from_value(metadata["runImage"].clone()).map_err(|_| NoRebase::Foreign("names no run image"))?;
    let top = layers.iter().position(|layer| layer.to_string() == now.top_layer);
    let below = top.ok_or(NoRebase::Foreign("names a topmost layer of the run image that is not there"))? + 1;
    if run.top.is_some_and(|top| top.to_string() == now.top_layer) {
        return Ok(Rebase::Nothing);
    }
    if rules == Rules::Held {
        check(labels, &now, run)?;
    }
    let mirrors = match family(run.name) == family(&now.image)
        || now.mirrors.iter().any(|mirror| family(mirror) == family(run.name))
    {
        true => now.mirrors.clone(),
        false => Vec::new(),
    };
    let new = Below { mirrors, ..Below::new(run.name, run.digest, run.top) };
    metadata["stack"]["runImage"] = json!({ "image": new.image, "mirrors": new.mirrors });
    metadata["runImage"] = json!(new);
    let own = |name: &str| ITS_OWN.iter().any(|prefix| name.starts_with(prefix));
    let kept = labels.iter().filter(|(name, _)| !own(name));
    let taken = run.labels.iter().filter(|(name, _)| own(name));
    let mut labels: BTreeMap<_, _> = kept.chain(taken).map(|(name, value)| (name.clone(), value.clone())).collect();
    labels.insert(METADATA.to_owned(), metadata.to_string());
    Ok(Rebase::Exchange { below, labels })
}

fn check(labels: &BTreeMap<String, String>, now: &Below, run: &NewRun<'_>) -> Result<(), NoRebase> {
    if labels.get(REBASABLE).is_some_and(|value| value == "false") {
        return Err(NoRebase::Refuses);
    }
    for label in SYSTEM.into_iter().chain([STACK]) {
        // What neither or only one of them says cannot differ.
        if let (Some(now), Some(new)) = (labels.get(label), run.labels.get(label))
            && now != new
        {
            return Err(NoRebase::System { label, now: now.clone(), new: new.clone() });
        }
    }
    let known = std::iter::once(&now.image).chain(&now.mirrors);
    match known.map(|known| family(known)).any(|known| known == family(run.name)) {
        true => Ok(()),
        false => Err(NoRebase::Family { now: now.image.clone(), new: run.name.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn id(name: &str) -> DiffId {
        DiffId(Digest::of(name.as_bytes()))
    }

    fn labels(more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let metadata = json!({
            "app": [{ "sha": id("app") }],
            "runImage": { "topLayer": id("old-2"), "reference": "run@x", "image": "host/run:1", "mirrors": ["other/run:1"] },
        });
        let own = [(METADATA, metadata.to_string()), (SYSTEM[0], "debian".to_owned())];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
        own.chain(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).collect()
    }

    fn decide(more: &[(&str, &str)], name: &str, system: &str, rules: Rules) -> Result<Rebase, NoRebase> {
        let layers = [id("old-1"), id("old-2"), id("app")];
        let run = BTreeMap::from([(SYSTEM[0].to_owned(), system.to_owned()), ("other".to_owned(), "x".to_owned())]);
        let (digest, top) = (ManifestDigest(Digest::of(b"new")), id("new-1"));
        let run = NewRun { name, digest: &digest, labels: &run, top: Some(&top) };
        rebase(&labels(more), &layers.each_ref(), &run, rules)
    }

    #[test]
    fn the_layers_below_are_exchanged_and_the_labels_say_so() {
        let Rebase::Exchange { below, labels } = decide(&[("mine", "1")], "host/run:2", "debian", Rules::Held).unwrap()
        else {
            panic!("nothing was done");
        };
        assert_eq!(below, 2);
        assert_eq!((labels["mine"].as_str(), labels.contains_key("other")), ("1", false));
        let metadata: Value = serde_json::from_str(&labels[METADATA]).unwrap();
        assert_eq!(metadata["app"][0]["sha"], json!(id("app")));
        assert_eq!(metadata["runImage"]["topLayer"], json!(id("new-1")));
        assert_eq!(metadata["runImage"]["image"], "host/run:2");
        assert_eq!(metadata["runImage"]["mirrors"], json!(["other/run:1"]));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_can_be_forced() {
        let refused = |more: &[(&str, &str)], name, system| {
            assert!(decide(more, name, system, Rules::Waived).is_ok());
            decide(more, name, system, Rules::Held).unwrap_err()
        };
        assert!(matches!(refused(&[], "host/run:1", "alpine"), NoRebase::System { .. }));
        assert!(matches!(refused(&[], "host/elsewhere:1", "debian"), NoRebase::Family { .. }));
        assert_eq!(refused(&[(REBASABLE, "false")], "host/run:2", "debian"), NoRebase::Refuses);
        assert!(decide(&[], "other/run@sha256:0", "debian", Rules::Held).is_ok(), "a mirror");
    }

    #[test]
    fn an_image_of_others_is_left_alone() {
        let (digest, top) = (ManifestDigest(Digest::of(b"new")), id("new-1"));
        let none = BTreeMap::new();
        let run = NewRun { name: "x", digest: &digest, labels: &none, top: Some(&top) };
        for (labels, layers) in [(none.clone(), vec![id("old-2")]), (labels(&[]), vec![id("app")])] {
            let layers: Vec<_> = layers.iter().collect();
            assert!(matches!(rebase(&labels, &layers, &run, Rules::Waived), Err(NoRebase::Foreign(_))));
        }
        let same = id("old-2");
        let run = NewRun { top: Some(&same), ..run };
        assert_eq!(rebase(&labels(&[]), &[&id("old-1"), &same], &run, Rules::Held), Ok(Rebase::Nothing));
    }

    #[test]
    fn a_family_is_a_name_without_version() {
        for (name, wanted) in [
            ("run", "run"),
            ("run@3", "run"),
            ("host:5000/run", "host:5000/run"),
            ("host:5000/run:1@sha256:0", "host:5000/run"),
        ] {
            assert_eq!(family(name), wanted);
        }
    }
}
