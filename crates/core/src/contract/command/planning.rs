//! Spec and source make a plan.

use std::collections::{BTreeMap, BTreeSet};

use super::spec::{CommandSpec, Moment, OneOrMany, SourceAs, StepSpec};
use super::when::{Found, fill, holds, matching, reads as when_reads};
use crate::contract::procfile::{self, Procfile};
use crate::contract::{PlanError, Request};
use crate::model::source::{FileKind, SourceFile, resolve_link};
use crate::model::{SourceView, app};
use crate::plan::{
    self, Cache, Candidate, Deed, Footing, Injection, LaunchDraft, Limits, Place, Plan, Reuse, Selection, Sight, Stage,
    Step,
};

/// What a process or step finds when neither base nor app says otherwise.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn reads(spec: &CommandSpec, source: &SourceView) -> Vec<String> {
    let steps = spec.step.iter().chain(&spec.test).filter_map(|step| step.when.as_ref());
    let processes = spec.process.iter().filter_map(|process| process.when.as_ref());
    let mut names: BTreeSet<String> = steps.chain(processes).flat_map(|when| when_reads(when, source)).collect();
    for name in [procfile::FILE, app::FILE] {
        names.extend(source.followed(name).map(|file| file.path.clone()));
    }
    let links = source.files.iter().filter(|file| file.kind == FileKind::Symlink);
    names.extend(links.map(|file| file.path.clone()));
    names.into_iter().collect()
}

pub(super) fn plan(spec: &CommandSpec, request: &Request<'_>) -> Result<Plan, PlanError> {
    check_source(spec, request.source)?;
    let planner = Planner::new(spec, request)?;
    let mut stages = planner.dependency_stages()?;
    stages.push(planner.app_stage(&stages)?);
    let top = Footing::Stage(stages.len() - 1);
    let launch = planner.launch()?;
    Ok(Plan {
        version: plan::VERSION,
        contract: "command".to_owned(),
        environment: request.environment.to_owned(),
        machine: None,
        system: None,
        base: request.base.map(|base| base.digest.clone()),
        source: Some(plan::Source { commit: request.source.commit.clone(), tree: request.source.tree() }),
        stages,
        top,
        work: None,
        test: spec.test.iter().filter_map(|step| planner.step(step).transpose()).next().transpose()?,
        finish: planner.steps(Moment::Test)?,
        caches: spec
            .cache
            .iter()
            .map(|cache| Cache { name: cache.name.clone(), path: cache.path.clone(), owner: spec.user.clone() })
            .collect(),
        remove: spec.remove.clone(),
        volatile: plan::volatile(),
        collect: launch
            .processes
            .values()
            .flatten()
            .flat_map(|candidate| candidate.built.clone())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        starts: Vec::new(),
        limits: request.app.limits.over(spec.limits.over(Limits::default())),
        launch,
        image: None,
        images: BTreeMap::new(),
        packages: Vec::new(),
        warnings: planner.warnings(),
    })
}

fn check_source(spec: &CommandSpec, source: &SourceView) -> Result<(), PlanError> {
    if source.files.is_empty() {
        return Err(PlanError::Empty);
    }
    for link in source.files.iter().filter(|file| file.kind == FileKind::Symlink) {
        let target = source.texts.get(&link.path).map_or("", String::as_str);
        if resolve_link(&link.path, target).is_none() {
            return Err(PlanError::Outside { path: link.path.clone(), target: target.to_owned() });
        }
    }
    for require in &spec.require {
        if require.any.iter().all(|pattern| matching(source, pattern).is_empty()) {
            return Err(PlanError::Missing { message: require.message.clone(), any: require.any.clone() });
        }
    }
    Ok(())
}

struct Planner<'a> {
    spec: &'a CommandSpec,
    request: &'a Request<'a>,
    parameters: Found,
    procfile: Procfile,
}

impl<'a> Planner<'a> {
    fn new(spec: &'a CommandSpec, request: &'a Request<'a>) -> Result<Self, PlanError> {
        let given = &request.app.parameters;
        if let Some(name) = given.keys().find(|name| !spec.parameter.contains_key(*name)) {
            return Err(PlanError::Parameter {
                name: name.clone(),
                known: crate::words::list(spec.parameter.keys().map(String::as_str)),
            });
        }
        let value = |(name, parameter): (&String, &super::spec::Parameter)| {
            let value = given.get(name).unwrap_or(&parameter.default).clone();
            (format!("param.{name}"), value)
        };
        let text = request.source.text(procfile::FILE);
        let procfile = text.map(procfile::parse).transpose()?.unwrap_or_default();
        Ok(Self { spec, request, parameters: spec.parameter.iter().map(value).collect(), procfile })
    }

    /// What the base's image sets, the contract's environment, `more` of it, the app's, the command line's; later ones win.
    fn env(&self, more: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut env = BTreeMap::from([("PATH".to_owned(), PATH.to_owned())]);
        for layer in [&self.request.base_env(), &self.spec.env, more, &self.request.app.env, self.request.env] {
            env.extend(layer.clone());
        }
        env
    }

    fn values(&self, mut found: Found) -> Found {
        found.extend(self.parameters.clone());
        found
    }

