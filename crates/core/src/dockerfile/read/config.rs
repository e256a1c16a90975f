//! The instructions that only change how an image is started or described.

use super::super::expand::{self, Expanded};
use super::super::instruction::HealthTest;
use super::super::values;
use super::super::words::{blank_words, is_blank, shell_words};
use super::copy::is_final;
use super::{ArgDef, Bad, Command, Healthcheck, Instruction, Request, Word};

pub(super) fn read(mut request: Request<'_>) -> Result<Instruction, Bad> {
    request.flags(&[])?;
    let argument = request.argument()?;
    match request.name {
        "ARG" => args(&request).map(Instruction::Arg),
        "ENV" => pairs(&request).map(Instruction::Env),
        "LABEL" => pairs(&request).map(Instruction::Label),
        "WORKDIR" => Ok(Instruction::Workdir(argument.into())),
        "USER" => Ok(Instruction::User(argument.into())),
        "EXPOSE" => ports(argument).map(Instruction::Expose),
        "VOLUME" => volumes(&request).map(Instruction::Volume),
        "CMD" => command(&request).map(Instruction::Cmd),
        "ENTRYPOINT" => command(&request).map(Instruction::Entrypoint),
        "SHELL" => match request.json()? {
            Some(words) if !words.is_empty() => Ok(Instruction::Shell(words)),
            _ => Err(request.bad("is a JSON array").hint("for instance `SHELL [\"/bin/bash\", \"-c\"]`")),
        },
        "STOPSIGNAL" => {
            if is_final(argument) {
                values::signal(argument)?;
            }
            Ok(Instruction::Stopsignal(argument.into()))
        }
        "MAINTAINER" => Ok(Instruction::Maintainer(argument.to_owned())),
        other => Err(Bad::new(format!("{other} cannot stand here"))),
    }
}

fn command(request: &Request<'_>) -> Result<Command, Bad> {
    Ok(request.json()?.map_or_else(|| Command::Shell(request.rest.to_owned()), Command::Exec))
}

fn args(request: &Request<'_>) -> Result<Vec<ArgDef>, Bad> {
    let definition = |word: String| {
        let (name, default) = match word.split_once('=') {
            Some((name, default)) => (name, Some(Word::from(default))),
            None => (word.as_str(), None),
        };
        arg_name(name, request.escape).map(|name| ArgDef { name, default })
    };
    let words = shell_words(request.rest, request.escape);
    if words.is_empty() {
        return Err(request.bad("needs a name"));
    }
    words.into_iter().map(definition).collect()
}

fn arg_name(name: &str, escape: char) -> Result<String, Bad> {
    let bad = || Bad::new(format!("`{name}` is not a name for an ARG"));
    if name.contains('$') {
        return Err(bad().hint("variables are not put into names"));
    }
    let Expanded { text, .. } = expand::word(&name.into(), escape, &|_| None).map_err(|_| bad())?;
    if text.is_empty() || text.contains(char::is_whitespace) || text.contains(['=', '\0']) {
        return Err(bad().hint("`ARG NAME` or `ARG NAME=value`"));
    }
    Ok(text)
}

/// `key=value …`, or the old `KEY the rest`.
fn pairs(request: &Request<'_>) -> Result<Vec<(Word, Word)>, Bad> {
    let words = shell_words(request.rest, request.escape);
    if words.first().is_none_or(|first| !first.contains('=')) {
        let Some((key, value)) = request.rest.split_once(is_blank) else {
            return Err(request.bad("needs a value").hint(format!("`{} {}=…`", request.name, request.rest)));
        };
        return Ok(vec![(key.into(), value.trim_start_matches(is_blank).into())]);
    }
    let pair = |word: String| match word.split_once('=') {
        Some(("", _)) => Err(request.bad(&format!("was given a value without a name: `{word}`"))),
        Some((key, value)) => Ok((key.into(), value.into())),
        None => Err(request.bad(&format!("has no `=` in `{word}`")).hint("put values with blanks in quotes")),
    };
    words.into_iter().map(pair).collect()
}

fn ports(text: &str) -> Result<Vec<Word>, Bad> {
    let words = blank_words(text);
    for word in words.iter().filter(|word| is_final(word)) {
        values::port_range(word)?;
    }
    Ok(words.into_iter().map(Word::from).collect())
}

fn volumes(request: &Request<'_>) -> Result<Vec<Word>, Bad> {
    let paths = match request.json()? {
        Some(paths) => paths.iter().map(|path| path.trim().into()).collect(),
        None => blank_words(request.rest).into_iter().map(Word::from).collect::<Vec<_>>(),
    };
    if paths.is_empty() || paths.iter().any(|path| path.0.is_empty()) {
        return Err(request.bad("needs a path"));
    }
    Ok(paths)
}

const HEALTH: [&str; 5] = ["interval", "timeout", "start-period", "start-interval", "retries"];

pub(super) fn healthcheck(mut request: Request<'_>) -> Result<Healthcheck, Bad> {
    let flags = request.flags(&HEALTH)?;
    let argument = request.argument().map_err(|bad| bad.hint("`HEALTHCHECK CMD …` or `HEALTHCHECK NONE`"))?;
    let (kind, rest) = argument.split_once(char::is_whitespace).unwrap_or((argument, ""));
    let time = |name: &str| match flags.one(name)?.map(values::duration).transpose()? {
        // Nothing is what images say for "the default".
        None | Some(0) => Ok(None),
        Some(1..1_000_000) => Err(Bad::new(format!("--{name} is less than a millisecond"))),
        time => Ok(time),
    };
    let test = match kind.to_uppercase().as_str() {
        "NONE" if rest.is_empty() => HealthTest::None,
        "NONE" => return Err(request.bad("NONE takes nothing more")),
        "CMD" => {
            let rest = Request { rest: rest.trim_start(), name: "HEALTHCHECK CMD", ..request };
            rest.argument()?;
            match command(&rest)? {
                Command::Exec(words) if words.is_empty() => return Err(rest.bad("needs a command")),
                command => HealthTest::Command(command),
            }
        }
        _ => return Err(request.bad(&format!("is followed by CMD or NONE, not `{kind}`"))),
    };
    let retries = flags.one("retries")?;
    let retries =
        retries.map(|text| text.parse().map_err(|_| Bad::new(format!("--retries is a number, not `{text}`"))));
    Ok(Healthcheck {
        test,
        interval: time("interval")?,
        timeout: time("timeout")?,
        start_period: time("start-period")?,
        start_interval: time("start-interval")?,
        retries: retries.transpose()?.filter(|retries| *retries != 0),
    })
}
