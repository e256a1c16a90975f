//! Source to artifact: what is done in which order, and what is not there after a failure.

use till_core::port::Evidence;
use till_core::{Failure, Fault};
use till_testkit::MemorySource;

use crate::house::{CONTRACT, House, Seen, wish, wish_for};

#[tokio::test]
async fn a_plan_is_carried_out_in_its_order() {
    let house = House::with_base().await;
    let seen = Seen::default();
    let built = house.engine.prepare(&wish(&[("main.c", "")]), &seen).await.unwrap();
    assert!(!built.reused);
    let expected = [
        "open 1",
        "inject /app: deps.txt",
        "run deps",
        "snapshot",
        "open 2",
        "inject /app: deps.txt main.c",
        "run build",
        "trial check",
        "run prune",
        "find",
        "snapshot",
    ];
    assert_eq!(house.machine.deeds(), expected);
    assert_eq!(seen.of("began"), ["deps", "snapshot", "build", "check", "prune", "snapshot"]);
    assert_eq!(house.machine.living(), 0);
}

#[tokio::test]
async fn a_step_runs_when_what_it_waits_for_is_there() {
    let contract = CONTRACT.replace("name = \"build\"", "name = \"build\"\nwhen = { built = \"/app/wanted*\" }");
    assert_ne!(contract, CONTRACT);
    for wanted in [false, true] {
        let house = House::with_contract(&contract).await;
        if wanted {
            house.machine.writes("deps", "/app/wanted.txt", "");
        }
        let built = house.prepare(&wish(&[("main.c", "")])).await.unwrap();
        let ran = house.machine.deeds().contains(&"run build".to_owned());
        assert_eq!(ran, wanted);
        assert_eq!(built.steps.iter().any(|step| step.name == "build"), wanted);
    }
}

#[tokio::test]
async fn an_artifact_holds_what_the_steps_wrote_and_nothing_of_the_test() {
    let house = House::with_base().await;
    house.machine.writes("deps", "/app/lib", "lib");
    house.machine.script("build", |scene| {
        assert_eq!(scene.files["/app/lib"], b"lib", "the layer below is there");
        scene.files.insert("/app/out".to_owned(), scene.files["/app/main.c"].clone());
        scene.files.insert("/app/scrap".to_owned(), b"scrap".to_vec());
        Evidence::Code(0)
    });
    house.machine.script("check", |scene| {
        assert!(scene.files.contains_key("/app/out"), "the test sees what was built");
        scene.files.insert("/app/report".to_owned(), Vec::new());
        Evidence::Code(0)
    });
    house.machine.script("prune", |scene| {
        assert!(!scene.files.contains_key("/app/report"), "what the test wrote is gone");
        scene.files.remove("/app/lib");
        Evidence::Code(0)
    });
    let built = house.prepare(&wish(&[("main.c", "int")])).await.unwrap();
    let entry = house.engine.artifact(built.artifact.as_str()).await.unwrap();
    assert_eq!(entry.image.layers.len(), 3, "base, dependencies, app");
    assert_eq!(entry.label, built.label);
    let last = house.engine.store.path(&entry.image.layers[2].blob);
    let found = till_testkit::archive::read(&last).into_iter().filter(|found| found.entry.is_some());
    let paths: Vec<_> = found.map(|found| found.path).collect();
    assert_eq!(paths, ["app/.wh.lib", "app/main.c", "app/out"]);
}

#[tokio::test]
async fn an_artifact_says_where_it_comes_from() {
    let house = House::with_base().await;
    let source = MemorySource::new(&[("deps.txt", ""), ("till.toml", "name = \"shop\"\n")]).commit('a');
    let built = house.prepare(&wish_for("other", source)).await.unwrap();
    let label = &built.label;
    assert_eq!(label.app.as_str(), "shop");
    assert_eq!(label.commit.as_ref().unwrap().as_str(), "a".repeat(40));
    assert_eq!(label.base.as_ref().unwrap().to_string(), "base@1");
    assert_eq!(label.launch.processes["web"].argv, ["serve"]);
    let entry = house.engine.artifact("shop").await.unwrap();
    assert_eq!(entry.image.config.created, "2001-09-09T01:46:40Z", "the commit's time");
    assert!(!entry.image.config.labels.contains_key("io.tillage.base"), "it is no base");
}

/// A failed preparation leaves neither artifact nor instance nor files, and says so in the ledger.
async fn leaves_nothing(house: &House, result: Result<till_engine::Built, Failure>) -> Failure {
    let failure = result.err().unwrap();
    assert_eq!(house.engine.artifacts().await.unwrap().len(), 0);
    assert_eq!(house.engine.ledger.unended().await.unwrap(), []);
    assert_eq!(house.machine.living(), 0);
    let staged = std::fs::read_dir(house.engine.data.join("staging")).unwrap().count();
    assert_eq!(staged, 0, "nothing is left in staging");
    failure
}

