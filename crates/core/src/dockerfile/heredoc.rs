//! Where heredocs begin in a line; their bodies are the lines after it.

use super::Bad;
use super::lines::Lines;

/// The most heredocs of one instruction; each is looked up among all of them.
const MAX_HEREDOCS: usize = 100;

/// `<<NAME`, `<<-NAME`, `3<<"NAME"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    /// The line that ends the body.
    pub(super) name: String,
    /// Whether lines lose the tabs they begin with.
    pub(super) strip: bool,
    /// Whether the name was without quotes.
    pub(super) expand: bool,
}

/// An opening with its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) opening: Opening,
    /// As written.
    pub(super) text: String,
}

impl Body {
    /// The text that is meant: without the tabs that `<<-` strips.
    pub(super) fn content(&self) -> String {
        if self.opening.strip {
            self.text.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
        } else {
            self.text.clone()
        }
    }
}

/// A line as a shell wants it: followed by the bodies, each with its end.
pub(super) fn rejoin(line: &str, bodies: &[Body]) -> String {
    let mut text = line.to_owned();
    for body in bodies {
        text.push('\n');
        text.push_str(&body.text);
        text.push_str(&body.opening.name);
    }
    text
}

/// Takes the bodies of all heredocs of a line.
pub(super) fn bodies(line: &str, lines: &mut Lines<'_>) -> Result<Vec<Body>, Bad> {
    let mut bodies = Vec::new();
    if !line.contains("<<") {
        return Ok(bodies);
    }
    for word in words(line).unwrap_or_default() {
        if let Some(opening) = opening(&word) {
            if bodies.len() == MAX_HEREDOCS {
                return Err(Bad::new(format!("there are more than {MAX_HEREDOCS} heredocs in one instruction")));
            }
            let text = lines.body(&opening.name, opening.strip)?;
            bodies.push(Body { opening, text });
        }
    }
    Ok(bodies)
}

/// What a word opens, if it opens a heredoc.
pub(super) fn opening(word: &str) -> Option<Opening> {
    let (strip, rest) = tail(word)?;
    if rest.contains('<') {
        return None;
    }
    let (name, expand) = unquote(rest.trim_start())?;
    (!name.is_empty()).then_some(Opening { name, strip, expand })
}

/// Whether it is `<<`, `3<<` or `<<-`, of which the name is the next word.
pub(super) fn is_bare(word: &str) -> bool {
    tail(word).is_some_and(|(_, rest)| rest.is_empty())
}

/// After `3<<-`, and whether there was a `-`.
fn tail(word: &str) -> Option<(bool, &str)> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    Some(match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    })
}

/// A word without its quotes, and whether it had none. None where it is more than one word, or a quote stays open.
fn unquote(text: &str) -> Option<(String, bool)> {
    let mut name = String::new();
    let (mut quote, mut plain) = (None, true);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if c.is_whitespace() => return None,
            None if c == '\\' => name.extend(chars.next()),
            None if matches!(c, '\'' | '"') => (quote, plain) = (Some(c), false),
            Some(open) if c == open => quote = None,
            _ => name.push(c),
        }
    }
    quote.is_none().then_some((name, plain))
}

/// The line's words with their quotes; a `<<` takes the name after it along. None where a quote stays open: then the
/// line is the shell's business alone.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match quote {
            None if c.is_whitespace() => {
                while chars.next_if(|c| c.is_whitespace()).is_some() {}
                if !word.is_empty() && !is_bare(&word) {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            _ if c == '\\' && quote != Some('\'') => {
                word.push(c);
                word.extend(chars.next());
                continue;
            }
            None if matches!(c, '\'' | '"') => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        word.push(c);
    }
    words.push(word);
    quote.is_none().then_some(words)
}

/// Refuses a name that cannot be a file's.
pub(super) fn file_name(name: &str) -> Result<(), Bad> {
    if matches!(name, "." | "..") || name.contains(['/', '\0']) {
        return Err(Bad::new(format!("the heredoc `{name}` becomes a file, and this is no file's name")));
    }
    Ok(())
}
