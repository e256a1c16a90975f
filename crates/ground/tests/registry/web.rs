//! Files of the web.

use till_core::port::{Fetched, Fetcher};
use till_core::{Digest, Failure, Fault};
use till_ground::fetch::Web;

use crate::odd::{Odd, Reply, Request, reply};
use crate::{PATIENCE, failed};

const LIMIT: u64 = 1 << 20;

/// Fetches a path; what came, the file, and how often was asked.
async fn fetch(
    path: &str,
    script: impl Fn(&Request, usize) -> Option<Reply> + Send + Sync + 'static,
) -> (Result<Fetched, Failure>, Option<Vec<u8>>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let server = Odd::new(script).await;
    let into = folder.path().join("file");
    let url = format!("http://{}{path}", server.address);
    let fetched = Web { patience: PATIENCE }.fetch(&url, LIMIT, &into).await;
    (fetched, std::fs::read(&into).ok(), server.seen().len())
}

#[tokio::test]
async fn a_file_comes_with_its_name_time_and_digest() {
    let script =
        |_: &Request, _| Some(reply(200).with("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT").body(b"hello"));
    for (path, name) in [("/a/b%20c.tar?x=1", Some("b c.tar")), ("/", None), ("/a/%2e%2e%2fx", None)] {
        let (fetched, bytes, _) = fetch(path, script).await;
        let expected = Fetched {
            name: name.map(str::to_owned),
            last_modified: Some(784_111_777),
            digest: Digest::of(b"hello"),
            size: 5,
        };
        assert_eq!((fetched.unwrap(), bytes.as_deref()), (expected, Some(b"hello".as_slice())));
    }
    let named = |_: &Request, _| Some(reply(200).with("Content-Disposition", "attachment; filename=\"n.txt\""));
    assert_eq!(fetch("/a", named).await.0.unwrap().name.as_deref(), Some("n.txt"));
    let hostile = |_: &Request, _| Some(reply(200).with("Content-Disposition", "attachment; filename=\"../n\""));
    assert_eq!(fetch("/a", hostile).await.0.unwrap().name.as_deref(), Some("a"));
}

#[tokio::test]
async fn redirects_are_followed_ten_times() {
    let hop = |count: usize| {
        move |request: &Request, _| {
            let at: usize = request.path.trim_start_matches('/').parse().unwrap();
            let next = format!("/{}", at + 1);
            Some(if at == count { reply(200).body(b"end") } else { reply(302).with("Location", &next) })
        }
    };
    let (fetched, bytes, _) = fetch("/0", hop(10)).await;
    // It is called as it was asked for.
    assert_eq!((fetched.unwrap().name.as_deref(), bytes.as_deref()), (Some("0"), Some(b"end".as_slice())));
    failed(fetch("/0", hop(11)).await.0, "redirects");
}

#[tokio::test]
async fn what_cannot_be_had_leaves_nothing() {
    let (fetched, bytes, asked) = fetch("/a", |_, _| None).await;
    assert_eq!((failed(fetched, "404").fault, bytes, asked), (Fault::Source, None, 1));
    let (fetched, bytes, asked) = fetch("/a", |_, _| Some(reply(200).endless())).await;
    assert_eq!((failed(fetched, "larger").fault, bytes, asked), (Fault::Source, None, 1));
    let (fetched, bytes, _) = fetch("/a", |_, _| Some(reply(200).body(&vec![0; (LIMIT + 1) as usize]))).await;
    assert_eq!((failed(fetched, "larger").fault, bytes), (Fault::Source, None));
    let (fetched, bytes, asked) = fetch("/a?token=secret", |_, _| Some(reply(200).body(b"hello").cut(2))).await;
    let broken = failed(fetched, "cannot get");
    assert_eq!((broken.fault, bytes, asked), (Fault::House, None, 4));
    assert!(!broken.to_string().contains("secret"), "{broken}");
    let once = |_: &Request, before| Some(if before == 0 { reply(503) } else { reply(200).body(b"x") });
    assert_eq!(fetch("/a", once).await.0.unwrap().size, 1);
    let folder = tempfile::tempdir().unwrap();
    for url in ["file:///etc/passwd", "ftp://example.org/a", "nonsense"] {
        failed(Web { patience: PATIENCE }.fetch(url, LIMIT, &folder.path().join("x")).await, "not an address");
    }
}
