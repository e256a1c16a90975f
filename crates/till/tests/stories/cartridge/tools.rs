//! What cartridges call: the SDK, and what runs jobs.

use super::*;

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
