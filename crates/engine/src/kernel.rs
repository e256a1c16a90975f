//! Which kernel a machine has: the image's own, or that of a package, which is then in the store.
//!
//! ```text
//! DATA/caches/.base-kernels/<image>.json   the one that was chosen for what lies upon an image
//! ```

use till_core::id::InstanceId;
use till_core::model::name::Wanted;
use till_core::model::{BaseLock, BaseRef, BaseSpec};
use till_core::packages::{Package, PackageWish, Pinned, Resolved};
use till_core::plan::{Bootstrap, Bytes, Limits, MachineDraft, Plan};
use till_core::port::{Environment, Layer, Opening};
use till_core::recipe::RecipeSpec;
use till_core::{Digest, Failure, Fault, ManifestDigest};

use crate::catalog::{BaseAbout, BaseEntry};
use crate::journal::{Observer, Quiet, Stretch};
use crate::prepare::Wish;
use crate::recreate::EPOCH;
use crate::{Engine, new_bits};

/// Where is kept what was chosen.
const CHOSEN: &str = "caches/.base-kernels";
/// The package that is taken where nobody names one: Debian's kernel for clouds.
pub const KERNEL: &str = "linux-image-cloud-amd64";
/// The suite it comes from where the image is none of Debian's.
pub(crate) const SUITE: &str = "bookworm";
/// How the packages of Debian's kernels begin: with the version after it.
const KERNELS: &str = "linux-image-";

impl Engine {
    /// The machine that a plan is for; none: containers.
    pub(crate) async fn machine_of(
        &self,
        wish: &Wish,
        plan: &Plan,
        environment: &dyn Environment,
        observer: &dyn Observer,
    ) -> Result<Option<MachineDraft>, Failure> {
        let steps = environment.has_kernel();
        if !steps && !wish.disk {
            let what = format!("an instance in `{}` has this machine's kernel", environment.name());
            let none = || Failure::new(Fault::Caller, what).hint("a kernel is for machines: --in qemu, or --to disk");
            return wish.kernel.is_none().then_some(None).ok_or_else(none);
        }
        let below = plan.root(&plan.top);
        let layers =
            below.map_or(Ok(Vec::new()), |image| till_image::load(&self.store, image).map(|image| image.layers))?;
        let kernel = self.kernel_upon(below, &layers, wish.kernel.as_deref(), observer).await?;
        Ok(Some(MachineDraft { kernel, steps }))
    }

    /// The kernel of a base's disks, if its `base.toml` names one: the one that its lock says, or what the name comes to today.
    pub(crate) async fn kernel_of_base(
        &self,
        spec: &BaseSpec,
        from: Option<&BaseEntry>,
        lock: Option<&BaseLock>,
        observer: &dyn Observer,
    ) -> Result<Option<Package>, Failure> {
        let Some(wanted) = spec.disk.as_ref().and_then(|disk| disk.kernel.as_deref()) else {
            return Ok(None);
        };
        if let Some(lock) = lock {
            let none = || {
                Failure::new(Fault::Base, "the lock names no kernel, and the base.toml wants one")
                    .hint("build without --locked to write the lock anew")
            };
            let kernel = lock.kernel.clone().ok_or_else(none)?;
            self.ensure(std::slice::from_ref(&kernel), observer).await?;
            return Ok(Some(kernel));
        }
        let named = match &spec.recipe {
            RecipeSpec::Debian(recipe) => recipe.suite.clone(),
            RecipeSpec::Dockerfile(_) => None,
        };
        let suite = match (named, from) {
            (Some(suite), _) => suite,
            (None, Some(from)) => self.look_for_kernel(&from.image.layers).await?.suite,
            (None, None) => SUITE.to_owned(),
        };
        let stretch = Stretch::begin(observer, "kernel");
        let kernel = self.kernel_package(suite, wanted, &Quiet(observer)).await;
        let kernel = kernel.map_err(|failure| Failure { fault: Fault::Base, ..failure })?;
        stretch.end();
        Ok(Some(kernel))
    }

    /// The kernel for what lies upon an image: the one that is wished for; the one that the image's base names; the one that was chosen for the image when it was
    /// first asked for one, so that nothing changes it but a new version of the image; the newest.
    pub(crate) async fn kernel_upon(
        &self,
        image: Option<&ManifestDigest>,
        layers: &[Layer],
        wanted: Option<&str>,
        observer: &dyn Observer,
    ) -> Result<Option<Pinned>, Failure> {
        if let (Some(image), None) = (image, wanted)
            && let Some(own) = self.kernel_that_base_names(image, observer).await?
        {
            return Ok(Some(own));
        }
        let folder = self.folder(CHOSEN)?;
        let file = image.filter(|_| wanted.is_none()).map(|image| folder.join(format!("{}.json", image.hex())));
        let known = file.as_ref().and_then(|file| std::fs::read(file).ok());
        let known = known.and_then(|bytes| serde_json::from_slice::<Pinned>(&bytes).ok());
        if let Some(known) = known.filter(|known| self.store.has(&known.digest)) {
            return Ok(Some(known));
        }
        let stretch = Stretch::begin(observer, "kernel");
        let package = self.kernel(layers, wanted, &Quiet(observer)).await?;
        stretch.end();
        let pinned = package.as_ref().map(Pinned::from);
        if let (Some(file), Some(pinned)) = (file, &pinned) {
            let failed = |error| Failure::house(format!("cannot write `{}`", file.display()), error);
            // Whole or not at all: somebody else may read it.
            let hidden = folder.join(format!(".{}", new_bits()));
            let text = serde_json::to_vec(pinned).unwrap_or_default();
            std::fs::write(&hidden, text).and_then(|()| std::fs::rename(&hidden, &file)).map_err(failed)?;
        }
        Ok(pinned)
    }

