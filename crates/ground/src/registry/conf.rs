//! Which registry is meant, and where it is: `registries.conf` of the containers tools, version 2.
//!
//! ```text
//! FOLDER/registries.conf
//! FOLDER/registries.conf.d/*.conf    in the order of their names; the later win
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use till_core::model::{ImageName, Reference};

use super::error::{RegistryError, failed};
use crate::http::is_loopback;

/// The registry whose API is at another host than its name says, and whose short names have a hidden first part: both
/// older than any way to say so.
const DOCKER: (&str, &str, &str) = ("docker.io", "registry-1.docker.io", "library");

/// What is configured.
#[derive(Debug, Clone, Default)]
pub(super) struct Conf {
    search: Vec<String>,
    aliases: BTreeMap<String, String>,
    registries: BTreeMap<String, Entry>,
}

/// One file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    unqualified_search_registries: Option<Vec<String>>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    #[serde(default)]
    registry: Vec<Entry>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Entry {
    prefix: Option<String>,
    location: Option<String>,
    insecure: bool,
    blocked: bool,
    mirror: Vec<Mirror>,
    #[serde(rename = "mirror-by-digest-only")]
    by_digest_only: bool,
}

#[derive(Debug, Clone, Deserialize)]
struct Mirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default, rename = "pull-from-mirror")]
    pull: Option<String>,
}

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// As it is asked.
    pub(super) host: String,
    /// There.
    pub(super) repository: String,
    /// As credentials are kept for it.
    pub(super) known_as: String,
    /// Whether plain http and unknown certificates will do.
    pub(super) insecure: bool,
}

/// What is wanted of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To get: mirrors will do.
    From,
    /// To put: only the place itself.
    To,
}

impl Conf {
    /// Reads a folder's files, where there are any.
    pub(super) fn read(folder: &Path) -> Result<Self, RegistryError> {
        let mut conf = Self::default();
        let listed = std::fs::read_dir(folder.join("registries.conf.d"));
        let mut paths: Vec<PathBuf> = listed.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
        paths.sort();
        paths.insert(0, folder.join("registries.conf"));
        for path in paths {
            match std::fs::read_to_string(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                text => {
                    let text = text.map_err(failed("read", &path))?;
                    conf.add(&text).map_err(|why| RegistryError::Configuration { path, why })?;
                }
            }
        }
        Ok(conf)
    }

    fn add(&mut self, text: &str) -> Result<(), String> {
        let file: File = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        if let Some(search) = file.unqualified_search_registries {
            self.search = search;
        }
        self.aliases.extend(file.aliases);
        for entry in file.registry {
            let prefix = entry.prefix.clone().or_else(|| entry.location.clone());
            self.registries.insert(prefix.ok_or("a registry has neither prefix nor location")?, entry);
        }
        Ok(())
    }

    /// The reference that a name means. Where several registries could be meant none is: an image of the same name in
    /// another one is how one is deceived.
    pub(super) fn qualify(&self, name: &ImageName) -> Result<Reference, RegistryError> {
        let name = match name {
            ImageName::Full(reference) => return Ok(reference.clone()),
            ImageName::Unqualified(name) => name,
        };
        let unqualified = |why: String| RegistryError::Unqualified { name: name.to_string(), why };
        let bad = |error: till_core::model::BadReference| unqualified(format!(": {error}"));
        if let Some(alias) = self.aliases.get(&name.repository) {
            let alias: Reference = alias.parse().map_err(bad)?;
            return Ok(Reference { tag: name.tag.clone(), digest: name.digest.clone(), ..alias });
        }
        match self.search.as_slice() {
            [only] => name.at(only).map_err(bad),
            [] => Err(unqualified(", and none is configured to be searched".to_owned())),
            many => Err(unqualified(format!(", and several are configured to be searched: {}", many.join(", ")))),
        }
    }

    /// Where a repository is, the best place first.
    pub(super) fn places(&self, of: &Reference, way: Way) -> Result<Vec<Place>, RegistryError> {
        let name = format!("{}/{}", of.registry, of.repository);
        let matching = self.registries.iter().filter_map(|(prefix, entry)| Some((matched(prefix, &name)?, entry)));
        let Some((length, entry)) = matching.max_by_key(|(length, _)| *length) else {
            return Ok(vec![place(&name, false)]);
        };
        if entry.blocked {
            return Err(RegistryError::Blocked(of.to_string()));
        }
        let at = |location: &str| format!("{location}{}", &name[length..]);
        let mut places = Vec::new();
        if way == Way::From {
            let wanted = |mirror: &&Mirror| match mirror.pull.as_deref() {
                Some("digest-only") => of.digest.is_some(),
                Some("tag-only") => of.digest.is_none(),
                _ => of.digest.is_some() || !entry.by_digest_only,
            };
            places
                .extend(entry.mirror.iter().filter(wanted).map(|mirror| place(&at(&mirror.location), mirror.insecure)));
        }
        let own = entry.location.as_deref().map_or_else(|| name.clone(), at);
        places.push(place(&own, entry.insecure));
        Ok(places)
    }
}

