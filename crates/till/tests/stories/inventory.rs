//! What is in images, how they came about, and what differs between two.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::*;

/// The document that a command prints.
#[track_caller]
fn document(words: &[&str]) -> Value {
    till(&[words, &["--json"]].concat()).ok().json()
}

/// The package URLs of a CycloneDX document.
fn purls(bom: &Value) -> BTreeSet<&str> {
    bom["components"].as_array().unwrap().iter().filter_map(|component| component["purl"].as_str()).collect()
}

/// Builds an example; the name of the app.
fn example(folder: &str, base_name: &str) -> String {
    base(base_name);
    let name = format!("apps-{folder}");
    built(&repository().join("examples/apps").join(folder), &["--base", base_name, "--name", &name]);
    name
}

#[test]
fn a_bill_of_materials_names_what_apps_depend_on() {
    for (folder, base, wanted) in [
        ("python-flask", "python", ["pkg:pypi/flask@", "pkg:pypi/gunicorn@", "pkg:deb/debian/libc6@"].as_slice()),
        ("node-express", "node", &["pkg:npm/express@", "pkg:npm/accepts@", "pkg:deb/debian/libc6@"]),
        (
            "java-war",
            "java",
            &[
                "pkg:maven/com.example/guestbook@",
                "pkg:maven/org.apache.commons/commons-text@",
                "pkg:deb/debian/libc6@",
            ],
        ),
    ] {
        let app = example(folder, base);
        let bom = document(&["sbom", &app]);
        let purls = purls(&bom);
        for wanted in wanted {
            assert!(purls.iter().any(|purl| purl.starts_with(wanted)), "{app}: no {wanted} in {purls:#?}");
        }
        let spdx = document(&["sbom", &app, "--format", "spdx"]);
        let packages = spdx["packages"].as_array().unwrap().len();
        // The system is a component of both; the image is a package of one.
        assert_eq!(packages, bom["components"].as_array().unwrap().len() + 1, "{app}");
        let shown = document(&["artifact", "show", &app]);
        assert_eq!(shown["packages"], packages - 2);
        assert_eq!((&shown["distribution"]["id"], &shown["distribution"]["version"]), (&"debian".into(), &"12".into()));
    }
}

#[test]
fn the_packages_of_the_distribution_are_those_that_dpkg_names() {
    let base = script_base("app", "none");
    let said = script(&base, "inventory-dpkg", "dpkg-query -W -f '= ${Package} ${Version} ${Architecture}\\n'").ok();
    let inside: BTreeSet<String> =
        said.said().into_iter().filter_map(|line| line.strip_prefix("= ")).map(str::to_owned).collect();
    let spdx = document(&["sbom", "inventory-dpkg", "--format", "spdx"]);
    let bom = document(&["sbom", "inventory-dpkg"]);
    let property = |component: &Value, name: &str| {
        let all = component["properties"].as_array().unwrap();
        let found = all.iter().find(|property| property["name"] == format!("io.tillage:{name}"));
        found.unwrap()["value"].as_str().unwrap().to_owned()
    };
    let components = bom["components"].as_array().unwrap().iter();
    let debs =
        components.filter(|component| component["purl"].as_str().is_some_and(|purl| purl.starts_with("pkg:deb/")));
    let seen: BTreeSet<String> = debs
        .map(|deb| {
            format!("{} {} {}", deb["name"].as_str().unwrap(), deb["version"].as_str().unwrap(), property(deb, "arch"))
        })
        .collect();
    assert!(inside.len() > 80);
    assert_eq!(seen, inside);
    assert!(spdx["packages"].as_array().unwrap().len() > inside.len());
}

/// Makes a base over `debian` without these paths; its name.
fn without(name: &str, paths: &str) -> String {
    base("debian");
    let rest = format!(
        "[recipe]\nkind = \"debian\"\nfrom = \"debian\"\ncommands = [[\"rm\", \"-r\", {paths}]]\n[contract]\nkind = \"command\"\n\
         [[contract.process]]\nname = \"web\"\nrun = [\"/bin/true\"]\n"
    );
    own_base(&shared_data(), name, &rest);
    name.to_owned()
}

#[test]
fn an_unknown_distribution_is_said_to_be_unknown() {
    let name = without("inventory-unknown", "\"/etc/os-release\", \"/usr/lib/os-release\"");
    let bom = document(&["sbom", &format!("base:{name}")]);
    assert_eq!(bom["components"][0]["name"], "unknown");
    assert_eq!(bom["compositions"][0]["aggregate"], "incomplete");
    assert!(bom.to_string().contains("the distribution is unknown: it has neither etc/os-release nor"));
    // Its packages are there all the same, only not by the distribution's name.
    assert!(purls(&bom).iter().any(|purl| purl.starts_with("pkg:deb/libc6@")));
}

