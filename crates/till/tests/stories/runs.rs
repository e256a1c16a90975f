//! Artifacts that run: started, seen, stopped; what they can reach of each other.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::support::*;

/// Builds an app for the base `debian` that answers with what this script says.
fn answering(name: &str, answer: &str) {
    base("debian");
    built(server(answer).path(), &["--base", "debian", "--name", name]);
}

/// Builds an app for the base `debian` with these processes.
fn processes(name: &str, procfile: &str) {
    base("debian");
    built(source(&[("Procfile", procfile)]).path(), &["--base", "debian", "--name", name]);
}

/// What `till ps` says of an instance.
fn seen(id: &str) -> Option<Value> {
    let listed = till(&["ps", "--json"]).ok().json();
    listed["items"].as_array().unwrap().iter().find(|item| item["instance"] == id).cloned()
}

fn folder(id: &str) -> PathBuf {
    shared_data().join("instances").join(id)
}

#[test]
fn an_instance_is_run_seen_and_stopped() {
    answering("runs-life", "echo alive");
    let served = Served::new(&["runs-life"]);
    let (id, answer) = (served.id().to_owned(), served.answer.clone());
    assert_eq!((&answer["state"], &answer["process"]), (&"running".into(), &"web".into()));
    assert_eq!(answer["url"], format!("http://127.0.0.1:{}/", answer["port"]));
    assert!(served.get("/").contains("alive"));
    assert_eq!(seen(&id).unwrap(), answer);
    let logs = till(&["logs", &id, "--json"]).ok().json();
    assert_eq!((&logs["instance"], &logs["log"]), (&answer["instance"], &"listens at 8080\n".into()));
    // The end of an id will do.
    assert_eq!(till(&["logs", &id[id.len() - 8..]]).ok().out, "listens at 8080\n");
    let stopped = till(&["stop", &id, "--json"]).ok().json();
    assert_eq!(stopped["items"], serde_json::json!([id]));
    assert!(seen(&id).is_none() && !folder(&id).exists());
    till(&["stop", &id]).failed(6, &["there is no instance"]);
    till(&["logs", &id]).failed(6, &["there is no instance"]);
    let port = u16::try_from(answer["port"].as_u64().unwrap()).unwrap();
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), "its port is still open");
}

#[test]
fn an_instance_outlives_the_command_that_started_it() {
    answering("runs-outlives", "echo here");
    let served = Served::new(&["runs-outlives"]);
    let facts: Value =
        serde_json::from_slice(&std::fs::read(folder(served.id()).join("running.json")).unwrap()).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", facts["supervisor"])).unwrap();
    let session = stat.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap();
    assert_eq!(session, facts["supervisor"].to_string(), "it is in a session of its own");
    assert!(served.get("/").contains("here"));
}

