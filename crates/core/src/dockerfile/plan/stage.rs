//! One FROM and its instructions.

use std::collections::BTreeMap;

use super::context::clean;
use super::values::Args;
use super::{Drafting, bad};
use crate::dockerfile::{
    self, BadDockerfile, Command, HealthTest, Healthcheck, Instruction, Line, Run, RunCommand, RunNetwork, Stage, Word,
    expand,
};
use crate::plan::{
    self, Config, Deed, Footing, Injection, Mounted, Network, Place, Record, Reuse, Selection, Sight, Step, StepMount,
};

/// What BuildKit gives to images that say nothing of it.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where a script is lent to the step that runs it.
const SCRIPTS: &str = "/run/till-heredoc";

/// A stage of the Dockerfile that is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Built {
    pub(super) top: Footing,
    pub(super) config: Config,
    pub(super) history: Vec<Record>,
    args: Args,
}

/// A stage of the Dockerfile while it is planned.
pub(super) struct Building {
    /// Its number in the Dockerfile.
    pub(super) number: usize,
    pub(super) top: Footing,
    pub(super) config: Config,
    history: Vec<Record>,
    args: Args,
    /// CMD was said in this stage.
    has_cmd: bool,
    /// Directories that WORKDIR asks for, and the record of each: made with the next layer.
    pending: Vec<(String, usize)>,
}

