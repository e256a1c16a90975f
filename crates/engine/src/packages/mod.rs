//! Packages, exactly: which ones a recipe comes to today, kept in the store by digest, and lent from there as an archive.
//!
//! ```text
//! DATA/caches/.recipes/apt/SUITE/    what this machine's apt keeps for systems     ground::debian
//! DATA/caches/.recipes/apt/HEX/      the same of apt in instances of the image HEX: its own, and nobody else's
//! DATA/caches/.recipes/apt/HEX.json  what a wish came to when mirrors said what they say
//! STAGING/packages/HEX/              archives of just the packages of a step
//! STAGING/record/N/                  copies of what apt got for the steps of a Dockerfile
//! ```

mod record;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use till_core::id::{InstanceId, PreparationId};
use till_core::model::BaseLock;
use till_core::packages::apt::{self, Chosen};
use till_core::packages::archive::{self, Stored};
use till_core::packages::{Package, PackageWish, Pinned, Resolved, Suite};
use till_core::plan::{Limits, Network, Step};
use till_core::port::{Answers, Evidence, Instance, Mount, Opening};
use till_core::{Digest, Failure, Fault, ManifestDigest};

use crate::journal::{Event, Journal, Observer, StepReport};
use crate::lock::{self, Sharing};
use crate::{Engine, new_bits};

/// Where apt in an instance keeps what it gets.
const KEPT: &str = "/run/till-apt";
/// A Release file of Debian has 150 KiB.
const MAX_RELEASE: u64 = 4 << 20;
/// What people see of it.
const WHICH: &str = "which packages";
/// More than any list of packages takes.
const LOG: u64 = 64 << 20;

impl Engine {
    /// Which packages a wish comes to today; they are in the store afterwards.
    pub(crate) async fn resolve(&self, wish: &PackageWish, observer: &dyn Observer) -> Result<Resolved, Failure> {
        let locks = self.folder("locks")?;
        let _alone = lock::take(&locks, "recipe-caches", Sharing::Alone, || {
            observer.event(Event::Waiting("for another base to be made"));
        })
        .await?;
        let keep = self.folder("caches/.recipes/apt")?;
        let staging = self.staging(&PreparationId::from_bits(new_bits()))?;
        let began = Instant::now();
        observer.event(Event::Began(WHICH));
        let mut journal = Journal::new(observer, &staging.path().join("packages.log"), LOG);
        let resolved = self.ask(wish, &keep, &mut journal).await;
        let resolved = resolved.inspect_err(|_| observer.event(Event::Failed(WHICH)))?;
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        observer.event(Event::Ended(&StepReport { name: WHICH.to_owned(), milliseconds, reused: false }));
        Ok(resolved)
    }

    /// Asks apt: of this machine for a system, of an image for what comes upon it.
    async fn ask(&self, wish: &PackageWish, keep: &Path, journal: &mut Journal<'_>) -> Result<Resolved, Failure> {
        match wish {
            PackageWish::System(system) => {
                let lists = self.bootstrapper.update(system, keep, journal).await?;
                let remembered = Remembered::of(wish, &lists, keep)?;
                if let Some(resolved) = remembered.read(&self.store) {
                    return Ok(resolved);
                }
                let answers = self.bootstrapper.resolve(system, keep, journal).await?;
                self.taken(answers, remembered).await
            }
            PackageWish::Upon { image, names, recommends } => {
                let host = keep.join(image.hex());
                let resolved = self.ask_within(wish, (image, names, *recommends), (keep, &host), journal).await;
                if resolved.is_err() {
                    // What the image's own programs left there may be what it fails for.
                    let _ = std::fs::remove_dir_all(&host);
                }
                resolved
            }
        }
    }

    async fn ask_within(
        &self,
        wish: &PackageWish,
        (image, names, recommends): (&ManifestDigest, &[String], bool),
        (keep, host): (&Path, &Path),
        journal: &mut Journal<'_>,
    ) -> Result<Resolved, Failure> {
        let mut instance = self.asked(image, host).await?;
        let archives = format!("{KEPT}/archives");
        let questions = apt::questions(&apt::kept_in(KEPT), &archives, names, recommends);
        let folders = [format!("{KEPT}/lists/partial"), format!("{archives}/partial"), format!("{KEPT}/cache")];
        let folders = ["mkdir", "-p"].map(str::to_owned).into_iter().chain(folders).collect();
        put(&mut *instance, folders, Network::None, journal).await?;
        put(&mut *instance, questions.update, Network::Egress, journal).await?;
        let remembered = Remembered::of(wish, &host.join("lists"), keep)?;
        if let Some(resolved) = remembered.read(&self.store) {
            return Ok(resolved);
        }
        let simulation = put(&mut *instance, questions.simulate, Network::None, journal).await?;
        let addresses = put(&mut *instance, questions.addresses, Network::None, journal).await?;
        put(&mut *instance, questions.download, Network::Egress, journal).await?;
        // Nothing of it runs any more when what it left is looked at.
        drop(instance);
        self.taken(Answers { simulation, addresses, archives: host.join("archives") }, remembered).await
    }

