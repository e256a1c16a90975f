//! Which layers may be taken instead of made: a stage's key is the digest of everything that goes into it.
//!
//! There are two, as in BuildKit's solver: one of what is said (known before anything is done), and one of what came of it
//! (known when the stages that it needs are there). The second finds the layer also when a stage below was made again and
//! nothing changed by that. Names for people are in neither.

use serde::Serialize;

use super::{Deed, Footing, Mounted, Plan, Reuse, Selection, Sight, Stage, digest_of};
use crate::digest::{Digest, ManifestDigest};
use crate::system::SystemSpec;

#[derive(Serialize)]
struct Inputs<'a> {
    version: u32,
    environment: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<&'a Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a SystemSpec>,
    volatile: &'a [String],
    /// For each tree that goes into it, in the order of [`Stage::trees`].
    trees: &'a [Option<Tree<'a>>],
    stage: &'a Stage,
}

#[derive(Serialize)]
enum Tree<'a> {
    Image(&'a ManifestDigest),
    Stage(&'a Digest),
    /// What it holds, or what is taken of it.
    Content(&'a Digest),
}

/// A stage that does not see what it lies upon, with what it lies upon.
#[derive(Serialize)]
struct Upon<'a> {
    layer: &'a Digest,
    on: Option<Tree<'a>>,
}

impl Stage {
    /// The trees that go into it: what it sees below, then those that it takes files from, in order.
    pub fn trees(&self) -> Vec<&Footing> {
        let below = (self.sight == Sight::All).then_some(&self.on);
        let deeds = self.deeds.iter().flat_map(|deed| match deed {
            Deed::Inject(injection) => match &injection.what {
                Selection::Tree(files) => vec![&files.of],
                _ => Vec::new(),
            },
            Deed::Run(step) => step
                .mounts
                .iter()
                .filter_map(|mount| match &mount.what {
                    Mounted::Tree { of, .. } => Some(of),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        });
        below.into_iter().chain(deeds).chain(self.spread.iter().map(|spread| &spread.of)).collect()
    }

    /// The same without what does not change its layer: names for people, and numbers of other stages.
    fn bare(&self) -> Self {
        let mut bare = self.clone();
        bare.name.clear();
        bare.on = Footing::Nothing;
        for deed in &mut bare.deeds {
            match deed {
                Deed::Inject(injection) => {
                    if let Selection::Tree(files) = &mut injection.what {
                        files.of = Footing::Nothing;
                    }
                }
                Deed::Run(step) => {
                    step.name.clear();
                    for mount in &mut step.mounts {
                        if let Mounted::Tree { of, .. } = &mut mount.what {
                            *of = Footing::Nothing;
                        }
                    }
                }
                _ => {}
            }
        }
        bare
    }

    /// Does what survives elsewhere go into its layer?
    fn has_caches(&self) -> bool {
        let cache = |deed: &Deed| match deed {
            Deed::Run(step) => step.mounts.iter().any(|mount| matches!(mount.what, Mounted::Cache { .. })),
            _ => false,
        };
        self.deeds.iter().any(cache)
    }
}

/// The key of each stage that may be reused, by number; none for those that may not, and for all that they go into.
pub fn stage_keys(plan: &Plan) -> Vec<Option<Digest>> {
    let mut keys: Vec<Option<Digest>> = Vec::new();
    // Of each stage with all that it lies upon: who sees it sees that, too.
    let mut whole: Vec<Option<Digest>> = Vec::new();
    for stage in &plan.stages {
        let key = match stage.reuse {
            Reuse::Never => None,
            Reuse::Inputs => {
                let trees: Option<Vec<_>> = stage.trees().into_iter().map(|footing| tree(footing, &whole)).collect();
                trees.map(|trees| key(plan, &trees, stage))
            }
        };
        let upon = match (&key, stage.sight) {
            (Some(layer), Sight::Nothing) => tree(&stage.on, &whole).map(|on| digest_of(&Upon { layer, on })),
            (key, _) => key.clone(),
        };
        whole.push(upon);
        keys.push(key);
    }
    keys
}

/// What stands for a tree in a key; none when it has no key.
fn tree<'a>(footing: &'a Footing, keys: &'a [Option<Digest>]) -> Option<Option<Tree<'a>>> {
    match footing {
        Footing::Nothing => Some(None),
        Footing::Image(digest) => Some(Some(Tree::Image(digest))),
        Footing::Stage(number) => keys.get(*number)?.as_ref().map(|key| Some(Tree::Stage(key))),
    }
}

/// The key of a stage by what its trees hold: of each, in the order of [`Stage::trees`], a digest of the content.
pub fn content_key(plan: &Plan, stage: &Stage, contents: &[Digest]) -> Digest {
    let trees: Vec<_> = contents.iter().map(|content| Some(Tree::Content(content))).collect();
    key(plan, &trees, stage)
}

fn key(plan: &Plan, trees: &[Option<Tree<'_>>], stage: &Stage) -> Digest {
    // One that steps do not run on changes nothing of what they leave.
    let machine = plan.machine.as_ref().filter(|machine| machine.steps);
    digest_of(&Inputs {
        version: plan.version,
        environment: &plan.environment,
        kernel: machine.and_then(|machine| machine.kernel.as_ref()).map(|kernel| &kernel.digest),
        system: plan.system.as_ref().map(|system| &system.spec),
        volatile: &plan.volatile,
        trees,
        stage: &stage.bare(),
    })
}

/// For each stage: does what an app keeps for itself go into its layer, or into one that goes into it?
pub fn private_stages(plan: &Plan) -> Vec<bool> {
    let mut private: Vec<bool> = Vec::new();
    // The same of a stage with all that it lies upon.
    let mut whole: Vec<bool> = Vec::new();
    for stage in &plan.stages {
        let of = |footing: &Footing| match footing {
            Footing::Stage(other) => whole.get(*other).copied().unwrap_or_default(),
            _ => false,
        };
        let below = stage.trees().into_iter().any(of);
        let layer = !plan.caches.is_empty() || stage.has_caches() || below;
        let with_below = layer || of(&stage.on);
        private.push(layer);
        whole.push(with_below);
    }
    private
}
