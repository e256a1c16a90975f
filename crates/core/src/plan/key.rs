//! Which layers may be taken instead of made: a stage's key is the digest of everything that goes into it.

use serde::Serialize;

use super::{Plan, Reuse, Stage, digest_of};
use crate::digest::{Digest, ManifestDigest};

#[derive(Serialize)]
struct Inputs<'a> {
    version: u32,
    environment: &'a str,
    base: &'a Option<ManifestDigest>,
    /// The keys of the stages below: a change there changes everything above.
    below: &'a [Digest],
    stage: &'a Stage,
}

/// The key of each stage that may be reused, in order; it ends before the first that may not.
pub fn stage_keys(plan: &Plan) -> Vec<Digest> {
    let mut keys = Vec::new();
    for stage in &plan.stages {
        if stage.reuse == Reuse::Never {
            break;
        }
        let key = digest_of(&Inputs {
            version: plan.version,
            environment: &plan.environment,
            base: &plan.base,
            below: &keys,
            stage,
        });
        keys.push(key);
    }
    keys
}
