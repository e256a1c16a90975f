//! Locks of bases: what is written into them, what following one comes to, what is kept for it.

use std::path::Path;

use till_core::Fault;
use till_core::model::BaseLock;
use till_core::model::base_lock::PackageChange;
use till_core::packages::archive::RECORD;
use till_core::port::{Evidence, Lent};
use till_testkit::{MemorySource, deb};

use crate::house::{CONTRACT, House, Silent};

fn recipe(names: &[&str]) -> String {
    format!("suite = \"bookworm\"\npackages = {names:?}\n{CONTRACT}")
}

fn lock(folder: &Path) -> BaseLock {
    let text = std::fs::read_to_string(folder.join("base.lock")).unwrap();
    BaseLock::parse(&text, &"base".parse().unwrap()).unwrap()
}

#[tokio::test]
async fn a_lock_says_what_the_base_was_made_of() {
    let house = House::new().await;
    let folder = house.recipe("base", &recipe(&["b", "a"]));
    let made = house.recreate(&folder, false, &Silent).await.unwrap();
    let lock = lock(&folder);
    assert_eq!(lock, made.lock);
    assert_eq!((&lock.digest, &lock.plan), (&made.fact.version.digest, &made.fact.plan));
    let packages: Vec<_> = lock.package.iter().map(|package| (&*package.name, &*package.version)).collect();
    assert_eq!(packages, [("a", "1"), ("b", "1")]);
    assert_eq!(lock.package[0].path.as_deref(), Some("pool/a_1_all.deb"));
    assert_eq!(lock.suite[0].name, "bookworm");
    assert!(lock.package.iter().all(|package| house.engine.store.has(&package.digest)));
}

#[tokio::test]
async fn what_is_locked_comes_out_the_same_when_the_mirror_has_moved_on_or_is_gone() {
    let house = House::new().await;
    let folder = house.recipe("base", &recipe(&["a"]));
    let first = house.recreate(&folder, false, &Silent).await.unwrap();
    house.packages.publish("a", "2");
    for _ in 0..2 {
        let locked = house.follow(&folder, true).await.unwrap();
        assert_eq!((&locked.fact, locked.reused), (&first.fact, false));
        house.packages.cut_off();
    }
    assert!(house.follow(&folder, false).await.unwrap().reused);
    let failure = house.recreate(&folder, false, &Silent).await.unwrap_err();
    assert_eq!(failure.fault, Fault::House, "{failure}");
    assert_eq!(lock(&folder), first.lock, "what fails leaves the lock as it is");
}

#[tokio::test]
async fn without_locked_the_lock_follows_the_mirror_and_tells_what_changed() {
    let house = House::new().await;
    let folder = house.recipe("base", &recipe(&["a", "b"]));
    house.recreate(&folder, false, &Silent).await.unwrap();
    let again = house.recreate(&folder, false, &Silent).await.unwrap();
    assert_eq!((again.reused, again.changes), (true, Vec::new()));
    house.packages.publish("a", "2");
    let made = house.recreate(&folder, false, &Silent).await.unwrap();
    let (from, to) = (Some("1".to_owned()), Some("2".to_owned()));
    assert_eq!(made.changes, [PackageChange { package: "a".to_owned(), from, to, security: Some(true) }]);
    assert_eq!((made.fact.version.version, made.reused), (2, false));
    assert_eq!(lock(&folder), made.lock);
}

#[tokio::test]
async fn elsewhere_the_packages_of_a_lock_are_fetched_by_their_place() {
    let house = House::new().await;
    let folder = house.recipe("base", &recipe(&["a"]));
    let made = house.recreate(&folder, false, &Silent).await.unwrap();
    let other = House::new().await;
    other.packages.publish("a", "2");
    let there = other.recipe("base", &recipe(&["a"]));
    std::fs::copy(folder.join("base.lock"), there.join("base.lock")).unwrap();
    let same = other.follow(&there, false).await.unwrap();
    assert_eq!(same.fact.version.digest, made.fact.version.digest);
}

#[tokio::test]
async fn a_lock_that_cannot_be_followed_is_refused() {
    let house = House::new().await;
    let folder = house.recipe("base", &recipe(&["a"]));
    let failure = house.follow(&folder, false).await.unwrap_err();
    assert_eq!(failure.fault, Fault::Caller);
    assert!(failure.chain().contains("base.lock` to follow"), "{failure}");
    house.recreate(&folder, false, &Silent).await.unwrap();
    let text = std::fs::read_to_string(folder.join("base.lock")).unwrap();
    for (text, said) in [
        (text.replace("name = \"base\"", "name = \"other\""), "is of the base `other`"),
        (text.replace("version = 1\n", "version = 7\n"), "has version 7"),
        (text.replace("[[package]]", "[[pakage]]"), "pakage"),
    ] {
        std::fs::write(folder.join("base.lock"), &text).unwrap();
        for failure in [house.follow(&folder, false).await, house.recreate(&folder, false, &Silent).await] {
            let failure = failure.unwrap_err();
            assert_eq!(failure.fault, Fault::Base);
            assert!(failure.chain().contains(said), "{failure}");
        }
        assert_eq!(std::fs::read_to_string(folder.join("base.lock")).unwrap(), text, "nothing is lost");
    }
    std::fs::write(folder.join("base.lock"), &text).unwrap();
    house.recipe("base", &recipe(&["a"]).replace("packages", "commands = [[\"x\"]]\npackages"));
    let failure = house.follow(&folder, false).await.unwrap_err();
    assert!(failure.chain().contains("the lock is of another recipe"), "{failure}");
}

