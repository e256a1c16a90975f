//! Images as disks that boot: the image's tree, a kernel, and how it is started.
//!
//! A disk is a form of an image, and nothing that has to be kept: the same image with the same kernel is the same disk.

use std::path::{Path, PathBuf};

use till_core::id::{InstanceId, PreparationId};
use till_core::model::{AppName, BaseRef, Launch, together};
use till_core::packages::Pinned;
use till_core::plan::{Bytes, Footing, Limits, TreeFiles};
use till_core::port::{DiskFiles, DiskOrder, Layer, MadeDisk, RunMachine, RunRequest};
use till_core::system::SystemSpec;
use till_core::{Digest, Failure, Fault, ManifestDigest};
use till_image::{DiskFormat, check_disk};

use crate::catalog::{ArtifactEntry, BaseEntry};
use crate::journal::{Event, Observer, Stretch};
use crate::lock::{self, Sharing};
use crate::recreate::EPOCH;
use crate::system::is_disk;
use crate::{Engine, new_bits};

/// Where disks are kept for the next time.
pub(crate) const KEPT: &str = "disks";

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct DiskWish {
    /// Where the disk is written; what is there is replaced.
    pub file: PathBuf,
    /// In which format.
    pub format: DiskFormat,
    /// The kernel's package, `NAME` or `NAME=VERSION`; none: the image's own, or [`KERNEL`].
    pub kernel: Option<String>,
    /// How large the disk is; none: as large as it has to be.
    pub size: Option<Bytes>,
}

/// A disk that was written.
#[derive(Debug, Clone)]
pub struct WrittenDisk {
    /// What it is; none of a system that stays a disk: nobody knows.
    pub made: Option<MadeDisk>,
    /// Of the disk, as its machine sees it.
    pub size: Bytes,
    /// The kernel's package, where it is not one of the image's own.
    pub kernel: Option<Pinned>,
    /// Of the file.
    pub digest: Digest,
    /// Bytes of the file.
    pub bytes: u64,
}

/// An artifact that runs in a machine.
pub(crate) struct Runs<'a> {
    pub(crate) image: &'a ManifestDigest,
    pub(crate) layers: &'a [Layer],
    /// Its services are what the machine runs.
    pub(crate) launch: &'a Launch,
    pub(crate) app: &'a AppName,
    pub(crate) memory: Bytes,
    /// The system on its disk, where that is none of ours.
    pub(crate) system: Option<&'a SystemSpec>,
}

/// What becomes a disk.
struct Subject<'a> {
    image: &'a ManifestDigest,
    layers: &'a [Layer],
    launch: Launch,
    hostname: String,
    /// The base that it lies upon, or is.
    base: Option<&'a ManifestDigest>,
    /// The kernel that it was made for.
    kernel: Option<&'a Pinned>,
}

impl Engine {
    /// Writes an artifact as a disk.
    pub async fn export_disk(
        &self,
        wanted: &str,
        wish: &DiskWish,
        observer: &dyn Observer,
    ) -> Result<(ArtifactEntry, WrittenDisk), Failure> {
        let _no_gc = lock::take(&self.folder("locks")?, "gc", Sharing::Shared, || {}).await?;
        let entry = self.artifact(wanted).await?;
        let subject = Subject {
            image: &entry.fact.digest,
            layers: &entry.image.layers,
            launch: entry.label.launch.clone(),
            hostname: hostname(entry.fact.app.as_str()),
            base: entry.label.base.as_ref().map(|base| &base.digest),
            kernel: entry.label.machine.as_ref().and_then(|machine| machine.kernel.as_ref()),
        };
        let written = self.write_disk(&subject, wish, observer).await?;
        Ok((entry, written))
    }

    /// Writes a base as a disk, which runs nothing.
    pub async fn export_base_disk(
        &self,
        wanted: &BaseRef,
        wish: &DiskWish,
        observer: &dyn Observer,
    ) -> Result<(BaseEntry, WrittenDisk), Failure> {
        let _no_gc = lock::take(&self.folder("locks")?, "gc", Sharing::Shared, || {}).await?;
        let entry = self.base(wanted).await?;
        let launch = Launch {
            processes: std::collections::BTreeMap::new(),
            services: Vec::new(),
            default: None,
            ports: Vec::new(),
            health: None,
            env: std::collections::BTreeMap::new(),
            user: "root".to_owned(),
            dir: "/".to_owned(),
        };
        let subject = Subject {
            image: &entry.fact.version.digest,
            layers: &entry.image.layers,
            launch,
            hostname: hostname(entry.fact.version.name.as_str()),
            base: Some(&entry.fact.version.digest),
            kernel: None,
        };
        let written = self.write_disk(&subject, wish, observer).await?;
        Ok((entry, written))
    }

