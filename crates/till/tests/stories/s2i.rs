//! Source-to-Image: builder images of others, imported as they are, and what becomes of source with them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Once;

use serde_json::{Value, json};

use crate::support::*;

/// The example's builder, made here, written as a layout, and imported from there: nobody says a contract.
fn builder() -> &'static str {
    static MADE: Once = Once::new();
    MADE.call_once(|| {
        base("debian");
        let folder = repository().join("examples/builders/s2i-perl");
        let lock = lock_of("s2i-perl");
        till(&["base", "build", folder.to_str().unwrap(), "--lock", lock.to_str().unwrap()]).ok();
        let layouts = tempfile::tempdir().unwrap();
        let layout = format!("oci:{}:v1", layouts.path().join("builder").display());
        till(&["base", "export", "s2i-perl", &layout]).ok();
        let imported = till(&["base", "import", &layout, "--name", "s2i-imported", "--json"]).ok().json();
        assert_eq!(imported["external"], true);
        let shown = till(&["base", "show", "s2i-imported", "--json"]).ok().json();
        assert_eq!(shown["spec"]["contract"]["kind"], "s2i", "{shown}");
    });
    "s2i-imported"
}

/// A builder image by a Dockerfile upon `debian`, with a contract; its name.
fn image(name: &str, dockerfile: &str) -> String {
    base("debian");
    let head = format!("name = \"{name}\"\ndescription = \"Of a story\"\nowner = \"stories\"\n");
    let toml = format!("{head}[recipe]\nkind = \"dockerfile\"\n[contract]\nkind = \"s2i\"\n");
    let folder = source(&[("base.toml", &toml), ("Dockerfile", &format!("FROM debian\nUSER root\n{dockerfile}"))]);
    let lock = folder.path().join("base.lock");
    till(&["base", "build", folder.path().to_str().unwrap(), "--lock", lock.to_str().unwrap()]).ok();
    name.to_owned()
}

/// The same with these scripts in it.
fn image_with(name: &str, scripts: &[(&str, &str)], rest: &str) -> String {
    let script = |(name, text): &(&str, &str)| format!("COPY --chmod=755 <<'EOF' /s2i/{name}\n{text}\nEOF\n");
    let scripts: String = scripts.iter().map(script).collect();
    image(name, &format!("LABEL io.openshift.s2i.scripts-url=image:///s2i\n{scripts}{rest}"))
}

const RUN: (&str, &str) = ("run", "#!/bin/sh\nexec sleep infinity");

/// A copy of an example that may be changed.
fn example(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = repository().join("examples/apps").join(name).join(".");
    let copied = std::process::Command::new("cp").arg("-R").arg(from).arg(folder.path()).status().unwrap();
    assert!(copied.success());
    folder
}

/// The config of the newest artifact of an app, as any other tool reads it.
fn config(app: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    till(&["artifact", "export", app, &format!("oci:{}:x", layout.display())]).ok();
    let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let blob = |digest: &Value| layout.join("blobs").join(digest.as_str().unwrap().replace(':', "/"));
    let index = read(&layout.join("index.json"));
    let manifest = read(&blob(&index["manifests"][0]["digest"]));
    read(&blob(&manifest["config"]["digest"]))["config"].clone()
}

