//! Locks of bases: what is written into them, what following one comes to, what is kept for it.

use std::path::{Path, PathBuf};

use till_core::model::BaseLock;
use till_core::model::base_lock::PackageChange;
use till_core::packages::archive::{PLACE, RECORD};
use till_core::port::{Evidence, Lent};
use till_core::{Digest, Fault, ManifestDigest};
use till_testkit::{MemorySource, Scene, deb};

use crate::house::{CONTRACT, House, Seen, Silent};

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

/// The folder of a base that a Dockerfile makes.
fn dockerfile(house: &House, text: &str) -> PathBuf {
    let folder = house.recipe("base", "");
    let toml = "name = \"base\"\ndescription = \"d\"\nowner = \"o\"\n[recipe]\nkind = \"dockerfile\"\n";
    std::fs::write(folder.join("base.toml"), format!("{toml}[contract]\nkind = \"dockerfile\"\n")).unwrap();
    std::fs::write(folder.join("Dockerfile"), text).unwrap();
    folder
}

/// What a step is lent at that place.
fn lent(scene: &Scene<'_>, path: &str) -> Option<PathBuf> {
    scene.loans.iter().find(|loan| loan.path == path).map(|loan| match &loan.what {
        Lent::Directory { host, .. } => host.clone(),
        other => panic!("{other:?}"),
    })
}

/// From now on a step gets a package: of that version from a mirror, or what its archive has. It writes down which.
fn gets(house: &House, step: &str, name: &'static str, version: &'static str) {
    house.machine.script(step, move |scene| {
        let mut got = version.to_owned();
        if let Some(record) = lent(scene, RECORD) {
            std::fs::create_dir_all(&record).unwrap();
            std::fs::write(record.join(format!("{name}_{version}_all.deb")), deb(name, version)).unwrap();
            let sum = Digest::of(&deb(name, version));
            let index = format!("Package: {name}\nFilename: pool/{name}.deb\nSHA256: {}\n", sum.hex());
            std::fs::write(record.join("m_dists_x-security_main_Packages"), index).unwrap();
        } else if let Some(archive) = lent(scene, PLACE) {
            let index = std::fs::read_to_string(archive.join("Packages")).unwrap();
            let versions = index.lines().filter_map(|line| line.strip_prefix("Version: "));
            got = versions.collect::<Vec<_>>().join(" ");
        }
        scene.files.insert(format!("/got/{name}"), got.into_bytes());
        Evidence::Code(0)
    });
}

/// The steps of a Dockerfile get their packages while they run: they are watched, and carried out again with just those.
#[tokio::test]
async fn what_the_steps_of_a_dockerfile_get_is_in_the_lock() {
    let house = House::new().await;
    let folder = dockerfile(&house, "FROM scratch\nCOPY Dockerfile /\nRUN [\"get\"]\n");
    gets(&house, "3: RUN [\"get\"]", "tool", "2");
    let made = house.recreate(&folder, false, &Silent).await.unwrap();
    let package = &made.lock.package[0];
    assert_eq!((&*package.name, &*package.version, made.lock.package.len()), ("tool", "2", 1));
    assert_eq!((package.path.as_deref(), package.security), (Some("pool/tool.deb"), Some(true)));
    assert!(house.recreate(&folder, false, &Silent).await.unwrap().reused);
    // The mirror moves on.
    gets(&house, "3: RUN [\"get\"]", "tool", "3");
    let locked = house.follow(&folder, true).await.unwrap();
    assert_eq!((&locked.fact, locked.reused), (&made.fact, false));
    let afresh = house.recreate(&folder, true, &Silent).await.unwrap();
    assert_eq!(afresh.changes.len(), 1);
    assert_eq!(afresh.changes[0].to.as_deref(), Some("3"));
}

