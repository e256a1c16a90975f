//! What there is, found by what people type.

use serde::Serialize;
use till_core::contract::{ContractSpec, RunSpec};
use till_core::model::artifact::{ARTIFACT_LABEL, BASE_LABEL};
use till_core::model::name::Wanted;
use till_core::model::{ArtifactLabel, BaseLabel, BaseRef, BaseVersion, ExternalBase, Origin};
use till_core::system::SystemSpec;
use till_core::words::nearest;
use till_core::{Failure, Fault, ManifestDigest};
use till_image::{Destination, ExportCompression, Image};
use till_ledger::{ArtifactFact, BaseFact};

use crate::lock::{self, Sharing};
use crate::{Engine, unknown};

/// A base with its image.
#[derive(Debug, Clone)]
pub struct BaseEntry {
    /// What the ledger knows.
    pub fact: BaseFact,
    /// Its image.
    pub image: Image,
    /// What is known of it.
    pub about: BaseAbout,
}

/// What is known of a base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseAbout {
    /// Made here: what its image says of itself.
    Made(Box<BaseLabel>),
    /// Made by others: what was said when it was imported.
    External(Box<ExternalBase>),
}

impl BaseAbout {
    /// One sentence for the catalogue.
    pub fn description(&self) -> &str {
        match self {
            Self::Made(label) => &label.spec.description,
            Self::External(external) => &external.spec.description,
        }
    }

    /// Who is told when something is wrong with it.
    pub fn owner(&self) -> &str {
        match self {
            Self::Made(label) => &label.spec.owner,
            Self::External(external) => &external.spec.owner,
        }
    }

    /// For searching.
    pub fn tags(&self) -> &[String] {
        match self {
            Self::Made(label) => &label.spec.tags,
            Self::External(external) => &external.spec.tags,
        }
    }

    /// What is done with source upon it, if anything.
    pub fn contract(&self) -> Option<&ContractSpec> {
        match self {
            Self::Made(label) => Some(&label.spec.contract),
            Self::External(external) => external.spec.contract.as_ref(),
        }
    }

    /// The base that runs what it prepares, where the app does not say another.
    pub fn run(&self) -> Option<&RunSpec> {
        match self {
            Self::Made(label) => label.spec.run.as_ref(),
            Self::External(external) => external.spec.run.as_ref(),
        }
    }

    /// The system that it is, where its disk stays one.
    pub fn system(&self) -> Option<&SystemSpec> {
        match self {
            Self::Made(_) => None,
            Self::External(external) => external.spec.system.as_ref(),
        }
    }

    /// The base below.
    pub fn from(&self) -> Option<&BaseVersion> {
        match self {
            Self::Made(label) => label.from.as_ref(),
            Self::External(_) => None,
        }
    }

    /// Where it came from, if others made it.
    pub fn external(&self) -> Option<&Origin> {
        match self {
            Self::Made(_) => None,
            Self::External(external) => Some(&external.external),
        }
    }
}

/// An artifact with its image.
#[derive(Debug, Clone)]
pub struct ArtifactEntry {
    /// What the ledger knows.
    pub fact: ArtifactFact,
    /// Its image.
    pub image: Image,
    /// What it says of itself.
    pub label: ArtifactLabel,
}

fn label<T: for<'a> serde::Deserialize<'a>>(image: &Image, key: &str) -> Result<T, Failure> {
    let damaged = |why: String| {
        Failure::new(Fault::House, format!("the image {} is not as we made it: {why}", image.manifest.short()))
    };
    let text = image.config.labels.get(key).ok_or_else(|| damaged(format!("it has no label {key}")))?;
    serde_json::from_str(text).map_err(|error| damaged(error.to_string()))
}

/// A label's text.
pub(crate) fn written<T: Serialize>(label: &T) -> String {
    serde_json::to_string(label).unwrap_or_default()
}

impl Engine {
    /// The base that is meant.
    pub async fn base(&self, wanted: &BaseRef) -> Result<BaseEntry, Failure> {
        let Some(fact) = self.ledger.base(wanted).await? else {
            return Err(self.unknown_base(wanted).await?);
        };
        self.base_entry(fact).await
    }

    pub(crate) async fn base_entry(&self, fact: BaseFact) -> Result<BaseEntry, Failure> {
        let image = till_image::load(&self.store, &fact.version.digest)?;
        let about = match &fact.external {
            Some(external) => BaseAbout::External(Box::new(external.clone())),
            None => {
                let mut label: BaseLabel = label(&image, BASE_LABEL)?;
                // The number that the base below has here.
                if let Some(from) = &mut label.from {
                    let below = BaseRef { name: from.name.clone(), version: Wanted::Digest(from.digest.clone()) };
                    from.version = self.ledger.base(&below).await?.map_or(0, |below| below.version.version);
                }
                BaseAbout::Made(Box::new(label))
            }
        };
        Ok(BaseEntry { about, image, fact })
    }

    async fn unknown_base(&self, wanted: &BaseRef) -> Result<Failure, Failure> {
        let bases = self.ledger.bases().await?;
        let same: Vec<_> = bases.iter().filter(|base| base.version.name == wanted.name).collect();
        if let (Some(first), Some(last)) = (same.first(), same.last()) {
            let has = format!("it has versions {} to {}", first.version.version, last.version.version);
            return Ok(unknown(format!("the base `{}` has no version `{wanted}`", wanted.name), &has));
        }
        let near = nearest(wanted.name.as_str(), bases.iter().map(|base| base.version.name.as_str()));
        let hint = match near {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!(
                "`till base list` shows what there is; `till base build bases/{}` makes it, if its recipe is there",
                wanted.name
            ),
        };
        Ok(unknown(format!("there is no base `{}`", wanted.name), &hint))
    }

