//! Recipe to base: numbers, what is taken again, what a failure leaves.

use std::path::Path;

use till_core::Fault;
use till_core::port::Evidence;

use crate::house::{CONTRACT, House, Silent, wish};

/// The rest of a recipe of those packages.
fn packages(names: &[&str]) -> String {
    format!("suite = \"bookworm\"\npackages = {names:?}\n{CONTRACT}")
}

/// The base's apt is asked five times; then it installs what that came to.
const DEEDS: [&str; 14] = [
    "open 1",
    "run which packages",
    "run which packages",
    "run which packages",
    "run which packages",
    "run which packages",
    "open 1",
    "lend /run/till-packages",
    "run places for apt",
    "lend /run/till-packages",
    "run package lists",
    "lend /run/till-packages",
    "run packages",
    "find",
];

async fn remake(house: &House, folder: &Path, afresh: bool) -> (u32, bool) {
    let made = house.recreate(folder, afresh, &Silent).await.unwrap();
    (made.fact.version.version, made.reused)
}

#[tokio::test]
async fn a_base_is_made_from_nothing() {
    let house = House::new().await;
    let rest =
        packages(&["curl"]).replace("[contract]", "[[recipe.file]]\nsource = \"files\"\npath = \"/opt\"\n[contract]");
    let folder = house.recipe("base", &rest.replace("packages", "commands = [[\"ldconfig\"]]\npackages"));
    std::fs::create_dir(folder.join("files")).unwrap();
    std::fs::write(folder.join("files/run"), "run").unwrap();
    let made = house.recreate(&folder, false, &Silent).await.unwrap();
    assert_eq!((made.fact.version.version, made.reused), (1, false));
    let deeds = house.machine.deeds();
    assert_eq!(
        deeds,
        ["open 0", "inject /: etc/suite usr/share/doc/curl", "inject /: opt/run", "run command 1", "find", "snapshot"]
    );
    assert_eq!(house.packages.made()[0].packages, ["curl"]);
    let entry = house.engine.base(&"base".parse().unwrap()).await.unwrap();
    assert_eq!((entry.image.layers.len(), entry.about.description()), (1, "d"));
}

