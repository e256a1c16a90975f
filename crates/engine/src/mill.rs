//! The one mill: whatever wrote the plan, it becomes layers here. Nothing is chosen any more.

use std::path::{Path, PathBuf};
use std::time::Instant;

use till_core::contract::Collected;
use till_core::id::InstanceId;
use till_core::model::SourceView;
use till_core::plan::{Bootstrap, Deed, ExtraFile, Injection, Place, Plan, Selection, Stage, Step, stage_keys};
use till_core::port::{Capture, Evidence, Exit, Instance, Layer, Mount, Opening, SourceTree};
use till_core::{Digest, Failure, Fault};

use crate::journal::{Event, Journal, Observer, StepReport};
use crate::{Engine, new_bits};

/// Where the files of a plan come from.
pub(crate) enum Material<'a> {
    /// Source.
    Source(&'a dyn SourceTree, &'a SourceView),
    /// The folder of a base.
    Folder(&'a Path),
}

/// A plan that is carried out.
pub(crate) struct Milling<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) plan: &'a Plan,
    pub(crate) base: &'a [Layer],
    pub(crate) material: Material<'a>,
    pub(crate) caches: PathBuf,
    /// Whose doing a failing step is.
    pub(crate) fault: Fault,
    pub(crate) afresh: bool,
    pub(crate) observer: &'a dyn Observer,
    /// For archives; goes with the milling.
    pub(crate) staging: PathBuf,
    /// For the logs of steps.
    pub(crate) logs: PathBuf,
    pub(crate) steps: Vec<StepReport>,
    /// What was seen of the source only when it was read.
    pub(crate) notices: Vec<String>,
}

/// What came of it.
pub(crate) struct Milled {
    pub(crate) layers: Vec<(Layer, String)>,
    pub(crate) collected: Collected,
    pub(crate) steps: Vec<StepReport>,
    pub(crate) notices: Vec<String>,
}

