//! Steps that fail, and steps that take more than they may: each ends with exit code 3, a message that names what it was,
//! and nothing left.

use std::path::Path;

use serde_json::Value;

use crate::support::{
    Called, command, in_machine, listing, prepare, runs, script, script_base, shared_data, source, till, unique,
    watched,
};

/// A build of this script under these limits.
fn limited(app: &str, limits: &str, script: &str) -> Called {
    let base = script_base("app", "none");
    let text = format!("[limits]\n{limits}\n");
    prepare(source(&[("build.sh", script), ("till.toml", &text)]).path(), &base, app)
}

/// The log that a failure names.
fn log(error: &Value) -> String {
    let hint = error["hint"].as_str().unwrap();
    let path = hint.strip_prefix("the whole log: ").unwrap_or_else(|| panic!("{hint}"));
    std::fs::read_to_string(path).unwrap()
}

fn a_step_that_fails_shows_its_code_its_last_lines_and_its_log() {
    let base = script_base("app", "none");
    let text = "echo begin; echo 'error: the cause' >&2; seq 1000; echo 'the end' >&2; exit 42";
    let called = script(&base, "fails", text).failed(
        3,
        &["step `build.sh` failed (exit code 42)", "│ error: the cause", "│ the end", "whose doing: the source"],
    );
    let error = called.json()["error"].clone();
    assert_eq!((error["fault"].as_str(), error["step"].as_str()), (Some("source"), Some("build.sh")));
    let lines = error["log"].as_array().unwrap();
    assert_eq!(lines.first().unwrap(), "error: the cause");
    assert_eq!(lines.last().unwrap(), "the end");
    assert!(lines.len() < 30, "{lines:?}");
    let log = log(&error);
    assert!(log.starts_with("begin\nerror: the cause\n1\n2\n") && log.ends_with("1000\nthe end\n"), "{log}");
    till(&["artifact", "show", "fails"]).failed(6, &["there is no artifact `fails`"]);
}

fn how_a_command_ends_is_told() {
    let base = script_base("app", "none");
    for (text, said) in [
        ("no-such-command", "a command was not found (exit code 127)"),
        // The step's own shell is the first process of its instance, which nothing inside can kill.
        ("bash -c 'kill -9 $$'; exit $?", "exit code 137"),
        ("bash -c 'kill -SEGV $$'; exit $?", "exit code 139"),
        ("exit 255", "exit code 255"),
        ("exec false", "exit code 1)"),
    ] {
        script(&base, "endings", text).failed(3, &[said]);
    }
}

fn a_step_that_takes_too_long_is_ended_with_all_that_it_started() {
    let seconds = unique(21);
    let text = format!("setsid sleep {seconds} & trap '' TERM INT; while true; do sleep {seconds}; done");
    limited("too-long", "time = \"1s\"", &text)
        .failed(3, &["step `build.sh` took longer than 1s", "raise `limits.time` in till.toml"]);
    assert!(!runs(&format!("sleep {seconds}")));
}

fn a_step_that_takes_too_much_memory_is_ended() {
    let table = [
        ("heap", "head -c 200M /dev/zero | tail; exit ${PIPESTATUS[1]}"),
        ("shm", "head -c 200M /dev/zero > /dev/shm/x"),
        ("below", "(exec perl -e '$x = \"x\" x 200_000_000'); exit $?"),
    ];
    for (name, text) in table {
        limited(&format!("memory-{name}"), "memory = \"64MiB\"", text)
            .failed(3, &["step `build.sh` used more memory than 64MiB", "raise `limits.memory` in till.toml"]);
    }
}

fn files_that_are_written_are_not_counted_as_memory() {
    limited("page-cache", "memory = \"64MiB\"", "head -c 300M /dev/zero > x && cat x > /dev/null && rm x").ok();
}

fn a_step_that_starts_too_many_processes_fails() {
    let seconds = unique(22);
    let text = format!("set -e; for i in $(seq 100); do sleep {seconds} & done; wait");
    limited("too-many", "pids = 20", &text).failed(3, &["more than 20 processes", "raise `limits.pids` in till.toml"]);
    assert!(!runs(&format!("sleep {seconds}")));
    limited("fork-bomb", "pids = 50\ntime = \"20s\"", "f() { f | f & }; f; sleep 0.5; exit 1")
        .failed(3, &["more than 50 processes"]);
}

fn a_step_that_writes_too_much_is_ended() {
    let said = ["step `build.sh` wrote more than 50MiB", "raise `limits.disk` in till.toml"];
    let table = [
        ("many", "i=0; while true; do i=$((i + 1)); head -c 10M /dev/zero > f$i; done"),
        ("at-once", "head -c 500M /dev/zero > one"),
        ("one", "head -c 500M /dev/zero > one; sleep 20"),
        ("outside-of-the-app", "for i in 1 2 3 4 5 6; do head -c 9M /dev/zero > /tmp/f$i; done; sleep 20"),
    ];
    for (name, text) in table {
        // A machine without help of the processor takes its time to write so much.
        let time = if in_machine() { 90 } else { 15 };
        limited(&format!("disk-{name}"), &format!("disk = \"50MiB\"\ntime = \"{time}s\""), text).failed(3, &said);
    }
}

fn what_is_written_and_removed_again_is_not_too_much() {
    limited("disk-reused", "disk = \"50MiB\"", "for i in $(seq 10); do head -c 30M /dev/zero > x; rm x; done").ok();
}

