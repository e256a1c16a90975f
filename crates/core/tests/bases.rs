//! The bases and example apps that come along: every base can be planned, and what an example's plan is by each base that
//! takes it stands in `golden/`. `TILL_GOLDEN=accept` writes those anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "core reads no files; its tests read those of the repository")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use till_core::contract::{Contract, Request, Settings};
use till_core::detect::{self, Offer, Question};
use till_core::dockerfile::spec::Choice;
use till_core::known::{Known, KnownImage, Need, Previous};
use till_core::model::{AppFile, BaseRef, BaseSpec, BaseVersion, FileKind, SourceFile, SourceView};
use till_core::packages::Resolved;
use till_core::plan::{Config, Decision, Deed, Injection, Plan, Selection, lint};
use till_core::recipe::{FoundFile, Ground, Recipe, RecipeSpec};
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

/// Where a base lies: one that comes along, or that of an example.
fn folder_of(name: &str) -> PathBuf {
    let own = repository().join("bases").join(name);
    if own.exists() { own } else { repository().join("examples/builders").join(name) }
}

fn base(name: &str) -> BaseSpec {
    let path = folder_of(name).join("base.toml");
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
    view.texts = wants(&view).into_iter().filter(|path| view.file(path).is_some()).map(text).collect();
    view
}

/// What the image of a base says of itself, as far as that is known before it is made.
fn image_of(name: &str) -> Config {
    let spec = base(name);
    if !matches!(spec.recipe, RecipeSpec::Dockerfile(_)) {
        return Config::default();
    }
    let folder = view(&folder_of(name), |view| spec.recipe.texts(view));
    let mut known = Known::default();
    loop {
        let ground = Ground {
            from: None,
            epoch: EPOCH,
            files: &[],
            folder: &folder,
            known: &known,
            environment: "container",
            architecture: "amd64",
        };
        match spec.recipe.plan(&ground).unwrap_or_else(|error| panic!("{name}: {error}")) {
            Decision::Plan(plan) => return plan.image.unwrap().config,
            Decision::Needs(needs) => needs.into_iter().for_each(|need| answer(need, name, &mut known)),
        }
    }
}

/// Finds out in the repository what planning asks for.
fn answer(need: Need, base_name: &str, known: &mut Known) {
    match need {
        Need::Image(name) => {
            let image = KnownImage { digest: version(&name).digest, config: image_of(&name) };
            known.images.insert(name, image);
        }
        Need::Look { image, pattern } => {
            let found = look(base_name, &pattern);
            known.looks.insert((image, pattern), found);
        }
        Need::Program(name) => {
            let digest = Digest::of(name.as_bytes());
            known.programs.insert(name, digest);
        }
        Need::Previous => known.previous = Some(Previous::Nothing),
        other => panic!("{other:?} is not to be had from the repository"),
    }
}

/// What the files that a base's recipe puts into its image say, of those that the pattern means.
fn look(base_name: &str, pattern: &str) -> BTreeMap<String, String> {
    let RecipeSpec::Debian(recipe) = base(base_name).recipe else {
        return BTreeMap::new();
    };
    let folder = folder_of(base_name);
    let same = |path: &str| {
        let (parts, wanted): (Vec<_>, Vec<_>) = (path.split('/').collect(), pattern.split('/').collect());
        parts.len() == wanted.len() && parts.iter().zip(&wanted).all(|(part, wanted)| *wanted == "*" || part == wanted)
    };
    let mut found = BTreeMap::new();
    for file in recipe.file {
        let inside = folder.join(&file.source);
        let below = if inside.is_dir() { files(&inside) } else { vec![String::new()] };
        for name in below {
            let path = format!("{}/{name}", file.path);
            if same(path.trim_end_matches('/')) {
                found.insert(path, fs::read_to_string(inside.join(&name)).unwrap());
            }
        }
    }
    found
}

/// The base that an example names, or that it is found to be for among those that come along.
fn base_of(folder: &Path, app_file: &AppFile) -> String {
    if let Some(named) = &app_file.base {
        return named.name.to_string();
    }
    let offer = |name: String| {
        let spec = base(&name);
        Offer {
            name: spec.name,
            tags: spec.tags,
            contract: Some(spec.contract.name().to_owned()),
            references: Vec::new(),
        }
    };
    let detection = detect::detect(&Question {
        source: &view(folder, detect::reads),
        named: None,
        dockerfile: &Choice::default(),
        buildpacks: &[],
        bases: &folders("bases").into_iter().map(offer).collect::<Vec<_>>(),
    });
    let chosen = detection.choice().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    chosen.base.as_ref().unwrap().to_string()
}

/// What an example says of itself; most say nothing.
fn app_file(folder: &Path) -> AppFile {
    AppFile::parse(&fs::read_to_string(folder.join("till.toml")).unwrap_or_default()).unwrap()
}

