//! What stands in `base.toml` and `till.toml` of a Dockerfile, and which files of the source it needs to be read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ignore::Ignore;
use super::plan::Context;
use super::{BadDockerfile, Dockerfile};
use crate::model::SourceView;
use crate::model::source::FileKind;
use crate::plan::LimitsFile;

/// The file's name, when nobody says.
pub const FILE: &str = "Dockerfile";
/// What other tools call it; looked for last.
const CONTAINERFILE: &str = "Containerfile";
/// What is not copied, when there is no file of the Dockerfile's own.
const IGNORE: &str = ".dockerignore";

/// Which recipe or contract it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A Dockerfile.
    #[default]
    Dockerfile,
}

/// `kind = "dockerfile"`: as recipe the Dockerfile is the base's, as contract the app's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DockerfileSpec {
    /// Which recipe or contract it is.
    pub kind: Kind,
    /// The Dockerfile, from the root of the source.
    pub file: Option<String>,
    /// The stage that becomes the image; the last.
    pub target: Option<String>,
    /// Values for its ARGs.
    #[serde(default)]
    pub args: BTreeMap<String, String>,
    /// Limits of builds.
    #[serde(default)]
    pub limits: LimitsFile,
}

/// What an app, or who builds it, says of its Dockerfile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The Dockerfile, from the root of the source.
    pub file: Option<String>,
    /// The stage that becomes the image.
    pub target: Option<String>,
    /// Values for its ARGs.
    #[serde(default)]
    pub args: BTreeMap<String, String>,
}

impl Choice {
    /// This, where it says something, over `other`.
    #[must_use]
    pub fn over(&self, other: Self) -> Self {
        let mut args = other.args;
        args.extend(self.args.clone());
        Self { file: self.file.clone().or(other.file), target: self.target.clone().or(other.target), args }
    }
}

impl From<&DockerfileSpec> for Choice {
    fn from(spec: &DockerfileSpec) -> Self {
        Self { file: spec.file.clone(), target: spec.target.clone(), args: spec.args.clone() }
    }
}

impl DockerfileSpec {
    /// What contradicts itself, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        let outside = |file: &&String| file.starts_with('/') || file.split('/').any(|part| part == "..");
        match self.file.as_ref().filter(outside) {
            Some(file) => Err(format!("file = \"{file}\" leads out of the source")),
            None => self.limits.check(),
        }
    }
}

/// The path of the Dockerfile that is meant, if it is there; `dockerfile` and `Containerfile` are looked for, too.
pub fn path(choice: &Choice, source: &SourceView) -> Result<String, String> {
    let names = match &choice.file {
        Some(file) => vec![file.trim_start_matches("./").to_owned()],
        None => vec![FILE.to_owned(), FILE.to_lowercase(), CONTAINERFILE.to_owned()],
    };
    let found = names.iter().find(|name| source.file(name).is_some());
    found.cloned().ok_or_else(|| names[0].clone())
}

/// The files of the source whose text is needed.
pub fn reads(choice: &Choice, source: &SourceView) -> Vec<String> {
    let Ok(path) = path(choice, source) else {
        return Vec::new();
    };
    let own = [path.clone(), format!("{path}.dockerignore"), IGNORE.to_owned()];
    let own = own.into_iter().filter(|name| source.file(name).is_some());
    let links = source.files.iter().filter(|file| file.kind == FileKind::Symlink).map(|file| file.path.clone());
    own.chain(links).collect()
}

/// The Dockerfile, and the files that it may copy.
pub fn read(path: &str, source: &SourceView) -> Result<(Dockerfile, Context), BadDockerfile> {
    let text = source.texts.get(path).map_or("", String::as_str);
    let dockerfile = super::parse(text.as_bytes())?;
    let ignore = [format!("{path}.dockerignore"), IGNORE.to_owned()];
    let named = ignore.iter().find_map(|name| Some((name, source.texts.get(name)?)));
    let ignore = Ignore::parse(named.map_or("", |(_, text)| text));
    if let (Some((line, bad)), Some((name, _))) = (ignore.bad().first(), named) {
        return Err(BadDockerfile { line: *line, what: format!("{name}: {bad}"), hint: None });
    }
    let links = source.files.iter().filter(|file| file.kind == FileKind::Symlink);
    let links = links.filter_map(|file| Some((file.path.clone(), source.texts.get(&file.path)?.clone()))).collect();
    Ok((dockerfile, Context::new(&source.files, &links, &ignore)))
}
