//! The patterns of `${v#pattern}` and `${v/pattern/text}`: `*` is anything, `?` one character, a backslash makes them
//! plain. There are no brackets.
//!
//! A pattern is the pieces between its stars. The pieces are looked for one after the other, each at its first place,
//! which never loses a match, so that there is nothing to go back to.

/// Which of several matches is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Shortest,
    Longest,
}

/// A character, or any.
type Piece = Vec<Option<char>>;

/// The pieces; there is always one.
fn pieces(pattern: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = vec![Piece::new()];
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let token = match c {
            '*' => {
                pieces.push(Piece::new());
                continue;
            }
            '?' => None,
            '\\' => match chars.next() {
                Some(next @ ('*' | '?' | '\\' | '}' | '/')) => Some(next),
                Some(next) => return Err(format!("`\\{next}` means nothing in the pattern `{pattern}`")),
                None => return Err(format!("the pattern `{pattern}` ends with a backslash")),
            },
            c => Some(c),
        };
        if let Some(piece) = pieces.last_mut() {
            piece.push(token);
        }
    }
    Ok(pieces)
}

fn stands_at(piece: &Piece, value: &[char], at: usize) -> bool {
    let end = at.saturating_add(piece.len());
    value
        .get(at..end)
        .is_some_and(|part| part.iter().zip(piece).all(|(c, token)| token.is_none_or(|token| token == *c)))
}

fn first(piece: &Piece, value: &[char], from: usize) -> Option<usize> {
    (from..=value.len().checked_sub(piece.len())?).find(|at| stands_at(piece, value, *at))
}

fn last(piece: &Piece, value: &[char], from: usize) -> Option<usize> {
    (from..=value.len().checked_sub(piece.len())?).rev().find(|at| stands_at(piece, value, *at))
}

/// Where a match ends that begins at `at`.
fn end(pieces: &[Piece], value: &[char], at: usize, reach: Reach) -> Option<usize> {
    let (head, rest) = pieces.split_first()?;
    if !stands_at(head, value, at) {
        return None;
    }
    let mut end = at + head.len();
    let Some((tail, middle)) = rest.split_last() else {
        return Some(end);
    };
    for piece in middle {
        end = first(piece, value, end)? + piece.len();
    }
    let found = match reach {
        Reach::Shortest => first(tail, value, end)?,
        Reach::Longest => last(tail, value, end)?,
    };
    Some(found + tail.len())
}

pub(super) fn trim_start(value: &str, pattern: &str, reach: Reach) -> Result<String, String> {
    let chars: Vec<char> = value.chars().collect();
    let end = end(&pieces(pattern)?, &chars, 0, reach).unwrap_or(0);
    Ok(chars.into_iter().skip(end).collect())
}

/// The same from behind: everything is turned round.
pub(super) fn trim_end(value: &str, pattern: &str, reach: Reach) -> Result<String, String> {
    let chars: Vec<char> = value.chars().rev().collect();
    let turn = |piece: Piece| piece.into_iter().rev().collect();
    let pieces: Vec<Piece> = pieces(pattern)?.into_iter().rev().map(turn).collect();
    let kept = chars.len() - end(&pieces, &chars, 0, reach).unwrap_or(0);
    Ok(value.chars().take(kept).collect())
}

/// The first match from `from` on, which is the longest there.
fn find(pieces: &[Piece], value: &[char], from: usize) -> Option<(usize, usize)> {
    let start = first(pieces.first()?, value, from)?;
    // What the pieces after it do not find behind its first place, they do not find behind a later one.
    end(pieces, value, start, Reach::Longest).map(|end| (start, end))
}

pub(super) fn replace_first(value: &str, pattern: &str, by: &str) -> Result<String, String> {
    replace(value, pattern, by, 1)
}

pub(super) fn replace_all(value: &str, pattern: &str, by: &str) -> Result<String, String> {
    replace(value, pattern, by, usize::MAX)
}

fn replace(value: &str, pattern: &str, by: &str, most: usize) -> Result<String, String> {
    let pieces = pieces(pattern)?;
    if pattern.is_empty() {
        return Ok(value.to_owned());
    }
    let chars: Vec<char> = value.chars().collect();
    let (mut text, mut from) = (String::new(), 0);
    for _ in 0..most {
        let Some((start, end)) = find(&pieces, &chars, from) else { break };
        text.extend(chars.get(from..start).unwrap_or_default());
        text.push_str(by);
        from = end;
        if from == chars.len() {
            break;
        }
    }
    text.extend(chars.get(from..).unwrap_or_default());
    Ok(text)
}
