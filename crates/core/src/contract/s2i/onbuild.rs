//! A builder image with ONBUILD instructions: they are what it does with source. What s2i says of that is a Dockerfile upon
//! the builder, so it is planned as one.

use std::fmt::Write as _;

use super::pieces::{source_of, started, variables};
use super::scripts::{Script, Search};
use super::source::Files;
use super::{AppSection, PlanError, Request, S2iSpec, image::Says, labels, uids};
use crate::dockerfile::plan::{Ask, Context, KnownImage, Outcome, draft};
use crate::dockerfile::{self, BadDockerfile};
use crate::model::BaseVersion;
use crate::model::source::FileKind;
use crate::plan::{Decision, Limits, Plan};

/// What starts an app, at the root of its source; `.sh` may follow.
const STARTERS: [&str; 4] = ["run", "start", "exec", "execute"];

pub(super) fn plan(
    spec: &S2iSpec,
    request: &Request<'_>,
    section: &AppSection,
    (base, mut files): (&BaseVersion, Files<'_>),
) -> Result<Decision, PlanError> {
    let starts_as = Says(request.image).user();
    let users = uids::of_triggers(&request.image.on_build).map(|user| ("the USER of an ONBUILD instruction", user));
    uids::check(&spec.allowed_uids, users.chain([("the USER of the image", starts_as.as_str())]))?;
    let scripts = scripts(request, &files)?;
    for (_, path, _) in &scripts {
        files.take(path);
    }
    files.ignore()?;
    let variables = variables(spec, request, &files, section)?;
    for (name, _, file) in scripts {
        files.files.insert(name.to_owned(), file);
    }
    let starter = starter(&files).ok_or_else(|| PlanError::Missing {
        message:
            "nothing says how to start the app: the builder image has ONBUILD instructions, so an executable file at \
                  the root of the source starts it, named run, start, exec or execute, also with .sh"
                .to_owned(),
        any: vec!["run.sh".to_owned(), ".s2i/bin/run".to_owned()],
    })?;
    let mut warnings = std::mem::take(&mut files.warnings);
    let text = written(base, &files, &variables, (&starter, &mut warnings));
    let bad = |error: BadDockerfile| {
        PlanError::Contract(format!("its ONBUILD instructions cannot be followed: line {}: {}", error.line, error.what))
    };
    let dockerfile = dockerfile::parse(text.as_bytes()).map_err(bad)?;
    let mut known = request.known.clone();
    let builder = KnownImage { digest: base.digest.clone(), config: request.image.clone() };
    known.images.insert(base.name.to_string(), builder);
    let ask = Ask {
        dockerfile: &dockerfile,
        target: None,
        args: &std::collections::BTreeMap::new(),
        context: &Context::named(files.files.clone(), files.links()),
        epoch: request.base_epoch,
        architecture: request.architecture,
        known: &known,
    };
    let mut draft = match draft(&ask).map_err(bad)? {
        Outcome::Needs(needs) => return Ok(Decision::Needs(needs)),
        Outcome::Draft(draft) => *draft,
    };
    draft.image.config.labels.extend(labels::generated(request, section));
    labels::expect_few(&draft.image.config.labels)?;
    draft.warnings.append(&mut warnings);
    let launch = started(spec, request, &draft.image.config, &[]);
    Ok(Decision::Plan(Box::new(Plan {
        base: Some(base.digest.clone()),
        source: Some(source_of(request)),
        limits: request.app.limits.over(spec.limits.over(Limits::default())),
        launch,
        ..draft.plan("s2i", request.environment)
    })))
}

type Found = (&'static str, String, crate::model::source::SourceFile);

/// The scripts of the source, with where they are found; nothing needs them.
fn scripts(request: &Request<'_>, files: &Files<'_>) -> Result<Vec<Found>, PlanError> {
    let search = Search::new(request, files, None)?;
    if search.first.is_some() {
        return Err(PlanError::Setting {
            place: "scripts_url in [s2i] of till.toml".to_owned(),
            why: "the builder image has ONBUILD instructions, which take scripts from the source alone".to_owned(),
            hint: Some("put the scripts into .s2i/bin".to_owned()),
        });
    }
    let mut needs = std::collections::BTreeSet::new();
    let found = ["assemble", "run"].into_iter().filter_map(|name| match search.find(name, &mut needs)? {
        Script::Source(path, file) => Some((name, path, file)),
        _ => None,
    });
    Ok(found.collect())
}

/// The file that starts the app, as s2i chooses it: the first by name.
fn starter(files: &Files<'_>) -> Option<String> {
    let root = files.files.iter().filter(|(name, file)| !name.contains('/') && file.kind == FileKind::Executable);
    let mut names = root.map(|(name, _)| name.as_str());
    names.find(|name| STARTERS.contains(&name.strip_suffix(".sh").unwrap_or(name))).map(str::to_owned)
}

/// What s2i would write.
fn written(
    base: &BaseVersion,
    files: &Files<'_>,
    variables: &[(String, String)],
    (starter, warnings): (&str, &mut Vec<String>),
) -> String {
    let mut text = format!("FROM {}\n", base.name);
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    for (name, value) in variables {
        if plain(name) {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('\n', " ");
            // To a String it cannot fail.
            let _ = writeln!(text, "ENV {name}=\"{value}\"");
        } else {
            warnings.push(format!("`{name}` is not set: it is not a variable's name in a Dockerfile"));
        }
    }
    if files.files.contains_key("assemble") {
        text.push_str("RUN sh assemble\n");
    }
    text + &format!("ENTRYPOINT [\"./{starter}\"]\n")
}