/// The plan of an example by a base, or why that base does not take it.
fn plan(app: &str, name: &str) -> Result<Plan, String> {
    let folder = repository().join("examples/apps").join(app);
    let app_file = app_file(&folder);
    let contract = base(name).contract;
    let source = view(&folder, |view| contract.reads(view, &app_file, &Choice::default()));
    let mut known = Known { app: Some(app.parse().unwrap()), ..Known::default() };
    loop {
        let request = Request {
            base: Some(&version(name)),
            base_epoch: EPOCH,
            image: &image_of(name),
            source: &source,
            app: &app_file,
            env: &BTreeMap::new(),
            choice: &Choice::default(),
            buildpacks: &[],
            settings: &Settings::default(),
            known: &known,
            environment: "container",
            architecture: "amd64",
        };
        match contract.plan(&request).map_err(|error| error.to_string())? {
            Decision::Plan(plan) => return Ok(*plan),
            Decision::Needs(needs) => needs.into_iter().for_each(|need| answer(need, name, &mut known)),
        }
    }
}

/// The plan with the digests of long texts in their place: those have files of their own.
fn shortened(mut plan: Plan) -> Plan {
    for deed in plan.stages.iter_mut().flat_map(|stage| &mut stage.deeds) {
        if let Deed::Inject(Injection { what: Selection::Texts(texts), .. }) = deed {
            for text in texts.iter_mut().filter(|text| text.text.len() > 256) {
                text.text = Digest::of(text.text.as_bytes()).to_string();
            }
        }
    }
    plan
}

/// The goldens as they should be, by the path below `golden/`: `APP.json` is an example's plan by its own base,
/// `APP/BASE.json` that by another base that takes it, and `refused.txt` says why others do not.
fn goldens() -> BTreeMap<String, String> {
    let mut goldens = BTreeMap::new();
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for app in folders("examples/apps") {
        let folder = repository().join("examples/apps").join(&app);
        let own = base_of(&folder, &app_file(&folder));
        for name in folders("bases").into_iter().chain(folders("examples/builders")) {
            let plan = match plan(&app, &name) {
                Ok(plan) => plan,
                Err(why) if name == own => panic!("{app}: {why}"),
                Err(why) => {
                    refused.entry(format!("{name}: {why}")).or_default().push(app.clone());
                    continue;
                }
            };
            assert_eq!(lint(&plan), [], "{app} by {name}");
            let text = serde_json::to_string_pretty(&shortened(plan)).unwrap() + "\n";
            goldens.insert(if name == own { format!("{app}.json") } else { format!("{app}/{name}.json") }, text);
        }
    }
    let refused = refused.into_iter().map(|(why, apps)| format!("{why}\n  {}\n", apps.join(" ")));
    goldens.insert("refused.txt".to_owned(), refused.collect());
    goldens
}

#[test]
fn every_example_is_planned_by_each_base_as_its_golden_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let accept = std::env::var("TILL_GOLDEN").is_ok_and(|value| value == "accept");
    let goldens = goldens();
    let mut wrong = Vec::new();
    for (path, text) in &goldens {
        let file = folder.join(path);
        if accept {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        } else if fs::read_to_string(file).unwrap_or_default() != *text {
            wrong.push(format!("{path} is now\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}\nTILL_GOLDEN=accept takes them over", wrong.join("\n"));
    let more: Vec<_> = files(&folder).into_iter().filter(|path| !goldens.contains_key(path)).collect();
    assert_eq!(more, [] as [String; 0], "goldens that belong to nothing");
}

#[test]
fn every_base_can_be_planned() {
    for name in folders("bases") {
        let spec = base(&name);
        assert_eq!(spec.name.as_str(), name);
        let folder = repository().join("bases").join(&name);
        let found: Vec<_> = files(&folder)
            .into_iter()
            .map(|path| FoundFile {
                digest: Digest::of(&fs::read(folder.join(&path)).unwrap()),
                executable: false,
                path,
            })
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
    let disks = of("[disk]");
    let all = [heads.clone().count(), recipes.clone().count(), contracts.clone().count(), disks.clone().count()];
    assert_eq!(all.iter().sum::<usize>(), blocks.len());
    assert_eq!((heads.clone().count(), of("[contract]").count()), (1, 1));
    for recipe in recipes {
        let parts = heads.clone().chain([recipe]).chain(disks.clone()).chain(contracts.clone());
        let whole: String = parts.map(String::as_str).collect();
        let parsed = BaseSpec::parse(&whole);
        assert!(parsed.is_ok(), "{}\n{whole}", parsed.unwrap_err());
    }
}

#[test]
fn every_example_is_found_to_be_for_the_base_that_it_names() {
    for app in folders("examples/apps") {
        let folder = repository().join("examples/apps").join(&app);
        let app_file = AppFile::parse(&fs::read_to_string(folder.join("till.toml")).unwrap_or_default()).unwrap();
        let named = base_of(&folder, &app_file);
        // One that is for another base could be told from its files by nobody.
        if !folders("bases").contains(&named) {
            continue;
        }
        assert_eq!(base_of(&folder, &AppFile { base: None, ..app_file }), named, "{app}");
    }
}
