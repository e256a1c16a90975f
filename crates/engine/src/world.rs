//! What a source names of the world outside: images, files, code of others; found out while planning, for what they are is
//! part of the plan. An image is a base, an image in a layout beside the recipe, or one in a registry.

use std::path::PathBuf;

use till_core::id::PreparationId;
use till_core::known::{self, Known, KnownCode, KnownImage, KnownRemote, Need, Previous};
use till_core::model::base_lock::LockedRemote;
use till_core::model::{AppName, BaseLock, BaseRef, ImageName, SourceView};
use till_core::packages::Resolved;
use till_core::plan::{Config, Healthcheck, ImageDraft, Limits, NamedFile};
use till_core::port::Opening;
use till_core::{Digest, Failure, Fault, ManifestDigest};
use till_image::{Assembly, History, Image, ImageConfig, ImportLimits, ImportSource, Platform, rfc3339};

use crate::journal::{Event, Observer};
use crate::{Engine, new_bits};

/// The largest file that ADD fetches.
const MAX_REMOTE: u64 = 8 << 30;

/// What a source may name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// What this machine has, too: it is who builds that wrote it.
    Machine,
    /// What anybody could get.
    #[default]
    World,
}

/// What was found out so far, and how more is.
pub(crate) struct World<'a> {
    engine: &'a Engine,
    /// Whose doing it is that something is named which is not there.
    fault: Fault,
    observer: &'a dyn Observer,
    /// Where layouts may lie, if at all.
    folder: Option<PathBuf>,
    /// Answers that are taken in place of what there is today.
    lock: Option<&'a BaseLock>,
    /// The app, and its source now.
    app: Option<(&'a AppName, Digest)>,
    reach: Reach,
    /// Addresses that are who builds' own words, whatever the source may name.
    trusted: &'a [String],
    pub(crate) known: Known,
}

impl<'a> World<'a> {
    pub(crate) fn new(engine: &'a Engine, fault: Fault, observer: &'a dyn Observer) -> Self {
        let (app, reach) = (None, Reach::Machine);
        Self { engine, fault, observer, folder: None, lock: None, app, reach, trusted: &[], known: Known::default() }
    }

    /// The same for an app of that source.
    pub(crate) fn of_app(self, app: &'a AppName, source: &SourceView) -> Self {
        let known = Known { app: Some(app.clone()), ..self.known };
        Self { app: Some((app, source.tree())), known, ..self }
    }

    /// The same for who wants nothing of what was made before.
    pub(crate) fn afresh(self, afresh: bool) -> Self {
        Self { app: self.app.filter(|_| !afresh), ..self }
    }