    /// All versions of all bases.
    pub async fn bases(&self) -> Result<Vec<BaseEntry>, Failure> {
        let mut bases = Vec::new();
        for fact in self.ledger.bases().await? {
            bases.push(self.base_entry(fact).await?);
        }
        Ok(bases)
    }

    /// Forgets a version of a base. Its layers go with the next `gc`, as far as nothing else has them.
    pub async fn remove_base(&self, wanted: &BaseRef) -> Result<BaseFact, Failure> {
        let entry = self.base(wanted).await?;
        let version = &entry.fact.version;
        let above = self
            .bases()
            .await?
            .into_iter()
            .find(|other| other.about.from().is_some_and(|from| from.digest == version.digest));
        if let Some(above) = above {
            let above = &above.fact.version;
            return Err(Failure::new(
                Fault::Caller,
                format!("the base {}@{} is made from it", above.name, above.version),
            )
            .hint("remove that first"));
        }
        let artifacts = self.ledger.artifacts().await?;
        let count = artifacts.iter().filter(|artifact| artifact.base.as_ref() == Some(&version.digest)).count();
        let name = format!("{}@{}", version.name, version.version);
        if count > 0 {
            return Err(Failure::new(Fault::Caller, format!("{count} artifacts were prepared by {name}"))
                .hint("remove those first; `till artifact list` shows them"));
        }
        self.ledger.remove_base(version).await?;
        Ok(entry.fact)
    }

    fn artifact_entry(&self, fact: ArtifactFact) -> Result<ArtifactEntry, Failure> {
        let image = till_image::load(&self.store, &fact.digest)?;
        Ok(ArtifactEntry { label: label(&image, ARTIFACT_LABEL)?, image, fact })
    }

    /// The artifact that is meant: a digest, its first hex digits, or an app's name for its newest.
    pub async fn artifact(&self, wanted: &str) -> Result<ArtifactEntry, Failure> {
        self.artifact_entry(self.artifact_fact(wanted).await?)
    }

    async fn artifact_fact(&self, wanted: &str) -> Result<ArtifactFact, Failure> {
        let artifacts = self.ledger.artifacts().await?;
        let hex = wanted.strip_prefix("sha256:").unwrap_or(wanted);
        if let Some(fact) = artifacts.iter().find(|fact| fact.app.as_str() == wanted) {
            return Ok(fact.clone());
        }
        let is_hex = hex.len() >= 4 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        let mut found: Vec<_> = artifacts.iter().filter(|fact| is_hex && fact.digest.hex().starts_with(hex)).collect();
        found.dedup_by(|a, b| a.digest == b.digest);
        match found.as_slice() {
            [fact] => Ok((*fact).clone()),
            [] => {
                let near = nearest(wanted, artifacts.iter().map(|fact| fact.app.as_str()));
                let hint = near.map_or_else(
                    || "`till artifact list` shows what there is".to_owned(),
                    |name| format!("did you mean `{name}`?"),
                );
                Err(unknown(format!("there is no artifact `{wanted}`"), &hint))
            }
            many => Err(unknown(
                format!("`{wanted}` is the beginning of {} artifacts", many.len()),
                "give more of its digits",
            )),
        }
    }

    /// All artifacts, the newest first.
    pub async fn artifacts(&self) -> Result<Vec<ArtifactEntry>, Failure> {
        let facts = self.ledger.artifacts().await?;
        facts.into_iter().map(|fact| self.artifact_entry(fact)).collect()
    }

    /// Writes an artifact for other tools; answers with the digest that it has there.
    pub async fn export(
        &self,
        wanted: &str,
        to: &Destination,
        compression: ExportCompression,
    ) -> Result<(ArtifactEntry, ManifestDigest), Failure> {
        let _no_gc = lock::take(&self.folder("locks")?, "gc", Sharing::Shared, || {}).await?;
        let entry = self.artifact(wanted).await?;
        let exported = self.export_image(&entry.fact.digest, to, compression).await?;
        Ok((entry, exported))
    }

    /// Writes a base for other tools; answers with the digest that it has there.
    pub async fn export_base(
        &self,
        wanted: &BaseRef,
        to: &Destination,
        compression: ExportCompression,
    ) -> Result<(BaseEntry, ManifestDigest), Failure> {
        let _no_gc = lock::take(&self.folder("locks")?, "gc", Sharing::Shared, || {}).await?;
        let entry = self.base(wanted).await?;
        let exported = self.export_image(&entry.fact.version.digest, to, compression).await?;
        Ok((entry, exported))
    }

    async fn export_image(
        &self,
        image: &ManifestDigest,
        to: &Destination,
        compression: ExportCompression,
    ) -> Result<ManifestDigest, Failure> {
        let (store, image, to) = (self.store.clone(), image.clone(), to.clone());
        let work = move || till_image::export(&store, &image, &to, compression);
        match tokio::task::spawn_blocking(work).await {
            Ok(exported) => Ok(exported?),
            Err(error) => Err(Failure::house("cannot export", error)),
        }
    }

    /// Forgets an artifact that nothing runs.
    pub async fn remove_artifact(&self, wanted: &str) -> Result<ManifestDigest, Failure> {
        // By what the ledger knows: also one whose image is damaged can be removed.
        let digest = self.artifact_fact(wanted).await?.digest;
        if let Some(instance) = self.ledger.instances().await?.into_iter().find(|instance| instance.artifact == digest)
        {
            return Err(Failure::new(Fault::Caller, format!("{} runs it", instance.id))
                .hint(format!("till stop {}", instance.id)));
        }
        self.ledger.remove_artifact(&digest).await?;
        Ok(digest)
    }
}