#[test]
fn an_imported_builder_builds_and_what_it_saved_comes_back() {
    let (app, name) = (example("s2i-pages"), "s2i-pages");
    // Pages that no earlier run of this story has saved.
    let (welcome, about) = (format!("Welcome.\n{}\n", unique(1)), unique(2));
    write(app.path(), &[("pages/index.txt", &welcome), ("pages/about.txt", &about)]);
    let commit = commit(app.path());
    let build = |more: &[&str]| {
        let all = ["build", app.path().to_str().unwrap(), "--base", builder(), "--name", name, "--env", "SAID=1"];
        till(&[&all[..], more].concat()).ok()
    };
    let said = build(&["--afresh"]).err;
    assert!(said.contains("2 rendered, 0 kept"), "{said}");
    let served = Served::new(&[name]);
    let answer = served.get("/");
    assert!(answer.contains("<title>Hello from S2I</title>") && answer.contains("<p>Welcome.</p>"), "{answer}");
    drop(served);
    let config = config(name);
    let labels = &config["Labels"];
    assert_eq!(labels["org.example.pages"], "2");
    assert_eq!(labels["io.openshift.s2i.build.commit.id"], commit);
    assert_eq!(labels["io.openshift.s2i.build.commit.author"], "T <t@example.org>");
    assert_eq!(labels["io.openshift.s2i.build.commit.message"], "x");
    assert_eq!(labels["io.openshift.s2i.build.image"], builder());
    assert_eq!((&labels["io.k8s.display-name"], &labels["io.openshift.tags"]), (&json!(name), &json!("builder,perl")));
    assert_eq!((&config["Cmd"], &config["Entrypoint"]), (&json!(["/usr/libexec/s2i/run"]), &json!(["entrypoint"])));
    assert_eq!((&config["User"], &config["WorkingDir"]), (&json!("1001"), &json!("/opt/app-root")));
    let env = config["Env"].as_array().unwrap();
    assert!(env.contains(&json!("PAGES_TITLE=Hello from S2I")) && env.contains(&json!("SAID=1")), "{env:?}");
    // Who builds is not who runs; what .s2iignore names is not there; what is in /tmp stays.
    let listing = listing(name);
    assert!(listing.iter().any(|line| line.contains("2000/0") && line.ends_with("html/index.html")), "{listing:#?}");
    assert!(!listing.iter().any(|line| line.contains("plans.txt") || line.contains("README.md")), "{listing:#?}");
    assert!(listing.iter().any(|line| line.ends_with("tmp/.s2i/image_metadata.json")), "{listing:#?}");
    // The pages that have not changed are not rendered again.
    let more = unique(3);
    write(app.path(), &[("pages/more.txt", &more)]);
    let said = build(&[]).err;
    assert!(said.contains("1 rendered, 2 kept") && said.contains("save-artifacts"), "{said}");
    assert!(Served::new(&[name]).get("/more").contains(&format!("<p>{more}</p>")));
    assert!(build(&[]).out.contains("already prepared"));
    let said = build(&["--afresh"]).err;
    assert!(said.contains("3 rendered, 0 kept"), "{said}");
    let usage = till(&["base", "usage", builder()]).ok().out;
    assert!(usage.starts_with("This is an S2I builder image"), "{usage}");
    till(&["base", "usage", "debian"]).failed(6, &["says nothing itself", "till base show debian"]);
}

#[test]
fn a_runtime_image_gets_what_was_made_and_nothing_else() {
    let app = example("s2i-runtime");
    let name = "s2i-runtime";
    built(app.path(), &["--base", builder(), "--name", name, "--afresh"]);
    // Nothing says where it listens: the runtime image knows no port.
    let config = config(name);
    assert_eq!((&config["Cmd"], &config["Labels"]["org.example.pages"]), (&json!(["/scripts/run"]), &Value::Null));
    let files = listing(name);
    let find = |end: &str| files.iter().find(|line| line.ends_with(end)).unwrap_or_else(|| panic!("{end}: {files:#?}"));
    assert!(find(" site/html/index.html").starts_with("-rw-r--r--"));
    assert!(find(" scripts/run").starts_with("-rwxr-xr-x"));
    assert!(!files.iter().any(|line| line.contains("pages/") || line.contains("libexec")), "{files:#?}");
    let folder = tempfile::tempdir().unwrap();
    let page = tar(&last_layer(name, folder.path()), &["-xO", "site/html/index.html"]);
    assert!(page.contains("an assemble of its own") && page.contains("runtime image by 0"), "{page}");
    // What is not there cannot be copied.
    write(app.path(), &[("till.toml", "[s2i]\nruntime_image = \"debian\"\nruntime_artifacts = [\"/nowhere\"]\n")]);
    prepare(app.path(), builder(), name).failed(3, &["/nowhere"]);
}

