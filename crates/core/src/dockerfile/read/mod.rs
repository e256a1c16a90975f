//! From a logical line to an instruction: which one it is, and its flags, words and heredocs.

mod config;
mod copy;
mod from;
mod mount;
mod run;

use super::flags::Flags;
use super::heredoc::{self, Body};
use super::instruction::{ArgDef, Command, Healthcheck, Instruction, Line, Stage, Word};
use super::lines::{Lines, Logical};
use super::words::{self, Json};
use super::{Bad, BadDockerfile};
use crate::words::nearest;

pub(super) use mount::expanded as expanded_mount;

/// All that there are.
const INSTRUCTIONS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// What a line is.
#[derive(Debug)]
pub(super) enum Statement {
    From(Stage),
    Other(Instruction),
}

/// One instruction, cut but not understood.
#[derive(Debug)]
struct Request<'a> {
    /// In capitals.
    name: &'a str,
    flags: Vec<String>,
    /// After the flags, trimmed.
    rest: &'a str,
    heredocs: Vec<Body>,
    escape: char,
}

impl<'a> Request<'a> {
    fn flags(&mut self, known: &[&str]) -> Result<Flags, Bad> {
        Flags::read(self.name, std::mem::take(&mut self.flags), known)
    }

    /// The rest, which must not be empty.
    fn argument(&self) -> Result<&'a str, Bad> {
        if self.rest.is_empty() { Err(self.bad("needs an argument")) } else { Ok(self.rest) }
    }

    /// The strings of a JSON array; none when it is not an array.
    fn json(&self) -> Result<Option<Vec<String>>, Bad> {
        match words::json(self.rest) {
            Json::Strings(strings) => Ok(Some(strings)),
            Json::No => Ok(None),
            Json::Mixed => Err(self
                .bad("was given a JSON array of something else than strings")
                .hint("put every element in double quotes")),
        }
    }

    fn bad(&self, what: &str) -> Bad {
        Bad::new(format!("{} {what}", self.name))
    }
}

/// Reads a line of a Dockerfile.
pub(super) fn statement(logical: &Logical, lines: &mut Lines<'_>) -> Result<Statement, BadDockerfile> {
    let mut read = || {
        let (name, flags, rest) = words::split(&logical.text);
        let name = name.to_uppercase();
        match name.as_str() {
            "FROM" => {
                from::read(Request { name: "FROM", flags, rest, heredocs: Vec::new(), escape: lines.escape }, logical)
                    .map(Statement::From)
            }
            "ONBUILD" => {
                onbuild(&Request { name: "ONBUILD", flags, rest, heredocs: Vec::new(), escape: lines.escape }, lines)
                    .map(Statement::Other)
            }
            _ => instruction(&logical.text, lines).map(Statement::Other),
        }
    };
    read().map_err(|bad: Bad| bad.at(logical.number))
}

/// Reads a line that is a trigger.
pub(super) fn trigger(logical: &Logical, lines: &mut Lines<'_>) -> Result<Line, BadDockerfile> {
    let read = may_be_trigger(&logical.text).and_then(|()| instruction(&logical.text, lines));
    read.map(|instruction| logical.line(instruction)).map_err(|bad| bad.at(logical.number))
}

fn may_be_trigger(text: &str) -> Result<(), Bad> {
    let name = words::split(text).0.to_uppercase();
    match name.as_str() {
        "FROM" | "MAINTAINER" | "ONBUILD" => Err(Bad::new(format!("{name} cannot be a trigger of ONBUILD"))),
        _ => Ok(()),
    }
}

/// The trigger is read, to say now what is wrong with it, and kept as text, which is how images bring it along.
fn onbuild(request: &Request<'_>, lines: &mut Lines<'_>) -> Result<Instruction, Bad> {
    if !request.flags.is_empty() {
        return Err(request.bad("has no flags"));
    }
    let text = request.argument()?;
    may_be_trigger(text)?;
    let mut heredocs = Vec::new();
    instruction_with(text, lines, &mut heredocs)?;
    Ok(Instruction::Onbuild(heredoc::rejoin(text, &heredocs)))
}

/// Reads every instruction that may be a trigger, and `MAINTAINER`.
fn instruction(text: &str, lines: &mut Lines<'_>) -> Result<Instruction, Bad> {
    instruction_with(text, lines, &mut Vec::new())
}

/// The same, and says which heredocs it had.
fn instruction_with(text: &str, lines: &mut Lines<'_>, found: &mut Vec<Body>) -> Result<Instruction, Bad> {
    let (typed, flags, rest) = words::split(text);
    let name = typed.to_uppercase();
    let Some(name) = INSTRUCTIONS.into_iter().find(|known| **known == name) else {
        return Err(unknown(typed, &name));
    };
    if matches!(name, "RUN" | "COPY" | "ADD") && words::json(rest) == Json::No {
        *found = heredoc::bodies(text, lines)?;
    }
    let request = Request { name, flags, rest, heredocs: found.clone(), escape: lines.escape };
    match name {
        "RUN" => {
            if request.heredocs.iter().any(|heredoc| heredoc.text.contains("\r\n")) {
                lines.warn(lines.number(), "the lines of the heredoc end with CR LF, which shells do not like");
            }
            run::read(request).map(Instruction::Run)
        }
        "COPY" => copy::copy(request).map(Instruction::Copy),
        "ADD" => copy::add(request).map(Instruction::Add),
        "HEALTHCHECK" => config::healthcheck(request).map(Instruction::Healthcheck),
        _ => config::read(request),
    }
}

fn unknown(typed: &str, name: &str) -> Bad {
    let bad = Bad::new(format!("there is no instruction `{}`", typed.chars().take(40).collect::<String>()));
    if typed.starts_with("//") {
        return bad.hint("comments begin with #");
    }
    match nearest(name, INSTRUCTIONS) {
        Some(near) => bad.hint(format!("did you mean {near}?")),
        None => bad.hint("where this belongs to the line before, that one ends with a backslash"),
    }
}
