//! Answers in JSON: one object on standard output, whatever is asked and however it ends.

use crate::support::*;

/// What every failure says.
const KEYS: [&str; 5] = ["fault", "message", "hint", "step", "log"];

#[test]
fn every_verb_answers_with_one_object() {
    base("debian");
    for (words, key) in [
        (["base", "list"].as_slice(), "items"),
        (&["base", "show", "debian"], "spec"),
        (&["base", "show", "debian@1"], "digest"),
        (&["artifact", "list"], "items"),
        (&["sbom", "debian"], "components"),
        (&["sbom", "base:debian@1", "--format", "spdx"], "packages"),
        (&["diff", "debian", "base:debian"], "packages"),
        (&["ps"], "items"),
        (&["doctor"], "items"),
    ] {
        let answer = till(&[words, &["--json"]].concat()).ok().json();
        assert!(answer.get(key).is_some(), "{words:?}: {answer}");
    }
}

#[test]
fn every_failure_is_one_object_with_the_exit_code_of_its_fault() {
    base("debian");
    let empty = tempfile::tempdir().unwrap();
    let empty = empty.path().to_str().unwrap();
    for (words, fault, code) in [
        (["base", "show", "no-such-base"].as_slice(), "caller", 6),
        (&["base", "build", empty], "caller", 6),
        (&["base", "usage", "debian"], "caller", 6),
        (&["artifact", "show", "no-such-artifact"], "caller", 6),
        (&["artifact", "export", "no-such-artifact", "oci:/nowhere"], "caller", 6),
        (&["sbom", "no-such-image"], "caller", 6),
        (&["provenance", "base:no-such-base"], "caller", 6),
        (&["diff", "debian", "no-such-image@7"], "caller", 6),
        (&["run", "no-such-artifact"], "caller", 6),
        (&["logs", "inst_0000"], "caller", 6),
        (&["stop", "inst_0000"], "caller", 6),
        (&["build", "/no/such/source", "--base", "debian"], "caller", 6),
        (&["plan", empty, "--base", "debian"], "source", 3),
        (&["build", empty], "source", 3),
    ] {
        let called = till(&[words, &["--json"]].concat());
        let error = called.json()["error"].clone();
        assert_eq!((called.code, error["fault"].as_str()), (code, Some(fault)), "{words:?}: {error}");
        assert!(KEYS.iter().all(|key| error.get(key).is_some()), "{words:?}: {error}");
    }
}
