//! No folder of `ground` names another: each technology can be read, replaced and removed alone.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::tools::{self, Repository};

const GROUND: &str = "crates/ground/src";

/// A Rust file of a folder of `ground`.
#[derive(Debug)]
pub(super) struct File {
    folder: String,
    path: String,
    text: String,
}

/// All files in folders of `ground`. What stands beside the folders (`process.rs`) is for all of them.
pub(super) fn read(repository: &Repository) -> Result<Vec<File>> {
    let ground = repository.root.join(GROUND);
    let mut files = Vec::new();
    for path in tools::files(&ground, "rs")? {
        let inside = path.strip_prefix(&ground).context("a file outside of its folder")?;
        let Some(folder) = inside.parent().and_then(|parent| parent.components().next()) else {
            continue;
        };
        files.push(File {
            folder: folder.as_os_str().to_string_lossy().into_owned(),
            path: repository.relative(&path).display().to_string(),
            text: tools::text(Path::new(&path))?.unwrap_or_default(),
        });
    }
    Ok(files)
}

/// Every place where a folder names another.
pub(super) fn violations(files: &[File]) -> Vec<String> {
    let folders: BTreeSet<_> = files.iter().map(|file| file.folder.as_str()).collect();
    let mut found = Vec::new();
    for file in files {
        for (line, name) in names(&file.text) {
            if name != file.folder && folders.contains(name.as_str()) {
                found.push(format!("{}:{line}: `{}` names `{name}`", file.path, file.folder));
            }
        }
    }
    found
}

/// What follows each `crate::`, with its line; all names of a `crate::{…}`. Comments do not count.
fn names(text: &str) -> Vec<(usize, String)> {
    let code: Vec<_> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    for (at, word) in code.match_indices("crate::") {
        // `till_crate::` is another word.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        found.extend(first_parts(&code[at + word.len()..]).into_iter().map(|name| (line, name)));
    }
    found
}

/// `a` of `a::b`, and `a`, `c` of `{a::{b, d}, c}`.
fn first_parts(path: &str) -> Vec<String> {
    let name = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let mut depth = 1_u32;
    let (mut parts, mut part) = (Vec::new(), String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (c == ',' && depth == 1) {
            parts.push(name(&part));
            part.clear();
        } else {
            part.push(c);
        }
        if depth == 0 {
            break;
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &str, text: &str) -> File {
        File { folder: folder.to_owned(), path: format!("{folder}/mod.rs"), text: text.to_owned() }
    }

    #[test]
    fn a_folder_may_name_itself_and_what_is_for_all() {
        let text = "//! See crate::source.\nuse crate::process;\nuse crate::{container::Config, process::command};\n// crate::source\n";
        assert!(violations(&[file("container", text), file("source", "")]).is_empty());
    }

    #[test]
    fn every_other_name_is_found() {
        let text = "use crate::source::git;\nuse crate::{\n    process,\n    debian::{sources, source},\n};\nfn f() { crate::source::g() }\n";
        let found = violations(&[file("container", text), file("source", ""), file("debian", "")]);
        assert_eq!(
            found,
            [
                "container/mod.rs:1: `container` names `source`",
                "container/mod.rs:2: `container` names `debian`",
                "container/mod.rs:6: `container` names `source`",
            ]
        );
    }
}
