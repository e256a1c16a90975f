//! What is in an image, and how it came about: taken when an image is made, and attached to it; asked for later.
//!
//! ```text
//! DATA/inventory/<hex>.json   what was seen of stacks of layers (image::scan); may be removed at any time
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use till_core::dockerfile::spec::Choice;
use till_core::id::PreparationId;
use till_core::inventory::diff::{self, Difference};
use till_core::inventory::{FileEntry, Inventory, Subject, cyclonedx, spdx};
use till_core::model::{BaseRef, BaseVersion};
use till_core::plan::{Deed, Injection, Plan, Selection};
use till_core::provenance::{self, Account, Exchange, Made};
use till_core::{Digest, Failure, Fault, ManifestDigest};
use till_image::{Image, ImageConfig, attach, attached, list_files, rfc3339, take_inventory};
use till_ledger::ReferrerFact;

use crate::Engine;
use crate::journal::{Event, Observer};
use crate::lock::{self, Sharing};
use crate::system::{is_disk, refuse_disk};

/// The version that documents name.
const TOOL: &str = env!("CARGO_PKG_VERSION");
/// The folder of what was seen.
pub(crate) const FOLDER: &str = "inventory";

/// The form of a bill of materials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// CycloneDX 1.6, in JSON.
    CycloneDx,
    /// SPDX 2.3, in JSON.
    Spdx,
}

impl Format {
    fn media_type(self) -> &'static str {
        match self {
            Self::CycloneDx => cyclonedx::MEDIA_TYPE,
            Self::Spdx => spdx::MEDIA_TYPE,
        }
    }

    fn document(self, inventory: &Inventory, subject: &Subject) -> Value {
        match self {
            Self::CycloneDx => cyclonedx::document(inventory, subject),
            Self::Spdx => spdx::document(inventory, subject),
        }
    }
}

/// An artifact's image, or a base's.
#[derive(Debug, Clone)]
pub struct Named {
    /// The app, or the base with its version.
    pub name: String,
    /// Its image.
    pub image: Image,
    /// When it was made.
    pub made: i64,
}

/// What differs between two images.
#[derive(Debug, Clone, Serialize)]
pub struct ImageDifference {
    /// By ecosystem and name: the versions.
    pub packages: Difference<BTreeSet<String>>,
    /// By path.
    pub files: Difference<FileEntry>,
    /// By key, e.g. `env.PATH`.
    pub config: Difference<String>,
}

impl ImageDifference {
    /// What differs, one thing a line, so many at most.
    pub fn lines(&self, most: usize) -> Vec<String> {
        fn names<T>(what: &str, difference: &Difference<T>, lines: &mut Vec<String>) {
            let name = |how: &str, key: &String| format!("{what} {how}: {key}");
            lines.extend(difference.removed.keys().map(|key| name("is missing now", key)));
            lines.extend(difference.added.keys().map(|key| name("is new", key)));
            lines.extend(difference.changed.keys().map(|key| name("differs", key)));
        }
        let mut lines = Vec::new();
        names("package", &self.packages, &mut lines);
        names("file", &self.files, &mut lines);
        names("setting", &self.config, &mut lines);
        if lines.is_empty() {
            lines.push("packages, files and config are the same: times, attributes or labels are not".to_owned());
        }
        if lines.len() > most {
            let more = lines.len() - most;
            lines.truncate(most);
            lines.push(format!("and {more} more"));
        }
        lines
    }
}

/// What is told of an image that was just made.
pub(crate) struct Told<'a> {
    pub(crate) made: Made<'a>,
    pub(crate) plan: &'a Plan,
    pub(crate) base: Option<&'a BaseVersion>,
    pub(crate) dirty: bool,
    pub(crate) variables: BTreeSet<String>,
    /// What was said of the Dockerfile, where one was followed.
    pub(crate) dockerfile: Option<&'a Choice>,
    /// The ids of secrets that were given.
    pub(crate) secrets: BTreeSet<String>,
    pub(crate) preparation: &'a PreparationId,
}

impl Engine {
    /// The image that is meant: an artifact as everywhere; `base:NAME[@VERSION]`, or without `base:` where no artifact has
    /// that name, a base.
    pub async fn image(&self, wanted: &str) -> Result<Named, Failure> {
        let as_base = wanted.strip_prefix("base:");
        let unknown = match as_base {
            Some(_) => None,
            None => match self.artifact(wanted).await {
                Ok(entry) => {
                    return Ok(Named { name: entry.fact.app.to_string(), image: entry.image, made: entry.fact.made });
                }
                Err(failure) => Some(failure),
            },
        };
        let base = match as_base.unwrap_or(wanted).parse::<BaseRef>() {
            Ok(base) => self.base(&base).await,
            Err(error) => Err(Failure::new(Fault::Caller, error.to_string())),
        };
        match (base, unknown) {
            (Ok(entry), _) => {
                let version = &entry.fact.version;
                Ok(Named {
                    name: format!("{}@{}", version.name, version.version),
                    image: entry.image,
                    made: entry.fact.made,
                })
            }
            // `name@7` can only be a base.
            (Err(failure), None) => Err(failure),
            (Err(failure), Some(_)) if wanted.contains('@') => Err(failure),
            (Err(_), Some(unknown)) => Err(unknown),
        }
    }

