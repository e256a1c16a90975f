//! Where buildpacks come from: a git repository, an archive of the web, a directory, a name of the settings.

use std::io::{Read, Write};
use std::process::Command;

use super::*;

/// A buildpack that says which it is.
fn buildpack(mark: &str) -> tempfile::TempDir {
    source(&[
        ("bin/detect", "#!/bin/sh\nexit 0\n"),
        ("bin/compile", &format!("#!/bin/sh\necho 'compiled by {mark}'\n")),
        ("README.md", mark),
    ])
}

fn app() -> tempfile::TempDir {
    source(&[("Procfile", "web: true")])
}

#[track_caller]
fn compiled(called: Called, mark: &str) {
    let called = called.ok();
    assert!(called.said().iter().any(|line| *line == format!("compiled by {mark}")), "{}", called.err);
}

fn with(app: &Path, name: &str, buildpack: &str) -> Called {
    till(&[
        "build",
        app.to_str().unwrap(),
        "--base",
        bare(),
        "--name",
        name,
        "--buildpack",
        buildpack,
        "--afresh",
        "--json",
    ])
}

#[test]
fn a_repository_at_a_branch_tag_or_commit() {
    let (pack, app) = (buildpack("old"), app());
    let old = commit(pack.path());
    git(pack.path(), &["tag", "v1"]);
    write(pack.path(), &[("bin/compile", "#!/bin/sh\necho 'compiled by new'\n")]);
    commit(pack.path());
    let bare_repository = tempfile::tempdir().unwrap();
    let place = bare_repository.path().join("pack.git");
    git(pack.path(), &["clone", "--quiet", "--bare", ".", place.to_str().unwrap()]);
    let address = format!("file://{}", place.display());
    compiled(with(app.path(), "heroku-git", &address), "new");
    compiled(with(app.path(), "heroku-git", &format!("{address}#v1")), "old");
    compiled(with(app.path(), "heroku-git", &format!("{address}#{old}")), "old");
    compiled(with(app.path(), "heroku-git", pack.path().to_str().unwrap()), "new");
    with(app.path(), "heroku-git", &format!("{address}#nowhere")).failed(3, &["nowhere"]);
    // Named by the source itself.
    write(app.path(), &[("app.json", &format!("{{\"buildpacks\": [{{\"url\": \"{address}#v1\"}}]}}"))]);
    compiled(build(app.path(), "heroku-git"), "old");
}

/// Serves bytes at any path, to everybody who asks; answers with the address.
fn served(bytes: Vec<u8>) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len());
            let _ = stream.write_all(&bytes);
        }
    });
    format!("http://{address}")
}

#[test]
fn an_archive_of_the_web_with_its_digest() {
    let (pack, app) = (buildpack("archive"), app());
    let archive = |arguments: &[&str]| Command::new("tar").args(arguments).output().unwrap().stdout;
    let flat = archive(&["-czf", "-", "-C", pack.path().to_str().unwrap(), "."]);
    let path = pack.path().to_str().unwrap();
    let nested = archive(&[
        "-cf",
        "-",
        "-C",
        "/",
        path.trim_start_matches('/'),
        "--transform",
        &format!("s,^{},pack-1.0,", path.trim_start_matches('/')),
    ]);
    let digest = till_core::Digest::of(&flat);
    let url = served(flat);
    compiled(with(app.path(), "heroku-tar", &format!("{url}/pack.tgz")), "archive");
    compiled(with(app.path(), "heroku-tar", &format!("{url}/pack.tgz#{digest}")), "archive");
    let wrong = till_core::Digest::of(b"other");
    with(app.path(), "heroku-tar", &format!("{url}/pack.tgz#{wrong}"))
        .failed(3, &["has digest", wrong.hex(), "change the digest"]);
    compiled(with(app.path(), "heroku-tar", &format!("{}/archive/v1.tar", served(nested))), "archive");
    with(app.path(), "heroku-tar", &format!("{}/x.tgz", served(b"no archive".to_vec()))).failed(3, &["x.tgz"]);
}

#[test]
fn names_are_the_settings_and_then_the_bases() {
    bare();
    let (pack, app, data) = (buildpack("settings"), app(), tempfile::tempdir().unwrap());
    let layout = data.path().join("layout");
    till(&["base", "export", "heroku-bare", &format!("oci:{}:x", layout.display()), "--compression", "keep"]).ok();
    let contract = "[contract]\nkind = \"heroku\"\nuser = \"app\"\nbuildpacks = [\"other/one\", \"heroku/mine\"]\n\
                    [contract.names]\n\"till/any\" = \"/opt/packs/any\"\n";
    write(
        data.path(),
        &[
            ("contract.toml", contract),
            ("data/config.toml", &format!("[buildpacks]\n\"heroku/mine\" = \"{}\"\n", pack.path().display())),
        ],
    );
    let inner = data.path().join("data");
    let file = data.path().join("contract.toml");
    till_in(
        &inner,
        &[
            "base",
            "import",
            &format!("oci:{}:x", layout.display()),
            "--name",
            "imported",
            "--contract",
            file.to_str().unwrap(),
        ],
    )
    .ok();
    let build = |more: &[&str]| {
        let all = [&["build", app.path().to_str().unwrap(), "--base", "imported", "--name", "named", "--afresh"], more]
            .concat();
        till_in(&inner, &all)
    };
    compiled(build(&["--buildpack", "heroku/mine"]), "settings");
    // Those that the base tries are names, too; what nobody knows is passed over.
    compiled(build(&[]), "settings");
    build(&["--buildpack", "heroku/mime"])
        .failed(3, &["no buildpack is called `heroku/mime`", "did you mean `heroku/mine`?", "till/any"]);
}

#[test]
fn what_is_no_buildpack_is_refused_with_its_name() {
    let (other, app) = (source(&[("README.md", "x")]), app());
    with(app.path(), "heroku-none", other.path().to_str().unwrap())
        .failed(3, &["is not a buildpack: it has no `bin/detect`"]);
    with(app.path(), "heroku-none", "/nowhere/at/all").failed(3, &["/nowhere/at/all"]);
    with(app.path(), "heroku-none", "python").failed(3, &["no buildpack is called `python`", "known are: till/any"]);
}
