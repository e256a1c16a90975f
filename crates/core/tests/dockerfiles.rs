//! Whole Dockerfiles, and what they are read as: `dockerfiles/<name>.ast`. `TILL_GOLDEN=accept` writes those anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "core reads no files; its tests read those of the repository")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use till_core::dockerfile::{Dockerfile, Instruction, parse, parse_trigger};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dockerfiles")
}

/// The names before an ending.
fn names(ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect()
}

fn read(name: &str) -> Dockerfile {
    let text = fs::read(folder().join(format!("{name}.Dockerfile"))).unwrap();
    parse(&text).unwrap_or_else(|bad| panic!("{name}: {bad}"))
}

/// One line for each thing, so that a change shows as the lines that it changes.
fn written(dockerfile: &Dockerfile) -> String {
    let mut text = format!("{:?}\n", dockerfile.directives);
    for warning in &dockerfile.warnings {
        text += &format!("warning at {}: {}\n", warning.line, warning.what);
    }
    for line in &dockerfile.global {
        text += &format!("{}: {:?}\n   {:?}\n", line.number, line.original, line.instruction);
    }
    for stage in &dockerfile.stages {
        let (line, original, platform) = (stage.line, &stage.original, &stage.platform);
        text += &format!("\n{line}: {original:?}\n   {:?} as {:?}, platform {platform:?}\n", stage.image, stage.name);
        for line in &stage.lines {
            text += &format!("{}: {:?}\n   {:?}\n", line.number, line.original, line.instruction);
        }
    }
    text
}

#[test]
fn every_dockerfile_is_read_as_its_golden_says() {
    let accept = std::env::var("TILL_GOLDEN").is_ok_and(|value| value == "accept");
    let mut wrong = Vec::new();
    for name in names(".Dockerfile") {
        let text = written(&read(&name));
        let path = folder().join(format!("{name}.ast"));
        if accept {
            fs::write(&path, &text).unwrap();
        } else if fs::read_to_string(&path).unwrap_or_default() != text {
            wrong.push(format!("{name} is now read as\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}\nTILL_GOLDEN=accept takes them over", wrong.join("\n"));
}

#[test]
fn every_golden_belongs_to_a_dockerfile() {
    assert_eq!(names(".ast"), names(".Dockerfile"));
}

#[test]
fn what_onbuild_keeps_can_be_read_as_a_trigger() {
    let mut found = 0;
    for name in names(".Dockerfile") {
        let dockerfile = read(&name);
        for line in dockerfile.stages.iter().flat_map(|stage| &stage.lines) {
            if let Instruction::Onbuild(trigger) = &line.instruction {
                parse_trigger(trigger).unwrap_or_else(|bad| panic!("{name}: {trigger}: {bad}"));
                found += 1;
            }
        }
    }
    assert!(found > 5, "{found}");
}