#[test]
fn a_database_that_is_missing_is_not_taken_for_no_packages() {
    let name = without("inventory-empty", "\"/var/lib/dpkg\"");
    let bom = document(&["sbom", &format!("base:{name}")]);
    assert_eq!((purls(&bom).len(), &bom["components"][0]["name"]), (0, &"debian".into()));
    assert_eq!(bom["compositions"][0]["aggregate"], "incomplete");
    assert!(bom.to_string().contains("no distribution's database of packages was found"));
}

#[test]
fn provenance_names_source_base_and_plan() {
    base("debian");
    let app = server("echo hello");
    let commit = commit(app.path());
    let arguments = ["--base", "debian", "--name", "inventory-provenance", "--env", "TOKEN=hidden"];
    let built = built(app.path(), &arguments);
    let statement = document(&["provenance", "inventory-provenance"]);
    let digest = built["artifact"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    assert_eq!(statement["subject"][0]["digest"]["sha256"], digest);
    let definition = &statement["predicate"]["buildDefinition"];
    assert_eq!(definition["internalParameters"]["plan"], built["plan"]);
    let dependencies = definition["resolvedDependencies"].as_array().unwrap();
    let digests: Vec<_> = dependencies.iter().map(|dependency| &dependency["digest"]).collect();
    let base = built["base_digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    assert!(digests.iter().any(|digest| digest["sha256"] == base), "{statement}");
    assert!(digests.iter().any(|digest| digest["gitCommit"] == commit.as_str()), "{statement}");
    assert!(!statement.to_string().contains("hidden"), "{statement}");
    // A base has one, too.
    assert_eq!(document(&["provenance", "base:debian"])["subject"][0]["name"], "debian");
}

#[test]
fn differences_are_told_as_packages_files_and_config() {
    base("debian");
    let app = server("echo one");
    let name = ["--base", "debian", "--name", "inventory-diff"];
    let first = built(app.path(), &name);
    write(
        app.path(),
        &[("answer.sh", "echo two"), ("lib/six-1.16.0.dist-info/METADATA", "Name: six\nVersion: 1.16.0\n")],
    );
    let second = built(app.path(), &[&name, ["--env", "MODE=fast"].as_slice()].concat());
    let (first, second) = (first["artifact"].as_str().unwrap(), second["artifact"].as_str().unwrap());
    let differs = document(&["diff", first, second]);
    assert_eq!(differs["packages"]["added"]["pypi/six"][0], "1.16.0");
    assert_eq!(differs["files"]["changed"]["app/answer.sh"]["to"]["size"], 8);
    assert_eq!(differs["config"]["added"]["env.MODE"], "fast");
    assert_eq!(differs["packages"]["removed"], serde_json::json!({}));
    let text = till(&["diff", first, second]).ok().out;
    for line in ["packages\n  + pypi/six  1.16.0", "~ app/answer.sh  content 8 → 8 bytes", "config\n  + env.MODE  fast"]
    {
        assert!(text.contains(line), "no `{line}` in:\n{text}");
    }
    assert!(till(&["diff", first, first]).ok().out.contains("are the same"));
    let above = document(&["diff", "base:debian", first]);
    assert_eq!(above["packages"]["added"], serde_json::json!({}));
    assert!(above["files"]["added"].as_object().unwrap().contains_key("app/Procfile"), "{above}");
}

#[test]
fn documents_are_referrers_that_go_with_their_image() {
    let data = tempfile::tempdir().unwrap();
    let rest = "[recipe]\nkind = \"debian\"\nsuite = \"bookworm\"\npackages = [\"netbase\"]\n[contract]\nkind = \"command\"\n[[contract.process]]\nname = \"web\"\nrun = [\"/bin/true\"]\n";
    let made = own_base(data.path(), "inventory-gone", rest);
    let blobs = data.path().join("images/blobs/sha256");
    let referrers = || {
        let all = std::fs::read_dir(&blobs).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        let parsed =
            all.filter(|bytes| bytes.len() < 4096).filter_map(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        parsed.filter(|manifest| manifest["subject"]["digest"] == made["digest"]).collect::<Vec<_>>()
    };
    let kinds: BTreeSet<String> = referrers().iter().map(|manifest| manifest["artifactType"].to_string()).collect();
    let wanted = [
        "application/spdx+json",
        "application/vnd.cyclonedx+json",
        "application/vnd.in-toto+json",
        "application/vnd.tillage.base.lock.v1+toml",
        "application/vnd.tillage.base.recipe.v1.tar",
    ];
    assert!(kinds.iter().map(|kind| kind.trim_matches('"')).eq(wanted), "{kinds:?}");
    till_in(data.path(), &["gc"]).ok();
    assert_eq!(referrers().len(), 5);
    till_in(data.path(), &["base", "remove", "inventory-gone"]).ok();
    till_in(data.path(), &["gc"]).ok();
    assert_eq!(std::fs::read_dir(&blobs).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(data.path().join("inventory")).unwrap().count(), 0);
}
