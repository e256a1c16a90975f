//! How it is told what was chosen, why, and what is missing.

use super::{Detection, Kind, Match, Seen, language};
use crate::fault::{Blame, Fault};
use crate::model::SourceView;
use crate::model::source::Notice;

/// So many names of the root are told.
const NAMES: usize = 12;

/// Why nothing can be prepared without being told more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undetected {
    /// There is no file.
    #[error("the source is empty")]
    Empty,
    /// Nothing matches.
    #[error(
        "nothing says which base prepares this source: at its root there is {root}, and no base that comes along looks for that"
    )]
    Nothing {
        /// What is there.
        root: String,
        /// Folders that would match by themselves.
        folders: Vec<String>,
    },
    /// It is known what it is, and the base for it is missing.
    #[error("{what}")]
    Lacking {
        /// What is missing.
        what: String,
        /// What to do.
        hint: String,
    },
}

impl Blame for Undetected {
    fn fault(&self) -> Fault {
        match self {
            Self::Empty | Self::Nothing { .. } => Fault::Source,
            Self::Lacking { .. } => Fault::Caller,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Empty => "commit something first".to_owned(),
            Self::Lacking { hint, .. } => hint.clone(),
            Self::Nothing { folders, .. } => {
                let below = folders.first().map_or(String::new(), |folder| {
                    let these = folders.iter().map(|folder| format!("`{folder}`")).collect::<Vec<_>>();
                    format!("; {} would match: build it by its path (`till build …/{folder}`)", and(&these))
                });
                format!(
                    "give --base NAME, write `base = \"NAME\"` into till.toml, or add a Dockerfile or a Procfile; `till base list` shows what there is. These would have matched: Dockerfile, .s2i/, .openshift/, project.toml, .buildpacks, {}, start.sh{below}",
                    language::known_files()
                )
            }
        })
    }
}

impl Detection {
    /// What prepares the source, or why nothing does.
    pub fn choice(&self) -> Result<&Match, Undetected> {
        match &self.chosen {
            None if self.root.is_empty() => Err(Undetected::Empty),
            None => Err(Undetected::Nothing { root: some(&self.root), folders: self.folders.clone() }),
            Some(Match { lack: Some(lack), .. }) => {
                Err(Undetected::Lacking { what: lack.what.clone(), hint: lack.hint.clone() })
            }
            Some(chosen) => Ok(chosen),
        }
    }

    /// What who builds is told of the choice, if it was one.
    pub fn notice(&self) -> Option<Notice> {
        let chosen = self.chosen.as_ref().filter(|chosen| chosen.kind != Kind::Named)?;
        let does = match &chosen.base {
            Some(base) => format!("prepared by the base `{base}`"),
            None => "built by that".to_owned(),
        };
        // Of what is there, and knows more of the source than how it is started.
        let worth =
            |other: &&Match| other.lack.is_none() && !matches!(other.kind, Kind::Procfile | Kind::Shell | Kind::Heroku);
        let names: Vec<_> = self.others.iter().filter(worth).map(Match::name).collect();
        let others = if names.is_empty() { String::new() } else { format!(", not by {}", quoted(&names)) };
        Some(Notice {
            path: chosen.files.first().cloned().unwrap_or_default(),
            what: format!("this is {}, {does}{others} (`till explain` says more)", chosen.what),
        })
    }
}

impl Match {
    /// What it is called in a list: its base, or what it is.
    pub fn name(&self) -> &str {
        self.base.as_ref().map_or_else(|| self.kind.into(), |base| base.as_str())
    }
}

/// Why a source is taken for what it is.
pub(super) fn because(seen: &Seen) -> String {
    let (files, verb) = (and(&seen.files), if seen.files.len() == 1 { "makes" } else { "make" });
    match seen.kind {
        Kind::Dockerfile => format!("{files} says how it is built"),
        Kind::Procfile => format!("{files} says what is started"),
        Kind::Shell => format!("{files} starts it"),
        _ => format!("{files} {verb} it {}", seen.what),
    }
}

/// How a base that comes along is made.
pub(super) fn make(name: &str) -> String {
    format!(
        "make it with `till base build bases/{name}`, or choose another with --base NAME (`till base list` shows what there is)"
    )
}

/// `a, b and c`.
pub(super) fn and(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Names in backquotes.
pub(super) fn quoted(names: &[&str]) -> String {
    and(&names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>())
}

/// The names at the root; a folder's ends with `/`.
pub(super) fn root(source: &SourceView) -> Vec<String> {
    let names = source.files.iter().map(|file| match file.path.split_once('/') {
        Some((folder, _)) => format!("{folder}/"),
        None => file.path.clone(),
    });
    let mut names: Vec<_> = names.collect();
    names.dedup();
    names
}

fn some(names: &[String]) -> String {
    if names.len() <= NAMES {
        return and(names);
    }
    format!("{} and {} more", names[..NAMES].join(", "), names.len() - NAMES)
}
