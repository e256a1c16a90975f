//! What stories are told with: `till`, a temporary source, the shared bases.

use std::cell::Cell;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The data directory that all stories share.
pub fn shared_data() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("till-data");
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// What a call of `till` came to.
#[derive(Debug)]
pub struct Called {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Called {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The one JSON object on standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{self:#?}"))
    }

    /// It went well.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self
    }

    /// It failed with that exit code, and said all of that on standard error.
    #[track_caller]
    pub fn failed(self, code: i32, said: &[&str]) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        for part in said {
            assert!(self.err.contains(part), "no `{part}` in:\n{}", self.err);
        }
        self
    }
}

/// `till` with the shared data directory.
pub fn till(arguments: &[&str]) -> Called {
    till_in(&shared_data(), arguments)
}

/// `till` with a data directory.
pub fn till_in(data: &Path, arguments: &[&str]) -> Called {
    Called::of(command(data, arguments).output().unwrap())
}

/// The same, not started.
pub fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_till"));
    command.arg("--data").arg(data).args(arguments);
    if let (Some(environment), Some(&"build")) = (ENVIRONMENT.get(), arguments.first()) {
        command.args(["--in", environment]);
    }
    if let Some(runtime) = RUNTIME.get() {
        command.env("TILL_RUNTIMES", runtime);
    }
    command
}

thread_local! {
    /// What makes containers in this test; where nobody says, what this machine's users get.
    static RUNTIME: Cell<Option<&'static str>> = const { Cell::new(None) };
    /// Where apps are prepared in this test.
    static ENVIRONMENT: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Are the apps of this test prepared in machines?
pub fn in_machine() -> bool {
    ENVIRONMENT.get().is_some()
}

/// Runs a test whose apps are prepared in the environment of that name.
pub fn with_environment(name: &'static str, test: fn()) {
    ENVIRONMENT.set(Some(name));
    test();
}

/// Runs a test with the runtime of that name.
pub fn with_runtime(name: &'static str, test: fn()) {
    RUNTIME.set(Some(name));
    test();
}

/// Makes sure that a base of the repository is there; `debian` is below all others.
pub fn base(name: &str) {
    if name != "debian" {
        base("debian");
    }
    let (path, lock) = (repository().join("bases").join(name), lock_of(name));
    let build = ["base", "build", path.to_str().unwrap(), "--lock", lock.to_str().unwrap()];
    // The packages of today are asked for once; a lock of another recipe is written anew.
    if !lock.exists() || till(&[&build[..], &["--locked"]].concat()).code != 0 {
        till(&build).ok();
    }
}

/// Where the stories keep the lock of a base of the repository.
pub fn lock_of(name: &str) -> PathBuf {
    shared_data().join(format!("{name}.lock"))
}

/// A temporary source, no repository, with these files.
pub fn source(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    folder
}

pub fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Makes a folder a repository with one commit of all that is in it; answers with the commit.
pub fn commit(folder: &Path) -> String {
    for arguments in [
        ["init", "--quiet", "."].as_slice(),
        &["add", "--all"],
        &["-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "--quiet", "--message", "x"],
    ] {
        git(folder, arguments);
    }
    git(folder, &["rev-parse", "HEAD"])
}

/// Runs git in a folder and answers with what it said.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A server for the base `debian`, in the Perl that every Debian has: answers each request with what `answer.sh PATH`
/// says, and each path that begins with `/status/` with that status.
pub const SERVER: &str = r#"
use strict;
use IO::Socket::INET;
$| = 1;
$SIG{TERM} = sub { print "told to end\n"; exit 0 };
my $server = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => $ENV{PORT}, Listen => 16, ReuseAddr => 1)
    or die "cannot listen: $!";
print "listens at $ENV{PORT}\n";
while (1) {
    my $client = $server->accept or next;
    my $request = <$client> // next;
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/ }
    my ($path) = $request =~ m{^\S+ (\S+)};
    my $status = $path =~ m{^/status/(\d+)} ? $1 : 200;
    my $body = qx(sh answer.sh '$path' 2>&1);
    print $client "HTTP/1.1 $status X\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body";
    close $client;
}
"#;

/// The source of an app for the base `debian` that answers with what this shell script says of the path in `$1`.
pub fn server(answer: &str) -> tempfile::TempDir {
    source(&[("Procfile", "web: exec perl server.pl\n"), ("server.pl", SERVER), ("answer.sh", answer)])
}

/// Builds a source in the shared data directory; the JSON answer.
#[track_caller]
pub fn built(source: &Path, arguments: &[&str]) -> Value {
    let all = [&["build", source.to_str().unwrap(), "--json", "--quiet"], arguments].concat();
    till(&all).ok().json()
}

/// A running artifact; stopped when dropped.
#[derive(Debug)]
pub struct Served {
    data: PathBuf,
    /// What `till run --detach --json` answered.
    pub answer: Value,
}

impl Served {
    #[track_caller]
    pub fn new(arguments: &[&str]) -> Self {
        Self::new_in(&shared_data(), arguments)
    }

    #[track_caller]
    pub fn new_in(data: &Path, arguments: &[&str]) -> Self {
        let all = [&["run", "--detach", "--json"], arguments].concat();
        Self { data: data.to_owned(), answer: till_in(data, &all).ok().json() }
    }

