//! Which buildpacks run, in which order, and what their names mean.

use std::collections::BTreeMap;

use super::app_json::AppJson;
use super::spec::HerokuSpec;
use crate::contract::{PlanError, Request};
use crate::model::SourceView;
use crate::model::source::SourceFile;
use crate::plan::NamedFile;
use crate::words::{list, nearest};

/// One buildpack's address a line, once read by a buildpack of buildpacks.
pub(super) const FILE: &str = ".buildpacks";

/// A config var with the address of the only buildpack.
const URL: &str = "BUILDPACK_URL";

/// The buildpacks of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    /// In this order.
    pub(super) packs: Vec<Pack>,
    pub(super) order: Order,
    /// Who was asked first, where others were passed over.
    pub(super) warnings: Vec<String>,
}

/// What the order of buildpacks means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Every one runs.
    All,
    /// The first that agrees.
    First,
}

/// A buildpack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pack {
    /// For people.
    pub(super) name: String,
    pub(super) origin: Origin,
}

/// Where a buildpack is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// Code of others, at this address.
    Code(String),
    /// A directory of the source; `` is all of it.
    Source(String),
    /// A directory of the base's image.
    Image(String),
}

/// Who named a buildpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Caller,
    Source,
    Base,
}

/// Which buildpacks run. Who says something stands before who says it less directly.
pub(super) fn chosen(
    spec: &HerokuSpec,
    request: &Request<'_>,
    app_json: &AppJson,
    env: &BTreeMap<String, String>,
) -> Result<Chosen, PlanError> {
    let said = [
        ("`--buildpack`", Who::Caller, request.buildpacks.to_vec()),
        (
            "till.toml",
            Who::Source,
            request.app.heroku.as_ref().and_then(|heroku| heroku.buildpacks.clone()).unwrap_or_default(),
        ),
        (URL, Who::Source, env.get(URL).cloned().into_iter().collect()),
        ("app.json", Who::Source, app_json.buildpacks.iter().flatten().map(|pack| pack.address().to_owned()).collect()),
        (FILE, Who::Source, listed(request.source.text(FILE).unwrap_or_default())),
    ];
    let filled = |entries: Vec<String>| -> Vec<String> {
        entries.into_iter().map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect()
    };
    let mut said = said.into_iter().map(|(by, who, entries)| (by, who, filled(entries)));
    let mut said = said.by_ref().filter(|(_, _, entries)| !entries.is_empty());
    let Some((by, who, entries)) = said.next() else {
        return first_of_base(spec, request);
    };
    let other: Vec<_> = said.filter(|(_, _, others)| *others != entries).map(|(by, _, _)| by).collect();
    let passed = |others: String| format!("the buildpacks of {by} are taken; what {others} says of them is not");
    let packs = entries.iter().map(|entry| resolve(spec, request, entry, who));
    Ok(Chosen {
        packs: packs.collect::<Result<_, _>>()?,
        order: Order::All,
        warnings: if other.is_empty() { Vec::new() } else { vec![passed(other.join(" and "))] },
    })
}

/// Those that the base tries. A name is passed over unless the settings know it, or it is in the image: no build fetches ten
/// buildpacks to find one because a base knows where they are.
fn first_of_base(spec: &HerokuSpec, request: &Request<'_>) -> Result<Chosen, PlanError> {
    let mut packs = Vec::new();
    let mut unknown = None;
    for entry in &spec.buildpacks {
        let far = spec.names.get(entry).is_some_and(|meant| !meant.starts_with('/'));
        if far && !request.settings.buildpacks.contains_key(entry) {
            continue;
        }
        match resolve(spec, request, entry, Who::Base) {
            Ok(pack) => packs.push(pack),
            Err(error) => unknown = Some(error),
        }
    }
    if packs.is_empty() {
        return Err(unknown.unwrap_or_else(|| PlanError::Buildpack {
            what: "nothing says which buildpack prepares the app, and the base tries none by itself".to_owned(),
            hint: Some(
                "name it: `--buildpack`, or `buildpacks = [\"…\"]` under `[heroku]` in till.toml, or app.json"
                    .to_owned(),
            ),
        }));
    }
    Ok(Chosen { packs, order: Order::First, warnings: Vec::new() })
}

/// The words of a `.buildpacks`; what follows a `#` at the beginning of a word is a comment.
fn listed(text: &str) -> Vec<String> {
    let line = |line: &'_ str| -> Vec<String> {
        line.split_whitespace().take_while(|word| !word.starts_with('#')).map(str::to_owned).collect()
    };
    text.lines().flat_map(line).collect()
}

