//! What the ledger promises: numbers that are given once, facts that outlive their process, a shape that everybody agrees on.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::Path;

use sqlx::Connection as _;
use till_core::id::{InstanceId, PreparationId};
use till_core::model::{BaseName, BaseRef, ExternalBase, ExternalFile, Origin};
use till_core::port::Layer;
use till_core::{Blame, BlobDigest, DiffId, Digest, Fault, ManifestDigest, PlanDigest};
use till_ledger::{ArtifactFact, InstanceFact, Ledger, LedgerError, ReferrerFact};

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn manifest(text: &str) -> ManifestDigest {
    ManifestDigest(digest(text))
}

fn plan(text: &str) -> PlanDigest {
    PlanDigest(digest(text))
}

fn name(text: &str) -> BaseName {
    text.parse().unwrap()
}

async fn add(ledger: &Ledger, base: &str, image: &str) -> u32 {
    ledger.add_base(&name(base), &manifest(image), &plan("p"), 1).await.unwrap().version.version
}

async fn find(ledger: &Ledger, wanted: &str) -> Option<u32> {
    let wanted: BaseRef = wanted.parse().unwrap();
    ledger.base(&wanted).await.unwrap().map(|fact| fact.version.version)
}

#[tokio::test]
async fn versions_are_numbered_by_name_and_found_by_number_digest_or_as_the_newest() {
    let ledger = Ledger::in_memory().await.unwrap();
    assert_eq!(add(&ledger, "a", "1").await, 1);
    assert_eq!(add(&ledger, "a", "2").await, 2);
    assert_eq!(add(&ledger, "b", "1").await, 1);
    assert_eq!(add(&ledger, "a", "2").await, 2, "the newest keeps its number");
    assert_eq!(add(&ledger, "a", "1").await, 3, "an older image becomes the newest, by another number");
    for (wanted, found) in [
        ("a".to_owned(), Some(3)),
        ("a@1".to_owned(), Some(1)),
        ("a@2".to_owned(), Some(2)),
        ("a@4".to_owned(), None),
        (format!("a@{}", manifest("1")), Some(3)),
        (format!("b@{}", manifest("2")), None),
        ("c".to_owned(), None),
    ] {
        assert_eq!(find(&ledger, &wanted).await, found, "{wanted}");
    }
}

#[tokio::test]
async fn a_removed_number_is_not_given_again_while_a_later_one_lives() {
    let ledger = Ledger::in_memory().await.unwrap();
    for image in ["1", "2", "3"] {
        add(&ledger, "a", image).await;
    }
    let all = ledger.bases().await.unwrap();
    ledger.remove_base(&all[1].version).await.unwrap();
    assert_eq!(find(&ledger, "a@2").await, None);
    assert_eq!(add(&ledger, "a", "4").await, 4);
}

#[tokio::test]
async fn what_is_said_of_a_base_of_others_is_kept_with_it() {
    let ledger = Ledger::in_memory().await.unwrap();
    add(&ledger, "a", "1").await;
    let origin =
        Origin { source: "oci:x".to_owned(), reference: None, index: Some(digest("i")), platforms: Vec::new() };
    let mut about = ExternalBase { version: 1, spec: ExternalFile::default(), external: origin };
    let enter = async |about: &ExternalBase| {
        let fact = ledger.add_external_base(&name("a"), &manifest("1"), about, 1).await.unwrap();
        assert_eq!(fact.external.as_ref(), Some(about));
        fact.version.version
    };
    assert_eq!(enter(&about).await, 2, "who made it is something new");
    assert_eq!(enter(&about).await, 2, "the newest keeps its number");
    about.spec.description = "other".to_owned();
    assert_eq!(enter(&about).await, 3, "what is said of it is a part of it");
    assert_eq!(add(&ledger, "a", "1").await, 4);
    assert_eq!(ledger.bases().await.unwrap().iter().filter(|fact| fact.external.is_some()).count(), 2);
}

#[tokio::test]
async fn a_ledger_of_the_first_version_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut old = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    let first = include_str!("../migrations/sqlite/0001-first.sql");
    let row = format!("INSERT INTO base_version VALUES ('a', 1, '{}', '{}', 1)", digest("1"), digest("p"));
    for statement in [first, &row, "PRAGMA user_version = 1"] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut old).await.unwrap();
    }
    old.close().await.unwrap();
    let ledger = Ledger::open(&path).await.unwrap();
    assert_eq!(ledger.bases().await.unwrap()[0].external, None);
}

