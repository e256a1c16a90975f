//! Source and base become an artifact.

use std::collections::BTreeMap;
use std::sync::Arc;

use till_core::contract::{Contract, ContractSpec, Request};
use till_core::dockerfile;
use till_core::dockerfile::spec::Choice;
use till_core::id::PreparationId;
use till_core::model::artifact::ARTIFACT_LABEL;
use till_core::model::source::Notice;
use till_core::model::{AppFile, AppName, ArtifactLabel, BaseRef, Launch, MachineLabel, SourceView, app};
use till_core::plan::{Bytes, Decision, ImageDraft, MachineDraft, Plan, lint};
use till_core::port::SourceTree;
use till_core::provenance::Made;
use till_core::{Failure, Fault, ManifestDigest};
use till_image::{Assembly, Image, Platform};
use till_ledger::ArtifactFact;

use crate::catalog::{BaseEntry, written};
use crate::chain;
use crate::collect::Staging;
use crate::disk::Runs;
use crate::inventory::Told;
use crate::journal::{Event, Observer, StepReport};
use crate::lock::{self, Sharing};
use crate::mill::{Material, Milled, Milling};
use crate::system::machine_label;
use crate::world::{Reach, World, configured, said};
use crate::{Engine, new_bits};

/// What the user asked for.
#[derive(Clone)]
pub struct Wish {
    /// The source.
    pub source: Arc<dyn SourceTree>,
    /// The base; by default what till.toml says, or what the source looks like.
    pub base: Option<BaseRef>,
    /// The app; by default what till.toml says.
    pub name: Option<AppName>,
    /// The app, when nobody says.
    pub default_name: AppName,
    /// Environment of build and run.
    pub env: BTreeMap<String, String>,
    /// Of the app's own Dockerfile; wins over till.toml.
    pub choice: Choice,
    /// Buildpacks, in order; they win over those that the app names.
    pub buildpacks: Vec<String>,
    /// Where it is carried out; none: where everything is.
    pub environment: Option<String>,
    /// It is for a machine's disk, wherever it is carried out.
    pub disk: bool,
    /// The kernel's package, `NAME` or `NAME=VERSION`, of such an environment or disk.
    pub kernel: Option<String>,
    /// A shell in the instance of a step that failed.
    pub looks: bool,
    /// What the source may name.
    pub reach: Reach,
    /// What steps may ask for by name; in no layer, no plan and no log of ours.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Nothing that was made before is taken.
    pub afresh: bool,
    /// What builds keep for the next one is emptied before.
    pub clear_cache: bool,
}

/// A decision, before anything is done.
pub struct Planned {
    /// What will be done.
    pub plan: Plan,
    /// With which base; none for an app's own Dockerfile.
    pub base: Option<BaseEntry>,
    /// By which contract.
    pub contract: ContractSpec,
    /// For which app.
    pub app: AppName,
    /// On which source.
    pub view: SourceView,
    /// By which of the app's Dockerfiles, and how; none where the base says what is done.
    pub dockerfile: Option<Choice>,
}

/// An artifact that is there.
#[derive(Debug, Clone)]
pub struct Built {
    /// Its image.
    pub artifact: ManifestDigest,
    /// What it says of itself.
    pub label: ArtifactLabel,
    /// It was there before.
    pub reused: bool,
    /// How each step went.
    pub steps: Vec<StepReport>,
    /// What the user should know.
    pub notices: Vec<String>,
}

/// What is not promised of a disk whose steps ran in containers.
const UNBOOTED: &str = "the steps run in containers, on this machine's kernel: none of them sees the disk's kernel, nor services \
                        that its system starts; the disk is booted when it is done";

/// Where builds of an app keep what the next one finds.
fn caches(app: &AppName) -> String {
    format!("caches/{app}")
}

/// What the artifact says of itself.
fn label(planned: &Planned, launch: Launch) -> ArtifactLabel {
    ArtifactLabel {
        version: 1,
        app: planned.app.clone(),
        contract: planned.plan.contract.clone(),
        base: planned.base.as_ref().map(|base| base.fact.version.clone()),
        images: planned.plan.images.clone(),
        commit: planned.view.commit.clone(),
        dirty: planned.view.dirty,
        source: planned.view.tree(),
        plan: planned.plan.digest(),
        launch,
        machine: match &planned.plan.system {
            Some(system) => Some(machine_label(&system.spec)),
            None => planned.plan.machine.as_ref().map(|machine| MachineLabel::new(machine.kernel.clone())),
        },
    }
}

