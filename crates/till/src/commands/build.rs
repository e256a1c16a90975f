//! `till plan` and `till build`.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use till_core::dockerfile::spec::Choice;
use till_core::model::AppName;
use till_core::plan::{Deed, Landing, Place, Plan, Reuse, Selection, Step};
use till_core::{Failure, Fault};
use till_engine::{Built, Engine, Planned, Reach, Wish};

use super::{steps, table};
use crate::cli::{Build, EnvironmentName, Form, variables};
use crate::screen::{Screen, clean};

async fn wish(engine: &Engine, build: &Build) -> Result<Wish, Failure> {
    if build.keep_failed {
        let caller = |what: &str, hint: &str| Err(Failure::new(Fault::Caller, what).hint(hint));
        if build.environment != Some(EnvironmentName::Qemu) || build.no_boot {
            return caller("--keep-failed gives a shell in the machine of a step", "--in qemu --keep-failed");
        }
        if !std::io::stdin().is_terminal() {
            return caller(
                "--keep-failed needs a terminal to give to its shell",
                "leave it out where nobody sits at one",
            );
        }
    }
    let environment = match (build.environment, build.no_boot) {
        (Some(EnvironmentName::Qemu), true) => Some(EnvironmentName::Container),
        (_, true) => {
            return Err(
                Failure::new(Fault::Caller, "--no-boot is for machines").hint("--in qemu --no-boot, or --to disk")
            );
        }
        (environment, false) => environment,
    };
    Ok(Wish {
        source: source(engine, &build.source, build.rev.as_deref()).await?,
        base: build.base.clone(),
        name: build.name.clone(),
        default_name: default_name(&build.source),
        env: variables(&build.env),
        choice: Choice { file: build.file.clone(), target: build.target.clone(), args: arguments(&build.build_arg)? },
        buildpacks: build.buildpack.iter().map(|named| place(named)).collect(),
        // Who builds a directory of this machine wrote what is in it, or answers for it.
        reach: if Path::new(&build.source).exists() { Reach::Machine } else { Reach::World },
        environment: environment.map(|environment| environment.name().to_owned()),
        disk: build.to.contains(&Form::Disk) || build.no_boot,
        kernel: build.kernel.clone(),
        looks: build.keep_failed,
        secrets: secrets(&build.secret)?,
        afresh: build.afresh,
        clear_cache: build.clear_cache,
    })
}

/// The source, at that revision of it.
pub(super) async fn source(
    engine: &Engine,
    source: &str,
    rev: Option<&str>,
) -> Result<Arc<dyn till_core::port::SourceTree>, Failure> {
    let staging = engine.data.join("staging");
    std::fs::create_dir_all(&staging).map_err(|error| Failure::house("cannot make the staging directory", error))?;
    Ok(till_ground::source::open(source, rev, &staging).await?.into())
}

/// A directory or archive of this machine, wherever the command was started.
fn place(named: &str) -> String {
    let (path, revision) = named.split_once('#').unwrap_or((named, ""));
    // A name of the settings may have a `/` in it.
    let is_path = path.starts_with(['.', '/']);
    match Path::new(path)
        .canonicalize()
        .ok()
        .filter(|_| is_path)
        .and_then(|path| path.into_os_string().into_string().ok())
    {
        Some(path) if revision.is_empty() => path,
        Some(path) => format!("{path}#{revision}"),
        None => named.to_owned(),
    }
}

/// Values for ARGs; one without a value is this command's own variable of that name.
fn arguments(pairs: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let value = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(Some((name.to_owned(), value.to_owned()))),
        None if !text.is_empty() => Ok(std::env::var(text).ok().map(|value| (text.clone(), value))),
        _ => Err(Failure::new(Fault::Caller, format!("`--build-arg {text}` has no name")).hint("NAME=VALUE")),
    };
    pairs.iter().filter_map(|text| value(text).transpose()).collect()
}

/// The longest secret: they are keys and passwords.
const MAX_SECRET: u64 = 512 << 10;

/// `id=NAME,src=FILE` or `id=NAME,env=VARIABLE`; with neither, the variable of that name.
fn secrets(texts: &[String]) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    texts.iter().map(|text| secret(text)).collect()
}

