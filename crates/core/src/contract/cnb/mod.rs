//! Contract `cnb`: Cloud Native Buildpacks (buildpacks.io; Buildpack API up to 0.12, project descriptor 0.2). The base is a
//! builder: it carries buildpacks and says in which order they are tried. What they make is put, a layer for each of theirs,
//! upon a run image, with the labels by which other tools know it.
//!
//! ```text
//! spec.rs      what stands in base.toml and till.toml
//! project.rs   project.toml of the source
//! builder.rs   what a builder says of itself: order, run image, users
//! packs.rs     buildpacks that source or user name
//! planning.rs  all of it -> plan; what is done inside is the program `lifecycle`'s
//! rebase.rs    another run image below an app
//! report.rs    what the phases say when they are done -> launch, labels
//! ```

mod builder;
mod packs;
mod planning;
mod project;
mod rebase;
mod report;
mod spec;

pub use builder::of_image;
pub use rebase::{NewRun, NoRebase, Rebase, Rules, rebase};
pub use report::{Below, METADATA};
pub use spec::{AppSection, CnbSpec, Kind};

use super::{Collected, Conclusion, Contract, PlanError, Request};
use crate::dockerfile::spec::Choice;
use crate::model::{AppFile, SourceView};
use crate::plan::{Decision, Plan};

/// The program that does what is done inside.
pub const PROGRAM: &str = "lifecycle";

impl Contract for CnbSpec {
    fn name(&self) -> &'static str {
        "cnb"
    }

    fn expects(&self) -> Vec<String> {
        vec!["what one of its buildpacks detects".to_owned()]
    }

    fn reads(&self, source: &SourceView, _: &AppFile, _: &Choice) -> Vec<String> {
        let packs = source.files.iter().filter(|file| file.path.ends_with(packs::FILE)).map(|file| file.path.clone());
        packs.chain([project::FILE.to_owned()]).collect()
    }

    fn plan(&self, request: &Request<'_>) -> Result<Decision, PlanError> {
        planning::plan(self, request)
    }

    fn conclude(&self, plan: &Plan, collected: &Collected) -> Result<Conclusion, PlanError> {
        report::conclude(plan, collected)
    }
}
