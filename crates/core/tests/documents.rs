//! The documents, against the schemas of their formats. Where those come from: NOTICE.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};
use till_core::inventory::{
    Distribution, Finding, Interest, Inventory, LayerScan, Subject, View, cyclonedx, read, spdx,
};
use till_core::{DiffId, Digest, ManifestDigest};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn cyclonedx_schema() -> jsonschema::Validator {
    let of = |text| jsonschema::Resource::from_contents(parsed(text));
    jsonschema::options()
        .with_resource(
            "http://cyclonedx.org/schema/spdx.SNAPSHOT.schema.json",
            of(include_str!("schemas/spdx.schema.json")),
        )
        .with_resource(
            "http://cyclonedx.org/schema/jsf-0.82.SNAPSHOT.schema.json",
            of(include_str!("schemas/jsf-0.82.schema.json")),
        )
        .build(&parsed(include_str!("schemas/bom-1.6.schema.json")))
        .unwrap()
}

fn spdx_schema() -> jsonschema::Validator {
    jsonschema::options().build(&parsed(include_str!("schemas/spdx-2.3.schema.json"))).unwrap()
}

#[track_caller]
fn assert_valid(schema: &jsonschema::Validator, document: &Value) {
    let errors: Vec<_> =
        schema.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

fn subject() -> Subject {
    Subject {
        name: "shop".to_owned(),
        digest: ManifestDigest(Digest::of(b"image")),
        created: "2024-01-01T00:00:00Z".to_owned(),
        tool: "0.1.0".to_owned(),
    }
}

/// Something of every kind, with words that schemas may take offence at.
fn everything() -> Inventory {
    let mut scan = LayerScan::default();
    for (path, text) in [
        ("etc/os-release", "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian \\\"12\\\"\"\n"),
        (
            "var/lib/dpkg/status",
            "Package: g++\nVersion: 4:12.2.0-3\nArchitecture: amd64\nSource: gcc-defaults (1.203)\n",
        ),
        ("lib/apk/db/installed", "P:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT or so\n"),
        ("app/ümläut.dist-info/METADATA", "Name: Flask\nVersion: 3.0.0\nLicense: BSD, 3 clauses\n"),
        ("app/node_modules/@a/b/package.json", r#"{"name": "@a/b", "version": "1.0.0"}"#),
        ("app/node_modules/c/package.json", "{"),
    ] {
        let interest = Interest::of(path).unwrap();
        scan.found.insert(path.to_owned(), read(interest, path, &text.as_bytes()));
    }
    let mut view = View::default();
    view.add(&DiffId(Digest::of(b"layer")), scan);
    view.inventory()
}

fn nothing() -> Inventory {
    Inventory {
        distribution: Distribution::Unknown { evidence: "nothing says so".to_owned() },
        packages: Vec::new(),
        incomplete: vec![Finding { path: "var/lib/rpm/Packages".to_owned(), what: "was found".to_owned() }],
    }
}

#[test]
fn cyclonedx_documents_are_valid() {
    let schema = cyclonedx_schema();
    for inventory in [everything(), nothing()] {
        assert_valid(&schema, &cyclonedx::document(&inventory, &subject()));
    }
    let mut wrong = cyclonedx::document(&everything(), &subject());
    wrong["components"][1]["type"] = json!("nonsense");
    assert!(!schema.is_valid(&wrong));
}

#[test]
fn spdx_documents_are_valid() {
    let schema = spdx_schema();
    for inventory in [everything(), nothing()] {
        assert_valid(&schema, &spdx::document(&inventory, &subject()));
    }
    let mut wrong = spdx::document(&everything(), &subject());
    wrong["packages"][1]["name"] = json!(1);
    assert!(!schema.is_valid(&wrong));
}

#[test]
fn references_in_documents_are_unique() {
    let document = cyclonedx::document(&everything(), &subject());
    let mut names: Vec<_> =
        document["components"].as_array().unwrap().iter().map(|c| c["bom-ref"].to_string()).collect();
    let count = names.len();
    assert_eq!(count, 5);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn what_is_not_known_is_said_in_both() {
    let (bom, spdx) = (cyclonedx::document(&nothing(), &subject()), spdx::document(&nothing(), &subject()));
    assert_eq!(bom["components"][0]["name"], "unknown");
    assert_eq!(bom["compositions"][0]["aggregate"], "incomplete");
    assert_eq!(bom["metadata"]["properties"][1]["value"], "var/lib/rpm/Packages: was found");
    assert_eq!(spdx["packages"][1]["name"], "unknown");
    assert_eq!(spdx["annotations"][1]["comment"], "incomplete: var/lib/rpm/Packages: was found");
}
