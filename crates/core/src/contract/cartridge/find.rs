//! Which cartridges an app has: those that are asked for, and those that they require; from the base's image, from the
//! source, from addresses.

use std::collections::BTreeSet;

use super::managed::{self, Managed};
use super::manifest::{self, Described, Flaw, Manifest, Meant};
use super::order;
use super::place::{Place, has_windows_line_ends, is_manifest, place, windows_line_ends};
use super::spec::{CartridgeSpec, Wanted};
use crate::contract::{PlanError, Request};
use crate::digest::Digest;
use crate::fault::Fault;
use crate::known::Need;
use crate::words;

/// A cartridge that will be in the gear.
#[derive(Debug, Clone)]
pub(super) struct Cartridge {
    pub(super) manifest: Manifest,
    pub(super) managed: Managed,
    pub(super) origin: Origin,
}

/// Where a cartridge's files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A directory of the base's image.
    Base(String),
    /// A directory of the source.
    Source(String),
    /// Code of others.
    Code {
        address: String,
        digest: Digest,
        /// A manifest of the source that is taken in place of its own.
        manifest: Option<String>,
    },
}

/// What comes of looking for cartridges.
#[derive(Debug)]
pub(super) enum Found {
    /// In the order in which they are configured.
    All(Vec<Cartridge>),
    /// This has to be known first.
    Needs(Vec<Need>),
}

/// A cartridge of the base's image.
struct Shelved {
    directory: String,
    manifest: Result<Described, Flaw>,
    managed: Option<String>,
}

struct Search<'a> {
    spec: &'a CartridgeSpec,
    request: &'a Request<'a>,
    needs: BTreeSet<Need>,
}

/// Those that are asked for, by the app or else by the base; and whose doing it is what is asked for.
fn asked<'a>(spec: &'a CartridgeSpec, request: &'a Request<'a>) -> (&'a [Wanted], Fault) {
    match &request.app.cartridge {
        Some(section) if !section.cartridges.is_empty() => (&section.cartridges, Fault::Source),
        _ => (&spec.cartridges, Fault::Base),
    }
}

/// Finds all cartridges of the app.
pub(super) fn find(spec: &CartridgeSpec, request: &Request<'_>) -> Result<Found, PlanError> {
    let mut search = Search { spec, request, needs: BTreeSet::new() };
    let (wanted, fault) = asked(spec, request);
    if wanted.is_empty() {
        let shelf = search.shelf().unwrap_or_default();
        if !search.needs.is_empty() {
            return Ok(Found::Needs(search.needs.into_iter().collect()));
        }
        let how = "write `cartridges = [\"NAME-VERSION\"]` under [cartridge] in till.toml";
        return Err(PlanError::Cartridge {
            what: "nothing says which cartridges the app has".to_owned(),
            hint: Some(format!("{how}; {}", search.there_are(&shelf))),
            fault: Fault::Source,
        });
    }
    let mut chosen = Vec::new();
    for wanted in wanted {
        chosen.extend(search.resolve(wanted, fault)?);
    }
    while search.needs.is_empty()
        && let Some((by, choices)) = order::missing(&chosen, fault)?
    {
        chosen.extend(search.provider(&chosen, by, &choices, fault)?);
    }
    if !search.needs.is_empty() {
        return Ok(Found::Needs(search.needs.into_iter().collect()));
    }
    order::sorted(chosen, fault).map(Found::All)
}

/// An error about a cartridge that is called so.
fn flawed(name: &str, fault: Fault) -> impl Fn(Flaw) -> PlanError {
    let name = name.to_owned();
    move |flaw| PlanError::Cartridge { what: format!("the cartridge `{name}`: {}", flaw.what), hint: flaw.hint, fault }
}