    /// An instance of an image whose apt keeps what it gets in a folder of the host.
    async fn asked(&self, image: &ManifestDigest, host: &Path) -> Result<Box<dyn Instance>, Failure> {
        let opening = Opening {
            id: InstanceId::from_bits(new_bits()),
            layers: till_image::load(&self.store, image)?.layers,
            mounts: vec![Mount { host: host.to_owned(), path: KEPT.to_owned(), owner: "root".to_owned() }],
            kernel: None,
            limits: Limits::default(),
            epoch: crate::recreate::EPOCH,
        };
        self.environment.open(opening).await
    }

    /// Takes the packages that apt chose into the store, and remembers which they are.
    async fn taken(&self, answers: Answers, remembered: Remembered) -> Result<Resolved, Failure> {
        let store = self.store.clone();
        let work = move || {
            let packages = take_all(&store, &answers, &apt::chosen(&answers.simulation))?;
            let resolved = Resolved { packages, suites: remembered.suites.clone() };
            remembered.write(&resolved);
            // They are in the store; what stayed here would be taken for what it is called.
            let _ = std::fs::remove_dir_all(&answers.archives);
            Ok(resolved)
        };
        blocking(work).await
    }

    /// Makes sure that packages are in the store: what is not is got from a mirror that still has it.
    pub(crate) async fn ensure(&self, packages: &[Package], observer: &dyn Observer) -> Result<(), Failure> {
        let missing: Vec<_> = packages.iter().filter(|package| !self.store.has(&package.digest)).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let waiting = format!("for {} packages of the lock that are not in the store", missing.len());
        observer.event(Event::Waiting(&waiting));
        let staging = self.staging(&PreparationId::from_bits(new_bits()))?;
        let mut journal = Journal::new(observer, &staging.path().join("packages.log"), LOG);
        self.bootstrapper.fetch(&missing, &staging.path(), &mut journal).await?;
        let (store, folder) = (self.store.clone(), staging.path());
        let take = move || {
            for package in &missing {
                store.take(&folder.join(archive::file(&package.digest)), &package.digest)?;
            }
            Ok(())
        };
        blocking(take).await
    }

    /// Writes an archive of just these packages, which are in the store, into a folder that is made for it.
    pub(crate) async fn write_archive(&self, packages: &[Pinned], suite: &str, folder: &Path) -> Result<(), Failure> {
        let (store, packages) = (self.store.clone(), packages.to_vec());
        let (suite, folder) = (suite.to_owned(), folder.to_owned());
        let write = move || {
            let failed = |error| Failure::house(format!("cannot write `{}`", folder.display()), error);
            std::fs::create_dir_all(&folder).map_err(failed)?;
            let mut stored = Vec::new();
            for package in &packages {
                let place = folder.join(archive::file(&package.digest));
                // A copy: who is lent the archive must not come near the store. It is read by anyone inside.
                let size = std::fs::copy(store.path(&package.digest), &place).map_err(failed)?;
                let found = digest_of(&place)?;
                if found != package.digest {
                    store.remove(&package.digest)?;
                    let what = format!("the package {} {} in the store was damaged", package.name, package.version);
                    return Err(Failure::new(Fault::House, what)
                        .hint("it was removed: build again, and it is fetched anew. Check the disk"));
                }
                stored.push(Stored { package, size, control: till_image::control(&place)? });
            }
            for (name, text) in archive::index(&stored, &suite) {
                std::fs::write(folder.join(name), text).map_err(failed)?;
            }
            Ok(())
        };
        blocking(write).await
    }

    /// What apt got for steps that were watched: a folder has one for each that got something, called by its number.
    pub(crate) async fn recorded(&self, folder: PathBuf) -> Result<Resolved, Failure> {
        let store = self.store.clone();
        blocking(move || record::read(&store, &folder)).await
    }

    /// The blobs that a base's lock names: packages and files, from which it can be made again.
    pub(crate) async fn locked_blobs(&self, base: &ManifestDigest) -> Result<Vec<Digest>, Failure> {
        let lock = self.kept_lock(base).await?;
        Ok(lock.map(|lock| blobs(&lock)).unwrap_or_default())
    }
}

fn blobs(lock: &BaseLock) -> Vec<Digest> {
    let packages = lock.package.iter().chain(&lock.kernel).map(|package| package.digest.clone());
    packages.chain(lock.remote.iter().map(|remote| remote.digest.clone())).collect()
}

/// What a wish came to when the mirrors said the same as today.
struct Remembered {
    file: PathBuf,
    suites: Vec<Suite>,
}

impl Remembered {
    fn of(wish: &PackageWish, lists: &Path, keep: &Path) -> Result<Self, Failure> {
        let releases = releases(lists)?;
        let texts: Vec<_> = releases.iter().map(|(name, text)| format!("{name}\n{text}")).collect();
        let suites: BTreeSet<_> = releases.iter().filter_map(|(name, text)| apt::suite(name, text)).collect();
        let file = keep.join(format!("{}.json", wish.digest(&texts).hex()));
        Ok(Self { file, suites: suites.into_iter().collect() })
    }

