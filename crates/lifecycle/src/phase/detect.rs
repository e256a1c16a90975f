//! Which buildpacks take part: `bin/detect` of each group's in turn, until a group passes and its build plans fit.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use super::say;
use crate::arguments::Settings;
use crate::decide::order::expand;
use crate::decide::resolve::{Passed, resolve};
use crate::decide::target::Machine;
use crate::decide::variables::Variables;
use crate::failure::{Doing as _, Failure, NONE_DETECTED, NONE_DETECTED_WITH_ERRORS};
use crate::inputs::{self, Scratch, buildpack, toml_file};
use crate::model::api::Api;
use crate::model::descriptor::{Catalogue, Descriptor, Entry, OrderFile};
use crate::model::group::{BuildPlan, Group, Member, Plan, Sections};
use crate::model::runs_in;

/// What a buildpack's `bin/detect` says if it does not want to take part.
const FAIL: i32 = 100;
/// As much of its output is shown.
const SHOWN: usize = 1 << 20;

/// What became of one buildpack.
#[derive(Debug)]
enum Outcome {
    Pass(Vec<Sections>),
    Fail,
    /// A code that means neither; `None`: it did not get that far.
    Error(Option<i32>, String),
}

/// What has been run, and what is needed to run more.
struct Detection<'a> {
    settings: &'a Settings,
    catalogue: &'a Catalogue,
    machine: &'a Machine,
    variables: Variables,
    /// By `id@version`, with what was said: a buildpack runs once, in however many groups it is.
    outcomes: BTreeMap<String, (Outcome, String)>,
    errors: bool,
}

/// Finds the group, and writes `group.toml` and `plan.toml`.
pub(crate) fn detect(settings: &Settings) -> Result<(), Failure> {
    let order = order(settings)?;
    let catalogue = inputs::catalogue(&settings.buildpacks)?;
    let machine = inputs::machine(|name| std::env::var_os(name));
    let variables = Variables::for_build(std::env::vars_os());
    let groups = expand(&order.order, &catalogue).doing(|| "expand the order".to_owned())?;
    let mut detection = Detection {
        settings,
        catalogue: &catalogue,
        machine: &machine,
        variables,
        outcomes: BTreeMap::new(),
        errors: false,
    };
    for group in groups {
        if let Some((group, plan)) = detection.group(&group)? {
            write(&settings.group, &group)?;
            return write(&settings.plan, &plan);
        }
    }
    Err(if detection.errors {
        Failure::exit(
            NONE_DETECTED_WITH_ERRORS,
            "no group of buildpacks passed detection, and some failed with an error",
        )
    } else {
        Failure::exit(NONE_DETECTED, "no group of buildpacks passed detection")
    })
}

fn order(settings: &Settings) -> Result<OrderFile, Failure> {
    let own = settings.layers.join("order.toml");
    let path = match &settings.order {
        Some(path) => path.clone(),
        None if own.exists() => own,
        None => "/cnb/order.toml".into(),
    };
    let order: OrderFile = toml_file(&path)?;
    if !order.order_extensions.is_empty() {
        say("notice: image extensions (order-extensions) are not supported and are left out");
    }
    Ok(order)
}

fn write(path: &Path, value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = toml::to_string(value).doing(|| format!("write {}", path.display()))?;
    fs::write(path, text).doing(|| format!("write {}", path.display()))
}

/// A buildpack of a group.
type Participant<'a> = (Entry, &'a Descriptor, Api);

impl<'a> Detection<'a> {
    /// Tries one group. `None`: it did not pass.
    fn group(&mut self, entries: &[Entry]) -> Result<Option<(Group, Plan)>, Failure> {
        let mut participants = Vec::new();
        for entry in entries {
            let (descriptor, api) = buildpack(self.catalogue, &entry.id, &entry.version)?;
            let wants = api < Api::EXEC_ENVS || runs_in(&descriptor.buildpack.exec_env, &self.settings.exec_env);
            if wants {
                participants.push((entry.clone(), descriptor, api));
            }
        }
        self.run(&participants);
        let Some(passed) = self.results(&participants) else { return Ok(None) };
        let resolved = match resolve(&passed) {
            Ok(resolved) => resolved,
            Err(why) => {
                why.iter().for_each(|line| say(line));
                return Ok(None);
            }
        };
        if resolved.members.len() != participants.len() {
            say(&format!("{} of {} buildpacks participating", resolved.members.len(), participants.len()));
        }
        let mut group = Group::default();
        for at in resolved.members {
            let passed = &passed[at];
            let (descriptor, _) = buildpack(self.catalogue, &passed.id, &passed.version)?;
            say(&format!("{} {}", passed.id, passed.version));
            group.group.push(Member {
                id: passed.id.clone(),
                version: passed.version.clone(),
                api: descriptor.api_text().to_owned(),
                homepage: descriptor.buildpack.homepage.clone(),
            });
        }
        Ok(Some((group, resolved.plan)))
    }

