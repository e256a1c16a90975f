//! Gears that are started, told what to do, and stopped.

use super::*;

#[test]
fn cartridges_of_the_source_serve_and_stop_in_order() {
    base("gear");
    let folder = tempfile::tempdir().unwrap();
    let example = repository().join("examples/apps/gear-visits");
    let mut copy = std::process::Command::new("cp");
    assert!(copy.arg("-a").arg(format!("{}/.", example.display())).arg(folder.path()).status().unwrap().success());
    // No gear of an earlier run is like it, and no dependencies of one are taken.
    let story = format!("STORY={}", unique(7));
    let build_with = |more: &[&str]| {
        let all = ["build", folder.path().to_str().unwrap(), "--name", "gear-visits", "--env", &story];
        till(&[&all[..], more].concat()).ok().err
    };
    let build = || build_with(&[]);
    let first = build();
    assert!(first.contains("visits-web 0.2 is set up") && !first.contains("CLIENT_RESULT"), "{first}");
    assert!(first.contains("making the library") && !first.contains("password="), "{first}");
    // What is built upon the same cartridges finds what was kept, and no cartridge is set up again.
    write(folder.path(), &[("page.txt", "Another page, visit {count}, by {server}.\n")]);
    let second = build();
    assert!(!second.contains("making the library") && !second.contains("is set up"), "{second}");
    write(folder.path(), &[("page.txt", "Yet another page, visit {count}, by {server}.\n")]);
    let cleared = build_with(&["--clear-cache"]);
    assert!(cleared.contains("making the library") && !cleared.contains("is set up"), "{cleared}");
    write(folder.path(), &[("page.txt", "Another page, visit {count}, by {server}.\n")]);
    write(folder.path(), &[(".openshift/markers/force_clean_build", "")]);
    assert!(build().contains("making the library"));

    let served = Served::new(&["gear-visits"]);
    // The first visit was the house's own, which looked whether it answers.
    let page = served.get("/");
    assert!(page.contains("hello, hello from the library\nAnother page, visit 2, by the gear of"), "{page}");
    let env = served.get("/env");
    let head = "PATH=/var/lib/openshift/gear/visits-web/bin:";
    for part in ["KEY_VALUE_HOST=127.0.0.2\n", "OPENSHIFT_VISITS_ADMIN_PORT=8081\n", head, "VISITS_VERSION=0.2\n"] {
        assert!(env.contains(part), "no {part} in {env}");
    }
    let token = env.lines().find_map(|line| line.strip_prefix("OPENSHIFT_SECRET_TOKEN=")).unwrap();
    assert_eq!(token.len(), 128);
    until("it is started", || till(&["logs", served.id()]).out.contains("visits-web is started"));
    let log = ended_by(&served, Signal::TERM);
    let order = [
        "the store is started",
        "visits-web is started",
        "told to stop",
        "visits-web is stopped",
        "the gear has stopped",
    ];
    let places: Vec<_> =
        order.iter().map(|part| log.find(part).unwrap_or_else(|| panic!("no {part} in {log}"))).collect();
    assert!(places.is_sorted(), "{log}");
    assert!(log.contains("the store has stopped") && log.contains("GET /env"), "{log}");
}

#[test]
fn a_cartridge_of_the_base_starts_what_the_app_says() {
    base("gear");
    built(&repository().join("examples/apps/gear-diy"), &["--name", "gear-diy"]);
    // Whether a build before has left something or not, the same comes of the same.
    let example = repository().join("examples/apps/gear-diy");
    let artifact = || built(&example, &["--name", "gear-diy", "--afresh"])["artifact"].clone();
    assert_eq!(artifact(), artifact());
    let served = Served::new(&["gear-diy"]);
    let page = served.get("/");
    assert!(page.contains("Made by oneself") && page.contains("Built of source of"), "{page}");
    let report = till(&["run", "gear-diy", "--process", "report"]).ok();
    assert!(report.err.contains("lies in /var/lib/openshift/gear/app-root/runtime/repo/"), "{report:?}");
}

#[test]
fn an_app_without_source_is_the_template() {
    base("gear");
    let folder = source(&[("till.toml", "base = \"gear\"\n[cartridge]\ncartridges = [\"diy\"]\n")]);
    built(folder.path(), &["--name", "gear-template"]);
    assert!(Served::new(&["gear-template"]).get("/").contains("An app of its own making"));
}

