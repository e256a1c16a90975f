//! One stage: its instance, its deeds, its layer.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use till_core::id::InstanceId;
use till_core::packages::archive;
use till_core::plan::{Bootstrap, Deed, Injection, Mounted, NamedFile, Place, Selection, Sharing, Sight, Stage, Step};
use till_core::port::{Capture, Environment, Evidence, Exit, Instance, Layer, Lent, Loan, Mount, Opening};
use till_core::{Failure, Fault};
use tokio::sync::OwnedMutexGuard;

use super::Mill;
use super::files::{Archive, Gathered};
use crate::journal::{Event, Journal};
use crate::new_bits;

/// What a stage takes from elsewhere, in the order of its deeds.
struct Supplies<'s> {
    trees: std::slice::Iter<'s, Vec<Layer>>,
    gathered: std::slice::Iter<'s, (PathBuf, till_core::Digest)>,
}

impl Mill<'_> {
    pub(super) async fn stage(
        &self,
        number: usize,
        stage: &Stage,
        trees: &[Vec<Layer>],
        gathered: &Gathered,
    ) -> Result<Layer, Failure> {
        let mut supplies = Supplies { trees: trees.iter(), gathered: gathered.iter() };
        let below = match stage.sight {
            Sight::All => supplies.trees.next().cloned().unwrap_or_default(),
            Sight::Nothing => Vec::new(),
        };
        let began = Instant::now();
        let mut instance = self.environment()?.open(self.opening(stage, below)).await?;
        self.note("open", began);
        for deed in &stage.deeds {
            match deed {
                Deed::Bootstrap(system) => self.bootstrap(&mut *instance, system, stage.epoch).await?,
                Deed::Inject(injection) => {
                    let done = self.inject(&mut *instance, injection, stage.epoch, &mut supplies).await;
                    done.map_err(|failure| self.of_instruction(&stage.name, failure))?;
                }
                Deed::Run(step) => {
                    let done = self.run(&mut *instance, step, stage.epoch, &mut supplies).await;
                    done.map_err(|failure| self.of_instruction(&step.name, failure))?;
                }
            }
        }
        let plan = self.milling.plan;
        let is_work = plan.is_work(number);
        if is_work {
            if let Some(test) = &plan.test {
                self.step(&mut *instance, test, Kind::Trial).await?;
            }
            for step in &plan.finish {
                if self.is_wanted(&mut *instance, step).await? {
                    self.step(&mut *instance, step, Kind::Step(&[])).await?;
                }
            }
            let collected = instance.find(&plan.collect).await?;
            self.story().collected.found = collected.found;
            self.expect_starts(&mut *instance).await?;
        }
        if !stage.texts.is_empty() {
            let texts = instance.read(&stage.texts).await?;
            self.story().collected.texts.extend(texts);
        }
        let began = self.begin("snapshot");
        let remove = if is_work { plan.remove.clone() } else { Vec::new() };
        let layer = instance.snapshot(&Capture { remove, volatile: plan.volatile.clone() }).await?;
        self.report("snapshot", began, false);
        Ok(layer)
    }

    /// Where the plan is carried out.
    fn environment(&self) -> Result<&dyn Environment, Failure> {
        self.milling.engine.environment(&self.milling.plan.environment)
    }

    fn opening(&self, stage: &Stage, layers: Vec<Layer>) -> Opening {
        let mount = |cache: &till_core::plan::Cache| Mount {
            host: self.milling.caches.join(&cache.name),
            path: cache.path.clone(),
            owner: cache.owner.clone(),
        };
        let kernel = self.milling.plan.machine.as_ref().and_then(|machine| machine.kernel.as_ref());
        Opening {
            id: InstanceId::from_bits(new_bits()),
            layers,
            mounts: self.milling.plan.caches.iter().map(mount).collect(),
            kernel: kernel.map(|kernel| self.milling.engine.store.path(&kernel.digest)),
            limits: self.milling.plan.limits.clone(),
            epoch: stage.epoch,
        }
    }

    async fn bootstrap(&self, instance: &mut dyn Instance, system: &Bootstrap, epoch: u64) -> Result<(), Failure> {
        let began = self.begin("bootstrap");
        let archive = self.milling.staging.join("system.tar");
        let mut journal = self.journal("bootstrap");
        let missing = || Failure::new(Fault::House, "there is no archive of packages to make a system from");
        let packages = self.milling.material.packages.ok_or_else(missing)?;
        let packages = &packages.join(archive::folder(&self.milling.plan.packages));
        let made = self.milling.engine.bootstrapper.bootstrap(system, packages, epoch, &archive, &mut journal).await;
        made.inspect_err(|_| self.event(Event::Failed("bootstrap")))?;
        let injection = Injection { what: Selection::Whole, place: Place::Dir("/".to_owned()), owner: None };
        instance.inject(&injection, &archive).await?;
        let _ = std::fs::remove_file(&archive);
        self.report("bootstrap", began, false);
        Ok(())
    }

    async fn inject(
        &self,
        instance: &mut dyn Instance,
        injection: &Injection,
        epoch: u64,
        supplies: &mut Supplies<'_>,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        let archive = match (&injection.what, supplies.gathered.as_slice()) {
            (Selection::Tree(_), [(archive, _), ..]) => {
                supplies.trees.next();
                supplies.gathered.next();
                archive.clone()
            }
            (what, _) => self.archive(what, epoch).await?,
        };
        instance.inject(injection, &archive).await?;
        // An archive that is mounted while steps run has to stay.
        if !matches!(injection.place, Place::Tar(_)) {
            let _ = std::fs::remove_file(&archive);
        }
        self.note("files", began);
        Ok(())
    }

    async fn run(
        &self,
        instance: &mut dyn Instance,
        step: &Step,
        epoch: u64,
        supplies: &mut Supplies<'_>,
    ) -> Result<(), Failure> {
        if !self.is_wanted(instance, step).await? {
            return Ok(());
        }
        let (mut step, mut loans) = (step.clone(), Vec::new());
        let _locks = self.lock_caches(&step).await;
        for mount in std::mem::take(&mut step.mounts) {
            let what = match mount.what {
                Mounted::Tree { source, .. } => {
                    Lent::Image { layers: supplies.trees.next().cloned().unwrap_or_default(), source }
                }
                Mounted::Source(files) => self.lend_files(files, epoch).await?,
                Mounted::Script(text) => self.lend_text(text.as_bytes(), (0, 0), 0o755)?,
                Mounted::Cache { name, owner, mode, .. } => {
                    Lent::Directory { host: self.milling.caches.join(name), owner, mode }
                }
                Mounted::Packages(list) => self.lend_folder(self.milling.material.packages, &archive::folder(&list))?,
                Mounted::Record(number) => self.lend_folder(self.milling.material.record, &number.to_string())?,
                Mounted::Tmpfs { size } => Lent::Tmpfs(size),
                Mounted::Secret { id, required, owner, mode, env } => match self.milling.material.secrets.get(&id) {
                    None if required => {
                        return Err(Failure::new(
                            Fault::Caller,
                            format!("step `{}` needs the secret `{id}`", step.name),
                        )
                        .hint(format!("give it: --secret id={id},src=FILE")));
                    }
                    None => continue,
                    Some(secret) => match env {
                        Some(name) => {
                            step.env.insert(name, String::from_utf8_lossy(secret).into_owned());
                            continue;
                        }
                        None => self.lend_text(secret, owner, mode)?,
                    },
                },
            };
            loans.push(Loan { path: mount.path, write: mount.write, what });
        }
        self.step(instance, &step, Kind::Step(&loans)).await
    }

    /// Whether what the step waits for is there.
    async fn is_wanted(&self, instance: &mut dyn Instance, step: &Step) -> Result<bool, Failure> {
        if step.built.is_empty() {
            return Ok(true);
        }
        let collected = instance.find(&step.built).await?;
        Ok(collected.found.values().any(|paths| !paths.is_empty()))
    }

    /// A folder of ours; who is lent it to write is root inside.
    fn lend_folder(&self, folder: Option<&Path>, name: &str) -> Result<Lent, Failure> {
        let missing = || Failure::new(Fault::House, "the plan asks for a folder that it cannot have");
        Ok(Lent::Directory { host: folder.ok_or_else(missing)?.join(name), owner: (0, 0), mode: 0o755 })
    }

    /// Files of the source; one without a name is lent as a file.
    async fn lend_files(&self, mut files: Vec<NamedFile>, epoch: u64) -> Result<Lent, Failure> {
        let single = match files.as_mut_slice() {
            [only] if only.name.is_empty() => {
                only.name = "file".to_owned();
                Some(if only.file.kind == till_core::model::FileKind::Executable { 0o755 } else { 0o644 })
            }
            _ => None,
        };
        let tar = self.archive(&Selection::Named(files), epoch).await?;
        Ok(match single {
            Some(mode) => Lent::File { tar, owner: (0, 0), mode },
            None => Lent::Archive(tar),
        })
    }

    fn lend_text(&self, text: &[u8], owner: (u32, u32), mode: u32) -> Result<Lent, Failure> {
        let failed = |error: std::io::Error| Failure::house("cannot write what a step is lent", error);
        let tar = self.new_archive();
        let mut archive = Archive::create(&tar).map_err(failed)?;
        archive.file("file", mode, 0, (text.len() as u64, text)).map_err(failed)?;
        archive.finish().map_err(failed)?;
        Ok(Lent::File { tar, owner, mode })
    }

    /// Each once and in the order of their names, so that no two steps wait for each other.
    async fn lock_caches(&self, step: &Step) -> Vec<OwnedMutexGuard<()>> {
        let locked = step.mounts.iter().filter_map(|mount| match &mount.what {
            Mounted::Cache { name, sharing: Sharing::Locked, .. } => Some(name.clone()),
            _ => None,
        });
        let mut guards = Vec::new();
        for name in locked.collect::<BTreeSet<_>>() {
            let lock = {
                let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(locks.entry(name).or_default())
            };
            guards.push(lock.lock_owned().await);
        }
        guards
    }

    async fn step(&self, instance: &mut dyn Instance, step: &Step, kind: Kind<'_>) -> Result<(), Failure> {
        let began = self.begin(&step.name);
        let mut journal = self.journal(&step.name);
        let exit = match kind {
            Kind::Step(loans) => instance.run(step, loans, &mut journal).await,
            Kind::Trial => instance.trial(step, &mut journal).await,
        };
        if journal.dropped > 0 {
            let limit = self.milling.plan.limits.log;
            self.event(Event::Notice(&format!(
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
                self.event(Event::Failed(&step.name));
                if self.milling.looks {
                    self.look(instance, step, kind).await?;
                }
                let unstarted = match exit.evidence {
                    Evidence::Code(126 | 127) => self.unstarted(instance, step).await,
                    _ => None,
                };
                let failure = unstarted.unwrap_or_else(|| self.failed(step, &exit, kind, &journal));
                Err(failure.evidence(journal.last_lines()))
            }
            Err(failure) => {
                self.event(Event::Failed(&step.name));
                let mut failure = self.unstarted(instance, step).await.unwrap_or(failure);
                failure.evidence.extend(journal.last_lines());
                Err(failure)
            }
        }
    }

    /// Lets who builds look into the instance in which a step failed.
    async fn look(&self, instance: &mut dyn Instance, step: &Step, kind: Kind<'_>) -> Result<(), Failure> {
        self.event(Event::Notice(&format!("a shell where `{}` failed; `exit` ends it, and the build", step.name)));
        let loans = match kind {
            Kind::Step(loans) => loans,
            Kind::Trial => &[],
        };
        instance.shell(step, loans).await
    }

    fn failed(&self, step: &Step, exit: &Exit, kind: Kind<'_>, journal: &Journal<'_>) -> Failure {
        let limits = &self.milling.plan.limits;
        let name = &step.name;
        let raise = |key: &str| format!("raise `limits.{key}` in till.toml, or let it use less");
        let (what, hint) = match exit.evidence {
            Evidence::Code(code) if matches!(kind, Kind::Trial) => {
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
        let hint = hint.unwrap_or_else(|| format!("the whole log: {}", journal.path().display()));
        Failure::new(self.milling.fault, what).hint(hint)
    }

    pub(super) fn journal(&self, step: &str) -> Journal<'_> {
        let plain: String = step.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(60).collect();
        let number = {
            let mut story = self.story();
            story.logs += 1;
            story.logs - 1
        };
        let path = self.milling.logs.join(format!("{number:02}-{plain}.log"));
        Journal::new(self.milling.observer, &path, self.milling.plan.limits.log.0)
    }
}

/// How a step is run.
#[derive(Clone, Copy)]
enum Kind<'k> {
    /// For good, with what it is lent.
    Step(&'k [Loan]),
    /// For its exit code alone.
    Trial,
}