/// What a failing build says, and whose doing it is.
#[track_caller]
fn refused(base: &str, files: &[(&str, &str)], code: i32, said: &[&str]) {
    let app = source(&[&[("app.txt", "x")], files].concat());
    prepare(app.path(), base, &format!("{base}-refused")).failed(code, said);
}

#[test]
fn what_is_wrong_with_a_builder_is_said() {
    let nothing = image("s2i-no-scripts", "");
    refused(&nothing, &[], 3, &["no script `assemble`", "scripts-url", ".s2i/bin/assemble"]);
    let gone = image("s2i-gone", "LABEL io.openshift.s2i.scripts-url=image:///s2i\n");
    refused(&gone, &[], 4, &["step `assemble` cannot be started", "`/s2i/assemble`: it is not there"]);
    let mode =
        image_with("s2i-mode", &[("assemble", "#!/bin/sh\ntrue"), RUN], "RUN chmod 644 /s2i/assemble\nUSER 1001\n");
    refused(&mode, &[], 4, &["user `1001` may not execute it", "0644", "chmod 755"]);
    let windows =
        image_with("s2i-crlf", &[("assemble", "x"), RUN], "RUN printf '#!/bin/sh\\r\\ntrue\\r\\n' > /s2i/assemble\n");
    refused(&windows, &[], 4, &["carriage return", "Windows"]);
    let python = image_with("s2i-python", &[("assemble", "#!/usr/bin/env python9\n"), RUN], "");
    refused(&python, &[], 4, &["its interpreter `python9` is not in the image"]);
    let run = image_with("s2i-run-mode", &[("assemble", "#!/bin/sh\ntrue"), RUN], "RUN chmod 644 /s2i/run\n");
    refused(&run, &[], 4, &["the artifact cannot be started: `/s2i/run`"]);
    let file = image("s2i-file", "LABEL io.openshift.s2i.scripts-url=file:///etc\n");
    refused(&file, &[], 4, &["no say in directories of this machine"]);
    let destination = image_with("s2i-dotdot", &[RUN], "LABEL io.openshift.s2i.destination=../x\n");
    refused(&destination, &[], 4, &["`../x` is not an absolute path"]);
}

#[test]
fn what_is_wrong_with_a_source_is_said() {
    let base = image_with("s2i-plain", &[("assemble", "#!/bin/sh\ncat /tmp/src/app.txt"), RUN], "USER 1001\n");
    let base = base.as_str();
    let assemble = |text: &'static str| [(".s2i/bin/assemble", text)];
    refused(base, &assemble("#!/bin/sh\r\ntrue\r\n"), 3, &["/tmp/scripts/assemble", "carriage return"]);
    refused(base, &assemble("#!/opt/none\n"), 3, &["its interpreter `/opt/none` is not in the image"]);
    refused(
        base,
        &assemble("#!/bin/sh\necho it is broken\nexit 9\n"),
        3,
        &["step `assemble` failed", "9", "it is broken"],
    );
    // What empties the destination takes the scripts along that came with the source.
    let emptied = [(".s2i/bin/assemble", "#!/bin/sh\nrm -rf /tmp/*\n"), (".s2i/bin/run", "#!/bin/sh\ntrue\n")];
    refused(base, &emptied, 4, &["the artifact cannot be started: `/tmp/scripts/run`: it is not there"]);
    let metadata = "#!/bin/sh\nmkdir /tmp/.s2i\necho '{\"labels\": 7}' > /tmp/.s2i/image_metadata.json\n";
    refused(base, &assemble(metadata), 3, &["image_metadata.json", "expected {\"labels\""]);
    refused(base, &[("till.toml", "[s2i]\ncontext_dir = \"../x\"\n")], 3, &["context_dir", "leads out"]);
    refused(base, &[("till.toml", "[s2i]\nruntime_image = \"debian\"\n")], 3, &["no runtime artifacts to copy"]);
    refused(base, &[("till.toml", "[s2i]\nincremental = 1\n")], 3, &["till.toml", "incremental"]);
    refused(base, &[(".s2iignore", "[\n")], 3, &[".s2iignore"]);
    let empty = tempfile::tempdir().unwrap();
    prepare(empty.path(), base, "s2i-empty").failed(3, &["the source is empty"]);
}

