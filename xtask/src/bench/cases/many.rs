//! W8: ten builds at once.

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Result, bail};

use super::build::recipe;
use super::{Case, Contestant, Part, Turn};
use crate::bench::machine;
use crate::bench::measure::costs;
use crate::bench::stage::{Stage, write};
use crate::bench::table::seconds;
use crate::bench::wanted::Wanted;

/// More than any machine that we have has processors for.
const BUILDS: usize = 10;

/// Something that takes a processor for a moment and leaves a little.
const WORK: &str = "perl /app/work.pl";
const SCRIPT: &str = "my $x = 1; $x = ($x * 69069 + 1) % 4294967296 for 1 .. 3_000_000;\n\
    open(my $f, '>', '/app/result') or die; print $f \"$x\\n\";\n";

pub(super) fn many(stage: &Stage) -> Result<Case<'_>> {
    let mut folders = Vec::new();
    for number in 0..BUILDS {
        let folder = stage.folder(&format!("w8-{number}"))?;
        write(&folder.join("number"), &number.to_string())?;
        write(&folder.join("work.pl"), SCRIPT)?;
        write(&folder.join("make.sh"), &format!("{WORK}\n"))?;
        folders.push(folder.display().to_string());
    }
    let recipe = recipe(stage, "w8", "sh /app/make.sh")?.display().to_string();
    let ours = folders.clone();
    let mut all = vec![Contestant::ours(move |_| {
        let command = |(number, folder): (usize, &String)| {
            stage.till.command(&["build", folder, "--base=bench", "--name", &format!("w8-{number}"), "--afresh"])
        };
        at_once(ours.iter().enumerate().map(command).collect(), &[])
    })];
    if let Some(docker) = &stage.docker {
        all.push(Contestant::peer("docker, BuildKit", move |_| {
            let command = |(number, folder): (usize, &String)| {
                let tag = format!("w8-{number}");
                docker.client(&["build", "--no-cache", "--network=host", "--file", &recipe, "--tag", &tag, folder])
            };
            at_once(folders.iter().enumerate().map(command).collect(), &docker.daemons())
        }));
    }
    // That none was starved no number says: it is to be seen in the notes.
    let title = "ten builds at once, each with a step that computes for a moment; none starved (see the notes)";
    let part = Part::whole(title, Wanted::Ratio(0.8), Some(machine::namespaces()?));
    Ok(Case { idle: 1, parts: vec![part], contestants: all })
}

/// Runs all of them at once, measures until the last is done, and notes when the first was.
fn at_once(commands: Vec<Command>, daemons: &[u32]) -> Result<Turn> {
    let (ends, sample) = costs(daemons, || {
        let began = Instant::now();
        let start = |mut command: Command| command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let children: Vec<Child> = commands.into_iter().map(start).collect::<Result<_, _>>()?;
        std::thread::scope(|scope| {
            let wait = |mut child: Child| scope.spawn(move || (child.wait(), began.elapsed().as_secs_f64()));
            let waiting: Vec<_> = children.into_iter().map(wait).collect();
            let mut ends = Vec::new();
            for one in waiting {
                match one.join() {
                    Ok((Ok(status), end)) if status.success() => ends.push(end),
                    _ => bail!("one of several builds failed"),
                }
            }
            Ok(ends)
        })
    })?;
    let first = ends.iter().copied().fold(f64::INFINITY, f64::min);
    let last = ends.iter().copied().fold(0.0, f64::max);
    let note = format!("the first of {BUILDS} was done after {}, the last after {}", seconds(first), seconds(last));
    Ok(Turn { samples: vec![sample], note: Some(note) })
}
