//! Images to a registry and from it: docker-registry of Debian, read and filled by skopeo as well.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::local_registry::Registry;
use crate::support::*;

/// An artifact of a small app in the shared data directory.
fn artifact(name: &str) -> Value {
    base("debian");
    built(server("echo hello").path(), &["--base", "debian", "--name", name])
}

#[track_caller]
fn skopeo(arguments: &[&str]) -> Value {
    let output = Command::new("skopeo").arg("--insecure-policy").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

#[track_caller]
fn push(name: &str, to: &str, options: &[&str]) -> Value {
    till(&[&["push", name, to, "--json"], options].concat()).ok().json()
}

/// A `till pull` into a data directory of its own.
#[track_caller]
fn pull(data: &Path, from: &str) -> Value {
    till_in(data, &["pull", from, "--json"]).ok().json()
}

fn own_data() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    (folder, data)
}

#[test]
fn skopeo_reads_what_is_pushed_and_nothing_is_sent_twice() {
    let built = artifact("push-skopeo");
    let registry = Registry::new("");
    let count =
        till(&["artifact", "show", "push-skopeo", "--json"]).ok().json()["layers"].as_array().unwrap().len() + 1;
    let image = count;
    for compression in ["keep", "gzip", "zstd"] {
        // With the image as it is go the documents about it: two inventories, the provenance, and what they have for config.
        let count = if compression == "keep" { image + 4 } else { image };
        let at = registry.at(&format!("team/app-{compression}:1"));
        let pushed = push("push-skopeo", &at, &["--compression", compression]);
        assert_eq!((&pushed["reference"], &pushed["blobs"]["sent"]), (&at.as_str().into(), &count.into()));
        let seen = skopeo(&["inspect", "--tls-verify=false", &format!("docker://{at}")]);
        assert_eq!(seen["Digest"], pushed["digest"]);
        let label: Value = serde_json::from_str(seen["Labels"]["io.tillage.artifact"].as_str().unwrap()).unwrap();
        assert_eq!((&label["app"], &label["plan"]), (&built["app"], &built["plan"]));
        let layout = format!("oci:{}:x", registry.folder.path().join(compression).display());
        skopeo(&["copy", "--quiet", "--src-tls-verify=false", &format!("docker://{at}"), &layout]);
        registry.requests();
        let again = push("push-skopeo", &at, &["--compression", compression]);
        // Whether the image is there, and of what goes with it the list, which this registry leaves to its clients.
        let (name, digest) = (format!("/v2/team/app-{compression}"), pushed["digest"].as_str().unwrap());
        let mut asked = vec![format!("HEAD {name}/manifests/1")];
        if compression == "keep" {
            asked.push(format!("GET {name}/referrers/{digest}"));
            asked.push(format!("GET {name}/manifests/{}", digest.replace(':', "-")));
        }
        assert_eq!(registry.requests(), asked);
        assert_eq!((&again["blobs"]["sent"], &again["blobs"]["skipped"]), (&0.into(), &count.into()));
        assert_eq!((&again["digest"], &again["blobs"]["bytes"]), (&pushed["digest"], &0.into()));
    }
    let kept = push("push-skopeo", &registry.at("team/app-keep:2"), &[]);
    assert_eq!(kept["digest"], built["artifact"]);
    let mounted = push("push-skopeo", &registry.at("team/other"), &["--mount-from", "team/app-keep"]);
    assert_eq!(mounted["blobs"]["mounted"], image);
    push("debian@1", &registry.at("bases/debian"), &[]);
}

#[test]
fn what_till_or_skopeo_pushed_is_pulled() {
    let built = artifact("pull-skopeo");
    let registry = Registry::new("");
    let (_folder, data) = own_data();
    let own = registry.at("team/app:1");
    push("pull-skopeo", &own, &[]);
    let pulled = pull(&data, &own);
    assert_eq!((&pulled["digest"], &pulled["index"]), (&built["artifact"], &Value::Null));
    let again = pull(&data, &own);
    assert_eq!((&again["blobs"]["received"], &again["blobs"]["skipped"]), (&0.into(), &(received(&pulled)).into()));
    push("pull-skopeo", &registry.at("team/gzip:1"), &["--compression", "gzip"]);
    for format in ["oci", "v2s2"] {
        let (from, to) = (registry.at("team/gzip:1"), registry.at(&format!("copied/{format}:1")));
        let ends = [format!("docker://{from}"), format!("docker://{to}")];
        let insecure = ["--src-tls-verify=false", "--dest-tls-verify=false", "--format", format];
        skopeo(&[&["copy", "--quiet"], insecure.as_slice(), &[ends[0].as_str(), ends[1].as_str()]].concat());
        let seen = skopeo(&["inspect", "--tls-verify=false", &ends[1]]);
        assert_eq!(pull(&data, &to)["digest"], seen["Digest"]);
    }
    let blobs = data.join("images/blobs/sha256");
    assert!(std::fs::read_dir(&blobs).unwrap().count() > 3);
    // They are bases, so `gc` leaves them; what nothing names it takes.
    let bases = till_in(&data, &["base", "list", "--json"]).ok().json();
    for base in bases["items"].as_array().unwrap() {
        assert_eq!(base["external"], true, "{base}");
        let name = format!("{}@{}", base["name"].as_str().unwrap(), base["version"]);
        till_in(&data, &["gc"]).ok();
        till_in(&data, &["base", "show", &name]).ok();
        till_in(&data, &["base", "remove", &name]).ok();
    }
    till_in(&data, &["gc"]).ok();
    assert_eq!(std::fs::read_dir(&blobs).unwrap().count(), 0);
}