fn resolve(spec: &HerokuSpec, request: &Request<'_>, entry: &str, who: Who) -> Result<Pack, PlanError> {
    let entry = entry.strip_prefix("urn:buildpack:").unwrap_or(entry);
    let code = |address: &str| Origin::Code(address.to_owned());
    if let Some(address) = request.settings.buildpacks.get(entry) {
        return Ok(Pack { name: entry.to_owned(), origin: code(address) });
    }
    if let Some(meant) = spec.names.get(entry) {
        let origin = if meant.starts_with('/') { Origin::Image(meant.clone()) } else { code(meant) };
        return Ok(Pack { name: entry.to_owned(), origin });
    }
    let of_base = spec.buildpacks.iter().chain(spec.names.values()).any(|known| known == entry);
    let origin = match who {
        _ if is_address(entry) => code(entry),
        Who::Base if entry.starts_with('/') => Origin::Image(entry.to_owned()),
        Who::Source if entry.starts_with('/') && of_base => Origin::Image(entry.to_owned()),
        _ if entry.starts_with('/') => code(entry),
        Who::Caller if entry.starts_with('.') => code(entry),
        Who::Source | Who::Caller => match inside(entry) {
            Some(folder) if entry.starts_with('.') || has_bin(request.source, &folder) => Origin::Source(folder),
            None => {
                let what = format!("the buildpack `{entry}` is not in the source");
                return Err(PlanError::Buildpack {
                    what,
                    hint: Some("put it into the source, or name its address".to_owned()),
                });
            }
            _ => return Err(unknown(spec, request, entry)),
        },
        Who::Base => return Err(unknown(spec, request, entry)),
    };
    Ok(Pack { name: name(entry, &origin), origin })
}

/// Is it the address of code, wherever it stands?
fn is_address(entry: &str) -> bool {
    // `git@host:path`, as ssh calls it.
    let place = entry.split_once('#').map_or(entry, |(place, _)| place);
    place.contains("://") || place.starts_with("file:") || (place.contains('@') && place.contains(':'))
}

/// A directory of the source, without `.`; none if it leads out.
fn inside(entry: &str) -> Option<String> {
    let parts: Vec<_> = entry.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

fn has_bin(source: &SourceView, folder: &str) -> bool {
    let bin = format!("{folder}/bin/");
    source.files.iter().any(|file| file.path.starts_with(&bin))
}

fn unknown(spec: &HerokuSpec, request: &Request<'_>, entry: &str) -> PlanError {
    let names = || request.settings.buildpacks.keys().chain(spec.names.keys()).map(String::as_str);
    let near = nearest(entry, names()).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    PlanError::Buildpack {
        what: format!("no buildpack is called `{entry}` here"),
        hint: Some(format!(
            "{near}known are: {}; `[buildpacks]` in config.toml gives names, and an address or `./DIRECTORY` of the source will do, too",
            list(names())
        )),
    }
}

/// What a buildpack is called when nobody gave it a name: the end of its address.
fn name(entry: &str, origin: &Origin) -> String {
    if let Origin::Source(folder) = origin
        && folder.is_empty()
    {
        return "the app's own".to_owned();
    }
    let place = entry.split(['#', '?']).next().unwrap_or(entry).trim_end_matches('/');
    let last = place.rsplit(['/', ':']).next().unwrap_or(place);
    let ends = [".git", ".tgz", ".tar.gz", ".tbz", ".tar.bz", ".tar.bz2", ".tar.xz", ".txz", ".tar"];
    let bare = ends.iter().find_map(|end| last.strip_suffix(end)).unwrap_or(last);
    if bare.is_empty() { entry.to_owned() } else { bare.to_owned() }
}

impl Pack {
    /// What its directory is called, as one of several.
    pub(super) fn folder(&self, number: usize) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' };
        let name: String = self.name.chars().map(plain).take(60).collect();
        format!("{}_{name}", number + 1)
    }

    /// Its files, where it is a directory of the source.
    pub(super) fn files(&self, source: &SourceView, folder: &str) -> Result<Vec<NamedFile>, PlanError> {
        let below = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let named = |file: &SourceFile| {
            let name = file.path.strip_prefix(&below)?.to_owned();
            Some(NamedFile { name, file: file.clone() })
        };
        let files: Vec<_> = source.files.iter().filter_map(named).collect();
        self.check(files.iter().map(|file| file.name.as_str()))?;
        Ok(files)
    }

    /// Is that a buildpack?
    pub(super) fn check<'a>(&self, files: impl Iterator<Item = &'a str>) -> Result<(), PlanError> {
        let (mut wanted, mut is_cloud_native) = (vec!["bin/detect", "bin/compile"], false);
        for file in files {
            wanted.retain(|name| *name != file);
            is_cloud_native |= file == "bin/build";
        }
        let Some(missing) = wanted.first() else {
            return Ok(());
        };
        let hint = match is_cloud_native {
            true => "it is a Cloud Native Buildpack: those are for bases with the contract `cnb`",
            false => "a buildpack has `bin/detect` and `bin/compile`; is the address right, and its branch?",
        };
        let what = format!("`{}` is not a buildpack: it has no `{missing}`", self.name);
        Err(PlanError::Buildpack { what, hint: Some(hint.to_owned()) })
    }
}
