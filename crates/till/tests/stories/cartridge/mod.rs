//! OpenShift v2 cartridges: gears made, pushed to, started and stopped; what is wrong with cartridges that only shows when they
//! are used.
//!
//! ```text
//! made.rs   how gears are made: what cartridges find, tell each other, do wrong
//! life.rs   gears that are started, told what to do, and stopped
//! tools.rs  what cartridges call
//! ```

mod life;
mod made;
mod tools;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::{Pid, Signal};

use crate::support::*;

const WEB: &str = "Name: web\nCartridge-Short-Name: WEB\nVersion: '1.0'\nCategories: [web_framework]\n";

/// A control script that starts a server of the gear's port for `$answer`.
const CONTROL: &str = r#"#!/bin/bash
case "$1" in
    start)
        mkdir -p /tmp/www && cd /tmp/www && env >env.txt
        [ -z "$SLOW" ] || sleep "$SLOW"
        [ -z "$DIES" ] || (sleep "$DIES"; pkill -f http.server) &
        python3 -m http.server --bind "$OPENSHIFT_WEB_IP" "$OPENSHIFT_WEB_PORT" &
        ;;
    stop) echo "CLIENT_RESULT: web is stopped"; pkill -f http.server ;;
    status) pgrep -f http.server >/dev/null ;;
    *) exit 0 ;;
esac
"#;

const HTTP: &str = "Endpoints:\n- Private-IP-Name: IP\n  Private-Port-Name: PORT\n  Private-Port: 8080\n  Mappings:\n  \
                    - Frontend: ''\n    Backend: ''\n";

/// A source with a web cartridge of these files beside what every one has.
fn app(manifest: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = source(&[
        ("till.toml", "[cartridge]\ncartridges = [\"./web\"]\n"),
        ("page.txt", "a page\n"),
        ("web/metadata/manifest.yml", &format!("{WEB}{manifest}")),
        ("web/bin/control", CONTROL),
    ]);
    write(folder.path(), files);
    folder
}

fn executable(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Builds it; what its steps said.
#[track_caller]
fn said(app: &tempfile::TempDir, name: &str) -> String {
    base("gear");
    prepare(app.path(), "gear", name).ok().err
}

/// Does the instance run?
fn is_running(id: &str) -> bool {
    let listed = till(&["ps", "--json"]).ok().json();
    let items = listed["items"].as_array().unwrap().clone();
    items.iter().any(|item| item["instance"] == id && item["state"] == "running")
}

/// Sends a signal to the first process of an instance, as who stops it does, and answers with all that it said: the log of an
/// instance that was stopped by name goes with it.
fn ended_by(served: &Served, signal: Signal) -> String {
    let running = shared_data().join("instances").join(served.id()).join("running.json");
    let facts: serde_json::Value = serde_json::from_slice(&std::fs::read(running).unwrap()).unwrap();
    let pid = i32::try_from(facts["pid"].as_i64().unwrap()).unwrap();
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    until("it has ended", || !is_running(served.id()));
    till(&["logs", served.id()]).ok().out
}