fn received(answer: &Value) -> u64 {
    answer["blobs"]["received"].as_u64().unwrap()
}

#[test]
fn passwords_come_from_auth_files_and_helpers() {
    artifact("push-auth");
    let registry = Registry::new("auth: {htpasswd: {realm: ours, path: HERE/passwords}}\n");
    let at = registry.at("team/app:1");
    let (folder, nothing) = (registry.folder.path(), registry.folder.path().join("nothing"));
    let with = |auth: &Path, arguments: &[&str]| {
        let mut command = command(&shared_data(), arguments);
        command.env("REGISTRY_AUTH_FILE", auth);
        let path = std::env::var("PATH").unwrap();
        Called::of(command.env("PATH", format!("{}:{path}", folder.display())).output().unwrap())
    };
    with(&nothing, &["push", "push-auth", &at]).failed(6, &["does not let anybody", "auth.json"]);
    let auth = folder.join("auth.json");
    // As `skopeo login` writes it.
    let login = ["login", "--tls-verify=false", "--authfile", auth.to_str().unwrap(), "-u", "me", "-p", "secret"];
    skopeo(&[login.as_slice(), &[registry.host.as_str()]].concat());
    with(&auth, &["push", "push-auth", &at]).ok();
    with(&nothing, &["pull", &at]).failed(6, &["does not let anybody"]);
    with(&auth, &["pull", &at]).ok();
    let helper = folder.join("docker-credential-ours");
    let script = format!(
        "#!/bin/sh\nread host\n[ \"$1 $host\" = 'get {}' ] && echo '{{\"Username\":\"me\",\"Secret\":\"secret\"}}' && exit\n\
         echo credentials not found in native keychain; exit 1\n",
        registry.host
    );
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    for text in
        [format!("{{\"credHelpers\":{{\"{}\":\"ours\"}}}}", registry.host), "{\"credsStore\":\"ours\"}".to_owned()]
    {
        write(folder, &[("helped.json", &text)]);
        with(&folder.join("helped.json"), &["pull", &at]).ok();
    }
    write(folder, &[("helped.json", "{\"credHelpers\":{\"127.0.0.1:1\":\"ours\"}}")]);
    with(&folder.join("helped.json"), &["pull", &at]).failed(6, &["does not let anybody"]);
}

#[test]
fn a_certificate_is_believed_when_the_system_is_told_so() {
    artifact("push-tls");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=ours", "-addext", "subjectAltName=IP:127.0.0.1"]);
    openssl.args(["-addext", "basicConstraints=critical,CA:false", "-keyout", &at("key.pem"), "-out", &at("cert.pem")]);
    assert!(openssl.output().unwrap().status.success());
    let registry = Registry::new(&format!("  tls: {{certificate: {}, key: {}}}\n", at("cert.pem"), at("key.pem")));
    let arguments = ["push", "push-tls", &registry.at("team/app:1")];
    till(&arguments).failed(5, &["certificate"]);
    let trusting = command(&shared_data(), &arguments).env("SSL_CERT_FILE", at("cert.pem")).output().unwrap();
    Called::of(trusting).ok();
}

#[test]
fn what_is_no_place_or_is_not_there_is_said() {
    artifact("push-nowhere");
    let registry = Registry::new("");
    let (folder, data) = own_data();
    till(&["push", "push-nowhere", "no-registry/app"]).failed(6, &["names no registry"]);
    till(&["push", "push-nowhere", "Example.org/UPPER"]).failed(2, &["is not a reference"]);
    till(&["push", "no-such-artifact", &registry.at("a:1")]).failed(6, &["there is no artifact"]);
    till_in(&data, &["pull", &registry.at("a:1")]).failed(6, &["there is no image"]);
    let host = registry.host.clone();
    drop((registry, folder));
    till(&["push", "push-nowhere", &format!("{host}/a:1")]).failed(5, &[&host]);
}
