//! W4: a real app with dependencies, built and pushed after one change.

use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context as _, Result};

use super::{Case, Contestant, Part};
use crate::bench::peers::{Builder, Registry};
use crate::bench::sample::Sample;
use crate::bench::stage::{Stage, write};
use crate::bench::wanted::Wanted;

/// The same steps as those of our base, as one writes them for Docker. The cache and the certificates are lent, as ours are.
const RECIPE: &str = "FROM python\n\
    ENV PIP_PYTHON=/app/.venv/bin/python PIP_NO_INPUT=1 PIP_PROGRESS_BAR=off PIP_DISABLE_PIP_VERSION_CHECK=1\n\
    WORKDIR /app\n\
    COPY requirements.txt ./\n\
    RUN --mount=type=secret,id=certificates,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/root/.cache/pip install-requirements alone\n\
    COPY . ./\n";

const SECRET: &str = "id=certificates,src=/etc/ssl/certs/ca-certificates.crt";

/// What is changed before each build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Source,
    Requirements,
}

/// The app, where it is sent, and what has been changed so often.
struct App {
    folder: PathBuf,
    registry: Registry,
    change: Change,
}

impl App {
    /// A new line at the end: of the source, or of the requirements.
    fn change(&self, round: u32) -> Result<()> {
        let name = if self.change == Change::Source { "app.py" } else { "requirements.txt" };
        let text = fs::read_to_string(self.folder.join("original").join(name))?;
        write(&self.folder.join("app").join(name), &format!("{text}\n# round {round}\n"))
    }

    fn path(&self) -> String {
        self.folder.join("app").display().to_string()
    }

    fn ours(&self, stage: &Stage) -> Result<Sample> {
        let built = stage.till.run(&["build", &self.path(), "--base", "python", "--name", "w4"])?.sample;
        Ok(built.and(stage.till.run(&["push", "w4", &self.registry.at("ours/w4:1")])?.sample))
    }

    fn docker(&self, stage: &Stage, recipe: &str) -> Result<Sample> {
        let docker = stage.docker.as_ref().context("Docker takes no part")?;
        let at = self.registry.at("docker/w4:1");
        let words = ["--secret", SECRET, "--file", recipe, "--tag", &at, &self.path()];
        let built = docker.build(Builder::BuildKit, &words)?.sample;
        Ok(built.and(docker.run(&["push", "--quiet", &at])?.sample))
    }

    fn buildah(&self, stage: &Stage, recipe: &str) -> Result<Sample> {
        let buildah = stage.buildah().context("buildah takes no part")?;
        let script = "buildah build --layers --pull-never --network host --secret \"$1\" --file \"$2\" --tag localhost/w4 \"$3\"\n\
                      buildah push --tls-verify=false localhost/w4 docker://\"$4\"";
        Ok(buildah.run(script, &[SECRET, recipe, &self.path(), &self.registry.at("buildah/w4:1")])?.sample)
    }
}

/// W4 and W4b.
pub(super) fn pip(stage: &Stage, change: Change) -> Result<Case<'_>> {
    let app = Rc::new(app(stage, change)?);
    let recipe = stage.folder("recipes")?.join("w4");
    write(&recipe, RECIPE)?;
    let recipe = recipe.display().to_string();
    stage.hand_over("base", "python")?;
    app.change(0)?;
    app.ours(stage)?;
    let (ours, path) = (app.clone(), recipe.clone());
    let mut all = vec![Contestant::ours(move |round| {
        ours.change(round)?;
        ours.ours(stage)
    })];
    if stage.docker.is_some() {
        app.docker(stage, &path)?;
        let app = app.clone();
        all.push(Contestant::peer("docker, BuildKit", move |_| app.docker(stage, &path)));
    }
    if stage.buildah().is_some() {
        app.buildah(stage, &recipe)?;
        all.push(Contestant::peer("buildah", move |_| app.buildah(stage, &recipe)));
    }
    let (title, wanted) = match change {
        Change::Source => ("a Flask app with pip, one line of source changed: built and pushed", 0.6),
        Change::Requirements => ("the same, requirements changed: built and pushed", 1.0),
    };
    Ok(Case { idle: 0, parts: vec![Part::whole(title, Wanted::Ratio(wanted), None)], contestants: all })
}

/// The example, twice: as it is, and as it is changed.
fn app(stage: &Stage, change: Change) -> Result<App> {
    let folder = stage.folder("w4")?;
    for copy in ["original", "app"] {
        let to = folder.join(copy);
        let _ = fs::remove_dir_all(&to);
        copy_tree(&stage.examples.join("python-flask"), &to)?;
    }
    Ok(App { folder, registry: Registry::start(&stage.place)?, change })
}

fn copy_tree(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