impl Drafting<'_> {
    pub(super) fn stage(&mut self, number: usize) -> Result<Option<Built>, BadDockerfile> {
        let dockerfile = self.ask.dockerfile;
        let stage = &dockerfile.stages[number];
        let Some(mut building) = self.begin(stage, number)? else {
            return Ok(None);
        };
        for trigger in std::mem::take(&mut building.config.on_build) {
            let line = dockerfile::parse_trigger(&trigger).map_err(|error| BadDockerfile {
                line: stage.line,
                what: format!("the base's trigger `ONBUILD {trigger}`: {}", error.what),
                hint: error.hint,
            })?;
            let line = Line { number: stage.line, ..line };
            self.instruction(&mut building, &line)?;
        }
        for line in &stage.lines {
            self.instruction(&mut building, line)?;
        }
        self.flush(&mut building);
        // What has to be known first may be anywhere above; who finished without it has finished wrongly.
        let Building { top, config, history, args, .. } = building;
        Ok(self.needs.is_empty().then_some(Built { top, config, history, args }))
    }

    fn begin(&mut self, stage: &Stage, number: usize) -> Result<Option<Building>, BadDockerfile> {
        let image = self.globals.expand(&stage.image, self.ask, stage.line)?;
        if image.is_empty() {
            return Err(bad(stage.line, format!("FROM {}: the name of the image is empty", stage.image.0)));
        }
        self.check_platform(stage)?;
        let fresh = |top, config, history, args| {
            Some(Building { number, top, config, history, args, has_cmd: false, pending: Vec::new() })
        };
        if let Some(earlier) = self.earlier(&image, number) {
            let built = self.built(earlier)?;
            return Ok(built.and_then(|built| fresh(built.top, built.config, built.history, built.args)));
        }
        if image == "scratch" {
            let config =
                Config { env: vec![("PATH".to_owned(), PATH.to_owned())], dir: "/".to_owned(), ..Config::default() };
            return Ok(fresh(Footing::Nothing, config, Vec::new(), Args::default()));
        }
        let Some(known) = self.image(&image).cloned() else {
            return Ok(None);
        };
        let mut config = known.config;
        if config.variable("PATH").is_none() {
            config.set("PATH", PATH);
        }
        Ok(fresh(Footing::Image(known.digest), config, Vec::new(), Args::default()))
    }

    fn check_platform(&self, stage: &Stage) -> Result<(), BadDockerfile> {
        let Some(word) = &stage.platform else {
            return Ok(());
        };
        let wanted = self.globals.expand(word, self.ask, stage.line)?;
        let ours = format!("linux/{}", self.ask.architecture);
        if wanted == ours || wanted.strip_prefix(&ours).is_some_and(|rest| rest.starts_with('/')) {
            return Ok(());
        }
        Err(BadDockerfile {
            line: stage.line,
            what: format!("FROM --platform={wanted}: this machine builds for {ours} only"),
            hint: Some(format!("build on a machine for {wanted}, or leave the platform out")),
        })
    }

    /// What a variable is here: ENV wins over ARG.
    pub(super) fn lookup(building: &Building) -> impl Fn(&str) -> Option<String> + use<'_> {
        |name| {
            let env = building.config.variable(name).map(str::to_owned);
            env.or_else(|| building.args.0.get(name).cloned())
        }
    }

    pub(super) fn expand(&mut self, building: &Building, word: &Word, line: u32) -> Result<String, BadDockerfile> {
        let expanded = expand::word(word, self.ask.dockerfile.directives.escape, &Self::lookup(building));
        let expanded = expanded.map_err(|why| bad(line, why))?;
        for name in expanded.unset {
            let text = format!("line {line}: the variable `{name}` is not set");
            if !self.warnings.contains(&text) {
                self.warnings.push(text);
            }
        }
        Ok(expanded.text)
    }

    fn expand_all(&mut self, building: &Building, words: &[Word], line: u32) -> Result<Vec<String>, BadDockerfile> {
        let mut all = Vec::new();
        for word in words {
            let words = expand::words(word, self.ask.dockerfile.directives.escape, &Self::lookup(building));
            all.extend(words.map_err(|why| bad(line, why))?);
        }
        Ok(all)
    }

    fn instruction(&mut self, building: &mut Building, line: &Line) -> Result<(), BadDockerfile> {
        let number = line.number;
        match &line.instruction {
            Instruction::Run(run) => return self.run(building, line, run),
            Instruction::Copy(copy) => return self.copy(building, line, copy, None),
            Instruction::Add(add) => return self.copy(building, line, &add.copy, Some(add)),
            Instruction::Workdir(word) => return self.workdir(building, line, word),
            Instruction::Arg(args) => self.declare(building, args, number)?,
            Instruction::Env(pairs) => {
                // One instruction sees the values before it.
                let mut values = Vec::new();
                for (name, value) in pairs {
                    values.push((self.expand(building, name, number)?, self.expand(building, value, number)?));
                }
                values.iter().for_each(|(name, value)| building.config.set(name, value));
            }
            Instruction::Label(pairs) => {
                for (name, value) in pairs {
                    let (name, value) = (self.expand(building, name, number)?, self.expand(building, value, number)?);
                    building.config.labels.insert(name, value);
                }
            }
            Instruction::User(word) => building.config.user = self.expand(building, word, number)?,
            Instruction::Expose(words) => {
                for word in self.expand_all(building, words, number)? {
                    let ports = dockerfile::port(&word).map_err(|why| bad(number, why))?;
                    let named = ports.into_iter().map(|(port, transport)| format!("{port}/{}", transport.as_str()));
                    building.config.ports.extend(named);
                }
            }
            Instruction::Volume(words) => {
                for word in words {
                    let volume = self.expand(building, word, number)?;
                    building.config.volumes.insert(volume);
                }
            }
            Instruction::Stopsignal(word) => {
                let text = self.expand(building, word, number)?;
                building.config.stop_signal = Some(dockerfile::signal(&text).map_err(|why| bad(number, why))?);
            }
            other => building.set(other),
        }
        building.record(line, Layered::No);
        Ok(())
    }

    fn declare(
        &mut self,
        building: &mut Building,
        args: &[dockerfile::ArgDef],
        line: u32,
    ) -> Result<(), BadDockerfile> {
        for arg in args {
            let mut declared = std::mem::take(&mut building.args);
            // The default sees the ARGs before it.
            building.args = declared.clone();
            let default = arg.default.as_ref().map(|default| self.expand(building, default, line)).transpose()?;
            let expand = |_: &Word| Ok(default.unwrap_or_default());
            declared.declare(arg, self.ask, &self.globals, expand)?;
            building.args = declared;
        }
        Ok(())
    }

    fn workdir(&mut self, building: &mut Building, line: &Line, word: &Word) -> Result<(), BadDockerfile> {
        let text = self.expand(building, word, line.number)?;
        building.config.dir = building.absolute(&text);
        building.record(line, Layered::No);
        let dir = building.config.dir.clone();
        if dir != "/" {
            building.pending.push((dir, building.history.len() - 1));
        }
        Ok(())
    }

    fn run(&mut self, building: &mut Building, line: &Line, run: &Run) -> Result<(), BadDockerfile> {
        let mut mounts = Vec::new();
        let argv = match &run.command {
            RunCommand::Exec(argv) => argv.clone(),
            RunCommand::Shell(text) => building.shell(text),
            RunCommand::Script { name, body, .. } if run.command.is_file() => {
                let path = format!("{SCRIPTS}/{name}");
                mounts.push(StepMount { path: path.clone(), what: Mounted::Script(body.clone()), write: false });
                vec![path]
            }
            RunCommand::Script { body, .. } => building.shell(body),
        };
        for mount in &run.mounts {
            mounts.extend(self.mount(building, line.number, mount)?);
        }
        let mut env: BTreeMap<String, String> = building.args.env(self.ask);
        env.extend(building.config.env.iter().cloned());
        let step = Step {
            name: title(line),
            argv,
            env,
            dir: if building.config.dir.is_empty() { "/".to_owned() } else { building.config.dir.clone() },
            user: if building.config.user.is_empty() { "root".to_owned() } else { building.config.user.clone() },
            network: if run.network == Some(RunNetwork::None) { Network::None } else { Network::Egress },
            built: Vec::new(),
            mounts,
        };
        self.layer(building, line, Sight::All, vec![Deed::Run(step)]);
        Ok(())
    }

    /// A layer upon what is there.
    pub(super) fn layer(&mut self, building: &mut Building, line: &Line, sight: Sight, deeds: Vec<Deed>) {
        let mut all = Vec::new();
        if sight == Sight::All {
            // Directories of WORKDIR come into being with the layer above them.
            all.extend(std::mem::take(&mut building.pending).into_iter().map(|(dir, _)| directory(&dir)));
        } else {
            self.flush(building);
        }
        all.extend(deeds);
        self.push(building, title(line), sight, all);
        building.record(line, Layered::Yes);
    }

    /// A layer for directories that no other layer has taken along.
    fn flush(&mut self, building: &mut Building) {
        let pending = std::mem::take(&mut building.pending);
        let Some((_, last)) = pending.last().cloned() else {
            return;
        };
        let deeds = pending.into_iter().map(|(dir, _)| directory(&dir)).collect();
        let name = building.history[last].text.clone();
        building.history[last].layer = true;
        self.push(building, name, Sight::All, deeds);
    }

    fn push(&mut self, building: &mut Building, name: String, sight: Sight, deeds: Vec<Deed>) {
        let on = std::mem::replace(&mut building.top, Footing::Stage(self.stages.len()));
        self.stages.push(plan::Stage {
            name,
            on,
            sight,
            reuse: Reuse::Inputs,
            epoch: self.ask.epoch,
            deeds,
            texts: Vec::new(),
            spread: None,
        });
    }
}

