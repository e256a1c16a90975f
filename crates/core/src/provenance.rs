//! How an image came about: SLSA provenance v1 in an in-toto statement v1 (docs/reference/provenance.md).
//!
//! Made when the image is made, of what was decided and done; it cannot be made up afterwards. It names variables, but not
//! their values: those are in the image's config as far as they are meant to be.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::digest::{Digest, ManifestDigest};
use crate::dockerfile::spec::Choice;
use crate::id::PreparationId;
use crate::model::artifact::BaseVersion;
use crate::plan::Plan;

/// The statement's media type.
pub const MEDIA_TYPE: &str = "application/vnd.in-toto+json";

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// What our parameters mean: described in docs/reference/provenance.md.
pub const BUILD_TYPE: &str = "https://tillage.io/build/v1";
/// What the parameters of a rebase mean.
pub const REBASE_TYPE: &str = "https://tillage.io/rebase/v1";
/// Who built: a machine on which somebody calls `till`. It vouches for nothing but itself.
pub const BUILDER: &str = "https://tillage.io/builder/local";

/// What was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made<'a> {
    /// An app's artifact.
    App(&'a str),
    /// A base.
    Base(&'a str),
}

/// One carrying out of one plan.
#[derive(Debug, Clone)]
pub struct Account<'a> {
    /// What came of it.
    pub subject: &'a ManifestDigest,
    /// For what.
    pub made: Made<'a>,
    /// What was followed.
    pub plan: &'a Plan,
    /// What lay below.
    pub base: Option<&'a BaseVersion>,
    /// The source's tree had changes beyond its commit.
    pub dirty: bool,
    /// The names of variables that the user gave.
    pub variables: BTreeSet<String>,
    /// What was said of the app's Dockerfile, where one was followed: of its arguments, only the names are told.
    pub dockerfile: Option<&'a Choice>,
    /// The ids of secrets that the user gave.
    pub secrets: BTreeSet<String>,
    /// Further things that went into it: a name and a digest each.
    pub materials: Vec<(String, Digest)>,
    /// Which preparation it was.
    pub preparation: &'a PreparationId,
    /// As RFC 3339 in UTC.
    pub started: String,
    /// As RFC 3339 in UTC.
    pub finished: String,
    /// The version of Tillage.
    pub tool: &'a str,
}

/// One exchange of what lies below an artifact.
#[derive(Debug, Clone)]
pub struct Exchange<'a> {
    /// What came of it.
    pub subject: &'a ManifestDigest,
    /// Whose artifact.
    pub app: &'a str,
    /// What it was; its own provenance says how that came about.
    pub from: &'a ManifestDigest,
    /// What lies below now: its name and digest.
    pub run: (&'a str, &'a ManifestDigest),
    /// Which preparation it was.
    pub preparation: &'a PreparationId,
}

/// The statement of a rebase, with when it began and ended as RFC 3339 in UTC, and the version of Tillage. Nothing was built, so
/// it has no plan and no source.
pub fn rebased(exchange: &Exchange<'_>, times: (&str, &str), tool: &str) -> Value {
    let (run, digest) = exchange.run;
    let dependency =
        |name: String, digest: &ManifestDigest| json!({ "name": name, "digest": { "sha256": digest.hex() } });
    json!({
        "_type": STATEMENT,
        "subject": [{ "name": exchange.app, "digest": { "sha256": exchange.subject.hex() } }],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": REBASE_TYPE,
                "externalParameters": { "app": exchange.app, "artifact": exchange.from, "run": run },
                "resolvedDependencies": [
                    dependency(format!("artifact:{}", exchange.app), exchange.from),
                    dependency(format!("image:{run}"), digest),
                ],
            },
            "runDetails": run_details(exchange.preparation, times, tool),
        },
    })
}

fn run_details(preparation: &PreparationId, (started, finished): (&str, &str), tool: &str) -> Value {
    json!({
        "builder": { "id": BUILDER, "version": { "till": tool } },
        "metadata": { "invocationId": preparation, "startedOn": started, "finishedOn": finished },
    })
}