impl Engine {
    /// Decides what will be done, and does nothing of it. Images and files that a Dockerfile names are fetched, for what
    /// they are is part of the plan.
    pub async fn plan(&self, wish: &Wish, observer: &dyn Observer) -> Result<Planned, Failure> {
        let view = wish.source.view().await?;
        let app_file = self.app_file(wish, &view).await?;
        let Some(first) = app_file.before.first() else {
            return self.plan_one(wish, view, app_file, observer).await;
        };
        // What comes after it depends on what it makes.
        let given = wish.name.as_ref().or(app_file.name.as_ref()).is_some();
        let inner = chain::inner(wish, first, (&self.app_name(wish, &app_file), given), 0)?;
        let mut planned = self.plan_one(&inner, view, first.app_file(), observer).await?;
        let what = "this is the first plan of several in a row: the next is made when the output of this one is there";
        planned.view.notices.push(Notice { path: app::FILE.to_owned(), what: what.to_owned() });
        Ok(planned)
    }

    async fn plan_one(
        &self,
        wish: &Wish,
        mut view: SourceView,
        mut app_file: AppFile,
        observer: &dyn Observer,
    ) -> Result<Planned, Failure> {
        // A name that was given counts in the plan as well; where none is, the plan is the same in every folder.
        app_file.name = wish.name.clone().or(app_file.name);
        let (base, contract) = self.chosen(wish, &app_file, &mut view).await?;
        Self::read_texts(wish, &contract, &app_file, &mut view).await?;
        let image = base.as_ref().map(|base| said(&base.image.config)).unwrap_or_default();
        let app = self.app_name(wish, &app_file);
        let world = World::new(self, Fault::Source, observer).of_app(&app, &view).afresh(wish.afresh);
        let mut world = world.within(wish.reach).trusting(&wish.buildpacks);
        let system = base.as_ref().and_then(|base| base.about.system());
        let environment = match system {
            Some(_) => self.environment_of_system(wish)?,
            None => self.environment_of(wish.environment.as_deref())?,
        };
        let run = base.as_ref().and_then(|base| base.about.run());
        let mut plan = loop {
            let request = Request {
                base: base.as_ref().map(|base| &base.fact.version),
                base_epoch: crate::recreate::EPOCH,
                image: &image,
                source: &view,
                app: &app_file,
                env: &wish.env,
                choice: &wish.choice,
                buildpacks: &wish.buildpacks,
                settings: &self.settings,
                known: &world.known,
                environment: environment.name(),
                architecture: &Platform::host().architecture,
            };
            match till_core::contract::plan(&contract, run, &request)? {
                Decision::Plan(plan) => break *plan,
                Decision::Needs(needs) => world.find_out(&needs).await?,
            }
        };
        if let Some(system) = system {
            plan = till_core::system::upon(plan, system, &view)?;
        }
        if let Some(finding) = lint(&plan).first() {
            return Err(Failure::new(
                Fault::Base,
                format!("the plan cannot be carried out: {}: {}", finding.place, finding.what),
            ));
        }
        plan.machine = match system {
            Some(_) => Some(MachineDraft { kernel: None, steps: true }),
            None => self.machine_of(wish, &plan, environment, observer).await?,
        };
        let dockerfile = match &contract {
            ContractSpec::Dockerfile(spec) => {
                let choice = spec.choice(&app_file, &wish.choice);
                Some(Choice { file: dockerfile::spec::path(&choice, &view).ok(), ..choice })
            }
            _ => None,
        };
        Ok(Planned { plan, base, contract, app, view, dockerfile })
    }

    /// The texts that planning needs.
    async fn read_texts(
        wish: &Wish,
        contract: &ContractSpec,
        app_file: &AppFile,
        view: &mut SourceView,
    ) -> Result<(), Failure> {
        // What only detection asked for is no part of planning. What a text says may lead to another.
        view.texts.clear();
        loop {
            let reads = contract.reads(view, app_file, &wish.choice);
            let more = reads.iter().filter(|path| !view.texts.contains_key(*path));
            let files: Vec<_> = more.filter_map(|path| view.file(path).cloned()).collect();
            let before = view.texts.len();
            view.texts.extend(wish.source.texts(&files).await?);
            if view.texts.len() == before {
                break;
            }
        }
        Ok(())
    }