    /// The step, when its condition holds.
    fn step(&self, step: &StepSpec) -> Result<Option<Step>, PlanError> {
        let found = match &step.when {
            None => Found::new(),
            Some(when) => match holds(when, self.request.source) {
                None => return Ok(None),
                Some(found) => found,
            },
        };
        let values = self.values(found);
        let filled = |text: &str| fill(text, &values).map_err(PlanError::Contract);
        let mut env = self.env(&self.spec.build_env);
        for (name, value) in &step.env {
            env.insert(name.clone(), filled(value)?);
        }
        let dir = match (&step.dir, self.spec.source.form) {
            (Some(dir), _) => filled(dir)?,
            (None, SourceAs::Dir) => self.spec.source.at.clone(),
            (None, SourceAs::Tar) => "/".to_owned(),
        };
        let argv = step.run.argv(&self.spec.shell);
        Ok(Some(Step {
            name: step.name.clone(),
            argv: argv.iter().map(|word| filled(word)).collect::<Result<_, _>>()?,
            env,
            dir,
            user: step.user.clone().unwrap_or_else(|| self.spec.user.clone()),
            network: step.network,
            built: step.when.iter().flat_map(|when| &when.built).flat_map(OneOrMany::iter).map(str::to_owned).collect(),
            mounts: Vec::new(),
        }))
    }

    /// The steps of that moment that see the whole source.
    fn steps(&self, moment: Moment) -> Result<Vec<Step>, PlanError> {
        let steps = self.spec.step.iter().filter(|step| step.reads.is_none() && step.after == moment);
        steps.filter_map(|step| self.step(step).transpose()).collect()
    }

    /// One stage for each step that declares what it reads.
    fn dependency_stages(&self) -> Result<Vec<Stage>, PlanError> {
        let mut stages = Vec::new();
        for spec in &self.spec.step {
            let (Some(patterns), Some(step)) = (&spec.reads, self.step(spec)?) else {
                continue;
            };
            let files = self.files(patterns);
            stages.push(Stage {
                name: step.name.clone(),
                on: self.above(&stages),
                sight: Sight::All,
                reuse: Reuse::Inputs,
                epoch: self.request.base_epoch,
                deeds: vec![self.inject(Selection::Files(files)), Deed::Run(step)],
                texts: Vec::new(),
                spread: None,
            });
        }
        Ok(stages)
    }

    fn above(&self, stages: &[Stage]) -> Footing {
        match stages.len() {
            0 => self.request.base.map_or(Footing::Nothing, |base| Footing::Image(base.digest.clone())),
            count => Footing::Stage(count - 1),
        }
    }

    fn files(&self, patterns: &[String]) -> Vec<SourceFile> {
        let source = self.request.source;
        let paths: BTreeSet<&str> = patterns.iter().flat_map(|pattern| matching(source, pattern)).collect();
        paths.into_iter().filter_map(|path| source.file(path).cloned()).collect()
    }

    /// The whole source, and the steps that see it.
    fn app_stage(&self, below: &[Stage]) -> Result<Stage, PlanError> {
        let steps = self.steps(Moment::Source)?.into_iter().map(Deed::Run);
        Ok(Stage {
            name: "app".to_owned(),
            on: self.above(below),
            sight: Sight::All,
            reuse: Reuse::Never,
            epoch: self.request.source.time.unwrap_or(self.request.base_epoch),
            deeds: std::iter::once(self.inject(Selection::Whole)).chain(steps).collect(),
            texts: Vec::new(),
            spread: None,
        })
    }

    fn inject(&self, what: Selection) -> Deed {
        let at = self.spec.source.at.clone();
        Deed::Inject(Injection {
            what,
            place: match self.spec.source.form {
                SourceAs::Dir => Place::Dir(at),
                SourceAs::Tar => Place::Tar(at),
            },
            owner: Some(self.spec.user.clone()),
        })
    }

    /// What the Procfile says.
    fn of_procfile(&self) -> impl Iterator<Item = (String, Vec<String>)> {
        let lines = self.procfile.processes.iter();
        lines.map(|(name, line)| (name.clone(), app::Command::Line(line.clone()).argv(&self.spec.shell)))
    }

    /// What till.toml says.
    fn of_app(&self) -> impl Iterator<Item = (String, Vec<String>)> {
        self.request.app.processes.iter().map(|(name, command)| (name.clone(), command.argv(&self.spec.shell)))
    }

    /// What the user should know of process types.
    fn warnings(&self) -> Vec<String> {
        let contradictions = procfile::contradictions(&self.of_app().collect(), &self.of_procfile().collect());
        self.procfile.warnings.iter().cloned().chain(contradictions).collect()
    }

    /// Candidates for each process type: till.toml wins over the Procfile, that over the base's.
    fn launch(&self) -> Result<LaunchDraft, PlanError> {
        let mut processes: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
        for process in &self.spec.process {
            let when = process.when.clone().unwrap_or_default();
            let Some(mut found) = holds(&when, self.request.source) else {
                continue;
            };
            if when.built.is_some() {
                // Filled by the conclusion.
                found.insert("built".to_owned(), "{{built}}".to_owned());
            }
            let values = self.values(found);
            let filled = |text: String| fill(&text, &values).map_err(PlanError::Contract);
            let argv = process.run.argv(&self.spec.shell).into_iter().map(filled);
            processes.entry(process.name.clone()).or_default().push(Candidate {
                built: when.built.iter().flat_map(OneOrMany::iter).map(str::to_owned).collect(),
                argv: argv.collect::<Result<_, _>>()?,
            });
        }
        for (name, argv) in self.of_procfile().chain(self.of_app()) {
            processes.insert(name, vec![Candidate { built: Vec::new(), argv }]);
        }
        if processes.is_empty() {
            return Err(PlanError::NoProcess);
        }
        Ok(LaunchDraft {
            processes,
            ports: self.spec.port.clone(),
            health: self.spec.health.clone(),
            env: self.env(&BTreeMap::new()),
            user: self.spec.user.clone(),
            dir: match self.spec.source.form {
                SourceAs::Dir => self.spec.source.at.clone(),
                SourceAs::Tar => "/".to_owned(),
            },
        })
    }
}
