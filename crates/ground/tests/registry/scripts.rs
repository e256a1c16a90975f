//! What comes from servers that break, lie and never end.

use till_core::model::manifest::OCI_MANIFEST;
use till_core::port::Registry;
use till_core::{Digest, Fault};

use crate::odd::{Odd, Reply, Request, reply};
use crate::{failed, noise, registries};

const SIZE: usize = 300_000;

/// A server of one blob; `odd` may answer instead.
async fn server(odd: impl Fn(&Request, usize, &[u8]) -> Option<Reply> + Send + Sync + 'static) -> (Odd, Digest) {
    let (bytes, digest) = noise(SIZE);
    let server = Odd::new(move |request, before| {
        if request.path == "/v2/" {
            return None;
        }
        odd(request, before, &bytes).or_else(|| Some(ranged(request, &bytes)))
    });
    (server.await, digest)
}

/// The bytes, from where the request wants them.
fn ranged(request: &Request, bytes: &[u8]) -> Reply {
    let from = request.header("range").strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
    match from.and_then(|from| from.parse::<usize>().ok()) {
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            reply(206).with("Content-Range", &range).body(&bytes[from..])
        }
        None => reply(200).body(bytes),
    }
}

/// Gets the blob, of which a file holds that much already. What the file holds then, and the ranges that were asked for.
async fn get(server: &Odd, digest: &Digest, begun: &[u8]) -> (Result<(), till_core::Failure>, Vec<u8>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("blob");
    std::fs::write(&into, begun).unwrap();
    let registries = registries(folder.path(), None);
    let outcome = registries.fetch(&server.at("a/b:1"), digest, SIZE as u64, &into).await;
    let ranges = server.seen().iter().map(|request| request.header("range").to_owned()).collect();
    (outcome, std::fs::read(&into).unwrap(), ranges)
}

#[tokio::test]
async fn a_blob_goes_on_from_where_the_connection_broke() {
    let cut = |request: &Request, before: usize, bytes: &[u8]| match before {
        0 => Some(ranged(request, bytes).cut(100_000)),
        1 => Some(ranged(request, bytes).cut(50_000)),
        _ => None,
    };
    let (server, digest) = server(cut).await;
    let (outcome, bytes, ranges) = get(&server, &digest, b"").await;
    outcome.unwrap();
    assert_eq!(Digest::of(&bytes), digest);
    assert_eq!(ranges, ["", "bytes=100000-", "bytes=150000-"]);
}

#[tokio::test]
async fn a_blob_that_was_begun_by_another_process_is_finished() {
    let (whole, _) = noise(SIZE);
    let longer = [whole.as_slice(), b"more"].concat();
    for (begun, expected) in [(&whole[..1000], vec!["bytes=1000-"]), (&whole[..], Vec::new()), (&longer[..], vec![""])]
    {
        let (server, digest) = server(|_, _, _| None).await;
        let (outcome, bytes, ranges) = get(&server, &digest, begun).await;
        outcome.unwrap();
        assert_eq!((Digest::of(&bytes), ranges), (digest, expected.into_iter().map(str::to_owned).collect()));
    }
}

#[tokio::test]
async fn servers_that_know_no_ranges_or_others_are_asked_for_all() {
    let (whole, _) = noise(SIZE);
    let all = |_: &Request, _: usize, bytes: &[u8]| Some(reply(200).body(bytes));
    let (server, digest) = server(all).await;
    let (outcome, bytes, _) = get(&server, &digest, &whole[..1000]).await;
    outcome.unwrap();
    assert_eq!(Digest::of(&bytes), digest);
    let other = |_: &Request, before: usize, bytes: &[u8]| match before {
        0 => Some(reply(206).with("Content-Range", "bytes 0-9/300000").body(&bytes[..10])),
        1 => Some(reply(200).body(bytes)),
        _ => None,
    };
    let (server, digest) = self::server(other).await;
    let (outcome, bytes, _) = get(&server, &digest, &whole[..1000]).await;
    outcome.unwrap();
    assert_eq!(Digest::of(&bytes), digest);
    let refused = |request: &Request, _: usize, _: &[u8]| (!request.header("range").is_empty()).then(|| reply(416));
    let (server, digest) = self::server(refused).await;
    let (outcome, bytes, ranges) = get(&server, &digest, &whole[..1000]).await;
    outcome.unwrap();
    assert_eq!((Digest::of(&bytes), ranges), (digest, vec!["bytes=1000-".to_owned(), String::new()]));
}