/// The statement.
pub fn statement(account: &Account<'_>) -> Value {
    let (kind, name) = match account.made {
        Made::App(name) => ("app", name),
        Made::Base(name) => ("base", name),
    };
    json!({
        "_type": STATEMENT,
        "subject": [{ "name": name, "digest": { "sha256": account.subject.hex() } }],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": external(account, kind, name),
                "internalParameters": {
                    "plan": account.plan.digest(),
                    "environment": account.plan.environment,
                    "limits": account.plan.limits,
                },
                "resolvedDependencies": dependencies(account),
            },
            "runDetails": run_details(account.preparation, (&account.started, &account.finished), account.tool),
        },
    })
}

fn external(account: &Account<'_>, kind: &str, name: &str) -> Value {
    let mut parameters = json!({ "contract": account.plan.contract, "variables": account.variables });
    parameters[kind] = json!(name);
    if let Some(base) = account.base {
        parameters["from"] = json!(format!("{}@{}", base.name, base.version));
    }
    if let Some(source) = &account.plan.source {
        parameters["source"] = json!({ "commit": source.commit, "tree": source.tree, "dirty": account.dirty });
    }
    if let Some(choice) = account.dockerfile {
        let arguments: Vec<_> = choice.args.keys().collect();
        parameters["dockerfile"] = json!({ "file": choice.file, "target": choice.target, "arguments": arguments });
        parameters["secrets"] = json!(account.secrets);
    }
    parameters
}