    async fn write_disk(
        &self,
        subject: &Subject<'_>,
        wish: &DiskWish,
        observer: &dyn Observer,
    ) -> Result<WrittenDisk, Failure> {
        let begun = Begun::beside(&wish.file)?;
        if is_disk(subject.layers) {
            return self.flatten(subject, wish, begun, observer).await;
        }
        let named = match (subject.base, subject.kernel) {
            (_, Some(own)) => Some(own.clone()),
            (Some(base), None) if wish.kernel.is_none() => self.kernel_that_base_names(base, observer).await?,
            _ => None,
        };
        let kernel = match (named, &wish.kernel) {
            (Some(named), None) => {
                self.ensure_kernel(&named, subject.layers, observer).await?;
                Some(named)
            }
            (_, wanted) => {
                let package = self.kernel(subject.layers, wanted.as_deref(), observer).await?;
                package.as_ref().map(Pinned::from)
            }
        };
        let size = match (wish.size, subject.base) {
            (None, Some(base)) => self.size_that_base_names(base).await,
            (size, _) => size,
        };
        let staging = self.staging(&PreparationId::from_bits(new_bits()))?;
        let raw = match wish.format {
            DiskFormat::Raw => begun.path.clone(),
            DiskFormat::Qcow2 => staging.path().join("disk"),
        };
        let stretch = Stretch::begin(observer, "disk");
        let made =
            self.make_disk(subject, kernel.as_ref().map(|kernel| &kernel.digest), size, &staging.path(), &raw).await?;
        if wish.format == DiskFormat::Qcow2 {
            self.disks.compress(&raw, &begun.path).await?;
        }
        let path = begun.path.clone();
        let (digest, bytes) = blocking(move || measure(&path)).await?;
        begun.finish(&wish.file)?;
        stretch.end();
        Ok(WrittenDisk { size: made.size, made: Some(made), kernel, digest, bytes })
    }

    /// The same of what is a disk already.
    async fn flatten(
        &self,
        subject: &Subject<'_>,
        wish: &DiskWish,
        begun: Begun,
        observer: &dyn Observer,
    ) -> Result<WrittenDisk, Failure> {
        if wish.kernel.is_some() || wish.size.is_some() {
            return Err(Failure::new(Fault::Caller, "it is a disk already, with its own kernel and size")
                .hint("leave --kernel and --size out"));
        }
        let stretch = Stretch::begin(observer, "disk");
        self.disks.flatten(&self.disk_files(subject.layers), wish.format.as_str(), &begun.path).await?;
        let path = begun.path.clone();
        let (digest, bytes) = blocking(move || measure(&path)).await?;
        begun.finish(&wish.file)?;
        stretch.end();
        let size = check_disk(&wish.file, "what was written", wish.format)??;
        Ok(WrittenDisk { made: None, size: Bytes(size), kernel: None, digest, bytes })
    }

    /// A disk for this machine's own use, kept until `gc`: where image, kernel and launch are equal it is the same.
    async fn kept_disk(&self, subject: &Subject<'_>, observer: &dyn Observer) -> Result<PathBuf, Failure> {
        let launch = serde_json::to_string(&subject.launch).unwrap_or_default();
        let kernel = subject.kernel.map(|kernel| &kernel.digest);
        let pinned = kernel.map(ToString::to_string).unwrap_or_default();
        let parts = [subject.image.as_str(), &pinned, &subject.hostname, &self.disks.edition().to_string(), &launch];
        let key = Digest::of(parts.join("\n").as_bytes());
        let path = self.folder(KEPT)?.join(format!("{}.raw", key.hex()));
        let turn = format!("disk-{}", key.hex());
        let _turn = lock::take(&self.folder("locks")?, &turn, Sharing::Alone, || {
            observer.event(Event::Waiting("for the same disk"))
        })
        .await?;
        if path.exists() {
            return Ok(path);
        }
        if let Some(kernel) = subject.kernel {
            self.ensure_kernel(kernel, subject.layers, observer).await?;
        }
        let staging = self.staging(&PreparationId::from_bits(new_bits()))?;
        let made = staging.path().join("disk");
        let stretch = Stretch::begin(observer, "disk");
        self.make_disk(subject, kernel, None, &staging.path(), &made).await?;
        stretch.end();
        std::fs::rename(&made, &path)
            .map_err(|error| Failure::house(format!("cannot keep `{}`", path.display()), error))?;
        Ok(path)
    }

