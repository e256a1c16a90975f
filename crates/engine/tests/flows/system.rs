//! Systems that stay disks: what they are told, what comes of it, and what cannot be.

use till_core::Fault;
use till_core::model::ExternalFile;
use till_core::port::DiskFiles;
use till_core::system::Act;
use till_engine::{DiskImportWish, Engine, Naming, RunWish, Wanted, Wish, new_instance_id};
use till_image::{DiskFormat, ImportLimits};
use till_testkit::Machine;

use crate::house::{House, Silent, wish};

const FILE: &str = r#"
name = "win"
[system]
kind = "windows"
memory = "3GiB"
generalize = 'C:\seal.cmd'
[contract]
kind = "command"
env = { PATH = 'C:\python;%PATH%' }
[[contract.step]]
name = "install"
reads = ["needs.txt"]
run = "pip install -r needs.txt"
network = "egress"
[[contract.step]]
name = "build"
run = ["compile", "C:\\a b"]
[[contract.process]]
name = "web"
run = ["serve"]
[[contract.port]]
name = "http"
number = 8080
protocol = "http"
"#;

const FILES: [(&str, &str); 2] = [("needs.txt", "flask"), ("app.py", "1")];

/// One whose environment of machines is called as it is, with the base `win`.
async fn house(file: &str) -> House {
    let mut house = House::new().await;
    house.engine.others = vec![std::sync::Arc::new(Machine::new(&house.engine.store).called_qemu())];
    import(&house, file).await;
    house
}

async fn import(house: &House, file: &str) {
    let path = house.engine.data.join("disk.qcow2");
    std::fs::write(&path, qcow2()).unwrap();
    let naming = Naming { typed: "disk:disk.qcow2".to_owned(), name: None, file: ExternalFile::parse(file).unwrap() };
    let wish = DiskImportWish { file: path, format: DiskFormat::Qcow2, naming, limits: ImportLimits::default() };
    house.engine.import_disk(&wish, &Silent).await.unwrap();
}

/// The header of a qcow2, version 3, of 64 MiB.
fn qcow2() -> Vec<u8> {
    let mut bytes = vec![0; 3 << 16];
    bytes[..4].copy_from_slice(b"QFI\xfb");
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(4, &3u32.to_be_bytes());
    put(20, &16u32.to_be_bytes());
    put(24, &(64u64 << 20).to_be_bytes());
    put(36, &1u32.to_be_bytes());
    put(40, &(1u64 << 16).to_be_bytes());
    put(48, &(2u64 << 16).to_be_bytes());
    put(56, &1u32.to_be_bytes());
    put(96, &4u32.to_be_bytes());
    put(100, &104u32.to_be_bytes());
    bytes
}

fn on_win(files: &[(&str, &str)]) -> Wish {
    Wish { base: Some("win".parse().unwrap()), environment: None, ..wish(files) }
}

fn acts(engine: &House, number: usize) -> Vec<String> {
    let _: &Engine = &engine.engine;
    engine.desks.sittings()[number].job.acts.iter().map(Act::name).collect()
}

#[tokio::test]
async fn each_stage_is_one_start_and_what_did_not_change_is_not_done_again() {
    let house = house(FILE).await;
    let built = house.prepare(&on_win(&FILES)).await.unwrap();
    assert_eq!(acts(&house, 0), ["source", "install", "shutdown"]);
    assert_eq!(acts(&house, 1), ["source", "build", "service web", "firewall 8080", "generalize", "shutdown"]);
    let sittings = house.desks.sittings();
    assert_eq!((sittings[0].chain.len(), sittings[1].chain.len()), (1, 2));
    assert!(sittings[0].job.network() && !sittings[1].job.network(), "only the first needs the outside");
    let machine = built.label.machine.unwrap();
    assert_eq!((machine.min_memory, machine.system.is_some(), machine.kernel), (3 << 30, true, None));
    // It was booted before it is an artifact, from all its files.
    let gate = house.bench.requests().pop().unwrap();
    match gate.machine.unwrap().disk {
        DiskFiles::Chain(files) => assert_eq!(files.len(), 3),
        DiskFiles::Bytes(_) => panic!("it is a disk of several files"),
    }
    assert!(house.prepare(&on_win(&FILES)).await.unwrap().reused);
    house.prepare(&on_win(&[FILES[0], ("app.py", "2")])).await.unwrap();
    assert_eq!(house.desks.sittings().len(), 3, "what pip installed is taken");
    assert_eq!(house.desks.sittings()[2].chain, sittings[1].chain);
}