    /// What is in an image.
    pub async fn inventory(&self, wanted: &str) -> Result<Inventory, Failure> {
        let _no_gc = lock::take(&self.folder("locks")?, "gc", Sharing::Shared, || {}).await?;
        let named = self.image(wanted).await?;
        self.take_inventory(&named.image).await
    }

    /// What is in an image of which the caller has hold.
    pub async fn take_inventory(&self, image: &Image) -> Result<Inventory, Failure> {
        refuse_disk(&image.layers, "nobody can say what is in it")?;
        let (store, layers, kept) = (self.store.clone(), image.layers.clone(), self.folder(FOLDER)?);
        let work = move || take_inventory(&store, &layers, &kept).inventory();
        tokio::task::spawn_blocking(work).await.map_err(|error| Failure::house("cannot take the inventory", error))
    }

    /// An image's bill of materials: the one that is attached to it, or one that is made now.
    pub async fn sbom(&self, wanted: &str, format: Format) -> Result<Value, Failure> {
        let _no_gc = lock::take(&self.folder("locks")?, "gc", Sharing::Shared, || {}).await?;
        let named = self.image(wanted).await?;
        if let Some(document) = self.attached(&named.image.manifest, format.media_type()).await? {
            return Ok(document);
        }
        let inventory = self.take_inventory(&named.image).await?;
        Ok(format.document(&inventory, &subject(&named)))
    }

    /// How an image came about. It was told when the image was made, or nobody knows.
    pub async fn provenance(&self, wanted: &str) -> Result<Value, Failure> {
        let _no_gc = lock::take(&self.folder("locks")?, "gc", Sharing::Shared, || {}).await?;
        let named = self.image(wanted).await?;
        let known = self.attached(&named.image.manifest, provenance::MEDIA_TYPE).await?;
        known.ok_or_else(|| {
            Failure::new(Fault::Caller, format!("no provenance of `{wanted}` was recorded when it was made"))
                .hint("make it again with --afresh")
        })
    }

    /// What differs between two images.
    pub async fn diff(&self, first: &str, second: &str) -> Result<ImageDifference, Failure> {
        let _no_gc = lock::take(&self.folder("locks")?, "gc", Sharing::Shared, || {}).await?;
        let (first, second) = (self.image(first).await?.image, self.image(second).await?.image);
        self.difference(&first, &second).await
    }

    /// The same of images of which the caller has hold.
    pub(crate) async fn difference(&self, first: &Image, second: &Image) -> Result<ImageDifference, Failure> {
        let (first, second) = (first.clone(), second.clone());
        let (before, after) = (self.take_inventory(&first).await?, self.take_inventory(&second).await?);
        let config = diff::compare(settings(&first.config), settings(&second.config));
        let store = self.store.clone();
        let files = move || {
            let pairs = first.layers.iter().zip(&second.layers);
            // What both are built upon is read once.
            let common = pairs.take_while(|(first, second)| first.diff_id == second.diff_id).count();
            let below = list_files(&store, &first.layers[..common], BTreeMap::new())?;
            let of_second = list_files(&store, &second.layers[common..], below.clone())?;
            let of_first = list_files(&store, &first.layers[common..], below)?;
            Ok::<_, Failure>(diff::compare(of_first, of_second))
        };
        let files = tokio::task::spawn_blocking(files).await;
        let files = files.map_err(|error| Failure::house("cannot compare files", error))??;
        Ok(ImageDifference { packages: diff::packages(&before, &after), files, config })
    }

    async fn attached(&self, subject: &ManifestDigest, kind: &str) -> Result<Option<Value>, Failure> {
        let facts = self.ledger.referrers(subject).await?;
        let Some(fact) = facts.into_iter().find(|fact| fact.artifact_type == kind) else {
            return Ok(None);
        };
        // What is lost or damaged is made again, where it can be.
        let document = attached(&self.store, &fact.manifest).ok();
        Ok(document.and_then(|document| serde_json::from_slice(&document.bytes).ok()))
    }

    /// Attaches bills of materials and the provenance to an image that was just made. That this fails is no reason to
    /// lose the image: it is said.
    pub(crate) async fn describe(&self, image: &Image, told: &Told<'_>, observer: &dyn Observer) {
        said_of(self.try_describe(image, told).await, observer);
    }

