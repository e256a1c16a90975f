//! What several buildpacks say of processes, together.

use std::collections::BTreeMap;

use crate::model::launch::{Announced, Process};
use crate::model::runs_in;

/// The processes so far.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    by_type: BTreeMap<String, Process>,
    default: Option<String>,
}

impl Processes {
    /// Adds what the next buildpack announces for this execution environment: it replaces a process of the same type.
    /// Answers the type that was the default and is no more, because it was replaced by one that is not.
    pub(crate) fn add(&mut self, announced: Vec<Announced>, exec_env: &str) -> Option<String> {
        let mut unset = None;
        for Announced { process, default } in announced {
            if !runs_in(&process.exec_env, exec_env) {
                continue;
            }
            if default {
                self.default = Some(process.kind.clone());
                unset = None;
            } else if self.default.as_ref() == Some(&process.kind) {
                unset = self.default.take();
            }
            self.by_type.insert(process.kind.clone(), process);
        }
        unset
    }

    /// All of them by type, and the default's type.
    pub(crate) fn finish(self) -> (Vec<Process>, Option<String>) {
        (self.by_type.into_values().collect(), self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `web! worker@test`: `!` is default, `@` an execution environment.
    fn announced(text: &str, id: &str) -> Vec<Announced> {
        let one = |word: &str| {
            let (word, exec_env) = word.split_once('@').map_or((word, None), |(word, env)| (word, Some(env)));
            let process = Process {
                kind: word.trim_end_matches('!').to_owned(),
                exec_env: exec_env.map(str::to_owned).into_iter().collect(),
                buildpack_id: id.to_owned(),
                ..Process::default()
            };
            Announced { process, default: word.ends_with('!') }
        };
        text.split_whitespace().map(one).collect()
    }

    #[test]
    fn later_buildpacks_replace_and_choose_the_default() {
        for (buildpacks, processes, default, unset) in [
            (&["web! worker"][..], "web:0 worker:0", Some("web"), None),
            (&["web!", "worker!"], "web:0 worker:1", Some("worker"), None),
            (&["web!", "web"], "web:1", None, Some("web")),
            (&["web!", "web worker!"], "web:1 worker:1", Some("worker"), None),
            (&["web!", "web!"], "web:1", Some("web"), None),
            (&["web!", "worker"], "web:0 worker:1", Some("web"), None),
            (&["web@test worker@*"], "worker:0", None, None),
            (&["web! ", "web@test"], "web:0", Some("web"), None),
        ] {
            let (mut all, mut said) = (Processes::default(), None);
            for (at, text) in buildpacks.iter().enumerate() {
                said = all.add(announced(text, &at.to_string()), "production");
            }
            let (list, chosen) = all.finish();
            let shown: Vec<_> =
                list.iter().map(|process| format!("{}:{}", process.kind, process.buildpack_id)).collect();
            assert_eq!(shown.join(" "), processes, "{buildpacks:?}");
            assert_eq!((chosen.as_deref(), said.as_deref()), (default, unset), "{buildpacks:?}");
        }
    }
}
