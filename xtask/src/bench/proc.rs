//! What processes cost, as `/proc` says: time of processors, and memory.
//!
//! Only our own children and the daemons that we started are looked at; other work on the machine is not ours. What runs in
//! a namespace of its own for process numbers is the step of a build: its memory is not the builder's.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// Of `/proc/PID/stat`: Linux has said 100 for as long as anybody reads it.
const TICKS: f64 = 100.0;

/// Seconds of processors that our children needed which have ended.
pub(super) fn children_cpu() -> f64 {
    stat("self").map_or(0.0, |stat| ticks(&stat, 15..17))
}

/// Seconds of processors that these processes and all below them needed.
pub(super) fn trees_cpu(roots: &[u32]) -> f64 {
    let all = roots.iter().flat_map(|root| tree(*root));
    all.filter_map(|pid| stat(&pid.to_string())).map(|stat| ticks(&stat, 13..17)).sum()
}

/// Forgets the peaks of these processes and all below them.
pub(super) fn forget_peaks(roots: &[u32]) {
    for pid in roots.iter().flat_map(|root| tree(*root)) {
        // One that has just ended has no peak either.
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    }
}

/// Bytes that these processes and all below them have, each at its peak so far.
pub(super) fn trees_memory(roots: &[u32]) -> u64 {
    let here = namespace("self");
    let all: BTreeSet<u32> = roots.iter().flat_map(|root| tree(*root)).collect();
    all.into_iter().filter(|pid| namespace(&pid.to_string()) == here).filter_map(peak).sum()
}

/// The processes that one started and that are still there.
pub(super) fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    children.flat_map(|text| numbers(&text)).collect()
}

/// A process and all that descend from it.
fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children(*pid));
        next += 1;
    }
    found
}

fn namespace(pid: &str) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

fn peak(pid: u32) -> Option<u64> {
    high_water(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes << 10)
}

fn stat(pid: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

/// The sum of some fields, counted from 0. The second is a name in parentheses that may have anything in it.
fn ticks(stat: &str, fields: std::ops::Range<usize>) -> f64 {
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let values = rest.split(' ').skip(fields.start - 2).take(fields.len());
    values.filter_map(|value| value.parse::<f64>().ok()).sum::<f64>() / TICKS
}

fn numbers(text: &str) -> Vec<u32> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 200 0 0 150 50 300 100 20 0";
        assert!((ticks(stat, 13..17) - 6.0).abs() < 1e-9);
        assert!((ticks(stat, 15..17) - 4.0).abs() < 1e-9);
    }

    #[test]
    fn the_peak_is_in_kilobytes() {
        assert_eq!(high_water("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 9 kB\n"), Some(2 << 20));
        assert_eq!(high_water("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn we_are_in_our_own_tree() {
        let us = std::process::id();
        assert_eq!(tree(us)[0], us);
        assert!(trees_memory(&[us]) > 0);
    }
}
