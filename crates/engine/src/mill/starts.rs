//! Why something cannot be started: what an exit code alone does not say.

use till_core::plan::Step;
use till_core::port::{Instance, Obstacle, Program, Unstartable};
use till_core::{Failure, Fault};

use super::Mill;

/// What runs a line that is given to it.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "ash", "ksh", "zsh"];

impl Mill<'_> {
    /// What of a step cannot be started, if it is that: its program, or the one that its shell is given as `$0`.
    pub(super) async fn unstarted(&self, instance: &mut dyn Instance, step: &Step) -> Option<Failure> {
        let search = step.env.get("PATH").map_or("", String::as_str);
        let name = step.argv.first()?;
        let program = |name| Program { name, search, dir: &step.dir, user: &step.user };
        let mut found = instance.unstartable(&program(name)).await.ok()?;
        let is_shell = SHELLS.contains(&name.rsplit('/').next().unwrap_or(name));
        if let (None, true, [_, flag, _, called, ..]) = (&found, is_shell, step.argv.as_slice())
            && flag == "-c"
        {
            found = instance.unstartable(&program(called)).await.ok()?;
            // A shell takes it for a script of its own.
            found = found.filter(|found| found.why != Obstacle::Format);
        }
        Some(self.because(&format!("step `{}`", step.name), &found?))
    }

    /// What the image is for can be started; seen, not tried.
    pub(super) async fn expect_starts(&self, instance: &mut dyn Instance) -> Result<(), Failure> {
        for start in &self.milling.plan.starts {
            let program = Program { name: &start.path, search: "", dir: "/", user: &start.user };
            // An entrypoint may be a shell.
            let found = instance.unstartable(&program).await?.filter(|found| found.why != Obstacle::Format);
            if let Some(found) = found {
                return Err(self.because("the artifact", &found));
            }
        }
        Ok(())
    }

    /// Who put it there, is to blame for it; what is not there should have been in the base.
    fn because(&self, what: &str, found: &Unstartable) -> Failure {
        let Unstartable { path, why, written } = found;
        let fault = match self.milling.fault {
            Fault::Source if !written && !self.milling.plan.is_dockerfile() => Fault::Base,
            fault => fault,
        };
        Failure::new(fault, format!("{what} cannot be started: `{path}`: {why}")).hint(why.hint())
    }
}
