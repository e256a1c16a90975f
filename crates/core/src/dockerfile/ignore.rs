//! Ignore files, and the patterns of `--exclude`, which are of the same kind.
//!
//! A pattern also covers what is below a directory that it matches, and the last pattern that matches decides. Which file
//! is read, and that the Dockerfile itself stays readable, is the caller's business.

use super::Bad;
use super::glob::{self, BadPattern, One};

/// An ignore file, read.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    patterns: Vec<Pattern>,
    bad: Vec<(u32, BadPattern)>,
}

/// One line.
#[derive(Debug, Clone)]
struct Pattern {
    /// Whether it takes out what others put in: `!pattern`.
    exception: bool,
    shape: Shape,
}

/// How it matches; most patterns are one of the quick kinds.
#[derive(Debug, Clone)]
enum Shape {
    Exact(String),
    /// `name**`.
    Begins(String),
    /// `**name`, or `**/name`, which is also the name alone.
    Ends(String),
    States(Vec<State>),
}

/// A step through a path, one for each piece of the pattern.
#[derive(Debug, Clone)]
enum State {
    One(One),
    /// `*`: any number of characters but `/`.
    Star,
    /// `**/` before something: nothing, or anything that ends with `/`.
    Enter,
    /// The inside of the former.
    Inside,
    /// `**` at the end.
    Rest,
}

impl Ignore {
    /// Reads an ignore file. Lines that are no patterns are passed over, and told by [`Ignore::bad`].
    pub fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = (1u32..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#'));
        Self::read(lines)
    }

    /// The same of single patterns.
    pub fn of<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        Self::read((1u32..).zip(patterns))
    }

    fn read<'a>(lines: impl Iterator<Item = (u32, &'a str)>) -> Self {
        let mut ignore = Self::default();
        for (number, line) in lines {
            match pattern(line.trim()) {
                Ok(Some(pattern)) => ignore.patterns.push(pattern),
                Ok(None) => {}
                Err(bad) => ignore.bad.push((number, bad)),
            }
        }
        ignore
    }

    /// Whether nothing is excluded.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether something below an excluded directory may not be excluded, so that it has to be walked.
    pub fn has_exceptions(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.exception)
    }

    /// The lines that are no patterns. BuildKit builds nothing with such a file.
    pub fn bad(&self) -> &[(u32, BadPattern)] {
        &self.bad
    }

    /// Whether a path, from the context's root and without a slash before it, is excluded.
    pub fn excludes(&self, path: &str) -> bool {
        let decides = self.patterns.iter().rev().find(|pattern| pattern.covers(path));
        decides.is_some_and(|pattern| !pattern.exception)
    }
}

/// Whether a pattern of `--exclude` covers a path. One that is none covers nothing.
pub fn pattern_matches(pattern: &str, path: &str) -> bool {
    Ignore::of([pattern]).excludes(path)
}

/// Says what is wrong with a pattern.
pub(super) fn check_pattern(text: &str) -> Result<(), Bad> {
    pattern(text.trim()).map(drop).map_err(|bad| Bad::new(bad.to_string()))
}

fn pattern(line: &str) -> Result<Option<Pattern>, BadPattern> {
    let (exception, text) = match line.strip_prefix('!') {
        Some(text) => (true, text.trim()),
        None => (false, line),
    };
    if text.is_empty() {
        let why = "there is nothing after the `!`";
        return if exception { Err(BadPattern { pattern: line.to_owned(), why }) } else { Ok(None) };
    }
    let clean = clean(text);
    let text = if clean.len() > 1 { clean.strip_prefix('/').unwrap_or(&clean) } else { &clean };
    // Go's matcher is the judge of what is a pattern.
    glob::matches(text, ".")?;
    Ok(Some(Pattern { exception, shape: shape(text)? }))
}

/// A path without `.`, `..` and doubled slashes, as far as the text alone tells.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

fn shape(text: &str) -> Result<Shape, BadPattern> {
    let is_plain = |text: &str| !text.contains(['*', '?', '[', ']', '\\']);
    if is_plain(text) {
        return Ok(Shape::Exact(text.to_owned()));
    }
    if let Some(tail) = text.strip_prefix("**").filter(|tail| is_plain(tail)) {
        return Ok(Shape::Ends(tail.to_owned()));
    }
    if let Some(head) = text.strip_suffix("**").filter(|head| is_plain(head)) {
        return Ok(Shape::Begins(head.to_owned()));
    }
    states(text).map(Shape::States).map_err(|why| BadPattern { pattern: text.to_owned(), why })
}

fn states(text: &str) -> Result<Vec<State>, &'static str> {
    let mut states = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("**") {
            rest = after.strip_prefix('/').unwrap_or(after);
            if rest.is_empty() {
                states.push(State::Rest);
            } else {
                states.extend([State::Enter, State::Inside]);
            }
        } else if let Some(after) = rest.strip_prefix('*') {
            states.push(State::Star);
            rest = after;
        } else {
            let (one, after) = glob::one(rest)?;
            states.push(State::One(one));
            rest = after;
        }
    }
    Ok(states)
}

impl Pattern {
    /// Whether it matches the path or a directory that the path is in.
    fn covers(&self, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([path.len()]);
        match &self.shape {
            // The states go through the path once and see every directory on the way.
            Shape::States(states) => run(states, path),
            shape => ends.filter_map(|end| path.get(..end)).any(|prefix| shape.is(prefix)),
        }
    }
}

impl Shape {
    fn is(&self, path: &str) -> bool {
        match self {
            Self::Exact(own) => path == own,
            Self::Begins(head) => path.starts_with(head.as_str()),
            Self::Ends(tail) => path.ends_with(tail.as_str()) || tail.strip_prefix('/') == Some(path),
            Self::States(states) => run(states, path),
        }
    }
}

/// Whether the states lead through the whole path, or through a directory of it.
fn run(states: &[State], path: &str) -> bool {
    let mut now = vec![false; states.len() + 1];
    enter(states, &mut now, 0);
    let mut next = vec![false; states.len() + 1];
    for (at, c) in path.char_indices() {
        if c == '/' && at > 0 && now.last() == Some(&true) {
            return true;
        }
        next.fill(false);
        for (n, state) in states.iter().enumerate().filter(|(n, _)| now.get(*n) == Some(&true)) {
            match state {
                State::One(one) if one.matches(c) => enter(states, &mut next, n + 1),
                State::Star if c != '/' => enter(states, &mut next, n),
                State::Rest => enter(states, &mut next, n),
                State::Inside => {
                    mark(&mut next, n);
                    if c == '/' {
                        enter(states, &mut next, n + 1);
                    }
                }
                _ => {}
            }
        }
        std::mem::swap(&mut now, &mut next);
    }
    now.last() == Some(&true)
}

fn mark(marks: &mut [bool], n: usize) {
    if let Some(mark) = marks.get_mut(n) {
        *mark = true;
    }
}

/// Marks a state and those that are reached from it without a character.
fn enter(states: &[State], marks: &mut [bool], mut n: usize) {
    loop {
        if marks.get(n) == Some(&true) {
            return;
        }
        mark(marks, n);
        match states.get(n) {
            Some(State::Star | State::Rest) => n += 1,
            Some(State::Enter) => {
                mark(marks, n + 1);
                n += 2;
            }
            _ => return,
        }
    }
}
