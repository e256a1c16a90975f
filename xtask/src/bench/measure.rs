//! Runs a command and takes down what it cost: its time, that of all its processes, and their memory.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};

use super::proc;
use super::sample::Sample;

/// Often enough to see a builder's peak; each look takes a fraction of a millisecond.
const LOOK: Duration = Duration::from_millis(20);

/// What a step prints as its last deed, before the seconds since 1970.
const STEP_ENDED: &str = "STEP-ENDED ";

/// A command that has run.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) sample: Sample,
    /// All that it printed, on both ways.
    pub(super) output: String,
    ended: f64,
}

impl Ran {
    /// The same, counted from when the step ended, as it said itself.
    pub(super) fn since_the_step(self) -> Result<Sample> {
        let step = step_ended(&self.output).context("the step did not say when it ended")?;
        Ok(Sample { seconds: self.ended - step, ..self.sample })
    }
}

/// Runs it to its end; a failure shows what it printed.
pub(super) fn run(mut command: Command, daemons: &[u32], log: &Path) -> Result<Ran> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stdout(file.try_clone()?).stderr(file);
    let (status, sample) =
        costs(daemons, || Ok(command.status()?)).with_context(|| format!("cannot run {command:?}"))?;
    let ended = now();
    let output = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
    if !status.success() {
        bail!("{command:?} failed ({status}):\n{output}");
    }
    Ok(Ran { sample, output, ended })
}

/// What some work costs that is done by our children and by these daemons.
pub(super) fn costs<T>(daemons: &[u32], work: impl FnOnce() -> Result<T>) -> Result<(T, Sample)> {
    // What was started before is somebody else's daemon, unless it was named.
    let others: Vec<u32> = proc::children(std::process::id());
    let done = AtomicBool::new(false);
    proc::forget_peaks(daemons);
    let cpu = || proc::children_cpu() + proc::trees_cpu(daemons);
    let before = cpu();
    let (result, seconds, memory) = std::thread::scope(|scope| {
        let looker = scope.spawn(|| look(&others, daemons, &done));
        let began = Instant::now();
        let result = work();
        let seconds = began.elapsed().as_secs_f64();
        done.store(true, Ordering::Relaxed);
        (result, seconds, looker.join().unwrap_or(0))
    });
    // Children that daemons wait for a little later are still counted as theirs, for they are in their trees.
    Ok((result?, Sample { seconds, cpu: cpu() - before, memory }))
}

/// The most that was seen until it is done.
fn look(others: &[u32], daemons: &[u32], done: &AtomicBool) -> u64 {
    let mut most = 0;
    while !done.load(Ordering::Relaxed) {
        let mut roots = proc::children(std::process::id());
        roots.retain(|pid| !others.contains(pid));
        roots.extend(daemons);
        most = most.max(proc::trees_memory(&roots));
        std::thread::sleep(LOOK);
    }
    most
}

/// Seconds since 1970: the clock that the inside of a container shares with us.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The last time that was printed. Some builders print the command, too, in which no time stands.
fn step_ended(output: &str) -> Option<f64> {
    let times = output.split(STEP_ENDED).skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        rest[..end].parse().ok()
    });
    times.last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_time_counts_and_a_command_is_none() {
        let output = "#5 RUN echo STEP-ENDED $(date)\n#5 3.1 STEP-ENDED 12.5\nx STEP-ENDED 13.25 done\n";
        assert_eq!(step_ended(output), Some(13.25));
        assert_eq!(step_ended("STEP-ENDED $(date +%s.%N)"), None);
    }
}
