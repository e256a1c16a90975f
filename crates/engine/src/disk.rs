//! Images as disks that boot: the image's tree, a kernel, and how it is started.
//!
//! A disk is a form of an image, and nothing that has to be kept: the same image with the same kernel is the same disk.

use std::path::{Path, PathBuf};

use till_core::id::{InstanceId, PreparationId};
use till_core::model::{BaseRef, Launch};
use till_core::packages::{Package, PackageWish, Resolved};
use till_core::plan::{Bootstrap, Bytes, Footing, Limits, TreeFiles};
use till_core::port::{DiskOrder, Layer, MadeDisk, Opening};
use till_core::{Digest, Failure, Fault, ManifestDigest};
use till_image::DiskFormat;

use crate::catalog::{ArtifactEntry, BaseEntry};
use crate::journal::{Event, Observer};
use crate::lock::{self, Sharing};
use crate::recreate::EPOCH;
use crate::{Engine, new_bits};

/// The package that is taken where nobody names one: Debian's kernel for clouds.
pub const KERNEL: &str = "linux-image-cloud-amd64";
/// The suite it comes from where the image is none of Debian's.
const SUITE: &str = "bookworm";
/// How the packages of Debian's kernels begin: with the version after it.
const KERNELS: &str = "linux-image-";

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
    /// What it is.
    pub made: MadeDisk,
    /// The kernel's package, where it is not one of the image's own.
    pub kernel: Option<Package>,
    /// Of the file.
    pub digest: Digest,
    /// Bytes of the file.
    pub bytes: u64,
}

