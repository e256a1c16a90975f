//! What goes to servers that break and forget.

use std::sync::{Arc, Mutex};

use till_core::Failure;
use till_core::port::{Registry, Sent};

use crate::odd::{Odd, Reply, Request, reply};
use crate::{failed, noise, registries};

const SIZE: usize = 200_000;
const UPLOAD: &str = "/v2/a/b/blobs/uploads/";

/// Sends the blob; how that ended, and the server.
async fn send(
    script: impl Fn(&Request, usize) -> Option<Reply> + Send + Sync + 'static,
    sibling: Option<&str>,
) -> (Result<Sent, Failure>, Odd) {
    send_of(SIZE, script, sibling).await
}

async fn send_of(
    size: usize,
    script: impl Fn(&Request, usize) -> Option<Reply> + Send + Sync + 'static,
    sibling: Option<&str>,
) -> (Result<Sent, Failure>, Odd) {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, digest) = noise(size);
    let path = folder.path().join("blob");
    std::fs::write(&path, bytes).unwrap();
    let server = Odd::new(script).await;
    let sent = registries(folder.path(), None).send(&server.at("a/b:1"), &digest, &path, sibling).await;
    (sent, server)
}

fn begun() -> Reply {
    reply(202).with("Location", "/u?s=1")
}

/// What the requests of a method brought.
fn bodies(server: &Odd, method: &str) -> Vec<Vec<u8>> {
    server.seen().into_iter().filter(|request| request.method == method).map(|request| request.body).collect()
}

/// As lines tell it: the query with the digest is long.
fn story(server: &Odd) -> Vec<String> {
    let (_, digest) = noise(SIZE);
    let short = |line: String| line.replace(&digest.as_str().replace(':', "%3A"), "D").replace(digest.as_str(), "D");
    server.lines().into_iter().map(short).collect()
}

#[tokio::test]
async fn a_blob_is_looked_for_sent_and_closed() {
    let script = |request: &Request, _| match request.line().as_str() {
        "POST /v2/a/b/blobs/uploads/" => Some(begun()),
        "PATCH /u?s=1" => Some(reply(202).with("Location", "/u?s=2").with("Range", "0-199999")),
        line if line.starts_with("PUT ") => Some(reply(201)),
        _ => None,
    };
    let (sent, server) = send(script, None).await;
    assert_eq!(sent.unwrap(), Sent::Uploaded);
    let put = "PUT /u?s=2&digest=D";
    assert_eq!(story(&server), ["HEAD /v2/a/b/blobs/D", &format!("POST {UPLOAD}"), "PATCH /u?s=1", put]);
    assert_eq!(bodies(&server, "PATCH"), [noise(SIZE).0]);
    assert_eq!(server.seen()[2].header("content-range"), "0-199999");
}

#[tokio::test]
async fn a_small_blob_goes_with_the_end_of_its_upload() {
    let answers = |request: &Request, before| match (request.method.as_str(), before) {
        ("POST", _) => Some(begun()),
        ("PUT", 0) => Some(reply(503)),
        ("PUT", _) => Some(reply(201)),
        _ => None,
    };
    for size in [0, 2, 100_000] {
        let (sent, server) = send_of(size, answers, None).await;
        assert_eq!(sent.unwrap(), Sent::Uploaded);
        // Each attempt has all of it.
        let (bytes, digest) = noise(size);
        assert_eq!(bodies(&server, "PUT"), [bytes.clone(), bytes]);
        let put = format!("PUT /u?s=1&digest={}", digest.as_str().replace(':', "%3A"));
        let story = [format!("HEAD /v2/a/b/blobs/{digest}"), format!("POST {UPLOAD}"), put];
        assert_eq!(server.lines(), [story.clone(), story].concat());
    }
}

#[tokio::test]
async fn a_blob_of_many_pieces_comes_whole() {
    let size = 5_000_000;
    let answers = |request: &Request, _| match request.method.as_str() {
        "POST" => Some(begun()),
        "PATCH" => Some(reply(202).with("Location", "/u?s=2")),
        "PUT" => Some(reply(201)),
        _ => None,
    };
    let (sent, server) = send_of(size, answers, None).await;
    assert_eq!(sent.unwrap(), Sent::Uploaded);
    assert!(bodies(&server, "PATCH") == [noise(size).0]);
}