    pub fn id(&self) -> &str {
        self.answer["instance"].as_str().unwrap()
    }

    /// The text that it answers to GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> String {
        get(self.answer["url"].as_str().unwrap(), path)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have been stopped already.
        let _ = till_in(&self.data, &["stop", self.id()]);
    }
}

/// The answer to GET, head and all.
#[track_caller]
pub fn get(url: &str, path: &str) -> String {
    let address = url.split("//").nth(1).unwrap().trim_end_matches('/');
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Asks again and again, for a minute at most.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "in vain: {what}");
        std::thread::yield_now();
    }
}

/// Makes a base over `debian`, without packages, with this contract (`kind` and `shell` are there already).
pub fn small_base(name: &str, contract: &str) {
    base("debian");
    let head = format!(
        "name = \"{name}\"\ndescription = \"Of a story\"\nowner = \"stories\"\n\
         [recipe]\nkind = \"debian\"\nfrom = \"debian\"\n\
         [contract]\nkind = \"command\"\nshell = [\"/bin/bash\", \"-c\"]\n"
    );
    let folder = source(&[("base.toml", &format!("{head}{contract}"))]);
    till(&["base", "build", folder.path().to_str().unwrap()]).ok();
}

/// Makes a base that runs the source's `build.sh` as this user with this network; answers with its name.
pub fn script_base(user: &str, network: &str) -> String {
    let name = format!("script-{user}-{network}");
    let contract = format!(
        "user = \"{user}\"\n[contract.source]\nas = \"dir\"\nat = \"/app\"\n\
         [[contract.step]]\nname = \"build.sh\"\nrun = \"bash build.sh\"\nnetwork = \"{network}\"\n\
         [[contract.process]]\nname = \"web\"\nrun = \"sleep infinity\"\n"
    );
    small_base(&name, &contract);
    name
}

/// Builds a source, whatever was built before.
pub fn prepare(folder: &Path, base: &str, app: &str) -> Called {
    till(&["build", folder.to_str().unwrap(), "--base", base, "--name", app, "--afresh", "--json"])
}

/// A source with nothing but this `build.sh`, built.
pub fn script(base: &str, app: &str, script: &str) -> Called {
    prepare(source(&[("build.sh", script)]).path(), base, app)
}

/// What the newest artifact of an app added to its base, as `tar tv` lists it: the last layer of an export.
pub fn listing(app: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let output = tar(&last_layer(app, folder.path()), &["--numeric-owner", "--full-time", "-tvv"]);
    output.lines().map(str::to_owned).collect()
}

/// Exports the newest artifact of an app into a folder; answers with the path of its last layer, a gzip'ed tar.
pub fn last_layer(app: &str, folder: &Path) -> PathBuf {
    let layout = folder.join("layout");
    till(&["artifact", "export", app, &format!("oci:{}:x", layout.display()), "--compression", "gzip"]).ok();
    let blob = |digest: &Value| layout.join("blobs").join(digest.as_str().unwrap().replace(':', "/"));
    let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let index = read(&layout.join("index.json"));
    let manifest = read(&blob(&index["manifests"][0]["digest"]));
    blob(&manifest["layers"].as_array().unwrap().last().unwrap()["digest"])
}

/// Runs tar on a gzip'ed archive and answers with what it said.
pub fn tar(archive: &Path, arguments: &[&str]) -> String {
    let output = Command::new("tar").arg("-zf").arg(archive).args(arguments).output().unwrap();
    assert!(output.status.success(), "tar {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Called {
    /// What steps said, as it was shown: without what till itself said.
    pub fn said(&self) -> Vec<&str> {
        self.err.lines().filter_map(|line| line.strip_prefix("    ")).collect()
    }
}

/// Makes a base of one's own in a data directory; what `till base build` answers.
#[track_caller]
pub fn own_base(data: &Path, name: &str, rest: &str) -> Value {
    let head = format!("name = \"{name}\"\ndescription = \"{name}\"\nowner = \"the stories\"\n");
    let folder = source(&[("base.toml", &format!("{head}{rest}"))]);
    till_in(data, &["base", "build", folder.path().to_str().unwrap(), "--json", "--quiet"]).ok().json()
}

/// Runs a command to its end; answers with the most memory that its process had, in bytes, and what it came to.
pub fn watched(mut command: Command) -> (u64, Called) {
    let (mut out, mut err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    let mut child = command.stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap()).spawn().unwrap();
    let mut peak = 0;
    let status = loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        peak = peak.max(line.trim_end_matches("kB").trim().parse().unwrap_or(0) * 1024);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let read = |file: &mut std::fs::File| {
        let mut bytes = Vec::new();
        std::io::Seek::rewind(file).unwrap();
        std::io::Read::read_to_end(file, &mut bytes).unwrap();
        bytes
    };
    (peak, Called::of(Output { status, stdout: read(&mut out), stderr: read(&mut err) }))
}

/// Does a process with these words in its command line run on this machine?
pub fn runs(words: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.any(|line| String::from_utf8_lossy(&line).replace('\0', " ").contains(words))
}

/// A number of seconds that nobody else on this machine sleeps.
pub fn unique(number: u32) -> String {
    format!("9{number}{}.25", std::process::id())
}
