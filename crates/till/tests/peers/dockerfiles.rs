//! The examples, built by us, by Docker and by buildah; the images that come of it, compared.
//!
//! Debian's Docker 20.10 and buildah 1.28 are older than some of what a Dockerfile may say. Where an example says such a
//! thing, they build its `Dockerfile.plain`, which says the same in older words.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::image::Image;
use crate::peers::{Peers, folder, tool, unpacked};
use crate::support::{repository, till};

/// One of `examples/dockerfiles`.
struct Example {
    name: &'static str,
    path: &'static str,
    /// What it is built upon.
    bases: &'static [&'static str],
    arguments: &'static [&'static str],
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    App,
    /// Others are built upon it.
    Base,
}

const fn app(name: &'static str, bases: &'static [&'static str], arguments: &'static [&'static str]) -> Example {
    Example { name, path: name, bases, arguments, kind: Kind::App }
}

const LIGHT: [Example; 7] = [
    app("settings", &["debian"], &["FLAVOUR=rich", "UID=4322"]),
    app("static-site", &["debian"], &["PORT=8088"]),
    app("links", &["debian"], &[]),
    app("archive", &["debian"], &[]),
    app("python-venv", &["debian", "python"], &[]),
    Example { name: "onbuild-base", path: "onbuild/base", bases: &["debian"], arguments: &[], kind: Kind::Base },
    Example { name: "onbuild", path: "onbuild/app", bases: &["debian"], arguments: &["RELEASE=7"], kind: Kind::App },
];

const HEAVY: [Example; 4] = [
    app("go-service", &["toolchain"], &["VERSION=1.2"]),
    app("rust-cli", &["debian", "toolchain"], &[]),
    app("node-frontend", &["debian", "toolchain"], &["PUBLIC_URL=/front"]),
    app("java-layers", &["debian", "toolchain"], &[]),
];

/// What differs, and why that is not ours to change; as in `docs/reference/dockerfile.md`.
const KNOWN: [(&str, &str, &[&str], &str); 6] = [
    (
        "settings",
        "buildah",
        &["/srv/app/data", "/srv/app/data/nested", "/srv/app/data/other"],
        "WORKDIR makes directories that do not inherit the group's bit",
    ),
    ("settings", "buildah", &["/var/cache/app", "/var/lib/app", "/with blank"], "the directories of VOLUMEs are made"),
    ("settings", "buildah", &["/srv/app/tested.txt"], "ARGs of a stage are not those of the stages FROM it"),
    ("settings", "buildah", &["Entrypoint"], "SHELL is not asked for ENTRYPOINT"),
    ("settings", "buildah", &["ExposedPorts"], "ranges of ports are not taken apart"),
    ("go-service", "buildah", &["WorkingDir"], "FROM scratch gives no working directory, where Docker says `/`"),
];

#[test]
fn the_same_dockerfile_gives_the_same_image_as_docker_and_buildah() {
    compare_all(&LIGHT);
}

#[test]
fn toolchains_compile_to_the_same_image_as_with_docker_and_buildah() {
    compare_all(&HEAVY);
}

fn compare_all(examples: &[Example]) {
    let peers = Peers::shared();
    let found: Vec<_> = examples.iter().flat_map(|example| compare(&peers, example)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What differs and is not known to, and what is known to differ and does not.
fn compare(peers: &Peers, example: &Example) -> Vec<String> {
    for base in example.bases {
        peers.load(base);
    }
    let context = tempfile::tempdir().unwrap();
    let from = repository().join("examples/dockerfiles").join(example.path);
    tool(Command::new("cp").arg("-r").arg("--no-dereference").arg(from.join(".")).arg(context.path()));
    // As git keeps files, whatever this checkout made of them.
    tool(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(context.path()));
    let (context, folder) = (context.path(), folder());
    let at = |name: &str| folder.path().join(name);
    let (ours, docker, buildah) = std::thread::scope(|scope| {
        let docker = scope.spawn(|| by_docker(peers, example, context, &at("docker.tar")));
        let buildah = scope.spawn(|| by_buildah(peers, example, context, &at("buildah.tar")));
        let ours = by_us(example, context, &at("ours.tar"));
        (ours, docker.join().unwrap(), buildah.join().unwrap())
    });
    // Something was read.
    assert!(!ours.tree.is_empty() && ours.config.values().any(|value| !value.is_null()), "{}", example.name);
    let mut found = unexpected(example.name, "docker", &ours, &docker);
    found.extend(unexpected(example.name, "buildah", &ours, &buildah));
    found
}

fn unexpected(example: &str, peer: &str, ours: &Image, theirs: &Image) -> Vec<String> {
    let rows = KNOWN.iter().filter(|(of, by, ..)| (*of, *by) == (example, peer));
    let mut known: BTreeSet<_> = rows.flat_map(|(_, _, what, _)| what.iter().map(|what| (*what).to_owned())).collect();
    let mut found = Vec::new();
    for (what, how) in ours.differences(theirs) {
        if !known.remove(&what) {
            found.push(format!("{example}, {peer}: {what} differs: {how}"));
        }
    }
    found.extend(known.iter().map(|what| format!("{example}, {peer}: {what} is the same by now")));
    found
}

/// The arguments as each builder takes them.
fn arguments(example: &Example) -> Vec<&'static str> {
    example.arguments.iter().flat_map(|argument| ["--build-arg", *argument]).collect()
}

fn by_us(example: &Example, context: &Path, archive: &Path) -> Image {
    let source = context.to_str().unwrap();
    let place = format!("docker-archive:{}", archive.display());
    match example.kind {
        Kind::App => {
            let name = format!("peers-{}", example.name);
            let build = ["build", source, "--name", &name, "--afresh", "--quiet"];
            till(&[&build[..], &arguments(example)].concat()).ok();
            till(&["artifact", "export", &name, &place]).ok();
        }
        Kind::Base => {
            till(&["base", "build", source, "--quiet"]).ok();
            till(&["base", "export", example.name, &place]).ok();
        }
    }
    Image::read(&unpacked(archive))
}

/// The Dockerfile that older builders understand.
fn plain(context: &Path) -> String {
    let plain = context.join("Dockerfile.plain");
    let file = if plain.exists() { plain } else { context.join("Dockerfile") };
    file.to_str().unwrap().to_owned()
}

fn by_docker(peers: &Peers, example: &Example, context: &Path, archive: &Path) -> Image {
    let (file, source) = (plain(context), context.to_str().unwrap());
    let build = ["build", "--quiet", "--network", "host", "--tag", example.name, "--file", &file];
    peers.docker(&[&build[..], &arguments(example), &[source]].concat());
    peers.docker(&["save", "--output", archive.to_str().unwrap(), example.name]);
    Image::read(&unpacked(archive))
}

fn by_buildah(peers: &Peers, example: &Example, context: &Path, archive: &Path) -> Image {
    let (file, source) = (plain(context), context.to_str().unwrap());
    // What OCI's format has no words for is lost in it: HEALTHCHECK, ONBUILD, SHELL.
    let build = ["bud", "--runtime", "runc", "--network", "host", "--format", "docker", "--pull-never", "--quiet"];
    let named = ["--tag", example.name, "--file", &file];
    peers.containers.call("buildah", &[&build[..], &named, &arguments(example), &[source]].concat());
    let place = format!("docker-archive:{}:peers/{}:latest", archive.display(), example.name);
    peers.containers.call("buildah", &["push", "--quiet", example.name, &place]);
    Image::read(&unpacked(archive))
}
