//! Images to a registry and from it: what is asked for, what is chosen, what stays.

use std::sync::Arc;

use till_core::model::manifest::{DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, architecture};
use till_core::{DiffId, Digest, Fault, ManifestDigest};
use till_engine::{PullTraffic, PushTraffic, PushWish};
use till_image::{Compression, ExportCompression, ImportLimits};
use till_testkit::Shelf;

use crate::house::{House, wish};

const AT: &str = "example.org/team/app:1";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn push(wanted: &str, to: &str) -> PushWish {
    let compression = ExportCompression::Keep;
    PushWish { wanted: wanted.to_owned(), to: to.parse().unwrap(), compression, sibling: None, referrers: Vec::new() }
}

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// An image for a machine, on the shelf: its manifest. Its one layer is there twice.
fn image(shelf: &Shelf, at: &str, media_type: &str, arch: &str) -> (ManifestDigest, usize) {
    let layer = [0; 1024];
    let blob = shelf.put(&layer);
    let diff_id = DiffId(blob.clone());
    let config = format!(
        r#"{{"architecture":"{arch}","os":"linux","rootfs":{{"type":"layers","diff_ids":["{diff_id}","{diff_id}"]}}}}"#
    );
    let digest = shelf.put(config.as_bytes());
    let layer = format!(r#"{{"mediaType":"{LAYER}","digest":"{blob}","size":1024}}"#);
    let kind = if media_type == OCI_MANIFEST { OCI_CONFIG } else { DOCKER_CONFIG };
    let config = format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{}}}"#, config.len());
    let text =
        format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{config},"layers":[{layer},{layer}]}}"#);
    (shelf.set(at, media_type, &text), text.len())
}

fn entry(media_type: &str, (digest, size): &(ManifestDigest, usize), arch: &str) -> String {
    let platform = format!(r#"{{"os":"linux","architecture":"{arch}"}}"#);
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size},"platform":{platform}}}"#)
}

fn index(media_type: &str, entries: &[String]) -> String {
    format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[{}]}}"#, entries.join(","))
}

#[tokio::test]
async fn what_is_there_is_not_sent_and_what_is_pushed_is_pulled() {
    let house = House::with_base().await;
    house.machine.writes("deps", "/app/lib", "lib");
    let built = house.prepare(&wish(&[("main.c", "main")])).await.unwrap();
    let artifact = house.engine.artifact("app").await.unwrap().image;
    let count = artifact.layers.len() as u64 + 1;
    let first = house.engine.push(&push("app", AT)).await.unwrap();
    assert_eq!((&first.digest, first.blobs.sent, first.blobs.skipped), (&artifact.manifest, count, 0));
    house.shelf.deeds();
    let second = house.engine.push(&push("app", AT)).await.unwrap();
    assert_eq!(second.blobs, PushTraffic { skipped: count, ..PushTraffic::default() });
    assert!(house.shelf.deeds().is_empty());
    let sibling = PushWish { sibling: Some("team/other".to_owned()), ..push("app", "example.org/team/two:1") };
    assert_eq!(house.engine.push(&sibling).await.unwrap().blobs.mounted, count);
    // What is here is not asked for; what `gc` took is.
    let pulled = house.engine.pull(&AT.parse().unwrap(), &ImportLimits::default()).await.unwrap();
    assert_eq!((&pulled.image, pulled.blobs.received), (&artifact, 0));
    drop(pulled);
    house.engine.remove_artifact("app").await.unwrap();
    house.engine.collect().await.unwrap();
    house.shelf.deeds();
    let pulled = house.engine.pull(&AT.parse().unwrap(), &ImportLimits::default()).await.unwrap();
    assert_eq!((&pulled.image.manifest, pulled.index.is_none()), (&built.artifact, true));
    assert!(pulled.blobs.received > 0 && pulled.blobs.received == house.shelf.deeds().len() as u64);
}

#[tokio::test]
async fn of_an_index_this_machines_image_is_taken_and_each_blob_asked_for_once() {
    for (list, manifest) in [(OCI_INDEX, OCI_MANIFEST), (DOCKER_INDEX, DOCKER_MANIFEST)] {
        let house = House::new().await;
        let ours = image(&house.shelf, AT, manifest, architecture());
        let other = image(&house.shelf, AT, manifest, "sparc");
        let entries = [entry(manifest, &other, "sparc"), entry(manifest, &ours, architecture())];
        let digest = house.shelf.set(AT, list, &index(list, &entries));
        let pulled = house.engine.pull(&AT.parse().unwrap(), &ImportLimits::default()).await.unwrap();
        assert_eq!((&pulled.image.manifest, &pulled.index), (&ours.0, &Some(digest)));
        assert_eq!((pulled.blobs.received, pulled.image.layers.len()), (2, 2));
        assert_eq!(house.shelf.deeds().len(), 2);
        assert!(!house.engine.store.has(&other.0));
    }
}