/// Inside, each cartridge can be told by itself.
#[test]
fn verbs_are_for_the_cartridges_that_are_named() {
    let control = |name: &str| {
        let answers = "[ $1 != status ] || exit 0; echo \"$1-NAME\" >>/tmp/verbs";
        format!("#!/bin/bash\n{answers}\n{}", if name == "web" { CONTROL } else { "" }).replace("NAME", name)
    };
    let calls = "gear restart --cart side; gear stop --cart=side-1.0; gear start side; gear reload --cart web; gear tidy; \
                 gear stop --cart nobody; gear restart";
    let hook = format!("#!/bin/bash\n({calls}; mv /tmp/verbs /tmp/www/) >/tmp/www/said 2>&1 &\n");
    let app = app(
        HTTP,
        &[
            ("till.toml", "[cartridge]\ncartridges = [\"./web\", \"./side\"]\n"),
            (
                "side/metadata/manifest.yml",
                "Name: side\nCartridge-Short-Name: S\nVersion: '1.0'\nCategories: [plugin]\n",
            ),
            ("side/bin/control", &control("side")),
            ("web/bin/control", &control("web")),
            (".openshift/action_hooks/post_deploy", &hook),
            (".openshift/action_hooks/pre_tidy", "#!/bin/bash\necho before-tidy >>/tmp/verbs\n"),
            (".openshift/action_hooks/post_reload", "#!/bin/bash\necho after-reload >>/tmp/verbs\n"),
        ],
    );
    for hook in ["post_deploy", "pre_tidy", "post_reload"] {
        executable(&app.path().join(".openshift/action_hooks").join(hook));
    }
    said(&app, "gear-verbs");
    let served = Served::new(&["gear-verbs"]);
    until("all is done", || served.get("/").contains("verbs"));
    let said = served.get("/said");
    assert!(said.contains("there is no cartridge `nobody`; there are: web side"), "{said}");
    let verbs = served.get("/verbs");
    let verbs: Vec<_> = verbs.lines().skip_while(|line| *line != "post-deploy-web").skip(1).collect();
    let of_side = ["restart-side", "stop-side", "start-side"];
    let others = ["reload-web", "after-reload", "tidy-side", "before-tidy", "tidy-web", "restart-side", "restart-web"];
    assert_eq!(verbs, [&of_side[..], &others[..]].concat());
}

#[test]
fn a_web_framework_that_ends_ends_the_instance() {
    let app = app(HTTP, &[]);
    said(&app, "gear-dies");
    let served = Served::new(&["gear-dies", "--env", "DIES=3", "--env", "OPENSHIFT_SECRET_TOKEN=mine"]);
    let env = served.get("/env.txt");
    assert!(env.contains("\nOPENSHIFT_SECRET_TOKEN=mine\n"), "{env}");
    until("it has ended", || !is_running(served.id()));
    // The second is said when its cartridge has not been asked three times since.
    let said = ["the web framework has stopped", "nothing runs any more"];
    let log = till(&["logs", served.id()]).ok().out;
    assert!(said.iter().any(|part| log.contains(part)), "{log}");
}

#[test]
fn who_waits_for_long_is_told_for_what() {
    let app = app(HTTP, &[]);
    said(&app, "gear-slow");
    let called = till(&["run", "--detach", "--json", "gear-slow", "--env", "SLOW=4"]).ok();
    let id = called.json()["instance"].as_str().unwrap().to_owned();
    till(&["stop", &id]).ok();
    assert!(called.err.contains(&format!("waiting for its first answer; `till logs {id}` shows")), "{}", called.err);
}

#[test]
fn a_gear_whose_cartridge_does_not_start_does_not_run() {
    let app = app(HTTP, &[("web/bin/control", "#!/bin/bash\n[ \"$1\" != start ] || { echo no luck; exit 9; }\n")]);
    said(&app, "gear-unlucky");
    let parts = ["no luck", "Failed to execute: 'control start'", "(exit code 9)", "the web framework did not start"];
    till(&["run", "gear-unlucky"]).failed(3, &parts);
}

#[test]
fn the_first_start_comes_before_post_install() {
    let install = "#!/bin/bash\npgrep -f http.server >/dev/null && echo \"$1 $2 after the start\"\ntouch \"$OPENSHIFT_DATA_DIR/made\"\n";
    let app = app(HTTP, &[("web/bin/post_install", install)]);
    let said = said(&app, "gear-post-install");
    assert!(said.contains("--version 1.0 after the start") && said.contains("web is stopped"), "{said}");
}
