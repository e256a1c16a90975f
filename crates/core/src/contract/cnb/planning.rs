//! Spec, builder and source make a plan.

use std::collections::BTreeMap;

use super::builder::{self, Group, Order, RunImage};
use super::packs::{self, Named, Pack};
use super::project::{self, Project};
use super::{CnbSpec, PROGRAM, report};
use crate::contract::{PlanError, Request};
use crate::digest::ManifestDigest;
use crate::known::Need;
use crate::plan::{
    self, Candidate, Decision, Deed, Footing, ImageDraft, Injection, Landing, LaunchDraft, Limits, Mounted, NamedFile,
    Network, Place, Plan, RemoteFile, Reuse, Selection, Sharing, Sight, Spread, Stage, Step, StepMount, TextFile,
};

/// Where our program and what it needs lie in the builder's instance; nothing of it is in the result.
const LIFECYCLE: &str = "/usr/lib/till/lifecycle";
const CACHE: &str = "/usr/lib/till/cache";
const PREVIOUS: &str = "/usr/lib/till/previous";
const EXPORT: &str = "/usr/lib/till/export";

/// The report of the phases.
pub(super) const REPORT: &str = "/usr/lib/till/export/report.json";

/// Where the app lies.
pub(super) const APP: &str = "/workspace";

/// The platform that the phases are told they serve.
const PLATFORM_API: &str = "0.13";

/// Where programs are when an image does not say.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The time of everything that is exported, 1980-01-01T00:00:01Z (CNB platform specification).
const EPOCH: u64 = 315_532_801;

pub(super) fn plan(spec: &CnbSpec, request: &Request<'_>) -> Result<Decision, PlanError> {
    if request.source.files.is_empty() {
        return Err(PlanError::Empty);
    }
    let builder = request.base.ok_or_else(|| PlanError::Contract("there is no builder".to_owned()))?;
    let text = request.source.texts.get(project::FILE);
    let project = text.map(|text| Project::parse(text)).transpose();
    let project = project.map_err(|why| PlanError::Unreadable { path: project::FILE.to_owned(), why })?;
    let project = project.unwrap_or_default();
    let user = builder::user(request.image)?;
    let mut needs = Vec::new();
    let run = builder::run_image(spec, request, &builder.digest, &mut needs)?;
    needs.extend(
        run.iter()
            .filter(|run| !request.known.images.contains_key(&run.image))
            .map(|run| Need::Image(run.image.clone())),
    );
    if !request.known.programs.contains_key(PROGRAM) {
        needs.push(Need::Program(PROGRAM.to_owned()));
    }
    if request.known.previous.is_none() {
        needs.push(Need::Previous);
    }
    let (order, packs) = order(request, &project, &builder.digest, &mut needs)?;
    let Some(run) = run.filter(|_| needs.is_empty()) else {
        return Ok(Decision::Needs(needs));
    };
    let planner = Planner { spec, request, builder: &builder.digest, user, project: &project, run };
    Ok(Decision::Plan(Box::new(planner.plan(order, packs)?)))
}

/// The order that is written into the instance, where it is not the builder's own, and the buildpacks that it needs.
fn order(
    request: &Request<'_>,
    project: &Project,
    builder: &ManifestDigest,
    needs: &mut Vec<Need>,
) -> Result<(Option<Order>, Vec<Pack>), PlanError> {
    let named = packs::named(request, &project.group);
    let around = |entries: &[project::Entry]| entries.iter().map(Named::of).collect::<Vec<_>>();
    let (pre, post) = (around(&project.pre), around(&project.post));
    if named.is_empty() && pre.is_empty() && post.is_empty() {
        return Ok((None, Vec::new()));
    }
    let mut all = Vec::new();
    for named in pre.iter().chain(&named).chain(&post) {
        all.extend(packs::pack(named, request, needs)?);
    }
    let groups = match named.is_empty() {
        false => vec![Group::default()],
        true => match builder::text(request.known, builder, builder::ORDER) {
            Ok(Some(text)) => builder::order(text)?.order,
            Ok(None) => return Err(PlanError::Contract(format!("the builder has no {}", builder::ORDER))),
            Err(need) => {
                needs.push(need);
                Vec::new()
            }
        },
    };
    if !needs.is_empty() {
        return Ok((None, Vec::new()));
    }
    let members: Vec<_> = all.iter().map(|pack| pack.member.clone()).collect();
    let (before, rest) = members.split_at(pre.len());
    let (middle, after) = rest.split_at(named.len());
    let whole = |group: Group| Group { group: [before, middle, &group.group, after].concat() };
    let order = Order { order: groups.into_iter().map(whole).collect(), extensions: Vec::new() };
    Ok((Some(order), all))
}

