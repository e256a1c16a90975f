//! What is asked before anything goes.

use till_core::model::manifest::{OCI_INDEX, OCI_MANIFEST};
use till_core::port::Registry;
use till_core::{Digest, ManifestDigest};

use crate::odd::{Odd, Reply, reply};
use crate::{reference, registries};

/// A registry that answers everything but `/v2/` with that.
async fn saying(reply: Reply) -> Odd {
    Odd::new(move |request, _| (request.path != "/v2/").then(|| reply.clone())).await
}

#[tokio::test]
async fn the_digest_of_a_manifest_is_asked_for_without_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let digest = Digest::of(b"manifest");
    let said = |status| reply(status).with("Docker-Content-Digest", digest.as_str());
    for (answer, known) in [
        (said(200), true),
        (reply(200), false),
        (reply(200).with("Docker-Content-Digest", "sha256:nonsense"), false),
        // What it says about failures, or does not say at all, is left to who asks next: nothing is asked twice for this.
        (said(404), false),
        (said(403), false),
        (said(503), false),
        (said(200).take(0), false),
    ] {
        let server = saying(answer).await;
        let found = registries(folder.path(), None).digest_there(&server.at("a/b:1")).await.unwrap();
        assert_eq!(found, known.then(|| ManifestDigest(digest.clone())));
        assert_eq!(server.lines(), ["HEAD /v2/a/b/manifests/1"]);
        assert!(server.seen()[0].header("accept").contains(OCI_MANIFEST));
    }
}

#[tokio::test]
async fn what_belongs_to_a_manifest_is_asked_of_the_registry_that_is_pushed_to() {
    let folder = tempfile::tempdir().unwrap();
    let (subject, other) = (ManifestDigest(Digest::of(b"subject")), Digest::of(b"other"));
    let list = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{other}","size":1,"artifactType":"x"}}]}}"#
    );
    for (answer, listed) in [
        (reply(200).with("Content-Type", OCI_INDEX).body(list.as_bytes()), Some(1)),
        (reply(200).body(br#"{"manifests":[]}"#), Some(0)),
        (reply(200).body(b"<html>"), None),
        (reply(200).endless(), None),
        (reply(404), None),
        (reply(405), None),
        (reply(500), None),
    ] {
        let server = saying(answer).await;
        let at = server.at("a/b:1").at_digest(&subject);
        let found = registries(folder.path(), None).referrers_there(&at).await.unwrap();
        assert_eq!(found.map(|entries| entries.len()), listed);
        assert_eq!(server.lines(), [format!("GET /v2/a/b/referrers/{subject}")]);
    }
}

#[tokio::test]
async fn no_mirror_answers_for_the_place_that_is_pushed_to() {
    let folder = tempfile::tempdir().unwrap();
    let (place, mirror) = (saying(reply(404)).await, saying(reply(404)).await);
    let conf = format!(
        "[[registry]]\nprefix = \"images.example\"\nlocation = \"{}\"\ninsecure = true\n[[registry.mirror]]\nlocation = \"{}\"\n",
        place.address, mirror.address
    );
    std::fs::write(folder.path().join("registries.conf"), conf).unwrap();
    let registries = registries(folder.path(), None);
    let at = reference("images.example/a:1");
    assert_eq!(registries.digest_there(&at).await.unwrap(), None);
    assert_eq!(registries.document_there(&at).await.unwrap(), None);
    assert_eq!(mirror.lines().len(), 0);
    assert_eq!(registries.document(&at).await.unwrap(), None);
    assert_eq!((place.lines().len(), mirror.lines().len()), (3, 1));
}
