//! The contract `heroku`, as tables.
//!
//! ```text
//! choice.rs  which buildpacks, in which order, and where they come from
//! steps.rs   what is put where, which steps run, with which environment
//! launch.rs  how it is started
//! ```

mod choice;
mod launch;
mod steps;

use std::collections::BTreeMap;

use super::HerokuSpec;
use crate::contract::{Contract, PlanError, Request, Settings};
use crate::digest::{Digest, ManifestDigest};
use crate::dockerfile::spec::Choice;
use crate::known::{Known, KnownCode, Need};
use crate::model::{AppFile, BaseVersion, FileKind, SourceFile, SourceView};
use crate::plan::{Config, Decision, Deed, Plan, Selection, Step, TextFile, lint};

/// What a plan is made of.
#[derive(Debug, Clone, Default)]
struct Case {
    /// The contract, without its `kind`.
    spec: String,
    /// Path and text; a path that ends with `@` is a symlink.
    files: Vec<(String, String)>,
    app: String,
    env: BTreeMap<String, String>,
    buildpacks: Vec<String>,
    settings: BTreeMap<String, String>,
    image: Config,
}

/// A source with a buildpack in `pack`, and these files.
fn case(files: &[(&str, &str)]) -> Case {
    let own = [("pack/bin/detect", "d"), ("pack/bin/compile", "c"), ("main", "")];
    let files = own.iter().chain(files).map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    Case { files: files.collect(), ..Case::default() }
}

fn view(files: &[(String, String)]) -> SourceView {
    let mut view = SourceView { time: Some(42), ..SourceView::default() };
    for (path, text) in files {
        let content = Digest::of(text.as_bytes()).to_string();
        let (path, kind) = match path.strip_suffix('@') {
            Some(link) => (link, FileKind::Symlink),
            None => (path.as_str(), FileKind::File),
        };
        view.files.push(SourceFile { path: path.to_owned(), kind, content });
        view.texts.insert(path.to_owned(), text.clone());
    }
    view.files.sort_by(|a, b| a.path.cmp(&b.path));
    view
}

/// Code of others that is a buildpack.
fn buildpack(address: &str) -> KnownCode {
    let files = ["bin/compile", "bin/detect"].map(|path| (path.to_owned(), String::new()));
    KnownCode { digest: Digest::of(address.as_bytes()), view: view(&files) }
}

impl Case {
    fn app(mut self, text: &str) -> Self {
        text.clone_into(&mut self.app);
        self
    }

    fn spec(mut self, text: &str) -> Self {
        text.clone_into(&mut self.spec);
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn packs(mut self, packs: &[&str]) -> Self {
        self.buildpacks = packs.iter().map(|pack| (*pack).to_owned()).collect();
        self
    }

    fn setting(mut self, name: &str, address: &str) -> Self {
        self.settings.insert(name.to_owned(), address.to_owned());
        self
    }

    fn contract(&self) -> HerokuSpec {
        let spec: HerokuSpec = toml::from_str(&format!("kind = \"heroku\"\n{}", self.spec)).unwrap();
        assert_eq!(spec.check(), Ok(()));
        spec
    }

    /// Plans until nothing is asked any more; what was asked, too. What is planned has no fault.
    #[track_caller]
    fn decide(&self) -> Result<(Plan, Vec<String>), PlanError> {
        let spec = self.contract();
        let mut source = view(&self.files);
        let wanted = spec.reads(&source, &AppFile::default(), &Choice::default());
        source.texts.retain(|path, _| wanted.contains(path));
        let base =
            BaseVersion { name: "base".parse().unwrap(), version: 1, digest: ManifestDigest(Digest::of(b"base")) };
        let app = AppFile::parse(&self.app).unwrap();
        let settings = Settings { buildpacks: self.settings.clone(), ..Settings::default() };
        let (mut known, mut asked) = (Known::default(), Vec::new());
        loop {
            let decision = spec.plan(&Request {
                base: Some(&base),
                base_epoch: 7,
                image: &self.image,
                source: &source,
                app: &app,
                env: &self.env,
                choice: &Choice::default(),
                buildpacks: &self.buildpacks,
                settings: &settings,
                known: &known,
                environment: "container",
                architecture: "amd64",
            })?;
            match decision {
                Decision::Plan(plan) => {
                    assert_eq!(lint(&plan), [], "{self:#?}");
                    return Ok((*plan, asked));
                }
                Decision::Needs(needs) => {
                    for need in needs {
                        let Need::Code { address, .. } = need else { panic!("{need:?}") };
                        known.code.insert(address.clone(), buildpack(&address));
                        asked.push(address);
                    }
                }
            }
        }
    }

    #[track_caller]
    fn plan(&self) -> Plan {
        self.decide().unwrap().0
    }

    /// What is wrong, and what to do.
    #[track_caller]
    fn error(&self) -> String {
        let error = self.decide().unwrap_err();
        let hint = crate::fault::Blame::hint(&error).unwrap_or_default();
        format!("{error}\n{hint}")
    }
}

fn steps(plan: &Plan) -> Vec<&Step> {
    let deeds = plan.stages[0].deeds.iter();
    deeds.filter_map(|deed| if let Deed::Run(step) = deed { Some(step) } else { None }).collect()
}

fn names(plan: &Plan) -> Vec<&str> {
    steps(plan).into_iter().map(|step| step.name.as_str()).collect()
}

/// A text that is put into the instance.
fn text<'a>(plan: &'a Plan, name: &str) -> Option<&'a str> {
    let texts = plan.stages[0].deeds.iter().filter_map(|deed| match deed {
        Deed::Inject(injection) => match &injection.what {
            Selection::Texts(files) => Some(files),
            _ => None,
        },
        _ => None,
    });
    let mut files = texts.flatten();
    files.find(|file: &&TextFile| file.name == name).map(|file| file.text.as_str())
}
