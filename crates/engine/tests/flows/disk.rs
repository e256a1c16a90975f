//! Images as disks that boot: which kernel, and when two disks are the same.

use till_core::Fault;
use till_core::plan::Bytes;
use till_engine::DiskWish;
use till_image::DiskFormat;

use crate::house::{CONTRACT, House, Silent, wish};

const KERNEL: &str = "linux-image-6.1.0-1-cloud-amd64";

fn wished(folder: &tempfile::TempDir, name: &str, kernel: Option<&str>) -> DiskWish {
    let kernel = kernel.map(str::to_owned);
    DiskWish { file: folder.path().join(name), format: DiskFormat::Raw, kernel, size: Some(Bytes(1 << 30)) }
}

#[tokio::test]
async fn the_same_image_with_the_same_kernel_is_the_same_disk() {
    let house = House::with_base().await;
    house.prepare(&wish(&[("main.c", "")])).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = async |name: &str, kernel: Option<&str>| {
        let wished = wished(&folder, name, kernel);
        house.engine.export_disk("app", &wished, &Silent).await.map(|(_, written)| written)
    };
    let first = write("one", Some(KERNEL)).await.unwrap();
    assert_eq!(first.kernel.as_ref().unwrap().version, "1");
    // The mirror has moved on; what was had by that version still is.
    house.packages.publish(KERNEL, "2");
    let second = write("two", Some(KERNEL)).await.unwrap();
    assert_eq!(second.kernel.as_ref().unwrap().version, "2");
    assert_ne!(second.digest, first.digest);
    house.packages.cut_off();
    let again = write("three", Some(&format!("{KERNEL}=1"))).await.unwrap();
    assert_eq!((again.digest, again.kernel), (first.digest, first.kernel));
    let orders = house.disks.orders();
    assert_eq!(orders[0].hostname, "app");
    assert_eq!(orders[0].launch.processes["web"].argv, ["serve"]);
    assert!(orders[0].kernel.as_ref().unwrap().exists());
}

#[tokio::test]
async fn a_kernel_of_the_image_is_taken_where_nobody_wants_another() {
    let house = House::with_base().await;
    house.machine.writes("build", "/boot/vmlinuz-6.6", "kernel");
    house.prepare(&wish(&[("main.c", "")])).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (_, own) = house.engine.export_disk("app", &wished(&folder, "x", None), &Silent).await.unwrap();
    assert_eq!(own.kernel, None);
    let other = wished(&folder, "x", Some(KERNEL));
    let (_, other) = house.engine.export_disk("app", &other, &Silent).await.unwrap();
    assert_eq!(other.kernel.unwrap().name, KERNEL);
}

#[tokio::test]
async fn a_kernel_that_cannot_be_had_is_refused_and_leaves_nothing() {
    let house = House::with_base().await;
    house.prepare(&wish(&[("main.c", "")])).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (kernel, said) in [("absent", "cannot be had"), ("curl", "brings no kernel"), ("a b", "is no package")] {
        let failure = house.engine.export_disk("app", &wished(&folder, "x", Some(kernel)), &Silent).await.unwrap_err();
        assert_eq!(failure.fault, Fault::Caller, "{failure}");
        assert!(failure.to_string().contains(said), "{failure}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn the_kernel_that_a_base_names_is_in_its_lock_and_holds_for_all_that_lies_upon_it() {
    let house = House::new().await;
    let disk = format!("suite = \"bookworm\"\n{CONTRACT}[disk]\nkernel = \"{KERNEL}\"\nsize = \"2GiB\"\n");
    let folder = house.recipe("base", &disk);
    let first = house.recreate(&folder, false, &Silent).await.unwrap();
    assert_eq!(first.lock.kernel.as_ref().unwrap().version, "1");
    house.prepare(&wish(&[("main.c", "")])).await.unwrap();
    let files = tempfile::tempdir().unwrap();
    let write = async |name: &str| {
        let wished = DiskWish { size: None, ..wished(&files, name, None) };
        house.engine.export_disk("app", &wished, &Silent).await.unwrap().1
    };
    let kernel = write("one").await.kernel.unwrap();
    assert_eq!((kernel.name.as_str(), kernel.version.as_str()), (KERNEL, "1"));
    assert_eq!(house.disks.orders()[0].size, Some(Bytes(2 << 30)));
    // A newer kernel is a new version of the base, and what lies upon the older one stays as it is.
    house.packages.publish(KERNEL, "2");
    let locked = house.follow(&folder, true).await.unwrap();
    assert_eq!((&locked.fact.version.digest, &locked.lock), (&first.fact.version.digest, &first.lock));
    assert_eq!(write("two").await.kernel, Some(kernel));
    let second = house.recreate(&folder, false, &Silent).await.unwrap();
    assert_ne!(second.fact.version.digest, first.fact.version.digest);
    let change = &second.changes[0];
    assert_eq!((change.package.as_str(), change.to.as_deref()), ("the kernel of its disks", Some("2")));
    // What is kept of a base is enough, also when the mirror is gone and everything else was removed.
    house.packages.cut_off();
    house.engine.collect().await.unwrap();
    assert_eq!(house.follow(&folder, true).await.unwrap().lock.kernel.unwrap().version, "2");
    assert_eq!(write("three").await.kernel.unwrap().version, "1");
}

#[tokio::test]
async fn what_is_prepared_for_machines_has_one_kernel_until_its_base_changes() {
    let house = House::with_base().await;
    let for_disk = |kernel: Option<&str>| till_engine::Wish {
        disk: true,
        kernel: kernel.map(str::to_owned),
        ..wish(&[("main.c", "")])
    };
    let named = house.prepare(&for_disk(Some(KERNEL))).await.unwrap();
    let kernel = |built: &till_engine::Built| built.label.machine.clone().unwrap().kernel.unwrap().version;
    assert_eq!(kernel(&named), "1");
    assert_eq!(named.notices.len(), 1, "it says what it cannot promise");
    // It was booted from a disk before it was an artifact, and nothing of that runs on.
    let order = &house.disks.orders()[0];
    assert_eq!(order.launch.services, ["web"]);
    assert_eq!(house.bench.count(), 0);
    assert!(house.prepare(&for_disk(Some(KERNEL))).await.unwrap().reused);
    house.packages.publish(KERNEL, "2");
    let newer = house.prepare(&for_disk(Some(KERNEL))).await.unwrap();
    assert_eq!((kernel(&newer).as_str(), newer.reused), ("2", false));
    let plain = house.prepare(&wish(&[("main.c", "")])).await.unwrap();
    assert_eq!(plain.label.machine, None);
    let failure = till_engine::Wish { kernel: Some(KERNEL.to_owned()), ..wish(&[("main.c", "")]) };
    assert_eq!(house.prepare(&failure).await.unwrap_err().fault, Fault::Caller);
    let nowhere = till_engine::Wish { environment: Some("nowhere".to_owned()), ..wish(&[]) };
    assert!(house.prepare(&nowhere).await.unwrap_err().to_string().contains("no environment `nowhere`"));
}
