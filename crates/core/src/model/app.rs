//! `till.toml` in the source: what an app may say of itself. Optional, normally a few lines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::name::{AppName, BaseRef};
use crate::contract;
use crate::plan::LimitsFile;
use crate::words::explain_toml;

/// The file's name, at the root of the source.
pub const FILE: &str = "till.toml";

/// What stands in a `till.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppFile {
    /// The app's name; by default the directory's or repository's.
    pub name: Option<AppName>,
    /// The base that prepares it.
    pub base: Option<BaseRef>,
    /// Values for the parameters that the base declares.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Environment of build and run.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Process types and their commands: a string for the shell, or an argv list.
    #[serde(default)]
    pub processes: BTreeMap<String, Command>,
    /// Of the app's own Dockerfile.
    pub dockerfile: Option<crate::dockerfile::spec::Choice>,
    /// For the contract of that name.
    pub heroku: Option<contract::heroku::AppSection>,
    /// For the contract of that name.
    pub cnb: Option<contract::cnb::AppSection>,
    /// For the contract of that name.
    pub cartridge: Option<contract::cartridge::AppSection>,
    /// For the contract of that name.
    pub s2i: Option<contract::s2i::AppSection>,
    /// What is prepared first, in this order: the output of each is the source of the next.
    #[serde(default)]
    pub before: Vec<Before>,
    /// The base that runs the result, where that is another one than the base that prepares it.
    pub run: Option<contract::RunSpec>,
    /// Limits of the build.
    #[serde(default)]
    pub limits: LimitsFile,
}

/// Something that is prepared before the app: its output is the source of what comes after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// The base that prepares it.
    pub base: Option<BaseRef>,
    /// The directory that is the next source, absolute.
    pub output: String,
    /// As of an app.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// As of an app.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// As of an app.
    pub dockerfile: Option<crate::dockerfile::spec::Choice>,
    /// As of an app.
    pub heroku: Option<contract::heroku::AppSection>,
    /// As of an app.
    pub cnb: Option<contract::cnb::AppSection>,
    /// As of an app.
    pub cartridge: Option<contract::cartridge::AppSection>,
    /// As of an app.
    pub s2i: Option<contract::s2i::AppSection>,
    /// As of an app.
    #[serde(default)]
    pub limits: LimitsFile,
}

impl Before {
    /// The same as an app of its own.
    pub fn app_file(&self) -> AppFile {
        let nothing = Command::Argv(vec!["true".to_owned()]);
        AppFile {
            base: self.base.clone(),
            parameters: self.parameters.clone(),
            env: self.env.clone(),
            // It is never started, and no contract has to find out how it could be.
            processes: BTreeMap::from([("output".to_owned(), nothing)]),
            dockerfile: self.dockerfile.clone(),
            heroku: self.heroku.clone(),
            cnb: self.cnb.clone(),
            cartridge: self.cartridge.clone(),
            s2i: self.s2i.clone(),
            limits: self.limits.clone(),
            ..AppFile::default()
        }
    }
}

/// A command: one string, run by the contract's shell, or an argv list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Command {
    /// Run by the shell.
    Line(String),
    /// Run as it is.
    Argv(Vec<String>),
}

impl Command {
    /// As argv, with `shell` before a line.
    pub fn argv(&self, shell: &[String]) -> Vec<String> {
        match self {
            Self::Argv(argv) => argv.clone(),
            Self::Line(line) => shell.iter().cloned().chain([line.clone()]).collect(),
        }
    }
}

/// A `till.toml` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read till.toml of the source:\n{0}")]
pub struct BadAppFile(pub String);

impl AppFile {
    /// Reads the text of a `till.toml`.
    pub fn parse(text: &str) -> Result<Self, BadAppFile> {
        let file: Self = toml::from_str(text).map_err(|error| BadAppFile(explain_toml(&error)))?;
        file.limits.check().map_err(BadAppFile)?;
        if let Some(before) = file.before.iter().find(|before| !before.output.starts_with('/')) {
            return Err(BadAppFile(format!("`output = \"{}\"` is not an absolute path", before.output)));
        }
        let empty = |command: &Command| command.argv(&[]).first().is_none_or(|word| word.trim().is_empty());
        match file.processes.iter().find(|(_, command)| empty(command)) {
            Some((name, _)) => Err(BadAppFile(format!("process `{name}` runs nothing"))),
            None => Ok(file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest() {
        let error = AppFile::parse("base = \"python\"\n[enf]\nA = \"1\"\n").unwrap_err();
        assert!(error.0.contains("line 2"), "{error}");
        assert!(error.0.contains("did you mean `env`"), "{error}");
    }

    #[test]
    fn a_command_that_runs_nothing_is_none() {
        for command in ["[]", "\"\"", "\" \"", "[\"\", \"a\"]"] {
            let error = AppFile::parse(&format!("[processes]\nweb = {command}\n")).unwrap_err();
            assert!(error.0.contains("process `web` runs nothing"), "{command}: {error}");
        }
    }

    #[test]
    fn a_command_is_a_line_or_a_list() {
        let app = AppFile::parse("[processes]\nweb = \"run $PORT\"\njob = [\"a\", \"b c\"]\n").unwrap();
        let shell = ["sh".to_owned(), "-c".to_owned()];
        assert_eq!(app.processes["web"].argv(&shell), ["sh", "-c", "run $PORT"]);
        assert_eq!(app.processes["job"].argv(&shell), ["a", "b c"]);
    }
}
