//! docker-registry of Debian, at ports that the kernel chooses.

use std::path::Path;

use till_core::model::manifest::{Document, OCI_MANIFEST};
use till_core::port::{Registry, Sent};
use till_core::{Digest, Fault, ManifestDigest};
use till_ground::process;
use till_ground::registry::Registries;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::{PATIENCE, failed, noise, reference, registries};

/// `me` and `secret`, as htpasswd writes them, at the lowest cost.
const PASSWORDS: &str = "me:$2b$04$BVaaEeMGsfytMAyvXs8uY.O3/M4gMg1ubTRYh/XEsbh8P6qzmkMR6\n";
/// The same for auth files.
const AUTH: &str = "bWU6c2VjcmV0";

/// How it is guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    None,
    Passwords,
    Tls,
}

/// A registry; it ends with its handle.
struct Served {
    host: String,
    folder: tempfile::TempDir,
    _process: Child,
}

async fn served(guard: Guard) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut text = format!(
        "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp:\n  addr: 127.0.0.1:0\n",
        path("data")
    );
    match guard {
        Guard::None => {}
        Guard::Passwords => {
            std::fs::write(path("passwords"), PASSWORDS).unwrap();
            text.push_str(&format!("auth: {{htpasswd: {{realm: ours, path: {}}}}}\n", path("passwords")));
        }
        Guard::Tls => {
            certificate(folder.path()).await;
            text.push_str(&format!("  tls: {{certificate: {}, key: {}}}\n", path("cert.pem"), path("key.pem")));
        }
    }
    std::fs::write(path("config.yml"), text).unwrap();
    let mut command = process::command("docker-registry");
    command
        .args(["serve", &path("config.yml")])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let port: u16 = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some((_, rest)) = line.split_once("listening on 127.0.0.1:") {
            break rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap();
        }
    };
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Served { host: format!("127.0.0.1:{port}"), folder, _process: child }
}

/// A certificate that nobody knows.
async fn certificate(folder: &Path) {
    let mut command = process::command("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    command.args(["-subj", "/CN=ours", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout"]);
    command.arg(folder.join("key.pem")).arg("-out").arg(folder.join("cert.pem"));
    process::output(command).await.unwrap();
}

/// A manifest of one config and these layers.
fn manifest(config: (&Digest, usize), layers: &[(&Digest, usize)]) -> Document {
    let part = |(digest, size): &(&Digest, usize)| {
        format!(r#"{{"mediaType":"application/octet-stream","digest":"{digest}","size":{size}}}"#)
    };
    let layers: Vec<_> = layers.iter().map(part).collect();
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{},"layers":[{}]}}"#,
        part(&config),
        layers.join(",")
    );
    let digest = ManifestDigest(Digest::of(text.as_bytes()));
    Document { digest, media_type: OCI_MANIFEST.to_owned(), bytes: text.into_bytes() }
}

/// Puts an image there and gets it again.
async fn round_trip(registries: &Registries, host: &str, folder: &Path) {
    let at = reference(&format!("{host}/team/app:1"));
    let mut parts = Vec::new();
    for size in [2, 100_000, 20_000_000] {
        let (bytes, digest) = noise(size);
        let path = folder.join(digest.hex());
        std::fs::write(&path, &bytes).unwrap();
        parts.push((digest, size, path));
    }
    let send = |part: &(Digest, usize, std::path::PathBuf)| {
        let (digest, _, path) = part.clone();
        let at = at.clone();
        async move { registries.send(&at, &digest, &path, None).await.unwrap() }
    };
    assert_eq!(registries.document(&at).await.unwrap(), None);
    let sent = tokio::join!(send(&parts[0]), send(&parts[1]), send(&parts[2]));
    assert_eq!(sent, (Sent::Uploaded, Sent::Uploaded, Sent::Uploaded));
    assert_eq!(send(&parts[2]).await, Sent::Skipped);
    let layers = [(&parts[1].0, parts[1].1), (&parts[2].0, parts[2].1)];
    let document = manifest((&parts[0].0, parts[0].1), &layers);
    // It does not know of subjects yet.
    assert_eq!(registries.publish(&at, &document).await.unwrap().subject, None);
    registries.publish(&at.at_digest(&document.digest), &document).await.unwrap();
    for name in [at.clone(), at.at_digest(&document.digest)] {
        assert_eq!(registries.document(&name).await.unwrap().as_ref(), Some(&document));
    }
    for (digest, size, _) in &parts {
        let into = folder.join("got");
        std::fs::write(&into, &noise(size / 3).0).unwrap();
        registries.fetch(&at, digest, *size as u64, &into).await.unwrap();
        assert_eq!(Digest::of(&std::fs::read(&into).unwrap()), *digest);
    }
    let other = reference(&format!("{host}/team/other:1"));
    let (digest, _, path) = &parts[2];
    assert_eq!(registries.send(&other, digest, path, Some("team/app")).await.unwrap(), Sent::Mounted);
    let (_, absent) = noise(7);
    failed(registries.fetch(&at, &absent, 7, &folder.join("absent")).await, "404");
}