    /// What the app is called.
    pub(crate) fn app_name(&self, wish: &Wish, app_file: &AppFile) -> AppName {
        wish.name.clone().or(app_file.name.clone()).unwrap_or_else(|| wish.default_name.clone())
    }

    /// What is said of the app.
    pub(crate) async fn app_file(&self, wish: &Wish, view: &SourceView) -> Result<AppFile, Failure> {
        let Some(file) = view.file(app::FILE).cloned() else {
            return Ok(AppFile::default());
        };
        let texts = wish.source.texts(&[file]).await?;
        let text = texts.get(app::FILE).map_or("", String::as_str);
        AppFile::parse(text).map_err(|error| {
            Failure::new(Fault::Source, error.to_string()).hint("docs/reference/till-toml.md lists every key")
        })
    }

    /// Makes the artifact, or takes the one that an equal plan has made.
    pub async fn prepare(&self, wish: &Wish, observer: &dyn Observer) -> Result<Built, Failure> {
        let view = wish.source.view().await?;
        let app_file = self.app_file(wish, &view).await?;
        if app_file.before.is_empty() {
            return self.prepare_one(wish, view, app_file, observer).await;
        }
        self.chain(wish, view, app_file, observer).await
    }

    pub(crate) async fn prepare_one(
        &self,
        wish: &Wish,
        view: SourceView,
        app_file: AppFile,
        observer: &dyn Observer,
    ) -> Result<Built, Failure> {
        let locks = self.folder("locks")?;
        let _no_gc =
            lock::take(&locks, "gc", Sharing::Shared, || observer.event(Event::Waiting("for gc to end"))).await?;
        let planned = self.plan_one(wish, view, app_file, observer).await?;
        let of_source = planned.view.notices.iter().map(|notice| format!("{}: {}", notice.path, notice.what));
        let unbooted = planned.plan.machine.as_ref().is_some_and(|machine| !machine.steps);
        let of_machine = unbooted.then(|| UNBOOTED.to_owned());
        let notices: Vec<_> = of_source.chain(planned.plan.warnings.clone()).chain(of_machine).collect();
        notices.iter().for_each(|notice| observer.event(Event::Notice(notice)));
        // Caches belong to the app, so its builds come one after the other.
        let waiting = format!("for another build of `{}`", planned.app);
        let _turn = lock::take(&locks, &format!("app-{}", planned.app), Sharing::Alone, || {
            observer.event(Event::Waiting(&waiting))
        })
        .await?;
        if wish.clear_cache {
            self.clear_cache(&planned.app)?;
        }
        if let Some(built) = self.known(&planned, wish, &notices).await? {
            return Ok(built);
        }
        let id = PreparationId::from_bits(new_bits());
        let staging = self.staging(&id)?;
        self.ledger.begin(&id, "app", planned.app.as_str(), &planned.plan.digest(), (self.now)()).await?;
        let result = self.carry_out(&planned, wish, &staging, observer).await;
        let failure = result.as_ref().err().map(Failure::chain);
        self.ledger.end(&id, failure.as_deref(), (self.now)()).await?;
        drop(staging);
        result.map(|mut built| {
            built.notices.splice(0..0, notices);
            built
        })
    }

    /// Empties what builds of an app keep for the next one.
    fn clear_cache(&self, app: &AppName) -> Result<(), Failure> {
        let folder = self.folder(&caches(app))?;
        std::fs::remove_dir_all(&folder)
            .map_err(|error| Failure::house(format!("cannot remove {}", folder.display()), error))
    }

    async fn known(&self, planned: &Planned, wish: &Wish, notices: &[String]) -> Result<Option<Built>, Failure> {
        if wish.afresh {
            return Ok(None);
        }
        let Some(fact) = self.ledger.artifact_of(&planned.app, &planned.plan.digest()).await? else {
            return Ok(None);
        };
        let Ok(entry) = self.artifact(fact.digest.as_str()).await else {
            return Ok(None);
        };
        if !entry.image.layers.iter().all(|layer| self.store.has(&layer.blob)) {
            return Ok(None);
        }
        // Who goes back to an older source wants what comes of it to be the newest.
        self.ledger.choose_artifact(&fact.digest).await?;
        Ok(Some(Built {
            artifact: fact.digest,
            label: entry.label,
            reused: true,
            steps: Vec::new(),
            notices: notices.to_vec(),
        }))
    }

