//! Builds upon the base `bench`: what a build costs whose step does nothing, and what it costs to keep what a step leaves.

use std::path::PathBuf;

use anyhow::Result;

use super::{Case, Contestant};
use crate::bench::machine;
use crate::bench::measure::Ran;
use crate::bench::peers::Builder;
use crate::bench::sample::Sample;
use crate::bench::stage::{Stage, write};

/// What is done in a case: the files that are put in, and the step.
struct Work {
    app: &'static str,
    files: PathBuf,
    step: &'static str,
    recipe: PathBuf,
    /// Which part of a run counts.
    count: fn(Ran) -> Result<Sample>,
}

const MAKE: &str = "sh /app/make.sh";

/// W1.
pub(super) fn overhead(stage: &Stage) -> Result<Case<'_>> {
    let files = stage.folder("w1")?;
    write(&files.join("file"), "a small file\n")?;
    let work =
        Work { app: "w1", step: "true", recipe: recipe(stage, "w1", "true")?, files, count: |ran| Ok(ran.sample) };
    Ok(Case {
        title: "one small file put in, `true` run, the image ready to run",
        idle: 1,
        wanted: "≤ 0.3",
        limit: Some(machine::namespaces()?),
        contestants: contestants(stage, work),
    })
}

/// W2.
pub(super) fn small_files(stage: &Stage) -> Result<Case<'_>> {
    Ok(Case {
        title: "50,000 files of 1–8 KiB: from the end of the step to the image stored",
        idle: 0,
        wanted: "≤ 0.2",
        limit: Some(machine::archive(stage, "small")?),
        contestants: contestants(stage, tree(stage, "w2", "small")?),
    })
}

/// Makes sure that till has the image of W2.
pub(super) fn small_tree(stage: &Stage) -> Result<()> {
    let work = tree(stage, "w2", "small")?;
    stage.till.ask(&["build", &work.files.display().to_string(), "--base", "bench", "--name", "w2"]).map(drop)
}

/// W3.
pub(super) fn large_files(stage: &Stage) -> Result<Case<'_>> {
    Ok(Case {
        title: "1 GiB in 64 files, half incompressible: from the end of the step to the image stored",
        idle: 0,
        wanted: "≤ 0.3",
        limit: Some(machine::archive(stage, "large")?),
        contestants: contestants(stage, tree(stage, "w3", "large")?),
    })
}

/// W7.
pub(super) fn again(stage: &Stage) -> Result<Case<'_>> {
    let files = stage.folder("w7")?;
    write(&files.join("file"), "a small file\n")?;
    let recipe = recipe(stage, "w7", "true")?.display().to_string();
    let files = files.display().to_string();
    let ours = vec!["build".to_owned(), files.clone(), "--base=bench".to_owned(), "--name=w7".to_owned()];
    let theirs = vec!["--file".to_owned(), recipe, "--tag=w7".to_owned(), files];
    stage.till.run(&words(&ours))?;
    let mut contestants = vec![Contestant::ours(move |_| Ok(stage.till.run(&words(&ours))?.sample))];
    if let Some(docker) = &stage.docker {
        for (name, builder) in BUILDERS {
            docker.build(builder, &words(&theirs))?;
            let theirs = theirs.clone();
            contestants.push(Contestant::peer(name, move |_| Ok(docker.build(builder, &words(&theirs))?.sample)));
        }
    }
    Ok(Case {
        title: "the same plan again", idle: 0, wanted: "≤ 50 ms", limit: Some(machine::process()?), contestants
    })
}

const BUILDERS: [(&str, Builder); 2] = [("docker, BuildKit", Builder::BuildKit), ("docker, classic", Builder::Classic)];

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn tree(stage: &Stage, app: &'static str, kind: &str) -> Result<Work> {
    let files = stage.folder(app)?;
    stage.maker(&files)?;
    write(&files.join("kind"), kind)?;
    let recipe = recipe(stage, app, MAKE)?;
    Ok(Work { app, files, step: MAKE, recipe, count: Ran::since_the_step })
}

/// A Dockerfile, beside what is put in: it is not part of that.
pub(super) fn recipe(stage: &Stage, app: &str, step: &str) -> Result<PathBuf> {
    let argv = step.split(' ').map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    let path = stage.folder("recipes")?.join(app);
    write(&path, &format!("FROM bench\nCOPY . /app/\nRUN [{argv}]\n"))?;
    Ok(path)
}

/// Everybody who does this work.
fn contestants(stage: &Stage, work: Work) -> Vec<Contestant<'_>> {
    let Work { app, files, step, recipe, count } = work;
    let (path, recipe) = (files.display().to_string(), recipe.display().to_string());
    let ours = path.clone();
    let mut all = vec![Contestant::ours(move |_| {
        count(stage.till.run(&["build", &ours, "--base", "bench", "--name", app, "--afresh"])?)
    })];
    if let Some(docker) = &stage.docker {
        for (name, builder) in BUILDERS {
            let (path, recipe) = (path.clone(), recipe.clone());
            all.push(Contestant::peer(name, move |_| {
                count(docker.build(builder, &["--no-cache", "--file", &recipe, "--tag", app, &path])?)
            }));
        }
    }
    if let Some(buildah) = stage.buildah() {
        all.push(Contestant::peer("buildah", move |_| count(buildah.run(&by_commands(step, app), &[&path])?)));
    }
    if let Some(umoci) = &stage.umoci {
        all.push(Contestant::peer("umoci", move |round| count(umoci.run(&files, step, app, round)?)));
    }
    all
}

/// buildah is faster by its own commands than by a Dockerfile.
fn by_commands(step: &str, app: &str) -> String {
    format!(
        "c=$(buildah from --pull-never localhost/bench)\nbuildah copy \"$c\" \"$1\" /app/\n\
         buildah run --network host \"$c\" -- {step}\nbuildah commit \"$c\" {app}\n"
    )
}
