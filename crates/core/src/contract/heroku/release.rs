//! What `bin/release` says: YAML with process types and variables (Dev Center, "Buildpack API").

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::contract::PlanError;

/// More than any buildpack says; what says more is refused before it is unfolded.
const MAX_NODES: usize = 10_000;

/// What counts here; add-ons are told by the build itself.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Release {
    default_process_types: Option<BTreeMap<String, Option<String>>>,
    config_vars: Option<BTreeMap<String, Option<String>>>,
}

impl Release {
    /// Reads it. Nothing, `---` and `--- {}` are legal, and say nothing.
    pub(super) fn parse(text: &str) -> Result<Self, PlanError> {
        let options = serde_saphyr::options! {
            strict_booleans: true,
            budget: serde_saphyr::budget! { max_nodes: MAX_NODES },
        };
        let bare = |line: &str| matches!(line.trim(), "" | "---" | "...") || line.trim_start().starts_with('#');
        if text.lines().all(bare) {
            return Ok(Self::default());
        }
        let read: Result<Option<Self>, _> = serde_saphyr::from_str_with_options(text, options);
        read.map(Option::unwrap_or_default).map_err(|error| {
            let why = error.to_string();
            let said = why.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n  ");
            PlanError::Buildpack {
                what: format!("what `bin/release` of the buildpack says is not the YAML of a release: {said}"),
                hint: Some(
                    "it says e.g. `default_process_types:` and under it `  web: command`; nothing at all is legal, too"
                        .to_owned(),
                ),
            }
        })
    }

    /// Process types when the Procfile says nothing of them.
    pub(super) fn processes(&self) -> impl Iterator<Item = (&str, &str)> {
        said(self.default_process_types.as_ref()).filter(|(_, command)| !command.trim().is_empty())
    }

    /// Variables when nobody sets them.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        said(self.config_vars.as_ref()).filter(|(name, _)| !name.is_empty() && !name.contains('='))
    }
}

fn said(map: Option<&BTreeMap<String, Option<String>>>) -> impl Iterator<Item = (&str, &str)> {
    map.into_iter().flatten().map(|(name, value)| (name.as_str(), value.as_deref().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_legal_in_all_its_forms() {
        for text in ["", "\n", "---", "---\n", "--- {}", "--- {}\n", "---\n...\n", "# none\n", "{}", "--- null\n"] {
            assert_eq!(Release::parse(text).unwrap().processes().count(), 0, "{text:?}");
        }
    }

    #[test]
    fn process_types_and_variables_are_texts_as_they_are_written() {
        let text = "---\naddons:\n  - heroku-postgresql:dev\nconfig_vars:\n  DEBUG: no\n  N: 010\n  E:\ndefault_process_types:\n  \
                    web: 'run: $PORT'\n  job: sleep 5 # x\n  none:\n";
        let release = Release::parse(text).unwrap();
        assert_eq!(release.processes().collect::<Vec<_>>(), [("job", "sleep 5"), ("web", "run: $PORT")]);
        assert_eq!(release.variables().collect::<Vec<_>>(), [("DEBUG", "no"), ("E", ""), ("N", "010")]);
    }

    #[test]
    fn what_is_no_release_is_an_error() {
        let folds = (1..12).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", ")));
        let bomb = format!("a0: &a0 [x]\n{}", folds.collect::<String>());
        for text in [&bomb, "Done!\n", "default_process_types: [web]\n", "- a\n", "a: b: c\n"] {
            let error = Release::parse(text).unwrap_err().to_string();
            assert!(error.contains("bin/release"), "{text:?}: {error}");
        }
    }
}
