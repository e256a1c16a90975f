//! Buildpacks that user or source name beside those of the builder: where they come from, and where they go.

use serde::Deserialize;

use super::builder::Member;
use super::project::{Entry, Script};
use crate::contract::{PlanError, Request};
use crate::known::{self, KnownCode, Need};
use crate::model::app;
use crate::plan::{Deed, Injection, Landing, NamedFile, Place, RemoteFile, Selection, TextFile};
use crate::words::{explain_toml, list, nearest};

/// What every buildpack has.
pub(super) const FILE: &str = "buildpack.toml";

/// Where buildpacks lie in a builder.
const PLACE: &str = "/cnb/buildpacks";

/// A buildpack that is named: by whom, and how.
#[derive(Debug, Clone)]
pub(super) struct Named {
    /// The file that names it, or the command line.
    pub(super) by: &'static str,
    pub(super) text: String,
    pub(super) version: Option<String>,
    pub(super) script: Option<Script>,
    pub(super) optional: bool,
}

impl Named {
    pub(super) fn by(by: &'static str, text: &str) -> Self {
        Self { by, text: text.to_owned(), version: None, script: None, optional: false }
    }

    pub(super) fn of(entry: &Entry) -> Self {
        let text = entry.uri.clone().or_else(|| entry.id.clone()).unwrap_or_default();
        Self {
            by: super::project::FILE,
            text,
            version: entry.version.clone(),
            script: entry.script.clone(),
            optional: entry.optional,
        }
    }

    fn unreadable(&self, why: String) -> PlanError {
        PlanError::Unreadable { path: self.by.to_owned(), why }
    }
}

/// A buildpack as the order knows it, and what puts it into the builder, if it is not there.
pub(super) struct Pack {
    pub(super) member: Member,
    pub(super) deed: Option<Deed>,
}

#[derive(Deserialize)]
struct Descriptor {
    buildpack: About,
}

#[derive(Deserialize)]
struct About {
    id: String,
    #[serde(default)]
    version: String,
}

/// Finds out what a name means. None when something has to be known first.
pub(super) fn pack(named: &Named, request: &Request<'_>, needs: &mut Vec<Need>) -> Result<Option<Pack>, PlanError> {
    if let Some(script) = &named.script {
        return Ok(Some(inline(named, script)));
    }
    let text = named.text.as_str();
    if let Some(path) = text.strip_prefix("./").filter(|_| named.by != "--buildpack") {
        return from_source(named, path.trim_end_matches('/'), request).map(Some);
    }
    for refused in ["docker://", "urn:cnb:registry:"] {
        if text.starts_with(refused) {
            let why =
                format!("`{text}`: buildpacks in images are not fetched; name a directory, an archive or a repository");
            return Err(named.unreadable(why));
        }
    }
    let bare = text.strip_prefix("urn:cnb:builder:").or(text.strip_prefix("from=builder:")).unwrap_or(text);
    let address = match request.settings.buildpacks.get(bare) {
        Some(address) => Some(address.as_str()),
        None => (bare.contains("://") || bare.starts_with('/') || bare.starts_with("git@")).then_some(bare),
    };
    if let Some(address) = address {
        let Some(code) = request.known.code.get(address) else {
            needs.push(Need::Code { address: address.to_owned(), texts: vec![FILE.to_owned()] });
            return Ok(None);
        };
        return fetched(named, address, code).map(Some);
    }
    let (id, version) = bare.split_once('@').unwrap_or((bare, named.version.as_deref().unwrap_or_default()));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"./-_".contains(&b);
    if id.is_empty() || !id.bytes().all(plain) {
        let known = request.settings.buildpacks.keys().map(String::as_str);
        let near = nearest(id, known.clone()).map_or(String::new(), |name| format!("; did you mean `{name}`?"));
        let known = list(known);
        let why = format!(
            "`{text}` is no buildpack: an id of the builder, `./directory`, an address, or a name of the settings (there are: {known}){near}"
        );
        return Err(named.unreadable(why));
    }
    let version = if version == "latest" { "" } else { version };
    Ok(Some(Pack {
        member: Member { id: id.to_owned(), version: version.to_owned(), optional: named.optional },
        deed: None,
    }))
}

