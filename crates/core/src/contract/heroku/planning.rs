//! Spec and source make a plan.
//!
//! ```text
//! /tmp/build_…             the source; moved to /app when it is built
//! /tmp/heroku/build.sh     what drives the buildpacks; plan.sh beside it is what it is told
//! /tmp/heroku/buildpacks/  one directory each
//! /tmp/heroku/env/         a file for each config var
//! /tmp/heroku/cache/       mounted: `current`, and `next` on which a build works
//! /tmp/heroku/out/         what release said, and which buildpacks ran
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::app_json::{self, AppJson, Test};
use super::packs::{self, Chosen, Order, Origin, Pack};
use super::slugignore;
use super::spec::HerokuSpec;
use crate::contract::procfile::{self, Procfile};
use crate::contract::{PlanError, Request};
use crate::known::{self, Need};
use crate::model::SourceView;
use crate::model::app::Command;
use crate::model::source::{FileKind, SourceFile, resolve_link};
use crate::plan::{
    self, Cache, Candidate, Decision, Deed, Footing, Injection, Landing, LaunchDraft, Limits, Network, Place, Plan,
    RemoteFile, Reuse, Selection, Sight, Stage, Step, TextFile,
};

/// Where an app lives, and its processes' home.
pub(super) const APP: &str = "/app";

/// Where everything is that the build needs beside the source; none of it is in the image.
const HERE: &str = "/tmp/heroku";

/// What `bin/release` said.
pub(super) const RELEASE: &str = "/tmp/heroku/out/release.yml";

/// The Procfile, as it is after the buildpacks.
pub(super) const PROCFILE: &str = "/app/Procfile";

/// Starts the processes; in the image, and in the app's directory so that it goes where that goes.
const START: &str = "/app/.till/start";

/// Says to a process where to listen.
pub(super) const PORT: &str = "PORT";

/// What is found when the base's image does not say otherwise.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn reads(source: &SourceView) -> Vec<String> {
    let names = [procfile::FILE, app_json::FILE, packs::FILE, slugignore::FILE];
    let named = names.into_iter().filter_map(|name| source.followed(name)).map(|file| file.path.clone());
    named.chain(links(source).map(|link| link.path.clone())).collect()
}

fn links(source: &SourceView) -> impl Iterator<Item = &SourceFile> {
    source.files.iter().filter(|file| file.kind == FileKind::Symlink)
}

/// A link may lead to where the source will be, and nowhere else outside.
fn check_links(source: &SourceView) -> Result<(), PlanError> {
    for link in links(source) {
        let target = source.texts.get(&link.path).map_or("", String::as_str);
        if !target.starts_with("/app/") && resolve_link(&link.path, target).is_none() {
            return Err(PlanError::Outside { path: link.path.clone(), target: target.to_owned() });
        }
    }
    Ok(())
}

/// A process type's command.
pub(super) fn argv(process: &str, command: &Command) -> Vec<String> {
    let before = [START.to_owned(), process.to_owned()];
    match command {
        Command::Line(line) => before.into_iter().chain([line.clone()]).collect(),
        Command::Argv(argv) => before.into_iter().chain(["--".to_owned()]).chain(argv.iter().cloned()).collect(),
    }
}

pub(super) fn plan(spec: &HerokuSpec, request: &Request<'_>) -> Result<Decision, PlanError> {
    if request.source.files.is_empty() {
        return Err(PlanError::Empty);
    }
    check_links(request.source)?;
    let text = |name: &str| request.source.text(name);
    let app_json = text(app_json::FILE).map(AppJson::parse).transpose()?.unwrap_or_default();
    let procfile = text(procfile::FILE).map(procfile::parse).transpose()?.unwrap_or_default();
    let mut vars = app_json.env();
    vars.extend(request.app.env.clone());
    vars.extend(request.env.clone());
    check_names(vars.keys())?;
    let chosen = packs::chosen(spec, request, &app_json, &vars)?;
    let code = chosen.packs.iter().filter_map(|pack| match &pack.origin {
        Origin::Code(address) => Some(address),
        _ => None,
    });
    let missing: BTreeSet<_> = code.filter(|address| !request.known.code.contains_key(*address)).collect();
    if !missing.is_empty() {
        let need = |address: &String| Need::Code { address: address.clone(), texts: Vec::new() };
        return Ok(Decision::Needs(missing.into_iter().map(need).collect()));
    }
    Planner { spec, request, app_json, procfile, vars, chosen }.plan().map(|plan| Decision::Plan(Box::new(plan)))
}

