//! What stands in a gear before any cartridge is in it: our scripts, the node's and the gear's variables, and what the plan
//! says of each cartridge, as lists that the scripts read.

use std::collections::BTreeMap;

use super::endpoint::Network;
use super::find::{Cartridge, Origin};
use super::spec::CartridgeSpec;
use crate::contract::Request;
use crate::plan::TextFile;

/// Where our scripts are, without the slash before it.
const LIB: &str = "usr/lib/till/gear";

/// What a node has on its PATH; the last is ours, for what no package brings.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/usr/lib/till/gear/bin";

/// The library that scripts of cartridges source.
const SDK: &str = "usr/lib/openshift/cartridge_sdk/bash/sdk";

const SCRIPTS: [(&str, &str); 5] = [
    ("gear", include_str!("scripts/gear")),
    ("common.sh", include_str!("scripts/common.sh")),
    ("build.sh", include_str!("scripts/build.sh")),
    ("run.sh", include_str!("scripts/run.sh")),
    ("hooked", include_str!("scripts/hooked")),
];

const COMMANDS: [(&str, &str); 8] = [
    ("ctl_all", include_str!("scripts/bin/ctl_all")),
    ("gear", include_str!("scripts/bin/gear")),
    ("logshifter", include_str!("scripts/bin/logshifter")),
    ("oo-erb", include_str!("scripts/bin/oo-erb")),
    ("oo-gear-registry", include_str!("scripts/bin/oo-gear-registry")),
    ("oo-ruby", include_str!("scripts/bin/oo-ruby")),
    ("run-parts", include_str!("scripts/bin/run-parts")),
    ("scl", include_str!("scripts/bin/scl")),
];

/// Variables of an app that a gear has itself; the user's own of that name are left out. The secret token is not among them.
const PRESET: [&str; 6] = ["HOME", "PATH", "TMPDIR", "TMP", "HISTFILE", "OPENSHIFT_HOMEDIR"];

/// Where the app and its gear are reached, as far as the image can know. No name: `localhost` is `::1` first to some, and
/// cartridges listen at addresses of IPv4.
const HOST: &str = "127.0.0.1";

/// All files of a gear, by their names from the root.
pub(super) fn texts(
    spec: &CartridgeSpec,
    request: &Request<'_>,
    carts: &[Cartridge],
    network: &Network,
) -> Vec<TextFile> {
    let mut files: BTreeMap<String, (String, u32)> = BTreeMap::new();
    for (name, text) in SCRIPTS {
        files.insert(format!("{LIB}/{name}"), (text.to_owned(), 0o644));
    }
    for (name, text) in COMMANDS {
        files.insert(format!("{LIB}/bin/{name}"), (text.to_owned(), 0o755));
    }
    files.insert(SDK.to_owned(), (include_str!("scripts/sdk").to_owned(), 0o644));
    let home = spec.home();
    let inside = home.trim_start_matches('/');
    for (name, value) in node_env(spec) {
        files.insert(format!("etc/openshift/env/{name}"), (value, 0o644));
    }
    for (name, value) in gear_env(spec, request, carts, network) {
        files.insert(format!("{inside}/.env/{name}"), (value, 0o640));
    }
    for (name, value) in request.app.env.iter().chain(request.env) {
        if is_variable(name) && !PRESET.contains(&name.as_str()) {
            files.insert(format!("{inside}/.env/user_vars/{name}"), (value.clone(), 0o640));
        }
    }
    for (name, text) in plan(spec, carts) {
        files.insert(format!("{LIB}/plan/{name}"), (text, 0o644));
    }
    files.into_iter().map(|(name, (text, mode))| TextFile { name, text, mode }).collect()
}

/// Each is a file of that name.
pub(super) fn is_variable(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && name.starts_with(|c: char| !c.is_ascii_digit())
}

