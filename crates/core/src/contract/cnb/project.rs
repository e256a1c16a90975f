//! `project.toml`: what a source says to buildpacks (Cloud Native Buildpacks, project descriptor 0.2 and 0.1).

use serde::Deserialize;

use crate::dockerfile::ignore::Ignore;
use crate::words::explain_toml;

/// The file's name, at the root of the source.
pub(super) const FILE: &str = "project.toml";

/// What it says, whichever version it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Project {
    /// The builder that it would like.
    pub(super) builder: Option<String>,
    /// Only these files, as in .gitignore.
    pub(super) include: Vec<String>,
    /// Without these.
    pub(super) exclude: Vec<String>,
    /// In place of the builder's groups, if there are any.
    pub(super) group: Vec<Entry>,
    /// Before each group.
    pub(super) pre: Vec<Entry>,
    /// After each group.
    pub(super) post: Vec<Entry>,
    /// Variables of the build.
    pub(super) env: Vec<Variable>,
}

/// A buildpack that is named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    pub(super) id: Option<String>,
    pub(super) version: Option<String>,
    pub(super) uri: Option<String>,
    pub(super) script: Option<Script>,
    pub(super) optional: bool,
}

/// A buildpack that is written right there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Script {
    pub(super) api: String,
    #[serde(default = "sh")]
    pub(super) shell: String,
    pub(super) inline: String,
}

fn sh() -> String {
    "/bin/sh".to_owned()
}

/// A variable of the build.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Variable {
    pub(super) name: String,
    #[serde(default)]
    pub(super) value: String,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "_")]
    meta: Option<Meta>,
    io: Option<Io>,
    build: Option<OldBuild>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "schema-version")]
    version: Option<String>,
}

#[derive(Deserialize)]
struct Io {
    buildpacks: Option<Table>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Table {
    builder: Option<String>,
    include: Vec<String>,
    exclude: Vec<String>,
    group: Vec<Entry>,
    pre: Around,
    post: Around,
    build: Build,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Around {
    group: Vec<Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Build {
    env: Vec<Variable>,
}

/// `[build]` of version 0.1.
#[derive(Default, Deserialize)]
#[serde(default)]
struct OldBuild {
    builder: Option<String>,
    include: Vec<String>,
    exclude: Vec<String>,
    buildpacks: Vec<Entry>,
    env: Vec<Variable>,
}

impl Project {
    /// Reads the text of a project.toml; the error says line and reason.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let document: Document = toml::from_str(text).map_err(|error| explain_toml(&error))?;
        let version = document.meta.and_then(|meta| meta.version).unwrap_or_else(|| "0.1".to_owned());
        let project = match version.as_str() {
            "0.2" => {
                let table = document.io.and_then(|io| io.buildpacks).unwrap_or_default();
                Self {
                    builder: table.builder,
                    include: table.include,
                    exclude: table.exclude,
                    group: table.group,
                    pre: table.pre.group,
                    post: table.post.group,
                    env: table.build.env,
                }
            }
            "0.1" => {
                let old = document.build.unwrap_or_default();
                Self {
                    builder: old.builder,
                    include: old.include,
                    exclude: old.exclude,
                    group: old.buildpacks,
                    pre: Vec::new(),
                    post: Vec::new(),
                    env: old.env,
                }
            }
            other => return Err(format!("its schema-version is `{other}`; 0.1 and 0.2 are known")),
        };
        if !project.include.is_empty() && !project.exclude.is_empty() {
            return Err("it has both `include` and `exclude`; only one of them may be there".to_owned());
        }
        let entries = project.group.iter().chain(&project.pre).chain(&project.post);
        match entries.filter(|entry| entry.id.is_none() && entry.uri.is_none()).count() {
            0 => Ok(project),
            _ => Err("a buildpack has neither `id` nor `uri`".to_owned()),
        }
    }

    /// Does a file of the source belong to what is built?
    pub(super) fn takes(&self) -> impl Fn(&str) -> bool {
        let read = |patterns: &[String]| {
            Ignore::of(patterns.iter().map(|pattern| like_ours(pattern)).collect::<Vec<_>>().iter().map(String::as_str))
        };
        let (include, exclude) = (read(&self.include), read(&self.exclude));
        move |path| match (include.is_empty(), exclude.is_empty()) {
            (true, true) => true,
            (false, _) => include.excludes(path),
            (true, false) => !exclude.excludes(path),
        }
    }
}

/// A pattern of .gitignore as one of .dockerignore: without a `/` but at its end it matches in every directory.
fn like_ours(pattern: &str) -> String {
    let (sign, bare) = match pattern.strip_prefix('!') {
        Some(bare) => ("!", bare),
        None => ("", pattern),
    };
    let bare = bare.trim_end_matches('/');
    match bare.strip_prefix('/') {
        Some(anchored) => format!("{sign}{anchored}"),
        None if bare.contains('/') || bare.is_empty() => format!("{sign}{bare}"),
        None => format!("{sign}**/{bare}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_read() {
        let new = "[_]\nschema-version = \"0.2\"\n[io.buildpacks]\nbuilder = \"b\"\nexclude = [\"*.md\"]\n\
                   [[io.buildpacks.group]]\nid = \"a/b\"\nversion = \"1\"\n\
                   [[io.buildpacks.group]]\nid = \"me/inline\"\n[io.buildpacks.group.script]\napi = \"0.10\"\ninline = \"true\"\n\
                   [[io.buildpacks.pre.group]]\nuri = \"./bp\"\n[[io.buildpacks.build.env]]\nname = \"K\"\nvalue = \"v\"\n";
        let project = Project::parse(new).unwrap();
        assert_eq!(project.builder.as_deref(), Some("b"));
        assert_eq!(project.group[0].id.as_deref(), Some("a/b"));
        assert_eq!(project.group[1].script.as_ref().unwrap().shell, "/bin/sh");
        assert_eq!(project.pre[0].uri.as_deref(), Some("./bp"));
        assert_eq!(project.env, [Variable { name: "K".to_owned(), value: "v".to_owned() }]);
        let old = "[project]\nid = \"x\"\n[build]\ninclude = [\"src/\"]\n[[build.buildpacks]]\nid = \"a\"\n";
        let project = Project::parse(old).unwrap();
        assert_eq!((project.include.as_slice(), project.group.len()), (&["src/".to_owned()][..], 1));
    }

    #[test]
    fn what_contradicts_itself_is_told() {
        for (text, why) in [
            ("[_]\nschema-version = \"0.3\"\n", "`0.3`"),
            ("[build]\ninclude = [\"a\"]\nexclude = [\"b\"]\n", "both"),
            ("[[build.buildpacks]]\nversion = \"1\"\n", "neither"),
            ("[build\n", "line 1"),
        ] {
            let told = Project::parse(text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }

    #[test]
    fn files_are_taken_as_gitignore_says() {
        for (exclude, path, taken) in [
            ("*.md", "README.md", false),
            ("*.md", "docs/a.md", false),
            ("/a", "a", false),
            ("/a", "b/a", true),
            ("docs/", "docs/x/y", false),
            ("a/b", "c/a/b", true),
        ] {
            let project = Project { exclude: vec![exclude.to_owned()], ..Project::default() };
            assert_eq!(project.takes()(path), taken, "{exclude} {path}");
        }
        let project = Project { include: vec!["*.py".to_owned(), "!t.py".to_owned()], ..Project::default() };
        let takes = project.takes();
        assert!(takes("a.py") && takes("b/a.py") && !takes("a.rb") && !takes("t.py"));
        assert!(Project::default().takes()("x"));
    }
}
