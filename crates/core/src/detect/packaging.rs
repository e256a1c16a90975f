//! What says more of a source than its language: how somebody else's tool packs it.

use serde_json::Value;

use super::{Kind, Question, Refused, Seen};
use crate::contract::procfile;
use crate::dockerfile;
use crate::model::{FileKind, SourceView};

const PROJECT: &str = "project.toml";
const APP_JSON: &str = "app.json";
const BUILDPACKS: &str = ".buildpacks";

/// The files whose text decides.
pub(super) const READ: [&str; 4] = [PROJECT, APP_JSON, BUILDPACKS, procfile::FILE];

/// Is there a file of that path? A link counts: what it leads to is inside the source, or no plan is made.
pub(super) fn is_file(source: &SourceView, path: &str) -> bool {
    source.file(path).is_some()
}

/// Is there anything below a folder of that path?
pub(super) fn is_folder(source: &SourceView, path: &str) -> bool {
    first_below(source, path).is_some()
}

fn first_below<'a>(source: &'a SourceView, folder: &str) -> Option<&'a str> {
    let prefix = format!("{folder}/");
    let from = source.files.partition_point(|file| file.path.as_str() < prefix.as_str());
    source.files.get(from).map(|file| file.path.as_str()).filter(|path| path.starts_with(&prefix))
}

/// The text of a file that is no link.
fn text<'a>(source: &'a SourceView, path: &str) -> Option<&'a str> {
    source.file(path).filter(|file| file.kind != FileKind::Symlink)?;
    source.texts.get(path).map(String::as_str)
}

fn of(kind: Kind, file: impl Into<String>, what: &str) -> Seen {
    Seen { kind, files: vec![file.into()], what: what.to_owned(), builder: None }
}

/// Who builds with buildpacks by name wants a base that takes them: of the kind that the source is for, else of one that is
/// there.
pub(super) fn asked(question: &Question<'_>) -> Option<Seen> {
    let named = question.buildpacks.first()?;
    let there = |kind: &str| question.bases.iter().any(|base| base.contract.as_deref() == Some(kind));
    let project = project(question.source, &mut Vec::new());
    let cnb = project.is_some() || (there("cnb") && !there("heroku"));
    let kind = if cnb { Kind::Cnb } else { Kind::Heroku };
    let builder = project.and_then(|project| project.builder);
    Some(Seen { builder, ..of(kind, format!("--buildpack {named}"), "an app for buildpacks") })
}

/// Everything of the kind, in the order in which it wins.
pub(super) fn seen(question: &Question<'_>, refused: &mut Vec<Refused>) -> Vec<Seen> {
    let source = question.source;
    let mut all = Vec::new();
    all.extend(dockerfile(question, refused));
    all.extend(s2i(source, refused));
    if let Some(path) = first_below(source, ".openshift") {
        all.push(of(Kind::Cartridge, path, "an app for a cartridge of OpenShift 2"));
    }
    all.extend(project(source, refused));
    all.extend(buildpacks(source, refused));
    all
}

fn dockerfile(question: &Question<'_>, refused: &mut Vec<Refused>) -> Option<Seen> {
    let found = dockerfile::spec::path(question.dockerfile, question.source);
    // One that was asked for and is not there is told of by who reads it.
    let asked = question.dockerfile.file.is_some();
    match found {
        Ok(path) => Some(path),
        Err(path) if asked => Some(path),
        Err(_) => {
            let mut root = question.source.files.iter().map(|file| file.path.as_str());
            let other = root.find(|path| path.starts_with("Dockerfile.") && !path.contains(['/', ' ']));
            refused.extend(other.map(|path| Refused {
                what: path.to_owned(),
                why: format!("it is not called Dockerfile; `till build --file {path}` takes it"),
            }));
            None
        }
    }
    .map(|path| of(Kind::Dockerfile, path, "an app with a Dockerfile of its own"))
}