    async fn try_describe(&self, image: &Image, told: &Told<'_>) -> Result<(), Failure> {
        let name = match told.made {
            Made::App(name) | Made::Base(name) => name.to_owned(),
        };
        let now = (self.now)();
        let began = self.ledger.began(told.preparation).await?.unwrap_or(now);
        let account = Account {
            subject: &image.manifest,
            made: told.made,
            plan: told.plan,
            base: told.base,
            dirty: told.dirty,
            variables: told.variables.clone(),
            dockerfile: told.dockerfile,
            secrets: told.secrets.clone(),
            materials: extra_files(told.plan),
            preparation: told.preparation,
            started: time(began),
            finished: time(now),
            tool: TOOL,
        };
        self.attach_documents(image, name, provenance::statement(&account)).await
    }

    /// The same for a rebased image.
    pub(crate) async fn describe_rebased(&self, image: &Image, exchange: &Exchange<'_>, observer: &dyn Observer) {
        let (app, now) = (exchange.app.to_owned(), (self.now)());
        let began = self.ledger.began(exchange.preparation).await.ok().flatten().unwrap_or(now);
        let statement = provenance::rebased(exchange, (&time(began), &time(now)), TOOL);
        said_of(self.attach_documents(image, app, statement).await, observer);
    }

    /// Attaches the inventory, and how the image came about.
    async fn attach_documents(&self, image: &Image, name: String, statement: Value) -> Result<(), Failure> {
        let now = (self.now)();
        let subject = subject(&Named { name, image: image.clone(), made: now });
        let mut documents = vec![(provenance::MEDIA_TYPE, statement)];
        // What is on a disk that stays one nobody knows.
        if !is_disk(&image.layers) {
            let inventory = self.take_inventory(image).await?;
            documents.push((cyclonedx::MEDIA_TYPE, Format::CycloneDx.document(&inventory, &subject)));
            documents.push((spdx::MEDIA_TYPE, Format::Spdx.document(&inventory, &subject)));
        }
        for (kind, document) in documents {
            let bytes = document.to_string().into_bytes();
            let manifest = attach(&self.store, &image.manifest, kind, &bytes, &subject.created)?;
            let fact =
                ReferrerFact { subject: image.manifest.clone(), artifact_type: kind.to_owned(), manifest, made: now };
            self.ledger.add_referrer(&fact).await?;
        }
        Ok(())
    }
}

/// Says that an image stays without what is to be told of it.
fn said_of(told: Result<(), Failure>, observer: &dyn Observer) {
    if let Err(failure) = told {
        let notice = format!("no inventory and provenance of it are recorded: {}", failure.chain());
        observer.event(Event::Notice(&notice));
    }
}

/// The files of a base's folder that a plan puts in.
fn extra_files(plan: &Plan) -> Vec<(String, Digest)> {
    let deeds = plan.stages.iter().flat_map(|stage| &stage.deeds);
    let files = deeds.filter_map(|deed| match deed {
        Deed::Inject(Injection { what: Selection::Extra(files), .. }) => Some(files),
        _ => None,
    });
    files.flatten().map(|file| (format!("file:{}", file.source), file.digest.clone())).collect()
}

fn time(seconds: i64) -> String {
    rfc3339(u64::try_from(seconds).unwrap_or(0))
}

/// What documents are about. Their time is the image's own, in whole seconds, so that they are the same each time.
fn subject(named: &Named) -> Subject {
    let created = &named.image.config.created;
    let whole = created.get(..19).filter(|_| created.ends_with('Z'));
    Subject {
        name: named.name.clone(),
        digest: named.image.manifest.clone(),
        created: whole.map_or_else(|| time(named.made), |whole| format!("{whole}Z")),
        tool: TOOL.to_owned(),
    }
}

/// An image's config as pairs. Our own labels speak of one image only, and are left out.
fn settings(config: &ImageConfig) -> BTreeMap<String, String> {
    let list = |words: &[String]| serde_json::to_string(words).unwrap_or_default();
    let mut settings = BTreeMap::from([
        ("user".to_owned(), config.user.clone()),
        ("dir".to_owned(), config.dir.clone()),
        ("entrypoint".to_owned(), list(&config.entrypoint)),
        ("cmd".to_owned(), list(&config.cmd)),
        ("architecture".to_owned(), config.architecture.clone()),
    ]);
    settings.extend(config.env.iter().map(|(name, value)| (format!("env.{name}"), value.clone())));
    settings.extend(config.exposed_ports.iter().map(|port| (format!("port.{port}"), "exposed".to_owned())));
    let labels = config.labels.iter().filter(|(name, _)| !name.starts_with("io.tillage."));
    settings.extend(labels.map(|(name, value)| (format!("label.{name}"), value.clone())));
    settings
}
