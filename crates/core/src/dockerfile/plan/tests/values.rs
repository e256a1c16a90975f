//! ARG, ENV, and what an image says of itself.

use super::*;
use crate::plan::Config;

/// What stands before the first FROM, what stands after it, what is given, what `$v` is then.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

#[test]
fn variables_are_what_the_lines_before_say() {
    let table: [Row; 19] = [
        ("ARG v=1", "", &[], ""),
        ("ARG v=1", "ARG v", &[], "1"),
        ("ARG v=1", "ARG v=2", &[], "2"),
        ("ARG v=1", "ARG v", &[("v", "3")], "3"),
        ("ARG v=1", "", &[("v", "3")], ""),
        ("", "ARG v=2", &[("v", "3")], "3"),
        ("", "ARG v=2\nARG v", &[], "2"),
        ("", "ARG v", &[], ""),
        ("", "ARG v=1\nENV v=2", &[], "2"),
        ("", "ENV v=2\nARG v=1", &[("v", "3")], "2"),
        ("", "ARG a=x\nARG v=${a}y", &[], "xy"),
        ("", "ARG a=x v=${a}y", &[("a", "z")], "zy"),
        ("", "ENV abc=hello\nENV abc=bye v=$abc", &[], "hello"),
        ("", "ENV abc=hello\nENV abc=bye v=$abc\nENV v=$abc", &[], "bye"),
        ("", "ENV v='$a'", &[], "$a"),
        ("", "ENV v=\\$a", &[], "$a"),
        ("", "ARG TARGETARCH\nENV v=$TARGETARCH", &[], "amd64"),
        ("", "ENV v=$TARGETARCH", &[], ""),
        ("", "ARG TARGETPLATFORM\nENV v=$TARGETPLATFORM", &[], "linux/amd64"),
    ];
    for (global, lines, args, value) in table {
        let text = format!("{global}\nFROM base\n{lines}\nLABEL v=\"$v\"\n");
        let case = args.iter().fold(case(&text), |case, (name, value)| case.arg(name, value));
        assert_eq!(case.config().labels["v"], value, "{text}");
    }
}

#[test]
fn stages_inherit_arguments_and_steps_have_them() {
    let step = case("FROM base AS a\nARG v=1\nENV e=2\nFROM a\nRUN x\n").step();
    assert_eq!((step.env["v"].as_str(), step.env["e"].as_str()), ("1", "2"));
    let case = |text: &str| case(text).arg("v", "3").arg("http_proxy", "p");
    let step = case("FROM base\nENV v=2\nARG v=1\nRUN x\n").step();
    assert_eq!((step.env["v"].as_str(), step.env["http_proxy"].as_str()), ("2", "p"));
    assert!(!case("FROM base\nRUN x\nARG v\n").step().env.contains_key("v"));
    // They are not in the image.
    let draft = case("FROM base\nARG v\nRUN x\n").draft();
    assert_eq!(draft.image.config.env.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["PATH"]);
}

#[test]
fn what_is_probably_not_meant_is_said() {
    let warnings = case("FROM base\nENV a=$nothing\n").arg("b", "c").draft().warnings;
    let said = ["line 2: the variable `nothing` is not set", "the build argument `b` is not declared by any ARG"];
    assert_eq!(warnings, said);
    assert_eq!(case("FROM base\nARG a=${b:?is needed}\n").error().split(": ").next(), Some("line 2"));
}

#[test]
fn commands_are_inherited_unless_the_entrypoint_changes() {
    let base = Config { entrypoint: strings(&["e"]), cmd: strings(&["c"]), ..Config::default() };
    let sh = |text: &str| strings(&["/bin/sh", "-c", text]);
    let table = [
        ("", strings(&["e"]), strings(&["c"])),
        ("ENTRYPOINT [\"x\"]", strings(&["x"]), Vec::new()),
        ("CMD [\"y\"]\nENTRYPOINT [\"x\"]", strings(&["x"]), strings(&["y"])),
        ("ENTRYPOINT [\"x\"]\nCMD y $z", strings(&["x"]), sh("y $z")),
        ("CMD []", strings(&["e"]), Vec::new()),
        ("ENTRYPOINT []", Vec::new(), Vec::new()),
        ("ENTRYPOINT x", sh("x"), Vec::new()),
        ("SHELL [\"bash\", \"-ec\"]\nCMD y", strings(&["e"]), strings(&["bash", "-ec", "y"])),
    ];
    for (text, entrypoint, cmd) in table {
        let config = case(&format!("FROM base\n{text}\n")).image("base", base.clone()).config();
        assert_eq!((config.entrypoint, config.cmd), (entrypoint, cmd), "{text}");
    }
    // CMD of another stage is an inherited one.
    let config = case("FROM base AS a\nCMD y\nFROM a\nENTRYPOINT x\n").config();
    assert!(config.cmd.is_empty());
}