fn node_env(spec: &CartridgeSpec) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = [
        ("PATH", PATH.to_owned()),
        ("OPENSHIFT_BROKER_HOST", "localhost".to_owned()),
        ("OPENSHIFT_CLOUD_DOMAIN", "localhost".to_owned()),
        ("OPENSHIFT_CARTRIDGE_SDK_BASH", format!("/{SDK}")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    env.extend(spec.env.clone());
    env
}

fn gear_env(
    spec: &CartridgeSpec,
    request: &Request<'_>,
    carts: &[Cartridge],
    network: &Network,
) -> BTreeMap<String, String> {
    let (home, user) = (spec.home(), spec.user.clone());
    let name = request.app.name.as_ref().map_or("app", |name| name.as_str()).to_owned();
    let primary = carts.iter().find(|cart| cart.manifest.is("web_framework"));
    let directory = primary.map_or(String::new(), |cart| cart.manifest.directory());
    let dir = |path: &str| format!("{home}/{path}/");
    let mut env = network.env.clone();
    env.extend(
        [
            ("HISTFILE", format!("{home}/app-root/data/.bash_history")),
            ("HOME", home.clone()),
            ("OPENSHIFT_APP_DNS", HOST.to_owned()),
            ("OPENSHIFT_APP_NAME", name.clone()),
            ("OPENSHIFT_APP_UUID", user.clone()),
            ("OPENSHIFT_BUILD_DEPENDENCIES_DIR", dir("app-root/runtime/build-dependencies")),
            ("OPENSHIFT_DATA_DIR", dir("app-root/data")),
            ("OPENSHIFT_DEPENDENCIES_DIR", dir("app-root/runtime/dependencies")),
            ("OPENSHIFT_DEPLOYMENTS_DIR", dir("app-deployments")),
            ("OPENSHIFT_DEPLOYMENT_BRANCH", "master".to_owned()),
            ("OPENSHIFT_DEPLOYMENT_TYPE", "git".to_owned()),
            ("OPENSHIFT_AUTO_DEPLOY", "true".to_owned()),
            ("OPENSHIFT_GEAR_DNS", HOST.to_owned()),
            ("OPENSHIFT_GEAR_MEMORY_MB", spec.memory_mb.to_string()),
            ("OPENSHIFT_GEAR_NAME", name),
            ("OPENSHIFT_GEAR_UUID", user),
            ("OPENSHIFT_HOMEDIR", format!("{home}/")),
            ("OPENSHIFT_KEEP_DEPLOYMENTS", "1".to_owned()),
            ("OPENSHIFT_LOG_DIR", dir("app-root/logs")),
            ("OPENSHIFT_NAMESPACE", "till".to_owned()),
            ("OPENSHIFT_PRIMARY_CARTRIDGE_DIR", dir(&directory)),
            ("OPENSHIFT_REPO_DIR", dir("app-root/runtime/repo")),
            ("OPENSHIFT_TMP_DIR", "/tmp/".to_owned()),
            ("TMP", "/tmp/".to_owned()),
            ("TMPDIR", "/tmp/".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    env
}

/// What the scripts have to know of the plan.
fn plan(spec: &CartridgeSpec, carts: &[Cartridge]) -> Vec<(String, String)> {
    let lines = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let links = |links: &[(String, String)]| links.iter().map(|(link, to)| format!("{link}\t{to}\n")).collect();
    let directories: Vec<_> = carts.iter().map(|cart| cart.manifest.directory()).collect();
    let primary = carts.iter().position(|cart| cart.manifest.is("web_framework")).unwrap_or(0);
    let mut files = vec![
        ("home".to_owned(), spec.home()),
        ("user".to_owned(), spec.user.clone()),
        ("order".to_owned(), lines(&directories)),
        ("primary".to_owned(), directories.get(primary).cloned().unwrap_or_default()),
    ];
    for (cart, directory) in carts.iter().zip(&directories) {
        let Cartridge { manifest, managed, origin } = cart;
        let mut say = |name: &str, text: String| files.push((format!("carts/{directory}/{name}"), text));
        say("name", manifest.name.clone());
        say("short", manifest.short_name.clone());
        say("version", manifest.version.clone());
        say("ident", manifest.ident());
        say("locked", lines(&managed.locked));
        say("templates", lines(&managed.templates));
        say("dependencies", links(&managed.dependencies));
        say("build-dependencies", links(&managed.build_dependencies));
        if let Origin::Base(from) = origin {
            say("from", from.clone());
        }
    }
    files
}
