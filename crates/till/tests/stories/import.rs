//! Images that others made, as bases; and archives that others read.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use till_core::Digest;
use till_image::{IdShift, ImportLimits, ImportSource, Platform, Store};

use crate::support::*;

/// Runs another tool; what it printed.
#[track_caller]
fn tool(argv: &[&str]) -> String {
    let output = Command::new(argv[0]).args(&argv[1..]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{argv:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// `TRANSPORT:FOLDER/NAME`.
fn at(transport: &str, folder: &Path, name: &str) -> String {
    format!("{transport}:{}", folder.join(name).display())
}

fn skopeo_copy(from: &str, to: &str, options: &[&str]) {
    tool(&[&["skopeo", "--insecure-policy", "copy", "--quiet"], options, &[from, to]].concat());
}

#[test]
fn other_tools_read_our_archives() {
    base("debian");
    built(server("echo hello").path(), &["--base", "debian", "--name", "export-archives"]);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (oci, docker) = (at("oci-archive", folder, "oci.tar"), at("docker-archive", folder, "docker.tar"));
    let exported = till(&["artifact", "export", "export-archives", &format!("{oci}:v1"), "--json"]).ok().json();
    assert_eq!((&exported["file"], &exported["reference"]), (&json!(folder.join("oci.tar")), &json!("v1")));
    till(&["artifact", "export", "export-archives", &format!("{docker}:example.org/app:v1")]).ok();
    let seen = parsed(&tool(&["skopeo", "inspect", &format!("{oci}:v1")]));
    assert_eq!(seen["Digest"], exported["exported"]);
    let config = |place: &str| parsed(&tool(&["skopeo", "inspect", "--config", place]));
    assert_eq!(config(&docker), config(&format!("{oci}:v1")));
    // What skopeo copies out of Docker's archive is the same tree.
    skopeo_copy(&format!("{docker}:example.org/app:v1"), &format!("{}:x", at("oci", folder, "copy")), &[]);
    assert_eq!(config(&format!("{}:x", at("oci", folder, "copy"))), config(&docker));
    tool(&[
        "umoci",
        "unpack",
        "--image",
        &format!("{}:x", folder.join("copy").display()),
        folder.join("b").to_str().unwrap(),
    ]);
    assert!(folder.join("b/rootfs/app/server.pl").is_file());
    // The same image gives the same bytes.
    let bytes = std::fs::read(folder.join("docker.tar")).unwrap();
    till(&["artifact", "export", "export-archives", &format!("{docker}:example.org/app:v1")]).ok();
    assert!(bytes == std::fs::read(folder.join("docker.tar")).unwrap());
    till(&["artifact", "export", "export-archives", &at("oci-archive", folder, "b")]).failed(6, &["no file"]);
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["b", "copy", "docker.tar", "oci.tar"]);
}

const CONTRACT: &str = "description = \"of others\"\n[contract]\nkind = \"command\"\nuser = \"app\"\n\
    [[contract.process]]\nname = \"web\"\nrun = ['perl', 'server.pl']\n\
    [[contract.port]]\nname = \"http\"\nnumber = 8080\nprotocol = \"http\"\n";

#[test]
fn images_that_skopeo_writes_become_bases() {
    base("debian");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ours = format!("{}:x", at("oci", folder, "ours"));
    till(&["base", "export", "debian", &ours]).ok();
    let written = [
        (format!("{}:latest", at("oci", folder, "layout")), "import-oci"),
        (format!("{}:latest", at("oci-archive", folder, "oci.tar")), "import-oci-archive"),
        (format!("{}:example.org/debian:1", at("docker-archive", folder, "docker.tar")), "import-docker"),
    ];
    for (place, name) in &written {
        skopeo_copy(&ours, place, &[]);
        let imported = till(&["base", "import", place, "--name", name, "--json"]).ok().json();
        assert_eq!((&imported["name"], &imported["external"]), (&json!(name), &json!(true)));
        if *name != "import-docker" {
            // It is the image that it was.
            assert_eq!(imported["digest"], parsed(&tool(&["skopeo", "inspect", place]))["Digest"]);
        }
        // Again, it is the same version.
        let again = till(&["base", "import", place, "--name", name, "--json"]).ok().json();
        assert_eq!((&again["version"], &again["digest"]), (&imported["version"], &imported["digest"]));
        let shown = till(&["base", "show", name, "--json"]).ok().json();
        assert_eq!((&shown["external"], &shown["origin"]["source"]), (&json!(true), &json!(place)));
        assert_eq!(
            (&shown["spec"]["recipe"]["kind"], &shown["spec"]["contract"]["kind"]),
            (&json!("external"), &json!("none"))
        );
        let text = till(&["base", "show", name]).ok().out;
        assert!(text.contains("external") && text.contains("cannot be made again"), "{text}");
        // Without a contract it prepares nothing.
        let app = server("echo hello");
        till(&["build", app.path().to_str().unwrap(), "--base", name]).failed(6, &["without a contract", "--contract"]);
    }
    let list = till(&["base", "list", "--json"]).ok().json();
    let item = |name: &str| list["items"].as_array().unwrap().iter().find(|item| item["name"] == name).unwrap().clone();
    assert_eq!((&item("import-oci")["external"], &item("debian")["external"]), (&json!(true), &json!(false)));
    // Upon it bases are made, and with a contract apps.
    let rest = "[recipe]\nkind = \"debian\"\nfrom = \"import-docker\"\ncommands = [[\"/bin/sh\", \"-c\", \"echo x > /etc/made\"]]\n\
         [contract]\nkind = \"command\"\n[[contract.process]]\nname = \"web\"\nrun = ['true']\n";
    own_base(&shared_data(), "import-upon", rest);
    write(folder, &[("contract.toml", CONTRACT)]);
    let contract = folder.join("contract.toml");
    let (place, name) = &written[0];
    let before = till(&["base", "show", name, "--json"]).ok().json()["version"].as_u64().unwrap();
    let imported = till(&["base", "import", place, "--name", name, "--contract", contract.to_str().unwrap(), "--json"]);
    assert_eq!(imported.ok().json()["version"], before + 1);
    built(server("echo from others").path(), &["--base", name, "--name", "import-app"]);
    let served = Served::new(&["import-app"]);
    assert!(served.get("/").contains("from others"));
}

/// An OCI layout with one image of one layer, whose documents can be anything.
struct Layout(tempfile::TempDir);

impl Layout {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)]);
        std::fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
        Self(folder)
    }

    fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        std::fs::write(self.0.path().join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    /// Writes an image whose layer is this tar; `change` may change its manifest.
    fn image(&self, tar: &[u8], change: impl FnOnce(&mut Value)) {
        let architecture = Platform::host().architecture;
        let config = json!({ "architecture": architecture, "os": "linux", "rootfs": { "type": "layers", "diff_ids": [Digest::of(tar)] } });
        let config = self.blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let layer = self.blob("application/vnd.oci.image.layer.v1.tar", tar);
        let mut manifest = json!({ "schemaVersion": 2, "config": config, "layers": [layer] });
        change(&mut manifest);
        let manifest = self.blob("application/vnd.oci.image.manifest.v1+json", manifest.to_string().as_bytes());
        write(self.0.path(), &[("index.json", &json!({ "schemaVersion": 2, "manifests": [manifest] }).to_string())]);
    }

    fn place(&self) -> String {
        format!("oci:{}", self.0.path().display())
    }
}