#[tokio::test]
async fn what_is_not_for_this_machine_not_whole_or_too_deep_is_refused() {
    let house = House::new().await;
    let name = AT.parse().unwrap();
    let said = async || house.engine.pull(&name, &ImportLimits::default()).await.map(drop).unwrap_err();
    assert_eq!(said().await.fault, Fault::Caller);
    let other = image(&house.shelf, AT, OCI_MANIFEST, "sparc");
    assert!(said().await.to_string().contains("not for this machine"));
    house.shelf.set(AT, OCI_INDEX, &index(OCI_INDEX, &[entry(OCI_MANIFEST, &other, "sparc")]));
    assert_eq!(said().await.hint.as_deref(), Some("there is: linux/sparc"));
    let mut inner = image(&house.shelf, AT, OCI_MANIFEST, architecture());
    let mut media_type = OCI_MANIFEST;
    for _ in 0..4 {
        let text = index(OCI_INDEX, &[entry(media_type, &inner, architecture())]);
        inner = (house.shelf.set(AT, OCI_INDEX, &text), text.len());
        media_type = OCI_INDEX;
    }
    assert!(said().await.to_string().contains("index of indexes"));
    let whole = image(&house.shelf, AT, OCI_MANIFEST, architecture());
    house.shelf.spoil(&Digest::of(&[0; 1024]));
    house.engine.collect().await.unwrap();
    assert!(said().await.to_string().contains("is not the blob"));
    assert!(!house.engine.store.has(&whole.0));
}

#[tokio::test]
async fn gc_waits_for_a_pull_to_be_written_down_and_takes_what_pulls_left() {
    let house = House::new().await;
    image(&house.shelf, AT, OCI_MANIFEST, architecture());
    let pulled = house.engine.pull(&AT.parse().unwrap(), &ImportLimits::default()).await.unwrap();
    assert_eq!(house.engine.collect().await.unwrap_err().fault, Fault::Caller);
    assert_eq!(pulled.blobs, PullTraffic { received: 2, skipped: 0, bytes: pulled.blobs.bytes });
    drop(pulled);
    let partial = house.engine.data.join("partial");
    assert_eq!(std::fs::read_dir(&partial).unwrap().count(), 0);
    std::fs::write(partial.join("ab"), "begun").unwrap();
    house.engine.collect().await.unwrap();
    assert_eq!(std::fs::read_dir(&partial).unwrap().count(), 0);
    assert!(house.engine.store.blobs().unwrap().is_empty());
}

#[tokio::test]
async fn other_compression_is_another_manifest_of_the_same_content() {
    let house = House::with_base().await;
    house.prepare(&wish(&[("main.c", "main")])).await.unwrap();
    let artifact = house.engine.artifact("app").await.unwrap().image;
    let to = ExportCompression::Convert(Compression::Gzip);
    let pushed = house.engine.push(&PushWish { compression: to, ..push("app", AT) }).await.unwrap();
    assert_ne!(pushed.digest, artifact.manifest);
    let pulled = house.engine.pull(&AT.parse().unwrap(), &ImportLimits::default()).await.unwrap();
    assert_eq!((&pulled.image.manifest, &pulled.image.config), (&pushed.digest, &artifact.config));
    assert!(pulled.image.layers.iter().all(|layer| layer.media_type == Compression::Gzip.media_type()));
    // Nothing is left of the conversion, and a name that is not what is pushed is not given to it.
    assert_eq!(std::fs::read_dir(house.engine.data.join("staging")).unwrap().count(), 0);
    let pinned = format!("example.org/team/app@{}", artifact.manifest);
    let refused = house.engine.push(&PushWish { compression: to, ..push("app", &pinned) }).await.unwrap_err();
    assert_eq!(refused.fault, Fault::Caller);
    house.engine.push(&push("app", &pinned)).await.unwrap();
    house.engine.push(&push("base@1", "example.org/bases/base")).await.unwrap();
    assert!(house.shelf.text("example.org/bases/base:latest").is_some());
}

