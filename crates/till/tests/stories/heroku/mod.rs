//! Heroku buildpacks, those of the sources themselves and others.
//!
//! ```text
//! apps.rs     the examples, from source to an answer
//! order.rs    several buildpacks: what each finds, what it leaves
//! origins.rs  where buildpacks come from
//! refused.rs  what a buildpack or a source does wrong
//! starts.rs   how processes are started and stopped
//! ```

mod apps;
mod order;
mod origins;
mod refused;
mod starts;

use std::path::Path;

use serde_json::Value;

use crate::support::*;

/// A base without packages for buildpacks; answers with its name. Its image has two buildpacks, of which the first never agrees.
fn bare() -> &'static str {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        base("debian");
        let contract = "[contract]\nkind = \"heroku\"\nuser = \"app\"\nbuildpacks = [\"/opt/packs/never\", \"/opt/packs/any\"]\n\
                        [contract.names]\n\"till/any\" = \"/opt/packs/any\"\n";
        let head = "name = \"heroku-bare\"\ndescription = \"Of stories\"\nowner = \"stories\"\n[recipe]\nkind = \"debian\"\n\
                    from = \"debian\"\n[[recipe.file]]\nsource = \"packs\"\npath = \"/opt/packs\"\nmode = \"0755\"\n";
        let folder = source(&[
            ("base.toml", &format!("{head}{contract}")),
            ("packs/never/bin/detect", "#!/bin/sh\necho out; echo 'wants a file: never.txt' >&2; test -f \"$1/never.txt\"\n"),
            ("packs/never/bin/compile", "#!/bin/sh\n"),
            ("packs/any/bin/detect", "#!/bin/sh\ntest -f \"$1/any.txt\" && echo Anything\n"),
            ("packs/any/bin/compile", "#!/bin/sh\necho any >> \"$1/order.txt\"\n"),
        ]);
        till(&["base", "build", folder.path().to_str().unwrap()]).ok();
    });
    "heroku-bare"
}

/// A buildpack in `pack/` of a source, which agrees, and whose compile is this.
fn pack(compile: &str) -> tempfile::TempDir {
    source(&[
        (".buildpacks", "./pack\n"),
        ("pack/bin/detect", "#!/bin/sh\necho Mine\n"),
        ("pack/bin/compile", compile),
        ("Procfile", "web: cat /app/*.txt; ls -A\n"),
    ])
}

/// Builds a source with the bare base, whatever was built before.
fn build(folder: &Path, app: &str) -> Called {
    prepare(folder, bare(), app)
}

/// What a process of an app says, and its exit code.
fn output(app: &str, process: &str) -> (i32, String) {
    let called = till(&["run", app, "--process", process, "--json"]);
    let said = called.err.clone();
    (called.code, said)
}

/// The instance that `till run --detach` answers with.
fn detached(arguments: &[&str]) -> Value {
    till(&[&["run", "--detach", "--json"], arguments].concat()).ok().json()
}