#[tokio::test]
async fn each_step_gets_the_packages_that_it_got_and_no_others() {
    let house = House::new().await;
    let text = "FROM scratch AS new\nRUN [\"newer\"]\nFROM scratch\nCOPY --from=new /got /new\nRUN [\"older\"]\n";
    let folder = dockerfile(&house, text);
    gets(&house, "2: RUN [\"newer\"]", "tool", "2");
    gets(&house, "5: RUN [\"older\"]", "tool", "1");
    let made = house.recreate(&folder, false, &Silent).await.unwrap();
    assert_eq!(made.lock.package.len(), 2);
    for made in [made, house.follow(&folder, true).await.unwrap()] {
        let image = house.engine.base(&"base".parse().unwrap()).await.unwrap().image;
        let layer = image.layers.last().unwrap();
        let files = till_testkit::archive::read(&house.engine.store.path(&layer.blob));
        let got = files.into_iter().find(|file| file.path == "got/tool").unwrap();
        assert_eq!(got.entry.unwrap().content, b"1", "{:?}", made.lock.package);
    }
}

#[tokio::test]
async fn a_dockerfile_whose_steps_get_nothing_comes_out_the_same() {
    let house = House::new().await;
    let folder = dockerfile(&house, "FROM scratch\nRUN [\"say\"]\n");
    // What a step is lent may leave traces.
    house.machine.script("2: RUN [\"say\"]", |scene| {
        scene.files.insert("/said".to_owned(), format!("{}", scene.loans.len()).into_bytes());
        Evidence::Code(0)
    });
    let made = house.recreate(&folder, false, &Silent).await.unwrap();
    assert_eq!(made.lock.package, []);
    assert_eq!(house.follow(&folder, true).await.unwrap().fact, made.fact);
}

#[tokio::test]
async fn what_needs_more_of_mirrors_than_it_installs_is_made_all_the_same_and_said() {
    let house = House::new().await;
    let folder = dockerfile(&house, "FROM scratch\nRUN [\"get\"]\n");
    house.machine.script("2: RUN [\"get\"]", |scene| {
        if let Some(record) = lent(scene, RECORD) {
            std::fs::create_dir_all(&record).unwrap();
            std::fs::write(record.join("tool_2_all.deb"), deb("tool", "2")).unwrap();
        }
        Evidence::Code(if lent(scene, PLACE).is_some() { 100 } else { 0 })
    });
    let seen = Seen::default();
    let made = house.recreate(&folder, false, &seen).await.unwrap();
    assert_eq!(made.lock.package, []);
    assert!(seen.of("notice").iter().any(|text| text.contains("its packages are not in the lock")), "{:?}", seen.all());
    assert_eq!(house.follow(&folder, true).await.unwrap().fact, made.fact);
}

#[tokio::test]
async fn a_lock_of_another_image_does_not_take_what_is_there() {
    let house = House::new().await;
    let folder = house.recipe("base", &recipe(&["a"]));
    let made = house.recreate(&folder, false, &Silent).await.unwrap();
    let other = ManifestDigest(Digest::of(b"another"));
    let text = std::fs::read_to_string(folder.join("base.lock")).unwrap();
    std::fs::write(folder.join("base.lock"), text.replace(made.lock.digest.as_str(), other.as_str())).unwrap();
    let failure = house.follow(&folder, false).await.unwrap_err();
    assert!(failure.chain().contains(&format!("but the lock says {other}")), "{failure}");
}

#[tokio::test]
async fn a_damaged_package_is_told_once_and_then_fetched_anew() {
    let house = House::new().await;
    let folder = house.recipe("base", &recipe(&["a"]));
    let made = house.recreate(&folder, false, &Silent).await.unwrap();
    let blob = house.engine.store.path(&made.lock.package[0].digest);
    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, "damaged").unwrap();
    let failure = house.follow(&folder, true).await.unwrap_err();
    assert_eq!(failure.fault, Fault::House);
    assert_eq!(house.follow(&folder, true).await.unwrap().fact, made.fact);
}

#[tokio::test]
async fn only_what_a_dockerfile_takes_is_kept_of_its_folder() {
    let house = House::new().await;
    let folder = dockerfile(&house, "FROM scratch\nCOPY taken /\n");
    for name in ["taken", "secret"] {
        std::fs::write(folder.join(name), name).unwrap();
    }
    house.recreate(&folder, false, &Silent).await.unwrap();
    let kept = house.engine.recipe(&"base".parse().unwrap()).await.unwrap();
    let there = |name: &str| kept.folder().join(name).exists();
    assert_eq!(["base.toml", "Dockerfile", "taken", "secret"].map(there), [true, true, true, false]);
}
