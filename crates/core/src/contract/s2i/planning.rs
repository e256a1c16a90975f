//! The standard build: source, scripts and artifacts go to the destination, `assemble` runs, `run` is what starts.

use std::collections::{BTreeMap, BTreeSet};

use super::image::{Says, ScriptsUrl, is_plain};
use super::pieces::{as_user, configured, missing, path_of, source_of, started, step, variables};
use super::scripts::{Script, Search, of_label};
use super::source::Files;
use super::{AppSection, PlanError, Request, S2iSpec, incremental, labels, onbuild, runtime, uids};
use crate::known::{KnownCode, Need};
use crate::model::BaseVersion;
use crate::plan::{
    self, Config, Decision, Deed, Footing, ImageDraft, Injection, Landing, Limits, NamedFile, Place, Plan, Record,
    RemoteFile, Reuse, Selection, Sight, Stage, Starting, Step, TreeFiles,
};

pub(super) fn plan(spec: &S2iSpec, request: &Request<'_>) -> Result<Decision, PlanError> {
    let section = request.app.s2i.clone().unwrap_or_default();
    let files = Files::of(request.source, &section)?;
    let Some(base) = request.base else {
        return Err(PlanError::Contract("it needs a builder image, and there is no base".to_owned()));
    };
    if !request.image.on_build.is_empty() {
        return onbuild::plan(spec, request, &section, (base, files));
    }
    let builder = Builder::of(spec, request, base, section)?;
    let mut needs = BTreeSet::new();
    let search = Search::new(request, &files, builder.own_scripts()?)?;
    let found = Found {
        assemble: search.find("assemble", &mut needs),
        run: builder.runtime().is_none().then(|| search.find("run", &mut needs)).flatten(),
        save_artifacts: search.find("save-artifacts", &mut needs),
    };
    let runtime = match builder.runtime() {
        Some(name) => runtime::find(&builder, name, &files, &mut needs)?,
        None => None,
    };
    if builder.is_incremental()? && request.known.previous.is_none() {
        needs.insert(Need::Previous);
    }
    if !needs.is_empty() {
        return Ok(Decision::Needs(needs.into_iter().collect()));
    }
    search.expect_some(&["assemble", "run", "save-artifacts"])?;
    builder.plan(found, runtime, files.clone()).map(|plan| Decision::Plan(Box::new(plan)))
}

/// The scripts of a builder; those that nobody needs may be missing.
struct Found {
    assemble: Option<Script>,
    run: Option<Script>,
    save_artifacts: Option<Script>,
}

/// A builder image, and what is said of it.
pub(super) struct Builder<'a> {
    pub(super) spec: &'a S2iSpec,
    pub(super) request: &'a Request<'a>,
    base: &'a BaseVersion,
    pub(super) section: AppSection,
    pub(super) says: Says<'a>,
    /// What receives source, scripts and artifacts.
    destination: String,
    /// Who runs `assemble`.
    user: String,
}

impl<'a> Builder<'a> {
    fn of(
        spec: &'a S2iSpec,
        request: &'a Request<'a>,
        base: &'a BaseVersion,
        section: AppSection,
    ) -> Result<Self, PlanError> {
        let says = Says(request.image);
        let destination = spec.destination.as_deref().unwrap_or(says.destination());
        if !is_plain(destination) {
            return Err(PlanError::Contract(format!(
                "the destination `{destination}` is not an absolute path without `..`"
            )));
        }
        let user = spec.assemble_user.as_deref().or(says.assemble_user());
        let user = user.map_or_else(|| says.user(), str::to_owned);
        let starts_as = says.user();
        let users = [("who runs assemble", user.as_str()), ("the USER of the image", starts_as.as_str())];
        uids::check(&spec.allowed_uids, users)?;
        let destination = destination.trim_end_matches('/').to_owned();
        Ok(Self { spec, request, base, section, says, destination, user })
    }

    /// Where the builder's own scripts are: the base says it, else the image.
    fn own_scripts(&self) -> Result<Option<ScriptsUrl>, PlanError> {
        match &self.spec.scripts_url {
            Some(url) => ScriptsUrl::parse(url).map(Some).map_err(PlanError::Contract),
            None => of_label(self.says.scripts_url(), "builder image"),
        }
    }

    /// The image that becomes the artifact, if it is another one.
    pub(super) fn runtime(&self) -> Option<&str> {
        let name = self.section.runtime_image.as_deref().or(self.spec.runtime_image.as_deref());
        name.filter(|name| !name.is_empty())
    }