/// They become names of files, and of variables.
fn check_names<'a>(mut names: impl Iterator<Item = &'a String>) -> Result<(), PlanError> {
    let bad = |name: &&String| name.is_empty() || name.starts_with('.') || name.contains(['/', '=', '\0']);
    match names.find(bad) {
        None => Ok(()),
        Some(name) => {
            let what = format!("`{name}` is not the name of a config var");
            Err(PlanError::Buildpack { what, hint: Some("letters, digits and `_` are".to_owned()) })
        }
    }
}

struct Planner<'a> {
    spec: &'a HerokuSpec,
    request: &'a Request<'a>,
    app_json: AppJson,
    procfile: Procfile,
    /// Config vars.
    vars: BTreeMap<String, String>,
    chosen: Chosen,
}

impl Planner<'_> {
    fn plan(&self) -> Result<Plan, PlanError> {
        let source = self.request.source;
        let (files, pruned) = slugignore::prune(&source.files, source.text(slugignore::FILE))?;
        let what = if pruned == 0 { Selection::Whole } else { Selection::Files(files) };
        let mut deeds = vec![self.inject(what, self.build_dir())];
        deeds.extend(self.buildpacks()?);
        let test = self.test();
        deeds.extend(self.texts(pruned, test.as_ref()));
        deeds.extend(self.steps().into_iter().map(Deed::Run));
        Ok(Plan {
            version: plan::VERSION,
            contract: "heroku".to_owned(),
            environment: self.request.environment.to_owned(),
            machine: None,
            system: None,
            base: self.request.base.map(|base| base.digest.clone()),
            source: Some(plan::Source { commit: source.commit.clone(), tree: source.tree() }),
            stages: vec![Stage {
                name: "app".to_owned(),
                on: self.request.base.map_or(Footing::Nothing, |base| Footing::Image(base.digest.clone())),
                sight: Sight::All,
                reuse: Reuse::Never,
                epoch: source.time.unwrap_or(self.request.base_epoch),
                deeds,
                texts: vec![PROCFILE.to_owned(), RELEASE.to_owned()],
                spread: None,
            }],
            top: Footing::Stage(0),
            work: None,
            test: test.map(|_| self.step("test", &["trial"], &self.spec.user)),
            finish: Vec::new(),
            caches: vec![Cache {
                name: "heroku".to_owned(),
                path: format!("{HERE}/cache"),
                owner: self.spec.user.clone(),
            }],
            remove: Vec::new(),
            volatile: plan::volatile(),
            collect: Vec::new(),
            starts: Vec::new(),
            limits: self.request.app.limits.over(self.spec.limits.over(Limits::default())),
            launch: self.launch(),
            image: None,
            images: BTreeMap::new(),
            packages: Vec::new(),
            warnings: self.warnings(),
        })
    }

    fn inject(&self, what: Selection, at: String) -> Deed {
        Deed::Inject(Injection { what, place: Place::Dir(at), owner: Some(self.spec.user.clone()) })
    }

    /// The first digits of the source's digest: another for each source.
    fn short(&self) -> String {
        self.request.source.tree().hex().chars().take(12).collect()
    }

    fn build_dir(&self) -> String {
        self.spec.build_path.clone().unwrap_or_else(|| format!("/tmp/build_{}", self.short()))
    }

    /// The buildpacks that are not in the image already.
    fn buildpacks(&self) -> Result<Vec<Deed>, PlanError> {
        let mut deeds = Vec::new();
        for (number, pack) in self.chosen.packs.iter().enumerate() {
            let path = format!("{HERE}/buildpacks/{}", pack.folder(number));
            match &pack.origin {
                Origin::Image(_) => {}
                Origin::Source(folder) => {
                    let files = pack.files(self.request.source, folder)?;
                    deeds.push(self.inject(Selection::Named(files), path));
                }
                Origin::Code(address) => deeds.extend(self.code(pack, address, path)?),
            }
        }
        Ok(deeds)
    }

    fn code(&self, pack: &Pack, address: &str, path: String) -> Result<Option<Deed>, PlanError> {
        let Some(code) = self.request.known.code.get(address) else {
            return Ok(None);
        };
        pack.check(code.view.files.iter().map(|file| file.path.as_str()))?;
        let name = "buildpack.tar".to_owned();
        let file = RemoteFile { url: known::shown(address), digest: code.digest.clone(), name, time: None };
        Ok(Some(Deed::Inject(Injection {
            what: Selection::Remote(file),
            place: Place::Copy(Landing { path, directory: true, mode: None, unpack: true }),
            owner: Some(self.spec.user.clone()),
        })))
    }

    /// What drives the buildpacks, what it is told, and the config vars.
    fn texts(&self, pruned: usize, test: Option<&Test>) -> Vec<Deed> {
        let file = |name: &str, text: &str, mode| TextFile { name: name.to_owned(), text: text.to_owned(), mode };
        let drive = vec![
            file("build.sh", include_str!("scripts/build.sh"), 0o755),
            file("plan.sh", &self.told(pruned, test), 0o644),
            file("start", include_str!("scripts/start.sh"), 0o755),
        ];
        let files = |vars: &BTreeMap<String, String>| -> Vec<TextFile> {
            vars.iter().map(|(name, value)| file(name, value, 0o644)).collect()
        };
        let mut deeds = vec![Deed::Inject(Injection {
            what: Selection::Texts(drive),
            place: Place::Dir(HERE.to_owned()),
            owner: None,
        })];
        deeds.push(self.inject(Selection::Texts(files(&self.vars)), format!("{HERE}/env")));
        let of_test = test.map(|test| files(&test.env)).filter(|files| !files.is_empty());
        deeds.extend(of_test.map(|files| self.inject(Selection::Texts(files), format!("{HERE}/test-env"))));
        deeds
    }

    /// The same as variables of a shell.
    fn told(&self, pruned: usize, test: Option<&Test>) -> String {
        let packs = &self.chosen.packs;
        let list = |words: Vec<String>| words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let image = |pack: &Pack| match &pack.origin {
            Origin::Image(path) => path.clone(),
            _ => String::new(),
        };
        let line = |text: Option<&String>| quoted(text.map_or("", String::as_str));
        format!(
            "build_dir={}\nbuild_user={}\npruned={pruned}\nexplicit={}\nnames=({})\npacks=({})\nimages=({})\n\
             test_setup={}\ntest_script={}\n",
            quoted(&self.build_dir()),
            quoted(&self.spec.user),
            if self.chosen.order == Order::All { "yes" } else { "no" },
            list(packs.iter().map(|pack| pack.name.clone()).collect()),
            list(packs.iter().enumerate().map(|(number, pack)| pack.folder(number)).collect()),
            list(packs.iter().map(image).collect()),
            line(test.and_then(|test| test.setup.as_ref())),
            line(test.and_then(|test| test.script.as_ref())),
        )
    }

    fn steps(&self) -> Vec<Step> {
        let user = &self.spec.user;
        let mut steps = vec![self.step("prepare", &["prepare"], "root")];
        match self.chosen.order {
            Order::First => {
                steps.push(self.step("detect", &["choose"], user));
                steps.push(self.step("compile", &["compile"], user));
            }
            Order::All => steps.extend(self.chosen.packs.iter().enumerate().map(|(number, pack)| {
                self.step(&format!("compile {}", pack.name), &["compile", &number.to_string()], user)
            })),
        }
        steps.push(self.step("release", &["release"], user));
        let mut report = self.step("report", &["report"], user);
        report.built = vec![format!("{HERE}/buildpacks/*/bin/report")];
        steps.push(report);
        steps.push(self.step("slug", &["slug"], "root"));
        steps
    }

    fn step(&self, name: &str, arguments: &[&str], user: &str) -> Step {
        let program = ["/bin/bash".to_owned(), format!("{HERE}/build.sh")];
        Step {
            name: name.to_owned(),
            argv: program.into_iter().chain(arguments.iter().map(|word| (*word).to_owned())).collect(),
            env: self.env(),
            dir: "/".to_owned(),
            user: user.to_owned(),
            network: Network::Egress,
            built: Vec::new(),
            mounts: Vec::new(),
        }
    }

    /// What the image says, and `PATH`.
    fn base_env(&self) -> BTreeMap<String, String> {
        let mut env = BTreeMap::from([("PATH", PATH), ("LANG", "C.UTF-8")])
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect::<BTreeMap<_, _>>();
        env.extend(self.request.base_env());
        env
    }

    /// The environment of the buildpacks' scripts; config vars are files, not variables.
    fn env(&self) -> BTreeMap<String, String> {
        let tree = self.request.source.tree();
        let commit = self.request.source.commit.as_ref().map(|commit| commit.as_str().to_owned());
        let stack = self.request.app.heroku.as_ref().and_then(|heroku| heroku.stack.clone());
        let mut env = self.base_env();
        env.remove("GIT_DIR");
        let short = self.short();
        for (name, value) in [
            ("APP_DIR", APP),
            ("CURL_CONNECT_TIMEOUT", "30"),
            ("CURL_TIMEOUT", "180"),
            ("HOME", APP),
            ("LOGNAME", &self.spec.user),
            ("REQUEST_ID", &short),
            ("SHELL", "/bin/bash"),
            ("SOURCE_VERSION", commit.as_deref().unwrap_or(tree.hex())),
            ("STACK", stack.as_deref().unwrap_or(&self.spec.stack)),
            ("USER", &self.spec.user),
        ] {
            env.insert(name.to_owned(), value.to_owned());
        }
        env
    }

    /// How the app is tested, if it is.
    fn test(&self) -> Option<Test> {
        let said = self.app_json.test();
        let own = self.chosen.packs.iter().any(|pack| match &pack.origin {
            Origin::Source(folder) => {
                let path = if folder.is_empty() { "bin/test".to_owned() } else { format!("{folder}/bin/test") };
                self.request.source.file(&path).is_some()
            }
            _ => false,
        });
        let asked = self.request.app.heroku.as_ref().and_then(|heroku| heroku.test);
        asked.unwrap_or(own || said.is_some()).then(|| said.unwrap_or_default())
    }

    /// What till.toml says of processes, and where they run; the rest is known when the buildpacks are through.
    fn launch(&self) -> LaunchDraft {
        let candidates = |(name, command): (&String, &Command)| {
            (name.clone(), vec![Candidate { built: Vec::new(), argv: argv(name, command) }])
        };
        let mut env = self.base_env();
        env.remove(PORT);
        env.insert("HOME".to_owned(), APP.to_owned());
        // The platform says at which port an app listens, as on a dyno.
        env.extend(self.vars.clone().into_iter().filter(|(name, _)| name != PORT));
        LaunchDraft {
            processes: self.request.app.processes.iter().map(candidates).collect(),
            ports: self.spec.port.clone(),
            health: self.spec.health.clone(),
            env,
            user: self.spec.user.clone(),
            dir: APP.to_owned(),
        }
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.chosen.warnings.clone();
        warnings.extend(self.procfile.warnings.clone());
        let of_app = self.request.app.processes.iter().map(|(name, command)| (name.clone(), argv(name, command)));
        let lines = self.procfile.processes.iter();
        let of_file = lines.map(|(name, line)| (name.clone(), argv(name, &Command::Line(line.clone()))));
        warnings.extend(procfile::contradictions(&of_app.collect(), &of_file.collect()));
        if let Some(stack) = self.app_json.stack.as_ref().filter(|stack| **stack != self.env()["STACK"]) {
            let ours = &self.env()["STACK"];
            warnings.push(format!("app.json asks for the stack `{stack}`; the buildpacks are told `{ours}`"));
        }
        if self.app_json.tests_with_other_buildpacks() {
            let what = "app.json names buildpacks for the test (`environments.test.buildpacks`), which are not run: tests are run with the app's";
            warnings.push(what.to_owned());
        }
        if self.vars.contains_key(PORT) {
            warnings
                .push(format!("the config var `{PORT}` is for the build alone; where an app listens is said to it"));
        }
        let set = |name: &str| self.vars.contains_key(name);
        let wanted = self.app_json.wanted().filter(|(name, _)| !set(name));
        warnings.extend(wanted.map(|(name, what)| {
            format!("app.json: the config var `{name}` has no value ({what}); `till run --env {name}=…` gives it one")
        }));
        warnings
    }
}

/// A word for a shell, as it is.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
