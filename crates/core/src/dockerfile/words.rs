//! Cutting a logical line into its instruction, flags and words; quotes stay where they are.

/// What every split by white space takes for white space.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

/// The first word, the flags after it, and the rest.
pub(super) fn split(line: &str) -> (&str, Vec<String>, &str) {
    let line = line.trim();
    match line.split_once(is_blank) {
        Some((name, rest)) => {
            let (flags, rest) = flags(rest.trim_start_matches(is_blank));
            (name, flags, rest.trim())
        }
        None => (line, Vec::new(), ""),
    }
}

/// Takes the `--flags` off; a lone `--` ends them. Quotes and escapes in flags are resolved here.
fn flags(mut rest: &str) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    loop {
        rest = rest.trim_start();
        if !rest.starts_with("--") {
            return (flags, rest);
        }
        let (word, after) = flag(rest);
        if word == "--" {
            return (flags, after);
        }
        flags.push(word);
        rest = after;
    }
}

/// One flag, and what is after it.
fn flag(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            ('\\', open) if open != Some('\'') => word.extend(chars.next().map(|(_, c)| c)),
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            (c, None) if c.is_whitespace() => return (word, text.get(at..).unwrap_or_default()),
            (c, _) => word.push(c),
        }
    }
    (word, "")
}

/// Words as a shell sees them, except that quotes and escapes are kept.
pub(super) fn shell_words(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == escape && quote != Some('\'') {
            // An escape at the very end escapes nothing.
            if let Some(next) = chars.next() {
                word.extend([c, next]);
            }
            continue;
        }
        match quote {
            None if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            None if matches!(c, '\'' | '"') => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        word.push(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Words between white space, whatever they hold.
pub(super) fn blank_words(text: &str) -> Vec<&str> {
    text.split(is_blank).filter(|word| !word.is_empty()).collect()
}

/// What a JSON array says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Json {
    /// It is none.
    No,
    /// It is one of strings.
    Strings(Vec<String>),
    /// It is one of something else, too.
    Mixed,
}

/// Whether a whole argument is a JSON array.
pub(super) fn json(text: &str) -> Json {
    if !text.starts_with('[') {
        return Json::No;
    }
    if let Ok(strings) = serde_json::from_str(text) {
        return Json::Strings(strings);
    }
    match serde_json::from_str::<Vec<serde_json::Value>>(text) {
        Ok(_) => Json::Mixed,
        Err(_) => Json::No,
    }
}
