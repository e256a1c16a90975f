//! Several bases for one app: one that builds and one that runs, and contracts in a row.

use till_core::Fault;
use till_core::port::Evidence;
use till_testkit::MemorySource;

use crate::house::{CONTRACT, House, wish, wish_for};

/// A till.toml with what is copied onto the base `small`.
fn onto_small(copy: &str) -> String {
    format!("[run]\nbase = \"small\"\ncopy = [{copy}]\n")
}

#[tokio::test]
async fn a_result_is_carried_onto_the_base_that_runs_it() {
    let house = House::with_base().await;
    let small = house.make("small", "suite = \"trixie\"\n[contract]\nkind = \"dockerfile\"\n").await;
    house.machine.writes("build", "/app/out", "out");
    house.machine.script("check", |scene| match scene.files.contains_key("/app/main.c") {
        true => Evidence::Code(0),
        false => Evidence::Code(1),
    });
    house.machine.deeds();
    let app = onto_small("{ from = \"/app/out\", to = \"/srv/out\" }");
    let built = house.prepare(&wish(&[("main.c", ""), ("till.toml", &app)])).await.unwrap();
    let image = till_image::load(&house.engine.store, &built.artifact).unwrap();
    let below = till_image::load(&house.engine.store, &small.fact.version.digest).unwrap();
    assert_eq!(image.layers.len(), below.layers.len() + 1);
    assert_eq!(image.layers[0].diff_id, below.layers[0].diff_id);
    let deeds = house.machine.deeds();
    // The test is where the app was built; what runs it has only what is named.
    assert!(deeds.contains(&"trial check".to_owned()) && deeds.contains(&"gather /app/out".to_owned()), "{deeds:?}");
    assert_eq!(deeds.iter().filter(|deed| *deed == "inject /srv/out: out").count(), 1, "{deeds:?}");
    assert_eq!(built.label.images["small"], small.fact.version.digest);
    // The same again is there.
    assert!(house.prepare(&wish(&[("main.c", ""), ("till.toml", &app)])).await.unwrap().reused);
}

#[tokio::test]
async fn a_base_that_runs_nothing_yet_is_the_sources_mistake() {
    let house = House::with_base().await;
    let failure = house.prepare(&wish(&[("till.toml", &onto_small(""))])).await.unwrap_err();
    assert_eq!(failure.fault, Fault::Source);
    assert!(failure.to_string().contains("`small`"), "{failure}");
}

#[tokio::test]
async fn the_output_of_one_contract_is_the_source_of_the_next() {
    let house = House::with_base().await;
    let second =
        CONTRACT.replace("name = \"build\"", "name = \"serve\"").replace("name = \"check\"", "name = \"look\"");
    house.make("second", &format!("suite = \"bookworm\"\n{second}")).await;
    house.machine.writes("build", "/app/dist/index.html", "page");
    house.machine.script("serve", |scene| {
        assert_eq!(scene.files["/app/index.html"], b"page");
        assert!(!scene.files.contains_key("/app/main.c"), "only the output is its source");
        Evidence::Code(0)
    });
    let app = "base = \"second\"\n[[before]]\nbase = \"base\"\noutput = \"/app/dist\"\n";
    let source = || MemorySource::new(&[("deps.txt", "one"), ("main.c", ""), ("till.toml", app)]).commit('a');
    let mut wanted = wish_for("app", source());
    wanted.base = None;
    let built = house.prepare(&wanted).await.unwrap();
    assert_eq!(built.label.base.as_ref().unwrap().name.as_str(), "second");
    assert_eq!(built.label.commit.as_ref().unwrap().as_str(), "a".repeat(40));
    let ran: Vec<_> = built.steps.iter().map(|step| step.name.as_str()).collect();
    assert!(ran.contains(&"build") && ran.contains(&"serve"), "{ran:?}");
    let first = house.engine.artifact("app.1").await.unwrap();
    assert_eq!(first.label.base.unwrap().name.as_str(), "base");
    // Nothing changed, so nothing is made again.
    let again = house.prepare(&wanted).await.unwrap();
    assert!(again.reused);
    assert_eq!(again.artifact, built.artifact);
}

#[tokio::test]
async fn an_output_that_is_empty_or_not_there_ends_the_row() {
    let house = House::with_base().await;
    let app = "base = \"base\"\n[[before]]\nbase = \"base\"\noutput = \"/app/dist\"\n";
    let failure = house.prepare(&wish(&[("till.toml", app)])).await.unwrap_err();
    assert_eq!(failure.fault, Fault::Source);
    assert!(failure.to_string().contains("`/app/dist`"), "{failure}");
}
