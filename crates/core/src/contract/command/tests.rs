//! The contract `command`, as tables.
//!
//! ```text
//! conditions.rs  require, when, globs, templates, what contradicts itself
//! steps.rs       stages and steps: order, environment, form of the source, limits
//! keys.rs        which change makes a layer anew
//! launch.rs      which command each process type gets, before and after the steps
//! ```

mod conditions;
mod keys;
mod launch;
mod steps;

use std::collections::BTreeMap;

use super::CommandSpec;
use crate::contract::{Contract, PlanError, Request, Settings};
use crate::digest::{Digest, ManifestDigest};
use crate::dockerfile::plan::Known;
use crate::dockerfile::spec::Choice;
use crate::model::{AppFile, BaseVersion, FileKind, SourceFile, SourceView};
use crate::plan::{Config, Deed, Plan, Step, lint};

/// Something that starts, for contracts whose test is not about that.
const START: &str = "[[process]]\nname = \"web\"\nrun = [\"start\"]\n";

/// What a plan is made of.
#[derive(Debug, Clone)]
struct Case {
    /// The contract, without its `kind`.
    spec: String,
    /// Path and text; a path that ends with `@` is a symlink (as `ls -F` writes it), with `*` an executable.
    files: Vec<(String, String)>,
    app: String,
    env: BTreeMap<String, String>,
    image: Config,
    base: Digest,
    environment: String,
}

fn case(spec: &str, files: &[(&str, &str)]) -> Case {
    Case {
        spec: spec.to_owned(),
        files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect(),
        app: String::new(),
        env: BTreeMap::new(),
        image: Config::default(),
        base: Digest::of(b"base"),
        environment: "container".to_owned(),
    }
}

impl Case {
    fn app(mut self, text: &str) -> Self {
        text.clone_into(&mut self.app);
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn file(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    /// The plan. Only the texts that the contract asks for are there, and what it plans has no fault.
    #[track_caller]
    fn plan(&self) -> Result<Plan, PlanError> {
        let spec = spec(&self.spec);
        let mut view = view(&self.files);
        let wanted = spec.reads(&view, &AppFile::default(), &Choice::default());
        view.texts.retain(|path, _| wanted.contains(path));
        let version =
            BaseVersion { name: "base".parse().unwrap(), version: 1, digest: ManifestDigest(self.base.clone()) };
        let plan = spec.plan(&Request {
            base: Some(&version),
            base_epoch: 7,
            image: &self.image,
            source: &view,
            app: &AppFile::parse(&self.app).unwrap(),
            env: &self.env,
            choice: &Choice::default(),
            buildpacks: &[],
            settings: &Settings::default(),
            known: &Known::default(),
            environment: &self.environment,
            architecture: "amd64",
        });
        let plan = plan?.plan().unwrap();
        assert_eq!(lint(&plan), [], "{self:#?}");
        Ok(plan)
    }
}

#[track_caller]
fn spec(text: &str) -> CommandSpec {
    let spec: CommandSpec =
        toml::from_str(&format!("kind = \"command\"\n{text}")).unwrap_or_else(|error| panic!("{text}\n{error}"));
    assert_eq!(spec.check(), Ok(()), "{text}");
    spec
}

fn view(files: &[(String, String)]) -> SourceView {
    let mut view = SourceView { time: Some(42), ..SourceView::default() };
    for (path, text) in files {
        let (kind, path) = match path.as_bytes().last() {
            Some(b'@') => (FileKind::Symlink, &path[..path.len() - 1]),
            Some(b'*') => (FileKind::Executable, &path[..path.len() - 1]),
            _ => (FileKind::File, path.as_str()),
        };
        view.texts.insert(path.to_owned(), text.clone());
        let content = Digest::of(text.as_bytes()).to_string();
        view.files.push(SourceFile { path: path.to_owned(), kind, content });
    }
    view.files.sort_by(|a, b| a.path.cmp(&b.path));
    view
}

/// All steps of all stages, in order.
fn steps(plan: &Plan) -> Vec<&Step> {
    let deeds = plan.stages.iter().flat_map(|stage| &stage.deeds);
    deeds.filter_map(|deed| if let Deed::Run(step) = deed { Some(step) } else { None }).collect()
}

fn names<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Vec<&'a str> {
    steps.into_iter().map(|step| step.name.as_str()).collect()
}

/// The last word of the command that `process` gets first.
fn command<'a>(plan: &'a Plan, process: &str) -> &'a str {
    plan.launch.processes[process][0].argv.last().unwrap()
}
