//! W1 and W7: what a build costs whose step does nothing, and what it costs to see that nothing is to be done.

use std::path::PathBuf;

use anyhow::Result;

use super::{Case, Contestant, Part, Row};
use crate::bench::machine;
use crate::bench::peers::Builder;
use crate::bench::sample::Role;
use crate::bench::stage::{Stage, write};
use crate::bench::wanted::Wanted;

pub(super) const BUILDERS: [(&str, Builder); 2] =
    [("docker, BuildKit", Builder::BuildKit), ("docker, classic", Builder::Classic)];

/// The step.
const NOTHING: &str = "true";

/// W1.
pub(super) fn overhead(stage: &Stage) -> Result<Case<'_>> {
    let files = small_file(stage, "w1")?;
    let path = files.display().to_string();
    let recipe = recipe(stage, "w1", NOTHING)?.display().to_string();
    let ours = path.clone();
    let mut all = vec![Contestant::ours(move |_| {
        Ok(stage.till.run(&["build", &ours, "--base", "bench", "--name", "w1", "--afresh"])?.sample)
    })];
    if let Some(docker) = &stage.docker {
        for (name, builder) in BUILDERS {
            let (path, recipe) = (path.clone(), recipe.clone());
            all.push(Contestant::peer(name, move |_| {
                Ok(docker.build(builder, &["--no-cache", "--file", &recipe, "--tag", "w1", &path])?.sample)
            }));
        }
    }
    if let Some(buildah) = stage.buildah() {
        let script = by_commands(NOTHING, "");
        all.push(Contestant::peer("buildah", move |_| Ok(buildah.run(&script, &[&path, "w1"])?.sample)));
    }
    if let Some(umoci) = &stage.umoci {
        all.push(Contestant::peer("umoci", move |round| Ok(umoci.run(&files, NOTHING, "w1", round)?.sample)));
    }
    let title = "one small file put in, `true` run, the image ready to run";
    let part = Part::whole(title, Wanted::Ratio(0.3), Some(machine::namespaces()?));
    Ok(Case { idle: 1, parts: vec![part], contestants: all })
}

/// W7.
pub(super) fn again(stage: &Stage) -> Result<Case<'_>> {
    let files = small_file(stage, "w7")?.display().to_string();
    let recipe = recipe(stage, "w7", NOTHING)?.display().to_string();
    let ours = files.clone();
    let build = move || stage.till.run(&["build", &ours, "--base=bench", "--name=w7"]);
    build()?;
    let mut all = vec![
        Contestant::ours(move |_| Ok(build()?.sample)),
        Contestant::new(vec![Row::new(1, "till", Role::Ours)], |_| Ok(stage.till.run(&["--version"])?.sample)),
    ];
    if let Some(docker) = &stage.docker {
        for (name, builder) in BUILDERS {
            let (recipe, files) = (recipe.clone(), files.clone());
            let build = move || docker.build(builder, &["--file", &recipe, "--tag=w7", &files]);
            build()?;
            all.push(Contestant::peer(name, move |_| Ok(build()?.sample)));
        }
    }
    let limit = Some(machine::process()?);
    let parts = vec![
        Part::whole("the same plan again", Wanted::Seconds(0.05), limit.clone()),
        Part { name: "startup", title: "`till --version`", wanted: Wanted::Seconds(0.01), limit },
    ];
    Ok(Case { idle: 0, parts, contestants: all })
}

fn small_file(stage: &Stage, app: &str) -> Result<PathBuf> {
    let files = stage.folder(app)?;
    write(&files.join("file"), "a small file\n")?;
    Ok(files)
}

/// A Dockerfile, beside what is put in: it is not part of that.
pub(super) fn recipe(stage: &Stage, app: &str, step: &str) -> Result<PathBuf> {
    let argv = step.split(' ').map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    let path = stage.folder("recipes")?.join(app);
    write(&path, &format!("FROM bench\nCOPY . /app/\nRUN [{argv}]\n"))?;
    Ok(path)
}

/// buildah is faster by its own commands than by a Dockerfile. Takes the folder and the target of the commit.
pub(super) fn by_commands(step: &str, options: &str) -> String {
    format!(
        "c=$(buildah from --pull-never localhost/bench)\nbuildah copy \"$c\" \"$1\" /app/\n\
         buildah run --network host \"$c\" -- {step}\nbuildah commit {options} \"$c\" \"$2\"\n"
    )
}
