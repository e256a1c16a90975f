//! A step of a preparation: one command upon a tree of the host, which sees what it writes as it is written (virtiofs).
//!
//! Whatever the command left running is killed before its end is told.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use rustix::mount::{MountFlags, mount};
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions};
use till_guest::{JOB, Job, LOG, TREE, Word};

use crate::{Result, failed, initrd, machine, network, port, service, system};

/// Where its processes are counted.
const GROUP: &str = "/sys/fs/cgroup/job";
/// What the host reads and writes, when somebody looks.
const CONSOLE: &str = "/dev/ttyS0";
/// As many files as a container's process may have open.
const FILES: u64 = 65_536;

/// Does the job, says how it went, and turns the machine off.
pub(crate) fn run() -> Result<()> {
    let text = std::fs::read(JOB).map_err(failed("read", JOB))?;
    std::fs::remove_file(JOB).map_err(failed("remove", JOB))?;
    let job: Job = serde_json::from_slice(&text).map_err(failed("read", JOB))?;
    mount(TREE, initrd::NEW_ROOT, "virtiofs", MountFlags::empty(), c"").map_err(failed("mount", TREE))?;
    initrd::enter(&["proc", "sys", "dev"])?;
    let _ = rustix::system::sethostname(b"till");
    network::loopback()?;
    if job.network
        && let Some(card) = network::card()
    {
        network::configure(&card)?;
    }
    limit(&job)?;
    port::say(&Word::Begun { nonce: job.nonce.clone() });
    let ended = carry_out(&job)?;
    // What was only mapped is written now.
    rustix::fs::sync();
    port::say(&ended);
    system::power_off()
}

fn limit(job: &Job) -> Result<()> {
    for (resource, most) in [(Resource::Nofile, FILES), (Resource::Core, 0)] {
        let both = Rlimit { current: Some(most), maximum: Some(most) };
        rustix::process::setrlimit(resource, both).map_err(failed("limit", "the command"))?;
    }
    let settings = [
        ("/sys/fs/cgroup/cgroup.subtree_control".to_owned(), "+memory +pids".to_owned()),
        (format!("{GROUP}/memory.max"), job.memory.to_string()),
        (format!("{GROUP}/pids.max"), job.pids.to_string()),
    ];
    std::fs::create_dir(GROUP).map_err(failed("make", GROUP))?;
    settings.iter().try_for_each(|(path, value)| std::fs::write(path, value).map_err(failed("write", path)))
}

/// Runs the command to its end.
fn carry_out(job: &Job) -> Result<Word> {
    let (reader, writer) = std::io::pipe().map_err(failed("make", "a pipe"))?;
    let pump = std::thread::spawn(move || pump(reader));
    let start = if job.terminal { at_the_console } else { started };
    let code = match start(job, writer) {
        Ok(pid) => {
            let status = loop {
                match rustix::process::waitpid(Some(pid), WaitOptions::empty()) {
                    Ok(Some((_, status))) => break status,
                    Ok(None) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(failed("wait for", "the command")(error)),
                }
            };
            end_others();
            service::code(status)
        }
        Err((why, code)) => {
            if let Some(mut log) = port::open(LOG) {
                let _ = writeln!(log, "{why}");
            }
            code
        }
    };
    let _ = pump.join();
    let count = |file: &str, key: &str| number(&format!("{GROUP}/{file}"), key) > 0;
    let (oom, pids) = (count("memory.events", "oom_kill"), count("pids.events", "max"));
    Ok(Word::Ended { nonce: job.nonce.clone(), code, oom, pids })
}

/// Starts it. The error has the exit code by which shells say the same.
fn started(job: &Job, output: std::io::PipeWriter) -> Result<Pid, (String, u8)> {
    let broken = |why: String| (format!("till: {why}"), 126);
    let mut process = service::prepared(&job.command).map_err(broken)?;
    let group = format!("{GROUP}/cgroup.procs");
    let group = File::options().write(true).open(&group).map_err(failed("open", &group)).map_err(broken)?;
    service::join(&mut process, group);
    service::give(&output, &job.command).map_err(broken)?;
    let both = output.try_clone().map_err(failed("copy", "a pipe")).map_err(broken)?;
    process.stdout(Stdio::from(both)).stderr(output);
    let child = process.spawn().map_err(|error| {
        let said = format!("cannot start `{}`: {error}", job.command.argv.first().map_or("", String::as_str));
        (said, if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
    })?;
    Pid::from_raw(child.id().cast_signed()).ok_or_else(|| broken("the command has no number".to_owned()))
}

/// Starts it with the console as its terminal. What keeps it from that goes to the log as ever.
fn at_the_console(job: &Job, _: std::io::PipeWriter) -> Result<Pid, (String, u8)> {
    let broken = |why: String| (format!("till: {why}"), 126);
    let console =
        File::options().read(true).write(true).open(CONSOLE).map_err(failed("open", CONSOLE)).map_err(broken)?;
    service::give(&console, &job.command).map_err(broken)?;
    let mut process = service::prepared(&job.command).map_err(broken)?;
    let end = || console.try_clone().map(Stdio::from).map_err(failed("copy", CONSOLE)).map_err(broken);
    process.stdin(end()?).stdout(end()?).stderr(end()?);
    service::lead(&mut process);
    let child = process.spawn().map_err(|error| broken(format!("cannot start a shell: {error}")))?;
    Pid::from_raw(child.id().cast_signed()).ok_or_else(|| broken("the shell has no number".to_owned()))
}

/// Output goes through a pipe: a port can be opened once only, and commands open `/dev/stdout`.
fn pump(mut from: std::io::PipeReader) {
    let mut into = None;
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if into.is_none() {
            into = port::open(LOG);
        }
        if let Some(port) = &mut into {
            let _ = port.write_all(&buffer[..count]);
        }
    }
}

fn number(path: &str, key: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

/// Ends whatever else runs: nothing of it may write when the command's end is told.
fn end_others() {
    loop {
        let others = machine::processes();
        for pid in &others {
            let _ = rustix::process::kill_process(*pid, Signal::KILL);
        }
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        if others.is_empty() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