impl Milling<'_> {
    pub(crate) async fn run(mut self) -> Result<Milled, Failure> {
        let keys: Vec<_> = stage_keys(self.plan).iter().map(|key| self.scoped(key)).collect();
        let mut layers: Vec<(Layer, String)> = Vec::new();
        let mut collected = Collected::default();
        for (number, stage) in self.plan.stages.iter().enumerate() {
            let key = keys.get(number);
            let layer = match self.known_layer(key).await? {
                Some(layer) => {
                    self.report(&stage.name, Instant::now(), true);
                    layer
                }
                None => {
                    let last = number + 1 == self.plan.stages.len();
                    let below: Vec<_> =
                        self.base.iter().chain(layers.iter().map(|(layer, _)| layer)).cloned().collect();
                    let layer = self.stage(stage, below, last, &mut collected).await?;
                    if let Some(key) = key {
                        self.engine.ledger.add_layer(key, &layer, (self.engine.now)()).await?;
                    }
                    layer
                }
            };
            layers.push((layer, format!("till: {}", stage.name)));
        }
        Ok(Milled { layers, collected, steps: self.steps, notices: self.notices })
    }

    /// Caches are one app's, and what a step takes from them is in its layer: so the layer is taken again by that app only.
    fn scoped(&self, key: &Digest) -> Digest {
        // The caches' folder is called like the app; where it lies does not matter.
        match self.caches.file_name().filter(|_| !self.plan.caches.is_empty()) {
            Some(app) => Digest::of(format!("{key} {}", app.to_string_lossy()).as_bytes()),
            None => key.clone(),
        }
    }

    /// A layer of the same inputs that is still there.
    async fn known_layer(&self, key: Option<&Digest>) -> Result<Option<Layer>, Failure> {
        let Some(key) = key.filter(|_| !self.afresh) else {
            return Ok(None);
        };
        let layer = self.engine.ledger.layer(key).await?;
        Ok(layer.filter(|layer| self.engine.store.has(&layer.blob)))
    }

    async fn stage(
        &mut self,
        stage: &Stage,
        layers: Vec<Layer>,
        last: bool,
        collected: &mut Collected,
    ) -> Result<Layer, Failure> {
        let began = Instant::now();
        let mount = |cache: &till_core::plan::Cache| Mount {
            host: self.caches.join(&cache.name),
            path: cache.path.clone(),
            owner: cache.owner.clone(),
        };
        let opening = Opening {
            id: InstanceId::from_bits(new_bits()),
            layers,
            mounts: self.plan.caches.iter().map(mount).collect(),
            limits: self.plan.limits.clone(),
            epoch: stage.epoch,
        };
        let mut instance = self.engine.environment.open(opening).await?;
        self.note("open", began);
        for deed in &stage.deeds {
            self.deed(&mut *instance, deed, stage.epoch).await?;
        }
        if last {
            if let Some(test) = &self.plan.test {
                self.step(&mut *instance, test, Trial::Yes).await?;
            }
            for step in &self.plan.finish {
                self.step(&mut *instance, step, Trial::No).await?;
            }
            *collected = instance.find(&self.plan.collect).await?;
        }
        let began = self.begin("snapshot");
        let capture = Capture { remove: self.plan.remove.clone() };
        let layer = instance.snapshot(&capture).await?;
        self.report("snapshot", began, false);
        Ok(layer)
    }

    async fn deed(&mut self, instance: &mut dyn Instance, deed: &Deed, epoch: u64) -> Result<(), Failure> {
        match deed {
            Deed::Bootstrap(system) => self.bootstrap(instance, system, epoch).await,
            Deed::Inject(injection) => self.inject(instance, injection, epoch).await,
            Deed::Run(step) => self.step(instance, step, Trial::No).await,
        }
    }

    async fn bootstrap(&mut self, instance: &mut dyn Instance, system: &Bootstrap, epoch: u64) -> Result<(), Failure> {
        let began = self.begin("bootstrap");
        let archive = self.staging.join("system.tar");
        let mut journal = self.journal("bootstrap");
        let made = self.engine.bootstrapper.bootstrap(system, epoch, &archive, &mut journal).await;
        made.inspect_err(|_| self.observer.event(Event::Failed("bootstrap")))?;
        let injection = Injection { what: Selection::Whole, place: Place::Dir("/".to_owned()), owner: None };
        instance.inject(&injection, &archive).await?;
        let _ = std::fs::remove_file(&archive);
        self.report("bootstrap", began, false);
        Ok(())
    }

    async fn inject(&mut self, instance: &mut dyn Instance, injection: &Injection, epoch: u64) -> Result<(), Failure> {
        let began = Instant::now();
        let archive = self.staging.join(format!("files-{}.tar", self.steps.len()));
        let notices = match (&self.material, &injection.what) {
            (Material::Source(source, view), Selection::Whole) => source.archive(&view.files, epoch, &archive).await?,
            (Material::Source(source, _), Selection::Files(files)) => source.archive(files, epoch, &archive).await?,
            (Material::Folder(folder), Selection::Extra(files)) => {
                write_extra(folder, files, epoch, &archive)?;
                Vec::new()
            }
            _ => return Err(Failure::new(Fault::House, "the plan asks for files that it cannot have")),
        };
        for notice in notices {
            let text = format!("{}: {}", notice.path, notice.what);
            // A file that several stages are given is named once.
            if !self.notices.contains(&text) {
                self.observer.event(Event::Notice(&text));
                self.notices.push(text);
            }
        }
        instance.inject(injection, &archive).await?;
        // An archive that is mounted while steps run has to stay.
        if matches!(injection.place, Place::Dir(_)) {
            let _ = std::fs::remove_file(&archive);
        }
        self.note("files", began);
        Ok(())
    }

    async fn step(&mut self, instance: &mut dyn Instance, step: &Step, trial: Trial) -> Result<(), Failure> {
        let began = self.begin(&step.name);
        let mut journal = self.journal(&step.name);
        let exit = match trial {
            Trial::No => instance.run(step, &mut journal).await,
            Trial::Yes => instance.trial(step, &mut journal).await,
        };
        if journal.dropped > 0 {
            let limit = self.plan.limits.log;
            self.observer.event(Event::Notice(&format!(
                "step `{}` wrote {} bytes more than `limits.log` ({limit}); they are not kept",
                step.name, journal.dropped
            )));
        }
        match exit {
            Ok(exit) if exit.evidence == Evidence::Code(0) => {
                self.report(&step.name, began, false);
                Ok(())
            }
            Ok(exit) => {
                self.observer.event(Event::Failed(&step.name));
                Err(self.failed(step, &exit, trial).evidence(journal.last_lines()))
            }
            Err(mut failure) => {
                self.observer.event(Event::Failed(&step.name));
                failure.evidence.extend(journal.last_lines());
                Err(failure)
            }
        }
    }

    fn failed(&self, step: &Step, exit: &Exit, trial: Trial) -> Failure {
        let limits = &self.plan.limits;
        let name = &step.name;
        let raise = |key: &str| format!("raise `limits.{key}` in till.toml, or let it use less");
        let (what, hint) = match exit.evidence {
            Evidence::Code(code) if trial == Trial::Yes => {
                (format!("the test failed (exit code {code}), so there is no artifact"), None)
            }
            Evidence::Code(127) => (
                format!("step `{name}` failed: a command was not found (exit code 127)"),
                Some("use a base that has it, or install it in a step".to_owned()),
            ),
            Evidence::Code(code) => (format!("step `{name}` failed (exit code {code})"), None),
            Evidence::OutOfMemory => {
                (format!("step `{name}` used more memory than {}", limits.memory), Some(raise("memory")))
            }
            Evidence::OutOfPids => {
                (format!("step `{name}` failed and had more than {} processes", limits.pids), Some(raise("pids")))
            }
            Evidence::OutOfDisk => (format!("step `{name}` wrote more than {}", limits.disk), Some(raise("disk"))),
            Evidence::OutOfTime => {
                (format!("step `{name}` took longer than {}", String::from(limits.time)), Some(raise("time")))
            }
        };
        let hint = hint.unwrap_or_else(|| format!("the whole log: {}", self.log_path(name).display()));
        Failure::new(self.fault, what).hint(hint)
    }

    fn log_path(&self, step: &str) -> PathBuf {
        let plain: String = step.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(60).collect();
        self.logs.join(format!("{:02}-{plain}.log", self.steps.len()))
    }

    fn journal(&self, step: &str) -> Journal<'_> {
        Journal::new(self.observer, &self.log_path(step), self.plan.limits.log.0)
    }

    fn begin(&self, name: &str) -> Instant {
        self.observer.event(Event::Began(name));
        Instant::now()
    }

    fn report(&mut self, name: &str, began: Instant, reused: bool) {
        let report = StepReport {
            name: name.to_owned(),
            milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            reused,
        };
        self.observer.event(Event::Ended(&report));
        self.steps.push(report);
    }

    /// Something of ours that took time, told only when it was noticeable.
    fn note(&mut self, name: &str, began: Instant) {
        if began.elapsed().as_millis() >= 50 {
            self.report(name, began, false);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trial {
    Yes,
    No,
}

/// The archive of a base's extra files. Each must still be what the plan says.
fn write_extra(folder: &Path, files: &[ExtraFile], epoch: u64, into: &Path) -> Result<(), Failure> {
    let failed = |path: &str| {
        let what = format!("cannot take `{path}` of the base's folder");
        move |error: std::io::Error| Failure::house(what, error)
    };
    let out = std::fs::File::create(into).map_err(failed("the archive"))?;
    let mut builder = tar::Builder::new(std::io::BufWriter::new(out));
    for file in files {
        let bytes = std::fs::read(folder.join(&file.source)).map_err(failed(&file.source))?;
        if Digest::of(&bytes) != file.digest {
            return Err(Failure::new(
                Fault::Base,
                format!("`{}` of the base's folder changed while it was read", file.source),
            ));
        }
        let mut header = tar::Header::new_gnu();
        header.set_mode(file.mode);
        header.set_size(bytes.len() as u64);
        header.set_mtime(epoch);
        header.set_uid(0);
        header.set_gid(0);
        builder
            .append_data(&mut header, file.path.trim_start_matches('/'), bytes.as_slice())
            .map_err(failed(&file.source))?;
    }
    builder.into_inner().and_then(|mut out| std::io::Write::flush(&mut out)).map_err(failed("the archive"))
}