fn dependencies(account: &Account<'_>) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    if let Some(base) = account.base {
        all.push(json!({ "name": format!("base:{}@{}", base.name, base.version), "digest": { "sha256": base.digest.hex() } }));
    }
    if let Some(source) = &account.plan.source {
        // The tree's own digest always; the commit's where the tree is exactly that.
        all.push(json!({ "name": "source", "digest": { "sha256": source.tree.hex() } }));
        if let (Some(commit), false) = (&source.commit, account.dirty) {
            all.push(json!({ "name": "commit", "digest": { "gitCommit": commit } }));
        }
    }
    let material = |(name, digest): &(String, Digest)| json!({ "name": name, "digest": { "sha256": digest.hex() } });
    let images = account.plan.images.iter().map(|(name, digest)| (format!("image:{name}"), digest.0.clone()));
    let files = account.plan.remotes().map(|file| (file.url.clone(), file.digest.clone()));
    let packages = account.plan.packages.iter().map(|package| {
        let name = format!("deb:{}={}:{}", package.name, package.version, package.architecture);
        (name, package.digest.clone())
    });
    for part in images.chain(files).chain(packages).chain(account.materials.iter().cloned()) {
        let part = material(&part);
        // Two steps may want the same file.
        if !all.contains(&part) {
            all.push(part);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::{Footing, LaunchDraft, Limits, Source, VERSION};

    fn plan() -> Plan {
        Plan {
            version: VERSION,
            contract: "command".to_owned(),
            environment: "container".to_owned(),
            machine: None,
            system: None,
            base: None,
            source: Some(Source { commit: Some("a".repeat(40).parse().unwrap()), tree: Digest::of(b"tree") }),
            stages: Vec::new(),
            work: None,
            test: None,
            finish: Vec::new(),
            caches: Vec::new(),
            top: Footing::Nothing,
            remove: Vec::new(),
            volatile: Vec::new(),
            collect: Vec::new(),
            starts: Vec::new(),
            limits: Limits::default(),
            launch: LaunchDraft::default(),
            image: None,
            images: BTreeMap::from([("golang".to_owned(), ManifestDigest(Digest::of(b"golang")))]),
            packages: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn names(statement: &Value) -> Vec<&str> {
        let all = statement["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
        all.iter().map(|dependency| dependency["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn a_statement_has_the_parts_of_slsa() {
        let (plan, subject) = (plan(), ManifestDigest(Digest::of(b"image")));
        let base =
            BaseVersion { name: "python".parse().unwrap(), version: 3, digest: ManifestDigest(Digest::of(b"base")) };
        let preparation = PreparationId::from_bits(1);
        let mut account = Account {
            subject: &subject,
            made: Made::App("shop"),
            plan: &plan,
            base: Some(&base),
            dirty: false,
            variables: BTreeSet::from(["TOKEN".to_owned()]),
            dockerfile: None,
            secrets: BTreeSet::new(),
            materials: vec![("file:x".to_owned(), Digest::of(b"x")); 2],
            preparation: &preparation,
            started: "2024-01-01T00:00:00Z".to_owned(),
            finished: "2024-01-01T00:00:01Z".to_owned(),
            tool: "0.1.0",
        };
        let made = statement(&account);
        assert_eq!((&made["_type"], &made["predicateType"]), (&json!(STATEMENT), &json!(PREDICATE)));
        assert_eq!(made["subject"][0]["digest"]["sha256"], subject.hex());
        let build = &made["predicate"]["buildDefinition"];
        assert_eq!(build["externalParameters"]["from"], "python@3");
        assert_eq!(build["externalParameters"]["variables"], json!(["TOKEN"]));
        assert_eq!(build["externalParameters"]["source"]["tree"], json!(Digest::of(b"tree")));
        assert_eq!(build["internalParameters"]["plan"], json!(plan.digest()));
        assert_eq!(names(&made), ["base:python@3", "source", "commit", "image:golang", "file:x"]);
        let run = &made["predicate"]["runDetails"];
        assert_eq!(run["builder"], json!({ "id": BUILDER, "version": { "till": "0.1.0" } }));
        assert_eq!(run["metadata"]["invocationId"], json!(preparation));
        assert_eq!(build["externalParameters"].get("dockerfile"), None);
        // What was changed beyond a commit is not that commit.
        account.dirty = true;
        assert_eq!(names(&statement(&account)), ["base:python@3", "source", "image:golang", "file:x"]);
    }

    #[test]
    fn a_rebase_tells_what_it_was_and_what_lies_below() {
        let [subject, from, below] = [b"new", b"old", b"run"].map(|text| ManifestDigest(Digest::of(text)));
        let preparation = PreparationId::from_bits(1);
        let exchange =
            Exchange { subject: &subject, app: "shop", from: &from, run: ("run", &below), preparation: &preparation };
        let made = rebased(&exchange, ("2024-01-01T00:00:00Z", "2024-01-01T00:00:01Z"), "0.1.0");
        assert_eq!(made["subject"], json!([{ "name": "shop", "digest": { "sha256": subject.hex() } }]));
        let build = &made["predicate"]["buildDefinition"];
        assert_eq!(build["buildType"], REBASE_TYPE);
        assert_eq!(build["externalParameters"], json!({ "app": "shop", "artifact": from, "run": "run" }));
        assert_eq!(names(&made), ["artifact:shop", "image:run"]);
        assert_eq!(made["predicate"]["runDetails"]["metadata"]["finishedOn"], "2024-01-01T00:00:01Z");
    }
    #[test]
    fn what_was_said_of_a_dockerfile_is_named_without_values() {
        let (plan, subject) = (plan(), ManifestDigest(Digest::of(b"image")));
        let preparation = PreparationId::from_bits(1);
        let choice = Choice {
            file: Some("docker/Dockerfile".to_owned()),
            target: Some("final".to_owned()),
            args: BTreeMap::from([("VERSION".to_owned(), "hidden".to_owned())]),
        };
        let made = statement(&Account {
            subject: &subject,
            made: Made::App("shop"),
            plan: &plan,
            base: None,
            dirty: false,
            variables: BTreeSet::new(),
            dockerfile: Some(&choice),
            secrets: BTreeSet::from(["token".to_owned()]),
            materials: Vec::new(),
            preparation: &preparation,
            started: String::new(),
            finished: String::new(),
            tool: "0.1.0",
        });
        let external = &made["predicate"]["buildDefinition"]["externalParameters"];
        let expected = json!({ "file": "docker/Dockerfile", "target": "final", "arguments": ["VERSION"] });
        assert_eq!((&external["dockerfile"], &external["secrets"]), (&expected, &json!(["token"])));
        assert!(!made.to_string().contains("hidden"));
    }
}
