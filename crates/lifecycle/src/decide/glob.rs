//! Patterns of slices: those of Go's `path/filepath.Match`, segment by segment; `*` does not cross a `/`.

/// A pattern relative to the app, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Vec<Token>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Just(char),
    One,
    Any,
    /// Ranges, and whether they are those that do not match.
    Class(Vec<(char, char)>, Polarity),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Polarity {
    In,
    NotIn,
}

impl Pattern {
    /// Reads a pattern. `None`: it leads out of the app, and matches nothing.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, String> {
        let mut segments = Vec::new();
        for segment in text.split('/') {
            match segment {
                "" | "." => {}
                ".." => {
                    if segments.pop().is_none() {
                        return Ok(None);
                    }
                }
                segment => segments.push(tokens(segment).ok_or_else(|| format!("`{text}` is not a pattern"))?),
            }
        }
        Ok(Some(Self(segments)))
    }

    /// How deep it reaches: 0 is the app itself.
    pub(crate) fn depth(&self) -> usize {
        self.0.len()
    }

    /// Whether a name fits at this depth.
    pub(crate) fn fits(&self, depth: usize, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        self.0.get(depth).is_some_and(|tokens| matches(tokens, &name))
    }
}

fn tokens(segment: &str) -> Option<Vec<Token>> {
    let mut chars = segment.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Any,
            '?' => Token::One,
            '\\' => Token::Just(chars.next()?),
            '[' => {
                let polarity = chars.next_if_eq(&'^').map_or(Polarity::In, |_| Polarity::NotIn);
                let mut ranges = Vec::new();
                while ranges.is_empty() || chars.peek() != Some(&']') {
                    let from = member(&mut chars)?;
                    let to = if chars.next_if_eq(&'-').is_some() { member(&mut chars)? } else { from };
                    ranges.push((from, to));
                }
                chars.next()?;
                Token::Class(ranges, polarity)
            }
            c => Token::Just(c),
        });
    }
    Some(tokens)
}

/// A character of a class; `-` and `]` need a backslash.
fn member(chars: &mut impl Iterator<Item = char>) -> Option<char> {
    match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    }
}

/// With one place to come back to: the last `*` swallows one more each time. At most pattern times name steps.
fn matches(tokens: &[Token], name: &[char]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star = None;
    while read < name.len() {
        match tokens.get(at) {
            Some(Token::Any) => {
                star = Some((at, read));
                at += 1;
                continue;
            }
            Some(token) if one(token, name[read]) => {
                at += 1;
                read += 1;
                continue;
            }
            _ => {}
        }
        let Some((star_at, swallowed)) = star else { return false };
        star = Some((star_at, swallowed + 1));
        at = star_at + 1;
        read = swallowed + 1;
    }
    tokens[at..].iter().all(|token| *token == Token::Any)
}

fn one(token: &Token, c: char) -> bool {
    match token {
        Token::Just(just) => *just == c,
        Token::One => true,
        Token::Any => false,
        Token::Class(ranges, polarity) => {
            ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) == (*polarity == Polarity::In)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(pattern: &str, path: &str) -> bool {
        let Some(pattern) = Pattern::parse(pattern).unwrap() else { return false };
        let names: Vec<_> = path.split('/').collect();
        pattern.depth() == names.len() && names.iter().enumerate().all(|(depth, name)| pattern.fits(depth, name))
    }

    #[test]
    fn patterns_match_as_go_does() {
        for (pattern, path, matches) in [
            ("a", "a", true),
            ("*", "a", true),
            ("*", "a/b", false),
            ("a/*", "a/b", true),
            ("/a/./b", "a/b", true),
            ("x/../a", "a", true),
            ("../a", "a", false),
            ("*.js", "app.js", true),
            ("*.js", ".js", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?.txt", "a.txt", true),
            ("?.txt", ".txt", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[\\]]", "]", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("**", "a", true),
            ("static", "static2", false),
        ] {
            assert_eq!(matched(pattern, path), matches, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_an_error() {
        for bad in ["[", "[]", "[a", "[a-", "[-a]", "a\\"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}
