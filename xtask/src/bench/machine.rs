//! What this machine can do at best, in the same run: the limits that stand beside the figures.
//!
//! They are measured with ordinary tools and nothing of ours, so that they do not get better with us.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use super::sample::median;
use super::stage::Stage;
use crate::tools;

/// Small things are measured this often.
const TIMES: u32 = 9;

/// So much is hashed, compressed and copied.
const BYTES: usize = 256 << 20;

/// So many files are made.
const FILES: u32 = 10_000;

/// A limit: seconds, and of what.
pub(super) type Limit = (f64, String);

/// A process in namespaces of its own.
pub(super) fn namespaces() -> Result<Limit> {
    let words = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--cgroup", "true"];
    Ok((often(&words)?, "`unshare` of all namespaces and `true`".to_owned()))
}

/// A process.
pub(super) fn process() -> Result<Limit> {
    Ok((often(&["true"])?, "`true`".to_owned()))
}

/// A tree of W2 or W3, archived and compressed on all processors.
pub(super) fn archive(stage: &Stage, kind: &str) -> Result<Limit> {
    let folder = stage.folder(&format!("tree-{kind}"))?;
    let tree = folder.join("made");
    if !tree.exists() {
        stage.maker(&folder)?;
        shell(&format!("perl '{0}/make.pl' '{0}/made' {kind}", folder.display()))?;
    }
    let script = format!("tar -cf - -C '{0}' made | zstd -q -1 -T0 -f -o '{0}/archive'", folder.display());
    shell(&script)?;
    let began = Instant::now();
    shell(&script)?;
    Ok((began.elapsed().as_secs_f64(), "`tar | zstd -1 -T0` of the same tree".to_owned()))
}

/// What it is, and what it can do, for people.
pub(super) fn describe(place: &Path) -> Result<Vec<(String, String)>> {
    let folder = place.join("limits");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let file = folder.join("bytes");
    fill(&file)?;
    let path = file.display();
    let rate = |script: &str| -> Result<String> { Ok(format!("{:.0} MB/s", megabytes() / timed(|| shell(script))?)) };
    let files = timed(|| many(&folder.join("files")))?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let rows = vec![
        // Beyond the number of processors there was other work, which takes from everybody.
        ("load of the last 15 minutes".to_owned(), load.split(' ').nth(2).unwrap_or_default().to_owned()),
        ("processors".to_owned(), std::thread::available_parallelism().map_or(0, usize::from).to_string()),
        ("sha256, one thread (openssl)".to_owned(), rate(&format!("openssl dgst -sha256 '{path}' >/dev/null"))?),
        ("zstd -1, all processors".to_owned(), rate(&format!("zstd -q -1 -T0 -f -o '{path}.zst' '{path}'"))?),
        ("copy of a file".to_owned(), rate(&format!("cp --reflink=never '{path}' '{path}.copy'"))?),
        ("making files of 4 KiB".to_owned(), format!("{:.0} files/s", f64::from(FILES) / files)),
        ("all namespaces and `true`".to_owned(), format!("{:.0} ms", namespaces()?.0 * 1000.0)),
    ];
    fs::remove_dir_all(&folder)?;
    Ok(rows)
}

fn megabytes() -> f64 {
    f64::from(u32::try_from(BYTES >> 20).unwrap_or(0)) * 1.048_576
}

/// Half of it is text, half of it is noise, as in W3.
fn fill(path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    let mut state = 7_u64;
    let mut block = Vec::with_capacity(1 << 20);
    for _ in 0..BYTES >> 20 {
        block.clear();
        while block.len() < 1 << 19 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            block.extend_from_slice(&(state >> 24).to_le_bytes()[..5]);
        }
        while block.len() < 1 << 20 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            writeln!(block, "line {} of a log", (state >> 40) % 5000)?;
        }
        file.write_all(&block[..1 << 20])?;
    }
    Ok(())
}

fn many(folder: &Path) -> Result<()> {
    fs::create_dir(folder)?;
    for number in 0..FILES {
        fs::write(folder.join(number.to_string()), [7; 4096])?;
    }
    Ok(())
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed().as_secs_f64())
}

/// The median of several runs.
fn often(words: &[&str]) -> Result<f64> {
    let times = (0..TIMES).map(|_| timed(|| succeed(tools::command(words[0]).args(&words[1..]))));
    Ok(median(times.collect::<Result<Vec<_>>>()?.into_iter()))
}

fn shell(script: &str) -> Result<()> {
    succeed(tools::command("sh").args(["-ec", script]))
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    if !status.success() {
        bail!("{command:?} failed ({status})");
    }
    Ok(())
}