/// How much of a name a prefix matches: whole parts, or `*.` and the end of a host.
fn matched(prefix: &str, name: &str) -> Option<usize> {
    if let Some(domain) = prefix.strip_prefix('*') {
        let host = &name[..name.find('/')?];
        return host.ends_with(domain).then_some(host.len());
    }
    let rest = name.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len())
}

fn place(name: &str, insecure: bool) -> Place {
    let (host, repository) = name.split_once('/').unwrap_or((name, ""));
    let (known, api, hidden) = DOCKER;
    if host == known {
        let repository =
            if repository.contains('/') { repository.to_owned() } else { format!("{hidden}/{repository}") };
        return Place { host: api.to_owned(), known_as: format!("{known}/{repository}"), repository, insecure };
    }
    Place { host: host.to_owned(), repository: repository.to_owned(), known_as: name.to_owned(), insecure }
}

impl Place {
    /// Whether plain http will do.
    pub(super) fn may_be_plain(&self) -> bool {
        let host = match self.host.strip_prefix('[') {
            Some(rest) => rest.split(']').next(),
            None => self.host.split(':').next(),
        };
        self.insecure || host.is_some_and(is_loopback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
unqualified-search-registries = ["docker.io"]
[aliases]
"tool" = "example.org/tools/tool"
[[registry]]
prefix = "example.org/team"
location = "internal.example.net/mirrored/team"
insecure = true
[[registry.mirror]]
location = "near.example.net/cache"
[[registry.mirror]]
location = "pinned.example.net"
pull-from-mirror = "digest-only"
[[registry]]
prefix = "*.evil.example"
blocked = true
[[registry]]
location = "plain.example:5000"
insecure = true
"#;

    fn conf(texts: &[&str]) -> Conf {
        let mut conf = Conf::default();
        texts.iter().for_each(|text| conf.add(text).unwrap());
        conf
    }

    fn places(conf: &Conf, name: &str, way: Way) -> Vec<String> {
        let places = conf.places(&name.parse().unwrap(), way).unwrap();
        let shown = |place: Place| {
            format!("{} {} {}", place.host, place.repository, if place.may_be_plain() { "plain" } else { "tls" })
        };
        places.into_iter().map(shown).collect()
    }

    #[test]
    fn a_repository_is_where_the_longest_prefix_says() {
        let conf = conf(&[TEXT]);
        let pinned = format!("example.org/team/app@sha256:{}", "0a".repeat(32));
        let own = "internal.example.net mirrored/team/app plain";
        for (name, way, expected) in [
            ("example.org/team/app", Way::From, vec!["near.example.net cache/app tls", own]),
            ("example.org/team/app", Way::To, vec![own]),
            (&pinned, Way::From, vec!["near.example.net cache/app tls", "pinned.example.net app tls", own]),
            ("example.org/teams/app", Way::From, vec!["example.org teams/app tls"]),
            ("plain.example:5000/a/b", Way::To, vec!["plain.example:5000 a/b plain"]),
            ("localhost:1/a", Way::To, vec!["localhost:1 a plain"]),
            ("127.0.0.1/a", Way::To, vec!["127.0.0.1 a plain"]),
            ("[::1]:5/a", Way::To, vec!["[::1]:5 a plain"]),
            ("docker.io/debian:12", Way::From, vec!["registry-1.docker.io library/debian tls"]),
            ("docker.io/a/b", Way::From, vec!["registry-1.docker.io a/b tls"]),
        ] {
            assert_eq!(places(&conf, name, way), expected, "{name}");
        }
        assert!(conf.places(&"a.evil.example/x".parse().unwrap(), Way::From).is_err());
    }

    #[test]
    fn a_short_name_means_one_registry_or_none() {
        let one = conf(&[TEXT]);
        let two = conf(&[TEXT, "unqualified-search-registries = [\"a.example\", \"b.example\"]"]);
        let name = |conf: &Conf, text: &str| conf.qualify(&text.parse().unwrap()).map(|it| it.to_string()).ok();
        assert_eq!(name(&one, "debian:12").as_deref(), Some("docker.io/debian:12"));
        assert_eq!(name(&one, "tool:3").as_deref(), Some("example.org/tools/tool:3"));
        assert_eq!(name(&two, "debian"), None);
        assert_eq!(name(&Conf::default(), "debian"), None);
        assert_eq!(name(&two, "c.example/debian").as_deref(), Some("c.example/debian"));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let mut conf = Conf::default();
        assert!(conf.add("[[registry]]\ninsecure = true").is_err());
        assert!(conf.add("registry = 1").is_err());
    }
}