    fn is_incremental(&self) -> Result<bool, PlanError> {
        let wanted = self.section.incremental.or(self.spec.incremental).unwrap_or_default();
        match self.runtime() {
            // What a runtime image holds is not what a builder saves.
            Some(_) if self.section.incremental == Some(true) => Err(PlanError::Setting {
                place: "incremental = true in [s2i] of till.toml".to_owned(),
                why: "with a runtime image there are no incremental builds".to_owned(),
                hint: Some("take out either of the two".to_owned()),
            }),
            runtime => Ok(wanted && runtime.is_none()),
        }
    }

    /// What is set for build and run: by the base, the source's files, till.toml, the command line; later ones win.
    fn variables(&self, files: &Files<'_>) -> Result<Vec<(String, String)>, PlanError> {
        variables(self.spec, self.request, files, &self.section)
    }

    fn plan(&self, found: Found, runtime: Option<runtime::Runtime>, mut files: Files<'_>) -> Result<Plan, PlanError> {
        let assemble = found.assemble.ok_or_else(|| missing("assemble", "builder image"))?;
        let mut scripts = vec![("assemble", assemble.clone())];
        if runtime.is_none() {
            scripts.push(("run", found.run.clone().ok_or_else(|| missing("run", "builder image"))?));
        }
        scripts.extend(found.save_artifacts.map(|script| ("save-artifacts", script)));
        let of_runtime = runtime.iter().flat_map(|runtime| &runtime.scripts);
        for (_, script) in scripts.iter().chain(of_runtime) {
            if let Script::Source(path, _) = script {
                files.take(path);
            }
        }
        files.ignore()?;
        let variables = self.variables(&files)?;
        let mut warnings = self.says.warnings();
        let mut stages = Vec::new();
        let artifacts = self.artifacts(&mut stages, &mut warnings);
        let deeds = self.deeds(&files, &scripts, artifacts, &mut stages);
        let step = self.step("assemble", &path_of("assemble", &assemble, &self.scripts()), &variables);
        let footing = Footing::Image(self.base.digest.clone());
        stages.push(self.stage("assemble", footing, deeds.into_iter().chain([Deed::Run(step)]).collect()));
        warnings.append(&mut files.warnings);
        let (config, images) = match runtime {
            None => {
                let run = found.run.map(|run| path_of("run", &run, &self.scripts())).unwrap_or_default();
                (configured(self.request.image, &run, &variables), BTreeMap::new())
            }
            Some(runtime) => runtime.append(self, &variables, &mut stages)?,
        };
        self.whole(config, &variables, stages, (images, warnings))
    }

    /// Where scripts come to lie that are not the image's own.
    fn scripts(&self) -> String {
        format!("{}/scripts", self.destination)
    }

    /// The stage that asks the app's newest artifact, if there is one to ask.
    fn artifacts(&self, stages: &mut Vec<Stage>, warnings: &mut Vec<String>) -> Option<Deed> {
        let previous = self.request.known.previous.as_ref().filter(|_| self.is_incremental().unwrap_or_default());
        let previous = previous?.image()?;
        match incremental::stage(self, previous) {
            Ok(stage) => {
                stages.push(stage);
                let of = Footing::Stage(stages.len() - 1);
                Some(incremental::restore(of, &self.destination, &self.user))
            }
            Err(why) => {
                warnings.push(format!("the build starts clean: {why}"));
                None
            }
        }
    }

    /// Source, scripts, artifacts.
    fn deeds(
        &self,
        files: &Files<'_>,
        scripts: &[(&str, Script)],
        artifacts: Option<Deed>,
        stages: &mut Vec<Stage>,
    ) -> Vec<Deed> {
        let source = Deed::Inject(Injection {
            what: Selection::Named(files.named()),
            place: Place::Dir(format!("{}/src", self.destination)),
            owner: Some(self.user.clone()),
        });
        let scripts = self.bring(scripts, &self.scripts(), &self.user, stages);
        std::iter::once(source).chain(scripts).chain(artifacts).collect()
    }