fn s2i(source: &SourceView, refused: &mut Vec<Refused>) -> Option<Seen> {
    let environment = Some(".s2i/environment").filter(|path| is_file(source, path));
    if let Some(path) = first_below(source, ".s2i/bin").or(environment) {
        return Some(of(Kind::S2i, path, "an app for a builder image of source-to-image"));
    }
    refused.extend(first_below(source, ".s2i").map(|path| Refused {
        what: path.to_owned(),
        why: "source-to-image reads .s2i/bin and .s2i/environment; neither is there".to_owned(),
    }));
    None
}

/// `project.toml` of Cloud Native Buildpacks (project descriptor 0.1 and 0.2); others use the name, too.
fn project(source: &SourceView, refused: &mut Vec<Refused>) -> Option<Seen> {
    let mut refuse = |why: String| {
        refused.push(Refused { what: PROJECT.to_owned(), why });
        None
    };
    let text = text(source, PROJECT)?;
    let file: toml::Table = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => return refuse(format!("it cannot be read: {}", error.message())),
    };
    let (new, old) = (file.get("io").and_then(|io| io.get("buildpacks")), file.get("build"));
    let Some(table) = new.or(old).filter(|table| table.is_table()) else {
        return refuse("it has neither [io.buildpacks] nor [build], so it is not for buildpacks".to_owned());
    };
    let builder = table.get("builder").and_then(toml::Value::as_str).map(str::trim).filter(|name| !name.is_empty());
    Some(Seen { builder: builder.map(str::to_owned), ..of(Kind::Cnb, PROJECT, "an app for Cloud Native Buildpacks") })
}

/// Heroku's files, where they name buildpacks: then these, and not the language, say how it is built.
fn buildpacks(source: &SourceView, refused: &mut Vec<Refused>) -> Option<Seen> {
    let what = "an app for Heroku's buildpacks, which it names";
    if let Some(text) = text(source, BUILDPACKS) {
        if text.lines().map(str::trim).any(|line| !line.is_empty() && !line.starts_with('#')) {
            return Some(of(Kind::Heroku, BUILDPACKS, what));
        }
        refused.push(Refused { what: BUILDPACKS.to_owned(), why: "it names no buildpack".to_owned() });
    }
    let why = match serde_json::from_str::<Value>(text(source, APP_JSON)?) {
        Ok(file) => match file.get("buildpacks").and_then(Value::as_array) {
            Some(named) if !named.is_empty() => return Some(of(Kind::Heroku, APP_JSON, what)),
            _ => "it names no buildpacks".to_owned(),
        },
        Err(error) => format!("it cannot be read: {error}"),
    };
    refused.push(Refused { what: APP_JSON.to_owned(), why });
    None
}

/// A Procfile that says what is started.
pub(super) fn procfile(source: &SourceView, refused: &mut Vec<Refused>) -> Option<Seen> {
    let text = text(source, procfile::FILE)?;
    let why = match procfile::parse(text) {
        Ok(found) if found.processes.is_empty() => Some("it has no line `name: command`".to_owned()),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    };
    if let Some(why) = why {
        refused.push(Refused { what: procfile::FILE.to_owned(), why });
        return None;
    }
    Some(of(Kind::Procfile, procfile::FILE, "an app whose Procfile says what is started"))
}

/// What was written for Heroku without naming buildpacks could be prepared by these all the same: they look for themselves.
pub(super) fn heroku_too(source: &SourceView, seen: &[Seen]) -> Option<Seen> {
    if seen.is_empty() || seen.iter().any(|seen| seen.kind == Kind::Heroku) {
        return None;
    }
    // Expo keeps other things in a file of the same name.
    let expo = text(source, APP_JSON).is_some_and(|text| text.contains("\"expo\""));
    let known = |name: &&str| is_file(source, name) && !(expo && *name == APP_JSON);
    let file = [procfile::FILE, APP_JSON].into_iter().find(known)?;
    Some(of(Kind::Heroku, file, "an app such as Heroku's buildpacks take"))
}