impl Search<'_> {
    /// The cartridge; none while something is not known.
    fn resolve(&mut self, wanted: &Wanted, fault: Fault) -> Result<Option<Cartridge>, PlanError> {
        let text = wanted.text();
        match place(text) {
            Place::Source(place) if is_manifest(&place) => self.of_manifest(&place, wanted, fault),
            Place::Source(place) => self.of_source(&place, wanted).map(Some),
            Place::Address => self.of_address(text, wanted, None, fault),
            Place::Name => self.named(wanted, fault),
        }
    }

    fn of_source(&self, place: &str, wanted: &Wanted) -> Result<Cartridge, PlanError> {
        let source = self.request.source;
        let path = format!("{place}/{}", manifest::FILE);
        let Some(text) = source.texts.get(&path) else {
            return Err(PlanError::Cartridge {
                what: format!("the cartridge `{}`: there is no `{path}` in the source", wanted.text()),
                hint: Some("a cartridge of the source is a directory with a metadata/manifest.yml".to_owned()),
                fault: Fault::Source,
            });
        };
        let say = flawed(wanted.text(), Fault::Source);
        let described = manifest::parse(text).map_err(|flaw| say(in_file(manifest::FILE, flaw)))?;
        let manifest = described.at(wanted.version()).map_err(&say)?;
        let managed = source.texts.get(&format!("{place}/{}", managed::FILE));
        for needed in ["bin/control", "bin"] {
            let is_there = source.files.iter().any(|file| {
                let rest = file.path.strip_prefix(place).and_then(|rest| rest.strip_prefix('/'));
                rest.is_some_and(|rest| rest == needed || rest.starts_with(&format!("{needed}/")))
            });
            if !is_there {
                return Err(say(Flaw::from(format!("it has no {needed}"))));
            }
        }
        self.check_line_ends(place, &say)?;
        let managed = self.managed(managed.map(String::as_str)).map_err(say)?;
        Ok(Cartridge { manifest, managed, origin: Origin::Source(place.to_owned()) })
    }

    /// The kernel does not find an interpreter whose name ends with a carriage return, and says no more than that.
    fn check_line_ends(&self, place: &str, say: impl Fn(Flaw) -> PlanError) -> Result<(), PlanError> {
        for (path, text) in &self.request.source.texts {
            let inside = path.strip_prefix(place).and_then(|rest| rest.strip_prefix('/'));
            let script = inside.filter(|path| path.starts_with("bin/") || path.starts_with("hooks/"));
            if let Some(script) = script
                && has_windows_line_ends(text)
            {
                return Err(say(windows_line_ends(script)));
            }
        }
        Ok(())
    }

    fn managed(&self, text: Option<&str>) -> Result<Managed, Flaw> {
        let managed = text.map(managed::parse).transpose();
        Ok(managed.map_err(|what| in_file(managed::FILE, what.into()))?.unwrap_or_default())
    }

    /// A manifest that stands alone names its code.
    fn of_manifest(&mut self, place: &str, wanted: &Wanted, fault: Fault) -> Result<Option<Cartridge>, PlanError> {
        let say = flawed(wanted.text(), Fault::Source);
        let Some(text) = self.request.source.texts.get(place) else {
            return Err(say(Flaw::from("there is no such file in the source".to_owned())));
        };
        let described = manifest::parse(text).map_err(&say)?;
        let Some((url, md5)) = described.source() else {
            let hint = Some("or name its directory".to_owned());
            return Err(say(Flaw { what: "it has no Source-Url, and stands alone".to_owned(), hint }));
        };
        if md5.is_some() {
            let hint = format!("take it out, and name the code by its SHA-256: Source-Url: {url}#sha256:…");
            return Err(say(Flaw {
                what: "its Source-Md5 is not checked: MD5 proves nothing".to_owned(),
                hint: Some(hint),
            }));
        }
        if url.split(['#', '?']).next().is_some_and(|path| path.ends_with(".zip")) {
            let hint = Some("tar archives and git repositories are".to_owned());
            return Err(say(Flaw {
                what: format!("its Source-Url {url} is a zip archive, which is not unpacked"),
                hint,
            }));
        }
        self.of_address(url, wanted, Some((place, &described)), fault)
    }

    fn of_address(
        &mut self,
        address: &str,
        wanted: &Wanted,
        given: Option<(&str, &Described)>,
        fault: Fault,
    ) -> Result<Option<Cartridge>, PlanError> {
        let say = flawed(wanted.text(), fault);
        if is_manifest(address) {
            let hint = Some("put the manifest into the source and name it, or name its Source-Url".to_owned());
            return Err(say(Flaw { what: "a manifest is not fetched".to_owned(), hint }));
        }
        let Some(code) = self.request.known.code.get(address) else {
            let texts = [manifest::FILE, managed::FILE].map(str::to_owned).to_vec();
            self.needs.insert(Need::Code { address: address.to_owned(), texts });
            return Ok(None);
        };
        let own = code.view.texts.get(manifest::FILE);
        let parsed = match (given, own) {
            (Some((_, described)), _) => Ok(described.clone()),
            (None, Some(text)) => manifest::parse(text).map_err(|flaw| in_file(manifest::FILE, flaw)),
            (None, None) => Err(Flaw::from(format!("there is no {} in it", manifest::FILE))),
        };
        let described = parsed.map_err(&say)?;
        let version = match (wanted.version(), described.meant(wanted.text())) {
            (None, Meant::At(version)) => Some(version),
            (version, _) => version.map(str::to_owned),
        };
        let manifest = described.at(version.as_deref()).map_err(&say)?;
        let managed = self.managed(code.view.texts.get(managed::FILE).map(String::as_str)).map_err(say)?;
        let manifest_of = given.map(|(path, _)| path.to_owned());
        let origin = Origin::Code { address: address.to_owned(), digest: code.digest.clone(), manifest: manifest_of };
        Ok(Some(Cartridge { manifest, managed, origin }))
    }

    /// By a name: in the base's image, or else among the operator's settings.
    fn named(&mut self, wanted: &Wanted, fault: Fault) -> Result<Option<Cartridge>, PlanError> {
        let text = wanted.text();
        let Some(shelf) = self.shelf() else {
            return Ok(None);
        };
        let described = |shelved: &Shelved| shelved.manifest.as_ref().map_or(Meant::Not, |known| known.meant(text));
        let exact = shelf.iter().find(|shelved| match (described(shelved), &shelved.manifest) {
            (Meant::Usual, _) => true,
            (Meant::At(version), Ok(known)) => known.versions().contains(&version.as_str()),
            _ => false,
        });
        if let Some(shelved) = exact {
            return self.shelved(shelved, wanted).map(Some);
        }
        if let Some(address) = self.setting(text) {
            return self.of_address(&address, wanted, None, fault);
        }
        if let Some(near) = shelf.iter().find(|shelved| described(shelved) != Meant::Not) {
            return self.shelved(near, wanted).map(Some);
        }
        // One whose manifest says nothing is known by its directory.
        let folder =
            |shelved: &&Shelved| shelved.directory.rsplit('/').next().is_some_and(|name| text.starts_with(name));
        if let Some(Shelved { directory, manifest: Err(flaw), .. }) =
            shelf.iter().filter(|shelved| shelved.manifest.is_err()).find(folder)
        {
            return Err(flawed(directory, Fault::Base)(in_file(manifest::FILE, flaw.clone())));
        }
        Err(PlanError::Cartridge {
            what: format!("there is no cartridge `{text}`"),
            hint: Some(self.there_are(&shelf)),
            fault,
        })
    }

    fn there_are(&self, shelf: &[Shelved]) -> String {
        let known = shelf.iter().filter_map(|shelved| shelved.manifest.as_ref().ok());
        let mut names: Vec<String> = known
            .flat_map(|known| known.versions().into_iter().map(|version| format!("{}-{version}", known.name)))
            .chain(self.request.settings.cartridges.keys().cloned())
            .collect();
        names.sort();
        format!(
            "the base and the settings have: {}; others are named by their directory in the source, or by an address",
            words::list(names.iter().map(String::as_str))
        )
    }

    fn shelved(&self, shelved: &Shelved, wanted: &Wanted) -> Result<Cartridge, PlanError> {
        let say = flawed(wanted.text(), Fault::Base);
        let described = shelved.manifest.as_ref().map_err(|flaw| say(flaw.clone()))?;
        let meant = match described.meant(wanted.text()) {
            Meant::At(version) => Some(version),
            _ => None,
        };
        let version = wanted.version().or(meant.as_deref());
        let is_there = version.is_none_or(|version| described.versions().contains(&version));
        // It is who asks for a version that does not exist, not the base, that is mistaken.
        let say = flawed(wanted.text(), if is_there { Fault::Base } else { Fault::Source });
        let manifest = described.at(version).map_err(say)?;
        let say = flawed(wanted.text(), Fault::Base);
        let managed = self.managed(shelved.managed.as_deref()).map_err(say)?;
        Ok(Cartridge { manifest, managed, origin: Origin::Base(shelved.directory.clone()) })
    }

    /// The address that the operator gives a name, with or without a version after it.
    fn setting(&self, text: &str) -> Option<String> {
        let known = &self.request.settings.cartridges;
        let exact = known.get(text);
        let versioned = || {
            let before = |(name, _): &(&String, &String)| {
                let rest = text.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('-'));
                rest.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
            };
            known.iter().find(before).map(|(_, address)| address)
        };
        exact.or_else(versioned).cloned()
    }

    /// The cartridges of the base's image; none while they are not known.
    fn shelf(&mut self) -> Option<Vec<Shelved>> {
        let base = self.request.base?;
        let pattern = |file: &str| format!("{}/*/{file}", self.spec.repository);
        let keys = [manifest::FILE, managed::FILE].map(|file| (base.digest.clone(), pattern(file)));
        let [manifests, files] = keys.each_ref().map(|key| self.request.known.looks.get(key));
        let (Some(manifests), Some(files)) = (manifests, files) else {
            self.needs.extend(keys.map(|(image, pattern)| Need::Look { image, pattern }));
            return None;
        };
        let shelved = manifests.iter().filter_map(|(path, text)| {
            let directory = path.strip_suffix(manifest::FILE)?.trim_end_matches('/').to_owned();
            let managed = files.get(&format!("{directory}/{}", managed::FILE)).cloned();
            Some(Shelved { manifest: manifest::parse(text), directory, managed })
        });
        Some(shelved.collect())
    }

    /// The one cartridge that provides any of these; none while something is not known.
    fn provider(
        &mut self,
        chosen: &[Cartridge],
        by: usize,
        choices: &[String],
        fault: Fault,
    ) -> Result<Option<Cartridge>, PlanError> {
        let Some(shelf) = self.shelf() else {
            return Ok(None);
        };
        let by = chosen[by].manifest.name.as_str();
        for feature in choices {
            let mut providers = shelf.iter().filter_map(|shelved| {
                let known = shelved.manifest.as_ref().ok()?;
                Some((known, known.providing(feature)?))
            });
            let Some((known, version)) = providers.next() else {
                if let Some(address) = self.setting(feature) {
                    return self.of_address(&address, &Wanted::Name(feature.clone()), None, fault);
                }
                continue;
            };
            if let Some((other, _)) = providers.find(|(other, _)| other.name != known.name) {
                return Err(PlanError::Cartridge {
                    what: format!(
                        "the cartridge `{by}` requires `{feature}`, which `{}` and `{}` provide",
                        known.name, other.name
                    ),
                    hint: Some("name the one that is wanted".to_owned()),
                    fault,
                });
            }
            if let Some(there) = chosen.iter().find(|cart| cart.manifest.name == known.name) {
                let Manifest { name, version, .. } = &there.manifest;
                return Err(PlanError::Cartridge {
                    what: format!(
                        "the cartridge `{by}` requires `{feature}`, and `{name}` is there at version {version}"
                    ),
                    hint: Some(format!("name `{name}-{}`", known.providing(feature).unwrap_or_default())),
                    fault,
                });
            }
            let wanted = Wanted::Name(format!("{}-{version}", known.name));
            return self.named(&wanted, fault);
        }
        Err(PlanError::Cartridge {
            what: format!("the cartridge `{by}` requires `{}`, which no cartridge provides", choices.join("` or `")),
            hint: Some(self.there_are(&shelf)),
            fault,
        })
    }
}

fn in_file(file: &str, flaw: Flaw) -> Flaw {
    Flaw { what: format!("{file}: {}", flaw.what), ..flaw }
}
