//! What is in images and how they came about, told when they are made.

use till_core::Fault;
use till_core::inventory::Distribution;
use till_core::plan::Plan;
use till_engine::Format;

use crate::house::{CONTRACT, House, Seen, Silent, wish};

/// A house whose app has a Python distribution, in the layer of its dependencies.
async fn with_flask(version: &str) -> House {
    let house = House::with_base().await;
    house.machine.writes("deps", "/app/Flask.dist-info/METADATA", &format!("Name: Flask\nVersion: {version}\n"));
    house
}

#[tokio::test]
async fn documents_are_attached_when_an_image_is_made() {
    let house = with_flask("3.0.0").await;
    let mut wish = wish(&[]);
    wish.env.insert("TOKEN".to_owned(), "secret".to_owned());
    let built = house.prepare(&wish).await.unwrap();
    let facts = house.engine.ledger.referrers(&built.artifact).await.unwrap();
    let kinds: Vec<_> = facts.iter().map(|fact| fact.artifact_type.as_str()).collect();
    assert_eq!(kinds, ["application/spdx+json", "application/vnd.cyclonedx+json", "application/vnd.in-toto+json"]);
    let bom = house.engine.sbom("app", Format::CycloneDx).await.unwrap();
    assert_eq!(bom["components"][1]["purl"], "pkg:pypi/flask@3.0.0");
    assert_eq!(bom["components"][0]["name"], "unknown");
    let spdx = house.engine.sbom("app", Format::Spdx).await.unwrap();
    assert_eq!(spdx["packages"][2]["name"], "Flask");
    let provenance = house.engine.provenance("app").await.unwrap();
    let plan: Plan = house.engine.plan(&wish, &Silent).await.unwrap().plan;
    let definition = &provenance["predicate"]["buildDefinition"];
    assert_eq!(provenance["subject"][0]["digest"]["sha256"], built.artifact.hex());
    assert_eq!(definition["internalParameters"]["plan"], plan.digest().as_str());
    assert_eq!(definition["externalParameters"]["from"], "base@1");
    assert_eq!(definition["externalParameters"]["variables"][0], "TOKEN");
    assert!(!provenance.to_string().contains("secret"), "{provenance}");
    assert_eq!(house.engine.provenance("base:base").await.unwrap()["subject"][0]["name"], "base");
}

#[tokio::test]
async fn what_was_not_told_is_taken_anew_or_said_not_to_be_known() {
    let house = with_flask("3.0.0").await;
    house.prepare(&wish(&[])).await.unwrap();
    let told = house.engine.sbom("app", Format::CycloneDx).await.unwrap();
    house.engine.ledger.forget_referrers(&|_| false).await.unwrap();
    assert_eq!(house.engine.sbom("app", Format::CycloneDx).await.unwrap(), told, "the same image, the same document");
    let failure = house.engine.provenance("app").await.unwrap_err();
    assert_eq!(failure.fault, Fault::Caller);
    assert!(failure.hint.unwrap().contains("--afresh"));
}

#[tokio::test]
async fn artifacts_and_bases_are_found_by_what_people_type() {
    let house = with_flask("3.0.0").await;
    let built = house.prepare(&wish(&[])).await.unwrap();
    let digest = built.artifact.to_string();
    for (wanted, name) in
        [("app", "app"), (&digest, "app"), ("base", "base@1"), ("base@1", "base@1"), ("base:base", "base@1")]
    {
        assert_eq!(house.engine.image(wanted).await.unwrap().name, name, "{wanted}");
    }
    for (wanted, said) in
        [("nothing", "no artifact"), ("base@9", "no version"), ("base:app", "no base"), ("base:A B", "not a name")]
    {
        let failure = house.engine.image(wanted).await.unwrap_err();
        assert!(failure.chain().contains(said) && failure.fault == Fault::Caller, "{wanted}: {failure}");
    }
}

#[tokio::test]
async fn differences_are_of_packages_files_and_config() {
    let house = with_flask("3.0.0").await;
    let first = house.prepare(&wish(&[("a", "1")])).await.unwrap();
    house.machine.writes("deps", "/app/Flask.dist-info/METADATA", "Name: Flask\nVersion: 3.1.0\n");
    let mut other = wish(&[("b", "1")]);
    other.env.insert("MODE".to_owned(), "fast".to_owned());
    let second = house.prepare(&other).await.unwrap();
    let same = house.engine.diff(first.artifact.as_str(), first.artifact.as_str()).await.unwrap();
    assert!(same.packages.is_empty() && same.files.is_empty() && same.config.is_empty());
    let differs = house.engine.diff(first.artifact.as_str(), second.artifact.as_str()).await.unwrap();
    let flask = &differs.packages.changed["pypi/Flask"];
    assert!(flask.from.contains("3.0.0") && flask.to.contains("3.1.0"), "{differs:?}");
    assert!(differs.files.changed.contains_key("app/Flask.dist-info/METADATA"), "{differs:?}");
    assert_eq!(differs.files.added.keys().collect::<Vec<_>>(), ["app/b"]);
    assert_eq!(differs.files.removed.keys().collect::<Vec<_>>(), ["app/a"]);
    assert_eq!(differs.config.added["env.MODE"], "fast");
}

#[tokio::test]
async fn an_inventory_that_cannot_be_recorded_fails_no_build() {
    let house = House::new().await;
    // Where the inventory would be kept is a file.
    std::fs::create_dir_all(&house.engine.data).unwrap();
    std::fs::write(house.engine.data.join("inventory"), "").unwrap();
    let seen = Seen::default();
    let folder = house.recipe("base", &format!("suite = \"bookworm\"\n{CONTRACT}"));
    house.recreate(&folder, false, &seen).await.unwrap();
    assert!(
        seen.of("notice").iter().any(|notice| notice.starts_with("no inventory and provenance")),
        "{:?}",
        seen.all()
    );
}

#[tokio::test]
async fn a_distribution_that_is_not_known_is_no_empty_one() {
    let house = House::with_base().await;
    let inventory = house.engine.inventory("base").await.unwrap();
    assert!(matches!(inventory.distribution, Distribution::Unknown { .. }));
    assert!(inventory.packages.is_empty() && inventory.incomplete.len() == 2, "{inventory:?}");
}
