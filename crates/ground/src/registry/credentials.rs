//! Who we are for a registry: the files that `podman login`, `skopeo login` and `docker login` write, read only.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::base64;
use super::conf::Place;
use super::error::{RegistryError, failed};
use crate::process::{self, ToolError};

/// How long a helper may think: it may have to ask a person.
const PATIENCE: Duration = Duration::from_secs(60);
/// Under what Docker keeps what belongs to `docker.io`.
const DOCKER: (&str, &str) = ("docker.io", "index.docker.io");

/// Name and password, or a token that is given for others.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    Password { user: String, password: String },
    Identity { token: String },
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

/// The name with which helpers mark what is no password but a token.
const TOKEN: &str = "<token>";

/// The files in which credentials may be, the first of which wins.
pub fn auth_files(variables: &BTreeMap<String, String>) -> Vec<PathBuf> {
    let of = |name: &str, rest: &str| {
        variables.get(name).filter(|value| !value.is_empty()).map(|v| PathBuf::from(v).join(rest))
    };
    if let Some(file) = variables.get("REGISTRY_AUTH_FILE").filter(|file| !file.is_empty()) {
        return vec![PathBuf::from(file)];
    }
    let home = |rest: &str| of("HOME", rest);
    // Where there is no directory of a session, as for root, `containers/image` takes this one.
    let session = format!("/run/containers/{}/auth.json", rustix::process::getuid().as_raw());
    let runtime = of("XDG_RUNTIME_DIR", "containers/auth.json").or_else(|| Some(session.into()));
    let config = of("XDG_CONFIG_HOME", "containers/auth.json").or_else(|| home(".config/containers/auth.json"));
    let docker = of("DOCKER_CONFIG", "config.json").or_else(|| home(".docker/config.json"));
    [runtime, config, docker].into_iter().flatten().collect()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    #[serde(deserialize_with = "null_is_empty")]
    auths: BTreeMap<String, Auth>,
    #[serde(rename = "credHelpers", deserialize_with = "null_is_empty")]
    helpers: BTreeMap<String, String>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Auth {
    #[serde(deserialize_with = "null_is_empty")]
    auth: String,
    #[serde(rename = "identitytoken", deserialize_with = "null_is_empty")]
    identity: String,
}

/// What Go writes of a map, a list or a structure that was never made.
fn null_is_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(value: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    username: String,
    secret: String,
}

/// The credentials for a place; none where no file has any.
pub(super) async fn find(files: &[PathBuf], place: &Place) -> Result<Option<Credentials>, RegistryError> {
    for path in files {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            text => text.map_err(failed("read", path))?,
        };
        let bad = |why: String| RegistryError::Configuration { path: path.clone(), why };
        // Where it is wrong, but not what stands there.
        let file: File = serde_json::from_str(&text)
            .map_err(|error| bad(format!("no such JSON (line {}, column {})", error.line(), error.column())))?;
        let host = place.known_as.split('/').next().unwrap_or_default();
        if let Some(helper) = file.helpers.get(host) {
            if let Some(found) = ask(helper, host).await? {
                return Ok(Some(found));
            }
            continue;
        }
        if let Some((key, auth)) = file.entry(&place.known_as)
            && let Some(found) =
                auth.credentials().ok_or_else(|| bad(format!("the entry `{key}` is not understood")))?
        {
            return Ok(Some(found));
        }
        if let Some(store) = &file.store
            && let Some(found) = ask(store, server(host)).await?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

impl File {
    /// The entry whose key is the longest beginning of a name, in whole parts.
    fn entry(&self, name: &str) -> Option<(&str, &Auth)> {
        let mut name = name;
        loop {
            let found = self.auths.iter().find(|(key, _)| *key == name || (!name.contains('/') && is_host(key, name)));
            if let Some((key, auth)) = found {
                return Some((key, auth));
            }
            name = name.rsplit_once('/')?.0;
        }
    }
}

/// Whether a key is that host as Docker writes it, with scheme and path: `https://host/v1/`.
fn is_host(key: &str, host: &str) -> bool {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let Some(bare) = bare.and_then(|rest| rest.split('/').next()) else {
        return false;
    };
    bare == host || (host == DOCKER.0 && bare == DOCKER.1)
}

/// As helpers of Docker know a host.
fn server(host: &str) -> &str {
    if host == DOCKER.0 { "https://index.docker.io/v1/" } else { host }
}

impl Auth {
    /// None: not understood. None in it: nothing, as Docker writes when a store has it.
    fn credentials(&self) -> Option<Option<Credentials>> {
        if !self.identity.is_empty() {
            return Some(Some(Credentials::Identity { token: self.identity.clone() }));
        }
        if self.auth.is_empty() {
            return Some(None);
        }
        let text = String::from_utf8(base64::decode(&self.auth)?).ok()?;
        let (user, password) = text.split_once(':')?;
        let password = password.trim_end_matches('\0').to_owned();
        Some(Some(Credentials::Password { user: user.to_owned(), password }))
    }
}

/// Asks `docker-credential-NAME`.
async fn ask(helper: &str, host: &str) -> Result<Option<Credentials>, RegistryError> {
    let failed = |source| RegistryError::Helper { host: host.to_owned(), source };
    let nonsense = |why: &str| RegistryError::Nonsense {
        deed: format!("ask docker-credential-{helper}"),
        host: host.to_owned(),
        why: why.to_owned(),
    };
    if helper.contains('/') {
        return Err(nonsense("its name is a path"));
    }
    let mut command = process::command(format!("docker-credential-{helper}"));
    command.arg("get");
    let answer = tokio::time::timeout(PATIENCE, process::output_of(command, host.as_bytes()));
    let said = match answer.await.map_err(|_| nonsense("it does not answer"))? {
        // The protocol's way to say that there is none: on standard output, with a bad end.
        Err(ToolError::Failed { said, .. }) if said.contains("credentials not found") => return Ok(None),
        said => said.map_err(failed)?,
    };
    let given: Given = serde_json::from_slice(&said).map_err(|_| nonsense("it does not give Username and Secret"))?;
    Ok(Some(match given.username.as_str() {
        TOKEN => Credentials::Identity { token: given.secret },
        _ => Credentials::Password { user: given.username, password: given.secret },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_longest_key_of_whole_parts_is_taken() {
        let auth = |text: &str| format!("{{\"auth\":\"{}\"}}", base64::encode(text.as_bytes()));
        let text = format!(
            "{{\"auths\":{{\"r.example\":{},\"r.example/a\":{},\"r.example/a/b\":{},\"https://index.docker.io/v1/\":{},\
             \"https://old.example/v2/\":{}}}}}",
            auth("host:1"),
            auth("a:2:3"),
            auth("b:"),
            auth("docker:4"),
            auth("old:5"),
        );
        let file = file(&text);
        for (name, expected) in [
            ("r.example/x", Some(("host", "1"))),
            ("r.example/a/x", Some(("a", "2:3"))),
            ("r.example/a/b", Some(("b", ""))),
            ("r.example/ab", Some(("host", "1"))),
            ("docker.io/library/x", Some(("docker", "4"))),
            ("old.example/x", Some(("old", "5"))),
            ("other.example/x", None),
        ] {
            let found = file.entry(name).map(|(_, auth)| auth.credentials().unwrap().unwrap());
            let expected = expected
                .map(|(user, password)| Credentials::Password { user: user.to_owned(), password: password.to_owned() });
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn an_entry_may_be_empty_a_token_or_nonsense() {
        let of = |text: &str| serde_json::from_str::<Auth>(text).unwrap().credentials();
        assert_eq!(of("{}"), Some(None));
        assert_eq!(of(r#"{"identitytoken":"t"}"#), Some(Some(Credentials::Identity { token: "t".to_owned() })));
        assert_eq!(of(r#"{"auth":"!"}"#), None);
        assert_eq!(of(r#"{"auth":"YQ=="}"#), None);
    }

    #[test]
    fn files_are_looked_for_where_logins_write_them() {
        let of = |pairs: &[(&str, &str)]| -> Vec<String> {
            let variables = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            auth_files(&variables).iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(of(&[("REGISTRY_AUTH_FILE", "/x"), ("HOME", "/h")]), ["/x"]);
        assert_eq!(
            of(&[("XDG_RUNTIME_DIR", "/run/u"), ("HOME", "/h")]),
            ["/run/u/containers/auth.json", "/h/.config/containers/auth.json", "/h/.docker/config.json"]
        );
        let session = format!("/run/containers/{}/auth.json", rustix::process::getuid().as_raw());
        assert_eq!(of(&[("DOCKER_CONFIG", "/d"), ("XDG_CONFIG_HOME", "")]), [session.as_str(), "/d/config.json"]);
        assert_eq!(of(&[("XDG_RUNTIME_DIR", "")]), [session.as_str()]);
    }

    #[test]
    fn what_is_null_is_empty() {
        let file = file(r#"{"auths":null,"credHelpers":null,"credsStore":null,"HttpHeaders":null}"#);
        assert!(file.auths.is_empty() && file.helpers.is_empty() && file.store.is_none());
        let auth: Auth = serde_json::from_str(r#"{"auth":null,"identitytoken":null}"#).unwrap();
        assert_eq!(auth.credentials(), Some(None));
    }
}