#[test]
fn what_upstream_takes_is_taken() {
    // Without `#!`, without an `env`, without a `tar`, without a user of that number: its group is root's.
    let assemble = "id -u; id -g; pwd; ls /tmp/src; touch /work/made; rm -rf /tmp/src";
    let rest = "RUN mkdir /work && chgrp 0 /work && chmod 775 /work && rm /usr/bin/env /bin/tar\n\
        ENTRYPOINT [\"/bin/sh\", \"-c\", \"exec \\\"$0\\\"\"]\nWORKDIR /work\nUSER 4321\n";
    let odd = image_with("s2i-odd", &[("assemble", assemble), ("run", "echo started by $(id -u)")], rest);
    let app = source(&[("app.txt", "x"), ("link", "y")]);
    std::os::unix::fs::symlink("/etc/hostname", app.path().join("out")).unwrap();
    let called = prepare(app.path(), &odd, "s2i-odd").ok();
    assert_eq!(called.said(), ["4321", "0", "/work", "app.txt", "link", "out"]);
    let said = till(&["run", "s2i-odd"]).ok().err;
    assert!(said.contains("started by 4321"), "{said}");
    // Who assembles is root, who runs is not; what it wrote is what the app gets, and the entrypoint had no say.
    let scripts = [("assemble", "#!/bin/sh\nid -u > /tmp/src/who"), ("run", "#!/bin/sh\ncat /tmp/src/who; id -u")];
    let rest = "LABEL io.openshift.s2i.assemble-user=root\nENTRYPOINT [\"/bin/false\"]\nUSER 1001\n";
    let root = image_with("s2i-root", &scripts, rest);
    prepare(app.path(), &root, "s2i-root").ok();
    assert_eq!(config("s2i-root")["Entrypoint"], json!(["/bin/false"]));
    let listing = listing("s2i-root");
    assert!(listing.iter().any(|line| line.contains("0/0") && line.ends_with("tmp/src/who")), "{listing:#?}");
}

#[test]
fn a_builder_with_onbuild_instructions_does_what_they_say() {
    let name =
        image("s2i-onbuild", "WORKDIR /srv\nONBUILD COPY . /srv/\nONBUILD RUN echo triggered > made\nEXPOSE 8080\n");
    let app = server("cat made assembled; echo $SAID");
    let run = "#!/bin/sh\nexec perl /srv/server.pl\n";
    let files = [
        (".s2i/bin/run", run),
        (".s2i/bin/assemble", "echo assembled > assembled\n"),
        (".s2i/environment", "SAID=the environment \"$X\"\n"),
    ];
    write(app.path(), &files);
    prepare(app.path(), &name, "s2i-onbuild").ok();
    let answer = Served::new(&["s2i-onbuild"]).get("/");
    assert!(answer.ends_with("triggered\nassembled\nthe environment \"$X\"\n"), "{answer}");
    assert_eq!(config("s2i-onbuild")["Entrypoint"], json!(["./run"]));
    refused(&name, &[], 3, &["nothing says how to start the app", "run.sh"]);
}