#[tokio::test]
async fn other_bytes_are_refused_and_not_kept() {
    let (_, expected) = noise(SIZE);
    let wrong = |_: &Request, _: usize, bytes: &[u8]| Some(reply(200).body(&vec![0; bytes.len()]));
    let (lying, _) = server(wrong).await;
    let (outcome, bytes, _) = get(&lying, &expected, b"").await;
    failed(outcome, "sent other bytes");
    assert!(bytes.is_empty());
    let (endless, _) = server(|_, _, _| Some(reply(200).endless())).await;
    let (outcome, bytes, _) = get(&endless, &expected, b"").await;
    failed(outcome, "as many bytes");
    assert!(bytes.is_empty());
    let (short, _) = server(|_, _, bytes| Some(reply(200).body(&bytes[..10]))).await;
    let (outcome, _, _) = get(&short, &expected, b"").await;
    failed(outcome, "as many bytes");
}

#[tokio::test]
async fn a_server_that_breaks_every_time_is_given_up() {
    let (server, digest) = server(|request, _, bytes| Some(ranged(request, bytes).cut(10))).await;
    let (outcome, bytes, ranges) = get(&server, &digest, b"").await;
    assert_eq!(failed(outcome, "cannot get the blob").fault, Fault::House);
    // What came stays for the next attempt.
    assert_eq!((bytes.len(), ranges.len()), (40, 4));
}

const TEXT: &str = r#"{"schemaVersion":2}"#;

fn manifest() -> Reply {
    reply(200).with("Content-Type", OCI_MANIFEST).body(TEXT.as_bytes())
}

/// The manifest `a:1` of a server, and how often was asked for it.
async fn ask(
    name: &str,
    script: impl Fn(usize) -> Reply + Send + Sync + 'static,
) -> (Result<Option<String>, till_core::Failure>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let server = Odd::new(move |request, before| (request.path != "/v2/").then(|| script(before))).await;
    let found = registries(folder.path(), None).document(&server.at(name)).await;
    (found.map(|found| found.map(|found| String::from_utf8(found.bytes).unwrap())), server.seen().len())
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    for (first, asked) in [(429, 2), (503, 2), (500, 2), (502, 2), (504, 2)] {
        let script = move |before| if before == 0 { reply(first).with("Retry-After", "0") } else { manifest() };
        let (found, count) = ask("a:1", script).await;
        assert_eq!((found.unwrap().as_deref(), count), (Some(TEXT), asked), "{first}");
    }
    let (found, count) = ask("a:1", |_| reply(503)).await;
    failed(found, "503");
    assert_eq!(count, 4);
    let (found, count) = ask("a:1", |before| if before == 0 { manifest().cut(3) } else { manifest() }).await;
    assert_eq!((found.unwrap().as_deref(), count), (Some(TEXT), 2));
}

#[tokio::test]
async fn a_manifest_is_what_it_is_called_and_bounded() {
    let (found, count) = ask("a:1", |_| reply(404)).await;
    assert_eq!((found.unwrap(), count), (None, 1));
    let (found, count) = ask("a:1", |_| manifest().endless()).await;
    failed(found, "longer than allowed");
    assert_eq!(count, 1);
    let other = Digest::of(b"other");
    let pinned = format!("a@{other}");
    failed(ask(&pinned, |_| manifest()).await.0, "sent other bytes");
    failed(ask("a:1", move |_| manifest().with("Docker-Content-Digest", other.as_str())).await.0, "sent other bytes");
    let pinned = format!("a@{}", Digest::of(TEXT.as_bytes()));
    assert_eq!(ask(&pinned, |_| manifest()).await.0.unwrap().as_deref(), Some(TEXT));
    let said = r#"{"errors":[{"code":"DENIED","message":"go away"}]}"#;
    let denied = failed(ask("a:1", |_| reply(403).body(said.as_bytes())).await.0, "anybody do that: go away (DENIED)");
    assert_eq!(denied.fault, Fault::Caller);
    failed(ask("a:1", |_| reply(403).endless()).await.0, "does not let anybody");
    failed(ask("a:1", |_| reply(302).with("Location", "/elsewhere/again")).await.0, "cannot get the manifest");
}

/// `me:secret`.
const AUTH: &str = "bWU6c2VjcmV0";