    /// Runs `bin/detect` of those that did not run yet, side by side.
    fn run(&mut self, participants: &[Participant<'a>]) {
        let missing = participants.iter().filter(|(_, descriptor, _)| !self.outcomes.contains_key(&descriptor.name()));
        let this = &*self;
        let results: Vec<_> = std::thread::scope(|scope| {
            let start = |(_, descriptor, api): &Participant<'a>| {
                let (descriptor, api) = (*descriptor, *api);
                (descriptor.name(), scope.spawn(move || this.outcome(descriptor, api)))
            };
            let running: Vec<_> = missing.map(start).collect();
            let broken = || (Outcome::Error(None, "it was not waited for".to_owned()), String::new());
            running.into_iter().map(|(name, thread)| (name, thread.join().unwrap_or_else(|_| broken()))).collect()
        });
        self.outcomes.extend(results);
    }

    fn outcome(&self, descriptor: &Descriptor, api: Api) -> (Outcome, String) {
        if !self.machine.takes(descriptor) {
            let machine: Vec<_> = self.machine.variables().map(|(_, value)| value).collect();
            let why = format!("it is not made for this target ({})", machine.join(" "));
            return (Outcome::Error(None, why), String::new());
        }
        let mut output = String::new();
        let outcome = self.program(descriptor, api, &mut output);
        (outcome.unwrap_or_else(|failure| Outcome::Error(None, failure.said)), output)
    }

    fn program(&self, descriptor: &Descriptor, api: Api, output: &mut String) -> Result<Outcome, Failure> {
        let scratch = Scratch::new()?;
        let (plan, log) = (scratch.path().join("plan.toml"), scratch.path().join("output"));
        fs::write(&plan, "").doing(|| format!("write {}", plan.display()))?;
        let mut variables = inputs::environment(&self.variables, (descriptor, api), self.settings, self.machine)?;
        if api >= Api::PATHS {
            variables.set("CNB_BUILD_PLAN_PATH", &plan);
        }
        // Into a file: a process that is left running in the background would keep a pipe open.
        let file = File::create(&log).doing(|| format!("write {}", log.display()))?;
        let same = file.try_clone().doing(|| format!("write {}", log.display()))?;
        let program = descriptor.directory.join("bin/detect");
        let mut command = Command::new(&program);
        command.arg(&self.settings.platform).arg(&plan).current_dir(&self.settings.app);
        command.env_clear().envs(variables.iter());
        let status = command.stdin(Stdio::null()).stdout(file).stderr(same).status();
        let status = status.doing(|| format!("run {} in {}", program.display(), self.settings.app.display()))?;
        let said = fs::read(&log).unwrap_or_default();
        output.push_str(&String::from_utf8_lossy(&said[..said.len().min(SHOWN)]));
        Ok(match status.code() {
            Some(0) => {
                let wrong = |failure: Failure| Failure::new(format!("its build plan is wrong: {}", failure.said));
                Outcome::Pass(toml_file::<BuildPlan>(&plan).map_err(wrong)?.options())
            }
            Some(FAIL) => Outcome::Fail,
            code => Outcome::Error(code, status.to_string()),
        })
    }

    /// Says what became of a group. `None`: it did not pass.
    fn results(&mut self, participants: &[Participant<'a>]) -> Option<Vec<Passed>> {
        for (_, descriptor, _) in participants {
            let name = descriptor.name();
            let Some((Outcome::Error(_, why), output)) = self.outcomes.get(&name) else { continue };
            if !output.is_empty() {
                say(&format!("======== Output: {name} ========\n{}", output.trim_end()));
            }
            say(&format!("======== Error: {name} ========\n{why}"));
        }
        say("======== Results ========");
        let (mut good, mut erred, mut passed) = (true, false, Vec::new());
        for (entry, descriptor, _) in participants {
            let name = descriptor.name();
            match self.outcomes.get(&name).map(|(outcome, _)| outcome) {
                Some(Outcome::Pass(options)) => {
                    say(&format!("pass: {name}"));
                    passed.push(Passed {
                        id: descriptor.buildpack.id.clone(),
                        version: descriptor.buildpack.version.clone(),
                        optional: entry.optional,
                        options: options.clone(),
                    });
                    continue;
                }
                Some(Outcome::Fail) | None => {
                    say(&format!("{}: {name}", if entry.optional { "skip" } else { "fail" }));
                }
                Some(Outcome::Error(Some(code), _)) => say(&format!("err:  {name} ({code})")),
                Some(Outcome::Error(None, _)) => say(&format!("err:  {name}")),
            }
            erred |= matches!(self.outcomes.get(&name), Some((Outcome::Error(..), _)));
            good &= entry.optional;
        }
        self.errors |= erred && !good;
        if good && passed.is_empty() {
            say("fail: no viable buildpacks in group");
        }
        (good && !passed.is_empty()).then_some(passed)
    }
}
