//! What cartridges come to, as tables.

mod endpoints;
mod finding;
mod manifests;
mod steps;

use std::collections::BTreeMap;

use super::CartridgeSpec;
use crate::contract::{Contract, PlanError, Request, Settings};
use crate::dockerfile::spec::Choice;
use crate::known::{Known, KnownCode, Need};
use crate::model::{AppFile, BaseSpec, BaseVersion, FileKind, SourceFile, SourceView};
use crate::plan::{Config, Decision, Deed, Plan, Step, lint};
use crate::{Digest, ManifestDigest};

/// The manifest of a web framework.
pub(super) const WEB: &str = "Name: web\nCartridge-Short-Name: WEB\nVersion: '1.0'\nCategories: [web_framework]\n";

/// The manifest of something beside it.
pub(super) fn plugin(name: &str, more: &str) -> String {
    let short = name.to_uppercase().replace('-', "_");
    format!("Name: {name}\nCartridge-Short-Name: {short}\nVersion: '1.0'\nCategories: [plugin]\n{more}")
}

/// What there is for a plan.
#[derive(Default)]
pub(super) struct World {
    /// Of the base's image, by absolute path.
    pub(super) image: BTreeMap<String, String>,
    /// Code of others, by address.
    pub(super) code: BTreeMap<String, SourceView>,
    pub(super) settings: Settings,
    /// `[cartridge]`'s list in till.toml.
    pub(super) wanted: String,
    /// Paths of the source and what they say; one that ends with `*` is executable.
    pub(super) source: Vec<(String, String)>,
}

pub(super) fn spec() -> CartridgeSpec {
    let text = "name = \"b\"\ndescription = \"\"\nowner = \"\"\n[recipe]\nkind = \"debian\"\nsuite = \"s\"\n\
                [contract]\nkind = \"cartridge\"\n";
    match BaseSpec::parse(text).unwrap().contract {
        crate::contract::ContractSpec::Cartridge(spec) => *spec,
        other => panic!("{other:?}"),
    }
}

/// A view of these files, with the texts of all.
pub(super) fn view(files: &[(String, String)]) -> SourceView {
    let mut view = SourceView::default();
    for (path, text) in files {
        let (path, kind) = match path.strip_suffix('*') {
            Some(path) => (path, FileKind::Executable),
            None => (path.as_str(), FileKind::File),
        };
        let content = Digest::of(text.as_bytes()).to_string();
        view.files.push(SourceFile { path: path.to_owned(), kind, content });
        view.texts.insert(path.to_owned(), text.clone());
    }
    view.files.sort_by(|a, b| a.path.cmp(&b.path));
    view
}

impl World {
    /// With these cartridges in the source, below `c/`.
    pub(super) fn of(wanted: &str, carts: &[(&str, &str)]) -> Self {
        let mut world = Self { wanted: wanted.to_owned(), ..Self::default() };
        for (name, manifest) in carts {
            world.source.push((format!("c/{name}/metadata/manifest.yml"), (*manifest).to_owned()));
            world.source.push((format!("c/{name}/bin/control*"), "#!/bin/bash\n".to_owned()));
        }
        world.file("index.html", "")
    }

    pub(super) fn file(mut self, path: &str, text: &str) -> Self {
        self.source.push((path.to_owned(), text.to_owned()));
        self
    }

    /// With a cartridge in the base's image.
    pub(super) fn shelved(mut self, directory: &str, manifest: &str) -> Self {
        let path = format!("/usr/libexec/openshift/cartridges/{directory}/metadata/manifest.yml");
        self.image.insert(path, manifest.to_owned());
        self
    }

    /// Plans, answering what is asked for; with all that was asked for.
    pub(super) fn planned(&self) -> (Result<Plan, PlanError>, Vec<Need>) {
        let spec = spec();
        let app = match self.wanted.as_str() {
            "" => AppFile::default(),
            wanted => AppFile::parse(&format!("[cartridge]\ncartridges = {wanted}\n")).unwrap(),
        };
        let base = BaseVersion { name: "b".parse().unwrap(), version: 1, digest: ManifestDigest(Digest::of(b"")) };
        let mut source = view(&self.source);
        let reads = spec.reads(&source, &app, &Choice::default());
        source.texts.retain(|path, _| reads.contains(path));
        let (mut known, mut asked) = (Known::default(), Vec::new());
        loop {
            let request = Request {
                base: Some(&base),
                base_epoch: 0,
                image: &Config::default(),
                source: &source,
                app: &app,
                env: &BTreeMap::new(),
                choice: &Choice::default(),
                buildpacks: &[],
                settings: &self.settings,
                known: &known,
                environment: "container",
                architecture: "amd64",
            };
            let needs = match spec.plan(&request) {
                Ok(Decision::Needs(needs)) => needs,
                Ok(Decision::Plan(plan)) => {
                    assert_eq!(lint(&plan), []);
                    return (Ok(*plan), asked);
                }
                Err(error) => return (Err(error), asked),
            };
            for need in &needs {
                assert!(!asked.contains(need), "{need:?} is known");
                self.answer(need, &mut known);
            }
            asked.extend(needs);
        }
    }

    fn answer(&self, need: &Need, known: &mut Known) {
        match need {
            Need::Look { image, pattern } => {
                let end = pattern.rsplit('*').next().unwrap();
                let found = self.image.iter().filter(|(path, _)| path.ends_with(end));
                let found = found.map(|(path, text)| (path.clone(), text.clone())).collect();
                known.looks.insert((image.clone(), pattern.clone()), found);
            }
            Need::Code { address, texts } => {
                let mut view = self.code[address].clone();
                view.texts.retain(|path, _| texts.contains(path));
                let code = KnownCode { digest: Digest::of(address.as_bytes()), view };
                known.code.insert(address.clone(), code);
            }
            other => panic!("{other:?} is not for cartridges"),
        }
    }

    #[track_caller]
    pub(super) fn plan(&self) -> Plan {
        self.planned().0.unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    pub(super) fn error(&self) -> PlanError {
        self.planned().0.map(|plan| names(&plan)).unwrap_err()
    }
}

/// All steps, in order.
pub(super) fn steps(plan: &Plan) -> Vec<&Step> {
    let deeds = plan.stages.iter().flat_map(|stage| &stage.deeds);
    deeds
        .filter_map(|deed| match deed {
            Deed::Run(step) => Some(step),
            _ => None,
        })
        .collect()
}

pub(super) fn names(plan: &Plan) -> Vec<String> {
    steps(plan).into_iter().map(|step| step.name.clone()).collect()
}

/// What a file says that is put into the gear.
pub(super) fn text(plan: &Plan, name: &str) -> Option<String> {
    let deeds = plan.stages.iter().flat_map(|stage| &stage.deeds);
    deeds
        .filter_map(|deed| match deed {
            Deed::Inject(injection) => match &injection.what {
                crate::plan::Selection::Texts(texts) => texts.iter().find(|text| text.name == name),
                _ => None,
            },
            _ => None,
        })
        .map(|text| text.text.clone())
        .next()
}

/// A variable of the gear.
pub(super) fn variable(plan: &Plan, name: &str) -> Option<String> {
    text(plan, &format!("var/lib/openshift/gear/.env/{name}"))
}