#[test]
fn the_shell_runs_lines_and_scripts_name_their_own() {
    let argv = |text: &str| case(&format!("FROM base\nSHELL [\"bash\", \"-c\"]\n{text}\n")).step().argv;
    assert_eq!(argv("RUN a $b \\\n  c"), ["bash", "-c", "a $b   c"]);
    assert_eq!(argv("RUN [\"a\", \"$b\"]"), ["a", "$b"]);
    assert_eq!(argv("RUN <<E\na\nb\nE"), ["bash", "-c", "a\nb\n"]);
    assert_eq!(argv("RUN cat <<E\na\nE"), ["bash", "-c", "cat <<E\na\nE"]);
    let step = case("FROM base\nRUN <<E\n#!/usr/bin/perl\nprint 1\nE\n").step();
    assert_eq!(step.argv, [step.mounts[0].path.clone()]);
    assert_eq!(step.mounts[0].what, Mounted::Script("#!/usr/bin/perl\nprint 1\n".to_owned()));
}

#[test]
fn an_image_says_all_that_is_written() {
    let text = "FROM base\nUSER ${u:-app}:grp\nEXPOSE 80 53/UDP 8000-8001/tcp ${p:-9}\nVOLUME /a [\"/b\"]\nVOLUME [\"/c d\"]\n\
                LABEL a=\"b c\" d=e\nSTOPSIGNAL quit\nHEALTHCHECK --interval=1m --retries=2 CMD curl $x\nMAINTAINER me\n";
    let config = case(text).config();
    assert_eq!(config.user, "app:grp");
    let all = |set: &std::collections::BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
    assert_eq!(all(&config.ports), ["53/udp", "80/tcp", "8000/tcp", "8001/tcp", "9/tcp"]);
    assert!(config.volumes.contains("/a") && config.volumes.contains("/c d"));
    assert_eq!(config.labels, [("a", "b c"), ("d", "e")].map(|(a, b)| (a.to_owned(), b.to_owned())).into());
    assert_eq!((config.stop_signal.as_deref(), config.author.as_deref()), (Some("SIGQUIT"), Some("me")));
    let check = config.healthcheck.unwrap();
    assert_eq!(check.test, ["CMD-SHELL", "curl $x"]);
    assert_eq!((check.interval, check.retries, check.timeout), (Some(60_000_000_000), Some(2), None));
    assert_eq!(case("FROM base\nEXPOSE $p\nUSER a\n").arg("p", "x").config().ports.len(), 0);
    assert_eq!(case("FROM base\nARG p=x\nEXPOSE $p\n").error().split(": ").next(), Some("line 3"));
}

#[test]
fn a_platform_that_is_not_this_one_is_refused() {
    for fine in ["linux/amd64", "$BUILDPLATFORM", "${TARGETPLATFORM}", "linux/amd64/v2"] {
        case(&format!("FROM --platform={fine} base\n")).draft();
    }
    let error = case("FROM --platform=linux/arm64 base\n").error();
    assert!(error.starts_with("line 1: FROM --platform=linux/arm64: this machine builds for linux/amd64"), "{error}");
}

#[test]
fn the_entrypoint_and_the_command_are_started_and_listen_where_is_said() {
    let config = case("FROM base\nEXPOSE 9/sctp 53/udp 8081 8080\nENTRYPOINT [\"a\"]\nCMD [\"b\"]\nENV x=1\n").config();
    let launch = launch(&config, &BTreeMap::new(), &BTreeMap::from([("x".to_owned(), "2".to_owned())]));
    let web = &launch.processes[&crate::model::launch::web()];
    assert_eq!(web[0].argv, ["a", "b"]);
    assert_eq!(launch.ports.iter().map(|port| port.number).collect::<Vec<_>>(), [8080, 8081, 53]);
    assert_eq!(launch.health.unwrap().port, "tcp-8080");
    assert_eq!((launch.user.as_str(), launch.dir.as_str(), launch.env["x"].as_str()), ("root", "/", "2"));
}