/// The manifest of a signature, in the store of a house. All have the same config.
fn signature(house: &House, text: &str, subject: &Digest) -> ManifestDigest {
    let store = &house.engine.store;
    let blob = |text: &str| {
        format!(r#"{{"mediaType":"x","digest":"{}","size":{}}}"#, store.put(text.as_bytes()).unwrap(), text.len())
    };
    let (config, layer) = (blob("{}"), blob(text));
    let subject = format!(r#"{{"mediaType":"{OCI_MANIFEST}","digest":"{subject}","size":1}}"#);
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","artifactType":"application/x-signature","config":{config},"layers":[{layer}],"subject":{subject},"annotations":{{"of":"{text}"}}}}"#
    );
    ManifestDigest(store.put(manifest.as_bytes()).unwrap())
}

#[tokio::test]
async fn documents_go_once_and_are_entered_in_one_list_for_all_of_them() {
    for knows in [false, true] {
        let mut house = House::with_base().await;
        let mut shelf = Shelf::default();
        shelf.knows_subjects = knows;
        let shelf = Arc::new(shelf);
        house.engine.registry = shelf.clone();
        house.prepare(&wish(&[("main.c", "main")])).await.unwrap();
        let image = house.engine.artifact("app").await.unwrap().image;
        let parts = image.layers.len() as u64 + 1;
        let [one, two, three] = ["one", "two", "three"].map(|text| signature(&house, text, &image.manifest));
        let list = format!("example.org/team/app:sha256-{}", image.manifest.hex());
        // What goes, all but blobs: their number is known.
        let push = async |referrers: &[&ManifestDigest]| {
            let referrers = referrers.iter().map(|referrer| (*referrer).clone()).collect();
            let pushed = house.engine.push(&PushWish { referrers, ..push("app", AT) }).await.unwrap();
            let deeds = shelf.deeds().into_iter().filter(|deed| !deed.starts_with("send ")).collect::<Vec<_>>();
            (pushed.blobs.sent, pushed.blobs.skipped, deeds)
        };
        let publish = |digest: &ManifestDigest| format!("publish example.org/team/app@{digest}");
        let with_list = |mut deeds: Vec<String>, times: usize, written: bool| {
            if !knows {
                deeds.extend(std::iter::repeat_n(format!("get {list}"), times));
                deeds.extend(written.then(|| format!("publish {list}")));
            }
            deeds.sort();
            deeds
        };
        let all = with_list(vec![format!("publish {AT}"), publish(&one), publish(&two)], 1, true);
        assert_eq!(push(&[&one, &two]).await, (parts + 3, 0, all));
        assert_eq!(push(&[&one, &two]).await, (0, parts + 3, with_list(Vec::new(), 1, false)));
        let more = with_list(vec![publish(&three)], 2, true);
        assert_eq!(push(&[&one, &two, &three]).await, (1, parts + 3, more));
        assert_eq!(push(&[&three]).await, (0, parts + 2, with_list(Vec::new(), 1, false)));
        assert_eq!(push(&[]).await, (0, parts, Vec::new()));
        let listed = shelf.text(&list).unwrap_or_default();
        for digest in [&one, &two, &three] {
            assert_eq!(listed.matches(digest.as_str()).count(), usize::from(!knows), "{listed}");
        }
    }
}

#[tokio::test]
async fn under_another_name_everything_is_asked_for_and_what_is_missing_sent() {
    let house = House::with_base().await;
    house.prepare(&wish(&[("main.c", "main")])).await.unwrap();
    let image = house.engine.artifact("app").await.unwrap().image;
    house.engine.push(&push("app", AT)).await.unwrap();
    let lost = &image.layers[0].blob;
    house.shelf.lose(lost);
    // A manifest that is there is believed to be whole.
    assert_eq!(house.engine.push(&push("app", AT)).await.unwrap().blobs.sent, 0);
    house.shelf.deeds();
    let other = "example.org/team/app:2";
    assert_eq!(house.engine.push(&push("app", other)).await.unwrap().blobs.sent, 1);
    assert_eq!(house.shelf.deeds(), [format!("publish {other}"), format!("send {lost}")]);
}

#[tokio::test]
async fn a_referrer_is_found_in_registries_that_do_not_know_of_subjects() {
    let house = House::with_base().await;
    house.prepare(&wish(&[("main.c", "main")])).await.unwrap();
    let subject = house.engine.artifact("app").await.unwrap().image.manifest;
    let signature = |text: &str, subject: &Digest| signature(&house, text, subject);
    let (one, two) = (signature("one", &subject), signature("two", &subject));
    for referrers in [vec![one.clone()], vec![one.clone(), two.clone()]] {
        house.engine.push(&PushWish { referrers, ..push("app", AT) }).await.unwrap();
    }
    let list = house.shelf.text(&format!("example.org/team/app:sha256-{}", subject.hex())).unwrap();
    for (part, count) in
        [(one.as_str(), 1), (two.as_str(), 1), ("application/x-signature", 2), (r#""annotations":{"of":"two"}"#, 1)]
    {
        assert_eq!(list.matches(part).count(), count, "{part} in {list}");
    }
    house.shelf.deeds();
    let alien = signature("alien", &Digest::of(b"other"));
    let refused = house.engine.push(&PushWish { referrers: vec![alien], ..push("app", AT) }).await.unwrap_err();
    assert_eq!((refused.fault, house.shelf.deeds()), (Fault::Caller, Vec::new()));
}