/// A tar of one entry, made by the tar crate without its care.
fn tar_of(kind: tar::EntryType, name: &str, link: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o4755);
    header.set_size(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    [header.as_bytes().as_slice(), &[0; 1024]].concat()
}

/// What is in the store, by name.
fn blobs(data: &Path) -> Vec<PathBuf> {
    let files = |folder: &str| std::fs::read_dir(data.join("images").join(folder)).into_iter().flatten();
    let mut all: Vec<_> = files("blobs/sha256").chain(files("staging")).map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

type Change = fn(&mut Value);

#[test]
fn hostile_images_are_refused_and_leave_nothing() {
    use tar::EntryType as E;
    let data = tempfile::tempdir().unwrap();
    let same: Change = |_| {};
    let cases: Vec<(Vec<u8>, Change, &str)> = vec![
        (tar_of(E::Regular, "../../etc/x", ""), same, "`..`"),
        (tar_of(E::Regular, "/etc/x", ""), same, "absolute"),
        (tar_of(E::Link, "x", "../etc/shadow"), same, "leads outside"),
        (tar_of(E::Block, "sda", ""), same, "device"),
        (tar_of(E::Regular, ".wh...", ""), same, "removes no file"),
        (tar_of(E::Regular, "x", ""), |m| m["layers"][0]["digest"] = json!("sha256:../../x"), "is not a digest"),
        (tar_of(E::Regular, "x", ""), |m| m["layers"][0]["digest"] = json!("sha512:00"), "unknown algorithm"),
        (tar_of(E::Regular, "x", ""), |m| m["config"]["size"] = json!(1), "bytes that are said"),
        (b"no tar".to_vec(), same, "cannot read the archive"),
    ];
    for (tar, change, word) in cases {
        let layout = Layout::new();
        layout.image(&tar, change);
        let called = till_in(data.path(), &["base", "import", &layout.place(), "--name", "evil"]);
        called.failed(4, &[word, "nothing of it was taken"]);
        assert_eq!(blobs(data.path()), Vec::<PathBuf>::new());
    }
    let layout = Layout::new();
    layout.image(&tar_of(E::Regular, "su", ""), |_| {});
    let import = |setuid| till_in(data.path(), &["base", "import", &layout.place(), "--name", "x", "--setuid", setuid]);
    import("refuse").failed(4, &["more rights"]);
    import("keep").ok();
    for (place, words) in [("/x", "oci:DIR"), ("oci:/nowhere", "/nowhere"), ("docker-archive:/dev/zero", "no file")] {
        till_in(data.path(), &["base", "import", place]).failed(6, &[words]);
    }
}

#[test]
fn an_import_that_is_killed_leaves_nothing() {
    let data = tempfile::tempdir().unwrap();
    let layout = Layout::new();
    let mut header = tar::Header::new_gnu();
    header.set_path("large").unwrap();
    header.set_mode(0o644);
    header.set_size(400 << 20);
    header.set_cksum();
    let mut tar = header.as_bytes().to_vec();
    tar.resize(tar.len() + (400 << 20) + 1024, 0);
    layout.image(&tar, |_| {});
    let mut importing = command(data.path(), &["base", "import", &layout.place(), "--name", "x"]).spawn().unwrap();
    let staging = data.path().join("images/staging");
    let began = || std::fs::read_dir(&staging).is_ok_and(|mut entries| entries.next().is_some());
    while !began() {
        std::thread::yield_now();
        assert!(importing.try_wait().unwrap().is_none(), "it was too quick");
    }
    importing.kill().unwrap();
    importing.wait().unwrap();
    assert_eq!(till_in(data.path(), &["base", "list", "--json"]).ok().json()["items"], json!([]));
    assert_eq!(blobs(data.path()), Vec::<PathBuf>::new());
    let began = std::time::Instant::now();
    till_in(data.path(), &["base", "import", &layout.place(), "--name", "x"]).ok();
    assert!(began.elapsed() < Duration::from_secs(120));
}

#[test]
fn a_large_layer_is_imported_in_little_memory() {
    let data = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let config = json!({ "architecture": Platform::host().architecture, "os": "linux" });
    write(folder.path(), &[("config.json", &config.to_string())]);
    // A GiB that does not compress well, as `docker save` gives it.
    let make = "mkdir layer && head -c 1073741824 /dev/urandom > layer/large && tar -cf layer.tar -C layer . && rm -r layer \
        && id=$(sha256sum layer.tar | cut -c1-64) \
        && sed -i 's/}$/,\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:'$id'\"]}}/' config.json \
        && echo '[{\"Config\":\"config.json\",\"RepoTags\":[\"large:1\"],\"Layers\":[\"layer.tar\"]}]' > manifest.json \
        && tar -cf docker.tar manifest.json config.json layer.tar && rm layer.tar";
    tool(&["sh", "-ec", &format!("cd {} && {make}", folder.path().display())]);
    let place = format!("docker-archive:{}", path("docker.tar"));
    let (peak, called) = watched(command(data.path(), &["base", "import", &place, "--json"]));
    assert_eq!(called.ok().json()["name"], "large");
    assert!(peak < 64 << 20, "{peak}");
}

const TREE: &str = r#"
set -e
mkdir -p empty sticky deep/er/still && chmod 1777 sticky && chmod 0700 deep
echo 1 > plain; echo 2 > 'with  spaces'; echo 3 > 'ümläut'; echo 4 > .hidden; : > nothing
chmod 4755 plain; ln plain hard; ln -s /absolute absolute; ln -s nowhere dangling; mkfifo pipe
chown 12345:54321 'with  spaces'; chown -h 1:2 dangling; touch -d 1999-12-31T23:59:59Z old; touch -d 1960-01-01T00:00:00Z older
long=$(printf 'n%.0s' $(seq 120)); mkdir -p $long/$long; echo deep > $long/$long/$long; ln -s $long/$long/$long longlink
head -c 300000 /dev/urandom > random
"#;

#[test]
fn gnu_tar_and_we_unpack_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    tool(&["sh", "-c", &format!("mkdir {0} && cd {0} && {TREE}", path("tree"))]);
    for (format, options) in
        [("gnu", ""), ("posix", "--xattrs"), ("posix", "--pax-option=delete=atime,delete=ctime"), ("oldgnu", "")]
    {
        let file = path("tree.tar");
        tool(&[
            "sh",
            "-c",
            &format!("cd {} && tar --format={format} {options} --numeric-owner -cf {file} .", path("tree")),
        ]);
        let tar = std::fs::read(&file).unwrap();
        let layout = Layout::new();
        layout.image(&tar, |_| {});
        let store = Store::open(&layout.0.path().join("store")).unwrap();
        let source = ImportSource::parse(&layout.place()).unwrap();
        let imported = till_image::import(&store, &source, &Platform::host(), &ImportLimits::default()).unwrap();
        let (theirs, ours) = (path("theirs"), path("ours"));
        for tree in [&theirs, &ours] {
            let _ = std::fs::remove_dir_all(tree);
            std::fs::create_dir(tree).unwrap();
        }
        tool(&["tar", "--numeric-owner", "-xpf", &file, "-C", &theirs]);
        till_image::unpack_layer(&store, &imported.image.layers[0], Path::new(&ours), IdShift::none()).unwrap();
        let list = |tree: &str| {
            let print = "-mindepth 1 -printf '%y %m %U:%G %n %l %Ts %p\\n'";
            tool(&[
                "sh",
                "-c",
                &format!("cd {tree} && find . {print} | sort && find . -type f -exec sha256sum {{}} + | sort"),
            ])
        };
        assert_eq!(list(&ours), list(&theirs), "{format} {options}");
    }
}
