//! A container in which a preparation happens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use till_core::Failure;
use till_core::contract::Collected;
use till_core::model::launch::Span;
use till_core::plan::{Injection, Landing, Network, Place, Step};
use till_core::port::{
    Capture, Exit, Instance, Layer, Lent, Loan, LogSink, MAX_TEXT, Mount, Opening, Program, Unstartable,
};
use till_image::{Packing, Rewriting, Unpacking, Whiteouts};

use super::errand::{self, Means};
use super::loans::Desk;
use super::mounts::{Access, Bind};
use super::overlay::Overlay;
use super::places::{self, Stubs};
use super::seat::{Folder, lower};
use super::spec::Seat;
use super::step::Running;
use super::{House, blocking, egress, io, startable, sweep, trees, users};
use crate::hypervisor::Hypervisor;

pub(super) struct Container {
    house: Arc<House>,
    /// Where steps run in machines of their own.
    hypervisor: Option<Arc<dyn Hypervisor>>,
    opening: Opening,
    lower: Vec<PathBuf>,
    /// Unmounted before the folder goes: fields are dropped in this order.
    overlay: Option<Overlay>,
    /// Archives that are mounted while steps run, and where.
    archives: Vec<(PathBuf, String)>,
    stubs: Stubs,
    disk: DiskWatch,
    folder: Folder,
}

impl Container {
    pub(super) async fn open(
        house: Arc<House>,
        hypervisor: Option<Arc<dyn Hypervisor>>,
        opening: Opening,
    ) -> Result<Self, Failure> {
        blocking("cannot open an instance", move || {
            let lower = lower(&house, &opening.layers)?;
            let folder = Folder::create(&house, &opening.id)?;
            let overlay = folder.mount(opening.id.as_str(), &lower)?;
            Ok(Self {
                disk: DiskWatch::new(&folder.path, opening.limits.disk.0),
                overlay: Some(overlay),
                house,
                hypervisor,
                opening,
                lower,
                archives: Vec::new(),
                stubs: Stubs::default(),
                folder,
            })
        })
        .await
    }

    fn root(&self) -> Result<PathBuf, Failure> {
        match &self.overlay {
            Some(overlay) => Ok(overlay.root()),
            None => Err(Failure::new(till_core::Fault::House, "the instance is not mounted")),
        }
    }

    /// Ids outside of a user inside.
    fn owner(&self, root: &Path, name: &str) -> Result<(u32, u32), Failure> {
        let user = users::find(root, name)?;
        let ids = self.house.config.ids();
        Ok((ids.outside(user.uid)?, ids.outside(user.gid)?))
    }

    /// Mounts what a step sees of the outside: caches, the source's archive, and with a network what the machine lends.
    fn furnish(&mut self, root: &Path, step: &Step) -> Result<(Vec<Bind>, BTreeMap<String, String>), Failure> {
        let mut binds = Vec::new();
        for Mount { host, path, owner } in self.opening.mounts.clone() {
            let owner = self.owner(root, &owner)?;
            std::fs::create_dir_all(&host).map_err(io("make", &host))?;
            std::os::unix::fs::chown(&host, Some(owner.0), Some(owner.1)).map_err(io("give away", &host))?;
            let place = places::directory(root, &path, owner, &mut self.stubs)?;
            binds.push(Bind::mount(&host, &place, Access::Write)?);
        }
        let nobody = (self.house.config.first_id, self.house.config.first_id);
        for (archive, path) in self.archives.clone() {
            let (above, _) = path.rsplit_once('/').unwrap_or(("", ""));
            places::directory(root, above, nobody, &mut self.stubs)?;
            if let Some(place) = places::file(root, &path, nobody, &mut self.stubs)? {
                binds.push(Bind::mount(&archive, &place, Access::Read)?);
            }
        }
        let hosts = egress::write_hosts(&self.folder.path).map_err(io("write", &self.folder.path))?;
        if let Some(place) = places::file(root, "/etc/hosts", nobody, &mut self.stubs)? {
            binds.push(Bind::mount(&hosts, &place, Access::Read)?);
        }
        let mut env = BTreeMap::from([("SOURCE_DATE_EPOCH".to_owned(), self.opening.epoch.to_string())]);
        if step.network == Network::Egress {
            let resolver = egress::write_resolv_conf(&self.folder.path).map_err(io("write", &self.folder.path))?;
            let lent = self.house.config.machine.files.clone();
            let mut mounted = Vec::new();
            for (source, path) in std::iter::once((resolver, PathBuf::from("/etc/resolv.conf"))).chain(lent) {
                if let Some(place) = places::file(root, &path.to_string_lossy(), nobody, &mut self.stubs)? {
                    binds.push(Bind::mount(&source, &place, Access::Read)?);
                    mounted.push(path);
                }
            }
            let mounted: Vec<_> = mounted.iter().map(PathBuf::as_path).collect();
            env.extend(self.house.config.machine.variables(&mounted));
        }
        Ok((binds, env))
    }

