//! `lifecycle`: Cloud Native Buildpacks, the phases that run inside instances, and the launcher inside images.
//!
//! One small static program: it needs no libraries, no particular path and no network. Buildpack API 0.7 to 0.12, files and
//! variables of platform API 0.13. Image extensions, stacks' mixins and the old bill of materials are left out. Strangers'
//! buildpacks run here: what they leave is reached by descriptors, never through symlinks (`tree`).
//!
//! ```text
//! main.rs        which phase, and its exit code
//! arguments.rs   flags, variables, defaults
//! inputs.rs      what several phases read
//! failure.rs     what went wrong
//! model/         the files of the specification, as types
//! decide/        what is decided, without touching a file
//! tree/          strangers' trees: walk, move, copy, normalise
//! phase/         detect, restore, build, export
//! launcher/      starts processes
//! ```
//!
//! # Command lines
//!
//! Flags are `-flag VALUE`, `--flag VALUE` or `-flag=VALUE`; a variable stands in for its flag. Every phase takes every flag.
//!
//! ```text
//! lifecycle prepare [-app -layers -uid N -gid N]                                                  as root
//! lifecycle detect  [-app -layers -platform -buildpacks -build-config -order -group -plan]        as the builds' user
//! lifecycle restore [-layers -group -cache DIR -previous ROOT -uid N -gid N]                      as either
//! lifecycle build   [-app -layers -platform -buildpacks -build-config -group -plan]               as the builds' user
//! lifecycle export  -into DIR [-app -layers -group -cache DIR -previous ROOT -uid N -gid N
//!                   -process-type TYPE -report FILE]                                              as root
//! lifecycle launch  [--] COMMAND…    what a program of any other name is, too: see below
//!
//! -app           CNB_APP_DIR           /workspace
//! -layers        CNB_LAYERS_DIR        /layers
//! -platform      CNB_PLATFORM_DIR      /platform
//! -buildpacks    CNB_BUILDPACKS_DIR    /cnb/buildpacks
//! -build-config  CNB_BUILD_CONFIG_DIR  /cnb/build-config
//! -order         CNB_ORDER_PATH        LAYERS/order.toml if it is there, else /cnb/order.toml
//! -group         CNB_GROUP_PATH        LAYERS/group.toml
//! -plan          CNB_PLAN_PATH         LAYERS/plan.toml
//! -cache         CNB_CACHE_DIR         none: nothing is cached
//! -previous                            none: the root of the previous image's file system, read only
//! -into                                needed by export: an empty directory, made if it is not there
//! -report                              INTO/report.json
//! -process-type  CNB_PROCESS_TYPE      the buildpacks' default
//! -uid, -gid     CNB_USER_ID, CNB_GROUP_ID   none: files stay whose they are; has an effect as root only
//! CNB_EXEC_ENV (production), CNB_TARGET_* (else this processor and /etc/os-release), CNB_STACK_ID, CNB_PLATFORM_API
//! ```
//!
//! # What they read and write
//!
//! ```text
//! prepare  makes APP and LAYERS, and gives them to -uid and -gid
//! detect   reads ORDER, BUILDPACKS/ID/VERSION/, APP, PLATFORM/env, BUILD-CONFIG/env
//!          writes GROUP, PLAN
//! restore  reads GROUP, CACHE/committed/, PREVIOUS/LAYERS/config/till.json, PREVIOUS/LAYERS/sbom/launch/
//!          writes LAYERS/BUILDPACK/{store.toml,LAYER.toml,LAYER.sbom.*,LAYER/}; nothing of these may be needed
//! build    reads GROUP, PLAN, BUILDPACKS, APP, PLATFORM/env, BUILD-CONFIG/env
//!          writes LAYERS/BUILDPACK/…, LAYERS/sbom/{build,launch,cache}/BUILDPACK/…, LAYERS/config/metadata.toml
//! export   reads GROUP, LAYERS, APP, PREVIOUS; moves what it exports out of LAYERS and APP
//!          writes INTO/NNN-NAME/…, REPORT; at the end exchanges CACHE/committed
//! launch   reads LAYERS/{config/metadata.toml,BUILDPACK/LAYER/…}, APP/.profile
//! ```
//!
//! `PREVIOUS` and `CACHE` of another execution environment count as empty. On the file system of `LAYERS` and `APP`,
//! `INTO` and `CACHE` get most files by renaming. Times of files in `INTO` are 1980-01-01T00:00:01Z. `export` reads its own
//! program at `/proc/self/exe`, for the image's launcher.
//!
//! # Exit codes
//!
//! ```text
//!   0  done
//!   3  the command line is wrong
//!  11  CNB_PLATFORM_API is not 0.7 to 0.15          12  a buildpack's api is not 0.7 to 0.12
//!  20  detect: no group passed                      21  the same, and a buildpack failed with an error
//!  22  detect: anything else                        42  restore: anything
//!  51  build: a buildpack failed, or left what it must not; it is named
//!  52  build: anything else                         62  export: anything, such as an unknown process type, cache = true
//!                                                       without contents, nothing to reuse in the previous image
//!  82  launch: anything; for a type that is not there, with all that are
//! ```
//!
//! What the phases say of their course goes to standard output, with the buildpacks' output; failures go to standard error as
//! `error: …`.
//!
//! # The report
//!
//! ```text
//! { "version": 1,
//!   "exec-env": "production",
//!   "layers": [                                  from the lowest to the topmost
//!     { "directory": "000-acme_go-deps",         below INTO; holds the layer's files at their paths in the image
//!       "kind": "buildpack",                     or sbom, slice, app, launcher, config, process-types
//!       "name": "acme/go:deps",
//!       "created-by": "Layer: 'deps', Created by buildpack: acme/go@1.0.0",
//!       "buildpack": "acme/go", "layer": "deps", of kind buildpack only
//!       "reused": false } ],                     taken from PREVIOUS: equal bytes, if that was exported here
//!   "processes": [ { "type", "command": [], "args": [], "direct", "working-dir"?, "exec-env"?: [], "buildpack-id" } ],
//!   "default-process": "web",                    or null
//!   "entrypoint": ["/cnb/process/web"],          or the launcher; the image's Cmd is empty
//!   "working-dir": "/workspace",
//!   "environment": { "CNB_APP_DIR": …, "CNB_DEPRECATION_MODE": …, "CNB_LAYERS_DIR": …, "CNB_PLATFORM_API": … },
//!   "path-prefix": "/cnb/process:/cnb/lifecycle",  before the run image's PATH
//!   "labels": { KEY: VALUE },                    of all launch.toml, the last holds
//!   "buildpacks": [ { "id", "version", "api", "homepage",
//!     "layers": { LAYER: { "directory", "build", "cache", "launch", "data": {} } },   launch layers
//!     "store": {} } ],                           [metadata] of store.toml, or null
//!   "slices": [ { "paths": [] } ],
//!   "sbom": ["/layers/sbom/launch/acme_go/deps/sbom.cdx.json"] }
//! ```
//!
//! # The launcher
//!
//! In an image it is `/cnb/lifecycle/launcher`; `/cnb/process/TYPE` links to it. Started by the name of a type it starts that
//! process; started as `launcher` it starts `-- COMMAND…` as it is and `COMMAND…` by bash. `lifecycle launch` is the same.
#![expect(clippy::print_stderr, reason = "whoever started us reads what went wrong")]

