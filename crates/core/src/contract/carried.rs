//! A build base and a smaller one that runs the result: what a list of paths names is copied onto the latter.

use serde::{Deserialize, Serialize};

use super::{Contract, PlanError, Request};
use crate::known::Need;
use crate::plan::{
    Decision, Deed, Footing, Injection, Landing, Place, Plan, Reuse, Selection, Sight, Stage, TreeFiles,
};

/// `[run]` of a till.toml or base.toml.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// The base that runs the result: `NAME`, `NAME@VERSION`, or an image of a registry.
    pub base: String,
    /// What is copied there; by default the directory in which the app runs.
    #[serde(default)]
    pub copy: Vec<Carried>,
}

/// Something that is copied: a path, to the same place or another. Of a directory, its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Carried {
    /// To the same place.
    Path(String),
    /// To another.
    To(CarriedTo),
}

/// What is copied to another place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedTo {
    /// Absolute; `*`, `?` and `[…]` as in a Dockerfile's COPY.
    pub from: String,
    /// Absolute; a directory if it ends in `/`.
    pub to: String,
}

impl Carried {
    fn from(&self) -> &str {
        match self {
            Self::Path(path) => path,
            Self::To(carried) => &carried.from,
        }
    }

    fn to(&self) -> &str {
        match self {
            Self::Path(path) => path,
            Self::To(carried) => &carried.to,
        }
    }
}

/// Decides everything, with the base that runs the result, where the app or else the base names one.
pub fn plan(contract: &dyn Contract, run: Option<&RunSpec>, request: &Request<'_>) -> Result<Decision, PlanError> {
    let decision = contract.plan(request)?;
    let (Some(run), Decision::Plan(plan)) = (request.app.run.as_ref().or(run), &decision) else {
        return Ok(decision);
    };
    let Some(image) = request.known.images.get(&run.base) else {
        return Ok(Decision::Needs(vec![Need::Image(run.base.clone())]));
    };
    let mut plan = Plan::clone(plan);
    let Footing::Stage(work) = plan.top.clone() else {
        return Ok(decision);
    };
    if plan.image.is_some() {
        let what =
            format!("`[run]` has no effect on the contract `{}`, which says the whole image itself", plan.contract);
        return Err(PlanError::Unreadable { path: crate::model::app::FILE.to_owned(), why: what });
    }
    let default = [Carried::Path(plan.launch.dir.clone())];
    let copied = if run.copy.is_empty() { &default[..] } else { &run.copy };
    plan.stages.push(Stage {
        name: format!("onto {}", run.base),
        on: Footing::Image(image.digest.clone()),
        sight: Sight::All,
        reuse: Reuse::Inputs,
        epoch: plan.stages.get(work).map_or(request.base_epoch, |stage| stage.epoch),
        deeds: copied.iter().map(|carried| copy(carried, work)).collect(),
        texts: Vec::new(),
        spread: None,
    });
    plan.top = Footing::Stage(plan.stages.len() - 1);
    plan.work = Some(work);
    plan.images.insert(run.base.clone(), image.digest.clone());
    Ok(Decision::Plan(Box::new(plan)))
}

fn copy(carried: &Carried, work: usize) -> Deed {
    let to = carried.to();
    let trimmed = to.trim_end_matches('/');
    Deed::Inject(Injection {
        what: Selection::Tree(TreeFiles {
            of: Footing::Stage(work),
            sources: vec![carried.from().to_owned()],
            parents: false,
            exclude: Vec::new(),
        }),
        place: Place::Copy(Landing {
            path: if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() },
            directory: to.ends_with('/'),
            mode: None,
            unpack: false,
        }),
        owner: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{ContractSpec, Settings};
    use crate::digest::{Digest, ManifestDigest};
    use crate::dockerfile::spec::Choice;
    use crate::known::{Known, KnownImage};
    use crate::model::{AppFile, BaseVersion, ExternalFile, FileKind, SourceFile, SourceView};
    use crate::plan::{Config, lint};

    const CONTRACT: &str = "[contract]\nkind = \"command\"\n[[contract.process]]\nname = \"web\"\nrun = [\"x\"]\n";

    fn decide(app: &str, base: Option<&RunSpec>, known: &Known) -> Result<Decision, PlanError> {
        let contract: ContractSpec = ExternalFile::parse(CONTRACT).unwrap().contract.unwrap();
        let digest = ManifestDigest(Digest::of(b"build"));
        let file = SourceFile { path: "a".to_owned(), kind: FileKind::File, content: "x".to_owned() };
        plan(
            &contract,
            base,
            &Request {
                base: Some(&BaseVersion { name: "b".parse().unwrap(), version: 1, digest }),
                base_epoch: 0,
                image: &Config::default(),
                source: &SourceView { files: vec![file], ..SourceView::default() },
                app: &AppFile::parse(app).unwrap(),
                env: &std::collections::BTreeMap::new(),
                choice: &Choice::default(),
                buildpacks: &[],
                settings: &Settings::default(),
                known,
                environment: "container",
                architecture: "amd64",
            },
        )
    }

    #[test]
    fn the_run_base_is_asked_for_and_gets_what_is_named() {
        let app = "[run]\nbase = \"small\"\ncopy = [\"/app\", { from = \"/srv/x\", to = \"/y/\" }]\n";
        let asked = decide(app, None, &Known::default()).unwrap();
        assert_eq!(asked, Decision::Needs(vec![Need::Image("small".to_owned())]));
        let digest = ManifestDigest(Digest::of(b"small"));
        let mut known = Known::default();
        known.images.insert("small".to_owned(), KnownImage { digest: digest.clone(), config: Config::default() });
        let plan = decide(app, None, &known).unwrap().plan().unwrap();
        assert_eq!(lint(&plan), []);
        assert_eq!((plan.work, plan.top.clone()), (Some(0), Footing::Stage(1)));
        assert_eq!(plan.root(&plan.top), Some(&digest));
        assert_eq!(plan.images["small"], digest);
        let places: Vec<_> = plan.stages[1]
            .deeds
            .iter()
            .map(|deed| match deed {
                Deed::Inject(Injection { place: Place::Copy(landing), .. }) => {
                    (landing.path.as_str(), landing.directory)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(places, [("/app", false), ("/y", true)]);
        // The base's word is the default: here without paths, so that it is where the app runs.
        let base = RunSpec { base: "small".to_owned(), copy: Vec::new() };
        let plan = decide("", Some(&base), &known).unwrap().plan().unwrap();
        assert_eq!(plan.stages[1].deeds, [copy(&Carried::Path("/app".to_owned()), 0)]);
        assert_eq!(decide("", None, &known).unwrap().plan().unwrap().work, None);
    }
}
