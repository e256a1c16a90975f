//! Patterns of `COPY` and `ADD` sources: Go's `filepath.Match`, character by character.
//!
//! Like there, a star is tried at its first place only and never again after what follows has matched, so that no pattern
//! takes long.

/// A pattern that Go refuses, too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a pattern: {why}")]
pub struct BadPattern {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// What matches one character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum One {
    /// Itself.
    Char(char),
    /// Any but `/`.
    Any,
    /// One between the ends of a range; with `not`, one in none. A `/`, too.
    Class { not: bool, ranges: Vec<(char, char)> },
}

impl One {
    pub(super) fn matches(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::Any => c != '/',
            Self::Class { not, ranges } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *not,
        }
    }
}

/// What stands between stars; the first one has none before it.
#[derive(Debug, Default)]
struct Chunk {
    star: bool,
    ones: Vec<One>,
}

/// Whether a name matches; `*` and `?` do not cross `/`.
pub fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let chunks = chunks(pattern)?;
    let mut rest = name;
    for (at, chunk) in chunks.iter().enumerate() {
        let is_last = at + 1 == chunks.len();
        if chunk.star && chunk.ones.is_empty() {
            return Ok(!rest.contains('/'));
        }
        match find(chunk, rest, is_last) {
            Some(after) => rest = after,
            None => return Ok(false),
        }
    }
    Ok(rest.is_empty())
}

/// What is left after a chunk, at the first place where it may stand.
fn find<'a>(chunk: &Chunk, text: &'a str, is_last: bool) -> Option<&'a str> {
    let fits = |text: &'a str| stands(&chunk.ones, text).filter(|after| !is_last || after.is_empty());
    if !chunk.star {
        return fits(text);
    }
    let skippable = text.find('/').unwrap_or(text.len());
    text.char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .take_while(|at| *at <= skippable)
        .find_map(|at| fits(text.get(at..)?))
}

fn stands<'a>(ones: &[One], text: &'a str) -> Option<&'a str> {
    let mut chars = text.chars();
    ones.iter().all(|one| chars.next().is_some_and(|c| one.matches(c))).then_some(chars.as_str())
}

fn chunks(pattern: &str) -> Result<Vec<Chunk>, BadPattern> {
    let mut chunks = vec![Chunk::default()];
    let mut rest = pattern;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('*') {
            match chunks.last_mut() {
                Some(last) if last.ones.is_empty() => last.star = true,
                _ => chunks.push(Chunk { star: true, ones: Vec::new() }),
            }
            rest = after;
            continue;
        }
        let (one, after) = one(rest).map_err(|why| BadPattern { pattern: pattern.to_owned(), why })?;
        if let Some(last) = chunks.last_mut() {
            last.ones.push(one);
        }
        rest = after;
    }
    Ok(chunks)
}

/// The first of a pattern that is no star, and the rest.
pub(super) fn one(pattern: &str) -> Result<(One, &str), &'static str> {
    let mut chars = pattern.chars();
    let one = match chars.next() {
        Some('?') => One::Any,
        Some('[') => return class(chars.as_str()),
        Some('\\') => One::Char(chars.next().ok_or("it ends with a backslash")?),
        Some(c) => One::Char(c),
        None => return Err("it is empty"),
    };
    Ok((one, chars.as_str()))
}

/// After a `[`.
fn class(text: &str) -> Result<(One, &str), &'static str> {
    const OPEN: &str = "a `[` stays open";
    let (not, mut rest) = text.strip_prefix('^').map_or((false, text), |rest| (true, rest));
    let mut ranges = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix(']').filter(|_| !ranges.is_empty()) {
            return Ok((One::Class { not, ranges }, after));
        }
        let (low, after) = bound(rest)?;
        rest = after;
        let mut high = low;
        if let Some(after) = rest.strip_prefix('-') {
            (high, rest) = bound(after)?;
        }
        if rest.is_empty() {
            return Err(OPEN);
        }
        ranges.push((low, high));
    }
}

/// An end of a range.
fn bound(text: &str) -> Result<(char, &str), &'static str> {
    let mut chars = text.chars();
    let c = match chars.next() {
        None => return Err("a `[` stays open"),
        Some('-' | ']') => return Err("a range in `[…]` has no beginning or no end"),
        Some('\\') => chars.next().ok_or("it ends with a backslash")?,
        Some(c) => c,
    };
    Ok((c, chars.as_str()))
}

/// The same for `COPY --parents`, where a `**` between slashes is any number of directories, also none.
pub fn matches_deep(pattern: &str, path: &str) -> Result<bool, BadPattern> {
    let names: Vec<&str> = path.split('/').collect();
    // Whether the pattern so far matches the first n names.
    let mut reached = vec![false; names.len() + 1];
    if let Some(none) = reached.first_mut() {
        *none = true;
    }
    for part in pattern.split('/') {
        let mut next = vec![false; names.len() + 1];
        for (n, was) in reached.iter().enumerate().filter(|(_, was)| **was) {
            if part == "**" {
                next.iter_mut().skip(n).for_each(|reached| *reached = *was);
                break;
            }
            let fits = names.get(n).map(|name| matches(part, name)).transpose()?.unwrap_or(false);
            if let Some(reached) = next.get_mut(n + 1).filter(|_| fits) {
                *reached = true;
            }
        }
        // A pattern that is wrong is so wherever the path has ended.
        chunks(part)?;
        reached = next;
    }
    Ok(reached.last().copied().unwrap_or(false))
}
