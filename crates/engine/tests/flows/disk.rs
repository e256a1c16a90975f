//! Images as disks that boot: which kernel, and when two disks are the same.

use till_core::Fault;
use till_core::plan::Bytes;
use till_engine::DiskWish;
use till_image::DiskFormat;

use crate::house::{House, Silent, wish};

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
