//! `--name=value` before an instruction's words.

use super::Bad;
use crate::words::{list, nearest};

/// The flags of one instruction, all of which it knows.
#[derive(Debug)]
pub(super) struct Flags(Vec<(String, Option<String>)>);

impl Flags {
    /// Reads them; what is not in `known` is an error.
    pub(super) fn read(instruction: &str, words: Vec<String>, known: &[&str]) -> Result<Self, Bad> {
        let mut flags = Vec::new();
        for word in words {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let name = name.trim_start_matches("--");
            if !known.contains(&name) {
                return Err(unknown(instruction, name, known));
            }
            flags.push((name.to_owned(), value));
        }
        Ok(Self(flags))
    }

    /// What a flag was given, in order; it may stand more than once.
    pub(super) fn all(&self, name: &str) -> Result<Vec<&str>, Bad> {
        let given = self.0.iter().filter(|(other, _)| other == name);
        given.map(|(_, value)| value.as_deref().ok_or_else(|| Bad::new(format!("--{name} has no value")))).collect()
    }

    /// What a flag was given that may stand once. An empty value is none.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Bad> {
        self.once(name)?;
        Ok(self.all(name)?.pop().filter(|value| !value.is_empty()))
    }

    /// Whether a flag stands, and says `true` or nothing.
    pub(super) fn switch(&self, name: &str) -> Result<Option<bool>, Bad> {
        self.once(name)?;
        let Some((_, value)) = self.0.iter().find(|(other, _)| other == name) else {
            return Ok(None);
        };
        match value.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("true" | "") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(Bad::new(format!("--{name} is `true` or `false`, not `{other}`"))),
        }
    }

    fn once(&self, name: &str) -> Result<(), Bad> {
        match self.0.iter().filter(|(other, _)| other == name).count() {
            0 | 1 => Ok(()),
            _ => Err(Bad::new(format!("--{name} is given twice"))),
        }
    }
}

fn unknown(instruction: &str, name: &str, known: &[&str]) -> Bad {
    let bad = Bad::new(format!("{instruction} has no flag --{name}"));
    match nearest(name, known.iter().copied()) {
        Some(near) => bad.hint(format!("did you mean --{near}?")),
        None if known.is_empty() => bad.hint(format!("{instruction} has no flags; a lone `--` ends them")),
        None => {
            let known: Vec<_> = known.iter().map(|name| format!("--{name}")).collect();
            bad.hint(format!("its flags: {}", list(known.iter().map(String::as_str))))
        }
    }
}