mod arguments;
mod decide;
mod failure;
mod inputs;
mod launcher;
mod model;
mod phase;
mod tree;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use arguments::Settings;
use failure::{ARGUMENTS, Failure, PLATFORM_API};
use launcher::Wanted;
use model::api::Api;

/// A phase: its name, what it does, and the exit code of a failure that has none of its own.
type Phase = (&'static str, fn(&Settings) -> Result<(), Failure>, u8);

const PHASES: [Phase; 5] = [
    ("prepare", phase::prepare, 3),
    ("detect", phase::detect, 22),
    ("restore", phase::restore, 42),
    ("build", phase::build, 52),
    ("export", phase::export, 62),
];

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    let words: Vec<_> = words.collect();
    let (failure, otherwise) = match called(&name) {
        Called::Launcher(wanted) => (launcher::launch(&name, &wanted, words), launcher::LAUNCH),
        Called::Lifecycle if words.first().is_some_and(|word| word == "launch") => {
            (launcher::launch(&name, &Wanted::Command, words[1..].to_vec()), launcher::LAUNCH)
        }
        Called::Lifecycle => match run(&words) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(failed) => failed,
        },
    };
    eprintln!("error: {}", failure.said);
    ExitCode::from(failure.exit.unwrap_or(otherwise))
}

/// Runs a phase. A failure comes with the phase's own exit code.
fn run(words: &[OsString]) -> Result<(), (Failure, u8)> {
    let phase = words.first().and_then(|word| PHASES.iter().find(|(name, ..)| word == name));
    let Some((_, phase, otherwise)) = phase else {
        let names: Vec<_> = PHASES.iter().map(|(name, ..)| *name).collect();
        let failure = Failure::exit(ARGUMENTS, format!("which phase? {} or launch", names.join(", ")));
        return Err((failure, ARGUMENTS));
    };
    let run = || {
        if let Some(api) = std::env::var("CNB_PLATFORM_API").ok().filter(|api| !Api::is_platform(api)) {
            return Err(Failure::exit(PLATFORM_API, format!("platform API {api} is not supported")));
        }
        // What is made here must not depend on who calls.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        phase(&Settings::parse(&words[1..], |name| std::env::var_os(name))?)
    };
    run().map_err(|failure| (failure, *otherwise))
}

/// What we are, by the name that we were started by.
#[derive(Debug, PartialEq, Eq)]
enum Called {
    Lifecycle,
    Launcher(Wanted),
}

/// A link in `/cnb/process` is a process of any name; elsewhere two names are our own.
fn called(name: &OsStr) -> Called {
    let path = Path::new(name);
    let base = path.file_name().unwrap_or_default().to_string_lossy();
    let is_link = path.parent().is_some_and(|parent| parent.ends_with("cnb/process"));
    match &*base {
        "lifecycle" if !is_link => Called::Lifecycle,
        "launcher" if !is_link => Called::Launcher(Wanted::Command),
        kind => Called::Launcher(Wanted::Process(kind.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_what_we_are() {
        let process = |kind: &str| Called::Launcher(Wanted::Process(kind.to_owned()));
        for (name, what) in [
            ("/cnb-till/lifecycle", Called::Lifecycle),
            ("lifecycle", Called::Lifecycle),
            ("/cnb/lifecycle/launcher", Called::Launcher(Wanted::Command)),
            ("/cnb/process/web", process("web")),
            ("web", process("web")),
            ("/cnb/process/lifecycle", process("lifecycle")),
            ("/cnb/process/launcher", process("launcher")),
            ("/cnb/process/web.1", process("web.1")),
        ] {
            assert_eq!(called(OsStr::new(name)), what, "{name}");
        }
    }
}