#[tokio::test]
async fn an_upload_goes_on_from_where_the_connection_broke() {
    let script = |request: &Request, before| match (request.method.as_str(), before) {
        ("POST", _) => Some(begun()),
        ("PATCH", 0) => Some(reply(202).take(70_000)),
        ("GET", _) if request.path.starts_with("/u") => {
            Some(reply(204).with("Location", "/u?s=9").with("Range", "0-69999"))
        }
        ("PATCH", _) => Some(reply(202).with("Location", "/u?s=10")),
        ("PUT", _) => Some(reply(201)),
        _ => None,
    };
    // The second PATCH is to another address: so both are the first of their kind there.
    let script = move |request: &Request, before| {
        let before = if request.path == "/u?s=9" { before + 1 } else { before };
        script(request, before)
    };
    let (sent, server) = send(script, None).await;
    assert_eq!(sent.unwrap(), Sent::Uploaded);
    let patches = bodies(&server, "PATCH");
    assert_eq!(patches.iter().map(Vec::len).collect::<Vec<_>>(), [70_000, 130_000]);
    assert_eq!(patches.concat(), noise(SIZE).0);
    let last = server.seen().into_iter().rfind(|request| request.method == "PATCH").unwrap();
    assert_eq!(last.header("content-range"), "70000-199999");
}

#[tokio::test]
async fn what_the_registry_forgot_is_sent_again_from_the_beginning() {
    let script = |request: &Request, before| match (request.method.as_str(), before) {
        ("POST", _) => Some(begun()),
        ("PATCH", 0) => Some(reply(202).take(70_000)),
        ("PATCH", _) => Some(reply(202).with("Location", "/u?s=2")),
        ("PUT", _) => Some(reply(201)),
        _ => None,
    };
    let (sent, server) = send(script, None).await;
    assert_eq!(sent.unwrap(), Sent::Uploaded);
    assert_eq!(bodies(&server, "PATCH").last().unwrap(), &noise(SIZE).0);
    assert_eq!(bodies(&server, "POST").len(), 2);
}

#[tokio::test]
async fn a_lost_answer_does_not_send_a_blob_twice() {
    let closed = Arc::new(Mutex::new(false));
    let script = move |request: &Request, _| match request.method.as_str() {
        "HEAD" => Some(reply(if *closed.lock().unwrap() { 200 } else { 404 })),
        "POST" => Some(begun()),
        "PATCH" => Some(reply(202).with("Location", "/u?s=2")),
        "PUT" => {
            *closed.lock().unwrap() = true;
            Some(reply(503))
        }
        _ => None,
    };
    let (sent, server) = send(script, None).await;
    assert_eq!(sent.unwrap(), Sent::Uploaded);
    assert_eq!(bodies(&server, "PATCH").len(), 1);
}

#[tokio::test]
async fn what_is_there_or_at_a_sibling_is_not_sent() {
    let (sent, server) = send(|request, _| (request.method == "HEAD").then(|| reply(200)), None).await;
    assert_eq!((sent.unwrap(), server.lines().len()), (Sent::Skipped, 1));
    let mounts = |request: &Request, _| (request.method == "POST").then(|| reply(201));
    let (sent, server) = send(mounts, Some("other/repo")).await;
    assert_eq!(sent.unwrap(), Sent::Mounted);
    assert_eq!(story(&server)[1], format!("POST {UPLOAD}?mount=D&from=other%2Frepo"));
}

#[tokio::test]
async fn a_registry_that_takes_nothing_is_given_up() {
    let lines = |status: u16| {
        move |request: &Request, _| match request.method.as_str() {
            "POST" => Some(begun()),
            "PATCH" => Some(reply(status)),
            "GET" if request.path != "/v2/" => Some(reply(204).with("Location", "/u?s=1").with("Range", "0-9")),
            _ => None,
        }
    };
    let (sent, server) = send(lines(503), None).await;
    failed(sent, "503");
    assert_eq!(bodies(&server, "PATCH").len(), 4);
    let (sent, server) = send(lines(400), None).await;
    failed(sent, "400");
    assert_eq!(bodies(&server, "PATCH").len(), 1);
    let (sent, _) = send(|request, _| (request.method == "POST").then(|| reply(202)), None).await;
    failed(sent, "no location");
}