    /// The kernel that the base of that image names, which is then in the store.
    pub(crate) async fn kernel_that_base_names(
        &self,
        image: &ManifestDigest,
        observer: &dyn Observer,
    ) -> Result<Option<Pinned>, Failure> {
        let Some(kernel) = self.kept_lock(image).await?.and_then(|lock| lock.kernel) else { return Ok(None) };
        self.ensure(std::slice::from_ref(&kernel), observer).await?;
        Ok(Some(Pinned::from(&kernel)))
    }

    /// How large the disks of the base of that image are, if it says so.
    pub(crate) async fn size_that_base_names(&self, image: &ManifestDigest) -> Option<Bytes> {
        let bases = self.ledger.bases().await.ok()?;
        let fact = bases.into_iter().find(|base| base.version.digest == *image)?;
        let wanted = BaseRef { name: fact.version.name, version: Wanted::Digest(image.clone()) };
        match self.base(&wanted).await.ok()?.about {
            BaseAbout::Made(label) => label.spec.disk?.size,
            BaseAbout::External(_) => None,
        }
    }

    /// Makes sure that a kernel is in the store: an artifact may have come from elsewhere, and its kernel's package not with it.
    pub(crate) async fn ensure_kernel(
        &self,
        kernel: &Pinned,
        layers: &[Layer],
        observer: &dyn Observer,
    ) -> Result<(), Failure> {
        if self.store.has(&kernel.digest) {
            return Ok(());
        }
        let wanted = format!("{}={}", kernel.name, kernel.version);
        let found = self.kernel(layers, Some(&wanted), &Quiet(observer)).await?;
        match found.is_some_and(|found| found.digest == kernel.digest) {
            true => Ok(()),
            false => {
                Err(Failure::new(Fault::House, format!("the mirrors' `{wanted}` is not the kernel {}", kernel.digest))
                    .hint("name another with --kernel, or make the artifact again"))
            }
        }
    }

    /// The kernels of artifacts, and those that were chosen for images that are kept; what was chosen for others is forgotten.
    pub(crate) async fn kept_kernels(&self, is_kept: &dyn Fn(&str) -> bool) -> Result<Vec<Digest>, Failure> {
        let folder = self.folder(CHOSEN)?;
        let mut kept = Vec::new();
        for fact in self.ledger.artifacts().await? {
            let machine = self.artifact(fact.digest.as_str()).await.ok().and_then(|entry| entry.label.machine);
            kept.extend(machine.and_then(|machine| machine.kernel).map(|kernel| kernel.digest));
        }
        for name in crate::packages::names(&folder)? {
            let file = folder.join(&name);
            let known = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Pinned>(&bytes).ok());
            match known.filter(|_| name.strip_suffix(".json").is_some_and(is_kept)) {
                Some(kernel) => kept.push(kernel.digest),
                None => std::fs::remove_file(&file)
                    .map_err(|error| Failure::house(format!("cannot remove `{}`", file.display()), error))?,
            }
        }
        Ok(kept)
    }

    /// The kernel's package, which is then in the store; none when the image has one and nobody wants another.
    pub(crate) async fn kernel(
        &self,
        layers: &[Layer],
        wanted: Option<&str>,
        observer: &dyn Observer,
    ) -> Result<Option<Package>, Failure> {
        let about = self.look_for_kernel(layers).await?;
        if wanted.is_none() && about.has_kernel {
            return Ok(None);
        }
        self.kernel_package(about.suite, wanted.unwrap_or(KERNEL), observer).await.map(Some)
    }

    pub(crate) async fn kernel_package(
        &self,
        suite: String,
        wanted: &str,
        observer: &dyn Observer,
    ) -> Result<Package, Failure> {
        check(wanted)?;
        if let Some(kept) = self.kept_kernel(wanted)? {
            return Ok(kept);
        }
        let system = Bootstrap {
            suite,
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
        resolved.packages.into_iter().find(is_kernel).ok_or_else(missing)
    }

    async fn look_for_kernel(&self, layers: &[Layer]) -> Result<About, Failure> {
        let opening = Opening {
            id: InstanceId::from_bits(new_bits()),
            layers: layers.to_vec(),
            mounts: Vec::new(),
            kernel: None,
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
    fn suites_are_plain() {
        assert_eq!(debian_suite("ID=debian\nVERSION_CODENAME=trixie\n").as_deref(), Some("trixie"));
        assert_eq!(debian_suite("ID=\"ubuntu\"\nVERSION_CODENAME=noble\n"), None);
        assert_eq!(debian_suite("ID=debian\nVERSION_CODENAME=../x\n"), None);
    }
}
