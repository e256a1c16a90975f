//! The files of an app as its builder gets them: below the context directory, without what `.s2iignore` names, scripts
//! apart; and the variables of its environment files.

use std::collections::{BTreeMap, BTreeSet};

use super::{AppSection, PlanError};
use crate::dockerfile::glob;
use crate::dockerfile::plan::clean;
use crate::model::SourceView;
use crate::model::source::{FileKind, SourceFile, resolve_link};
use crate::plan::NamedFile;

/// Where scripts of the source are, and where they once were.
pub(super) const FOLDERS: [&str; 2] = [".s2i", ".sti"];
const IGNORE: &str = ".s2iignore";
/// As many symlinks as the kernel follows in one path.
const MAX_LINKS: usize = 40;

/// The files of an app, by the names that they get.
#[derive(Debug, Clone)]
pub(super) struct Files<'a> {
    pub(super) files: BTreeMap<String, SourceFile>,
    texts: &'a BTreeMap<String, String>,
    pub(super) warnings: Vec<String>,
}

/// The files whose text planning needs. Where symlinks lead is known when it is asked again.
pub(super) fn reads(source: &SourceView, section: &AppSection) -> Vec<String> {
    let links = source.files.iter().filter(|file| file.kind == FileKind::Symlink).map(|file| file.path.clone());
    let mut reads: BTreeSet<_> = links.collect();
    if let Ok(files) = Files::of(source, section) {
        let own = FOLDERS.map(|folder| format!("{folder}/environment"));
        let own = own.into_iter().chain([IGNORE.to_owned()]).chain(section.environment.iter().map(|path| clean(path)));
        reads.extend(own.filter_map(|name| Some(files.file(&name)?.path.clone())));
    }
    reads.into_iter().collect()
}

impl<'a> Files<'a> {
    /// All of a source, from the context directory.
    pub(super) fn of(source: &'a SourceView, section: &AppSection) -> Result<Self, PlanError> {
        if source.files.is_empty() {
            return Err(PlanError::Empty);
        }
        let context = section.context_dir.as_deref().unwrap_or_default();
        let setting = |why: &str| PlanError::Setting {
            place: format!("context_dir = \"{context}\" in [s2i] of till.toml"),
            why: why.to_owned(),
            hint: Some("name a directory of the source, from its root".to_owned()),
        };
        if context.starts_with('/') || context.split('/').any(|part| part == "..") {
            return Err(setting("it leads out of the source"));
        }
        let prefix = match clean(context) {
            context if context.is_empty() => context,
            context => format!("{context}/"),
        };
        let inside = source.files.iter().filter_map(|file| Some((file.path.strip_prefix(&prefix)?.to_owned(), file)));
        let files: BTreeMap<_, _> = inside.map(|(name, file)| (name, file.clone())).collect();
        if files.is_empty() {
            return Err(setting("there is no such directory in the source"));
        }
        Ok(Self { files, texts: &source.texts, warnings: Vec::new() })
    }

    fn target(&self, name: &str) -> Option<String> {
        let file = self.files.get(name).filter(|file| file.kind == FileKind::Symlink)?;
        resolve_link(name, self.texts.get(&file.path)?)
    }

    /// The name of what is there when symlinks are followed; none when they lead out, or in a circle.
    fn followed(&self, name: &str) -> Option<String> {
        let mut name = name.to_owned();
        for _ in 0..MAX_LINKS {
            let parts = name.match_indices('/').map(|(end, _)| end).chain([name.len()]);
            let link = parts
                .into_iter()
                .find(|end| self.files.get(&name[..*end]).is_some_and(|file| file.kind == FileKind::Symlink));
            let Some(end) = link else {
                return Some(name);
            };
            name = format!("{}{}", self.target(&name[..end])?, &name[end..]);
        }
        None
    }

    /// The file of that name, wherever links lead.
    pub(super) fn file(&self, name: &str) -> Option<&SourceFile> {
        self.files.get(&self.followed(name)?)
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.texts.get(&self.file(name)?.path).map(String::as_str)
    }

