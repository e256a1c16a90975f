//! What is taken instead of made, and what waits for what.

use std::sync::Arc;

use till_testkit::MemorySource;

use crate::house::{CONTRACT, House, Seen, wish, wish_for};

#[tokio::test]
async fn an_equal_plan_takes_the_artifact_and_does_nothing() {
    let house = House::with_base().await;
    let first = house.prepare(&wish(&[("main.c", "1")])).await.unwrap();
    house.machine.deeds();
    let second = house.prepare(&wish(&[("main.c", "1")])).await.unwrap();
    assert!(second.reused);
    assert_eq!((second.artifact, second.label), (first.artifact, first.label));
    assert!(house.machine.deeds().is_empty());
    assert_eq!(house.engine.artifacts().await.unwrap().len(), 1);
}

/// The steps that a second preparation runs after one of `deps.txt` and `main.c`.
async fn runs(second: &till_engine::Wish, house: &House) -> Vec<String> {
    house.prepare(&wish(&[("main.c", "1")])).await.unwrap();
    house.machine.deeds();
    let built = house.prepare(second).await.unwrap();
    assert!(!built.reused);
    let deeds = house.machine.deeds().into_iter();
    deeds.filter_map(|deed| deed.strip_prefix("run ").map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_layer_is_made_anew_only_when_what_went_into_it_changed() {
    let mut env = wish(&[("main.c", "1")]);
    env.env.insert("X".to_owned(), "1".to_owned());
    let other_app = wish_for("other", MemorySource::new(&[("deps.txt", "one"), ("main.c", "1")]));
    for (what, second, expected) in [
        ("a file of the app", wish(&[("main.c", "2")]), vec!["build", "prune"]),
        // What a step took from its caches is in its layer, and caches are one app's.
        ("another app of the same inputs", other_app, vec!["deps", "build", "prune"]),
        ("its dependencies", wish(&[("main.c", "1"), ("deps.txt", "two")]), vec!["deps", "build", "prune"]),
        ("the environment", env, vec!["deps", "build", "prune"]),
    ] {
        let house = House::with_base().await;
        assert_eq!(runs(&second, &house).await, expected, "{what}");
    }
}

#[tokio::test]
async fn afresh_takes_nothing() {
    let house = House::with_base().await;
    let afresh = till_engine::Wish { afresh: true, ..wish(&[("main.c", "1")]) };
    assert_eq!(runs(&afresh, &house).await, ["deps", "build", "prune"]);
    assert_eq!(house.engine.artifacts().await.unwrap().len(), 1, "the same bytes are the same artifact");
}

#[tokio::test]
async fn a_layer_whose_blob_is_gone_is_made_anew() {
    let house = House::with_base().await;
    let first = house.prepare(&wish(&[("main.c", "1")])).await.unwrap();
    let layers = house.engine.artifact(first.artifact.as_str()).await.unwrap().image.layers;
    house.engine.store.remove(&layers[1].blob).unwrap();
    house.machine.deeds();
    house.prepare(&wish(&[("main.c", "2")])).await.unwrap();
    assert!(house.machine.deeds().contains(&"run deps".to_owned()));
}

#[tokio::test]
async fn what_is_taken_is_reported_as_taken() {
    let house = House::with_base().await;
    house.prepare(&wish(&[("main.c", "1")])).await.unwrap();
    let seen = Seen::default();
    let built = house.engine.prepare(&wish(&[("main.c", "2")]), &seen).await.unwrap();
    let steps: Vec<_> = built.steps.iter().map(|step| (step.name.as_str(), step.reused)).collect();
    assert_eq!(steps[0], ("deps", true));
    assert!(steps[1..].iter().all(|(_, reused)| !reused));
    assert_eq!(seen.of("ended")[0], "deps (reused)");
}

#[tokio::test]
async fn a_stage_that_was_done_before_the_failure_is_taken_by_the_next_attempt() {
    let house = House::with_base().await;
    house.machine.fails("build", till_core::port::Evidence::Code(1));
    house.prepare(&wish(&[])).await.unwrap_err();
    house.machine.script("build", |_| till_core::port::Evidence::Code(0));
    house.machine.deeds();
    house.prepare(&wish(&[])).await.unwrap();
    assert!(!house.machine.deeds().contains(&"run deps".to_owned()));
}

#[tokio::test]
async fn another_version_of_the_base_takes_nothing() {
    let house = House::with_base().await;
    house.prepare(&wish(&[])).await.unwrap();
    house.make("base", &format!("suite = \"trixie\"\n{CONTRACT}")).await;
    house.machine.deeds();
    let built = house.prepare(&wish(&[])).await.unwrap();
    assert_eq!((built.reused, built.label.base.unwrap().version), (false, 2));
    assert!(house.machine.deeds().contains(&"run deps".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_preparations_of_one_app_take_turns_and_the_second_takes_what_the_first_made() {
    let house = Arc::new(House::with_base().await);
    let held = house.machine.hold("build");
    let (first, second) = (Arc::clone(&house), Arc::clone(&house));
    let first = tokio::spawn(async move { first.prepare(&wish(&[])).await });
    held.arrived().await;
    let seen = Arc::new(Seen::default());
    let watching = Arc::clone(&seen);
    let second = tokio::spawn(async move { second.engine.prepare(&wish(&[]), &*watching).await });
    while seen.of("waiting").is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(seen.of("waiting"), ["for another build of `app`"]);
    held.release();
    let (first, second) = (first.await.unwrap().unwrap(), second.await.unwrap().unwrap());
    assert_eq!((first.reused, second.reused), (false, true));
    assert_eq!(first.artifact, second.artifact);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_apps_do_not_wait_for_each_other() {
    let house = Arc::new(House::with_base().await);
    let held = house.machine.hold("build");
    let first = Arc::clone(&house);
    let first = tokio::spawn(async move { first.prepare(&wish(&[])).await });
    held.arrived().await;
    let other = wish_for("other", MemorySource::new(&[("deps.txt", "")]));
    house.prepare(&other).await.unwrap();
    held.release();
    first.await.unwrap().unwrap();
}
