//! What people are told.

use super::*;
use crate::fault::{Blame, Fault};

/// What is said, and what to try.
fn said(detection: &Detection) -> (Fault, String, String) {
    let why = detection.choice().unwrap_err();
    (why.fault(), why.to_string(), why.hint().unwrap())
}

#[test]
fn who_has_no_such_base_is_told_how_to_make_it() {
    let (fault, what, hint) = said(&of(&[("go.mod", "")], &[]));
    assert_eq!(fault, Fault::Caller);
    assert_eq!(what, "this looks like a Go program (go.mod), which the base `go` prepares; there is no base `go`");
    assert!(hint.starts_with("make it with `till base build bases/go`"), "{hint}");
    for (files, parts) in [
        (&[("Procfile", "web: x")][..], ["the base `debian`", "bases/debian"]),
        (&[(".openshift/x", "")], ["the base `gear`", "bases/gear"]),
        (&[(".buildpacks", "x")], ["the base `heroku`", "bases/heroku"]),
        (&[(".s2i/bin/run", "")], ["no base has a contract of kind `s2i`", "till base import"]),
        (
            &[("project.toml", "[build]\nbuilder = \"some/b:1\"")],
            ["names the builder some/b:1", "till base import some/b:1"],
        ),
    ] {
        let (fault, what, hint) = said(&of(files, &[]));
        assert_eq!(fault, Fault::Caller);
        assert!(what.contains(parts[0]) && hint.contains(parts[1]), "{what}\n{hint}");
    }
    let (_, what, hint) = said(&of(&[("go.mod", "")], &[offer(("go", "", ""))]));
    assert!(what.contains("without a contract") && hint.contains("--contract"), "{what}\n{hint}");
    let several = [offer(("b", "s2i", "")), offer(("a", "s2i", ""))];
    let (_, what, hint) = said(&of(&[(".s2i/bin/run", "")], &several));
    assert!(what.ends_with("several bases are for that: `a` and `b`") && hint.contains("--base a"), "{what}\n{hint}");
}

#[test]
fn who_has_nothing_that_is_known_is_told_what_there_is_and_what_would_be() {
    let (fault, what, hint) = said(&of_names("README.md docs/a.md docs/b.md api/go.mod"));
    assert_eq!(fault, Fault::Source);
    assert!(what.contains("which base") && what.contains("README.md, api/ and docs/"), "{what}");
    for part in
        ["--base NAME", "till.toml", "till base list", "Dockerfile", "go.mod", "index.html", "start.sh", "…/api"]
    {
        assert!(hint.contains(part), "no `{part}`: {hint}");
    }
    let many: Vec<_> = (10..40).map(|number| format!("f{number}")).collect();
    let (_, what, _) = said(&of_names(&many.join(" ")));
    assert!(what.contains("f21 and 18 more") && !what.contains("f22"), "{what}");
    let (fault, what, hint) = said(&of_names(""));
    assert_eq!((fault, what.as_str(), hint.as_str()), (Fault::Source, "the source is empty", "commit something first"));
}

#[test]
fn a_choice_is_told_in_one_line_with_what_else_would_do() {
    for (names, path, what) in [
        ("go.mod", "go.mod", "this is a Go program, prepared by the base `go` (`till explain` says more)"),
        (
            "package.json index.html",
            "package.json",
            "this is a Node.js app, prepared by the base `node`, not by `static` (`till explain` says more)",
        ),
        (
            "Dockerfile",
            "Dockerfile",
            "this is an app with a Dockerfile of its own, built by that (`till explain` says more)",
        ),
    ] {
        let notice = of_names(names).notice().unwrap();
        assert_eq!((notice.path.as_str(), notice.what.as_str()), (path, what));
    }
}

#[test]
fn the_answer_in_json_has_its_documented_keys() {
    let value = serde_json::to_value(of_names("package.json package.json5 Dockerfile.dev index.html")).unwrap();
    assert_eq!(
        value["chosen"],
        serde_json::json!({
            "kind": "node", "base": "node", "files": ["package.json", "package.json5"], "what": "a Node.js app",
            "because": "package.json and package.json5 make it a Node.js app", "how": "till build --base node", "lack": null,
        })
    );
    assert_eq!(value["others"][0]["kind"], "static");
    assert_eq!(value["refused"][0]["what"], "Dockerfile.dev");
}
