//! OpenShift v2 cartridges: gears made, pushed to, started and stopped; what is wrong with cartridges that only shows when they
//! are used.

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

/// Says what it finds, and leaves what a setup may.
const SETUP: &str = r#"#!/bin/bash
source "$OPENSHIFT_CARTRIDGE_SDK_BASH"
echo "setup $1 $2 at $PWD as $(id -un)"
[ "$X" = 'from a template' ] && echo "X is rendered"
touch ~/.npm && mkdir conf && echo '<%= ENV["OPENSHIFT_WEB_DIR"] -%>conf' >conf/.web.conf.erb
set_env_var Y "$(printf 'two\nlines')" env/
touch "${OPENSHIFT_WEB_DIR}locked.conf"
chown "$OPENSHIFT_APP_UUID.$OPENSHIFT_APP_UUID" locked.conf && echo "chown knows the gear"
client_result "it is set up"
add_domain_env_var "TOLD=the servant"
add_domain_env_var "TOLD=the broker"
echo "CART_DATA: secret=x"
echo "a daemon keeps the output"; sleep 600 &
"#;

/// Says what a build finds.
const BUILD: &str = r#"#!/bin/bash
case "$1" in
    build)
        [ -w "$OPENSHIFT_WEB_DIR/locked.conf" ] || echo "locked.conf is locked"
        [ -w ~ ] || echo "the home is locked"
        [ -w "$OPENSHIFT_WEB_DIR/metadata/manifest.yml" ] || echo "the manifest is locked"
        [ -w "$OPENSHIFT_DATA_DIR" ] && [ -w "$OPENSHIFT_REPO_DIR" ] && [ -L ~/app-root/repo ] && echo "data and repo are ours"
        readlink ~/web/vendor
        echo "$Y" | tail -n 1
        echo "called $OPENSHIFT_APP_NAME, not stolen"
        [ "$user $home $file $verb" = "u h f v" ] && echo "the user and her home"
        echo "TOLD=$TOLD MINE=$MINE HOME=$HOME IP=$OPENSHIFT_WEB_IP ${#OPENSHIFT_SECRET_TOKEN}"
        source "$OPENSHIFT_CARTRIDGE_SDK_BASH"
        marker_present use_npm && echo "marked for $(primary_cartridge_short_name) $(primary_cartridge_private_port_name)"
        version_lt 1.9 1.10 && force_clean_build_enabled_for_latest_deployment && echo "clean"
        ls "$OPENSHIFT_DEPLOYMENTS_DIR" | grep -v ^2
        ;;
    pre-build) echo "this is before" ;;
    *) exit 0 ;;
esac
"#;

