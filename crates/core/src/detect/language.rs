//! Languages, by the files at the root of the source.

use super::packaging::{is_file, is_folder};
use super::{Kind, Offer, Refused, Seen, supply};
use crate::model::SourceView;

/// A folder of pages: the last of the table, for every app with a server may have pages, too.
pub(super) const STATIC: &str = "static";

/// A language, or something like one.
pub(super) struct Language {
    /// The base that is preferred, and the kind of the match.
    pub(super) name: &'static str,
    /// What such a source is.
    what: &'static str,
    /// Any of these at the root; `*.x` is any file that ends so, `x/` a folder.
    files: &'static [&'static str],
    /// What bases for it say among their tags.
    pub(super) tags: &'static [&'static str],
    /// A base for it comes along.
    pub(super) comes_along: bool,
}

/// In the order in which they are looked for. Apps in PHP, Ruby, Python … often have a package.json for what the browser
/// gets; apps in Node.js have no composer.json, Gemfile or requirements.txt. Hence the order.
pub(super) const LANGUAGES: [Language; 13] = [
    language("php", "a PHP app", &["index.php", "composer.json", "public/index.php", "web/index.php"], &["php"]),
    language("go", "a Go program", &["go.mod", "go.work", "main.go"], &["go", "golang"]),
    language(
        "java",
        "a Java project",
        &[
            "gradlew",
            "pom.xml",
            "build.gradle",
            "build.gradle.kts",
            "pom.atom",
            "pom.clj",
            "pom.groovy",
            "pom.rb",
            "pom.scala",
            "pom.yaml",
            "pom.yml",
        ],
        &["java"],
    ),
    language("rust", "a Rust program", &["Cargo.toml"], &["rust"]),
    language("ruby", "a Ruby app", &["Gemfile"], &["ruby"]),
    foreign("elixir", "an Elixir app", &["mix.exs"], &["elixir"]),
    language(
        "python",
        "a Python app",
        &[
            "requirements.txt",
            "pyproject.toml",
            "Pipfile",
            "setup.py",
            "main.py",
            "app.py",
            "start.py",
            "bot.py",
            "hello.py",
            "server.py",
        ],
        &["python"],
    ),
    foreign("deno", "a Deno app", &["deno.json", "deno.jsonc"], &["deno"]),
    foreign("dotnet", "a .NET app", &["*.csproj"], &["dotnet"]),
    language("node", "a Node.js app", &["package.json", "package.json5"], &["node", "nodejs"]),
    foreign("gleam", "a Gleam app", &["gleam.toml"], &["gleam"]),
    foreign("cpp", "a program in C or C++", &["CMakeLists.txt", "meson.build"], &["cpp", "c++"]),
    language(STATIC, "a static site", &["Staticfile", "public/", "index.html"], &["static"]),
];

const fn language(
    name: &'static str,
    what: &'static str,
    files: &'static [&'static str],
    tags: &'static [&'static str],
) -> Language {
    Language { name, what, files, tags, comes_along: true }
}

/// One for which no base comes along: it matches only where somebody has made or imported one.
const fn foreign(
    name: &'static str,
    what: &'static str,
    files: &'static [&'static str],
    tags: &'static [&'static str],
) -> Language {
    Language { name, what, files, tags, comes_along: false }
}

/// The language of that name.
pub(super) fn of_name(name: &str) -> Option<&'static Language> {
    LANGUAGES.iter().find(|language| language.name == name)
}

impl Language {
    /// Which of its files are there.
    fn found(&self, source: &SourceView) -> Vec<String> {
        let there = |pattern: &&str| match (pattern.strip_prefix('*'), pattern.strip_suffix('/')) {
            (Some(end), _) => {
                let mut root = source.files.iter().map(|file| file.path.as_str());
                root.find(|path| !path.contains('/') && path.ends_with(end)).map(str::to_owned)
            }
            (_, Some(folder)) => is_folder(source, folder).then(|| (*pattern).to_owned()),
            _ => is_file(source, pattern).then(|| (*pattern).to_owned()),
        };
        self.files.iter().filter_map(there).collect()
    }
}

/// Every language that the source could be of.
pub(super) fn seen(source: &SourceView, bases: &[Offer], refused: &mut Vec<Refused>) -> Vec<Seen> {
    let mut all = Vec::new();
    for language in &LANGUAGES {
        let files = language.found(source);
        let Some(first) = files.first() else {
            continue;
        };
        if language.comes_along || supply::offered(language, bases) {
            let (kind, what) = (Kind::Language(language.name), language.what.to_owned());
            all.push(Seen { kind, files, what, builder: None });
        } else {
            let why = format!("it is of {}, and no base has the tag `{}`", language.what, language.tags[0]);
            refused.push(Refused { what: first.clone(), why });
        }
    }
    all
}

/// A script that starts the app.
pub(super) fn script(source: &SourceView) -> Option<Seen> {
    const SCRIPT: &str = "start.sh";
    let files = vec![SCRIPT.to_owned()];
    let what = "an app with a script that starts it".to_owned();
    is_file(source, SCRIPT).then_some(Seen { kind: Kind::Shell, files, what, builder: None })
}

/// Folders right below the root that are of a language by themselves; a few.
pub(super) fn folders(source: &SourceView) -> Vec<String> {
    const FEW: usize = 5;
    let mut found: Vec<String> = Vec::new();
    for path in source.files.iter().map(|file| file.path.as_str()) {
        let Some((folder, name)) = path.split_once('/') else {
            continue;
        };
        let known = LANGUAGES.iter().any(|language| language.comes_along && language.files.contains(&name));
        if known && found.len() < FEW && !found.iter().any(|known| known == folder) {
            found.push(folder.to_owned());
        }
    }
    found
}

/// What would have matched, for who has to be told that nothing does.
pub(super) fn known_files() -> String {
    let firsts = LANGUAGES.iter().filter(|language| language.comes_along).flat_map(|language| match language.name {
        "java" => vec!["pom.xml", "gradlew"],
        "python" => vec!["requirements.txt", "pyproject.toml"],
        STATIC => vec!["index.html"],
        _ => vec![language.files[if language.name == "php" { 1 } else { 0 }]],
    });
    firsts.collect::<Vec<_>>().join(", ")
}