#[tokio::test]
async fn what_fails_is_the_sources_doing_and_says_what_to_do() {
    for (step, evidence, said, hint) in [
        ("deps", Evidence::Code(1), "step `deps` failed (exit code 1)", "log"),
        ("build", Evidence::Code(127), "a command was not found", "use a base that has it"),
        ("build", Evidence::OutOfMemory, "more memory than 4GiB", "limits.memory"),
        ("build", Evidence::OutOfPids, "more than 4096 processes", "limits.pids"),
        ("build", Evidence::OutOfDisk, "wrote more than 20GiB", "limits.disk"),
        ("prune", Evidence::OutOfTime, "longer than 30m", "limits.time"),
        ("check", Evidence::Code(2), "the test failed (exit code 2), so there is no artifact", "log"),
    ] {
        let house = House::with_base().await;
        house.machine.fails(step, evidence);
        let seen = Seen::default();
        let result = house.engine.prepare(&wish(&[]), &seen).await;
        let failure = leaves_nothing(&house, result).await;
        assert_eq!(failure.fault, Fault::Source, "{step}");
        assert!(failure.chain().contains(said), "{step}: {failure}");
        assert!(failure.hint.as_ref().unwrap().contains(hint), "{step}: {:?}", failure.hint);
        assert_eq!(failure.evidence, ["first line", "it broke"], "{step}");
        assert_eq!(seen.of("failed"), [step]);
        assert_eq!(seen.all().last().unwrap(), &format!("failed {step}"));
    }
}

#[tokio::test]
async fn after_a_failing_test_nothing_more_is_run() {
    let house = House::with_base().await;
    house.machine.fails("check", Evidence::Code(1));
    let result = house.prepare(&wish(&[])).await;
    leaves_nothing(&house, result).await;
    assert_eq!(house.machine.deeds().last().unwrap(), "trial check");
}

#[tokio::test]
async fn nothing_is_begun_when_no_plan_can_be_made() {
    let house = House::with_base().await;
    let mut unknown = wish(&[]);
    unknown.base = Some("bass".parse().unwrap());
    let mut without = wish(&[]);
    without.base = None;
    for (wish, fault, said, hint) in [
        (unknown, Fault::Caller, "there is no base `bass`", "did you mean `base`?"),
        (without, Fault::Source, "which base", "--base"),
        (wish(&[("till.toml", "nam = \"x\"\n")]), Fault::Source, "unknown field", "till-toml.md"),
        (wish_for("app", MemorySource::new(&[])), Fault::Source, "the source is empty", "commit"),
        (wish(&[("out@", "/etc")]), Fault::Source, "leads out of the source", ".tillignore"),
    ] {
        let failure = house.prepare(&wish).await.unwrap_err();
        assert_eq!(failure.fault, fault, "{failure}");
        assert!(failure.chain().contains(said), "{failure}");
        assert!(failure.hint.as_ref().unwrap().contains(hint), "{:?}", failure.hint);
    }
    assert!(house.machine.deeds().is_empty());
    assert!(house.engine.ledger.unended().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_the_source_tells_is_told_to_who_watches_and_kept_with_the_answer() {
    let house = House::with_base().await;
    let source = MemorySource::new(&[("deps.txt", "")]).notice("sub", "submodule, skipped");
    let seen = Seen::default();
    let built = house.engine.prepare(&wish_for("app", source), &seen).await.unwrap();
    assert_eq!(built.notices, ["sub: submodule, skipped"]);
    assert_eq!(seen.of("notice"), ["sub: submodule, skipped"]);
}

#[tokio::test]
async fn what_is_only_seen_while_packing_is_told_too() {
    let house = House::with_base().await;
    let source = MemorySource::new(&[("deps.txt", "")]).late_notice("big", "LFS pointer");
    let seen = Seen::default();
    let built = house.engine.prepare(&wish_for("app", source), &seen).await.unwrap();
    assert_eq!(seen.of("notice"), ["big: LFS pointer"]);
    assert_eq!(built.notices, ["big: LFS pointer"]);
}

#[tokio::test]
async fn a_log_beyond_its_limit_is_cut_and_that_is_told() {
    let house = House::with_base().await;
    house.machine.script("build", |scene| {
        scene.log.write(&[b'x'; 1500]);
        Evidence::Code(0)
    });
    let seen = Seen::default();
    let wish = wish(&[("till.toml", "[limits]\nlog = \"1KiB\"\n")]);
    house.engine.prepare(&wish, &seen).await.unwrap();
    assert_eq!(seen.of("output").concat().len(), 1024);
    assert_eq!(seen.of("notice"), ["step `build` wrote 476 bytes more than `limits.log` (1KiB); they are not kept"]);
}
