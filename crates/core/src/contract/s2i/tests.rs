//! The contract `s2i`, as tables.
//!
//! ```text
//! standard.rs  what is put where, which script runs, what becomes of the image
//! source.rs    context directory, .s2iignore, environment
//! scripts.rs   where scripts come from
//! other.rs     incremental builds, runtime images, ONBUILD
//! ```

mod other;
mod scripts;
mod source;
mod standard;

use std::collections::BTreeMap;

use super::{S2iSpec, of_image};
use crate::contract::{Collected, Contract, PlanError, Request, Settings};
use crate::digest::{Digest, ManifestDigest};
use crate::dockerfile::spec::Choice;
use crate::known::{Known, KnownCode, KnownImage, KnownRemote, Need, Previous};
use crate::model::{AppFile, BaseVersion, FileKind, SourceFile, SourceView};
use crate::plan::{Config, Decision, Deed, Footing, Injection, Place, Plan, Selection, Stage, Step, lint};

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
    known: Known,
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A builder image with its scripts in it, and a source of one file.
fn case() -> Case {
    let image = Config {
        labels: pairs(&[
            ("io.openshift.s2i.scripts-url", "image:///usr/libexec/s2i"),
            ("io.k8s.display-name", "A builder"),
        ]),
        user: "1001".to_owned(),
        dir: "/opt/app".to_owned(),
        env: vec![("PATH".to_owned(), "/opt/bin:/bin".to_owned()), ("KEPT".to_owned(), "1".to_owned())],
        ports: ["8080/tcp".to_owned()].into(),
        ..Config::default()
    };
    let known = Known { app: Some("shop".parse().unwrap()), ..Known::default() };
    Case { spec: String::new(), files: Vec::new(), app: String::new(), env: BTreeMap::new(), image, known }
        .file("app.pl", "print 1")
}

impl Case {
    fn spec(mut self, text: &str) -> Self {
        text.clone_into(&mut self.spec);
        self
    }

    fn app(mut self, text: &str) -> Self {
        text.clone_into(&mut self.app);
        self
    }

    fn file(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    fn label(mut self, name: &str, value: &str) -> Self {
        self.image.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    fn without_label(mut self, name: &str) -> Self {
        self.image.labels.remove(name);
        self
    }

    /// The same, of which a file of the web is known.
    fn remote(mut self, url: &str) -> Self {
        let (digest, name) = (Digest::of(url.as_bytes()), String::new());
        self.known.remotes.insert(url.to_owned(), KnownRemote { digest, name, time: None });
        self
    }

    fn absent(mut self, url: &str) -> Self {
        self.known.absent.insert(url.to_owned());
        self
    }

    #[track_caller]
    fn decide(&self) -> Result<Decision, PlanError> {
        let spec = spec(&self.spec);
        let all = view(&self.files);
        let mut view = SourceView { texts: BTreeMap::new(), ..all.clone() };
        let app = AppFile::parse(&self.app).unwrap_or_else(|error| panic!("{error}"));
        loop {
            let wanted = spec.reads(&view, &app, &Choice::default());
            let before = view.texts.len();
            view.texts.extend(all.texts.clone().into_iter().filter(|(path, _)| wanted.contains(path)));
            if view.texts.len() == before {
                break;
            }
        }
        let version = BaseVersion { name: "builder".parse().unwrap(), version: 1, digest: builder() };
        spec.plan(&Request {
            base: Some(&version),
            base_epoch: 7,
            image: &self.image,
            source: &view,
            app: &app,
            env: &self.env,
            choice: &Choice::default(),
            buildpacks: &[],
            settings: &Settings::default(),
            known: &self.known,
            environment: "container",
            architecture: "amd64",
        })
    }

    #[track_caller]
    fn plan(&self) -> Plan {
        let decision = self.decide().unwrap_or_else(|error| panic!("{error}\n{self:#?}"));
        let plan = match decision {
            Decision::Plan(plan) => *plan,
            Decision::Needs(needs) => panic!("{needs:?}"),
        };
        assert_eq!(lint(&plan), [], "{self:#?}");
        plan
    }

    #[track_caller]
    fn needs(&self) -> Vec<Need> {
        match self.decide().unwrap_or_else(|error| panic!("{error}")) {
            Decision::Needs(needs) => needs,
            Decision::Plan(plan) => panic!("{plan:#?}"),
        }
    }

    /// The error, as it is said.
    #[track_caller]
    fn error(&self) -> String {
        match self.decide() {
            Err(error) => error.to_string(),
            Ok(decision) => panic!("{decision:#?}"),
        }
    }
}

fn builder() -> ManifestDigest {
    ManifestDigest(Digest::of(b"builder"))
}

fn image(name: &str, config: Config) -> KnownImage {
    KnownImage { digest: ManifestDigest(Digest::of(name.as_bytes())), config }
}

#[track_caller]
fn spec(text: &str) -> S2iSpec {
    let spec: S2iSpec =
        toml::from_str(&format!("kind = \"s2i\"\n{text}")).unwrap_or_else(|error| panic!("{text}\n{error}"));
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

/// The only step of that name.
#[track_caller]
fn step<'a>(plan: &'a Plan, name: &str) -> &'a Step {
    let steps = plan.stages.iter().flat_map(|stage| &stage.deeds);
    let mut steps = steps.filter_map(|deed| if let Deed::Run(step) = deed { Some(step) } else { None });
    steps.find(|step| step.name == name).unwrap_or_else(|| panic!("no step `{name}`"))
}

/// What a stage puts where: `PLACE: NAMES`.
fn put(stage: &Stage) -> Vec<String> {
    let injections =
        stage.deeds.iter().filter_map(|deed| if let Deed::Inject(what) = deed { Some(what) } else { None });
    injections.map(|injection| format!("{}: {}", place(injection), names(&injection.what).join(" "))).collect()
}

fn place(injection: &Injection) -> &str {
    match &injection.place {
        Place::Dir(path) | Place::Tar(path) => path,
        Place::Copy(landing) => &landing.path,
    }
}

fn names(what: &Selection) -> Vec<String> {
    match what {
        Selection::Named(files) => files
            .iter()
            .map(|named| match named.name == named.file.path {
                true => named.name.clone(),
                false => format!("{}={}", named.name, named.file.path),
            })
            .collect(),
        Selection::Remote(file) => vec![file.url.clone()],
        Selection::Tree(files) => files.sources.clone(),
        _ => Vec::new(),
    }
}

/// What the artifact says of itself.
fn config(plan: &Plan) -> &Config {
    &plan.image.as_ref().unwrap().config
}
