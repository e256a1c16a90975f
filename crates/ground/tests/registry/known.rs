//! What is read of configuration and credentials, and how often.

use std::sync::atomic::{AtomicBool, Ordering};

use till_core::port::Registry;

use crate::odd::{Odd, Request, reply};
use crate::{failed, reference, registries};

#[tokio::test]
async fn configuration_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registries.conf");
    std::fs::write(&path, "unqualified-search-registries = [\"one.example\"]").unwrap();
    let registries = registries(folder.path(), None);
    let (name, known) = ("a:1".parse().unwrap(), reference("one.example/a:1"));
    assert_eq!(registries.qualify(&name).unwrap(), known);
    std::fs::write(&path, "this is no configuration").unwrap();
    assert_eq!(registries.qualify(&name).unwrap(), known);
    // What cannot be read is not kept: it may be mended.
    let registries = crate::registries(folder.path(), None);
    failed(registries.qualify(&name), "registries.conf");
    std::fs::write(&path, "unqualified-search-registries = [\"two.example\"]").unwrap();
    assert_eq!(registries.qualify(&name).unwrap(), reference("two.example/a:1"));
}

/// A registry that wants `me:secret` without a token, or `me:other` once that is so.
async fn guarded(changed: &'static AtomicBool) -> Odd {
    Odd::new(|request: &Request, _| {
        let wanted = if changed.load(Ordering::Relaxed) { "Basic bWU6b3RoZXI=" } else { "Basic bWU6c2VjcmV0" };
        if request.header("authorization") == wanted {
            return None;
        }
        Some(reply(401).with("WWW-Authenticate", "Basic realm=\"ours\""))
    })
    .await
}

#[tokio::test]
async fn a_password_is_looked_for_once_and_again_when_it_is_refused() {
    static CHANGED: AtomicBool = AtomicBool::new(false);
    let folder = tempfile::tempdir().unwrap();
    let server = guarded(&CHANGED).await;
    let auth = |password: &str| format!(r#"{{"auths":{{"{}":{{"auth":"{password}"}}}}}}"#, server.address);
    let registries = registries(folder.path(), Some(&auth("bWU6c2VjcmV0")));
    let at = server.at("a/b:1");
    assert_eq!(registries.document(&at).await.unwrap(), None);
    std::fs::write(folder.path().join("auth.json"), auth("bWU6b3RoZXI=")).unwrap();
    assert_eq!(registries.document(&at).await.unwrap(), None);
    assert_eq!(server.lines().len(), 2);
    CHANGED.store(true, Ordering::Relaxed);
    assert_eq!(registries.document(&at).await.unwrap(), None);
    assert_eq!(server.lines().len(), 4);
}