    /// The script of the source, with the name under which it is found.
    pub(super) fn script(&self, name: &str) -> Option<(String, SourceFile)> {
        FOLDERS.iter().find_map(|folder| {
            let path = format!("{folder}/bin/{name}");
            let file = self.file(&path)?.clone();
            Some((path, SourceFile { kind: FileKind::Executable, ..file }))
        })
    }

    /// Takes a script away from where it is found: it goes elsewhere. What a link of that name leads to stays.
    pub(super) fn take(&mut self, path: &str) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if let Some(folder) = self.followed(folder) {
            self.files.remove(&format!("{folder}/{name}"));
        }
        if path.starts_with(FOLDERS[1]) {
            self.warnings.push(format!("`{path}`: scripts are looked for in `{}/bin` now", FOLDERS[0]));
        }
    }

    /// Leaves out what `.s2iignore` names: each line a pattern of Go's `filepath.Glob` from the root, `!` takes back.
    pub(super) fn ignore(&mut self) -> Result<(), PlanError> {
        let Some(text) = self.text(IGNORE) else {
            return Ok(());
        };
        let mut paths: BTreeSet<String> = self.files.keys().cloned().collect();
        for name in self.files.keys() {
            paths.extend(name.match_indices('/').map(|(end, _)| name[..end].to_owned()));
        }
        let mut ignored = BTreeSet::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (taken_back, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest.trim()));
            let bad =
                |error: glob::BadPattern| PlanError::Unreadable { path: IGNORE.to_owned(), why: error.to_string() };
            // What is outside is not there.
            if pattern.split('/').find(|part| !matches!(*part, "" | ".")) == Some("..") {
                continue;
            }
            let pattern = clean(pattern);
            for path in &paths {
                if glob::matches(&pattern, path).map_err(bad)? {
                    if taken_back {
                        ignored.remove(path)
                    } else {
                        ignored.insert(path.clone())
                    };
                }
            }
        }
        let gone = |name: &str| {
            let above = name.match_indices('/').map(|(end, _)| end).chain([name.len()]);
            above.into_iter().any(|end| ignored.contains(&name[..end]))
        };
        self.files.retain(|name, _| !gone(name));
        if self.files.is_empty() {
            self.warnings.push(format!("{IGNORE} leaves out all of the source"));
        }
        Ok(())
    }

    /// The variables of `.s2i/environment`, then those of the file that till.toml names; the later ones win.
    pub(super) fn environment(&self, section: &AppSection) -> Result<Vec<(String, String)>, PlanError> {
        let found = FOLDERS.iter().find_map(|folder| self.text(&format!("{folder}/environment")));
        let mut all = found.map(variables).unwrap_or_default();
        if let Some(path) = &section.environment {
            let text = self.text(&clean(path)).ok_or_else(|| PlanError::Setting {
                place: format!("environment = \"{path}\" in [s2i] of till.toml"),
                why: "there is no such file in the source".to_owned(),
                hint: Some("name a file, from the directory that is built".to_owned()),
            })?;
            all.extend(variables(text));
        }
        Ok(all)
    }

    /// All that is left, by name.
    pub(super) fn named(&self) -> Vec<NamedFile> {
        self.files.iter().map(|(name, file)| NamedFile { name: name.clone(), file: file.clone() }).collect()
    }

    /// Where its symlinks lead, by name.
    pub(super) fn links(&self) -> BTreeMap<String, String> {
        let links = self.files.iter().filter(|(_, file)| file.kind == FileKind::Symlink);
        links.filter_map(|(name, file)| Some((name.clone(), self.texts.get(&file.path)?.clone()))).collect()
    }
}

/// `NAME=VALUE` on each line, without quotes and without expansion; other lines mean nothing.
fn variables(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.trim(), value.trim()));
    let sane = |text: &str| !text.contains('\0');
    let pairs = pairs.filter(|(name, value)| !name.is_empty() && sane(name) && sane(value));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
