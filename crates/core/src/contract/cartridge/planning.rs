//! Cartridges and source become a plan: a stage that makes the gear, which is taken again while its cartridges are the same,
//! and one that does with the source what a push does.

use std::collections::BTreeMap;

use super::endpoint::{self, Network};
use super::find::{self, Cartridge, Found, Origin};
use super::gear;
use super::manifest;
use super::order;
use super::place;
use super::spec::CartridgeSpec;
use crate::contract::{PlanError, Request};
use crate::model::launch::{Health, web};
use crate::model::source::{FileKind, resolve_link};
use crate::model::{SourceView, app};
use crate::plan::{
    self, Candidate, Decision, Deed, Footing, Injection, Landing, LaunchDraft, Limits, Mounted, NamedFile, Place, Plan,
    RemoteFile, Reuse, Selection, Sharing, Sight, Stage, Step, StepMount, TextFile,
};

/// What calls our scripts in an instance.
const GEAR: [&str; 2] = ["/bin/bash", "/usr/lib/till/gear/gear"];

/// What steps find before the gear's variables are loaded.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where what builds leave for the next one is mounted.
const CACHE: &str = "/var/cache/till-gear";

/// The app's own scripts.
const HOOKS: &str = ".openshift/action_hooks/";

/// The app's own jobs, in a directory for each time.
const JOBS: &str = ".openshift/cron/";

/// Where a cartridge may have what an app without source begins with, in the order in which they are looked for.
const TEMPLATES: [&str; 4] = ["template", "template.git", "usr/template", "usr/template.git"];

pub(super) fn reads(spec: &CartridgeSpec, source: &SourceView, app: &crate::model::AppFile) -> Vec<String> {
    let mut names = place::reads(spec, app, source);
    names.extend(source.file(app::FILE).map(|file| file.path.clone()));
    let wanted = |file: &&crate::model::SourceFile| file.path.starts_with(HOOKS) || file.kind == FileKind::Symlink;
    names.extend(source.files.iter().filter(wanted).map(|file| file.path.clone()));
    names.sort();
    names.dedup();
    names
}

pub(super) fn plan(spec: &CartridgeSpec, request: &Request<'_>) -> Result<Decision, PlanError> {
    check_source(request)?;
    let carts = match find::find(spec, request)? {
        Found::All(carts) => carts,
        Found::Needs(needs) => return Ok(Decision::Needs(needs)),
    };
    let mut manifests: Vec<_> = carts.iter().map(|cart| &cart.manifest).collect();
    manifests.sort_by_key(|manifest| !manifest.is("web_framework"));
    let network = endpoint::network(&manifests);
    let warnings = [order::unheard(&carts), network.warnings.clone()].concat();
    let planner = Planner { spec, request, carts: &carts, home: spec.home() };
    let gear = planner.gear_stage(&network);
    let app = planner.app_stage(&gear);
    let launch = planner.launch(&network);
    Ok(Decision::Plan(Box::new(Plan {
        version: plan::VERSION,
        contract: "cartridge".to_owned(),
        environment: request.environment.to_owned(),
        machine: None,
        system: None,
        base: request.base.map(|base| base.digest.clone()),
        source: Some(plan::Source { commit: request.source.commit.clone(), tree: request.source.tree() }),
        stages: vec![gear, app],
        top: Footing::Stage(1),
        work: None,
        test: None,
        finish: Vec::new(),
        caches: Vec::new(),
        remove: Vec::new(),
        volatile: plan::volatile(),
        collect: Vec::new(),
        starts: Vec::new(),
        limits: request.app.limits.over(spec.limits.over(Limits::default())),
        launch,
        image: None,
        images: BTreeMap::new(),
        packages: Vec::new(),
        warnings: warnings.into_iter().chain(planner.hook_warnings()).chain(planner.job_warning()).collect(),
    })))
}

fn check_source(request: &Request<'_>) -> Result<(), PlanError> {
    let source = request.source;
    if source.files.is_empty() {
        return Err(PlanError::Empty);
    }
    if let Some(name) = request.app.parameters.keys().next() {
        return Err(PlanError::Parameter { name: name.clone(), known: crate::words::list([]) });
    }
    for link in source.files.iter().filter(|file| file.kind == FileKind::Symlink) {
        let target = source.texts.get(&link.path).map_or("", String::as_str);
        if resolve_link(&link.path, target).is_none() {
            return Err(PlanError::Outside { path: link.path.clone(), target: target.to_owned() });
        }
    }
    for file in source.files.iter().filter(|file| file.path.starts_with(HOOKS) && file.kind != FileKind::Symlink) {
        if source.texts.get(&file.path).is_some_and(|text| place::has_windows_line_ends(text)) {
            let manifest::Flaw { what, hint } = place::windows_line_ends(&file.path);
            return Err(PlanError::Cartridge { what, hint, fault: crate::fault::Fault::Source });
        }
    }
    Ok(())
}

