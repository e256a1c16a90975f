//! `FROM [--platform=P] IMAGE [AS NAME]`.

use super::super::lines::Logical;
use super::super::words::blank_words;
use super::{Bad, Request, Stage, Word};

pub(super) fn read(mut request: Request<'_>, logical: &Logical) -> Result<Stage, Bad> {
    let flags = request.flags(&["platform"])?;
    let (image, name) = match *blank_words(request.rest) {
        [image] => (image, None),
        [image, word, name] if word.eq_ignore_ascii_case("as") => (image, Some(stage_name(name)?)),
        _ => return Err(request.bad("is `FROM IMAGE` or `FROM IMAGE AS NAME`")),
    };
    Ok(Stage {
        line: logical.number,
        platform: flags.one("platform")?.map(Word::from),
        image: image.into(),
        name,
        lines: Vec::new(),
        original: logical.text.trim().to_owned(),
    })
}

fn stage_name(name: &str) -> Result<String, Bad> {
    let lower = name.to_lowercase();
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    if lower.starts_with(|c: char| c.is_ascii_lowercase()) && lower.bytes().all(inside) {
        return Ok(lower);
    }
    Err(Bad::new(format!("`{name}` is not a name for a stage"))
        .hint("a letter, then letters, digits, `-`, `_` and `.`; variables are not put in"))
}
