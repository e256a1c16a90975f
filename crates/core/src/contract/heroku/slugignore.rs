//! `.slugignore`: what is removed from the source before a buildpack sees it (Dev Center, "slug compiler"). As .gitignore,
//! without `!`: a pattern with a `/` inside is meant from the root, any other at every depth; a directory goes with all in it.

use globset::{GlobBuilder, GlobMatcher};

use crate::contract::PlanError;
use crate::model::source::SourceFile;

/// The file's name, at the root of the source.
pub(super) const FILE: &str = ".slugignore";

/// What is never taken along.
const NEVER: [&str; 2] = [".git", ".DS_Store"];

/// The files that are left, and how many are not.
pub(super) fn prune(files: &[SourceFile], text: Option<&str>) -> Result<(Vec<SourceFile>, usize), PlanError> {
    let patterns = patterns(text.unwrap_or_default())?;
    let left: Vec<_> = files
        .iter()
        .filter(|file| !file.path.split('/').any(|part| NEVER.contains(&part)))
        .filter(|file| !prefixes(&file.path).any(|path| patterns.iter().any(|pattern| pattern.is_match(path))))
        .cloned()
        .collect();
    let pruned = files.len() - left.len();
    Ok((left, pruned))
}

/// The path, and those of the directories above it.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end]).chain([path])
}

fn patterns(text: &str) -> Result<Vec<GlobMatcher>, PlanError> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let inner = line.trim_end_matches('/');
            let anchored = inner.trim_start_matches("./").trim_start_matches('/');
            let pattern = if inner.contains('/') { anchored.to_owned() } else { format!("**/{anchored}") };
            (!anchored.is_empty()).then_some((line, pattern))
        })
        .map(|(line, pattern)| {
            let glob = GlobBuilder::new(&pattern).literal_separator(true).build();
            glob.map(|glob| glob.compile_matcher()).map_err(|error| PlanError::Unreadable {
                path: FILE.to_owned(),
                why: format!("`{line}` is not a pattern: {}", error.kind()),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FileKind;

    fn left(paths: &[&str], text: &str) -> Vec<String> {
        let file = |path: &&str| SourceFile { path: (*path).to_owned(), kind: FileKind::File, content: String::new() };
        let files: Vec<_> = paths.iter().map(file).collect();
        prune(&files, Some(text)).unwrap().0.into_iter().map(|file| file.path).collect()
    }

    #[test]
    fn what_a_pattern_names_goes_with_all_in_it() {
        let paths =
            [".git", "a.psd", "app.rb", "doc/a.md", "src/a.psd", "src/doc/b.md", "src/test/x", "test/x", "test.rb"];
        for (text, gone) in [
            ("", &[".git"][..]),
            ("*.psd", &[".git", "a.psd", "src/a.psd"]),
            ("  # *.psd\n\n/doc/\r\n", &[".git", "doc/a.md"]),
            ("doc", &[".git", "doc/a.md", "src/doc/b.md"]),
            ("test/", &[".git", "src/test/x", "test/x"]),
            ("/test", &[".git", "test/x"]),
            ("src/*", &[".git", "src/a.psd", "src/doc/b.md", "src/test/x"]),
            ("src/doc", &[".git", "src/doc/b.md"]),
            ("*", &paths),
            ("/", &[".git"]),
        ] {
            let wanted: Vec<_> =
                paths.iter().filter(|path| !gone.contains(path)).map(|path| (*path).to_owned()).collect();
            assert_eq!(left(&paths, text), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_an_error() {
        assert!(matches!(prune(&[], Some("a[")), Err(PlanError::Unreadable { path, .. }) if path == FILE));
    }
}