#[tokio::test]
async fn what_comes_out_otherwise_is_no_base_and_its_files_are_named() {
    let house = House::new().await;
    let folder = house.recipe("base", &recipe(&["a"]).replace("packages", "commands = [[\"x\"]]\npackages"));
    house.machine.writes("command 1", "/etc/stamp", "monday");
    house.recreate(&folder, false, &Silent).await.unwrap();
    house.machine.writes("command 1", "/etc/stamp", "tuesday");
    let failure = house.follow(&folder, true).await.unwrap_err();
    assert_eq!(failure.fault, Fault::Base);
    assert_eq!(failure.evidence, ["file differs: etc/stamp"]);
    assert_eq!(house.engine.bases().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_base_is_made_again_without_its_folder_and_compared() {
    let house = House::new().await;
    let file = "[[recipe.file]]\nsource = \"run\"\npath = \"/usr/bin/run\"\n[contract]";
    let rest = recipe(&["a"]).replace("packages", "commands = [[\"x\"]]\npackages").replace("[contract]", file);
    let folder = house.recipe("base", &rest);
    std::fs::write(folder.join("run"), "run").unwrap();
    house.recreate(&folder, false, &Silent).await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    house.packages.cut_off();
    let verify = async || {
        let kept = house.engine.recipe(&"base".parse().unwrap()).await.unwrap();
        let source = MemorySource::folder(&kept.folder());
        house.engine.verify(&kept, &source, &Silent).await.unwrap()
    };
    let verified = verify().await;
    assert_eq!((&verified.digest, verified.differences.is_none()), (&verified.version.digest, true));
    house.machine.writes("command 1", "/etc/stamp", "now");
    let lines = verify().await.differences.unwrap().lines(9);
    assert_eq!(lines, ["file is new: etc/stamp"]);
    assert_eq!(house.engine.bases().await.unwrap().len(), 1, "it is only compared");
}

#[tokio::test]
async fn gc_keeps_what_bases_can_be_made_of_again_as_long_as_they_are_there() {
    let house = House::new().await;
    let folder = house.recipe("base", &recipe(&["a"]));
    let made = house.recreate(&folder, false, &Silent).await.unwrap();
    house.engine.collect().await.unwrap();
    house.packages.cut_off();
    house.follow(&folder, true).await.unwrap();
    house.engine.remove_base(&"base".parse().unwrap()).await.unwrap();
    house.engine.collect().await.unwrap();
    assert!(!house.engine.store.has(&made.lock.package[0].digest));
}

/// The steps of a Dockerfile get their packages while they run: they are watched, and carried out again with just those.
#[tokio::test]
async fn what_the_steps_of_a_dockerfile_get_is_in_the_lock() {
    let house = House::new().await;
    let folder = house.recipe("base", "");
    let toml = "name = \"base\"\ndescription = \"d\"\nowner = \"o\"\n[recipe]\nkind = \"dockerfile\"\n";
    std::fs::write(folder.join("base.toml"), format!("{toml}[contract]\nkind = \"dockerfile\"\n")).unwrap();
    std::fs::write(folder.join("Dockerfile"), "FROM scratch\nCOPY Dockerfile /\nRUN [\"get\"]\n").unwrap();
    house.machine.script("3: RUN [\"get\"]", |scene| {
        let directory = |path: &str| {
            scene.loans.iter().find(|loan| loan.path == path).map(|loan| match &loan.what {
                Lent::Directory { host, .. } => host.clone(),
                other => panic!("{other:?}"),
            })
        };
        if let Some(record) = directory(RECORD) {
            std::fs::create_dir_all(&record).unwrap();
            std::fs::write(record.join("tool_2_all.deb"), deb("tool", "2")).unwrap();
            scene.files.insert("/from".to_owned(), b"the mirror".to_vec());
        }
        if let Some(archive) = directory("/run/till-packages") {
            let index = std::fs::read_to_string(archive.join("Packages")).unwrap();
            assert!(index.contains("Package: tool\nVersion: 2\n"), "{index}");
            scene.files.insert("/from".to_owned(), b"the lock".to_vec());
        }
        Evidence::Code(0)
    });
    let made = house.recreate(&folder, false, &Silent).await.unwrap();
    let packages: Vec<_> = made.lock.package.iter().map(|package| (&*package.name, &*package.version)).collect();
    assert_eq!(packages, [("tool", "2")]);
    assert!(house.recreate(&folder, false, &Silent).await.unwrap().reused);
    let locked = house.follow(&folder, true).await.unwrap();
    assert_eq!((&locked.fact, locked.reused), (&made.fact, false));
    let afresh = house.recreate(&folder, true, &Silent).await.unwrap();
    assert_eq!((&afresh.fact, afresh.changes), (&made.fact, Vec::new()));
}
