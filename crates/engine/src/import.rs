//! Images that others made become bases: kept as they are, and never made again.

use std::path::{Path, PathBuf};

use till_core::contract::of_image;
use till_core::id::{InstanceId, PreparationId};
use till_core::model::{BaseName, ExternalBase, ExternalFile, ImageName, Origin};
use till_core::plan::{self, Bytes, Injection, Limits, Place, Selection};
use till_core::port::{Capture, ForeignDisk, Layer, Opening};
use till_core::{Failure, Fault};
use till_image::{Assembly, DiskFormat, ImportLimits, ImportSource, Imported, Platform, Policy, check_disk};

use crate::catalog::BaseEntry;
use crate::exchange::Pulled;
use crate::journal::{Event, Observer, Quiet, Stretch};
use crate::kernel::{KERNEL, SUITE};
use crate::lock::{self, Sharing};
use crate::recreate::EPOCH;
use crate::world::{configured, said};
use crate::{Engine, new_bits};

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

/// A disk that is to be imported.
#[derive(Debug, Clone)]
pub struct DiskImportWish {
    /// Where it is.
    pub file: PathBuf,
    /// Its format, as the user says; it is never guessed.
    pub format: DiskFormat,
    /// What the base will be.
    pub naming: Naming,
    /// What it may have.
    pub limits: ImportLimits,
}

/// What no two machines may have in common.
const SECRETS: [&str; 4] =
    ["/etc/ssh/ssh_host_*", "/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret", "/var/log/journal/*"];

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
        let os = wish.naming.file.system.as_ref().map(|system| system.kind.as_str().to_owned());
        let host = Platform::host();
        let platform = Platform { os: os.unwrap_or(host.os), ..host };
        let work = move || till_image::import(&store, &source, &platform, &limits);
        let imported = match tokio::task::spawn_blocking(work).await {
            Ok(imported) => imported?,
            Err(error) => return Err(Failure::house("cannot import", error)),
        };
        self.enter_base(&wish.naming, imported, observer).await
    }

    /// Imports the tree of a disk that others made as a base, with the kernel that it has.
    pub async fn import_disk(&self, wish: &DiskImportWish, observer: &dyn Observer) -> Result<BaseImported, Failure> {
        let locks = self.folder("locks")?;
        let _no_gc =
            lock::take(&locks, "gc", Sharing::Shared, || observer.event(Event::Waiting("for gc to end"))).await?;
        if wish.limits.setuid == Policy::Refuse {
            return Err(Failure::new(
                Fault::Caller,
                "a disk is taken with what it has: every Linux system has programs with setuid",
            )
            .hint("leave --setuid out; inside an instance they have its rights alone"));
        }
        if let Some(system) = &wish.naming.file.system {
            let staging = self.staging(&PreparationId::from_bits(new_bits()))?;
            let imported = self.keep_disk(wish, system, &staging.path(), observer).await?;
            return self.enter_base(&wish.naming, imported, observer).await;
        }
        check_disk(&wish.file, &wish.naming.typed, wish.format)??;
        // Some kernel has to read it; which one makes no difference to what is read.
        let kernel = self.kernel_package(SUITE.to_owned(), KERNEL, &Quiet(observer)).await?;
        let staging = self.staging(&PreparationId::from_bits(new_bits()))?;
        let work = staging.path().join("work");
        std::fs::create_dir(&work)
            .map_err(|error| Failure::house(format!("cannot make `{}`", work.display()), error))?;
        let tree = staging.path().join("tree.tar");
        let disk = ForeignDisk { path: wish.file.clone(), format: wish.format.as_str(), limit: wish.limits.bytes };
        let stretch = Stretch::begin(observer, "read");
        self.disks.read(&disk, &self.store.path(&kernel.digest), &work, &tree).await?;
        stretch.end();
        let stretch = Stretch::begin(observer, "layer");
        let layer = self.layer_of(&tree, wish.limits.bytes).await?;
        stretch.end();
        let assembly = Assembly {
            layers: vec![(layer, format!("till base import {}", wish.naming.typed))],
            epoch: EPOCH,
            ..configured(None, None)
        };
        let imported = Imported {
            image: till_image::assemble(&assembly, &self.store)?,
            index: None,
            platforms: Vec::new(),
            reference: None,
            notices: Vec::new(),
        };
        self.enter_base(&wish.naming, imported, observer).await
    }

    /// A tree as one layer, without what belongs to one machine alone.
    async fn layer_of(&self, tree: &Path, limit: u64) -> Result<Layer, Failure> {
        let opening = Opening {
            id: InstanceId::from_bits(new_bits()),
            layers: Vec::new(),
            mounts: Vec::new(),
            kernel: None,
            limits: Limits { disk: Bytes(limit), ..Limits::default() },
            epoch: EPOCH,
        };
        let mut instance = self.environment.open(opening).await?;
        let whole = Injection { what: Selection::Whole, place: Place::Dir("/".to_owned()), owner: None };
        instance.inject(&whole, tree).await?;
        let _ = std::fs::remove_file(tree);
        let remove = SECRETS.map(str::to_owned).to_vec();
        instance.snapshot(&Capture { remove, volatile: plan::volatile() }).await
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
        let name = [".qcow2", ".raw", ".img"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
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
            ("disk:/images/debian-12.qcow2", None, Some("debian-12")),
            ("oci:/tmp/Layout", None, None),
            ("oci:/tmp/Layout", Some("h:5000/a/x@sha256:0"), Some("x")),
        ] {
            assert_eq!(default_name(typed, reference).as_ref().map(|name| name.as_str()), name, "{typed}");
        }
    }
}