    async fn carry_out(
        &self,
        planned: &Planned,
        wish: &Wish,
        staging: &Staging,
        observer: &dyn Observer,
    ) -> Result<Built, Failure> {
        let logs = self.folder(&format!("logs/{}", staging.id))?;
        let milling = Milling {
            engine: self,
            plan: &planned.plan,
            material: Material {
                source: Some((&*wish.source, &planned.view)),
                folder: None,
                secrets: &wish.secrets,
                packages: None,
                record: None,
            },
            caches: self.folder(&caches(&planned.app))?,
            fault: Fault::Source,
            afresh: wish.afresh,
            keeps_layers: true,
            looks: wish.looks,
            observer,
            staging: staging.path(),
            logs: logs.clone(),
        };
        let milled = milling.run().await?;
        let concluded = planned.contract.conclude(&planned.plan, &milled.collected)?;
        let label = label(planned, concluded.launch);
        let image = self.assemble(planned, &milled, &label, concluded.image.as_ref())?;
        if let Some(machine) = &label.machine {
            let runs = Runs {
                image: &image.manifest,
                layers: &image.layers,
                launch: &label.launch,
                app: &planned.app,
                memory: Bytes(machine.min_memory),
                system: machine.system.as_ref(),
            };
            self.gate(&runs, machine.kernel.as_ref(), &logs.join("boot.log"), observer).await?;
        }
        let told = Told {
            made: Made::App(planned.app.as_str()),
            plan: &planned.plan,
            base: label.base.as_ref(),
            dirty: label.dirty,
            variables: wish.env.keys().cloned().collect(),
            dockerfile: planned.dockerfile.as_ref(),
            secrets: wish.secrets.keys().cloned().collect(),
            preparation: &staging.id,
        };
        self.describe(&image, &told, observer).await;
        let fact = ArtifactFact {
            digest: image.manifest.clone(),
            app: planned.app.clone(),
            plan: label.plan.clone(),
            base: planned.base.as_ref().map(|base| base.fact.version.digest.clone()),
            commit: planned.view.commit.clone(),
            made: (self.now)(),
            preparation: staging.id.clone(),
        };
        self.ledger.add_artifact(&fact).await?;
        Ok(Built { artifact: image.manifest, label, reused: false, steps: milled.steps, notices: milled.notices })
    }

    fn assemble(
        &self,
        planned: &Planned,
        milled: &Milled,
        label: &ArtifactLabel,
        draft: Option<&ImageDraft>,
    ) -> Result<Image, Failure> {
        let mut annotations = BTreeMap::from([("org.opencontainers.image.title".to_owned(), planned.app.to_string())]);
        let plan = &planned.plan;
        let below = plan.root(&plan.top);
        let named = |digest: &ManifestDigest| {
            let base = label.base.as_ref().filter(|base| base.digest == *digest).map(ToString::to_string);
            base.or_else(|| plan.images.iter().find(|(_, known)| *known == digest).map(|(name, _)| name.clone()))
        };
        if let Some(digest) = below {
            annotations.insert("org.opencontainers.image.base.digest".to_owned(), digest.to_string());
            let name = named(digest).map(|name| ("org.opencontainers.image.base.name".to_owned(), name));
            annotations.extend(name);
        }
        if let Some(commit) = &label.commit {
            annotations.insert("org.opencontainers.image.revision".to_owned(), commit.to_string());
        }
        let below = below.map(|digest| till_image::load(&self.store, digest)).transpose()?;
        let assembly = Assembly {
            base: below.as_ref(),
            layers: milled.layers.clone(),
            epoch: plan.stages.last().map_or(crate::recreate::EPOCH, |stage| stage.epoch),
            labels: BTreeMap::from([(ARTIFACT_LABEL.to_owned(), written(label))]),
            // A config that the plan says whole is not changed: it is what any other builder would write.
            launch: draft.is_none().then(|| (&label.launch, label.launch.default_process())),
            annotations,
            ..configured(draft, below.as_ref())
        };
        Ok(till_image::assemble(&assembly, &self.store)?)
    }
}