/// A server with a token server, and a blob that is at another host.
async fn guarded(elsewhere: String) -> Odd {
    Odd::new(move |request, before| {
        let host = request.header("host").to_owned();
        if request.path.starts_with("/token") {
            let right = request.header("authorization") == format!("Basic {AUTH}");
            let text = format!(r#"{{"token":"t{before}","expires_in":300}}"#);
            return Some(if right { reply(200).body(text.as_bytes()) } else { reply(401) });
        }
        // The first token is not good for long.
        let good = match request.header("authorization") {
            "Bearer t0" => request.path.contains("/manifests/"),
            other => other == "Bearer t1",
        };
        if !good {
            let challenge = format!(r#"Bearer realm="http://{host}/token",service="the service",scope="x""#);
            return Some(reply(401).with("WWW-Authenticate", &challenge));
        }
        let blob = request.path.contains("/blobs/");
        Some(if blob { reply(307).with("Location", &format!("http://{elsewhere}/x")) } else { manifest() })
    })
    .await
}

#[tokio::test]
async fn a_token_is_got_once_renewed_when_refused_and_not_given_to_other_hosts() {
    let (bytes, digest) = noise(10);
    let elsewhere = Odd::new(move |_, _| Some(reply(200).body(&bytes))).await;
    let server = guarded(elsewhere.address.to_string()).await;
    let folder = tempfile::tempdir().unwrap();
    let auth = format!(r#"{{"auths":{{"{}":{{"auth":"{AUTH}"}}}}}}"#, server.address);
    let registries = registries(folder.path(), Some(&auth));
    for _ in 0..2 {
        assert!(registries.document(&server.at("a/b:1")).await.unwrap().is_some());
    }
    for name in ["one", "two"] {
        registries.fetch(&server.at("a/b:1"), &digest, 10, &folder.path().join(name)).await.unwrap();
    }
    let token = "GET /token?service=the+service&scope=repository%3Aa%2Fb%3Apull";
    let (document, blob) = ("GET /v2/a/b/manifests/1", format!("GET /v2/a/b/blobs/{digest}"));
    assert_eq!(server.lines(), [token, document, document, &blob, token, &blob, &blob]);
    let seen = elsewhere.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|request| request.header("authorization").is_empty()));
}

#[tokio::test]
async fn a_host_to_which_a_blob_is_redirected_cannot_ask_for_the_password() {
    let thief = Odd::new(|request, _| {
        let challenge = format!(r#"Bearer realm="http://{}/token""#, request.header("host"));
        Some(reply(401).with("WWW-Authenticate", &challenge))
    })
    .await;
    let server = guarded(thief.address.to_string()).await;
    let folder = tempfile::tempdir().unwrap();
    let auth = format!(r#"{{"auths":{{"{}":{{"auth":"{AUTH}"}}}}}}"#, server.address);
    let registries = registries(folder.path(), Some(&auth));
    let (_, digest) = noise(10);
    failed(registries.fetch(&server.at("a/b:1"), &digest, 10, &folder.path().join("blob")).await, "does not let");
    let seen = thief.seen();
    assert_eq!(seen.iter().map(Request::line).collect::<Vec<_>>(), ["GET /x"]);
    assert!(seen[0].header("authorization").is_empty());
}

#[tokio::test]
async fn a_token_that_is_posted_goes_to_no_other_host() {
    let thief = Odd::new(|_, _| Some(reply(200).body(br#"{"token":"t"}"#))).await;
    for (to, seen) in [("/elsewhere".to_owned(), 2), (format!("http://{}/x", thief.address), 1)] {
        let server = Odd::new(move |request, _| match request.path.as_str() {
            "/token" => Some(reply(307).with("Location", &to)),
            "/elsewhere" => Some(reply(200).body(br#"{"token":"t"}"#)),
            _ if request.header("authorization") == "Bearer t" => (request.path != "/v2/").then(manifest),
            _ => {
                let challenge = format!(r#"Bearer realm="http://{}/token""#, request.header("host"));
                Some(reply(401).with("WWW-Authenticate", &challenge))
            }
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let auth = format!(r#"{{"auths":{{"{}":{{"identitytoken":"secret"}}}}}}"#, server.address);
        let found = registries(folder.path(), Some(&auth)).document(&server.at("a:1")).await;
        let posted = server.seen().into_iter().filter(|request| request.method == "POST").collect::<Vec<_>>();
        assert!(posted.iter().all(|request| String::from_utf8_lossy(&request.body).contains("refresh_token=secret")));
        assert_eq!((found.is_ok(), posted.len()), (seen == 2, seen));
    }
    assert!(thief.seen().is_empty());
}

#[tokio::test]
async fn without_the_right_password_nothing_comes() {
    let server = guarded(String::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let wrong = format!(r#"{{"auths":{{"{}":{{"auth":"bWU6d3Jvbmc="}}}}}}"#, server.address);
    for (auth, who) in [(None, "anybody"), (Some(wrong.as_str()), "the user `me`")] {
        let denied = failed(registries(folder.path(), auth).document(&server.at("a:1")).await, who);
        assert_eq!(denied.fault, Fault::Caller);
        assert!(denied.hint.is_some() && !denied.to_string().contains("wrong"));
    }
}
