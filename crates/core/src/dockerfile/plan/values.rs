//! ARG and ENV: what a variable is at a place of the Dockerfile.

use std::collections::BTreeMap;

use super::{Ask, bad};
use crate::dockerfile::{ArgDef, BadDockerfile, Instruction, Word, expand};

/// What `RUN` finds in its environment, without any ARG, when it is given for the build.
const PREDEFINED: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// ARGs before the first FROM, and those that are always there.
pub(super) struct Globals {
    declared: BTreeMap<String, Option<String>>,
    platform: BTreeMap<String, String>,
}

pub(super) fn is_predefined(name: &str) -> bool {
    PREDEFINED.contains(&name.to_uppercase().as_str())
}

/// What is said of the platform: we build for the machine that we build on.
fn platform(architecture: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for prefix in ["TARGET", "BUILD"] {
        for (name, value) in [
            ("PLATFORM", format!("linux/{architecture}")),
            ("OS", "linux".to_owned()),
            ("ARCH", architecture.to_owned()),
            ("VARIANT", String::new()),
        ] {
            values.insert(format!("{prefix}{name}"), value);
        }
    }
    values
}

pub(super) fn globals(ask: &Ask<'_>) -> Result<Globals, BadDockerfile> {
    let mut globals = Globals { declared: BTreeMap::new(), platform: platform(ask.architecture) };
    for line in &ask.dockerfile.global {
        let Instruction::Arg(args) = &line.instruction else {
            continue;
        };
        for arg in args {
            let value = match (ask.args.get(&arg.name), &arg.default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => Some(globals.expand(default, ask, line.number)?),
                (None, None) => globals.platform.get(&arg.name).cloned(),
            };
            globals.declared.insert(arg.name.clone(), value);
        }
    }
    Ok(globals)
}

impl Globals {
    /// A word of a FROM.
    pub(super) fn expand(&self, word: &Word, ask: &Ask<'_>, line: u32) -> Result<String, BadDockerfile> {
        let lookup = |name: &str| match self.declared.get(name) {
            Some(value) => value.clone(),
            None => self.platform.get(name).cloned(),
        };
        let expanded = expand::word(word, ask.dockerfile.directives.escape, &lookup);
        expanded.map(|expanded| expanded.text).map_err(|why| bad(line, why))
    }

    /// The value that `ARG name` takes in a stage, where nothing is given for the build and no default stands there.
    fn inherited(&self, name: &str) -> Option<String> {
        match self.declared.get(name) {
            Some(value) => value.clone(),
            None => self.platform.get(name).cloned(),
        }
    }
}

/// The ARGs of a stage that have a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Args(pub(super) BTreeMap<String, String>);

impl Args {
    /// What `ARG` does; `lookup` is for its default.
    pub(super) fn declare(
        &mut self,
        arg: &ArgDef,
        ask: &Ask<'_>,
        globals: &Globals,
        expand: impl FnOnce(&Word) -> Result<String, BadDockerfile>,
    ) -> Result<(), BadDockerfile> {
        let value = match (ask.args.get(&arg.name), &arg.default) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(default)) => Some(expand(default)?),
            (None, None) => globals.inherited(&arg.name),
        };
        // Without a value it takes none away that it has already.
        self.0.extend(value.map(|value| (arg.name.clone(), value)));
        Ok(())
    }

    /// What steps find of them, with what is predefined.
    pub(super) fn env(&self, ask: &Ask<'_>) -> BTreeMap<String, String> {
        let predefined = ask.args.iter().filter(|(name, _)| is_predefined(name));
        predefined.chain(&self.0).map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}