struct Planner<'a> {
    spec: &'a CnbSpec,
    request: &'a Request<'a>,
    builder: &'a ManifestDigest,
    user: (u32, u32),
    project: &'a Project,
    run: RunImage,
}

/// The layers of the first stage, upon the run image, which it does not see.
fn layers(run: &ManifestDigest) -> Stage {
    Stage {
        name: "layers".to_owned(),
        on: Footing::Image(run.clone()),
        sight: Sight::Nothing,
        reuse: Reuse::Never,
        epoch: EPOCH,
        deeds: Vec::new(),
        texts: Vec::new(),
        spread: Some(Spread { of: Footing::Stage(0), list: REPORT.to_owned() }),
    }
}

impl Planner<'_> {
    fn plan(self, order: Option<Order>, packs: Vec<Pack>) -> Result<Plan, PlanError> {
        let request = self.request;
        let known = &request.known.images[&self.run.image];
        let build = Stage {
            name: "build".to_owned(),
            on: Footing::Image(self.builder.clone()),
            sight: Sight::All,
            reuse: Reuse::Never,
            epoch: request.source.time.unwrap_or(request.base_epoch),
            deeds: self.deeds(order, packs)?,
            texts: vec![REPORT.to_owned()],
            spread: None,
        };
        let mut config = known.config.clone();
        // Every run image sets it, by the specification; one that does not would start nothing.
        if config.variable("PATH").is_none_or(str::is_empty) {
            config.set("PATH", SYSTEM_PATH);
        }
        config.labels.extend(report::promised(&self.run, &known.digest, request));
        let mut env: BTreeMap<_, _> = config.env.iter().cloned().collect();
        env.extend(request.app.env.clone());
        env.extend(request.env.clone());
        Ok(Plan {
            version: plan::VERSION,
            contract: "cnb".to_owned(),
            environment: request.environment.to_owned(),
            machine: None,
            system: None,
            base: Some(self.builder.clone()),
            source: Some(plan::Source { commit: request.source.commit.clone(), tree: request.source.tree() }),
            stages: vec![build, layers(&known.digest)],
            top: Footing::Stage(1),
            work: Some(0),
            test: None,
            finish: Vec::new(),
            caches: Vec::new(),
            remove: Vec::new(),
            volatile: plan::volatile(),
            collect: Vec::new(),
            starts: Vec::new(),
            limits: request.app.limits.over(self.spec.limits.over(Limits::default())),
            launch: LaunchDraft {
                processes: self.processes(),
                ports: self.spec.port.clone(),
                health: self.spec.health.clone(),
                env,
                user: if config.user.is_empty() { "root".to_owned() } else { config.user.clone() },
                dir: APP.to_owned(),
            },
            image: Some(ImageDraft { config, history: Vec::new() }),
            images: BTreeMap::from([(self.run.image.clone(), known.digest.clone())]),
            packages: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// What till.toml says of processes wins over what buildpacks say; the launcher runs it.
    fn processes(&self) -> BTreeMap<String, Vec<Candidate>> {
        let launcher = |rest: Vec<String>| [vec!["/cnb/lifecycle/launcher".to_owned()], rest].concat();
        let processes = self.request.app.processes.iter().map(|(name, command)| {
            let argv = match command {
                crate::model::app::Command::Line(line) => launcher(vec![line.clone()]),
                crate::model::app::Command::Argv(argv) => launcher([vec!["--".to_owned()], argv.clone()].concat()),
            };
            (name.clone(), vec![Candidate { built: Vec::new(), argv }])
        });
        processes.collect()
    }

    fn owner(&self) -> String {
        format!("{}:{}", self.user.0, self.user.1)
    }

    fn deeds(&self, order: Option<Order>, packs: Vec<Pack>) -> Result<Vec<Deed>, PlanError> {
        let program = RemoteFile {
            url: format!("till:{PROGRAM}"),
            digest: self.request.known.programs[PROGRAM].clone(),
            name: PROGRAM.to_owned(),
            time: None,
        };
        let landing =
            Landing { path: LIFECYCLE.to_owned(), directory: false, mode: Some("0755".to_owned()), unpack: false };
        let mut deeds = vec![inject(Selection::Remote(program), Place::Copy(landing), Some("0".to_owned()))];
        deeds.extend(packs.into_iter().filter_map(|pack| pack.deed));
        let order = order.map(|order| match toml::to_string(&order) {
            Ok(text) => Ok(TextFile { name: "order.toml".to_owned(), text, mode: 0o644 }),
            Err(error) => Err(PlanError::Contract(format!("its order cannot be written: {error}"))),
        });
        let order: Vec<_> = order.transpose()?.into_iter().collect();
        deeds.push(inject(Selection::Texts(order), Place::Dir("/layers".to_owned()), Some(self.owner())));
        deeds.push(inject(Selection::Texts(self.variables()), Place::Dir("/platform".to_owned()), None));
        deeds.push(inject(self.source(), Place::Dir(APP.to_owned()), Some(self.owner())));
        deeds.extend(self.steps().map(Deed::Run));
        Ok(deeds)
    }

    /// The files of the source that project.toml does not leave out.
    fn source(&self) -> Selection {
        let takes = self.project.takes();
        let files: Vec<_> = self.request.source.files.iter().filter(|file| takes(&file.path)).cloned().collect();
        match files.len() == self.request.source.files.len() {
            true => Selection::Whole,
            false => Selection::Named(NamedFile::all(&files)),
        }
    }

    /// What buildpacks are given of variables: a file for each.
    fn variables(&self) -> Vec<TextFile> {
        let mut variables: BTreeMap<_, _> =
            self.project.env.iter().map(|variable| (variable.name.clone(), variable.value.clone())).collect();
        variables.extend(self.request.app.env.clone());
        variables.extend(self.request.env.clone());
        let file = |(name, text): (String, String)| TextFile { name: format!("env/{name}"), text, mode: 0o644 };
        variables.into_iter().filter(|(name, _)| !name.contains('/')).map(file).collect()
    }

    fn steps(&self) -> impl Iterator<Item = Step> {
        let argv =
            |words: &[&str]| [&[LIFECYCLE], words].concat().into_iter().map(str::to_owned).collect::<Vec<String>>();
        let ids = [self.user.0.to_string(), self.user.1.to_string()];
        let ids = ["-uid", &ids[0], "-gid", &ids[1]].map(str::to_owned);
        let previous = self.request.known.previous.as_ref().and_then(|previous| previous.image());
        let previous = previous.filter(|image| image.config.labels.contains_key(report::METADATA));
        let mut kept = vec!["-cache".to_owned(), CACHE.to_owned()];
        let mut mounts = vec![StepMount {
            path: CACHE.to_owned(),
            what: Mounted::Cache { name: "cnb".to_owned(), sharing: Sharing::Locked, owner: self.user, mode: 0o755 },
            write: true,
        }];
        if let Some(image) = previous {
            kept.extend(["-previous".to_owned(), PREVIOUS.to_owned()]);
            let what = Mounted::Tree { of: Footing::Image(image.digest.clone()), source: "/".to_owned() };
            mounts.push(StepMount { path: PREVIOUS.to_owned(), what, write: false });
        }
        let process = self.request.app.cnb.as_ref().and_then(|section| section.process.clone());
        let process = process.map(|process| ["-process-type".to_owned(), process]).into_iter().flatten();
        let export =
            argv(&["export", "-into", EXPORT]).into_iter().chain(kept.clone()).chain(ids.clone()).chain(process);
        let prepare = argv(&["prepare"]).into_iter().chain(ids.clone()).collect();
        let restore = argv(&["restore"]).into_iter().chain(kept).chain(ids);
        [
            self.step("prepare", prepare, Who::Root, Vec::new()),
            self.step("detect", argv(&["detect"]), Who::Builder, Vec::new()),
            self.step("restore", restore.collect(), Who::Root, mounts.clone()),
            self.step("build", argv(&["build"]), Who::Builder, Vec::new()),
            self.step("export", export.collect(), Who::Root, mounts),
        ]
        .into_iter()
    }

    fn step(&self, name: &str, argv: Vec<String>, who: Who, mounts: Vec<StepMount>) -> Step {
        let mut env = BTreeMap::from([("PATH".to_owned(), SYSTEM_PATH.to_owned())]);
        env.extend(self.request.base_env());
        env.insert("CNB_PLATFORM_API".to_owned(), PLATFORM_API.to_owned());
        Step {
            name: name.to_owned(),
            argv,
            env,
            dir: APP.to_owned(),
            user: match who {
                Who::Builder => self.owner(),
                Who::Root => "0".to_owned(),
            },
            network: match who {
                Who::Builder => Network::Egress,
                Who::Root => Network::None,
            },
            built: Vec::new(),
            mounts,
        }
    }
}

/// Who does a step.
#[derive(Clone, Copy)]
enum Who {
    /// The builder's user, in whose steps strangers' buildpacks run.
    Builder,
    /// Root, for what is ours alone.
    Root,
}

fn inject(what: Selection, place: Place, owner: Option<String>) -> Deed {
    Deed::Inject(Injection { what, place, owner })
}