    /// Files that come to lie as a Dockerfile says.
    async fn land(&self, owner: Option<&str>, landing: &Landing, content: &Path, root: PathBuf) -> Result<(), Failure> {
        let owner = owner.map(|name| users::owner(&root, name)).transpose()?;
        let chmod = landing.mode.as_deref().map(till_core::dockerfile::mode).transpose();
        let chmod = chmod.map_err(|why| Failure::new(till_core::Fault::Source, why))?;
        let (ids, limit) = (self.house.config.ids(), self.opening.limits.disk.0);
        let (content, landing) = (content.to_owned(), landing.clone());
        blocking("cannot copy files into the instance", move || {
            let file = std::fs::File::open(&content).map_err(io("open", &content))?;
            let mut reader = std::io::BufReader::with_capacity(1 << 17, file);
            let change = |mode: u32, directory: bool| chmod.as_ref().map_or(mode, |chmod| chmod.apply(mode, directory));
            let rewriting = Rewriting {
                ids,
                owner,
                mode: chmod.is_some().then_some(&change),
                missing: chmod.as_ref().map_or(0o755, till_core::dockerfile::Chmod::of_missing),
                unpack: landing.unpack,
                limit_bytes: Some(limit),
            };
            till_image::land(&mut reader, &root, (&landing.path, landing.directory), &rewriting)?;
            Ok(())
        })
        .await
    }

    async fn run_at(
        &mut self,
        root: &Path,
        step: &Step,
        loans: &[Loan],
        terminal: bool,
        log: &mut dyn LogSink,
    ) -> Result<Exit, Failure> {
        let (binds, env) = self.furnish(root, step)?;
        let desk = Desk {
            house: &self.house,
            folder: &self.folder,
            name: self.opening.id.as_str(),
            root,
            limit_bytes: self.opening.limits.disk.0,
        };
        let lent = desk.lend(loans, &mut self.stubs)?;
        let seat =
            Seat { name: self.opening.id.as_str(), root, ids: self.house.config.ids(), limits: &self.opening.limits };
        let disk = &mut self.disk;
        let mut too_much = || disk.is_exceeded();
        let exit = if let Some(hypervisor) = &self.hypervisor {
            let lends = |loan: &Loan| matches!(loan.what, Lent::Directory { .. });
            let means = Means {
                hypervisor: &**hypervisor,
                kernel: self.opening.kernel.as_deref(),
                terminal,
                is_shared: !self.opening.mounts.is_empty() || loans.iter().any(lends),
            };
            errand::run(&seat, means, step, env, &mut self.stubs, &mut too_much, log).await?
        } else {
            let running = Running::start(&self.house, &self.folder, &seat, step, env, &[]).await?;
            running.wait(Some(Duration::from_secs(self.opening.limits.time.0)), too_much, log).await
        };
        drop((lent, binds));
        Ok(exit)
    }

    /// A second overlay over what was written so far; it replaces the first while it lasts.
    async fn run_apart(&mut self, step: &Step, log: &mut dyn LogSink) -> Result<Exit, Failure> {
        let name = self.opening.id.as_str().to_owned();
        let upper = self.folder.path.join("trial");
        trees::new_root(&upper, self.house.config.ids())?;
        let lower: Vec<_> = std::iter::once(self.folder.upper()).chain(self.lower.clone()).collect();
        let trial = self.folder.mount_at(&name, &lower, &upper, "trial-work")?;
        let result = self.run_at(&trial.root(), step, &[], false, log).await;
        drop(trial);
        std::fs::remove_dir_all(&upper).map_err(io("remove", &upper))?;
        result
    }
}

#[async_trait]
impl Instance for Container {
    async fn inject(&mut self, what: &Injection, content: &Path) -> Result<(), Failure> {
        let root = self.root()?;
        match &what.place {
            Place::Tar(path) => self.archives.push((content.to_owned(), path.clone())),
            Place::Copy(landing) => self.land(what.owner.as_deref(), landing, content, root).await?,
            Place::Dir(path) => {
                let owner = what.owner.as_deref().map(|name| users::find(&root, name)).transpose()?;
                if let Some(name) = &what.owner {
                    let outside = self.owner(&root, name)?;
                    // Stays, even when nothing comes into it.
                    places::directory(&root, path, outside, &mut Stubs::default())?;
                }
                let unpacking = Unpacking {
                    ids: self.house.config.ids(),
                    owner: owner.map(|user| (user.uid, user.gid)),
                    whiteouts: Whiteouts::Refuse,
                    limit_bytes: Some(self.opening.limits.disk.0),
                    limit_files: None,
                };
                let (content, path) = (content.to_owned(), path.clone());
                blocking("cannot put files into the instance", move || {
                    let file = std::fs::File::open(&content).map_err(io("open", &content))?;
                    let mut reader = std::io::BufReader::with_capacity(1 << 17, file);
                    Ok(till_image::unpack(&mut reader, &root, &path, &unpacking).map(drop)?)
                })
                .await?;
            }
        }
        Ok(())
    }

    async fn run(&mut self, step: &Step, loans: &[Loan], log: &mut dyn LogSink) -> Result<Exit, Failure> {
        let root = self.root()?;
        self.run_at(&root, step, loans, false, log).await
    }

