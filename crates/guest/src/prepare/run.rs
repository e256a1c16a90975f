//! The command of a preparation: started, heard, and ended with all that it started.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use rustix::process::{Pid, Signal, WaitOptions};
use till_guest::{Job, LOG, Word};

use crate::{Result, failed, port, service};

/// Where its processes are counted.
const GROUP: &str = "/sys/fs/cgroup/job";
/// Less than this is free: the disk is full.
const SCARCE: u64 = 1 << 20;

/// Runs it to its end.
pub(super) fn run(tree: &str, work: &str, job: &Job) -> Result<Word> {
    let killed_before = oom_kills();
    group(job.pids);
    let (reader, writer) = std::io::pipe().map_err(failed("make", "a pipe"))?;
    let mut process = service::prepared(tree, &job.command)?;
    let output = writer.try_clone().map_err(failed("make", "a pipe"))?;
    process.stdout(Stdio::from(output)).stderr(writer);
    let joined = File::options().write(true).open(format!("{GROUP}/cgroup.procs")).ok();
    if let Some(joined) = joined {
        join(&mut process, joined);
    }
    let pump = std::thread::spawn(move || pump(reader));
    let started = process.spawn();
    // It holds the writing ends, which would keep us from seeing the end.
    drop(process);
    let nonce = job.nonce.clone();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            let said = format!("cannot start `{}`: {error}\n", job.command.argv.first().map_or("", String::as_str));
            if let Some(mut log) = port::open(LOG) {
                let _ = log.write_all(said.as_bytes());
            }
            // As shells say that a command cannot be run, or is not there.
            let code = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
            return Ok(Word::Ended { nonce, code, oom: false, pids: false, full: false });
        }
    };
    let status = child.wait().map_err(failed("wait for", "the command"))?;
    end_others();
    let _ = pump.join();
    Ok(Word::Ended {
        nonce,
        code: service::code(status),
        oom: oom_kills() > killed_before,
        pids: pids_refused(),
        full: rustix::fs::statvfs(work).is_ok_and(|stat| stat.f_bavail * stat.f_frsize < SCARCE),
    })
}

/// Output goes through a pipe: a port can be opened once only, and commands open `/dev/stdout`.
fn pump(mut from: std::io::PipeReader) {
    let mut into = port::open(LOG);
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if let Some(port) = &mut into {
            let _ = port.write_all(&buffer[..count]);
        }
    }
}

fn group(pids: u32) {
    let _ = std::fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+pids");
    let _ = std::fs::create_dir(GROUP);
    let _ = std::fs::write(format!("{GROUP}/pids.max"), pids.to_string());
}

fn join(process: &mut std::process::Command, group: File) {
    use std::os::unix::process::CommandExt as _;
    // SAFETY: one write between fork and exec; `0` is who writes (cgroups(7)).
    #[expect(unsafe_code, reason = "what runs between fork and exec is unsafe by its nature")]
    unsafe {
        process.pre_exec(move || rustix::io::write(&group, b"0").map(drop).map_err(std::io::Error::from));
    }
}

fn number(path: &str, key: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

fn oom_kills() -> u64 {
    number("/proc/vmstat", "oom_kill")
}

fn pids_refused() -> bool {
    number(&format!("{GROUP}/pids.events"), "max") > 0
}

/// Ends whatever else runs: nothing of it may write while what was written is packed.
fn end_others() {
    loop {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok().and_then(Pid::from_raw));
        let own = |pid: &Pid| pid.is_init();
        let has_program =
            |pid: &Pid| std::fs::read_link(format!("/proc/{pid}/exe", pid = pid.as_raw_nonzero())).is_ok();
        let others: Vec<_> = pids.filter(|pid| !own(pid) && has_program(pid)).collect();
        for pid in &others {
            let _ = rustix::process::kill_process(*pid, Signal::KILL);
        }
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        if others.is_empty() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
