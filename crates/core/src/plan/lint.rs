//! What is wrong with a plan, whoever wrote it. Run on every plan in tests and in production.

use super::{Deed, Footing, Place, Plan, Reuse, Step};
use crate::system::is_place;

/// Something that a plan must not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where in the plan.
    pub place: String,
    /// What is wrong.
    pub what: String,
}

/// Everything that is wrong with this plan.
pub fn lint(plan: &Plan) -> Vec<Finding> {
    let path_finding: fn(&str) -> Option<String> = match plan.system {
        Some(_) => place_finding,
        None => path_finding,
    };
    let mut found = Vec::new();
    let mut say = |place: &str, what: String| {
        found.push(Finding { place: place.to_owned(), what });
    };
    if matches!(plan.top, Footing::Stage(number) if number >= plan.stages.len()) {
        say("top", "there is no such stage".to_owned());
    }
    for (number, stage) in plan.stages.iter().enumerate() {
        let later = |footing: &&Footing| matches!(footing, Footing::Stage(other) if *other >= number);
        if stage.trees().iter().chain([&&stage.on]).any(later) {
            say(&stage.name, "it needs a stage that comes after it".to_owned());
        }
        if stage.reuse == Reuse::Inputs && (!stage.texts.is_empty() || stage.spread.is_some()) {
            say(&stage.name, "it has texts or directories to read, and its layer may be taken".to_owned());
        }
        if stage.spread.is_some() && !stage.deeds.is_empty() {
            say(&stage.name, "it becomes layers of another tree, and has deeds of its own".to_owned());
        }
        let paths = stage.texts.iter().chain(stage.spread.as_ref().map(|spread| &spread.list));
        paths.filter_map(|path| path_finding(path)).for_each(|what| say(&stage.name, what));
        for (place, deed) in stage.deeds.iter().enumerate() {
            match deed {
                Deed::Bootstrap(_) if place > 0 || stage.on != Footing::Nothing => {
                    say(&stage.name, "a system is made where there is one".to_owned());
                }
                Deed::Bootstrap(_) => {}
                Deed::Inject(injection) => {
                    let path = match &injection.place {
                        Place::Dir(path) | Place::Tar(path) => path,
                        Place::Copy(landing) => &landing.path,
                    };
                    path_finding(path).into_iter().for_each(|what| say(&stage.name, what));
                }
                Deed::Run(step) => step_findings(step, path_finding).into_iter().for_each(|what| say(&step.name, what)),
            }
        }
    }
    for step in plan.test.iter().chain(&plan.finish) {
        step_findings(step, path_finding).into_iter().for_each(|what| say(&step.name, what));
    }
    for cache in &plan.caches {
        // It becomes a directory's name on the host.
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if cache.name.is_empty() || cache.name.starts_with('.') || !cache.name.bytes().all(allowed) {
            say("caches", format!("`{}` is not a cache's name: letters, digits, `-`, `_` and `.` are", cache.name));
        }
    }
    for (name, candidates) in &plan.launch.processes {
        if candidates.iter().any(|candidate| candidate.argv.first().is_none_or(String::is_empty)) {
            say(name, "it runs nothing".to_owned());
        }
    }
    for path in plan.caches.iter().map(|cache| &cache.path).chain(&plan.remove) {
        path_finding(path).into_iter().for_each(|what| say("paths", what));
    }
    found
}

fn step_findings(step: &Step, path_finding: fn(&str) -> Option<String>) -> Vec<String> {
    let mut found: Vec<_> = path_finding(&step.dir).into_iter().collect();
    if step.argv.first().is_none_or(String::is_empty) {
        found.push("it runs nothing".to_owned());
    }
    if step.argv.iter().any(|word| word.contains('\0')) {
        found.push("an argument holds a zero byte".to_owned());
    }
    found.extend(step.mounts.iter().filter_map(|mount| path_finding(&mount.path)));
    for key in step.env.keys() {
        if key.is_empty() || key.contains(['=', '\0']) {
            found.push(format!("`{key}` is not a variable's name"));
        }
    }
    found
}

