//! What the machine's package clients are configured with, lent to steps that may reach the outside and never part of an
//! image: its trust in certificates, its mirrors, its name servers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Variables that configure package clients and proxies; those that the machine sets are passed on.
const PASSED_ON: [&str; 20] = [
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "UV_INDEX_URL",
    "npm_config_registry",
    "NPM_CONFIG_REGISTRY",
    "GOPROXY",
    "GONOPROXY",
    "GOSUMDB",
    "GONOSUMDB",
    "GOPRIVATE",
    "CARGO_HTTP_PROXY",
    "CARGO_REGISTRIES_CRATES_IO_PROTOCOL",
    "BUNDLE_MIRROR__ALL",
];

/// Variables by which clients that bring their own certificates are told of the machine's.
const TRUST: [&str; 9] = [
    "SSL_CERT_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NPM_CONFIG_CAFILE",
    "CARGO_HTTP_CAINFO",
    "BUNDLE_SSL_CA_CERT",
];

/// The machine's certificates, in Debian's place.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Where a step finds them: not in Debian's place, where a step may want to put the image's own anew.
pub(super) const LENT_BUNDLE: &str = "/run/till-certificates.crt";

/// What cargo reads for whatever is built on a machine; there alone it can be told of mirrors.
const CARGO: &str = "/.cargo/config.toml";

/// Files of the machine that a step finds while it may reach the outside, and where. One whose directory is not in the image
/// is not lent.
const LENT: [(&str, &str); 4] =
    [(BUNDLE, LENT_BUNDLE), ("/etc/pip.conf", "/etc/pip.conf"), ("/etc/npmrc", "/etc/npmrc"), (CARGO, CARGO)];

/// What is lent.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// Variables for steps with a network.
    pub env: BTreeMap<String, String>,
    /// Files that are mounted read-only, and where.
    pub files: Vec<(PathBuf, PathBuf)>,
}

impl Machine {
    /// What this machine has, given its environment.
    pub fn of(env: impl Iterator<Item = (String, String)>) -> Self {
        Self {
            env: env.filter(|(name, _)| PASSED_ON.contains(&name.as_str())).collect(),
            files: LENT
                .map(|(file, place)| (file.into(), place.into()))
                .into_iter()
                .filter(|(file, _): &(PathBuf, PathBuf)| file.is_file())
                .collect(),
        }
    }

    /// The same files for who has no places of theirs: with the variables by which clients are told where they are.
    pub(super) fn named_files(&self) -> Vec<(Vec<String>, PathBuf)> {
        let names = |place: &Path| match place.to_str() {
            Some(LENT_BUNDLE) => TRUST.map(str::to_owned).to_vec(),
            Some("/etc/pip.conf") => vec!["PIP_CONFIG_FILE".to_owned()],
            Some("/etc/npmrc") => vec!["NPM_CONFIG_GLOBALCONFIG".to_owned()],
            _ => Vec::new(),
        };
        let named = self.files.iter().map(|(file, place)| (names(place), file.clone()));
        named.filter(|(names, _)| !names.is_empty()).collect()
    }

    /// The variables of a step with a network, in an instance where `mounted` of the files are in place.
    pub(super) fn variables(&self, mounted: &[&Path]) -> BTreeMap<String, String> {
        let mut env = self.env.clone();
        if mounted.contains(&Path::new(LENT_BUNDLE)) {
            env.extend(TRUST.map(|name| (name.to_owned(), LENT_BUNDLE.to_owned())));
        }
        env
    }
}