/// What a cartridge finds when its scripts run, and what becomes of its files.
#[test]
fn a_gear_is_as_cartridges_expect_it() {
    let install = "#!/bin/bash\ncat conf/.web.conf; echo; [ -w locked.conf ] && echo 'locked.conf is ours'\nprintf 'no end of line'\n";
    let app = app(
        HTTP,
        &[
            ("web/bin/setup", SETUP),
            ("web/bin/install", install),
            ("web/bin/control", BUILD),
            ("web/env/X.erb", "from <%= 'a' + \" #{'template'}\" %>"),
            ("web/env/OPENSHIFT_APP_NAME", "stolen"),
            ("web/env/MINE", "the cartridge's"),
            (
                "web/metadata/managed_files.yml",
                "locked_files: [locked.conf, made/, ~/.webrc, ../out, ~/.ssh/x]\nprocessed_templates: ['**/*.erb']\ndependency_dirs: [vendor]\n",
            ),
            (".openshift/markers/use_npm", ""),
            (".openshift/markers/force_clean_build", ""),
            (".openshift/action_hooks/pre_build", "#!/bin/bash\necho never\n"),
            (".openshift/action_hooks/pre_build_web", "echo sourced before build of web"),
            (".openshift/action_hooks/build", "#!/bin/bash\necho \"hook at $PWD\"\n"),
        ],
    );
    executable(&app.path().join(".openshift/action_hooks/build"));
    write(
        app.path(),
        &[(
            "till.toml",
            "[cartridge]\ncartridges = [\"./web\"]\n[env]\nMINE = \"the user's\"\nuser = \"u\"\nhome = \"h\"\nfile = \"f\"\nverb = \"v\"\nTOLD = \"kept\"\n",
        )],
    );
    let said = said(&app, "gear-expects");
    assert!(said.contains("called gear-expects, not stolen"), "{said}");
    for part in [
        "setup --version 1.0 at /var/lib/openshift/gear/web as gear",
        "X is rendered",
        "chown knows the gear",
        "it is set up",
        "a daemon keeps the output",
        "/var/lib/openshift/gear/web/conf",
        "locked.conf is ours",
        "no end of line",
        "../out leads out of the gear",
        "~/.ssh/x is not its own",
        "this is before",
        ".openshift/action_hooks/pre_build is not executable",
        "sourced before build of web",
        "locked.conf is locked",
        "the home is locked",
        "the manifest is locked",
        "data and repo are ours",
        "/var/lib/openshift/gear/app-root/runtime/dependencies/web/vendor",
        "    lines",
        "TOLD=the broker MINE=the user's HOME=/var/lib/openshift/gear IP=0.0.0.0 128",
        "marked for WEB PORT",
        "the user and her home",
        "    clean",
        "hook at /var/lib/openshift/gear\n",
        "by-id",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    for part in ["secret=x", "never", "CLIENT_RESULT", "ENV_VAR_ADD"] {
        assert!(!said.contains(part), "{part} in {said}");
    }
    let planned = till(&["plan", app.path().to_str().unwrap(), "--base", "gear"]).ok().out;
    assert!(planned.contains("\nwarning: .openshift/action_hooks/pre_build is not executable"), "{planned}");
}

const DB: &str = "Name: db\nCartridge-Short-Name: DB\nVersion: '1.0'\nCategories: [service]\nPublishes:\n  publish-db: \
                  {Type: 'ENV:NET_TCP:db'}\nEndpoints:\n- Private-IP-Name: HOST\n  Private-Port-Name: PORT\n  Private-Port: \
                  5432\n  Public-Port-Name: PROXY_PORT\n";

/// Publishes as the stock databases do.
const PUBLISH: &str = r#"#!/bin/bash
echo "DB_URL='db://$OPENSHIFT_GEAR_DNS:$OPENSHIFT_DB_PROXY_PORT/x;USER=me'; DB_NAME=x; "
"#;

/// What one cartridge says of where it listens comes to the other one, to hooks, to builds and to who runs.
#[test]
fn a_database_tells_where_it_listens() {
    let subscribes = format!("{HTTP}Subscribes:\n  set-db: {{Type: 'ENV:NET_TCP:db'}}\n");
    let app = app(
        &subscribes,
        &[
            ("till.toml", "[cartridge]\ncartridges = [\"./web\", \"./db\"]\n"),
            ("db/metadata/manifest.yml", DB),
            ("db/bin/control", "#!/bin/bash\nexit 0\n"),
            ("db/hooks/publish-db", PUBLISH),
            ("web/hooks/set-db", "#!/bin/bash\necho \"told $4\"\necho \"ENV_VAR_ADD: DB_DRIVER=native\"\n"),
        ],
    );
    let said = said(&app, "gear-tells");
    assert!(said.contains("told 'gear'='DB_URL=") && !said.contains("ENV_VAR_ADD"), "{said}");
    let served = Served::new(&["gear-tells"]);
    let env = served.get("/env.txt");
    for part in
        ["\nDB_URL=db://127.0.0.1:5432/x;USER=me\n", "\nDB_NAME=x\n", "\nDB_DRIVER=native\n", "_DB_PROXY_PORT=5432\n"]
    {
        assert!(env.contains(part), "no {part} in {env}");
    }
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

/// Who runs jobs is told when another hour has come, and another week, and not before.
#[test]
fn jobs_are_run_when_their_time_has_come() {
    let run = repository().join("crates/core/src/contract/cartridge/scripts/run.sh");
    let folder = source(&[("cron/bin/cron_runjobs.sh", ""), ("web/bin/control", "")]);
    executable(&folder.path().join("cron/bin/cron_runjobs.sh"));
    let script = format!(
        "source {}\nhome={} carts=(web cron)\nrun_jobs() {{ echo \"$*\"; }}\n\
         jobs; times[hourly]=x; jobs; wait; jobs; times[weekly]=x; jobs; wait; jobs; wait\n",
        run.display(),
        folder.path().display()
    );
    let called = Called::of(std::process::Command::new("bash").args(["-c", &script]).output().unwrap()).ok();
    // Another minute, or even another hour, may have come meanwhile.
    let lines: Vec<_> = called.out.lines().filter(|line| *line != "cron minutely").collect();
    assert!(lines.starts_with(&["cron hourly"]) && lines.contains(&"cron weekly"), "{}", called.out);
}

/// As on the machines for which jobs were written.
#[test]
fn jobs_may_have_a_dot_in_their_names() {
    let run_parts = repository().join("crates/core/src/contract/cartridge/scripts/bin/run-parts");
    let folder = source(&[("jobs.deny", "b\n"), ("README.md", "not executable\n")]);
    for name in ["c.sh", "a.py", "b", "d~", "e.swp"] {
        write(folder.path(), &[(name, "#!/bin/bash\necho ${0##*/}\n")]);
        executable(&folder.path().join(name));
    }
    let run = || Called::of(std::process::Command::new(&run_parts).arg(folder.path()).output().unwrap()).ok().out;
    assert_eq!(run(), "a.py\nc.sh\n");
    write(folder.path(), &[("jobs.allow", "c.sh\nb\n")]);
    assert_eq!(run(), "c.sh\n");
}

#[test]
fn what_is_wrong_with_a_cartridge_is_said() {
    base("gear");
    let control = |line: &str| format!("#!/bin/bash\ncase \"$1\" in {line} ;; esac\n");
    let web = |files: &[(&str, &str)]| app("", files);
    let windows =
        source(&[("metadata/manifest.yml", WEB), ("bin/control", CONTROL), ("bin/setup", "#!/bin/bash\r\nexit 0\r\n")]);
    let far = web(&[("till.toml", &format!("[cartridge]\ncartridges = [\"{}\"]\n", windows.path().display()))]);
    let hook = web(&[(".openshift/action_hooks/build", "#!/bin/bash\necho this is wrong\nexit 7\n")]);
    executable(&hook.path().join(".openshift/action_hooks/build"));
    for (app, parts) in [
        (
            web(&[("web/env/A.erb", "<%= ENV['NOWHERE'] + 'x' %>")]),
            vec!["the template web/env/A.erb of the cartridge web cannot be rendered", "undefined method", "A.erb:1"],
        ),
        (
            web(&[
                ("web/conf/a.erb", "x\n<% raise 'no way' %>"),
                ("web/metadata/managed_files.yml", "processed_templates: ['conf/*']\n"),
            ]),
            vec!["the template web/conf/a.erb of the cartridge web cannot be rendered", "a.erb:2", "no way"],
        ),
        (web(&[("web/env/A.erb", "<% if %>")]), vec!["the template web/env/A.erb", "syntax error"]),
        (
            web(&[("web/bin/setup", "#!/usr/bin/ruby193\n")]),
            vec!["bin/setup of the cartridge web needs the interpreter `/usr/bin/ruby193`, which is not in the base"],
        ),
        (
            web(&[("web/bin/install", "#!/usr/bin/env python2.6\n")]),
            vec!["bin/install of the cartridge web needs the interpreter `python2.6`"],
        ),
        (far, vec!["bin/setup of the cartridge web has the line ends of Windows (CRLF)"]),
        (
            web(&[("web/bin/setup", "#!/bin/bash\necho oh; exit 3\n")]),
            vec!["oh", "bin/setup of the cartridge web failed (exit code 3)"],
        ),
        (
            web(&[("web/bin/setup", "#!/bin/bash\nmkdir ~/data\n")]),
            vec!["the cartridge web created the following directories in the gear home directory: data"],
        ),
        (
            web(&[("web/bin/control", &control("build) echo does not compile; exit 4"))]),
            vec![
                "does not compile",
                "Failed to execute: 'control build' for /var/lib/openshift/gear/web (exit code 4)",
            ],
        ),
        (
            web(&[("web/bin/control", "#!/opt/ruby\n")]),
            vec!["bin/control of the cartridge web needs the interpreter `/opt/ruby`"],
        ),
        (hook, vec!["this is wrong", "the action hook build failed (exit code 7)"]),
    ] {
        prepare(app.path(), "gear", "gear-wrong").failed(3, &parts);
    }
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

/// What the functions of the SDK say, in the order of arguments in which cartridges call them; as strictly as some do.
#[test]
fn the_sdk_answers_as_cartridges_ask() {
    let sdk = repository().join("crates/core/src/contract/cartridge/scripts/sdk");
    let folder = source(&[
        (
            "metadata/manifest.yml",
            "Cartridge-Short-Name: Web\nEndpoints:\n  - Private-IP-Name: IP\n    Private-Port-Name: 'PORT'\n",
        ),
        ("env/OPENSHIFT_WEB_IDENT", "acme:web:1.2:0.0.7"),
        ("pid", "1\n"),
    ]);
    for (asked, answer) in [
        ("add_domain_env_var FOO=bar", "ENV_VAR_ADD: FOO=bar"),
        ("client_result $'two\\nlines'", "CLIENT_RESULT: two\nCLIENT_RESULT: lines"),
        ("client_out KIND text", "KIND: text"),
        ("primary_cartridge_name", "acme-web-1.2"),
        ("echo OPENSHIFT_$(primary_cartridge_short_name)_$(primary_cartridge_private_ip_name)", "OPENSHIFT_WEB_IP"),
        ("primary_cartridge_private_port_name", "PORT"),
        ("path_append /a:/b /c", "/a:/b:/c"),
        ("path_append /a:/b /a", "/b:/a"),
        ("path_prepend /a:/b /c:/b", "/c:/b:/a"),
        ("path_append '' /c", "/c"),
        ("path_remove /a:/b:/a /a", "/b"),
        ("version_comp 1.2 1.2.0 && echo equal", "equal"),
        ("version_comp 1.10 1.9 || echo $?", "1"),
        ("version_comp 1.9 1.10 || echo $?", "2"),
        ("version_lt 1.9 1.10 && ! version_gt 1.9 1.10 && echo less", "less"),
        ("version_in_range 1.5 1.5 2 && ! version_in_range 2.1 1.5 2 && echo within", "within"),
        ("x=$(pad_string abc 8 d-f); echo ${#x} ${x:0:3}; pad_string abcdef 3", "8 abc\nabcdef"),
        ("x=$(generate_username joe 8); echo ${#x} ${x:0:3}", "8 joe"),
        ("x=$(generate_username); echo ${#x} ${x:0:5}", "12 admin"),
        ("x=$(generate_password 20 a-c); echo ${#x} ${x//[abc]/}", "20"),
        ("x=$(random_string 5 ab '^a'); echo ${#x} ${x:0:1}", "5 b"),
        ("process_running no-such-program pid && echo by its number", "by its number"),
        ("process_running no-such-program none || echo it does not", "it does not"),
        ("sleep 60 & kill $!; wait_for_stop $!; echo on", "on"),
        ("touch there; wait_for_pid_file there; echo on", "on"),
        ("shutdown_httpd_graceful 999999999", "CLIENT_MESSAGE: Warning: HTTPD (999999999) not running. Skipping stop."),
        ("shutdown_httpd_graceful_pidfile none", "CLIENT_MESSAGE: Warning: HTTPD () not running. Skipping stop."),
    ] {
        let script = format!("source {}\n{asked}\n", sdk.display());
        let mut command = std::process::Command::new("bash");
        command.args(["-euo", "pipefail", "-c", &script]).current_dir(folder.path());
        command.env("OPENSHIFT_PRIMARY_CARTRIDGE_DIR", folder.path());
        let called = Called::of(command.output().unwrap()).ok();
        assert_eq!(called.out.trim_end(), answer, "{asked}: {}", called.err);
    }
}
