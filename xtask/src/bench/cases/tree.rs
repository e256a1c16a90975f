//! W2 and W3: what it costs to keep what a step leaves, as an image with a compressed layer.
//!
//! Docker and buildah store a layer as it is; till and umoci have compressed it by then. So that all have done the same, each
//! of those two goes on to where it first has it compressed, by the fastest of its ways: a registry on the loopback that has
//! the base's layer already, as the stores of the others have it. What they need until the image is stored as it is, is shown.

use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context as _, Result};

use super::build::{BUILDERS, by_commands, recipe};
use super::{Case, Contestant, Part, Row};
use crate::bench::machine;
use crate::bench::peers::{Builder, Registry};
use crate::bench::sample::{Role, Sample};
use crate::bench::stage::{Stage, write};
use crate::bench::wanted::Wanted;

/// The step says itself when it ends.
const MAKE: &str = "sh /app/make.sh";

/// The app: what is put in, which says what tree the step makes, and the same as a Dockerfile.
struct Tree {
    app: &'static str,
    files: PathBuf,
    recipe: PathBuf,
}

/// W2.
pub(super) fn small_files(stage: &Stage) -> Result<Case<'_>> {
    let title = "50,000 files of 1–8 KiB: from the end of the step to the image stored with a compressed layer";
    let part = Part::whole(title, Wanted::Ratio(0.2), Some(machine::archive(stage, "small")?));
    Ok(Case { idle: 0, parts: vec![part], contestants: contestants(stage, "w2", "small")? })
}

/// W3.
pub(super) fn large_files(stage: &Stage) -> Result<Case<'_>> {
    let title =
        "1 GiB in 64 files, half incompressible: from the end of the step to the image stored with a compressed layer";
    let part = Part::whole(title, Wanted::Ratio(0.3), Some(machine::archive(stage, "large")?));
    Ok(Case { idle: 0, parts: vec![part], contestants: contestants(stage, "w3", "large")? })
}

/// Makes sure that till has the image of W2.
pub(super) fn small_image(stage: &Stage) -> Result<()> {
    let tree = Tree::new(stage, "w2", "small")?;
    stage.till.ask(&["build", &tree.path(), "--base", "bench", "--name", "w2"]).map(drop)
}

fn contestants<'a>(stage: &'a Stage, app: &'static str, kind: &str) -> Result<Vec<Contestant<'a>>> {
    let tree = Rc::new(Tree::new(stage, app, kind)?);
    let ours = tree.clone();
    let mut all = vec![Contestant::ours(move |round| {
        let path = ours.changed(round)?;
        stage.till.run(&["build", &path, "--base", "bench", "--name", app, "--afresh"])?.since_the_step()
    })];
    if stage.docker.is_some() {
        for (name, builder) in BUILDERS {
            let uncompressed = Row::new(0, &format!("{name}, uncompressed"), Role::Shown);
            let rows = vec![Row::new(0, name, Role::Peer), uncompressed];
            let tree = tree.clone();
            all.push(Contestant::new(rows, move |round| tree.docker(stage, builder, round)));
        }
    }
    if stage.buildah().is_some() {
        let (pushed, kept) = (tree.clone(), tree.clone());
        all.push(Contestant::peer("buildah", move |round| pushed.buildah(stage, round)));
        all.push(Contestant::shown("buildah, uncompressed", move |round| kept.buildah_uncompressed(stage, round)));
    }
    if let Some(umoci) = &stage.umoci {
        all.push(Contestant::peer("umoci", move |round| {
            tree.changed(round)?;
            umoci.run(&tree.files, MAKE, app, round)?.since_the_step()
        }));
    }
    Ok(all)
}

impl Tree {
    fn new(stage: &Stage, app: &'static str, kind: &str) -> Result<Self> {
        let files = stage.folder(app)?;
        stage.maker(&files)?;
        write(&files.join("kind"), kind)?;
        Ok(Self { app, files, recipe: recipe(stage, app, MAKE)? })
    }

    fn path(&self) -> String {
        self.files.display().to_string()
    }

    /// The same with one small file of this round: what somebody has stored already, nobody stores again.
    fn changed(&self, round: u32) -> Result<String> {
        write(&self.files.join("round"), &round.to_string())?;
        Ok(self.path())
    }

    /// Built and pushed; and only built.
    fn docker(&self, stage: &Stage, builder: Builder, round: u32) -> Result<[Sample; 2]> {
        let docker = stage.docker.as_ref().context("Docker takes no part")?;
        let registry = Registry::start(&stage.place)?;
        let (base, image) = (registry.at("image:base"), registry.at("image:1"));
        docker.run(&["tag", "bench", &base])?;
        docker.run(&["push", "--quiet", &base])?;
        let recipe = self.recipe.display().to_string();
        let words = ["--no-cache", "--file", &recipe, "--tag", &image, &self.changed(round)?];
        let built = docker.build(builder, &words)?.since_the_step()?;
        let pushed = docker.run(&["push", "--quiet", &image])?.sample;
        Ok([built.and(pushed), built])
    }

    /// A commit straight to where it is compressed.
    ///
    /// Tried by hand, of W2 on two processors that others used, too: so 9.7 s to 13.7 s, straight into a layout 9.4 s to
    /// 16.4 s, for the base's layer is compressed again there; by a commit and `buildah push` of zstd to a registry 18 s to
    /// 22 s, into a layout 17 s to 29 s. Of W3: 25 s, 30 s, 42 s and 40 s. A commit knows gzip alone.
    fn buildah(&self, stage: &Stage, round: u32) -> Result<Sample> {
        let registry = Registry::start(&stage.place)?;
        let base = "buildah push --tls-verify=false localhost/bench docker://\"$1\"";
        stage.buildah().context("buildah takes no part")?.run(base, &[&registry.at("image:base")])?;
        let target = format!("docker://{}", registry.at("image:1"));
        self.commit(stage, "--disable-compression=false --tls-verify=false", &target, round)
    }

    /// The same into its own store.
    fn buildah_uncompressed(&self, stage: &Stage, round: u32) -> Result<Sample> {
        self.commit(stage, "", self.app, round)
    }

    fn commit(&self, stage: &Stage, options: &str, target: &str, round: u32) -> Result<Sample> {
        let buildah = stage.buildah().context("buildah takes no part")?;
        buildah.run(&by_commands(MAKE, options), &[&self.changed(round)?, target])?.since_the_step()
    }
}
