//! What goes and what stays: `collect` on demand, `sweep` at start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use till_core::id::PreparationId;
use till_core::model::{BaseLock, base_lock};
use till_core::{Digest, Fault, PlanDigest};
use till_engine::{Collection, RunWish, Wanted, new_instance_id};
use till_testkit::MemorySource;

use crate::house::{CONTRACT, House, Silent, wish, wish_for};

/// Everything that a base or artifact needs.
async fn needed(house: &House) -> BTreeSet<Digest> {
    let bases = house.engine.bases().await.unwrap().into_iter().map(|entry| entry.image);
    let artifacts = house.engine.artifacts().await.unwrap().into_iter().map(|entry| entry.image);
    let mut all = BTreeSet::new();
    for image in bases.chain(artifacts) {
        for document in house.engine.ledger.referrers(&image.manifest).await.unwrap() {
            all.extend(till_image::blobs_of(&house.engine.store, &document.manifest).unwrap());
            if document.artifact_type == base_lock::MEDIA_TYPE {
                let attached = till_image::attached(&house.engine.store, &document.manifest).unwrap();
                let lock =
                    BaseLock::parse(&String::from_utf8(attached.bytes).unwrap(), &"base".parse().unwrap()).unwrap();
                all.extend(lock.package.into_iter().map(|package| package.digest));
            }
        }
        all.extend(image.layers.into_iter().map(|layer| layer.blob.0));
        all.extend([image.config_digest, image.manifest.0]);
    }
    all
}

fn there(house: &House) -> BTreeSet<Digest> {
    house.engine.store.blobs().unwrap().into_iter().map(|(blob, _)| blob).collect()
}

#[derive(Debug, Clone)]
enum Deed {
    Prepare { app: u8, deps: u8, main: u8 },
    RemoveArtifact { app: u8 },
    MakeBase { packages: u8 },
    RemoveBase { number: u8 },
    Run { app: u8 },
    StopOne,
    Collect,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0..2u8, 0..2u8, 0..3u8).prop_map(|(app, deps, main)| Deed::Prepare { app, deps, main }),
        2 => (0..2u8).prop_map(|app| Deed::RemoveArtifact { app }),
        2 => (0..3u8).prop_map(|packages| Deed::MakeBase { packages }),
        1 => (1..4u8).prop_map(|number| Deed::RemoveBase { number }),
        1 => (0..2u8).prop_map(|app| Deed::Run { app }),
        1 => Just(Deed::StopOne),
        3 => Just(Deed::Collect),
    ]
}

async fn perform(house: &House, deed: &Deed) {
    match deed {
        Deed::Prepare { app, deps, main } => {
            let (deps, main) = (deps.to_string(), main.to_string());
            let source = MemorySource::new(&[("deps.txt", &deps), ("main.c", &main)]);
            // Without a base it fails, and that must leave nothing too.
            let _ = house.prepare(&wish_for(&format!("app{app}"), source)).await;
        }
        Deed::RemoveArtifact { app } => drop(house.engine.remove_artifact(&format!("app{app}")).await),
        Deed::MakeBase { packages } => {
            let packages = format!("suite = \"bookworm\"\npackages = [\"p{packages}\"]\n{CONTRACT}");
            house.make("base", &packages).await;
        }
        Deed::RemoveBase { number } => {
            drop(house.engine.remove_base(&format!("base@{number}").parse().unwrap()).await);
        }
        Deed::Run { app } => drop(house.engine.run(&run_wish(&format!("app{app}")), &Silent).await),
        Deed::StopOne => {
            if let Some(entry) = house.engine.instances().await.unwrap().first() {
                house.engine.stop(entry.fact.id.as_str()).await.unwrap();
            }
        }
        Deed::Collect => drop(house.engine.collect().await.unwrap()),
    }
}