    /// Puts the scripts that are not the image's own into a directory.
    pub(super) fn bring(&self, scripts: &[(&str, Script)], at: &str, user: &str, stages: &mut Vec<Stage>) -> Vec<Deed> {
        let into = |what| {
            let mode = Some("0755".to_owned());
            let landing = Landing { path: at.to_owned(), directory: true, mode, unpack: false };
            Deed::Inject(Injection { what, place: Place::Copy(landing), owner: Some(as_user(user)) })
        };
        let mut deeds = Vec::new();
        let of_source: BTreeMap<_, _> = scripts
            .iter()
            .filter_map(|(name, script)| match script {
                Script::Source(_, file) => Some((*name, file.clone())),
                _ => None,
            })
            .collect();
        if !of_source.is_empty() {
            let named = of_source.into_iter().map(|(name, file)| NamedFile { name: name.to_owned(), file });
            deeds.push(into(Selection::Named(named.collect())));
        }
        for (name, script) in scripts {
            match script {
                Script::Web(file) => deeds.push(into(Selection::Remote(file.clone()))),
                Script::Folder(code) => {
                    let of = self.unpacked(code, stages);
                    let sources = vec![format!("/{name}")];
                    let files = TreeFiles { of, sources, parents: false, exclude: Vec::new() };
                    deeds.push(into(Selection::Tree(files)));
                }
                Script::Source(..) | Script::Image(_) => {}
            }
        }
        deeds
    }

    /// The stage that has a directory of the machine, made once.
    fn unpacked(&self, code: &KnownCode, stages: &mut Vec<Stage>) -> Footing {
        let file = RemoteFile {
            // Where it lies on the machine is no part of a plan.
            url: "scripts".to_owned(),
            digest: code.digest.clone(),
            name: "scripts.tar".to_owned(),
            time: None,
        };
        let landing = Landing { path: "/".to_owned(), directory: true, mode: None, unpack: true };
        let what = Selection::Remote(file);
        let deed = Deed::Inject(Injection { what, place: Place::Copy(landing), owner: None });
        let stage = Stage {
            reuse: Reuse::Inputs,
            epoch: self.request.base_epoch,
            texts: Vec::new(),
            ..self.stage("scripts", Footing::Nothing, vec![deed])
        };
        let known = stages.iter().position(|known| *known == stage);
        Footing::Stage(known.unwrap_or_else(|| {
            stages.push(stage);
            stages.len() - 1
        }))
    }

    pub(super) fn stage(&self, name: &str, on: Footing, deeds: Vec<Deed>) -> Stage {
        Stage {
            name: name.to_owned(),
            on,
            sight: Sight::All,
            reuse: Reuse::Never,
            epoch: self.request.source.time.unwrap_or(self.request.base_epoch),
            deeds,
            texts: Vec::new(),
            spread: None,
        }
    }

    fn step(&self, name: &str, path: &str, variables: &[(String, String)]) -> Step {
        step(name, path, (self.request.image, &self.user), variables)
    }

    /// The whole plan; the last stage becomes the image.
    fn whole(
        &self,
        mut config: Config,
        variables: &[(String, String)],
        mut stages: Vec<Stage>,
        (images, warnings): (BTreeMap<String, crate::ManifestDigest>, Vec<String>),
    ) -> Result<Plan, PlanError> {
        config.labels.extend(labels::generated(self.request, &self.section));
        labels::expect_few(&config.labels)?;
        let record = Record { text: format!("s2i {}", stages.last().map_or("", |stage| &stage.name)), layer: true };
        if let Some(last) = stages.last_mut() {
            last.texts = vec![labels::METADATA.to_owned()];
        }
        let starts = Starting { path: config.cmd.first().cloned().unwrap_or_default(), user: Says(&config).user() };
        Ok(Plan {
            version: plan::VERSION,
            contract: "s2i".to_owned(),
            environment: self.request.environment.to_owned(),
            machine: None,
            system: None,
            base: Some(self.base.digest.clone()),
            source: Some(source_of(self.request)),
            top: Footing::Stage(stages.len().saturating_sub(1)),
            stages,
            work: None,
            test: None,
            finish: Vec::new(),
            caches: Vec::new(),
            remove: Vec::new(),
            // The source may lie in /tmp, and stays there.
            volatile: Vec::new(),
            collect: Vec::new(),
            starts: vec![starts],
            limits: self.request.app.limits.over(self.spec.limits.over(Limits::default())),
            launch: started(self.spec, self.request, &config, variables),
            image: Some(ImageDraft { config, history: vec![record] }),
            images,
            packages: Vec::new(),
            warnings,
        })
    }
}