/// `till run` in the foreground.
struct Foreground {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Foreground {
    fn new(arguments: &[&str]) -> Self {
        let mut command = command(&shared_data(), &[&["run", "--json"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    /// What it prints when the process is ready.
    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit code and its standard error.
    fn end(self) -> (i32, String) {
        let output = self.child.wait_with_output().unwrap();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[test]
fn an_interrupt_stops_what_runs_in_the_foreground() {
    answering("runs-interrupt", "echo here");
    for signal in [Signal::INT, Signal::TERM] {
        let mut run = Foreground::new(&["runs-interrupt"]);
        let answer = run.answer();
        let id = answer["instance"].as_str().unwrap().to_owned();
        assert!(get(answer["url"].as_str().unwrap(), "/").contains("here"));
        let began = Instant::now();
        run.signal(signal);
        let (code, said) = run.end();
        assert_eq!(code, 130, "{said}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert!(said.contains("listens at 8080"), "{said}");
        assert!(seen(&id).is_none() && !folder(&id).exists());
    }
}

#[test]
fn an_interrupt_while_it_starts_leaves_nothing() {
    processes("runs-early", "web: trap 'exit 0' TERM; echo begun; while :; do sleep 0.05; done\n");
    let run = Foreground::new(&["runs-early"]);
    let mut id = None;
    until("it has begun", || {
        let items = till(&["ps", "--json"]).ok().json()["items"].as_array().unwrap().clone();
        let shown = till(&["artifact", "show", "runs-early", "--json"]).ok().json();
        let ours = items.iter().find(|item| item["artifact"] == shown["artifact"]);
        id = ours.map(|item| item["instance"].as_str().unwrap().to_owned());
        id.as_ref().is_some_and(|id| till(&["logs", id]).out.contains("begun"))
    });
    run.signal(Signal::INT);
    assert_eq!(run.end().0, 130);
    let id = id.unwrap();
    assert!(seen(&id).is_none() && !folder(&id).exists());
}

#[test]
fn a_command_in_the_foreground_gives_its_exit_code() {
    processes("runs-codes", "good: echo done\nbad: echo broken; exit 7\nslow: sleep 0.3; exit 9\n");
    let quick = [("good", 0, "done"), ("bad", 7, "broken")];
    // Again and again, for they may be over before anybody has looked.
    for (process, wanted, text) in quick.into_iter().cycle().take(12).chain([("slow", 9, "")]) {
        let run = Foreground::new(&["runs-codes", "--process", process]);
        let (code, said) = run.end();
        assert_eq!(code, wanted, "{process}: {said}");
        assert!(said.contains(text), "{process}: {said}");
    }
}

#[test]
fn readiness_is_waited_for() {
    base("debian");
    let app = server("echo ready");
    write(app.path(), &[("Procfile", "web: echo slow; sleep 1; exec perl server.pl\n")]);
    built(app.path(), &["--base", "debian", "--name", "runs-slow"]);
    let began = Instant::now();
    let served = Served::new(&["runs-slow"]);
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert!(served.get("/").contains("ready"));
}

/// A base whose web process has so long, at that port with that protocol.
fn quick_base(name: &str, port: &str, health: &str) {
    base("debian");
    let rest = format!(
        "[recipe]\nkind = \"debian\"\nfrom = \"debian\"\n[contract]\nkind = \"command\"\nuser = \"app\"\n{port}\n{health}"
    );
    own_base(&shared_data(), name, &rest);
}

const HTTP: &str = "[[contract.port]]\nname = \"http\"\nnumber = 8080\nprotocol = \"http\"\n";

#[test]
fn an_app_that_does_not_answer_in_time_fails_with_evidence() {
    quick_base("runs-quick", HTTP, "[contract.health]\nport = \"http\"\npath = \"/health\"\nwithin = \"2s\"\n");
    let silent = source(&[("Procfile", "web: echo I am mute; trap 'exit 0' TERM; while :; do sleep 0.05; done\n")]);
    built(silent.path(), &["--base", "runs-quick", "--name", "runs-mute"]);
    let called = till(&["run", "runs-mute", "--detach", "--json"]);
    let called = called.failed(3, &["did not answer within 2 s", "nothing listens at port 8080", "I am mute"]);
    let error = &called.json()["error"];
    assert_eq!((&error["fault"], &error["log"]), (&"source".into(), &serde_json::json!(["I am mute"])));
    // The evidence is kept: the hint leads to the log.
    let hint = error["hint"].as_str().unwrap();
    let id = hint.split("till logs ").nth(1).unwrap().to_owned();
    assert_eq!(till(&["logs", &id]).ok().out.trim(), "I am mute");
    assert!(seen(&id).unwrap()["state"].as_str().unwrap().starts_with("ended"));
    till(&["stop", &id]).ok();
    assert!(seen(&id).is_none());
}

#[test]
fn answers_of_the_server_s_failure_are_not_health() {
    let health = "[contract.health]\nport = \"http\"\npath = \"/status/503\"\nwithin = \"1s\"\n";
    quick_base("runs-sick", HTTP, health);
    let app = server("echo sick");
    built(app.path(), &["--base", "runs-sick", "--name", "runs-sick"]);
    let answer =
        till(&["run", "runs-sick", "--detach", "--json"]).failed(3, &["the last answer: HTTP status 503"]).json();
    let id = answer["error"]["hint"].as_str().unwrap().split("till logs ").nth(1).unwrap().to_owned();
    till(&["stop", &id]).ok();
    // Below 500 it is alive, whatever it thinks of the question.
    quick_base("runs-picky", HTTP, "[contract.health]\nport = \"http\"\npath = \"/status/404\"\n");
    built(app.path(), &["--base", "runs-picky", "--name", "runs-picky"]);
    assert!(Served::new(&["runs-picky"]).get("/").contains("sick"));
}

#[test]
fn an_app_that_ends_at_once_fails_with_its_last_words() {
    processes(
        "runs-fails",
        "web: for i in $(seq 100); do echo line $i; done; echo cannot find my config >&2; exit 5\n",
    );
    let called = till(&["run", "runs-fails", "--detach", "--json"]);
    let called =
        called.failed(3, &["`web` did not start: it ended (exit code 5)", "cannot find my config", "line 100"]);
    assert!(!called.err.contains("line 50\n"), "only the end is shown");
    let error = called.json()["error"].clone();
    let id = error["hint"].as_str().unwrap().split("till logs ").nth(1).unwrap().to_owned();
    assert!(till(&["logs", &id]).ok().out.contains("line 50\n"));
    assert_eq!(seen(&id).unwrap()["state"], "ended (5)");
    till(&["stop", &id]).ok();
    let missing = source(&[("till.toml", "[processes]\nweb = [\"no-such-command\"]\n"), ("Procfile", "x: y\n")]);
    built(missing.path(), &["--base", "debian", "--name", "runs-missing"]);
    let called = till(&["run", "runs-missing", "--detach", "--json"]);
    let hint = called.json()["error"]["hint"].as_str().unwrap().to_owned();
    assert!([3, 4].contains(&called.code) && called.err.contains("no-such-command"), "{called:#?}");
    if let Some(id) = hint.split("till logs ").nth(1) {
        till(&["stop", id]).ok();
    }
}

/// A port that is free now.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_port_is_published_where_it_is_wanted() {
    answering("runs-publish", "echo port $PORT");
    let port = free_port();
    let served = Served::new(&["runs-publish", "--publish", &port.to_string()]);
    assert_eq!(served.answer["port"], port);
    assert!(served.get("/").contains("port 8080"));
    let taken = till(&["run", "runs-publish", "--detach", "--publish", &port.to_string()]);
    taken.failed(6, &[&format!("cannot publish at port {port}"), "in use", "give another port"]);
    assert!(served.get("/").contains("port 8080"), "the first lives on");
    let left: Vec<_> = till(&["ps", "--json"]).ok().json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["artifact"] == served.answer["artifact"] && item["instance"] != served.answer["instance"])
        .cloned()
        .collect();
    assert!(left.is_empty(), "what never began is listed: {left:?}");
}

#[test]
fn two_instances_of_one_artifact_know_nothing_of_each_other() {
    answering(
        "runs-two",
        "case $1 in /write) echo written > mine.txt; echo written > /tmp/mine.txt;; esac\nls mine.txt /tmp/mine.txt 2>&1; echo; ls /proc | grep -c '^[0-9]'",
    );
    let (one, two) = (Served::new(&["runs-two"]), Served::new(&["runs-two"]));
    assert_ne!(one.answer["port"], two.answer["port"]);
    assert!(one.get("/write").contains("\nmine.txt\n"));
    assert!(one.get("/").contains("\nmine.txt\n"), "what was written stays while it runs");
    let other = two.get("/");
    assert!(other.contains("cannot access 'mine.txt'") && other.contains("cannot access '/tmp/mine.txt'"), "{other}");
    // The server, its shell, ls and grep: nobody else's processes.
    let count: u32 = other.trim().lines().last().unwrap().parse().unwrap();
    assert!(count <= 5, "{other}");
    drop(one);
    let third = Served::new(&["runs-two"]);
    assert!(third.get("/").contains("cannot access 'mine.txt'"), "what was written goes with its instance");
}

#[test]
fn stopping_asks_first() {
    base("debian");
    let app = server("echo up");
    let slow = "$SIG{TERM} = sub { print \"told\\n\"; select undef, undef, undef, 0.7; print \"orderly\\n\"; exit 0 };";
    let text = std::fs::read_to_string(app.path().join("server.pl")).unwrap();
    let told = "$SIG{TERM} = sub { print \"told to end\\n\"; exit 0 };";
    assert!(text.contains(told));
    write(app.path(), &[("server.pl", &text.replace(told, slow))]);
    built(app.path(), &["--base", "debian", "--name", "runs-orderly"]);
    let served = Served::new(&["runs-orderly"]);
    let follower = command(&shared_data(), &["logs", "--follow", served.id()]);
    let follower = piped(follower);
    let began = Instant::now();
    till(&["stop", served.id()]).ok();
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(700) && took < Duration::from_secs(8), "{took:?}");
    let output = follower.wait_with_output().unwrap();
    assert!(output.status.success());
    let log = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(log.starts_with("listens at 8080\n"), "{log}");
}

fn piped(mut command: std::process::Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn what_does_not_end_when_asked_is_killed() {
    processes("runs-stubborn", "web: trap '' TERM; echo no; while :; do sleep 0.05; done\nother: sleep 1000\n");
    let served = Served::new(&["runs-stubborn", "--process", "other"]);
    let running = std::fs::read(folder(served.id()).join("running.json")).unwrap();
    let pid = serde_json::from_slice::<serde_json::Value>(&running).unwrap()["pid"].to_string();
    assert!(Path::new("/proc").join(&pid).exists());
    let began = Instant::now();
    till(&["stop", served.id()]).ok();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert!(!Path::new("/proc").join(&pid).exists() && !folder(served.id()).exists());
}

#[test]
fn a_followed_log_ends_with_the_instance() {
    processes("runs-follow", "work: for i in 1 2 3 4 5; do echo turn $i; sleep 0.2; done; echo over; exit 4\n");
    let served = Served::new(&["runs-follow", "--process", "work"]);
    let followed = till(&["logs", "--follow", served.id()]).ok();
    assert_eq!(followed.out, "turn 1\nturn 2\nturn 3\nturn 4\nturn 5\nover\n");
    assert_eq!(seen(served.id()).unwrap()["state"], "ended (4)");
    assert_eq!(till(&["logs", served.id()]).ok().out, followed.out, "its log stays");
}

#[test]
fn a_port_of_another_protocol_is_ready_when_it_listens() {
    let port = "[[contract.port]]\nname = \"db\"\nnumber = 5000\nprotocol = \"tcp\"\nprocess = \"db\"\n";
    quick_base("runs-tcp", port, "[contract.health]\nport = \"db\"\nwithin = \"20s\"\n");
    let perl = r#"
use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
select undef, undef, undef, 0.5;
my $server = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => 5000, Listen => 5) or die;
while (my $client = $server->accept) { my $line = <$client>; print $client "you said $line"; close $client; }
"#;
    let app = source(&[("db.pl", perl), ("Procfile", "db: exec perl db.pl\n")]);
    built(app.path(), &["--base", "runs-tcp", "--name", "runs-tcp"]);
    let served = Served::new(&["runs-tcp"]);
    assert_eq!(served.answer["url"], format!("tcp://127.0.0.1:{}/", served.answer["port"]));
    assert_eq!(seen(served.id()).unwrap()["url"], served.answer["url"]);
    assert!(served.get("/thing").starts_with("you said GET /thing"));
}

#[test]
fn a_port_of_http_2_is_asked_in_its_own_words() {
    let port = "[[contract.port]]\nname = \"grpc\"\nnumber = 5000\nprotocol = \"h2c\"\n";
    quick_base("runs-h2c", port, "[contract.health]\nport = \"grpc\"\nwithin = \"20s\"\n");
    let perl = r#"
use IO::Socket::INET;
$| = 1;
$SIG{TERM} = sub { exit 0 };
my $server = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => 5000, Listen => 5) or die;
while (my $client = $server->accept) {
    read $client, my $preface, 24;
    print "asked\n" if $preface eq "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    print $client "\0\0\0\4\0\0\0\0\0" if $preface =~ /^PRI/;
    close $client;
}
"#;
    let app = source(&[("rpc.pl", perl), ("Procfile", "web: exec perl rpc.pl\n")]);
    built(app.path(), &["--base", "runs-h2c", "--name", "runs-h2c"]);
    let served = Served::new(&["runs-h2c"]);
    assert!(till(&["logs", served.id()]).ok().out.starts_with("asked\n"));
    assert_eq!(seen(served.id()).unwrap(), served.answer);
}

#[test]
fn several_are_stopped_at_once() {
    processes("runs-several", "work: trap 'exit 0' TERM; while :; do sleep 0.05; done\n");
    let (one, two) = (Served::new(&["runs-several"]), Served::new(&["runs-several"]));
    let stopped = till(&["stop", one.id(), two.id(), "--json"]).ok().json();
    assert_eq!(stopped["items"], serde_json::json!([one.id(), two.id()]));
    assert!(seen(one.id()).is_none() && seen(two.id()).is_none());
}

#[test]
fn an_instance_that_takes_too_much_memory_says_so() {
    let perl = "my $text = ''; while (1) { $text .= 'x' x (64 << 20); }";
    base("debian");
    let app = source(&[("eat.pl", perl), ("Procfile", "eat: echo hungry; exec perl eat.pl\n")]);
    built(app.path(), &["--base", "debian", "--name", "runs-hungry"]);
    let served = Served::new(&["runs-hungry"]);
    assert_eq!(till(&["logs", "--follow", served.id()]).ok().out, "hungry\n");
    assert_eq!(seen(served.id()).unwrap()["state"], "ended (out of memory)");
}