/// Paths in an instance are absolute and plain; `/` itself is never a place to mount on or to remove.
fn path_finding(path: &str) -> Option<String> {
    let plain = path.starts_with('/') && !path.contains('\0') && path.split('/').all(|part| part != "..");
    (!plain).then(|| format!("`{path}` is not an absolute path without `..`"))
}

/// The same of a system that has drives.
fn place_finding(path: &str) -> Option<String> {
    (!is_place(path)).then(|| format!("`{path}` is not an absolute path of Windows without `..`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Contract, Request};
    use crate::dockerfile::plan::Known;
    use crate::dockerfile::spec::Choice;
    use crate::model::{AppFile, BaseSpec, BaseVersion, FileKind, SourceFile, SourceView};

    /// What is found in the plan of a contract, for a source of one file.
    fn findings(contract: &str) -> Vec<String> {
        let head = "name = \"b\"\ndescription = \"\"\nowner = \"\"\n[recipe]\nkind = \"debian\"\nsuite = \"s\"\n";
        let spec = BaseSpec::parse(&format!("{head}[contract]\nkind = \"command\"\n{contract}")).unwrap();
        let digest = crate::ManifestDigest(crate::Digest::of(b""));
        let file = SourceFile { path: "a".to_owned(), kind: FileKind::File, content: "x".to_owned() };
        let plan = spec.contract.plan(&Request {
            base: Some(&BaseVersion { name: spec.name.clone(), version: 1, digest }),
            base_epoch: 0,
            image: &crate::plan::Config::default(),
            source: &SourceView { files: vec![file], ..SourceView::default() },
            app: &AppFile::default(),
            env: &std::collections::BTreeMap::new(),
            choice: &Choice::default(),
            buildpacks: &[],
            settings: &crate::contract::Settings::default(),
            known: &Known::default(),
            environment: "container",
            architecture: "amd64",
        });
        lint(&plan.unwrap().plan().unwrap())
            .into_iter()
            .map(|finding| format!("{}: {}", finding.place, finding.what))
            .collect()
    }

    #[test]
    fn what_a_plan_must_not_say_is_found() {
        let start = "[[contract.process]]\nname = \"web\"\nrun = [\"x\"]\n";
        for (contract, found) in [
            ("", None),
            ("remove = [\"app\"]\n", Some("`app` is not an absolute path")),
            ("remove = [\"/app/../etc\"]\n", Some("`/app/../etc` is not an absolute path")),
            ("source = { as = \"dir\", at = \"app\" }\n", Some("`app` is not an absolute path")),
            ("[[contract.cache]]\nname = \"../c\"\npath = \"/c\"\n", Some("`../c` is not a cache's name")),
            ("[[contract.cache]]\nname = \"/etc\"\npath = \"/c\"\n", Some("`/etc` is not a cache's name")),
            ("[[contract.cache]]\nname = \"c\"\npath = \"~/.c\"\n", Some("`~/.c` is not an absolute path")),
            ("[[contract.step]]\nname = \"s\"\nrun = []\n", Some("s: it runs nothing")),
            ("[[contract.step]]\nname = \"s\"\nrun = [\"a\\u0000\"]\n", Some("s: an argument holds a zero byte")),
            ("[[contract.step]]\nname = \"s\"\nrun = [\"x\"]\ndir = \"sub\"\n", Some("`sub` is not an absolute path")),
            (
                "[contract.env]\n\"A=B\" = \"1\"\n[contract.test]\nrun = [\"x\"]\n",
                Some("`A=B` is not a variable's name"),
            ),
            ("[[contract.process]]\nname = \"job\"\nrun = []\n", Some("job: it runs nothing")),
        ] {
            let findings = findings(&format!("{contract}{start}"));
            assert_eq!(findings.is_empty(), found.is_none(), "{contract}: {findings:?}");
            assert!(found.is_none_or(|found| findings[0].contains(found)), "{contract}: {findings:?}");
        }
    }
}