/// Two processes are two handles: each has its own connections.
async fn two(path: &Path) -> (Ledger, Ledger) {
    let (first, second) = tokio::join!(Ledger::open(path), Ledger::open(path));
    (first.unwrap(), second.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_give_each_number_once() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = two(&folder.path().join("ledger")).await;
    let task = |ledger: Ledger, prefix: &'static str| {
        tokio::spawn(async move {
            let mut numbers = Vec::new();
            for count in 0..50 {
                numbers.push(add(&ledger, "a", &format!("{prefix}{count}")).await);
            }
            numbers
        })
    };
    let (mine, others) = (task(first.clone(), "x"), task(second, "y"));
    let (mine, others) = (mine.await.unwrap(), others.await.unwrap());
    let all: BTreeSet<u32> = mine.iter().chain(&others).copied().collect();
    assert_eq!(all, (1..=100).collect());
    assert_eq!(find(&first, "a").await, Some(100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_record_one_image_agree_on_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = two(&folder.path().join("ledger")).await;
    for count in 0..20 {
        let image = format!("{count}");
        let (mine, other) = tokio::join!(add(&first, "a", &image), add(&second, "a", &image));
        assert_eq!(mine, other);
    }
    assert_eq!(first.bases().await.unwrap().len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_open_a_new_ledger_at_once_make_it_once() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let open = || {
            let path = path.clone();
            tokio::spawn(async move { Ledger::open(&path).await.map(|_| ()) })
        };
        for opened in [open(), open(), open(), open(), open(), open()] {
            opened.await.unwrap().unwrap();
        }
    }
}

fn layer(text: &str) -> Layer {
    Layer {
        diff_id: DiffId(digest(&format!("diff {text}"))),
        blob: BlobDigest(digest(text)),
        size: 7,
        media_type: "application/vnd.oci.image.layer.v1.tar+zstd".to_owned(),
    }
}

fn artifact(app: &str, by: &str, made: i64) -> ArtifactFact {
    ArtifactFact {
        digest: manifest(&format!("{app} {by} {made}")),
        app: app.parse().unwrap(),
        plan: plan(by),
        base: Some(manifest("base")),
        commit: Some("a".repeat(40).parse().unwrap()),
        made,
        preparation: PreparationId::from_bits(u128::try_from(made).unwrap()),
    }
}

#[tokio::test]
async fn facts_outlive_their_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let instance = InstanceFact {
        id: InstanceId::from_bits(1),
        artifact: manifest("a"),
        process: "web".to_owned(),
        port: Some(65_535),
        began: 3,
    };
    let unended = PreparationId::from_bits(9);
    {
        let ledger = Ledger::open(&path).await.unwrap();
        add(&ledger, "a", "1").await;
        ledger.add_artifact(&artifact("app", "p", 5)).await.unwrap();
        ledger.add_layer(&digest("inputs"), &layer("l"), 1).await.unwrap();
        ledger.put_instance(&instance).await.unwrap();
        ledger.begin(&unended, "app", "app", &plan("p"), 4).await.unwrap();
    }
    let ledger = Ledger::open(&path).await.unwrap();
    assert_eq!(find(&ledger, "a").await, Some(1));
    assert_eq!(ledger.artifacts().await.unwrap(), [artifact("app", "p", 5)]);
    assert_eq!(ledger.layer(&digest("inputs")).await.unwrap(), Some(layer("l")));
    assert_eq!(ledger.instances().await.unwrap(), [instance]);
    let open = ledger.unended().await.unwrap();
    assert_eq!((open.len(), &open[0].id, open[0].kind.as_str(), open[0].began), (1, &unended, "app", 4));
}

#[tokio::test]
async fn a_ledger_of_a_newer_version_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    drop(Ledger::open(&path).await.unwrap());
    set_version(&path, 99).await;
    for _ in 0..2 {
        let error = Ledger::open(&path).await.unwrap_err();
        assert!(matches!(error, LedgerError::Newer { found: 99, .. }), "{error}");
        assert_eq!(error.fault(), Fault::House);
        assert!(error.hint().is_some());
    }
}

async fn set_version(path: &Path, version: u32) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let statement = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {version}"));
    sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    pool.close().await;
}

