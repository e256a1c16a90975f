//! A stage in a system that stays a disk: the system itself does all of it in one start, and says how far it is.

use std::time::Instant;

use till_core::id::InstanceId;
use till_core::plan::{Deed, Stage};
use till_core::port::{End, Evidence, Layer, LogSink as _, Outcome, Sitting};
use till_core::system::{Act, Job, Said, SystemDraft};
use till_core::{Failure, Fault};

use super::Mill;
use crate::journal::{Event, Journal};
use crate::new_bits;
use crate::system::keep;

/// What is told of a sitting, as it is told.
struct Telling<'m> {
    mill: &'m Mill<'m>,
    acts: &'m [Act],
    since: Instant,
    /// Of the act that it is at.
    journal: Option<Journal<'m>>,
    started: bool,
}

impl Mill<'_> {
    /// Carries a stage out upon these layers, and tests what it comes to where the plan says so.
    pub(super) async fn sit(
        &self,
        system: &SystemDraft,
        number: usize,
        stage: &Stage,
        below: &[Layer],
    ) -> Result<Layer, Failure> {
        let plan = self.milling.plan;
        let title = self.title();
        let none = || Failure::new(Fault::House, "the plan cannot be carried out in a system that stays a disk");
        let job = Job::of(plan, number, stage, &title).ok_or_else(none)?;
        let mut archives = Vec::new();
        for deed in &stage.deeds {
            if let Deed::Inject(injection) = deed {
                archives.push(self.archive(&injection.what, stage.epoch).await?);
            }
        }
        let mut sitting = Sitting {
            id: InstanceId::from_bits(new_bits()),
            chain: self.milling.engine.disk_files(below),
            system: system.spec.clone(),
            job,
            archives,
            hostname: title.clone(),
            limits: plan.limits.clone(),
            console: self.milling.logs.join(format!("console-{number}.log")),
        };
        let delta = self.milling.staging.join(format!("delta-{number}"));
        self.attend(&sitting, Some(&delta)).await?;
        let began = self.begin("snapshot");
        let layer = keep(&self.milling.engine.store, delta.clone()).await?;
        let _ = std::fs::remove_file(&delta);
        self.report("snapshot", began, false);
        if let Some(test) = plan.test.as_ref().filter(|_| plan.is_work(number)) {
            sitting.id = InstanceId::from_bits(new_bits());
            sitting.chain.push(self.milling.engine.store.path(&layer.blob));
            sitting.job = Job::trial(test, &title);
            sitting.archives.clear();
            sitting.console = self.milling.logs.join("console-test.log");
            let failed = |failure: Failure| failure.within("the test failed, so there is no artifact");
            self.attend(&sitting, None).await.map_err(failed)?;
        }
        Ok(layer)
    }

    /// What services and the system call themselves: as the app is called.
    fn title(&self) -> String {
        // The caches' folder is called like the app.
        self.milling.caches.file_name().map_or("till".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    async fn attend(&self, sitting: &Sitting, delta: Option<&std::path::Path>) -> Result<(), Failure> {
        let mut telling =
            Telling { mill: self, acts: &sitting.job.acts, since: self.begin("start"), journal: None, started: false };
        let outcome = self.milling.engine.systems.attend(sitting, delta, &mut |said| telling.tell(said)).await;
        let lines = telling.journal.as_ref().map(Journal::last_lines).unwrap_or_default();
        match outcome {
            Ok(Outcome::Done) => Ok(()),
            Ok(Outcome::Act { number, end }) => {
                let Some(act) = sitting.job.acts.get(number) else {
                    return Err(Failure::new(Fault::Base, "the system speaks of what it was not told to do"));
                };
                self.event(Event::Failed(&act.name()));
                Err(self.ended(act, &end).evidence(lines))
            }
            Err(failure) => {
                let failed = if telling.started { "system" } else { "start" };
                self.event(Event::Failed(failed));
                Err(failure)
            }
        }
    }

    /// An act ended otherwise than well.
    fn ended(&self, act: &Act, end: &End) -> Failure {
        let name = act.name();
        let limits = &self.milling.plan.limits;
        let raise = |key: &str| format!("raise `limits.{key}` in till.toml, or let it use less");
        let fault = match act {
            Act::Run(_) | Act::Unpack { .. } => self.milling.fault,
            _ => Fault::Base,
        };
        let (what, hint) = match end {
            End::Code(code) => (format!("step `{name}` failed (exit code {})", code_text(*code)), None),
            End::Failed(why) => (format!("step `{name}` failed: {why}"), None),
            End::Killed(Evidence::OutOfTime) => {
                (format!("step `{name}` took longer than {}", String::from(limits.time)), Some(raise("time")))
            }
            End::Killed(_) => (format!("step `{name}` wrote more than {}", limits.disk), Some(raise("disk"))),
        };
        let hint = hint.unwrap_or_else(|| format!("the whole log: {}", self.milling.logs.display()));
        Failure::new(fault, what).hint(hint)
    }
}

/// Windows has codes of its own for programs that were ended, and writes them so.
fn code_text(code: u32) -> String {
    if code < 0x1_0000 { code.to_string() } else { format!("0x{code:08X}") }
}

impl Telling<'_> {
    fn tell(&mut self, said: Said) {
        match said {
            Said::Began(number) => {
                if !self.started {
                    self.started = true;
                    self.mill.report("start", self.since, false);
                }
                let Some(act) = self.acts.get(number) else { return };
                self.since = self.mill.begin(&act.name());
                self.journal = Some(self.mill.journal(&act.name()));
            }
            Said::Log(bytes) => {
                if let Some(journal) = &mut self.journal {
                    journal.write(&bytes);
                }
            }
            Said::Ended(number, 0) => {
                let Some(act) = self.acts.get(number) else { return };
                if let Some(dropped) = self.journal.as_ref().map(|journal| journal.dropped).filter(|count| *count > 0) {
                    let limit = self.mill.milling.plan.limits.log;
                    self.mill.event(Event::Notice(&format!(
                        "step `{}` wrote {dropped} bytes more than `limits.log` ({limit}); they are not kept",
                        act.name()
                    )));
                }
                self.mill.report(&act.name(), self.since, false);
            }
            Said::Note(note) => self.mill.notice(note),
            Said::Restart(number) => {
                let name = self.acts.get(number).map_or(String::new(), Act::name);
                self.mill.notice(format!("the system restarts, as `{name}` asks for"));
            }
            Said::Ended(..) | Said::Failed(..) | Said::Done => {}
        }
    }
}