    async fn trial(&mut self, step: &Step, log: &mut dyn LogSink) -> Result<Exit, Failure> {
        self.overlay = None;
        let result = self.run_apart(step, log).await;
        self.overlay = Some(self.folder.mount(self.opening.id.as_str(), &self.lower)?);
        result
    }

    async fn shell(&mut self, step: &Step, loans: &[Loan]) -> Result<(), Failure> {
        if self.hypervisor.is_none() {
            let what = format!("the container of step `{}` has no shell", step.name);
            return Err(Failure::new(till_core::Fault::Caller, what).hint("machines have one: --in qemu"));
        }
        // Whoever looks may take the time that he needs.
        self.opening.limits.time = Span(u64::from(u32::MAX));
        let argv = vec!["/bin/sh".to_owned(), "-i".to_owned()];
        let step = Step { argv, ..step.clone() };
        let root = self.root()?;
        self.run_at(&root, &step, loans, true, &mut Unheard).await.map(drop)
    }

    async fn find(&mut self, patterns: &[String]) -> Result<Collected, Failure> {
        let (root, patterns) = (self.root()?, patterns.to_vec());
        blocking("cannot look into the instance", move || {
            let mut collected = Collected::default();
            for pattern in patterns {
                let paths = till_image::find_matching(&root, &pattern)?;
                collected.found.insert(pattern, paths);
            }
            Ok(collected)
        })
        .await
    }

    async fn read(&mut self, patterns: &[String]) -> Result<BTreeMap<String, String>, Failure> {
        let (root, patterns) = (self.root()?, patterns.to_vec());
        blocking("cannot look into the instance", move || {
            let mut texts = BTreeMap::new();
            for pattern in patterns {
                for path in till_image::find_matching(&root, &pattern)? {
                    let text = till_image::read_text(&root, &path, MAX_TEXT)?;
                    texts.extend(text.map(|text| (path, text)));
                }
            }
            Ok(texts)
        })
        .await
    }

    async fn unstartable(&mut self, program: &Program<'_>) -> Result<Option<Unstartable>, Failure> {
        Ok(startable::look(&self.root()?, &self.folder.upper(), self.house.config.ids(), program)?)
    }

    async fn snapshot(mut self: Box<Self>, capture: &Capture) -> Result<Layer, Failure> {
        let capture = capture.clone();
        blocking("cannot take a snapshot", move || {
            let root = self.root()?;
            for pattern in &capture.remove {
                till_image::remove_matching(&root, pattern)?;
            }
            places::clear(&root, &self.stubs)?;
            self.overlay = None;
            let upper = self.folder.upper();
            for pattern in &capture.volatile {
                till_image::remove_matching(&upper, pattern)?;
            }
            let config = &self.house.config;
            let packing = Packing { ids: config.ids(), epoch: self.opening.epoch, compression: config.compression };
            let packed = till_image::pack(&upper, &packing, &self.house.store)?;
            let folder = trees::folder(&config.data, config.ids())?;
            trees::keep(&upper, &trees::path(&folder, &packed.layer.diff_id))?;
            Ok(packed.layer)
        })
        .await
    }
}

/// What a shell says goes to its terminal; what keeps it from starting is in its exit code.
struct Unheard;

impl LogSink for Unheard {
    fn write(&mut self, _: &[u8]) {}
}

impl Drop for Container {
    fn drop(&mut self) {
        self.overlay = None;
        // Interrupted between making a container and knowing of it.
        let name = self.opening.id.as_str();
        if self.house.runtime.has(&self.folder.state(), name) {
            sweep::kill_processes(&self.house, name, &self.folder);
        }
        let _ = std::fs::remove_dir_all(&self.folder.path);
    }
}

/// Whether an instance has written more than it may. A look at the whole file system is cheap and tells at once when it may
/// have; as others may have freed what it took, its own tree is measured now and then all the same.
#[derive(Debug)]
struct DiskWatch {
    folder: PathBuf,
    limit: u64,
    used_before: u64,
    next: Instant,
}

impl DiskWatch {
    /// How often the tree is measured; less often when that takes long.
    const INTERVAL: Duration = Duration::from_secs(2);

    fn new(folder: &Path, limit: u64) -> Self {
        Self { folder: folder.to_owned(), limit, used_before: used(folder), next: Instant::now() + Self::INTERVAL }
    }

    fn is_exceeded(&mut self) -> bool {
        let began = Instant::now();
        if began < self.next && used(&self.folder).saturating_sub(self.used_before) <= self.limit {
            return false;
        }
        let exceeded = measure(&self.folder) > self.limit;
        self.next = Instant::now() + Self::INTERVAL.max(began.elapsed() * 20);
        exceeded
    }
}

/// Bytes used on the file system of a path.
fn used(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(0, |stat| (stat.f_blocks - stat.f_bfree) * stat.f_frsize)
}

/// Bytes that a tree occupies.
fn measure(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => measure(&entry.path()),
            Ok(meta) => meta.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}