#[tokio::test]
async fn what_is_no_ledger_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    std::fs::write(&path, "this is no database, but a text that is long enough for one").unwrap();
    assert!(Ledger::open(&path).await.is_err());
    assert!(Ledger::open(&folder.path().join("no/such/folder/ledger")).await.is_err());
}

#[tokio::test]
async fn the_newest_artifact_of_an_app_by_a_plan_is_found() {
    let ledger = Ledger::in_memory().await.unwrap();
    for (app, by, made) in [("a", "p", 1), ("a", "p", 3), ("a", "p", 2), ("a", "q", 4), ("b", "p", 5)] {
        ledger.add_artifact(&artifact(app, by, made)).await.unwrap();
    }
    for (app, by, made) in [("a", "p", Some(2)), ("a", "q", Some(4)), ("b", "q", None)] {
        let found = ledger.artifact_of(&app.parse().unwrap(), &plan(by)).await.unwrap();
        assert_eq!(found.map(|fact| fact.made), made, "{app} {by}");
    }
    let made: Vec<_> = ledger.artifacts().await.unwrap().iter().map(|fact| fact.made).collect();
    assert_eq!(made, [5, 4, 2, 3, 1], "the last that was recorded first, whatever the clock said");
    let older = artifact("a", "p", 1);
    ledger.choose_artifact(&older.digest).await.unwrap();
    assert_eq!(ledger.artifacts().await.unwrap()[0], older, "what was asked for again is the newest");
}

#[tokio::test]
async fn the_newest_layer_of_the_same_inputs_counts_and_those_not_kept_go() {
    let ledger = Ledger::in_memory().await.unwrap();
    for (inputs, blob) in [("i", "old"), ("i", "new"), ("j", "other"), ("k", "new")] {
        ledger.add_layer(&digest(inputs), &layer(blob), 1).await.unwrap();
    }
    assert_eq!(ledger.layer(&digest("i")).await.unwrap(), Some(layer("new")));
    let kept = digest("new");
    assert_eq!(ledger.forget_layers(&|blob| blob == kept.as_str()).await.unwrap(), 1);
    assert_eq!(ledger.layer(&digest("j")).await.unwrap(), None);
    assert_eq!(ledger.layer(&digest("k")).await.unwrap(), Some(layer("new")));
}

#[tokio::test]
async fn what_ended_is_not_open_any_more() {
    let ledger = Ledger::in_memory().await.unwrap();
    let ids = [1, 2, 3].map(PreparationId::from_bits);
    for id in &ids {
        ledger.begin(id, "app", "a", &plan("p"), 1).await.unwrap();
    }
    assert!(ledger.begin(&ids[0], "app", "a", &plan("p"), 1).await.is_err(), "an id is used once");
    ledger.end(&ids[0], None, 2).await.unwrap();
    ledger.end(&ids[2], Some("it broke"), 2).await.unwrap();
    let open: Vec<_> = ledger.unended().await.unwrap().into_iter().map(|fact| fact.id).collect();
    assert_eq!(open, ids[1..2]);
}

#[tokio::test]
async fn the_newest_document_of_each_kind_counts() {
    let ledger = Ledger::in_memory().await.unwrap();
    let fact = |subject: &str, kind: &str, text: &str| ReferrerFact {
        subject: manifest(subject),
        artifact_type: kind.to_owned(),
        manifest: manifest(text),
        made: 1,
    };
    for (subject, kind, text) in [("a", "x", "old"), ("a", "x", "new"), ("a", "w", "other"), ("b", "x", "third")] {
        ledger.add_referrer(&fact(subject, kind, text)).await.unwrap();
    }
    assert_eq!(ledger.referrers(&manifest("a")).await.unwrap(), [fact("a", "w", "other"), fact("a", "x", "new")]);
    let kept = manifest("b");
    assert_eq!(ledger.forget_referrers(&|subject| subject == kept.as_str()).await.unwrap(), 2);
    assert_eq!(ledger.referrers(&manifest("a")).await.unwrap(), []);
    assert_eq!(ledger.referrers(&kept).await.unwrap().len(), 1);
}

#[tokio::test]
async fn when_a_preparation_began_is_known() {
    let ledger = Ledger::in_memory().await.unwrap();
    let id = PreparationId::from_bits(7);
    assert_eq!(ledger.began(&id).await.unwrap(), None);
    ledger.begin(&id, "app", "a", &plan("p"), 42).await.unwrap();
    assert_eq!(ledger.began(&id).await.unwrap(), Some(42));
}
