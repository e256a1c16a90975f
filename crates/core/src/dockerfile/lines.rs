//! From text to logical lines: comments dropped, continuations joined.
//!
//! What a line says is not looked at here; whoever finds a heredoc in one takes its body with [`Lines::body`].

use super::instruction::{Instruction, Line};
use super::{Bad, BadDockerfile, MAX_LINE, MAX_TEXT, Warning};

/// The text without its byte order mark, when it is one that we read.
pub(super) fn decode(text: &[u8]) -> Result<&str, BadDockerfile> {
    if text.len() > MAX_TEXT {
        return Err(Bad::new(format!("the text is longer than {MAX_TEXT} bytes")).at(1));
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = text.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Bad::new("this is not UTF-8").at(u32::try_from(line).unwrap_or(u32::MAX))
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// One instruction's text, joined.
#[derive(Debug)]
pub(super) struct Logical {
    pub(super) number: u32,
    pub(super) text: String,
}

impl Logical {
    /// The line of which this is the text.
    pub(super) fn line(&self, instruction: Instruction) -> Line {
        Line { number: self.number, original: self.text.trim().to_owned(), instruction }
    }
}

/// The rest of a text, line by line.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    rest: std::str::SplitInclusive<'a, char>,
    number: u32,
    pub(super) escape: char,
    pub(super) warnings: Vec<Warning>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str, escape: char) -> Self {
        Self { rest: text.split_inclusive('\n'), number: 0, escape, warnings: Vec::new() }
    }

    /// The line that was read last.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn warn(&mut self, line: u32, what: impl Into<String>) {
        self.warnings.push(Warning { line, what: what.into() });
    }

    /// The next line as it stands, with its end.
    fn raw(&mut self) -> Result<Option<&'a str>, BadDockerfile> {
        let Some(line) = self.rest.next() else {
            return Ok(None);
        };
        self.number += 1;
        if line.len() > MAX_LINE {
            return Err(Bad::new(format!("the line is longer than {MAX_LINE} bytes")).at(self.number));
        }
        Ok(Some(line))
    }

    /// The next instruction's text.
    pub(super) fn next(&mut self) -> Result<Option<Logical>, BadDockerfile> {
        while let Some(raw) = self.raw()? {
            let first = bare(raw).trim_start();
            if first.is_empty() || is_comment(first) {
                continue;
            }
            let number = self.number;
            let text = self.join(first)?;
            if !text.trim().is_empty() {
                return Ok(Some(Logical { number, text }));
            }
        }
        Ok(None)
    }

    /// A line with those that continue it.
    fn join(&mut self, first: &str) -> Result<String, BadDockerfile> {
        let (head, mut open) = cut(first, self.escape);
        let mut text = head.to_owned();
        let mut warned = false;
        while open {
            let Some(raw) = self.raw()? else { break };
            let line = bare(raw);
            if is_comment(line) {
                continue;
            }
            if line.trim().is_empty() {
                if !warned {
                    self.warn(
                        self.number,
                        "an empty line inside of a continued instruction; it is taken as if it were not there",
                    );
                    warned = true;
                }
                continue;
            }
            let (part, more) = cut(line, self.escape);
            text.push_str(part);
            open = more;
        }
        Ok(text)
    }

    /// The lines up to the one that is `end`, verbatim; with `strip`, tabs may stand before the end.
    pub(super) fn body(&mut self, end: &str, strip: bool) -> Result<String, Bad> {
        let mut body = String::new();
        loop {
            let Some(raw) = self.raw().map_err(|bad| Bad { what: bad.what, hint: bad.hint })? else {
                let bad = Bad::new(format!("the heredoc `{end}` is never ended"));
                return Err(bad.hint(format!("a line with nothing but `{end}` ends it; a name ends at a blank")));
            };
            let line = if strip { raw.trim_start_matches('\t') } else { raw };
            if bare(line) == end {
                return Ok(body);
            }
            body.push_str(raw);
        }
    }
}

/// A line without its end.
pub(super) fn bare(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// What a line adds, and whether another continues it. An escape that is itself escaped continues nothing.
fn cut(line: &str, escape: char) -> (&str, bool) {
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(head) if !head.ends_with(escape) => (head, true),
        _ => (line, false),
    }
}