#[test]
fn what_a_builder_saves_is_no_reason_to_fail() {
    let assemble = "#!/bin/sh\nls /tmp/artifacts 2>/dev/null || echo clean; echo $KEEP > /tmp/kept";
    let build = |base: &str, files: &[(&str, &str)]| {
        // Not of an earlier run of this story.
        let story = unique(0);
        let all = [&[("till.toml", "[s2i]\nincremental = true\n"), ("story.txt", &story)], files].concat();
        till(&["build", source(&all).path().to_str().unwrap(), "--base", base, "--name", base]).ok()
    };
    for (name, save, warned) in [
        ("s2i-save-text", "#!/bin/sh\necho saving now\ncd /tmp && tar -cf - kept", Some("is not a tar archive")),
        ("s2i-save-fails", "#!/bin/sh\ncd /tmp && tar -cf - kept\nexit 4", Some("failed (exit code 4)")),
        ("s2i-save-crlf", "#!/bin/sh\r\ntrue\r", Some("failed (exit code")),
        ("s2i-save-nothing", "#!/bin/sh\ntrue", None),
    ] {
        let base = image_with(name, &[("assemble", assemble), RUN, ("save-artifacts", save)], "USER 1001\n");
        build(&base, &[("app.txt", name)]);
        let second = build(&base, &[("app.txt", "second")]);
        assert!(second.said().contains(&"clean"), "{}", second.err);
        assert_eq!(second.err.contains("the build starts clean"), warned.is_some(), "{}", second.err);
        assert!(warned.is_none_or(|warned| second.err.contains(warned)), "{}", second.err);
    }
    // One that came with the source wins, and is asked where it was put.
    let base =
        image_with("s2i-save", &[("assemble", assemble), RUN, ("save-artifacts", "#!/bin/sh\nexit 1")], "USER 1001\n");
    let script = [(".s2i/bin/save-artifacts", "#!/bin/sh\ncd /tmp && tar -cf - kept")];
    build(&base, &[&[("app.txt", "first")], &script[..]].concat());
    let second = build(&base, &[&[("app.txt", "second")], &script[..]].concat());
    assert!(second.said().contains(&"kept") && !second.err.contains("clean"), "{}", second.err);
}

/// A server on the loopback that knows these files, as long as the program lives; its address.
fn web(files: &'static [(&'static str, &'static str)]) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default();
            let found = files.iter().find(|(name, _)| path == *name);
            let (status, body) = found.map_or((404, ""), |(_, text)| (200, *text));
            let length = body.len();
            let _ =
                write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        }
    });
    format!("http://{address}")
}

#[test]
fn scripts_come_from_an_address_or_a_directory_of_who_builds() {
    let files = &[("/s2i/assemble", "#!/bin/sh\necho fetched\n"), ("/s2i/run", "#!/bin/sh\necho fetched run\n")];
    let address = web(files);
    let base = image("s2i-web", &format!("LABEL io.openshift.s2i.scripts-url={address}/s2i\nUSER 1001\n"));
    let app = source(&[("app.txt", "x")]);
    let called = prepare(app.path(), &base, "s2i-web").ok();
    assert_eq!(called.said(), ["fetched"]);
    assert!(till(&["run", "s2i-web"]).ok().err.contains("fetched run"));
    // The source's own wins over the image's; what the app names over both.
    write(app.path(), &[(".s2i/bin/assemble", "#!/bin/sh\necho own\n")]);
    assert_eq!(prepare(app.path(), &base, "s2i-web").ok().said(), ["own"]);
    let scripts = source(&[("assemble", "#!/bin/sh\necho of the directory\n"), ("README", "x")]);
    let toml = format!("[s2i]\nscripts_url = \"file://{}\"\n", scripts.path().display());
    write(app.path(), &[("till.toml", &toml)]);
    assert_eq!(prepare(app.path(), &base, "s2i-web").ok().said(), ["of the directory"]);
    write(app.path(), &[("till.toml", &format!("[s2i]\nscripts_url = \"{address}/nothing\"\n"))]);
    prepare(app.path(), &base, "s2i-web").failed(3, &["none of the scripts", "/nothing"]);
}
