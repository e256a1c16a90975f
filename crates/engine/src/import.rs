//! Images that others made become bases: kept as they are, and never made again.

use till_core::contract::of_image;
use till_core::model::{BaseName, ExternalBase, ExternalFile, ImageName, Origin};
use till_core::{Failure, Fault};
use till_image::{ImportLimits, ImportSource, Imported, Platform};

use crate::Engine;
use crate::catalog::BaseEntry;
use crate::exchange::Pulled;
use crate::journal::{Event, Observer};
use crate::lock::{self, Sharing};
use crate::world::said;

/// What is to be imported.
#[derive(Debug, Clone)]
pub struct ImportWish {
    /// Where the image is.
    pub source: ImportSource,
    /// What the base will be.
    pub naming: Naming,
    /// What it may have.
    pub limits: ImportLimits,
}

/// What a base that others made is called, and what is said of it.
#[derive(Debug, Clone)]
pub struct Naming {
    /// Where it comes from, as it was typed.
    pub typed: String,
    /// What the base is called; by default what the image is called, or its file.
    pub name: Option<BaseName>,
    /// What is said of it.
    pub file: ExternalFile,
}

/// A base that others made, and that is there now.
#[derive(Debug, Clone)]
pub struct BaseImported {
    /// The base.
    pub base: BaseEntry,
    /// What was left out of it.
    pub notices: Vec<String>,
}

impl Engine {
    /// Imports an image as a base.
    pub async fn import_base(&self, wish: &ImportWish, observer: &dyn Observer) -> Result<BaseImported, Failure> {
        let locks = self.folder("locks")?;
        let _no_gc =
            lock::take(&locks, "gc", Sharing::Shared, || observer.event(Event::Waiting("for gc to end"))).await?;
        let (store, source, limits) = (self.store.clone(), wish.source.clone(), wish.limits.clone());
        let work = move || till_image::import(&store, &source, &Platform::host(), &limits);
        let imported = match tokio::task::spawn_blocking(work).await {
            Ok(imported) => imported?,
            Err(error) => return Err(Failure::house("cannot import", error)),
        };
        self.enter_base(&wish.naming, imported, observer).await
    }

    /// Pulls an image of a registry and makes it a base.
    pub async fn pull_base(
        &self,
        from: &ImageName,
        naming: &Naming,
        limits: &ImportLimits,
        observer: &dyn Observer,
    ) -> Result<(BaseImported, Pulled), Failure> {
        let pulled = self.pull(from, limits).await?;
        let imported = Imported {
            image: pulled.image.clone(),
            index: pulled.index.as_ref().map(|index| index.0.clone()),
            platforms: Vec::new(),
            reference: Some(pulled.reference.to_string()),
            notices: pulled.notices.clone(),
        };
        // As long as `pulled` lives no gc takes the image.
        Ok((self.enter_base(naming, imported, observer).await?, pulled))
    }

    /// Writes down that an image, whose blobs are in the store, is a base. The caller sees to it that no gc runs.
    pub async fn enter_base(
        &self,
        wish: &Naming,
        imported: Imported,
        observer: &dyn Observer,
    ) -> Result<BaseImported, Failure> {
        let named = wish.name.clone().or_else(|| wish.file.name.clone());
        let name = named.or_else(|| default_name(&wish.typed, imported.reference.as_deref())).ok_or_else(|| {
            Failure::new(Fault::Caller, "nothing says what the base is called").hint("give it a name with --name NAME")
        })?;
        imported.notices.iter().for_each(|notice| observer.event(Event::Notice(notice)));
        let about = ExternalBase {
            version: 1,
            spec: ExternalFile {
                name: Some(name.clone()),
                contract: wish.file.contract.clone().or_else(|| of_image(&said(&imported.image.config))),
                ..wish.file.clone()
            },
            external: Origin {
                source: wish.typed.clone(),
                reference: imported.reference,
                index: imported.index,
                platforms: imported.platforms.iter().map(ToString::to_string).collect(),
            },
        };
        let fact = self.ledger.add_external_base(&name, &imported.image.manifest, &about, (self.now)()).await?;
        Ok(BaseImported { base: self.base_entry(fact).await?, notices: imported.notices })
    }
}

/// What the image is called without host and tag; or the name of its file or directory.
fn default_name(typed: &str, reference: Option<&str>) -> Option<BaseName> {
    let from_reference = reference.filter(|reference| reference.contains([':', '/']));
    let path = typed.split(':').nth(1).unwrap_or(typed);
    [from_reference, Some(path)].into_iter().flatten().find_map(|text| {
        let last = text.trim_end_matches('/').rsplit('/').next()?;
        let name = last.split([':', '@']).next()?;
        let name = name.strip_suffix(".tar").or_else(|| name.split_once(".tar.").map(|(stem, _)| stem)).unwrap_or(name);
        name.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::default_name;

    #[test]
    fn a_base_is_called_as_its_image_or_its_file() {
        for (typed, reference, name) in [
            ("oci:/tmp/layout", Some("latest"), Some("layout")),
            ("oci:/tmp/layout:x", Some("docker.io/library/debian:12"), Some("debian")),
            ("docker-archive:/a/b.tar", None, Some("b")),
            ("oci-archive:b.tar.gz", None, Some("b")),
            ("oci:/tmp/Layout", None, None),
            ("oci:/tmp/Layout", Some("h:5000/a/x@sha256:0"), Some("x")),
        ] {
            assert_eq!(default_name(typed, reference).as_ref().map(|name| name.as_str()), name, "{typed}");
        }
    }
}
