//! Contract `cartridge`: OpenShift v2 cartridges (origin-server's last release). A gear with a web framework, and plugins
//! beside it; they set up, build and start themselves by their own scripts.
//!
//! What happens at which time is decided here. Scripts of ours carry it out inside the instance: what they do to a gear is
//! what a node of OpenShift does. There is no scaling, no snapshot and no front end (docs/reference/contracts/cartridge.md).
//!
//! ```text
//! spec.rs      what stands in base.toml and till.toml
//! yaml.rs      YAML of strangers
//! manifest.rs  metadata/manifest.yml, at one version of the software
//! managed.rs   metadata/managed_files.yml
//! endpoint.rs  where cartridges listen: addresses, variables, ports
//! place.rs     what the texts mean that name cartridges
//! find.rs      which cartridges, and where they come from
//! order.rs     what they require of each other, and their order
//! gear.rs      the files of an empty gear
//! planning.rs  all of it as a plan
//! scripts/     what runs in the instance
//! ```

mod endpoint;
mod find;
mod gear;
mod managed;
mod manifest;
mod order;
mod place;
mod planning;
mod spec;
#[cfg(test)]
mod tests;
mod yaml;

pub use spec::{AppSection, At, CartridgeSpec, Kind, Wanted};

use super::{Collected, Conclusion, Contract, PlanError, Request, conclude};
use crate::dockerfile::spec::Choice;
use crate::model::{AppFile, SourceView};
use crate::plan::{Decision, Plan};

impl Contract for CartridgeSpec {
    fn name(&self) -> &'static str {
        "cartridge"
    }

    fn expects(&self) -> Vec<String> {
        vec!["cartridges, named under [cartridge] in till.toml".to_owned()]
    }

    fn reads(&self, source: &SourceView, app: &AppFile, _: &Choice) -> Vec<String> {
        planning::reads(self, source, app)
    }

    fn plan(&self, request: &Request<'_>) -> Result<Decision, PlanError> {
        planning::plan(self, request)
    }

    fn conclude(&self, plan: &Plan, collected: &Collected) -> Result<Conclusion, PlanError> {
        conclude::conclude(plan, collected)
    }
}
