//! `till plan` and `till build`.

use serde_json::json;
use till_core::Failure;
use till_core::model::AppName;
use till_core::plan::{Deed, Place, Plan, Reuse, Selection, Step};
use till_engine::{Built, Engine, Planned, Wish};

use super::{steps, table};
use crate::cli::{Build, variables};
use crate::screen::{Screen, clean};

async fn wish(engine: &Engine, build: &Build) -> Result<Wish, Failure> {
    let staging = engine.data.join("staging");
    std::fs::create_dir_all(&staging).map_err(|error| Failure::house("cannot make the staging directory", error))?;
    Ok(Wish {
        source: till_ground::source::open(&build.source, build.rev.as_deref(), &staging).await?,
        base: build.base.clone(),
        name: build.name.clone(),
        default_name: default_name(&build.source),
        env: variables(&build.env),
        afresh: build.afresh,
    })
}

/// The last part of a path or address, without `.git`.
fn default_name(source: &str) -> AppName {
    let path = std::path::Path::new(source).canonicalize().ok();
    let path = path.as_ref().map_or(source.to_owned(), |path| path.to_string_lossy().into_owned());
    let last = path.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
    AppName::from_text(last.strip_suffix(".git").unwrap_or(last))
}

pub(super) async fn build(engine: &Engine, build: &Build, screen: &Screen) -> Result<(), Failure> {
    let wish = wish(engine, build).await?;
    let began = std::time::Instant::now();
    let built = engine.prepare(&wish, screen).await?;
    let seconds = began.elapsed().as_secs_f32();
    let label = &built.label;
    let base = format!("{}@{}", label.base.name, label.base.version);
    let value = json!({
        "artifact": built.artifact,
        "app": label.app,
        "base": base,
        "base_digest": label.base.digest,
        "commit": label.commit,
        "dirty": label.dirty,
        "source": label.source,
        "plan": label.plan,
        "reused": built.reused,
        "steps": steps(&built.steps),
        "notices": built.notices,
    });
    screen.result(&value, &summary(&built, &base, seconds));
    Ok(())
}

fn summary(built: &Built, base: &str, seconds: f32) -> String {
    if built.reused {
        return format!("{} is already prepared: {}", built.label.app, built.artifact);
    }
    let commit = built.label.commit.as_ref().map_or(String::new(), |commit| format!(" at {:.8}", commit.as_str()));
    let dirty = if built.label.dirty { " with changes" } else { "" };
    format!(
        "prepared {}{commit}{dirty} with {base} in {seconds:.1}s\n{}\nrun it: till run {}",
        built.label.app, built.artifact, built.label.app
    )
}

pub(super) async fn plan(engine: &Engine, build: &Build, screen: &Screen) -> Result<(), Failure> {
    let planned = engine.plan(&wish(engine, build).await?).await?;
    let value = json!({
        "digest": planned.plan.digest(),
        "app": planned.app,
        "base": format!("{}@{}", planned.base.fact.version.name, planned.base.fact.version.version),
        "plan": planned.plan,
        "notices": planned.view.notices,
    });
    screen.result(&value, &describe(&planned));
    Ok(())
}

fn describe(planned: &Planned) -> String {
    let plan = &planned.plan;
    let version = &planned.base.fact.version;
    let mut rows = vec![
        row("app", planned.app.as_str(), ""),
        row("base", &format!("{}@{}", version.name, version.version), version.digest.short()),
        row("contract", &plan.contract, &format!("in {}", plan.environment)),
        row(
            "source",
            &format!("{} files", planned.view.files.len()),
            &planned.view.commit.as_ref().map_or(String::new(), |commit| format!("commit {commit}")),
        ),
    ];
    for stage in &plan.stages {
        let reuse =
            if stage.reuse == Reuse::Inputs { "its layer is reused while its inputs stay the same" } else { "" };
        rows.push(row("stage", &stage.name, reuse));
        rows.extend(stage.deeds.iter().map(deed));
    }
    rows.extend(plan.test.iter().map(|test| step("  test", test)));
    rows.extend(plan.finish.iter().map(|finish| step("  finish", finish)));
    rows.extend(plan.caches.iter().map(|cache| row("cache", &cache.name, &cache.path)));
    rows.extend(plan.remove.iter().map(|path| row("remove", path, "")));
    rows.extend(processes(plan));
    rows.extend(plan.launch.ports.iter().map(|port| {
        row("port", &format!("{} {}", port.number, port.name), &format!("{:?}", port.protocol).to_lowercase())
    }));
    rows.push(row("plan", plan.digest().as_str(), ""));
    table(&rows)
}

fn row(key: &str, name: &str, text: &str) -> Vec<String> {
    vec![key.to_owned(), clean(name), clean(text)]
}

fn deed(deed: &Deed) -> Vec<String> {
    match deed {
        Deed::Bootstrap(system) => row("  make", &system.suite, &system.packages.join(" ")),
        Deed::Run(what) => step("  run", what),
        Deed::Inject(injection) => {
            let (Place::Dir(path) | Place::Tar(path)) = &injection.place;
            let what = match &injection.what {
                Selection::Whole => "the source".to_owned(),
                Selection::Files(files) => files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>().join(" "),
                Selection::Extra(files) => format!("{} files", files.len()),
            };
            row("  put", path, &what)
        }
    }
}

fn step(key: &str, step: &Step) -> Vec<String> {
    row(key, &step.name, &step.argv.join(" "))
}

fn processes(plan: &Plan) -> Vec<Vec<String>> {
    let process = |(name, candidates): (&String, &Vec<till_core::plan::Candidate>)| {
        let commands: Vec<_> = candidates.iter().map(|candidate| candidate.argv.join(" ")).collect();
        row("process", name, &commands.join("  or  "))
    };
    plan.launch.processes.iter().map(process).collect()
}
