//! What a buildpack or a source does wrong.

use super::*;

/// A script of a buildpack, what is in it, and what is said of that.
const WRONG: &[(&str, &str, &[&str])] = &[
    (
        "detect",
        "#!/bin/sh\necho no; echo 'why not' >&2; exit 5",
        &["the buildpack pack does not match this source (its bin/detect ended with exit code 5)", "no / why not"],
    ),
    (
        "compile",
        "#!/bin/sh\necho words; exit 7",
        &[
            "step `compile pack` failed (exit code 7)",
            "words",
            "Push rejected, failed to compile Mine app",
            "bin/compile of the buildpack pack ended with exit code 7",
        ],
    ),
    (
        "release",
        "#!/bin/sh\nexit 9",
        &["step `release` failed (exit code 9)", "bin/release of the buildpack pack ended with exit code 9"],
    ),
    (
        "release",
        "#!/bin/sh\necho Everything is done!",
        &["what `bin/release` of the buildpack says is not the YAML", "default_process_types"],
    ),
    ("release", "#!/bin/sh\nprintf -- '---\\nx: [\\n'", &["what `bin/release` of the buildpack says is not the YAML"]),
    (
        "compile",
        "#!/bin/bash\r\necho x\r\n",
        &["bin/compile of the buildpack pack has the line ends of Windows (CR LF)"],
    ),
    (
        "detect",
        "#!/usr/bin/env bash\r\necho x\r\n",
        &["bin/detect of the buildpack pack has the line ends of Windows (CR LF)"],
    ),
    (
        "compile",
        "#!/opt/no/ruby\n",
        &["bin/compile of the buildpack pack wants the interpreter /opt/no/ruby, which this base does not have"],
    ),
    ("compile", "#!/usr/bin/env no-such-program\n", &["no-such-program", "exit code 127"]),
    ("compile", "#!/bin/sh\necho x > /usr/lib/x", &["cannot create /usr/lib/x: Permission denied"]),
    ("compile", "#!/bin/sh\necho 'web: a\n\nb c' > $1/Procfile", &["Procfile:3: `b c` is no `name: command`"]),
    ("compile", "#!/bin/sh\nrm $1/Procfile", &["nothing says how to start the app"]),
];

#[test]
fn what_a_script_does_wrong_is_said_by_its_name() {
    for (script, text, said) in WRONG {
        let app = pack("#!/bin/sh\n");
        write(app.path(), &[(&format!("pack/bin/{script}"), text)]);
        build(app.path(), "heroku-wrong").failed(3, said);
    }
}

#[test]
fn what_a_source_says_wrong_is_found_before_anything_is_done() {
    for (file, text, said) in [
        (
            "Procfile",
            "web: x\n<<<<<<< HEAD\n",
            &["Procfile:2: `<<<<<<< HEAD` is left of a merge", "a line is `name: command`"][..],
        ),
        ("app.json", "{\"env\": }", &["cannot read `app.json` of the source", "line 1"]),
        (".slugignore", "a[", &["cannot read `.slugignore` of the source", "`a[`"]),
        (".buildpacks", "./nothing", &["`nothing` is not a buildpack"]),
        ("till.toml", "[heroku]\nbuildpack = \"x\"\n", &["did you mean `buildpacks`"]),
    ] {
        let app = pack("#!/bin/sh\n");
        write(app.path(), &[(file, text)]);
        let called = build(app.path(), "heroku-said").failed(3, said);
        assert_eq!(called.said(), [] as [&str; 0]);
    }
}

#[test]
fn a_script_need_not_be_executable_nor_say_its_interpreter() {
    let app = pack("echo \"plain $#\"\necho any > \"$1/any.txt\"\n");
    let called = build(app.path(), "heroku-plain").ok();
    assert!(called.said().contains(&"plain 3"), "{}", called.err);
}

#[test]
fn processes_that_are_left_end_with_the_step() {
    let seconds = unique(77);
    let app = pack(&format!("#!/bin/bash\nsleep {seconds} &\n(setsid sleep {seconds} &)\necho started\n"));
    let called = build(app.path(), "heroku-left").ok();
    let said = called.said().join("\n");
    assert!(
        said.contains("the buildpack pack left processes running (") && said.contains("; they are ended"),
        "{said}"
    );
    assert!(!runs(&format!("sleep {seconds}")));
}

#[test]
fn contradictions_are_told_and_till_toml_wins() {
    let app = pack("#!/bin/sh\n");
    write(
        app.path(),
        &[
            ("till.toml", "[processes]\nweb = \"echo of till.toml\"\n"),
            ("app.json", "{\"buildpacks\": [\"./pack\", \"./other\"]}"),
        ],
    );
    write(
        app.path(),
        &[(".buildpacks", "./none"), ("other/bin/detect", "#!/bin/sh\n"), ("other/bin/compile", "#!/bin/sh\n")],
    );
    let notices = build(app.path(), "heroku-contrary").ok().json()["notices"].to_string();
    assert!(notices.contains("`web` is in till.toml and in the Procfile; what till.toml says is taken"), "{notices}");
    assert!(
        notices.contains("the buildpacks of app.json are taken; what .buildpacks says of them is not"),
        "{notices}"
    );
    assert!(output("heroku-contrary", "web").1.contains("of till.toml\n"));
    let shown = till(&["artifact", "show", "heroku-contrary", "--json"]).ok().json();
    assert!(shown["launch"]["processes"]["web"]["argv"].to_string().contains("of till.toml"), "{shown}");
}

#[test]
fn what_asks_for_more_than_there_is_gets_told() {
    let app = pack("#!/bin/sh\n");
    write(
        app.path(),
        &[
            ("pack/bin/release", "#!/bin/sh\nprintf -- '---\\naddons:\\n  - heroku-postgresql\\n'\n"),
            ("pack/bin/report", "#!/bin/sh\necho 'version: 1'; exit 3\n"),
            ("app.json", "{\"env\": {\"TOKEN\": {\"required\": true}}, \"stack\": \"heroku-18\"}"),
        ],
    );
    let called = build(app.path(), "heroku-more").ok();
    let said = called.said().join("\n");
    assert!(said.contains("asks for add-ons") && said.contains("version: 1"), "{said}");
    let notices = called.json()["notices"].to_string();
    assert!(notices.contains("`TOKEN` has no value (required)") && notices.contains("`heroku-18`"), "{notices}");
}