fn what_a_step_leaves_running_ends_with_it() {
    let base = script_base("app", "none");
    let seconds = unique(23);
    let daemon = format!("trap \"\" HUP TERM; sleep {seconds} & while true; do echo x >> late; done");
    let text = format!(
        "echo before > early; setsid bash -c '{daemon}' > /dev/null 2>&1 < /dev/null &
        until [ -s late ]; do :; done; echo done"
    );
    let called = script(&base, "daemon", &text).ok();
    assert_eq!(called.said(), ["done"]);
    assert!(!runs(&format!("sleep {seconds}")));
    let files = listing("daemon");
    assert!(files.iter().any(|line| line.ends_with("app/early")), "{files:?}");
    // The artifact is what it was at the step's end: exported twice, it is the same.
    assert_eq!(files, listing("daemon"));
}

fn a_daemon_that_keeps_the_output_open_does_not_keep_the_build() {
    let base = script_base("app", "none");
    let seconds = unique(24);
    let called = script(&base, "holds-output", &format!("setsid sleep {seconds} & echo done")).ok();
    assert_eq!(called.said(), ["done"]);
    assert!(!runs(&format!("sleep {seconds}")));
}

/// Of our own memory: a part of what the steps said, and a kernel's package, where one is unpacked.
const MOST: u64 = 96 << 20;

/// All logs that a build of this app can have left, by size.
fn newest_log() -> u64 {
    let newest = |path: &Path| {
        let entries = std::fs::read_dir(path).unwrap().flatten().map(|entry| entry.path());
        entries.filter(|path| path.join("00-flood.log").exists() || path.ends_with("00-flood.log")).max()
    };
    newest(&newest(&shared_data().join("logs")).unwrap()).unwrap().metadata().unwrap().len()
}

fn a_flood_of_output_is_bounded() {
    let contract = "[contract.source]\nas = \"dir\"\nat = \"/app\"\n\
         [[contract.step]]\nname = \"flood\"\nrun = \"yes 0123456789abcdef | head -c 1G; echo the end\"\n\
         [[contract.process]]\nname = \"web\"\nrun = \"sleep infinity\"\n";
    crate::support::small_base("flood", contract);
    let folder = source(&[("till.toml", "[limits]\nlog = \"1MiB\"\n")]);
    let arguments = ["build", folder.path().to_str().unwrap(), "--base", "flood", "--name", "flood", "--afresh"];
    let (peak, called) = watched(command(&shared_data(), &arguments));
    let called = called.ok();
    assert!(peak < MOST, "{} MiB", peak >> 20);
    assert!(called.err.len() < 5 << 20, "{}", called.err.len());
    assert!(called.err.contains("more than `limits.log` (1MiB); they are not kept"), "no notice");
    let kept = newest_log();
    assert!(kept <= 1 << 20, "{kept}");
}

fn a_line_without_end_takes_no_memory() {
    let base = script_base("app", "none");
    let folder = source(&[("build.sh", "head -c 300M /dev/zero | tr '\\0' x")]);
    let path = folder.path().to_str().unwrap();
    let arguments = ["build", path, "--base", &base, "--name", "one-line", "--afresh"];
    let (peak, called) = watched(command(&shared_data(), &arguments));
    called.ok();
    assert!(peak < MOST, "{} MiB", peak >> 20);
}

fn nothing_that_moves_a_terminal_comes_from_a_build() {
    let base = script_base("app", "none");
    let text = r"printf '\033[31mred\033[0m\033]0;title\007\033[2J\x9b31m\u202e\u200f\x08\n'; head -c 100000 /dev/urandom
        printf '\r\n\033Pdcs\033\\\n\xc2\x9b31mC1\n%s\n' end";
    for (app, text) in [("codes", text.to_owned()), ("codes-failing", format!("{text}; exit 9"))] {
        let called = script(&base, app, &text);
        assert_eq!(called.code, if app == "codes" { 0 } else { 3 });
        let allowed = |c: char| !c.is_control() || c == '\n';
        let bad: Vec<_> =
            called.err.chars().filter(|c| !allowed(*c) || ('\u{202a}'..='\u{202e}').contains(c)).collect();
        assert_eq!(bad, Vec::<char>::new());
        assert!(called.err.contains("red"), "{}", called.err);
        let raw = called.out.bytes().filter(|byte| *byte < 32 && *byte != b'\n').count();
        assert_eq!(raw, 0, "{}", called.out);
    }
}

on_each_runtime! {
    a_step_that_fails_shows_its_code_its_last_lines_and_its_log,
    how_a_command_ends_is_told,
    a_step_that_takes_too_long_is_ended_with_all_that_it_started,
    a_step_that_takes_too_much_memory_is_ended,
    files_that_are_written_are_not_counted_as_memory,
    a_step_that_starts_too_many_processes_fails,
    a_step_that_writes_too_much_is_ended,
    what_is_written_and_removed_again_is_not_too_much,
    what_a_step_leaves_running_ends_with_it,
    a_daemon_that_keeps_the_output_open_does_not_keep_the_build,
    a_flood_of_output_is_bounded,
    a_line_without_end_takes_no_memory,
    nothing_that_moves_a_terminal_comes_from_a_build,
}

in_machines! {
    a_step_that_fails_shows_its_code_its_last_lines_and_its_log,
    how_a_command_ends_is_told,
    a_step_that_takes_too_long_is_ended_with_all_that_it_started,
    a_step_that_takes_too_much_memory_is_ended,
    files_that_are_written_are_not_counted_as_memory,
    a_step_that_starts_too_many_processes_fails,
    a_step_that_writes_too_much_is_ended,
    what_is_written_and_removed_again_is_not_too_much,
    what_a_step_leaves_running_ends_with_it,
    a_daemon_that_keeps_the_output_open_does_not_keep_the_build,
    a_flood_of_output_is_bounded,
    a_line_without_end_takes_no_memory,
    nothing_that_moves_a_terminal_comes_from_a_build,
}