/// The names of action hooks that are executed, as against those that are sourced.
fn is_executed(hook: &str) -> bool {
    let around = ["start", "stop", "restart", "reload", "tidy"];
    ["pre_build", "build", "prepare", "deploy", "post_deploy"].contains(&hook)
        || ["pre_", "post_"].iter().any(|when| hook.strip_prefix(when).is_some_and(|verb| around.contains(&verb)))
}

struct Planner<'a> {
    spec: &'a CartridgeSpec,
    request: &'a Request<'a>,
    /// In the order in which they are configured.
    carts: &'a [Cartridge],
    home: String,
}

impl Planner<'_> {
    fn primary(&self) -> String {
        let primary = self.carts.iter().find(|cart| cart.manifest.is("web_framework"));
        primary.map_or(String::new(), |cart| cart.manifest.directory())
    }

    /// What the base's image sets, the app's and the command line's; later ones win.
    fn env(&self) -> BTreeMap<String, String> {
        let mut env = BTreeMap::from([("PATH".to_owned(), PATH.to_owned()), ("LANG".to_owned(), "C.UTF-8".to_owned())]);
        for layer in [&self.request.base_env(), &self.request.app.env, self.request.env] {
            env.extend(layer.clone());
        }
        env
    }

    /// A step that calls our scripts, as root, who becomes the gear's user for what is not ours.
    fn step(&self, name: String, arguments: &[&str]) -> Step {
        Step {
            name,
            argv: GEAR.iter().chain(arguments).map(|word| (*word).to_owned()).collect(),
            env: self.env(),
            dir: "/".to_owned(),
            user: "root".to_owned(),
            network: plan::Network::None,
            built: Vec::new(),
            mounts: Vec::new(),
        }
    }

    /// The same with a way out, when that file is there.
    fn script(&self, name: String, arguments: &[&str], file: String) -> Step {
        Step { network: plan::Network::Egress, built: vec![file], ..self.step(name, arguments) }
    }

    /// A step that has what the build before left.
    fn cached(&self, name: &str, arguments: &[&str]) -> Step {
        let kept = Mounted::Cache { name: "gear".to_owned(), sharing: Sharing::Locked, owner: (0, 0), mode: 0o755 };
        let mount = StepMount { path: CACHE.to_owned(), what: kept, write: true };
        Step { mounts: vec![mount], ..self.step(name.to_owned(), arguments) }
    }

    // ---- The gear

    fn gear_stage(&self, network: &Network) -> Stage {
        let texts = gear::texts(self.spec, self.request, self.carts, network);
        let mut deeds = vec![put(Selection::Texts(texts), "/", false)];
        deeds.extend(self.carts.iter().flat_map(|cart| self.files(cart)));
        deeds.push(Deed::Run(self.step("gear".to_owned(), &["layout"])));
        for cart in self.carts {
            deeds.extend(self.configure(cart).into_iter().map(Deed::Run));
        }
        deeds.extend(self.connections().into_iter().map(Deed::Run));
        let beside = self.carts.iter().filter(|cart| !cart.manifest.is("web_framework"));
        deeds.extend(beside.map(|cart| Deed::Run(self.post_install(cart))));
        Stage {
            name: "gear".to_owned(),
            on: self.request.base.map_or(Footing::Nothing, |base| Footing::Image(base.digest.clone())),
            sight: Sight::All,
            reuse: Reuse::Inputs,
            epoch: self.request.base_epoch,
            deeds,
            texts: Vec::new(),
            spread: None,
        }
    }

    /// A cartridge's files; those of the base's image are copied by a step.
    fn files(&self, cart: &Cartridge) -> Vec<Deed> {
        let place = format!("{}/{}", self.home, cart.manifest.directory());
        let source = self.request.source;
        match &cart.origin {
            Origin::Base(_) => Vec::new(),
            Origin::Source(directory) => {
                let named = source.files.iter().filter_map(|file| {
                    let name = file.path.strip_prefix(directory.as_str())?.strip_prefix('/')?;
                    Some(NamedFile { name: name.to_owned(), file: file.clone() })
                });
                vec![put(Selection::Named(named.collect()), &place, false)]
            }
            Origin::Code { address, digest, manifest } => {
                let archive = RemoteFile {
                    url: crate::known::shown(address),
                    digest: digest.clone(),
                    name: "cartridge.tar".to_owned(),
                    time: None,
                };
                let own = manifest.as_ref().and_then(|path| source.file(path));
                let own = own.map(|file| vec![NamedFile { name: manifest::FILE.to_owned(), file: file.clone() }]);
                let own = own.map(|files| put(Selection::Named(files), &place, false));
                std::iter::once(put(Selection::Remote(archive), &place, true)).chain(own).collect()
            }
        }
    }

    /// What an installation does, in its order.
    fn configure(&self, cart: &Cartridge) -> Vec<Step> {
        let directory = cart.manifest.directory();
        let (name, directory) = (&cart.manifest.name, directory.as_str());
        let bin = |script: &str| format!("{}/{directory}/bin/{script}", self.home);
        let mut steps = vec![
            self.step(format!("cartridge {name}"), &["cartridge", directory]),
            self.script(format!("setup {name}"), &["setup", directory], bin("setup")),
        ];
        if !cart.managed.templates.is_empty() {
            steps.push(self.step(format!("templates {name}"), &["templates", directory]));
        }
        steps.push(self.script(format!("install {name}"), &["install", directory], bin("install")));
        steps.push(self.step(format!("lock {name}"), &["lock", directory]));
        steps
    }

    /// What cartridges tell each other, the publishers in their order.
    fn connections(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for from in self.carts {
            for event in &from.manifest.publishes {
                for to in self.carts.iter().filter(|to| to.manifest.name != from.manifest.name) {
                    let heard = to.manifest.subscribes.iter().filter(|heard| order::matches(&event.kind, &heard.kind));
                    for heard in heard {
                        let (publisher, subscriber) = (from.manifest.directory(), to.manifest.directory());
                        let arguments = ["connect", &publisher, &event.name, &subscriber, &heard.name, &event.kind];
                        let name = format!("connect {} to {}", from.manifest.name, to.manifest.name);
                        steps.push(self.step(name, &arguments));
                    }
                }
            }
        }
        steps
    }

    fn post_install(&self, cart: &Cartridge) -> Step {
        let directory = cart.manifest.directory();
        let file = format!("{}/{directory}/bin/post_install", self.home);
        self.script(format!("post-install {}", cart.manifest.name), &["post-install", &directory], file)
    }

    // ---- The source

    fn app_stage(&self, gear: &Stage) -> Stage {
        let repository = format!("{}/app-root/runtime/repo", self.home);
        let injected =
            Injection { what: Selection::Whole, place: Place::Dir(repository), owner: Some(self.spec.user.clone()) };
        let primary = self.primary();
        let mut deeds = vec![
            put(Selection::Texts(self.deployment(gear)), "/usr/lib/till/gear/plan", false),
            Deed::Run(self.step("pre-repo-archive".to_owned(), &["control-alone", &primary, "pre-repo-archive"])),
            Deed::Inject(injected),
        ];
        deeds.extend(self.push(&primary).into_iter().map(Deed::Run));
        let framework = self.carts.iter().filter(|cart| cart.manifest.is("web_framework"));
        deeds.extend(framework.map(|cart| Deed::Run(self.post_install(cart))));
        Stage {
            name: "app".to_owned(),
            on: Footing::Stage(0),
            sight: Sight::All,
            reuse: Reuse::Never,
            epoch: self.request.source.time.unwrap_or(self.request.base_epoch),
            deeds,
            texts: Vec::new(),
            spread: None,
        }
    }

    /// What this deployment is called, and for which gear its dependencies are.
    fn deployment(&self, gear: &Stage) -> Vec<TextFile> {
        let source = self.request.source;
        let tree = source.tree();
        let id: String = tree.as_str().trim_start_matches("sha256:").chars().take(8).collect();
        let commit = source.commit.as_ref().map_or(String::new(), |commit| commit.as_str().to_owned());
        let text = |name: &str, text: String| TextFile { name: name.to_owned(), text, mode: 0o644 };
        vec![
            text("commit", commit),
            text("deployment", id),
            text("stamp", format!("{}\n", plan::digest_of(&(&gear.on, &gear.deeds)))),
        ]
    }

    /// What a push does, until the gear would be started.
    fn push(&self, primary: &str) -> Vec<Step> {
        let fresh = self.request.source.file(".openshift/markers/force_clean_build").is_some();
        let mut source = vec!["source"];
        if self.has_no_source() {
            source.extend(TEMPLATES);
        }
        let control = |verb: &str, how: &str| Step {
            network: plan::Network::Egress,
            ..self.step(verb.to_owned(), &[how, primary, verb])
        };
        let mut steps = vec![
            self.step("source".to_owned(), &source),
            self.cached("dependencies", &["dependencies", if fresh { "fresh" } else { "kept" }]),
            control("update-configuration", "control-alone"),
        ];
        for (verb, hook) in [("pre-build", "pre_build"), ("build", "build")] {
            steps.push(control(verb, "control"));
            steps.extend(self.hook(hook));
        }
        steps.extend(self.hook("prepare"));
        steps.push(self.cached("deployment", &["deployment"]));
        steps
    }

    fn hook(&self, name: &str) -> Option<Step> {
        // A template may have hooks, too; what is not there is passed over.
        if !self.has_no_source() {
            self.request.source.file(&format!("{HOOKS}{name}"))?;
        }
        let step = self.step(format!("hook {name}"), &["hook", name]);
        Some(Step { network: plan::Network::Egress, ..step })
    }

    /// Is there nothing but what says how the app is built?
    fn has_no_source(&self) -> bool {
        let of_carts: Vec<_> = self
            .carts
            .iter()
            .filter_map(|cart| match &cart.origin {
                Origin::Source(directory) => Some(format!("{directory}/")),
                Origin::Code { manifest, .. } => manifest.clone(),
                Origin::Base(_) => None,
            })
            .collect();
        let ours = [app::FILE, ".tillignore", ".gitignore"];
        let mut files = self.request.source.files.iter().map(|file| file.path.as_str());
        files.all(|path| ours.contains(&path) || of_carts.iter().any(|begin| path.starts_with(begin)))
    }

    fn hook_warnings(&self) -> Vec<String> {
        let hooks = self
            .request
            .source
            .files
            .iter()
            .filter(|file| file.kind == FileKind::File && file.path.strip_prefix(HOOKS).is_some_and(is_executed));
        hooks
            .map(|file| {
                format!(
                    "{} is not executable, so it does not run: git update-index --chmod=+x {}",
                    file.path, file.path
                )
            })
            .collect()
    }

    /// Jobs are run by a cartridge, and by nobody else.
    fn job_warning(&self) -> Option<String> {
        let is_job = |path: &str| path.strip_prefix(JOBS).is_some_and(|rest| rest.contains('/'));
        let job = self.request.source.files.iter().find(|file| is_job(&file.path))?;
        let has_cron = self.carts.iter().any(|cart| cart.manifest.offers("cron"));
        (!has_cron).then(|| format!("{} does not run: none of the cartridges is `cron`, which runs jobs", job.path))
    }

    // ---- The launch

    /// The gear is the process `web`; others of the app run in its environment.
    fn launch(&self, network: &Network) -> LaunchDraft {
        let words =
            |words: &[&str]| -> Vec<String> { GEAR.iter().chain(words).map(|word| (*word).to_owned()).collect() };
        let one = |argv| vec![Candidate { built: Vec::new(), argv }];
        let mut processes = BTreeMap::from([(web(), one(words(&["run"])))]);
        let shell = ["/bin/bash", "-c"].map(str::to_owned);
        for (name, command) in &self.request.app.processes {
            let argv = words(&["exec"]).into_iter().chain(command.argv(&shell)).collect();
            processes.insert(name.clone(), one(argv));
        }
        LaunchDraft {
            processes,
            health: network.ports.first().map(|port| Health {
                port: port.name.clone(),
                path: "/".to_owned(),
                within: self.spec.within,
            }),
            ports: network.ports.clone(),
            env: self.env(),
            user: self.spec.user.clone(),
            dir: "/".to_owned(),
        }
    }
}

/// Files that are root's, until a step says whose they are.
fn put(what: Selection, path: &str, unpack: bool) -> Deed {
    let landing = Landing { path: path.to_owned(), directory: true, mode: None, unpack };
    Deed::Inject(Injection { what, place: Place::Copy(landing), owner: Some("root".to_owned()) })
}
