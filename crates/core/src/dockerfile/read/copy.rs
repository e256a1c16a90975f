//! `COPY` and `ADD`.

use super::super::chmod;
use super::super::flags::Flags;
use super::super::heredoc::{self, Body};
use super::super::ignore::check_pattern;
use super::super::instruction::{Add, Copy, Heredoc, Source};
use super::super::words::blank_words;
use super::{Bad, Request, Word};

const COPY: [&str; 6] = ["from", "chown", "chmod", "link", "parents", "exclude"];
const ADD: [&str; 7] = ["chown", "chmod", "link", "exclude", "checksum", "keep-git-dir", "unpack"];

pub(super) fn copy(mut request: Request<'_>) -> Result<Copy, Bad> {
    let flags = request.flags(&COPY)?;
    let mut copy = common(&request, &flags)?;
    copy.from = flags.one("from")?.map(from).transpose()?;
    copy.parents = flags.switch("parents")?.unwrap_or(false);
    Ok(copy)
}

pub(super) fn add(mut request: Request<'_>) -> Result<Add, Bad> {
    let flags = request.flags(&ADD)?;
    Ok(Add {
        copy: common(&request, &flags)?,
        checksum: flags.one("checksum")?.map(Word::from),
        keep_git_dir: flags.switch("keep-git-dir")?.unwrap_or(false),
        unpack: flags.switch("unpack")?,
    })
}

/// Which stage is needed is known before any value is.
pub(super) fn from(name: &str) -> Result<String, Bad> {
    if name.contains('$') {
        return Err(Bad::new(format!("variables are not put into a `from`: `{name}`")).hint(
            "give it a stage of its own, `FROM ${NAME} AS alias` with an ARG before the first FROM, and take that",
        ));
    }
    Ok(name.to_owned())
}

/// What both have.
fn common(request: &Request<'_>, flags: &Flags) -> Result<Copy, Bad> {
    let (sources, dest) = paths(request)?;
    let chmod = flags.one("chmod")?;
    if let Some(text) = chmod.filter(|text| is_final(text)) {
        chmod::mode(text)?;
    }
    let exclude = flags.all("exclude")?;
    for pattern in exclude.iter().filter(|pattern| is_final(pattern)) {
        check_pattern(pattern)?;
    }
    Ok(Copy {
        from: None,
        chown: flags.one("chown")?.map(Word::from),
        chmod: chmod.map(Word::from),
        link: flags.switch("link")?.unwrap_or(false),
        parents: false,
        exclude: exclude.into_iter().map(Word::from).collect(),
        sources,
        dest,
    })
}

/// Whether expansion would change nothing.
pub(super) fn is_final(text: &str) -> bool {
    !text.contains(['$', '\\', '`', '"', '\''])
}

/// The words but the last, and the last.
fn paths(request: &Request<'_>) -> Result<(Vec<Source>, Word), Bad> {
    let json = request.json()?;
    let literal = json.is_some();
    let mut words = json.unwrap_or_else(|| joined(&blank_words(request.rest)));
    let (Some(dest), false) = (words.pop(), words.is_empty()) else {
        return Err(request.bad("needs a source and a destination"));
    };
    if literal {
        return Ok((words.into_iter().map(|word| Source::Path(Word(word))).collect(), Word(dest)));
    }
    if heredoc::opening(&dest).is_some() {
        return Err(request.bad("has a heredoc where its destination should be").hint("the destination stands last"));
    }
    let sources = words.into_iter().map(|word| source(word, &request.heredocs)).collect::<Result<_, _>>()?;
    Ok((sources, Word(dest)))
}

/// Puts a `<<` and the name after it together.
fn joined(words: &[&str]) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    for word in words {
        match joined.last_mut() {
            Some(last) if heredoc::is_bare(last) => last.push_str(word),
            _ => joined.push((*word).to_owned()),
        }
    }
    joined
}

fn source(word: String, bodies: &[Body]) -> Result<Source, Bad> {
    let Some(opening) = heredoc::opening(&word) else {
        if word.starts_with("<<") && !bodies.is_empty() {
            return Err(Bad::new(format!("`{word}` is no heredoc: the name of one that becomes a file has no blanks")));
        }
        return Ok(Source::Path(Word(word)));
    };
    heredoc::file_name(&opening.name)?;
    // Of several with the same name, the last one's text counts, as for BuildKit.
    match bodies.iter().rev().find(|body| body.opening.name == opening.name) {
        Some(body) => Ok(Source::Heredoc(Heredoc { body: body.content(), name: opening.name, expand: opening.expand })),
        None => Err(Bad::new(format!("the heredoc `{}` has no text", opening.name))),
    }
}
