//! What words mean once variables have values: `$v`, `${v:-word}`, quotes and escapes.
//!
//! The words of instructions are expanded, never the text of `RUN`, `CMD` and the like, which is the shell's. What a
//! variable's value is and which are in scope is the caller's to say.

mod pattern;

use std::str::Chars;

use super::Bad;
use super::instruction::{MountSpec, Word};
use super::read::expanded_mount;

/// The longest text that a word may become: the longest single argument that Linux hands to a process.
pub const MAX_EXPANDED: usize = 128 * 1024;
/// How deep `${a:-${b:-…}}` may go.
pub const MAX_DEPTH: usize = 32;
/// How much may be copied and compared for one word. Values can be doubled by each instruction, and compared with
/// patterns; this keeps a short file from taking long.
const MAX_WORK: usize = 8 * 1024 * 1024;

/// What a word became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded {
    /// The text.
    pub text: String,
    /// The variables without a value for which nothing was said to stand in; each once, in order.
    pub unset: Vec<String>,
}

/// Expands a word to one text.
pub fn word(word: &Word, escape: char, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Expanded, String> {
    let mut expander = Expander::new(&word.0, escape, Quotes::Meant, lookup);
    let text = expander.until(None, false)?.text;
    Ok(Expanded { text, unset: expander.unset })
}

/// Expands a word to as many as there are after its variables were put in: `EXPOSE $PORTS`.
pub fn words(word: &Word, escape: char, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Vec<String>, String> {
    Ok(Expander::new(&word.0, escape, Quotes::Meant, lookup).until(None, false)?.words())
}

/// Expands the text of a heredoc that becomes a file: quotes are text, and a backslash takes the next character as it is.
pub fn heredoc(body: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Expanded, String> {
    let mut expander = Expander::new(body, '\\', Quotes::Text, lookup);
    let text = expander.until(None, false)?.text;
    Ok(Expanded { text, unset: expander.unset })
}

impl MountSpec {
    /// The mount with its variables put in; its words are final then, and not to be expanded again.
    pub fn expanded(&self, escape: char, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let value = |text: &str| word(&text.into(), escape, lookup).map(|expanded| expanded.text);
        expanded_mount(&self.text, &value).map_err(|Bad { what, hint }| match hint {
            Some(hint) => format!("{what} ({hint})"),
            None => what,
        })
    }
}

/// What quotes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Meant,
    Text,
}

/// The text so far, and where it would be split.
#[derive(Debug, Default)]
struct Built {
    text: String,
    words: Vec<String>,
    word: String,
}

impl Built {
    /// A character that splits words when it is white space.
    fn push(&mut self, c: char) {
        self.text.push(c);
        if !c.is_whitespace() {
            self.word.push(c);
        } else if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    /// Text that was quoted or escaped, and splits nothing.
    fn push_whole(&mut self, text: &str) {
        self.text.push_str(text);
        self.word.push_str(text);
    }

    fn words(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.words.push(self.word);
        }
        self.words
    }
}

struct Expander<'a> {
    rest: Chars<'a>,
    escape: char,
    quotes: Quotes,
    /// Whether escapes stay: in patterns, which know escapes of their own.
    raw: bool,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    unset: Vec<String>,
    depth: usize,
    work: usize,
}

impl<'a> Expander<'a> {
    fn new(text: &'a str, escape: char, quotes: Quotes, lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { rest: text.chars(), escape, quotes, raw: false, lookup, unset: Vec::new(), depth: 0, work: 0 }
    }

    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    /// Takes a character if it is the next one.
    fn take(&mut self, c: char) -> bool {
        let is_next = self.peek() == Some(c);
        if is_next {
            self.rest.next();
        }
        is_next
    }

    fn spend(&mut self, work: usize) -> Result<(), String> {
        self.work = self.work.saturating_add(work);
        if self.work > MAX_WORK { Err("the variables' values are too long to be put in".to_owned()) } else { Ok(()) }
    }

    /// Everything up to `stop`, which is taken, or the end. With `raw`, escapes stay.
    fn until(&mut self, stop: Option<char>, raw: bool) -> Result<Built, String> {
        let before = std::mem::replace(&mut self.raw, raw);
        let mut built = Built::default();
        let mut closed = stop.is_none();
        while let Some(c) = self.rest.next() {
            if Some(c) == stop {
                closed = true;
                break;
            }
            self.one(c, &mut built)?;
            if built.text.len() > MAX_EXPANDED {
                return Err(format!("the text becomes longer than {MAX_EXPANDED} bytes"));
            }
        }
        self.raw = before;
        match stop {
            Some(stop) if !closed => Err(format!("there is no `{stop}` to end a `${{`")),
            _ => Ok(built),
        }
    }

    /// One character, or what it begins.
    fn one(&mut self, c: char, built: &mut Built) -> Result<(), String> {
        match c {
            '$' => self.dollar()?.chars().for_each(|c| built.push(c)),
            '\'' if self.quotes == Quotes::Meant => built.push_whole(&self.single()?),
            '"' if self.quotes == Quotes::Meant => built.push_whole(&self.double()?),
            c if c == self.escape => {
                if self.raw {
                    built.push_whole(c.encode_utf8(&mut [0; 4]));
                }
                if let Some(next) = self.rest.next() {
                    built.push_whole(next.encode_utf8(&mut [0; 4]));
                }
            }
            c => built.push(c),
        }
        Ok(())
    }

    /// Up to the closing `'`; nothing in there means anything.
    fn single(&mut self) -> Result<String, String> {
        let text = self.rest.as_str();
        let (inside, after) = text.split_once('\'').ok_or("a single quote stays open")?;
        self.rest = after.chars();
        Ok(inside.to_owned())
    }

    /// Up to the closing `"`; variables are put in, and escapes escape only what means something here.
    fn double(&mut self) -> Result<String, String> {
        let mut text = String::new();
        while let Some(c) = self.rest.next() {
            match c {
                '"' => return Ok(text),
                '$' => text.push_str(&self.dollar()?),
                c if c == self.escape => {
                    let next = self.peek();
                    let escapes = next.is_some_and(|next| matches!(next, '"' | '$') || next == self.escape);
                    if self.raw || !escapes {
                        text.push(c);
                    }
                    if escapes {
                        text.extend(self.rest.next());
                    }
                }
                c => text.push(c),
            }
            if text.len() > MAX_EXPANDED {
                return Err(format!("the text becomes longer than {MAX_EXPANDED} bytes"));
            }
        }
        Err("a double quote stays open".to_owned())
    }

    /// After a `$`.
    fn dollar(&mut self) -> Result<String, String> {
        if !self.take('{') {
            let name = self.name();
            return if name.is_empty() { Ok("$".to_owned()) } else { self.plain(&name) };
        }
        if self.depth == MAX_DEPTH {
            return Err(format!("`${{` goes deeper than {MAX_DEPTH}"));
        }
        self.depth += 1;
        let value = self.braces();
        self.depth -= 1;
        value
    }

    /// After `${`.
    fn braces(&mut self) -> Result<String, String> {
        let name = self.name();
        let open = || "there is no `}` to end a `${`".to_owned();
        let modifier = self.rest.next().ok_or_else(open)?;
        if name.is_empty() {
            return Err(format!("`${{{modifier}` has no name"));
        }
        let (modifier, unset_if_empty) = match modifier {
            '}' => return self.plain(&name),
            ':' => (self.rest.next().ok_or_else(open)?, true),
            '/' => return self.replace(&name),
            other => (other, false),
        };
        match modifier {
            '#' | '%' => return self.trim(&name, modifier),
            '-' | '+' | '?' => {}
            other => {
                let colon = if unset_if_empty { ":" } else { "" };
                return Err(format!("`${{{name}{colon}{other}` is not known; `- + ? # % /` may follow a name"));
            }
        }
        let word = self.until(Some('}'), false)?.text;
        let value = self.value(&name)?;
        let set = value.filter(|value| !(unset_if_empty && value.is_empty()));
        Ok(match (modifier, set) {
            ('-', None) => word,
            ('-' | '?', Some(value)) => value,
            ('+', Some(_)) => word,
            ('+', None) => String::new(),
            _ if word.is_empty() => return Err(format!("{name} has no value")),
            _ => return Err(format!("{name}: {word}")),
        })
    }

    /// After `${name#` or `${name%`; a second one asks for the longest match.
    fn trim(&mut self, name: &str, modifier: char) -> Result<String, String> {
        let text = self.until(Some('}'), true)?.text;
        let (text, reach) = match text.strip_prefix(modifier) {
            Some(text) => (text, pattern::Reach::Longest),
            None => (text.as_str(), pattern::Reach::Shortest),
        };
        let value = self.plain(name)?;
        self.spend(value.len().saturating_mul(text.len()))?;
        match modifier {
            '#' => pattern::trim_start(&value, text, reach),
            _ => pattern::trim_end(&value, text, reach),
        }
    }

    /// After `${name/`; a second one asks for all matches.
    fn replace(&mut self, name: &str) -> Result<String, String> {
        let all = self.take('/');
        let text = self.until(Some('/'), true)?.text;
        let by = self.until(Some('}'), true)?.text;
        let value = self.plain(name)?;
        self.spend(value.len().saturating_mul(text.len().saturating_add(by.len())))?;
        if all { pattern::replace_all(&value, &text, &by) } else { pattern::replace_first(&value, &text, &by) }
    }

    /// The value, or nothing, which is remembered.
    fn plain(&mut self, name: &str) -> Result<String, String> {
        let value = self.value(name)?;
        if value.is_none() && !self.unset.iter().any(|other| other == name) {
            self.unset.push(name.to_owned());
        }
        Ok(value.unwrap_or_default())
    }

    fn value(&mut self, name: &str) -> Result<Option<String>, String> {
        let value = (self.lookup)(name);
        // One more for the question itself, so that many questions are not free.
        self.spend(1 + value.as_ref().map_or(0, String::len))?;
        Ok(value)
    }

    /// The name that stands next: letters, digits and `_`; a number; or one of the shell's own, none of which is set.
    fn name(&mut self) -> String {
        let text = self.rest.as_str();
        let end = |rest: fn(char) -> bool| text.find(|c| !rest(c)).unwrap_or(text.len());
        let length = match text.chars().next() {
            Some(c) if c.is_ascii_digit() => end(|c| c.is_ascii_digit()),
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => 1,
            _ => end(|c| c.is_alphanumeric() || c == '_'),
        };
        let (name, rest) = text.split_at(length);
        self.rest = rest.chars();
        name.to_owned()
    }
}