fn run_wish(artifact: &str) -> RunWish {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_what_is_needed_stays_and_collecting_leaves_nothing_else(
        deeds in proptest::collection::vec(deed(), 1..14)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let house = House::with_base().await;
            house.machine.writes("deps", "/app/lib", "lib");
            for deed in &deeds {
                perform(&house, deed).await;
                let (needed, there) = (needed(&house).await, there(&house));
                assert!(needed.is_subset(&there), "{deed:?} took what is needed");
                if matches!(deed, Deed::Collect) {
                    assert_eq!(needed, there, "what nothing needs is gone");
                }
            }
            house.engine.collect().await.unwrap();
            assert_eq!(house.engine.collect().await.unwrap(), Collection::default(), "there is nothing left to take");
            house.make("base", &format!("suite = \"bookworm\"\n{CONTRACT}")).await;
            house.prepare(&wish(&[])).await.unwrap();
        });
    }
}

#[tokio::test]
async fn unpacked_layers_go_with_the_last_image_that_has_them() {
    let house = House::with_base().await;
    let built = house.prepare(&wish(&[])).await.unwrap();
    let layers = house.engine.artifact(built.artifact.as_str()).await.unwrap().image.layers;
    house.engine.collect().await.unwrap();
    assert_eq!(house.machine.kept(), layers.iter().map(|layer| layer.diff_id.clone()).collect());
    house.engine.remove_artifact("app").await.unwrap();
    let gone = house.engine.collect().await.unwrap();
    assert_eq!(gone.layers, 2, "the layer of the dependencies is forgotten under both of its keys");
    assert_eq!(house.machine.kept(), [layers[0].diff_id.clone()].into(), "only the base's is still needed");
}

#[tokio::test]
async fn what_runs_is_neither_removed_nor_collected() {
    let house = House::with_base().await;
    house.prepare(&wish(&[])).await.unwrap();
    let running = house.engine.run(&run_wish("app"), &Silent).await.unwrap();
    let failure = house.engine.remove_artifact("app").await.unwrap_err();
    assert_eq!(failure.fault, Fault::Caller);
    assert_eq!(failure.hint.unwrap(), format!("till stop {}", running.fact.id));
    house.engine.collect().await.unwrap();
    assert!(house.engine.artifact("app").await.is_ok());
    house.engine.stop(running.fact.id.as_str()).await.unwrap();
    house.engine.remove_artifact("app").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_something_is_prepared_nothing_is_collected_and_nothing_swept() {
    let house = Arc::new(House::with_base().await);
    let held = house.machine.hold("build");
    let other = Arc::clone(&house);
    let preparing = tokio::spawn(async move { other.prepare(&wish(&[])).await });
    held.arrived().await;
    let failure = house.engine.collect().await.unwrap_err();
    assert_eq!(failure.fault, Fault::Caller);
    assert!(failure.hint.is_some());
    assert_eq!(house.engine.sweep().await.unwrap().preparations, 0);
    held.release();
    assert!(preparing.await.unwrap().is_ok());
    assert!(house.engine.collect().await.is_ok());
}

#[tokio::test]
async fn preparations_whose_process_died_are_ended_and_cleared_away() {
    let house = House::new().await;
    let plan = PlanDigest(Digest::of(b"plan"));
    let now = (house.engine.now)();
    let staging = house.engine.data.join("staging");
    // With files, and without.
    for (number, began, has_files) in [(1, now, true), (2, now - 100, false)] {
        let id = PreparationId::from_bits(number);
        house.engine.ledger.begin(&id, "app", "app", &plan, began).await.unwrap();
        if has_files {
            std::fs::create_dir_all(staging.join(id.as_str())).unwrap();
            std::fs::write(staging.join(id.as_str()).join("files-0.tar"), "half").unwrap();
        }
    }
    let swept = house.engine.sweep().await.unwrap();
    assert_eq!((swept.preparations, swept.files), (2, 1));
    assert_eq!(std::fs::read_dir(&staging).unwrap().count(), 0);
    assert_eq!(house.engine.ledger.unended().await.unwrap(), []);
    assert_eq!(house.engine.sweep().await.unwrap().preparations, 0);
}
