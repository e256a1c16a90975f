//! How processes are started and stopped.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn a_profile_is_sourced_before_each_process_and_may_end_it() {
    let app = pack(
        "#!/bin/bash\nmkdir -p $1/.profile.d; echo 'X=one' > $1/.profile.d/a.sh; echo 'export X=\"$X-$DYNO\"; exit_with() { exit 4; }' > $1/.profile.d/b.sh; echo 'X=no' > $1/.profile.d/c.txt\n",
    );
    let profile = "export Y=\"$X profile $PORT\"; [ \"$LEAVE\" != yes ] || exit_with\n";
    write(
        app.path(),
        &[(".profile", profile), ("Procfile", "web: echo \"$Y\"; pwd\nworker: echo \"$Y in $HOME\" && exit 3\n")],
    );
    build(app.path(), "heroku-profile").ok();
    let (code, said) = output("heroku-profile", "worker");
    assert!(code == 3 && said.contains("one-worker.1 profile  in /app\n"), "{code} {said}");
    let leaving = till(&["run", "heroku-profile", "--process", "worker", "--env", "LEAVE=yes"]);
    assert_eq!(leaving.code, 4, "{}", leaving.err);
    assert!(leaving.err.contains("/app/.profile ended the start (exit code 4)"), "{}", leaving.err);
    let (_, said) = output("heroku-profile", "web");
    assert!(said.contains("one-web.1 profile 8080\n"), "{said}");
}

#[test]
fn a_process_that_knows_no_signals_ends_when_it_is_stopped() {
    let app = pack("#!/bin/sh\n");
    write(
        app.path(),
        &[("Procfile", "deaf: echo begun; perl -e 'sleep 600'; echo never\nlist: printf '%s\\n' \"$@\"\n")],
    );
    write(
        app.path(),
        &[(
            "till.toml",
            "[processes]\nargv = [\"perl\", \"-e\", \"$| = 1; print qq(@ARGV\\\\n); sleep 600\", \"a b\", \"$c\"]\n",
        )],
    );
    build(app.path(), "heroku-deaf").ok();
    for (process, said) in [("deaf", "begun"), ("argv", "a b $c")] {
        let id = detached(&["heroku-deaf", "--process", process])["instance"].as_str().unwrap().to_owned();
        until("it has begun", || till(&["logs", &id]).out.contains(said));
        let began = Instant::now();
        till(&["stop", &id]).ok();
        // Who does not listen is killed after ten seconds.
        assert!(began.elapsed() < Duration::from_secs(8), "{process}: {:?}", began.elapsed());
    }
}

#[test]
fn the_first_that_ends_ends_all_whatever_the_contract() {
    base("debian");
    let procfile = "web: exec perl server.pl\nfirst: echo begins; until [ -e /tmp/end ]; do sleep 0.05; done; exit 6\n\
                    release: echo never\nsecond: trap 'echo told; exit 0' TERM; while :; do sleep 0.05; done\n";
    let app = server("[ $1 != /end ] || touch /tmp/end");
    write(app.path(), &[("Procfile", procfile)]);
    built(app.path(), &["--base", "debian", "--name", "heroku-all"]);
    let all = Served::new(&["heroku-all", "--all"]);
    let log = || till(&["logs", all.id()]).out;
    until("all have begun", || log().contains("first.1  | begins") && log().contains("second.1 | started"));
    all.get("/end");
    let state = || {
        let listed = till(&["ps", "--json"]).ok().json();
        let ours =
            listed["items"].as_array().unwrap().iter().find(|item| item["instance"] == all.id()).unwrap().clone();
        ours["state"].as_str().unwrap().to_owned()
    };
    until("it has ended", || state() == "ended (6)");
    let log = log();
    for part in ["first.1  | ended with exit code 6", "second.1 | told\n", "web.1    | told to end"] {
        assert!(log.contains(part), "no `{part}` in {log}");
    }
    assert!(!log.contains("never"), "{log}");
}