    /// What is still there of it is all of it, or nothing.
    fn read(&self, store: &till_image::Store) -> Option<Resolved> {
        let resolved: Resolved = serde_json::from_slice(&std::fs::read(&self.file).ok()?).ok()?;
        resolved.packages.iter().all(|package| store.has(&package.digest)).then_some(resolved)
    }

    /// Whatever keeps it from being remembered, it is only asked again.
    fn write(&self, resolved: &Resolved) {
        let bytes = serde_json::to_vec(resolved).unwrap_or_default();
        let _ = std::fs::write(&self.file, bytes);
    }
}

/// Hears what is said, and passes it on.
struct Ear<'a, 'b>(&'a mut Journal<'b>, Vec<u8>);

impl till_core::port::LogSink for Ear<'_, '_> {
    fn write(&mut self, bytes: &[u8]) {
        let room = usize::try_from(LOG).unwrap_or(usize::MAX).saturating_sub(self.1.len());
        self.1.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.0.write(bytes);
    }
}

/// Puts a question to the apt of an instance; what it said.
async fn put(
    instance: &mut dyn Instance,
    argv: Vec<String>,
    network: Network,
    journal: &mut Journal<'_>,
) -> Result<String, Failure> {
    let env = [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("LC_ALL", "C.UTF-8"),
    ];
    let step = Step {
        name: WHICH.to_owned(),
        argv,
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        dir: "/".to_owned(),
        user: "root".to_owned(),
        network,
        built: Vec::new(),
        mounts: Vec::new(),
    };
    let mut ear = Ear(journal, Vec::new());
    let exit = instance.run(&step, &[], &mut ear).await?;
    let said = String::from_utf8_lossy(&ear.1).into_owned();
    if exit.evidence == Evidence::Code(0) {
        return Ok(said);
    }
    let fault = if apt::blames_network(&said) { Fault::House } else { Fault::Base };
    Err(Failure::new(fault, "the base's apt cannot tell which packages the recipe comes to")
        .evidence(journal.last_lines()))
}

fn take_all(store: &till_image::Store, answers: &Answers, chosen: &[Chosen]) -> Result<Vec<Package>, Failure> {
    // It is a directory, and not a link to another.
    names(&answers.archives)?;
    let places = apt::places(&answers.addresses);
    let mut packages = Vec::new();
    for one in chosen {
        let file = one.file();
        let (digest, size) = take(store, &answers.archives.join(&file))?;
        packages.push(Package {
            name: one.name.clone(),
            version: one.version.clone(),
            architecture: one.architecture.clone(),
            digest,
            size,
            path: places.get(&file).cloned(),
            security: Some(one.security),
            steps: Vec::new(),
        });
    }
    packages.sort();
    Ok(packages)
}

/// Copies a file into the store.
pub(crate) fn take(store: &till_image::Store, path: &Path) -> Result<(Digest, u64), Failure> {
    let failed = |error| Failure::house(format!("cannot keep `{}`", path.display()), error);
    // What an instance left there may be a link to anything.
    if !std::fs::symlink_metadata(path).map_err(failed)?.is_file() {
        return Err(Failure::new(Fault::Base, format!("`{}` is not a file", path.display())));
    }
    let mut writer = store.writer()?;
    std::io::copy(&mut std::fs::File::open(path).map_err(failed)?, &mut writer).map_err(failed)?;
    let (digest, size) = writer.finish()?;
    Ok((digest.0, size))
}

fn digest_of(path: &Path) -> Result<Digest, Failure> {
    let failed = |error| Failure::house(format!("cannot read `{}`", path.display()), error);
    Digest::of_reader(&mut std::fs::File::open(path).map_err(failed)?).map_err(failed)
}

/// The Release files of a folder: their names and texts.
pub(crate) fn releases(folder: &Path) -> Result<Vec<(String, String)>, Failure> {
    let mut found = Vec::new();
    for name in names(folder)?.into_iter().filter(|name| name.ends_with("Release")) {
        let file = std::fs::File::open(folder.join(&name));
        let mut bytes = Vec::new();
        // What is longer is none.
        if file.and_then(|file| file.take(MAX_RELEASE + 1).read_to_end(&mut bytes)).is_ok()
            && bytes.len() as u64 <= MAX_RELEASE
        {
            found.push((name, String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    Ok(found)
}

/// The files of a folder, sorted; none when it is not there. Neither it nor any of them may be a link: what an instance left
/// there may be one to anything.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, Failure> {
    let failed = |error| Failure::house(format!("cannot read `{}`", folder.display()), error);
    match std::fs::symlink_metadata(folder) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Err(Failure::new(Fault::Base, format!("`{}` is not a directory any more", folder.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    }
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let plain = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let mut names: Vec<_> = plain.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Failure::house("cannot keep packages", error)),
    }
}