    /// The machine that an artifact runs in.
    pub(crate) async fn machine(
        &self,
        artifact: &Runs<'_>,
        kernel: Option<&Pinned>,
        observer: &dyn Observer,
    ) -> Result<RunMachine, Failure> {
        if let Some(system) = artifact.system {
            return Ok(RunMachine {
                disk: DiskFiles::Chain(self.disk_files(artifact.layers)),
                kernel: None,
                memory: artifact.memory,
                system: Some(system.clone()),
                hostname: hostname(artifact.app.as_str()),
            });
        }
        let subject = Subject {
            image: artifact.image,
            layers: artifact.layers,
            launch: artifact.launch.clone(),
            hostname: hostname(artifact.app.as_str()),
            base: None,
            kernel,
        };
        let disk = self.kept_disk(&subject, observer).await?;
        let kernel = kernel.map(|kernel| self.store.path(&kernel.digest));
        Ok(RunMachine {
            disk: DiskFiles::Bytes(disk),
            kernel,
            memory: artifact.memory,
            system: None,
            hostname: subject.hostname,
        })
    }

    /// Boots a disk of an artifact that is about to be one, with no more memory than it says that it needs, and waits until
    /// everything in it answers. What its console said is kept in `log`.
    pub(crate) async fn gate(
        &self,
        artifact: &Runs<'_>,
        kernel: Option<&Pinned>,
        log: &Path,
        observer: &dyn Observer,
    ) -> Result<(), Failure> {
        let machine = self.machine(artifact, kernel, observer).await?;
        let stretch = Stretch::begin(observer, "boot");
        let request = RunRequest {
            id: InstanceId::from_bits(new_bits()),
            layers: Vec::new(),
            launch: artifact.launch.clone(),
            process: together::ALL.to_owned(),
            publish: None,
            limits: Limits::default(),
            machine: Some(machine),
            transient: true,
        };
        let started = self.runner.start(&request).await;
        let said = std::fs::copy(self.runner.log(&request.id), log);
        let stopped = self.runner.stop(&request.id).await;
        started.map_err(|failure| {
            let kept = said.map_or(String::new(), |_| format!("what its console said: {}", log.display()));
            let about = "its disk was booted, and does not do what it should: there is no artifact";
            Failure { hint: Some(kept), ..failure.within(about) }
        })?;
        stretch.end();
        stopped
    }

    async fn make_disk(
        &self,
        subject: &Subject<'_>,
        kernel: Option<&Digest>,
        size: Option<Bytes>,
        staging: &Path,
        into: &Path,
    ) -> Result<MadeDisk, Failure> {
        let tree = staging.join("tree.tar");
        let whole = TreeFiles {
            of: Footing::Image(subject.image.clone()),
            sources: vec!["/".to_owned()],
            parents: false,
            exclude: Vec::new(),
        };
        self.environment.gather(subject.layers, &whole, &tree).await?;
        let pinned = kernel.map_or(String::new(), ToString::to_string);
        let order = DiskOrder {
            tree,
            kernel: kernel.map(|package| self.store.path(package)),
            launch: subject.launch.clone(),
            hostname: subject.hostname.clone(),
            size,
            seed: Digest::of(format!("{} {pinned}", subject.image).as_bytes()),
            epoch: u32::try_from(EPOCH).unwrap_or(u32::MAX),
        };
        let work = staging.join("work");
        std::fs::create_dir(&work)
            .map_err(|error| Failure::house(format!("cannot make `{}`", work.display()), error))?;
        self.disks.make(&order, &work, into).await
    }
}

/// A name that hosts may have (RFC 1123): letters, digits, hyphens, 63 of them.
fn hostname(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = name.chars().map(plain).take(63).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "till".to_owned() } else { name.to_owned() }
}

fn measure(path: &Path) -> Result<(Digest, u64), Failure> {
    let failed = |error| Failure::house(format!("cannot read `{}`", path.display()), error);
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    Ok((Digest::of_reader(&mut file).map_err(failed)?, bytes))
}

/// A file that is not whole yet, beside its place; without an end it is removed.
struct Begun {
    path: PathBuf,
}

impl Begun {
    fn beside(place: &Path) -> Result<Self, Failure> {
        let caller = |what: String, hint: &str| Err(Failure::new(Fault::Caller, what).hint(hint));
        let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return caller(format!("there is no directory `{}`", folder.display()), "make it first");
        }
        match std::fs::symlink_metadata(place) {
            Ok(there) if !there.is_file() => {
                return caller(format!("`{}` is there, and no file", place.display()), "name a file");
            }
            _ => {}
        }
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let path = folder.join(format!(".{name}.{}", new_bits()));
        Ok(Self { path: std::path::absolute(&path).unwrap_or(path) })
    }

    fn finish(self, place: &Path) -> Result<(), Failure> {
        std::fs::rename(&self.path, place)
            .map_err(|error| Failure::house(format!("cannot make `{}`", place.display()), error))
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        // Gone already when it is finished.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Failure::house("cannot go on", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hosts_are_plain() {
        for (name, host) in [("shop", "shop"), ("Shop_1.web", "shop-1-web"), ("--", "till")] {
            assert_eq!(hostname(name), host);
        }
    }
}