#[tokio::test]
async fn a_version_is_made_only_when_something_changed() {
    let house = House::new().await;
    let folder = house.recipe("base", &packages(&["a"]));
    assert_eq!(remake(&house, &folder, false).await, (1, false));
    assert_eq!(remake(&house, &folder, false).await, (1, true));
    house.recipe("base", &packages(&["a", "b"]));
    assert_eq!(remake(&house, &folder, false).await, (2, false));
    assert_eq!(remake(&house, &folder, false).await, (2, true));
    house.recipe("base", &packages(&["a", "b"]).replace("[\"serve\"]", "[\"serve\", \"-x\"]"));
    assert_eq!(remake(&house, &folder, false).await, (3, false), "its contract is a part of it");
    assert_eq!(house.engine.bases().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_file_of_the_folder_that_changed_makes_a_version() {
    let house = House::new().await;
    let file = "[[recipe.file]]\nsource = \"run\"\npath = \"/usr/bin/run\"\n[contract]";
    let folder = house.recipe("base", &packages(&[]).replace("[contract]", file));
    for (text, expected) in [("1", (1, false)), ("1", (1, true)), ("2", (2, false))] {
        std::fs::write(folder.join("run"), text).unwrap();
        assert_eq!(remake(&house, &folder, false).await, expected, "{text}");
    }
}

#[tokio::test]
async fn afresh_makes_it_and_the_same_bytes_keep_their_number() {
    let house = House::new().await;
    let folder = house.recipe("base", &packages(&["a"]));
    remake(&house, &folder, false).await;
    assert_eq!(remake(&house, &folder, true).await, (1, false));
    assert_eq!(house.packages.made().len(), 2);
}

#[tokio::test]
async fn a_base_upon_another_follows_its_versions() {
    let house = House::new().await;
    let below = house.recipe("below", &packages(&["a"]));
    let above = house.recipe("above", &format!("from = \"below\"\npackages = [\"x\"]\n{CONTRACT}"));
    let failure = house.recreate(&above, false, &Silent).await.unwrap_err();
    assert_eq!((failure.fault, failure.chain().as_str()), (Fault::Caller, "there is no base `below`"));
    remake(&house, &below, false).await;
    house.machine.deeds();
    assert_eq!(remake(&house, &above, false).await, (1, false));
    let deeds = house.machine.deeds();
    assert_eq!(deeds[..DEEDS.len()], DEEDS);
    assert_eq!(deeds[DEEDS.len()..], ["snapshot"]);
    assert_eq!(remake(&house, &above, false).await, (1, true));
    house.recipe("below", &packages(&["b"]));
    remake(&house, &below, false).await;
    assert_eq!(remake(&house, &above, false).await, (2, false));
    let entry = house.engine.base(&"above".parse().unwrap()).await.unwrap();
    assert_eq!(entry.about.from().unwrap().version, 2);
}

#[tokio::test]
async fn a_base_that_another_is_made_from_stays() {
    let house = House::new().await;
    house.make("below", &packages(&["a"])).await;
    house.make("above", &format!("from = \"below\"\n{CONTRACT}")).await;
    let failure = house.engine.remove_base(&"below".parse().unwrap()).await.unwrap_err();
    assert_eq!((failure.fault, failure.chain().as_str()), (Fault::Caller, "the base above@1 is made from it"));
    house.engine.remove_base(&"above".parse().unwrap()).await.unwrap();
    house.engine.remove_base(&"below".parse().unwrap()).await.unwrap();
    assert!(house.engine.bases().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_fails_is_the_bases_doing_and_leaves_no_version() {
    let house = House::new().await;
    let command = |name: &str| packages(&[name]).replace("packages", "commands = [[\"c\"]]\npackages");
    house.machine.fails("command 1", Evidence::Code(1));
    for (rest, said) in [
        (packages(&["absent"]), "there is no package `absent`"),
        (command("a"), "step `command 1` failed"),
        ("from = \"x\"\nsuite = \"y\"\n[contract]\nkind = \"command\"".to_owned(), "exclude each other"),
        (packages(&[]).replace("[contract]", "[[recipe.file]]\nsource = \"no\"\npath = \"/x\"\n[contract]"), "no"),
        (packages(&[]).replace("user = ", "usr = "), "did you mean `user`?"),
    ] {
        let folder = house.recipe("base", &rest);
        let failure = house.recreate(&folder, false, &Silent).await.unwrap_err();
        assert_eq!(failure.fault, Fault::Base, "{failure}");
        assert!(failure.chain().contains(said), "{failure}");
        assert!(house.engine.bases().await.unwrap().is_empty());
        assert!(house.engine.ledger.unended().await.unwrap().is_empty());
        assert_eq!(house.machine.living(), 0);
    }
    let nowhere = house.recreate(Path::new("/no/such/folder"), false, &Silent).await.unwrap_err();
    assert_eq!(nowhere.fault, Fault::Caller);
}

#[tokio::test]
async fn a_version_that_is_not_there_is_explained() {
    let house = House::with_base().await;
    for (wanted, said, hint) in [
        ("base@7", "the base `base` has no version `base@7`", "it has versions 1 to 1"),
        ("bose", "there is no base `bose`", "did you mean `base`?"),
        ("unlike", "there is no base `unlike`", "till base list"),
    ] {
        let failure = house.engine.base(&wanted.parse().unwrap()).await.unwrap_err();
        assert_eq!((failure.fault, failure.chain().as_str()), (Fault::Caller, said));
        assert!(failure.hint.as_ref().unwrap().contains(hint), "{:?}", failure.hint);
    }
}

#[tokio::test]
async fn a_base_that_prepared_an_artifact_stays_as_long_as_that() {
    let house = House::with_base().await;
    let built = house.prepare(&wish(&[])).await.unwrap();
    let base = built.label.base.as_ref().unwrap().to_string().parse().unwrap();
    let failure = house.engine.remove_base(&base).await.unwrap_err();
    assert_eq!(failure.fault, Fault::Caller);
    assert!(failure.chain().contains("1 artifacts were prepared by"), "{failure}");
    house.engine.remove_artifact("app").await.unwrap();
    house.engine.remove_base(&base).await.unwrap();
}

#[tokio::test]
async fn who_goes_back_to_an_older_recipe_gets_the_newest_version_of_it() {
    let house = House::new().await;
    let folder = house.recipe("base", &packages(&["a"]));
    assert_eq!(remake(&house, &folder, false).await, (1, false));
    house.recipe("base", &packages(&["b"]));
    assert_eq!(remake(&house, &folder, false).await, (2, false));
    house.recipe("base", &packages(&["a"]));
    assert_eq!(remake(&house, &folder, false).await, (3, false));
    assert_eq!(remake(&house, &folder, false).await, (3, true));
}
