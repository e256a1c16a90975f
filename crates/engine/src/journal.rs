//! Logs of steps: kept in a file each, bounded, and shown while they come.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use till_core::port::LogSink;

/// How a step went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepReport {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub milliseconds: u64,
    /// Its result was taken from an earlier time.
    pub reused: bool,
}

/// What happens, for whoever watches.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// Something that the user should know.
    Notice(&'a str),
    /// We wait for something.
    Waiting(&'a str),
    /// A step begins.
    Began(&'a str),
    /// It said something.
    Output(&'a [u8]),
    /// It ended well.
    Ended(&'a StepReport),
    /// It did not.
    Failed(&'a str),
}

/// A part of the work that is no step of a plan: begun when made, and failed unless it is ended.
pub(crate) struct Stretch<'a> {
    observer: &'a dyn Observer,
    name: &'static str,
    began: std::time::Instant,
    is_over: bool,
}

impl<'a> Stretch<'a> {
    pub(crate) fn begin(observer: &'a dyn Observer, name: &'static str) -> Self {
        observer.event(Event::Began(name));
        Self { observer, name, began: std::time::Instant::now(), is_over: false }
    }

    pub(crate) fn end(mut self) {
        self.is_over = true;
        let milliseconds = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.observer.event(Event::Ended(&StepReport { name: self.name.to_owned(), milliseconds, reused: false }));
    }
}

impl Drop for Stretch<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.observer.event(Event::Failed(self.name));
        }
    }
}

/// Hears only what the user should know: how a kernel is got is of no interest where an app is prepared.
pub(crate) struct Quiet<'a>(pub(crate) &'a dyn Observer);

impl Observer for Quiet<'_> {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::Notice(_) | Event::Waiting(_)) {
            self.0.event(event);
        }
    }
}

/// Watches.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event<'_>);
}

/// How many lines a failure shows.
const LAST_LINES: usize = 20;
/// The longest line that is kept for that.
const LONGEST: usize = 400;

/// The log of one step.
pub(crate) struct Journal<'a> {
    observer: &'a dyn Observer,
    path: PathBuf,
    file: Option<File>,
    kept: u64,
    limit: u64,
    /// Bytes that were not kept.
    pub(crate) dropped: u64,
    last: VecDeque<Vec<u8>>,
    /// The first line that speaks of an error: what comes after it is often only its consequence.
    first_error: Option<String>,
}

impl<'a> Journal<'a> {
    pub(crate) fn new(observer: &'a dyn Observer, path: &Path, limit: u64) -> Self {
        Self {
            observer,
            path: path.to_owned(),
            file: File::create(path).ok(),
            kept: 0,
            limit,
            dropped: 0,
            last: VecDeque::from([Vec::new()]),
            first_error: None,
        }
    }

    /// Where it is kept.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The last lines, as text that a terminal can be given; the first that speaks of an error before them.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        let lines = self.last.iter().map(|line| plain(line));
        let lines: Vec<_> = lines.filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        let first = self.first_error.iter().filter(|line| !last.contains(line));
        first.flat_map(|line| [line.clone(), "…".to_owned()]).chain(last.iter().cloned()).collect()
    }

    fn remember(&mut self, bytes: &[u8]) {
        for (number, part) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if number > 0 {
                self.look_for_error();
                self.last.push_back(Vec::new());
                if self.last.len() > LAST_LINES * 2 {
                    self.last.pop_front();
                }
            }
            if let Some(line) = self.last.back_mut() {
                let room = LONGEST.saturating_sub(line.len());
                line.extend_from_slice(&part[..part.len().min(room)]);
            }
        }
    }
}

impl Journal<'_> {
    /// Looks at the line that has just been completed.
    fn look_for_error(&mut self) {
        // Not in a flood: looking costs more than all else that is done with a line.
        if self.first_error.is_none()
            && self.dropped == 0
            && let Some(line) = self.last.back()
            && speaks_of_error(line)
        {
            self.first_error = Some(plain(line));
        }
    }
}

/// `error:`, `ERROR`, `fatal:`, `E: …` and the like, as compilers, package managers and interpreters write them.
fn speaks_of_error(line: &[u8]) -> bool {
    let lower = line.to_ascii_lowercase();
    let has = |word: &[u8]| lower.windows(word.len()).any(|window| window == word);
    line.starts_with(b"E: ") || has(b"error:") || has(b"error ") || has(b"[error]") || has(b"fatal:")
}

impl LogSink for Journal<'_> {
    fn write(&mut self, bytes: &[u8]) {
        // Only the last lines of a flood can matter: what is far longer than they are need not be looked at whole.
        let look = LAST_LINES * 2 * LONGEST;
        self.remember(&bytes[bytes.len().saturating_sub(look)..]);
        let room = usize::try_from(self.limit.saturating_sub(self.kept)).unwrap_or(usize::MAX);
        let kept = &bytes[..bytes.len().min(room)];
        self.kept += kept.len() as u64;
        self.dropped += (bytes.len() - kept.len()) as u64;
        if kept.is_empty() {
            return;
        }
        if let Some(file) = &mut self.file {
            let _ = file.write_all(kept);
        }
        self.observer.event(Event::Output(kept));
    }
}

/// Text without what would move a terminal's cursor, change its colours or hide something: control characters and the
/// bidirectional ones; what is not UTF-8 is shown as such. Of a progress line only its last state.
pub fn plain(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            // ECMA-48: ESC [ parameters final
            '\u{1b}' if characters.peek() == Some(&'[') => {
                characters.next();
                while characters.next_if(|c| !('@'..='~').contains(c)).is_some() {}
                characters.next();
            }
            '\t' => plain.push(' '),
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {}
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Silent;
    impl Observer for Silent {
        fn event(&self, _: Event<'_>) {}
    }

    #[test]
    fn a_flood_is_bounded_and_its_end_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut journal = Journal::new(&Silent, &path, 1000);
        for number in 0..10_000 {
            journal.write(format!("line {number}\n").as_bytes());
        }
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 1000);
        assert!(journal.dropped > 80_000);
        assert_eq!(journal.last_lines().last().unwrap(), "line 9999");
        assert_eq!(journal.last_lines().len(), LAST_LINES);
    }

    #[test]
    fn nothing_in_a_log_reaches_the_terminal_as_a_command() {
        for (bytes, text) in [
            (b"\x1b[31mred\x1b[0m".as_slice(), "red"),
            (b"10%\r50%\r100%", "100%"),
            (b"\x07\x00a\xffb", "a\u{fffd}b"),
            ("a\u{202e}b".as_bytes(), "ab"),
        ] {
            assert_eq!(plain(bytes), text);
        }
    }
}