    /// The same for a source that may name so much.
    pub(crate) fn within(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    /// The same for who builds, who named these addresses.
    pub(crate) fn trusting(self, trusted: &'a [String]) -> Self {
        Self { trusted, ..self }
    }

    /// The same with a folder whose layouts may be named.
    pub(crate) fn beside(self, folder: PathBuf) -> Self {
        Self { folder: Some(folder), ..self }
    }

    /// The same, which answers what the lock says.
    pub(crate) fn locked(self, lock: Option<&'a BaseLock>) -> Self {
        Self { lock, ..self }
    }

    /// Something that the user should know.
    pub(crate) fn notice(&self, text: &str) {
        self.observer.event(Event::Notice(text));
    }

    /// The files of the web that were asked for.
    pub(crate) fn remotes(&self) -> Vec<LockedRemote> {
        let locked = |(url, known): (&String, &KnownRemote)| LockedRemote {
            url: url.clone(),
            digest: known.digest.clone(),
            name: known.name.clone(),
            time: known.time,
        };
        self.known.remotes.iter().map(locked).collect()
    }

    /// Finds out what is asked for.
    pub(crate) async fn find_out(&mut self, needs: &[Need]) -> Result<(), Failure> {
        for need in needs {
            match need {
                Need::Image(name) => {
                    let image = self.image(name).await?;
                    let known = KnownImage { digest: image.manifest.clone(), config: said(&image.config) };
                    self.known.images.insert(name.clone(), known);
                }
                Need::Remote { url, checksum } => {
                    let remote = self.remote(url, checksum.as_ref()).await?;
                    self.known.remotes.insert(url.clone(), remote);
                }
                Need::Optional { url } => match self.optional(url).await? {
                    Some(remote) => drop(self.known.remotes.insert(url.clone(), remote)),
                    None => drop(self.known.absent.insert(url.clone())),
                },
                Need::Packages(wish) => {
                    let resolved = match self.lock {
                        Some(lock) => {
                            self.engine.ensure(&lock.package, self.observer).await?;
                            Resolved { packages: lock.package.clone(), suites: lock.suite.clone() }
                        }
                        None => self.engine.resolve(wish, self.observer).await?,
                    };
                    self.known.packages = Some(resolved);
                }
                Need::Code { address, texts } => {
                    let code = self.code(address, texts).await?;
                    self.known.code.insert(address.clone(), code);
                }
                Need::Look { image, pattern } => {
                    let texts = self.look(image, pattern).await?;
                    self.known.looks.insert((image.clone(), pattern.clone()), texts);
                }
                Need::Program(name) => {
                    let bytes = self.engine.programs.get(name.as_str());
                    let missing = || Failure::new(Fault::House, format!("there is no program `{name}` in till"));
                    let digest = self.engine.store.put(bytes.ok_or_else(missing)?)?;
                    self.known.programs.insert(name.clone(), digest);
                }
                Need::Previous => self.known.previous = Some(self.previous().await?),
            }
        }
        Ok(())
    }

    /// Code of others as it is today, which is then in the store.
    async fn code(&self, address: &str, texts: &[String]) -> Result<KnownCode, Failure> {
        let local = known::is_local(address);
        let settings = &self.engine.settings;
        let of_operator = settings.buildpacks.values().chain(settings.cartridges.values()).chain(self.trusted);
        if local && self.reach == Reach::World && !of_operator.into_iter().any(|trusted| trusted == address) {
            let what = format!("`{address}` is of this machine, which the source has no say in");
            return Err(Failure::new(self.fault, what).hint("put it into the source, or where it can be fetched from"));
        }
        self.observer.event(Event::Waiting(&format!("for {address}")));
        let staging = self.engine.staging(&PreparationId::from_bits(new_bits()))?;
        let caller = |failure: Failure| match failure.fault {
            Fault::Caller => Failure { fault: self.fault, ..failure },
            _ => failure,
        };
        let named = |failure: Failure| caller(failure).within(format!("cannot get `{address}`"));
        let tree = self.engine.sources.open(address, &staging.path()).await.map_err(named)?;
        let mut view = tree.view().await.map_err(named)?;
        let wanted: Vec<_> = texts.iter().filter_map(|path| view.file(path).cloned()).collect();
        view.texts = tree.texts(&wanted).await.map_err(named)?;
        let archive = staging.path().join("code.tar");
        // The same code has to be the same bytes, whenever and from wherever it came.
        tree.archive(&NamedFile::all(&view.files), crate::recreate::EPOCH, &archive).await.map_err(named)?;
        let digest = crate::mill::digest_of_file(archive.clone()).await?;
        self.engine.store.take(&archive, &digest)?;
        Ok(KnownCode { digest, view })
    }

    /// What files of an image say.
    async fn look(
        &self,
        image: &ManifestDigest,
        pattern: &str,
    ) -> Result<std::collections::BTreeMap<String, String>, Failure> {
        let opening = Opening {
            id: till_core::id::InstanceId::from_bits(new_bits()),
            layers: till_image::load(&self.engine.store, image)?.layers,
            mounts: Vec::new(),
            kernel: None,
            limits: Limits::default(),
            epoch: crate::recreate::EPOCH,
        };
        let mut instance = self.engine.environment.open(opening).await?;
        instance.read(&[pattern.to_owned()]).await
    }

    /// The newest artifact of the app that came of another source, if all of it is there.
    async fn previous(&self) -> Result<Previous, Failure> {
        let Some((app, source)) = &self.app else {
            return Ok(Previous::Nothing);
        };
        for fact in self.engine.ledger.artifacts().await?.into_iter().filter(|fact| fact.app == **app) {
            let Ok(entry) = self.engine.artifact(fact.digest.as_str()).await else {
                continue;
            };
            let whole = entry.image.layers.iter().all(|layer| self.engine.store.has(&layer.blob));
            if whole && entry.label.source != *source {
                let config = said(&entry.image.config);
                return Ok(Previous::Image(Box::new(KnownImage { digest: entry.image.manifest, config })));
            }
        }
        Ok(Previous::Nothing)
    }

    /// A base of that name, one that was imported from there, a layout of the recipe's folder, or an image of a registry; in this order.
    pub(crate) async fn image(&self, name: &str) -> Result<Image, Failure> {
        let Some(locked) = self.lock.and_then(|lock| lock.image.iter().find(|image| image.name == name)) else {
            return self.todays_image(name).await;
        };
        if self.engine.store.has(&locked.digest) {
            return Ok(till_image::load(&self.engine.store, &locked.digest)?);
        }
        let exactly = match name.contains('@') || name.starts_with("oci:") {
            true => name.to_owned(),
            false => format!("{name}@{}", locked.digest),
        };
        let image = self.todays_image(&exactly).await?;
        if image.manifest == locked.digest {
            return Ok(image);
        }
        let what = format!("the image `{name}` is {}, but the lock says {}", image.manifest, locked.digest);
        Err(Failure::new(self.fault, what).hint("build without --locked to write the lock anew"))
    }

    async fn todays_image(&self, name: &str) -> Result<Image, Failure> {
        if let Ok(wanted) = name.parse::<BaseRef>()
            && self.engine.ledger.base(&wanted).await?.is_some()
        {
            return Ok(self.engine.base(&wanted).await?.image);
        }
        if let Some(base) = self.imported(name).await? {
            return Ok(base);
        }
        if let Some(layout) = name.strip_prefix("oci:") {
            return self.layout(name, layout).await;
        }
        let text = name.strip_prefix("docker://").unwrap_or(name);
        let reference = text.parse::<ImageName>().map_err(|error| Failure::new(self.fault, error.to_string()))?;
        self.observer.event(Event::Waiting(&format!("for the image {name}")));
        let pulled = self.engine.pull(&reference, &ImportLimits::default()).await.map_err(|failure| {
            let import = "where it is to be had elsewhere, `till base import` makes a base of it: say its name instead";
            let hint = failure.hint.iter().map(String::as_str).chain([import]).collect::<Vec<_>>().join("; ");
            Failure {
                fault: if failure.fault == Fault::Caller { self.fault } else { failure.fault },
                ..failure.hint(hint).within(format!("cannot get the image `{name}` (there is no base of that name)"))
            }
        })?;
        pulled.notices.iter().for_each(|notice| self.observer.event(Event::Notice(notice)));
        Ok(pulled.image)
    }

    /// The newest base that was imported from what is called so.
    async fn imported(&self, name: &str) -> Result<Option<Image>, Failure> {
        let is_it = |fact: &till_ledger::BaseFact| {
            let origin = fact.external.as_ref().map(|external| &external.external);
            let named = |origin: &till_core::model::Origin| {
                let source = origin.source.strip_prefix("docker://").unwrap_or(&origin.source);
                source == name || origin.reference.as_deref() == Some(name)
            };
            origin.is_some_and(named)
        };
        match self.engine.ledger.bases().await?.iter().rfind(|fact| is_it(fact)) {
            Some(fact) => Ok(Some(till_image::load(&self.engine.store, &fact.version.digest)?)),
            None => Ok(None),
        }
    }

    /// An image in a layout that lies in the recipe's folder. An app's source has no say in files of this machine.
    async fn layout(&self, name: &str, place: &str) -> Result<Image, Failure> {
        let (dir, reference) = match place.split_once(':') {
            Some((dir, reference)) => (dir, Some(reference.to_owned())),
            None => (place, None),
        };
        let outside = dir.starts_with('/') || dir.split('/').any(|part| part == "..");
        let Some(folder) = self.folder.as_ref().filter(|_| !outside) else {
            return Err(Failure::new(self.fault, format!("the image `{name}` is not of the source")).hint(
                "a layout is named by its path from the base's folder; an app's Dockerfile names bases or references",
            ));
        };
        let source = ImportSource::Layout { dir: folder.join(dir), reference };
        let store = self.engine.store.clone();
        let work = move || till_image::import(&store, &source, &Platform::host(), &ImportLimits::default());
        match tokio::task::spawn_blocking(work).await {
            Ok(imported) => Ok(imported?.image),
            Err(error) => Err(Failure::house("cannot import", error)),
        }
    }

    /// A file of the web. One whose digest is said is not fetched again while it is in the store.
    async fn remote(&self, url: &str, checksum: Option<&Digest>) -> Result<KnownRemote, Failure> {
        let Some(locked) = self.lock.and_then(|lock| lock.remote.iter().find(|remote| remote.url == url)) else {
            return self.todays_remote(url, checksum).await;
        };
        self.todays_remote(url, Some(&locked.digest)).await?;
        let LockedRemote { digest, name, time, .. } = locked.clone();
        Ok(KnownRemote { digest, name, time })
    }

    /// A file of the web that may be missing.
    async fn optional(&self, url: &str) -> Result<Option<KnownRemote>, Failure> {
        self.observer.event(Event::Waiting(&format!("for {url}")));
        let staging = self.engine.staging(&PreparationId::from_bits(new_bits()))?;
        let path = staging.path().join("fetched");
        let Some(fetched) = self.engine.fetcher.fetch_if_there(url, MAX_REMOTE, &path).await? else {
            return Ok(None);
        };
        self.engine.store.take(&path, &fetched.digest)?;
        let time = fetched.last_modified.and_then(|time| u64::try_from(time).ok());
        Ok(Some(KnownRemote { digest: fetched.digest, name: fetched.name.unwrap_or_default(), time }))
    }

    async fn todays_remote(&self, url: &str, checksum: Option<&Digest>) -> Result<KnownRemote, Failure> {
        if let Some(digest) = checksum.filter(|digest| self.engine.store.has(digest)) {
            return Ok(KnownRemote { digest: digest.clone(), name: String::new(), time: None });
        }
        self.observer.event(Event::Waiting(&format!("for {url}")));
        let staging = self.engine.staging(&PreparationId::from_bits(new_bits()))?;
        let path = staging.path().join("fetched");
        let fetched = self.engine.fetcher.fetch(url, MAX_REMOTE, &path).await?;
        if let Some(wanted) = checksum.filter(|wanted| **wanted != fetched.digest) {
            return Err(Failure::new(
                self.fault,
                format!("what {url} gives has digest {}, not {wanted}", fetched.digest),
            )
            .hint("is it what you want? then change the checksum"));
        }
        self.engine.store.take(&path, &fetched.digest)?;
        Ok(KnownRemote {
            digest: fetched.digest,
            name: fetched.name.unwrap_or_default(),
            // With a checksum the same file has to give the same plan, whether it was fetched now or before.
            time: fetched.last_modified.filter(|_| checksum.is_none()).and_then(|time| u64::try_from(time).ok()),
        })
    }
}

/// What an image says of itself, as plans know it.
pub(crate) fn said(config: &ImageConfig) -> Config {
    Config {
        env: config.env.iter().filter(|(name, _)| !name.is_empty()).cloned().collect(),
        user: config.user.clone(),
        dir: config.dir.clone(),
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        ports: config.exposed_ports.clone(),
        volumes: config.volumes.clone(),
        labels: config.labels.clone(),
        stop_signal: config.stop_signal.clone(),
        healthcheck: config.healthcheck.as_ref().map(|check| Healthcheck {
            test: check.test.clone(),
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
        }),
        shell: config.shell.clone(),
        on_build: config.on_build.clone(),
        author: None,
    }
}

/// The part of an assembly that a contract says whole; `below` is the image at the bottom.
pub(crate) fn configured<'a>(draft: Option<&ImageDraft>, below: Option<&'a Image>) -> Assembly<'a> {
    let Some(draft) = draft else {
        return Assembly::default();
    };
    let mut config = below.map(|image| image.config.clone()).unwrap_or_default();
    let said = &draft.config;
    config.env.clone_from(&said.env);
    config.user.clone_from(&said.user);
    config.dir.clone_from(&said.dir);
    config.entrypoint.clone_from(&said.entrypoint);
    config.cmd.clone_from(&said.cmd);
    config.exposed_ports.clone_from(&said.ports);
    config.volumes.clone_from(&said.volumes);
    config.labels.clone_from(&said.labels);
    config.stop_signal.clone_from(&said.stop_signal);
    config.shell.clone_from(&said.shell);
    config.on_build.clone_from(&said.on_build);
    config.healthcheck = said.healthcheck.as_ref().map(|check| till_image::Healthcheck {
        test: check.test.clone(),
        interval: check.interval,
        timeout: check.timeout,
        start_period: check.start_period,
        start_interval: check.start_interval,
        retries: check.retries,
        ..till_image::Healthcheck::default()
    });
    if let Some(author) = &said.author {
        config.rest.insert("author".to_owned(), author.clone().into());
    }
    let created = rfc3339(crate::recreate::EPOCH);
    let entry = |record: &till_core::plan::Record| History {
        created: created.clone(),
        created_by: record.text.clone(),
        empty_layer: !record.layer,
        ..History::default()
    };
    Assembly { config: Some(config), history: Some(draft.history.iter().map(entry).collect()), ..Assembly::default() }
}