#[tokio::test]
async fn what_goes_there_comes_back() {
    let served = served(Guard::None).await;
    round_trip(&registries(served.folder.path(), None), &served.host, served.folder.path()).await;
}

#[tokio::test]
async fn with_passwords_only_who_has_one_is_let_in() {
    let served = served(Guard::Passwords).await;
    let folder = served.folder.path();
    let at = reference(&format!("{}/team/app:1", served.host));
    let wrong = format!(r#"{{"auths":{{"{}":{{"auth":"bWU6d3Jvbmc="}}}}}}"#, served.host);
    for auth in [None, Some(wrong.as_str())] {
        let denied = failed(registries(folder, auth).document(&at).await, "does not let");
        assert_eq!(denied.fault, Fault::Caller);
    }
    // The more special key wins.
    let auth =
        format!(r#"{{"auths":{{"{0}":{{"auth":"bWU6d3Jvbmc="}},"{0}/team":{{"auth":"{AUTH}"}}}}}}"#, served.host);
    round_trip(&registries(folder, Some(&auth)), &served.host, folder).await;
}

#[tokio::test]
async fn an_unknown_certificate_is_believed_only_where_that_is_configured() {
    let served = served(Guard::Tls).await;
    let folder = served.folder.path();
    let at = reference(&format!("{}/team/app:1", served.host));
    failed(registries(folder, None).document(&at).await, "certificate");
    let conf = format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", served.host);
    std::fs::write(folder.join("registries.conf"), conf).unwrap();
    round_trip(&Registries::new(folder, Vec::new(), PATIENCE), &served.host, folder).await;
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_what_it_lacks_comes_from_the_place_itself() {
    let (place, mirror) = (served(Guard::None).await, served(Guard::None).await);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let plain = registries(folder, None);
    let (bytes, digest) = noise(1000);
    std::fs::write(folder.join("blob"), &bytes).unwrap();
    let document = manifest((&digest, 1000), &[]);
    for (host, tag) in [(&place.host, "both"), (&mirror.host, "both"), (&place.host, "one")] {
        let at = reference(&format!("{host}/team/app:{tag}"));
        plain.send(&at, &digest, &folder.join("blob"), None).await.unwrap();
        plain.publish(&at, &document).await.unwrap();
    }
    let conf = format!(
        "[[registry]]\nprefix = \"images.example/ours\"\nlocation = \"{}/team\"\ninsecure = true\n[[registry.mirror]]\nlocation = \"{}/team\"\n",
        place.host, mirror.host
    );
    std::fs::write(folder.join("registries.conf"), conf).unwrap();
    let configured = Registries::new(folder, Vec::new(), PATIENCE);
    let found =
        async |tag: &str| configured.document(&reference(&format!("images.example/ours/app:{tag}"))).await.unwrap();
    assert_eq!(found("one").await.as_ref(), Some(&document));
    drop(place);
    assert_eq!(found("both").await.as_ref(), Some(&document));
}