fn secret(text: &str) -> Result<(String, Vec<u8>), Failure> {
    let bad =
        |what: String| Failure::new(Fault::Caller, what).hint("--secret id=NAME,src=FILE or id=NAME,env=VARIABLE");
    let mut fields = BTreeMap::new();
    for part in text.split(',') {
        let (key, value) = part.split_once('=').ok_or_else(|| bad(format!("`--secret {text}` is not understood")))?;
        let key = if key == "source" { "src" } else { key };
        fields.insert(key, value);
    }
    let known = |key: &&str| matches!(*key, "id" | "src" | "env" | "type");
    if let Some(key) = fields.keys().find(|key| !known(key)) {
        return Err(bad(format!("`--secret {text}`: there is no `{key}`")));
    }
    let id =
        *fields.get("id").filter(|id| !id.is_empty()).ok_or_else(|| bad(format!("`--secret {text}` has no id")))?;
    let value = match (fields.get("src"), fields.get("env")) {
        (Some(path), None) => {
            let unreadable = |why: String| {
                Failure::new(Fault::Caller, format!("cannot read the secret `{id}` from `{path}`: {why}"))
            };
            let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
            if size > MAX_SECRET {
                return Err(unreadable(format!("it has more than {MAX_SECRET} bytes")));
            }
            std::fs::read(path).map_err(|error| unreadable(error.to_string()))?
        }
        (None, name) => {
            let name = name.copied().unwrap_or(id);
            let value = std::env::var(name)
                .map_err(|_| bad(format!("the variable `{name}` for the secret `{id}` is not set")))?;
            value.into_bytes()
        }
        (Some(_), Some(_)) => return Err(bad(format!("`--secret {text}` has both a file and a variable"))),
    };
    Ok((id.to_owned(), value))
}

/// The last part of a path or address, without `.git`.
pub(super) fn default_name(source: &str) -> AppName {
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
    let base = label.base.as_ref().map(ToString::to_string);
    let value = json!({
        "artifact": built.artifact,
        "app": label.app,
        "base": base,
        "base_digest": label.base.as_ref().map(|base| &base.digest),
        "images": label.images,
        "commit": label.commit,
        "dirty": label.dirty,
        "source": label.source,
        "plan": label.plan,
        "machine": label.machine,
        "reused": built.reused,
        "steps": steps(&built.steps),
        "notices": built.notices,
    });
    screen.result(&value, &summary(&built, base.as_deref().unwrap_or("its Dockerfile"), seconds));
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
    let planned = engine.plan(&wish(engine, build).await?, screen).await?;
    let value = json!({
        "digest": planned.plan.digest(),
        "app": planned.app,
        "base": planned.base.as_ref().map(|base| base.fact.version.to_string()),
        "plan": planned.plan,
        "notices": planned.view.notices,
    });
    screen.result(&value, &describe(&planned));
    Ok(())
}

fn describe(planned: &Planned) -> String {
    let plan = &planned.plan;
    let version = planned.base.as_ref().map(|base| &base.fact.version);
    let mut rows = vec![
        row("app", planned.app.as_str(), ""),
        row(
            "base",
            &version.map_or("none".to_owned(), ToString::to_string),
            version.map_or("", |version| version.digest.short()),
        ),
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
    let warnings = plan.warnings.iter().map(|warning| format!("\nwarning: {}", clean(warning)));
    std::iter::once(table(&rows)).chain(warnings).collect()
}

fn row(key: &str, name: &str, text: &str) -> Vec<String> {
    vec![key.to_owned(), clean(name), clean(text)]
}

fn deed(deed: &Deed) -> Vec<String> {
    match deed {
        Deed::Bootstrap(system) => row("  make", &system.suite, &system.packages.join(" ")),
        Deed::Run(what) => step("  run", what),
        Deed::Inject(injection) => {
            let (Place::Dir(path) | Place::Tar(path) | Place::Copy(Landing { path, .. })) = &injection.place;
            let what = match &injection.what {
                Selection::Whole => "the source".to_owned(),
                Selection::Files(files) => files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>().join(" "),
                Selection::Extra(files) => format!("{} files", files.len()),
                Selection::Named(files) if files.len() > 4 => format!("{} files", files.len()),
                Selection::Named(files) => {
                    files.iter().map(|file| file.file.path.as_str()).collect::<Vec<_>>().join(" ")
                }
                Selection::Texts(files) => files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(" "),
                Selection::Tree(files) => files.sources.join(" "),
                Selection::Remote(file) => file.url.clone(),
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
