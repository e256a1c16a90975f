//! How gears are made: what cartridges find, what they tell each other, and what is wrong with them.

use super::*;

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