/// What becomes a disk.
struct Subject<'a> {
    image: &'a ManifestDigest,
    layers: &'a [Layer],
    launch: Launch,
    hostname: String,
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
        let kernel = self.kernel(subject.layers, wish.kernel.as_deref(), observer).await?;
        let staging = self.staging(&PreparationId::from_bits(new_bits()))?;
        let raw = match wish.format {
            DiskFormat::Raw => begun.path.clone(),
            DiskFormat::Qcow2 => staging.path().join("disk"),
        };
        observer.event(Event::Began("disk"));
        let made = self.make_disk(subject, kernel.as_ref(), wish.size, &staging.path(), &raw).await;
        let made = made.inspect_err(|_| observer.event(Event::Failed("disk")))?;
        if wish.format == DiskFormat::Qcow2 {
            self.disks.compress(&raw, &begun.path).await?;
        }
        let path = begun.path.clone();
        let (digest, bytes) = blocking(move || measure(&path)).await?;
        begun.finish(&wish.file)?;
        Ok(WrittenDisk { made, kernel, digest, bytes })
    }

    async fn make_disk(
        &self,
        subject: &Subject<'_>,
        kernel: Option<&Package>,
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
        let pinned = kernel.map_or(String::new(), |package| package.digest.to_string());
        let order = DiskOrder {
            tree,
            kernel: kernel.map(|package| self.store.path(&package.digest)),
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

    /// The kernel's package, which is then in the store; none when the image has one and nobody wants another.
    async fn kernel(
        &self,
        layers: &[Layer],
        wanted: Option<&str>,
        observer: &dyn Observer,
    ) -> Result<Option<Package>, Failure> {
        let about = self.look_for_kernel(layers).await?;
        if wanted.is_none() && about.has_kernel {
            return Ok(None);
        }
        let wanted = wanted.unwrap_or(KERNEL);
        check(wanted)?;
        if let Some(kept) = self.kept_kernel(wanted)? {
            return Ok(Some(kept));
        }
        let system = Bootstrap {
            suite: about.suite,
            archives: ["release", "updates", "security"].map(str::to_owned).to_vec(),
            packages: vec![wanted.to_owned()],
            recommends: false,
            exclude: Vec::new(),
        };
        let resolved = self.resolve(&PackageWish::System(system), observer).await.map_err(|failure| {
            let hint = "`apt-cache madison NAME` shows which versions this machine's mirrors have; one that was used before \
                        is still here";
            let fault = if failure.fault == Fault::Base { Fault::Caller } else { failure.fault };
            Failure { fault, ..failure.within(format!("the kernel `{wanted}` cannot be had")).hint(hint) }
        })?;
        let missing = || {
            Failure::new(Fault::Caller, format!("the package `{wanted}` brings no kernel"))
                .hint(format!("Debian's are called {KERNELS}VERSION-FLAVOUR; {KERNEL} is the newest for clouds"))
        };
        resolved.packages.into_iter().find(is_kernel).map(Some).ok_or_else(missing)
    }

    async fn look_for_kernel(&self, layers: &[Layer]) -> Result<About, Failure> {
        let opening = Opening {
            id: InstanceId::from_bits(new_bits()),
            layers: layers.to_vec(),
            mounts: Vec::new(),
            limits: Limits::default(),
            epoch: EPOCH,
        };
        let mut instance = self.environment.open(opening).await?;
        let pattern = "/boot/vmlinuz-*".to_owned();
        let found = instance.find(std::slice::from_ref(&pattern)).await?;
        let release = instance.read(&["/etc/os-release".to_owned(), "/usr/lib/os-release".to_owned()]).await?;
        Ok(About {
            has_kernel: found.found.get(&pattern).is_some_and(|found| !found.is_empty()),
            suite: release.values().find_map(|text| debian_suite(text)).unwrap_or(SUITE.to_owned()),
        })
    }

    /// A kernel of that name and version that was got before: what mirrors have today is another question.
    fn kept_kernel(&self, wanted: &str) -> Result<Option<Package>, Failure> {
        let Some((name, version)) = wanted.split_once('=') else { return Ok(None) };
        let folder = self.folder("caches/.recipes/apt")?;
        for file in crate::packages::names(&folder)?.iter().filter(|name| name.ends_with(".json")) {
            let Ok(bytes) = std::fs::read(folder.join(file)) else { continue };
            let Ok(resolved) = serde_json::from_slice::<Resolved>(&bytes) else { continue };
            let is_it = |package: &Package| {
                package.name == name
                    && package.version == version
                    && is_kernel(package)
                    && self.store.has(&package.digest)
            };
            if let Some(found) = resolved.packages.into_iter().find(is_it) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// What is known of an image before it becomes a disk.
struct About {
    has_kernel: bool,
    suite: String,
}

/// The suite of a Debian system, by its os-release(5).
fn debian_suite(text: &str) -> Option<String> {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim().trim_matches('"').to_owned())
    };
    let plain = |suite: &String| !suite.is_empty() && suite.bytes().all(|byte| byte.is_ascii_lowercase());
    (value("ID")? == "debian").then(|| value("VERSION_CODENAME"))?.filter(plain)
}

/// A kernel, and not the package that depends on the newest.
fn is_kernel(package: &Package) -> bool {
    package.name.strip_prefix(KERNELS).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Is it something that apt takes for a package, and nothing else?
fn check(wanted: &str) -> Result<(), Failure> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.:~=_".contains(&byte);
    match wanted.starts_with(|c: char| c.is_ascii_alphanumeric()) && wanted.bytes().all(allowed) {
        true => Ok(()),
        false => Err(Failure::new(Fault::Caller, format!("`{wanted}` is no package"))
            .hint(format!("PACKAGE or PACKAGE=VERSION, e.g. {KERNEL}"))),
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
    fn a_kernel_is_a_package_with_a_version_in_its_name() {
        let package = |name: &str| Package {
            name: name.to_owned(),
            version: "1".to_owned(),
            architecture: "amd64".to_owned(),
            digest: Digest::of(b""),
            size: 0,
            path: None,
            security: None,
            steps: Vec::new(),
        };
        assert!(is_kernel(&package("linux-image-6.1.0-42-cloud-amd64")));
        assert!(!is_kernel(&package("linux-image-cloud-amd64")) && !is_kernel(&package("linux-base")));
    }

    #[test]
    fn what_is_no_package_is_the_callers_mistake() {
        for bad in ["", "-o", "a b", "a/b", "a;b", "--x=y"] {
            assert_eq!(check(bad).unwrap_err().fault, Fault::Caller, "{bad}");
        }
        assert!(check("linux-image-6.1.0-42-cloud-amd64=6.1.159-1").is_ok());
    }

    #[test]
    fn names_of_hosts_and_suites_are_plain() {
        for (name, host) in [("shop", "shop"), ("Shop_1.web", "shop-1-web"), ("--", "till")] {
            assert_eq!(hostname(name), host);
        }
        assert_eq!(debian_suite("ID=debian\nVERSION_CODENAME=trixie\n").as_deref(), Some("trixie"));
        assert_eq!(debian_suite("ID=\"ubuntu\"\nVERSION_CODENAME=noble\n"), None);
        assert_eq!(debian_suite("ID=debian\nVERSION_CODENAME=../x\n"), None);
    }
}
