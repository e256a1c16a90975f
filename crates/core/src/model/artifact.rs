//! What we write into an image of ours so that it travels with it: one label of the image's config, in JSON, which any
//! OCI tool keeps as it is.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::base::BaseSpec;
use super::launch::Launch;
use super::name::{AppName, BaseName};
use super::source::CommitId;
use crate::digest::{Digest, ManifestDigest, PlanDigest};
use crate::packages::Pinned;
use crate::system::SystemSpec;

/// The label that holds an [`ArtifactLabel`].
pub const ARTIFACT_LABEL: &str = "io.tillage.artifact";
/// The label that holds a [`BaseLabel`].
pub const BASE_LABEL: &str = "io.tillage.base";

/// A base's version: what prepared an artifact, or what lies below another base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseVersion {
    /// The base.
    pub name: BaseName,
    /// Its version's number, on the machine that made it; 0 where that would be of no use.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub version: u32,
    /// Its image.
    pub digest: ManifestDigest,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl fmt::Display for BaseVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// What an artifact says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactLabel {
    /// Of this structure: 1.
    pub version: u32,
    /// The app.
    pub app: AppName,
    /// The contract by which it was prepared.
    pub contract: String,
    /// The base that prepared it; none when the app's own Dockerfile did.
    pub base: Option<BaseVersion>,
    /// Images that went into it beside the base, by what the source calls them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, ManifestDigest>,
    /// The commit, where the source was one.
    pub commit: Option<CommitId>,
    /// The work tree had changes beyond the commit.
    pub dirty: bool,
    /// The source's tree.
    pub source: Digest,
    /// The plan that was followed.
    pub plan: PlanDigest,
    /// How it is started.
    pub launch: Launch,
    /// What runs it, where it was made for machines; none where it was made for containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineLabel>,
}

/// The machine that an artifact was made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineLabel {
    /// The package of its kernel; none where the image has one.
    pub kernel: Option<Pinned>,
    /// By which firmware its disk starts: any of these.
    pub firmware: Vec<String>,
    /// The bus of its disk that it was tried on.
    pub disk_bus: String,
    /// The type of machine that it was tried on.
    pub machine_type: String,
    /// The least memory, in bytes: with so much it was tried.
    pub min_memory: u64,
    /// The system on its disk, where that is none of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemSpec>,
}

impl MachineLabel {
    /// What every machine of ours is, with that kernel.
    pub fn new(kernel: Option<Pinned>) -> Self {
        Self {
            kernel,
            firmware: ["bios", "uefi"].map(str::to_owned).to_vec(),
            disk_bus: "virtio".to_owned(),
            machine_type: "q35".to_owned(),
            min_memory: MIN_MEMORY,
            system: None,
        }
    }
}

/// What machines are tried with: a gibibyte, which small offers of clouds have.
const MIN_MEMORY: u64 = 1 << 30;

/// What a base says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseLabel {
    /// Of this structure: 1.
    pub version: u32,
    /// Its `base.toml`.
    pub spec: BaseSpec,
    /// The base below, where there is one.
    pub from: Option<BaseVersion>,
    /// Images that went into it, by what its Dockerfile calls them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, ManifestDigest>,
    /// The plan that was followed.
    pub plan: PlanDigest,
    /// The kernel of its disks, where its `base.toml` names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Pinned>,
}

impl BaseLabel {
    /// As it is written into the image: the same on every machine, so without the numbers that one gave.
    #[must_use]
    pub fn portable(&self) -> Self {
        let mut label = self.clone();
        if let Some(from) = &mut label.from {
            from.version = 0;
        }
        label
    }
}
