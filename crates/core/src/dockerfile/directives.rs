//! The `# key=value` lines at the head: how to read the rest.

use super::{Bad, BadDockerfile, Warning, lines};

/// What the head says about the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// `escape`: a backslash, or a backtick.
    pub escape: char,
    /// `syntax`: the frontend that the author had in mind. Ours is the only one here.
    pub syntax: Option<String>,
    /// `check`: which of BuildKit's lints to skip.
    pub check: Option<String>,
}

impl Default for Directives {
    fn default() -> Self {
        Self { escape: '\\', syntax: None, check: None }
    }
}

/// Reads the head; the first line that is not a directive ends it.
pub(super) fn read(text: &str, warnings: &mut Vec<Warning>) -> Result<Directives, BadDockerfile> {
    let mut found = Directives::default();
    let mut seen = Vec::new();
    // After a `#!` line BuildKit still looks for `syntax`, and for nothing else.
    let shebang = text.starts_with("#!");
    for (number, line) in (1u32..).zip(text.lines()).skip(usize::from(shebang)) {
        let Some((key, value)) = directive(lines::bare(line)) else { break };
        let bad = |what: String| Err(Bad::new(what).at(number));
        if !matches!(key.as_str(), "syntax" | "escape" | "check") || (shebang && key != "syntax") {
            break;
        }
        if seen.contains(&key) {
            return bad(format!("there is a second `{key}` directive"));
        }
        match key.as_str() {
            "syntax" => {
                if !is_ours(value) {
                    let what = format!("the frontend `{value}` is not used; the file is read as `docker/dockerfile:1`");
                    warnings.push(Warning { line: number, what });
                }
                found.syntax = Some(value.to_owned());
            }
            "check" => found.check = Some(value.to_owned()),
            _ => match value {
                "\\" => found.escape = '\\',
                "`" => found.escape = '`',
                _ => return bad(format!("the escape character `{value}` is neither `\\` nor a backtick")),
            },
        }
        seen.push(key);
    }
    Ok(found)
}

/// `# key = value`.
fn directive(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.trim_start().strip_prefix('#')?.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let named = key.starts_with(|c: char| c.is_ascii_alphabetic()) && key.bytes().all(|b| b.is_ascii_alphanumeric());
    (named && !value.is_empty()).then(|| (key.to_ascii_lowercase(), value))
}

/// Whether a frontend is the one that we imitate.
fn is_ours(syntax: &str) -> bool {
    let name = syntax.strip_prefix("docker.io/").unwrap_or(syntax);
    name.strip_prefix("docker/dockerfile").is_some_and(|tag| tag.is_empty() || tag.starts_with(":1"))
}
