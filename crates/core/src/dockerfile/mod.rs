//! Dockerfiles: their text as stages and instructions, and the small languages inside of them.
//!
//! A text is cut into logical lines ([`parse`]), and every line is read as far as it can be without knowing a value:
//! what is wrong is said with its line before anything is done. Values are put in later, with [`expand`], because one
//! instruction sees what those before it set. Nothing here looks at a file, pulls an image or decides what a step does;
//! whoever plans a build does.

pub mod expand;
pub mod glob;
pub mod ignore;
pub mod plan;
pub mod spec;

mod chmod;
mod directives;
mod flags;
mod heredoc;
mod instruction;
mod lines;
mod read;
mod values;
mod words;

#[cfg(test)]
mod tests;

use crate::fault::{Blame, Fault};

pub use chmod::{Chmod, Clause, mode};
pub use directives::Directives;
pub use instruction::{
    Add, ArgDef, Command, Copy, HealthTest, Healthcheck, Heredoc, Instruction, Line, MountKind, MountSpec, Run,
    RunCommand, RunNetwork, Sharing, Source, Stage, Word,
};
pub use values::{Transport, duration, port, signal};

/// The longest text of a Dockerfile; the longest in public repositories are a tenth of it.
pub const MAX_TEXT: usize = 1 << 20;
/// The longest line as written, which is BuildKit's.
pub const MAX_LINE: usize = 65_535;
/// The most instructions: each may become a layer, and runtimes take at most some hundred layers.
pub const MAX_INSTRUCTIONS: usize = 4096;
/// The most stages.
pub const MAX_STAGES: usize = 256;

/// A Dockerfile that cannot be built, with the line that is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct BadDockerfile {
    /// The line at which the instruction begins, from 1.
    pub line: u32,
    /// What is wrong there.
    pub what: String,
    /// What to write in its place, where we know.
    pub hint: Option<String>,
}

impl Blame for BadDockerfile {
    fn fault(&self) -> Fault {
        Fault::Source
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// Something that is legal and probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The line, from 1.
    pub line: u32,
    /// What is strange there.
    pub what: String,
}

/// A Dockerfile, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// The `# key=value` lines at its head.
    pub directives: Directives,
    /// The `ARG`s before the first `FROM`; only `FROM`s see them.
    pub global: Vec<Line>,
    /// Never empty.
    pub stages: Vec<Stage>,
    /// In the order of their lines.
    pub warnings: Vec<Warning>,
}

/// Reads a Dockerfile.
pub fn parse(text: &[u8]) -> Result<Dockerfile, BadDockerfile> {
    let text = lines::decode(text)?;
    let mut warnings = Vec::new();
    let directives = directives::read(text, &mut warnings)?;
    let mut lines = lines::Lines::new(text, directives.escape);
    let mut dockerfile = Dockerfile { directives, global: Vec::new(), stages: Vec::new(), warnings };
    let mut count = 0;
    while let Some(logical) = lines.next()? {
        let statement = read::statement(&logical, &mut lines)?;
        count += 1;
        if count > MAX_INSTRUCTIONS {
            return Err(Bad::new(format!("there are more than {MAX_INSTRUCTIONS} instructions")).at(logical.number));
        }
        dockerfile.add(statement, &logical).map_err(|bad| bad.at(logical.number))?;
    }
    if dockerfile.stages.is_empty() {
        let bad = Bad::new("there is no FROM").hint("a Dockerfile begins with `FROM IMAGE`, or with `FROM scratch`");
        return Err(bad.at(lines.number().max(1)));
    }
    dockerfile.warnings.append(&mut lines.warnings);
    dockerfile.warnings.sort_by_key(|warning| warning.line);
    Ok(dockerfile)
}

/// Reads one trigger that an image brings along (`ONBUILD` of the Dockerfile that it was made of).
pub fn parse_trigger(text: &str) -> Result<Line, BadDockerfile> {
    let text = lines::decode(text.as_bytes())?;
    let mut lines = lines::Lines::new(text, '\\');
    let Some(logical) = lines.next()? else {
        return Err(Bad::new("the trigger is empty").at(1));
    };
    let read = read::trigger(&logical, &mut lines)?;
    match lines.next()? {
        None => Ok(read),
        Some(more) => Err(Bad::new("a trigger is one instruction; here is a second").at(more.number)),
    }
}

impl Dockerfile {
    fn add(&mut self, statement: read::Statement, logical: &lines::Logical) -> Result<(), Bad> {
        match (statement, self.stages.last_mut()) {
            (read::Statement::From(stage), _) => self.begin(stage),
            (read::Statement::Other(instruction), Some(stage)) => {
                stage.lines.push(logical.line(instruction));
                Ok(())
            }
            (read::Statement::Other(Instruction::Arg(args)), None) => {
                self.global.push(logical.line(Instruction::Arg(args)));
                Ok(())
            }
            (read::Statement::Other(_), None) => {
                let name = logical.text.split_whitespace().next().unwrap_or_default().to_uppercase();
                Err(Bad::new(format!("{name} stands before the first FROM")).hint("only ARG may"))
            }
        }
    }

    fn begin(&mut self, stage: Stage) -> Result<(), Bad> {
        if self.stages.len() == MAX_STAGES {
            return Err(Bad::new(format!("there are more than {MAX_STAGES} stages")));
        }
        if let Some(name) = &stage.name {
            if let Some(first) = self.stages.iter().find(|other| other.name.as_ref() == Some(name)) {
                return Err(Bad::new(format!("the stage `{name}` is already at line {}", first.line))
                    .hint("give one of them another name"));
            }
            if matches!(name.as_str(), "scratch" | "context") {
                let what =
                    format!("`{name}` means something else where an image is expected; the stage cannot be used");
                self.warnings.push(Warning { line: stage.line, what });
            }
        }
        self.stages.push(stage);
        Ok(())
    }
}

/// What is wrong with a line that does not know its number yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bad {
    what: String,
    hint: Option<String>,
}

impl Bad {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn at(self, line: u32) -> BadDockerfile {
        BadDockerfile { line, what: self.what, hint: self.hint }
    }
}

impl From<String> for Bad {
    fn from(what: String) -> Self {
        Self::new(what)
    }
}