/// Has an instruction a layer?
enum Layered {
    Yes,
    No,
}

impl Building {
    fn record(&mut self, line: &Line, layered: Layered) {
        self.history.push(Record { text: line.original.clone(), layer: matches!(layered, Layered::Yes) });
    }

    /// A path from the working directory.
    pub(super) fn absolute(&self, path: &str) -> String {
        let from = if path.starts_with('/') { "" } else { self.config.dir.as_str() };
        format!("/{}", clean(&format!("{from}/{path}")))
    }

    /// A line for the shell.
    fn shell(&self, text: &str) -> Vec<String> {
        let shell = match self.config.shell.as_slice() {
            [] => vec!["/bin/sh".to_owned(), "-c".to_owned()],
            shell => shell.to_vec(),
        };
        shell.into_iter().chain([text.to_owned()]).collect()
    }

    fn command(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Shell(text) => self.shell(text),
            Command::Exec(argv) => argv.clone(),
        }
    }

    /// Instructions that only say something of the image, with no variable in it.
    fn set(&mut self, instruction: &Instruction) {
        match instruction {
            Instruction::Cmd(command) => {
                self.config.cmd = self.command(command);
                self.has_cmd = true;
            }
            Instruction::Entrypoint(command) => {
                self.config.entrypoint = self.command(command);
                // An inherited CMD was meant for another entrypoint.
                if !self.has_cmd {
                    self.config.cmd.clear();
                }
            }
            Instruction::Shell(shell) => shell.clone_into(&mut self.config.shell),
            Instruction::Healthcheck(check) => self.config.healthcheck = Some(healthcheck(check)),
            Instruction::Onbuild(trigger) => self.config.on_build.push(trigger.clone()),
            Instruction::Maintainer(name) => self.config.author = Some(name.clone()),
            _ => {}
        }
    }
}

fn healthcheck(check: &Healthcheck) -> plan::Healthcheck {
    let test = match &check.test {
        HealthTest::None => vec!["NONE".to_owned()],
        HealthTest::Command(Command::Shell(text)) => vec!["CMD-SHELL".to_owned(), text.clone()],
        HealthTest::Command(Command::Exec(argv)) => std::iter::once("CMD".to_owned()).chain(argv.clone()).collect(),
    };
    plan::Healthcheck {
        test,
        interval: check.interval,
        timeout: check.timeout,
        start_period: check.start_period,
        start_interval: check.start_interval,
        retries: check.retries,
    }
}

fn directory(path: &str) -> Deed {
    Deed::Inject(Injection {
        what: Selection::Texts(Vec::new()),
        place: Place::Dir(path.to_owned()),
        owner: Some("root".to_owned()),
    })
}

/// A name for people: the line's number and its beginning.
fn title(line: &Line) -> String {
    const LONGEST: usize = 72;
    let text: String = line.original.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = text.chars().take(LONGEST).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("{}: {short}{more}", line.number)
}
