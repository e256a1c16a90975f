//! The bases and example apps that come along: every base can be planned, and what an example's plan is stands in
//! `golden/<app>.json`. `TILL_GOLDEN=accept` writes those anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "core reads no files; its tests read those of the repository")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use till_core::contract::{Contract, Request, Settings};
use till_core::dockerfile::plan::Known;
use till_core::dockerfile::spec::Choice;
use till_core::model::{AppFile, BaseRef, BaseSpec, BaseVersion, FileKind, SourceFile, SourceView};
use till_core::packages::Resolved;
use till_core::plan::{Config, Plan, lint};
use till_core::recipe::{FoundFile, Ground, Recipe};
use till_core::{Digest, ManifestDigest};

/// What the engine gives every base.
const EPOCH: u64 = 1_704_067_200;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The names of the folders in a folder, sorted.
fn folders(path: &str) -> Vec<String> {
    let entries = fs::read_dir(repository().join(path)).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let names: BTreeSet<_> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.into_iter().collect()
}

fn base(name: &str) -> BaseSpec {
    let path = repository().join("bases").join(name).join("base.toml");
    BaseSpec::parse(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A version of a base whose image nobody made.
fn version(name: &str) -> BaseVersion {
    let digest = ManifestDigest(Digest::of(format!("the base {name}").as_bytes()));
    BaseVersion { name: name.parse().unwrap(), version: 1, digest }
}

/// Every file below `folder` whose name no line of its .gitignore is, sorted.
fn files(folder: &Path) -> Vec<String> {
    let ignored = fs::read_to_string(folder.join(".gitignore")).unwrap_or_default();
    let ignored: Vec<_> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    let (mut found, mut open) = (BTreeSet::new(), vec![String::new()]);
    while let Some(prefix) = open.pop() {
        for entry in fs::read_dir(folder.join(&prefix)).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if ignored.contains(&name.as_str()) {
                continue;
            }
            let path = format!("{prefix}{name}");
            if entry.file_type().unwrap().is_dir() {
                open.push(format!("{path}/"));
            } else {
                found.insert(path);
            }
        }
    }
    found.into_iter().collect()
}

/// The source as planning sees it; `wants` says whose text is read.
fn view(folder: &Path, wants: impl Fn(&SourceView) -> Vec<String>) -> SourceView {
    let describe = |path: String| {
        let full = folder.join(&path);
        let executable = fs::metadata(&full).unwrap().permissions().mode() & 0o100 != 0;
        let kind = if executable { FileKind::Executable } else { FileKind::File };
        SourceFile { content: Digest::of(&fs::read(&full).unwrap()).to_string(), path, kind }
    };
    let mut view = SourceView { files: files(folder).into_iter().map(describe).collect(), ..SourceView::default() };
    let text = |path: String| (path.clone(), fs::read_to_string(folder.join(path)).unwrap());
    view.texts = wants(&view).into_iter().map(text).collect();
    view
}

fn plan(app: &str) -> Plan {
    let folder = repository().join("examples/apps").join(app);
    let app_file = AppFile::parse(&fs::read_to_string(folder.join("till.toml")).unwrap()).unwrap();
    let name = app_file.base.as_ref().unwrap().name.as_str();
    let contract = base(name).contract;
    let request = Request {
        base: Some(&version(name)),
        base_epoch: EPOCH,
        image: &Config::default(),
        source: &view(&folder, |view| contract.reads(view, &app_file, &Choice::default())),
        app: &app_file,
        env: &BTreeMap::new(),
        choice: &Choice::default(),
        buildpacks: &[],
        settings: &Settings::default(),
        known: &Known::default(),
        environment: "container",
        architecture: "amd64",
    };
    contract.plan(&request).unwrap_or_else(|error| panic!("{app}: {error}")).plan().unwrap()
}

#[test]
fn every_example_is_planned_as_its_golden_says() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let accept = std::env::var("TILL_GOLDEN").is_ok_and(|value| value == "accept");
    let mut wrong = Vec::new();
    for app in folders("examples/apps") {
        let plan = plan(&app);
        assert_eq!(lint(&plan), [], "{app}");
        let text = serde_json::to_string_pretty(&plan).unwrap() + "\n";
        let path = golden.join(format!("{app}.json"));
        if accept {
            fs::write(&path, &text).unwrap();
        } else if fs::read_to_string(&path).unwrap_or_default() != text {
            wrong.push(format!("{app}: the plan is now\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}\nTILL_GOLDEN=accept takes them over", wrong.join("\n"));
}

#[test]
fn every_golden_belongs_to_an_example() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let apps = folders("examples/apps");
    for path in files(&folder) {
        let app = path.strip_suffix(".json").unwrap_or(&path);
        assert!(apps.iter().any(|known| known == app), "golden/{path} belongs to no example");
    }
}

#[test]
fn every_base_can_be_planned() {
    for name in folders("bases") {
        let spec = base(&name);
        assert_eq!(spec.name.as_str(), name);
        let folder = repository().join("bases").join(&name);
        let found: Vec<_> = files(&folder)
            .into_iter()
            .map(|path| FoundFile { digest: Digest::of(&fs::read(folder.join(&path)).unwrap()), path })
            .collect();
        let from = spec.recipe.from().map(|from| version(from.name.as_str()));
        let ground = Ground {
            from: from.as_ref(),
            epoch: EPOCH,
            files: &found,
            folder: &SourceView::default(),
            known: &Known { packages: Some(Resolved::default()), ..Known::default() },
            environment: "container",
            architecture: "amd64",
        };
        let plan = spec.recipe.plan(&ground).unwrap_or_else(|error| panic!("{name}: {error}")).plan().unwrap();
        assert_eq!(lint(&plan), [], "{name}");
        assert_eq!(plan.base, from.map(|from| from.digest), "{name}");
    }
}

#[test]
fn every_base_is_built_upon_one_that_comes_along() {
    let names = folders("bases");
    for name in &names {
        let from: Option<BaseRef> = base(name).recipe.from().cloned();
        assert!(from.is_none_or(|from| names.iter().any(|known| known == from.name.as_str())), "{name}");
    }
}

/// What stands in the fenced TOML blocks of a page.
fn blocks(page: &str) -> Vec<String> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.strip_prefix("toml\n")).map(str::to_owned).collect()
}

#[test]
fn every_key_of_the_reference_is_one() {
    let page = fs::read_to_string(repository().join("docs/reference/base.md")).unwrap();
    let blocks = blocks(&page);
    let of = |begin: &'static str| blocks.iter().filter(move |block| block.starts_with(begin));
    let (heads, recipes, contracts) = (of("name"), of("[recipe]"), of("[contract"));
    assert_eq!(heads.clone().count() + recipes.clone().count() + contracts.clone().count(), blocks.len());
    assert_eq!((heads.clone().count(), of("[contract]").count()), (1, 1));
    for recipe in recipes {
        let whole: String = heads.clone().chain([recipe]).chain(contracts.clone()).map(String::as_str).collect();
        let parsed = BaseSpec::parse(&whole);
        assert!(parsed.is_ok(), "{}\n{whole}", parsed.unwrap_err());
    }
}
