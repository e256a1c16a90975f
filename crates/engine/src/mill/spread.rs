//! Directories of another tree, each of which becomes a layer: which there are stands in a list in that tree.

use std::io::Read;
use std::path::Path;

use till_core::id::InstanceId;
use till_core::plan::{Injection, Landing, Place, Selection, Spread, SpreadLayer, Spreading, Stage, TreeFiles};
use till_core::port::{Capture, Layer, MAX_TEXT, Opening};
use till_core::{Failure, Fault};

use super::{Made, Mill};
use crate::new_bits;

impl Mill<'_> {
    pub(super) async fn spread(
        &self,
        stage: &Stage,
        spread: &Spread,
        trees: &[Vec<Layer>],
    ) -> Result<Vec<Made>, Failure> {
        // What it lies upon is seen by nobody here.
        let tree = trees.last().map_or(&[][..], Vec::as_slice);
        let list = self.spreading(spread, tree).await?;
        let began = self.begin(&stage.name);
        let mut made = Vec::new();
        for layer in list.layers {
            made.push(self.spread_layer(stage, spread, tree, layer).await?);
        }
        self.report(&stage.name, began, false);
        Ok(made)
    }

    /// The list, which a step wrote.
    async fn spreading(&self, spread: &Spread, tree: &[Layer]) -> Result<Spreading, Failure> {
        let archive = self.gathered(spread, &spread.list, tree).await?;
        let unread = |why: String| {
            Failure::new(Fault::House, format!("the list of layers `{}` cannot be read: {why}", spread.list))
        };
        let text = only_file(&archive).map_err(|error| unread(error.to_string()))?;
        let _ = std::fs::remove_file(&archive);
        serde_json::from_str(&text).map_err(|error| unread(error.to_string()))
    }

    async fn gathered(&self, spread: &Spread, path: &str, tree: &[Layer]) -> Result<std::path::PathBuf, Failure> {
        let archive = self.new_archive();
        let files =
            TreeFiles { of: spread.of.clone(), sources: vec![path.to_owned()], parents: false, exclude: Vec::new() };
        self.milling.engine.environment.gather(tree, &files, &archive).await?;
        Ok(archive)
    }

    async fn spread_layer(
        &self,
        stage: &Stage,
        spread: &Spread,
        tree: &[Layer],
        layer: SpreadLayer,
    ) -> Result<Made, Failure> {
        let (beside, _) = spread.list.rsplit_once('/').unwrap_or_default();
        let directory = format!("{beside}/{}", layer.directory);
        let archive = self.gathered(spread, &directory, tree).await?;
        let mut instance = self
            .milling
            .engine
            .environment
            .open(Opening {
                id: InstanceId::from_bits(new_bits()),
                layers: Vec::new(),
                mounts: Vec::new(),
                kernel: None,
                limits: self.milling.plan.limits.clone(),
                epoch: stage.epoch,
            })
            .await?;
        let landing = Landing { path: "/".to_owned(), directory: true, mode: None, unpack: false };
        let files = TreeFiles { of: spread.of.clone(), sources: vec![directory], parents: false, exclude: Vec::new() };
        let injection = Injection { what: Selection::Tree(files), place: Place::Copy(landing), owner: None };
        instance.inject(&injection, &archive).await?;
        let _ = std::fs::remove_file(&archive);
        let packed = instance.snapshot(&Capture::default()).await?;
        Ok(Made { layer: packed, name: layer.name, created_by: layer.created_by })
    }
}

/// The text of an archive's only file.
fn only_file(archive: &Path) -> std::io::Result<String> {
    let mut archive = tar::Archive::new(std::io::BufReader::new(std::fs::File::open(archive)?));
    let mut text = String::new();
    for entry in archive.entries()? {
        let entry = entry?;
        if entry.header().entry_type().is_file() {
            entry.take(MAX_TEXT).read_to_string(&mut text)?;
            break;
        }
    }
    Ok(text)
}