#[tokio::test]
async fn a_step_that_fails_says_which_and_leaves_no_artifact() {
    let file = FILE.replace("run = [\"compile\", \"C:\\\\a b\"]", "run = \"fail\"");
    let house = house(&file).await;
    let failure = house.prepare(&on_win(&FILES)).await.unwrap_err();
    assert_eq!(
        (failure.fault, failure.error.to_string()),
        (Fault::Source, "step `build` failed (exit code 7)".to_owned())
    );
    assert!(house.engine.artifacts().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_test_is_a_start_of_its_own_of_which_nothing_is_kept() {
    let house =
        house(&FILE.replace("[[contract.process]]", "[contract.test]\nrun = \"check\"\n[[contract.process]]")).await;
    house.prepare(&on_win(&FILES)).await.unwrap();
    assert_eq!(acts(&house, 2), ["test", "shutdown"]);
    assert_eq!(house.desks.sittings()[2].chain.len(), 3);
    import(&house, &FILE.replace("[[contract.process]]", "[contract.test]\nrun = \"fail\"\n[[contract.process]]"))
        .await;
    let failure = house.prepare(&on_win(&[FILES[0], ("app.py", "3")])).await.unwrap_err();
    assert!(failure.chain().contains("the test failed, so there is no artifact"), "{}", failure.chain());
}

#[tokio::test]
async fn what_cannot_be_is_said_before_anything_is_started() {
    for (from, to, said) in [
        ("env = {", "cache = [{ name = \"c\", path = 'C:\\c' }]\nenv = {", "it cannot have caches"),
        ("name = \"build\"", "name = \"build\"\nafter = \"test\"", "after = \"test\""),
        ("name = \"build\"", "name = \"build\"\nwhen = { built = 'C:\\x' }", "wait for what is `built`"),
        ("name = \"build\"", "name = \"build\"\ndir = \"/app\"", "not an absolute path of Windows"),
    ] {
        let house = house(&FILE.replace(from, to)).await;
        let failure = house.prepare(&on_win(&FILES)).await.unwrap_err();
        assert!(failure.fault == Fault::Base && failure.chain().contains(said), "{}", failure.chain());
        assert!(house.desks.sittings().is_empty());
    }
    let house = house(FILE).await;
    for (name, said) in [("a:b", "no name there has the character"), ("NEEDS.txt", "the same name"), ("nul", "device")]
    {
        let failure = house.prepare(&on_win(&[FILES[0], (name, "x")])).await.unwrap_err();
        assert!(failure.fault == Fault::Source && failure.chain().contains(said), "{}", failure.chain());
    }
    for wish in [
        Wish { environment: Some("container".to_owned()), ..on_win(&FILES) },
        Wish { kernel: Some("linux-image-cloud-amd64".to_owned()), ..on_win(&FILES) },
        Wish { looks: true, ..on_win(&FILES) },
    ] {
        assert_eq!(house.prepare(&wish).await.unwrap_err().fault, Fault::Caller);
    }
}

#[tokio::test]
async fn it_runs_as_it_was_registered_and_its_files_are_its_own_affair() {
    let house = house(FILE).await;
    house.prepare(&on_win(&FILES)).await.unwrap();
    let run = RunWish {
        id: new_instance_id(),
        artifact: "app".to_owned(),
        process: Wanted::Default,
        publish: None,
        env: std::collections::BTreeMap::new(),
        environment: None,
        kernel: None,
    };
    let entry = house.engine.run(&run, &Silent).await.unwrap();
    assert_eq!(entry.fact.process, "all");
    let env = [("A".to_owned(), "b".to_owned())].into();
    for refused in [
        RunWish { process: Wanted::Named("web".to_owned()), ..run.clone() },
        RunWish { env, ..run.clone() },
        RunWish { environment: Some("nowhere".to_owned()), ..run.clone() },
    ] {
        assert_eq!(house.engine.run(&refused, &Silent).await.unwrap_err().fault, Fault::Caller);
    }
    for failure in [
        house.engine.sbom("app", till_engine::Format::Spdx).await.unwrap_err(),
        house.engine.diff("app", "base:win").await.unwrap_err(),
    ] {
        assert!(failure.chain().contains("only the system on it reads"), "{}", failure.chain());
    }
    assert!(house.engine.provenance("app").await.is_ok());
}
