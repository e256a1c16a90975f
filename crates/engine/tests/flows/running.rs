//! Artifacts that run: which process, where, and what is known of them afterwards.

use std::collections::BTreeMap;

use till_core::Fault;
use till_core::port::{Evidence, Observed};
use till_engine::{RunWish, Wanted, new_instance_id};

use crate::house::{House, Silent, wish};

fn run(artifact: &str) -> RunWish {
    RunWish {
        id: new_instance_id(),
        artifact: artifact.to_owned(),
        process: Wanted::Default,
        publish: None,
        env: BTreeMap::new(),
        environment: None,
        kernel: None,
    }
}

async fn with_app(till_toml: &str) -> House {
    let house = House::with_base().await;
    house.prepare(&wish(&[("till.toml", till_toml)])).await.unwrap();
    house
}

#[tokio::test]
async fn an_artifact_is_started_as_it_says() {
    let house = with_app("[env]\nA = \"app\"\nB = \"app\"\n").await;
    let env = BTreeMap::from([("B".to_owned(), "run".to_owned())]);
    let entry = house.engine.run(&RunWish { publish: Some(4242), env, ..run("app") }, &Silent).await.unwrap();
    assert_eq!(entry.url().unwrap(), "http://127.0.0.1:4242/");
    let request = house.bench.request(&entry.fact.id).unwrap();
    assert_eq!((request.process.as_str(), request.layers.len()), ("web", 3));
    assert_eq!((request.launch.env["A"].as_str(), request.launch.env["B"].as_str()), ("app", "run"));
    let listed = house.engine.instances().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].fact, &listed[0].observed), (&entry.fact, &Observed::Running));
}

#[tokio::test]
async fn the_process_is_the_named_one_or_web_or_the_only_one() {
    let house = with_app("[processes]\njob = [\"job\"]\n").await;
    for (wanted, chosen) in [(None, Some("web")), (Some("job"), Some("job")), (Some("jab"), None)] {
        let wish =
            RunWish { process: wanted.map_or(Wanted::Default, |name| Wanted::Named(name.to_owned())), ..run("app") };
        match (house.engine.run(&wish, &Silent).await, chosen) {
            (Ok(entry), Some(chosen)) => {
                assert_eq!(entry.fact.process, chosen);
                assert_eq!(entry.url().is_some(), chosen == "web");
            }
            (Err(failure), None) => {
                assert_eq!(failure.fault, Fault::Caller);
                assert_eq!(failure.hint.unwrap(), "did you mean `job`? it has: job, web");
            }
            (other, _) => panic!("{wanted:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn all_services_are_one_process_that_listens_where_web_does() {
    let house = with_app("[processes]\njob = [\"job\", \"a b\"]\n").await;
    let entry = house.engine.run(&RunWish { process: Wanted::All, ..run("app") }, &Silent).await.unwrap();
    assert_eq!((entry.fact.process.as_str(), entry.http), ("all", true));
    let request = house.bench.request(&entry.fact.id).unwrap();
    let argv = &request.launch.processes[&request.process].argv;
    assert_eq!(
        (argv[0].as_str(), &argv[4..]),
        ("/bin/bash", &["web", "", "1", "serve", "job", "", "2", "job", "a b"].map(str::to_owned)[..])
    );
    assert_eq!(request.launch.env_of("all")["PORT"], "8080");
    let listed = house.engine.instances().await.unwrap();
    assert!(listed[0].http && listed[0].url().is_some());
}

#[tokio::test]
async fn what_does_not_start_can_still_be_looked_at_and_is_forgotten_when_stopped() {
    let house = with_app("[processes]\nweb = [\"never-ready\"]\n").await;
    let failure = house.engine.run(&run("app"), &Silent).await.unwrap_err();
    assert_eq!(failure.fault, Fault::Source);
    let listed = house.engine.instances().await.unwrap();
    assert_eq!((listed.len(), &listed[0].observed), (1, &Observed::Ended(Evidence::Code(1))));
    let id = listed[0].fact.id.as_str().to_owned();
    assert!(house.engine.log(&id).await.is_ok());
    house.engine.stop(&id).await.unwrap();
    assert!(house.engine.instances().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_never_began_is_not_listed() {
    let house = with_app("[processes]\nweb = [\"never-begins\"]\n").await;
    let failure = house.engine.run(&run("app"), &Silent).await.unwrap_err();
    assert_eq!(failure.fault, Fault::House);
    assert!(house.engine.instances().await.unwrap().is_empty());
    house.engine.remove_artifact("app").await.unwrap();
}

#[tokio::test]
async fn what_ended_is_listed_until_it_is_stopped() {
    let house = with_app("").await;
    let entry = house.engine.run(&run("app"), &Silent).await.unwrap();
    house.bench.observe(&entry.fact.id, Observed::Ended(Evidence::Code(1)));
    for _ in 0..2 {
        assert_eq!(house.engine.instances().await.unwrap()[0].observed, Observed::Ended(Evidence::Code(1)));
    }
}

#[tokio::test]
async fn instances_and_artifacts_are_found_by_the_beginning_of_their_names() {
    let house = with_app("").await;
    let entry = house.engine.run(&run("app"), &Silent).await.unwrap();
    let (id, digest) = (entry.fact.id.as_str().to_owned(), entry.fact.artifact.clone());
    for wanted in [id.as_str(), &id[5..], &id[5..20], &id[id.len() - 6..]] {
        assert_eq!(house.engine.log(wanted).await.unwrap().0.id, entry.fact.id, "{wanted}");
    }
    for wanted in ["app", digest.as_str(), digest.hex(), &digest.hex()[..4]] {
        assert_eq!(house.engine.artifact(wanted).await.unwrap().fact.digest, digest, "{wanted}");
    }
    for (wanted, hint) in [("ap", "did you mean `app`?"), (&digest.hex()[..3], "till artifact list")] {
        let failure = house.engine.artifact(wanted).await.unwrap_err();
        assert_eq!(failure.fault, Fault::Caller);
        assert!(failure.hint.as_ref().unwrap().contains(hint), "{wanted}: {:?}", failure.hint);
    }
    assert_eq!(house.engine.log("inst_").await.unwrap_err().fault, Fault::Caller);
}