/// What its buildpack.toml says it is, and where it goes.
fn described(named: &Named, text: Option<&str>) -> Result<(Member, String), PlanError> {
    let text = text.ok_or_else(|| named.unreadable(format!("`{}` has no {FILE}: it is no buildpack", named.text)))?;
    let descriptor: Descriptor = toml::from_str(text)
        .map_err(|error| named.unreadable(format!("the {FILE} of `{}`: {}", named.text, explain_toml(&error))))?;
    let About { id, version } = descriptor.buildpack;
    let version = if version.is_empty() { "0.0.0".to_owned() } else { version };
    let plain = |text: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"./-_+".contains(&b);
        !text.is_empty() && !text.contains("..") && text.bytes().all(allowed)
    };
    if !plain(&id) || !plain(&version) || version.contains('/') {
        return Err(named.unreadable(format!("`{id}@{version}` of `{}` is no id and version", named.text)));
    }
    let place = format!("{PLACE}/{}/{version}", id.replace('/', "_"));
    Ok((Member { id, version, optional: named.optional }, place))
}

fn landing(path: String, unpack: bool) -> Place {
    Place::Copy(Landing { path, directory: true, mode: None, unpack })
}

fn inject(what: Selection, place: Place) -> Option<Deed> {
    Some(Deed::Inject(Injection { what, place, owner: Some("0".to_owned()) }))
}

fn from_source(named: &Named, path: &str, request: &Request<'_>) -> Result<Pack, PlanError> {
    let below = format!("{path}/");
    let text = request.source.texts.get(&format!("{below}{FILE}")).map(String::as_str);
    let (member, place) = described(named, text)?;
    let files = request.source.files.iter().filter_map(|file| {
        let name = file.path.strip_prefix(&below)?;
        Some(NamedFile { name: name.to_owned(), file: file.clone() })
    });
    Ok(Pack { member, deed: inject(Selection::Named(files.collect()), landing(place, false)) })
}

fn fetched(named: &Named, address: &str, code: &KnownCode) -> Result<Pack, PlanError> {
    let (member, place) = described(named, code.view.texts.get(FILE).map(String::as_str))?;
    let archive = RemoteFile {
        url: known::shown(address),
        digest: code.digest.clone(),
        name: "buildpack.tar".to_owned(),
        time: None,
    };
    Ok(Pack { member, deed: inject(Selection::Remote(archive), landing(place, true)) })
}

/// A buildpack that is written in project.toml: it takes every source.
fn inline(named: &Named, script: &Script) -> Pack {
    let id = if named.text.is_empty() { "inline".to_owned() } else { named.text.clone() };
    let safe: String =
        id.chars().map(|c| if c.is_ascii_alphanumeric() || "./-_".contains(c) { c } else { '-' }).collect();
    let version = named.version.clone().unwrap_or_else(|| "0.0.0".to_owned());
    let descriptor = format!("api = {:?}\n[buildpack]\nid = {safe:?}\nversion = {version:?}\n", script.api);
    let text = |name: &str, text: String, mode| TextFile { name: name.to_owned(), text, mode };
    let files = vec![
        text("bin/build", format!("#!{}\n{}", script.shell, script.inline), 0o755),
        text("bin/detect", "#!/bin/sh\nexit 0\n".to_owned(), 0o755),
        text(FILE, descriptor, 0o644),
    ];
    let place = format!("{PLACE}/{}/{version}", safe.replace('/', "_"));
    Pack {
        member: Member { id: safe, version, optional: named.optional },
        deed: inject(Selection::Texts(files), landing(place, false)),
    }
}

/// The buildpacks that are named in place of the builder's groups: on the command line, else by the app, else in
/// project.toml.
pub(super) fn named(request: &Request<'_>, project: &[Entry]) -> Vec<Named> {
    let app = request.app.cnb.as_ref().map(|section| section.buildpacks.as_slice()).unwrap_or_default();
    match (request.buildpacks, app) {
        ([], []) => project.iter().map(Named::of).collect(),
        ([], app) => app.iter().map(|text| Named::by(app::FILE, text)).collect(),
        (given, _) => given.iter().map(|text| Named::by("--buildpack", text)).collect(),
    }
}
