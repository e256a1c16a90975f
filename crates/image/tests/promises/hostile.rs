//! Images that were made to do harm are refused, with the reason; nothing outside changes, and nothing of them is kept.

use std::fs;
use std::io::{Read as _, Write as _};

use serde_json::{Value, json};
use till_core::{Blame as _, Digest, Fault};
use till_image::{IdShift, ImageError, ImportLimits, Imported, Policy, unpack_layer};

use crate::evil::{CONFIG, Evil, GZIP, INDEX, Layout, MANIFEST, TAR, gzip, said};

#[track_caller]
fn refused(name: &str, result: Result<Imported, ImageError>, word: &str) {
    let error = result.map(|_| ()).expect_err(name);
    assert_eq!(error.fault(), Fault::Base, "{name}: {}", said(&error));
    assert!(said(&error).contains(word), "{name}: {}", said(&error));
}

/// Layers, and a word of the reason for which each is refused.
fn layers() -> Vec<(&'static str, Evil, &'static str)> {
    let new = Evil::default;
    let mut sizes = new().pax("size", "4");
    sizes.header(b'0', b"a", b"", 600, 0);
    sizes.content(&[b'x'; 600]);
    let mut long = new();
    long.header(b'x', b"pax", b"", 2 << 20, 0);
    long.content(&vec![b'1'; 2 << 20]);
    let mut after = new().file("a", "").end();
    after.extend(new().file("b", "").0);
    let mut owner = new();
    owner.header(b'0', b"a", b"", 0, 70_000);
    vec![
        ("dots", new().file("../x", ""), "`..`"),
        ("inner dots", new().file("a/../../x", ""), "`..`"),
        ("absolute", new().file("/etc/x", ""), "absolute"),
        ("absolute by pax", new().pax("path", "/etc/x").file("x", ""), "absolute"),
        ("no name", new().file(".", ""), "no name"),
        ("nul", new().pax("path", "a\0b").file("x", ""), "NUL"),
        ("long part", new().pax("path", &"n".repeat(300)).file("x", ""), "too long"),
        ("long path", new().pax("path", &"d/".repeat(2100)).file("x", ""), "too long"),
        ("write through a link", new().entry(b'2', "s", "/outside", b"").file("s/x", ""), "no directory"),
        ("a directory in a link", new().entry(b'2', "s", "/outside", b"").entry(b'5', "s/x", "", b""), "no directory"),
        ("deep in a link", new().entry(b'2', "s", "..", b"").file("s/x/y/z", ""), "no directory"),
        ("a file in a file", new().file("f", "").file("f/x", ""), "no directory"),
        ("whiteout in a link", new().entry(b'2', "s", "/outside", b"").file("s/.wh.secret", ""), "no directory"),
        ("link out", new().entry(b'1', "x", "../outside/secret", b""), "leads outside"),
        ("absolute link", new().entry(b'1', "x", "/outside/secret", b""), "no file"),
        ("link below", new().entry(b'1', "x", "etc/shadow", b""), "no file"),
        ("link through a link", new().entry(b'2', "s", "/", b"").entry(b'1', "x", "s/outside/secret", b""), "no file"),
        ("link to a directory", new().entry(b'5', "d", "", b"").entry(b'1', "x", "d", b""), "no file"),
        ("link with content", new().entry(b'1', "x", "y", b"z"), "no file"),
        ("character device", new().entry(b'3', "x", "", b""), "device"),
        ("block device", new().entry(b'4', "etc/dev", "", b""), "device"),
        ("device below dev", new().entry(b'4', "dev/mapper/x", "", b""), "device"),
        ("sparse", new().entry(b'S', "x", "", b""), "unknown kind"),
        ("sparse by pax", new().pax("GNU.sparse.major", "1").file("x", ""), "sparse"),
        ("names for all", new().entry(b'g', "g", "", b"10 path=x\n").file("x", ""), "all entries"),
        ("two names", new().entry(b'L', "l", "", b"a").pax("path", "b").file("x", ""), "twice"),
        ("two sizes", sizes, "different sizes"),
        ("long description", long, "too long"),
        ("twice", new().file("a", "1").file("a", "2"), "twice"),
        ("file and directory", new().file("a", "").entry(b'5', "a", "", b""), "twice"),
        ("directory and file", new().entry(b'5', "a", "", b"").file("a", ""), "twice"),
        ("implied directory and link", new().file("a/b", "").entry(b'2', "a", "/", b""), "twice"),
        ("whiteout twice", new().file(".wh.a", "").file(".wh.a", ""), "twice"),
        ("whiteout of ..", new().file(".wh...", ""), "removes no file"),
        ("whiteout of .", new().file(".wh..", ""), "removes no file"),
        ("whiteout of nothing", new().file("a/.wh.", ""), "removes no file"),
        ("whiteout as a link", new().entry(b'2', ".wh.a", "b", b""), ".wh."),
        ("below a whiteout", new().file(".wh.a/b", ""), ".wh."),
        ("owner", owner, "owner"),
        ("after the end", Evil(after), "after its end"),
    ]
}

#[test]
fn every_layer_that_could_do_harm_is_refused() {
    for (name, evil, word) in layers() {
        refused(name, Layout::new().one_layer(&evil.end(), &ImportLimits::default()), word);
    }
}

#[test]
fn layers_that_end_early_are_refused() {
    let whole = Evil::default().file("a", &"x".repeat(2000)).end();
    for length in [100, 512, 600, 1500, 2511, 2600, 3071] {
        refused(
            "short",
            Layout::new().one_layer(&whole[..length], &ImportLimits::default()),
            "cannot read the archive",
        );
    }
}

#[test]
fn root_layers_that_end_without_zeros_or_padding_are_taken_and_unpacked() {
    let whole = Evil::default().file("a", &"x".repeat(2000)).end();
    for length in [2512, 2530, 2560, 3072] {
        let layout = Layout::new();
        let imported = layout.one_layer(&whole[..length], &ImportLimits::default()).unwrap();
        let root = layout.lab.tree("root");
        unpack_layer(&layout.lab.store, &imported.image.layers[0], &root, IdShift::none()).unwrap();
        assert_eq!(fs::read(root.join("a")).unwrap(), [b'x'; 2000], "{length}");
    }
}

#[test]
fn root_what_is_harmless_is_taken_and_unpacked() {
    let layout = Layout::new();
    let evil = Evil::default()
        .entry(b'5', "./", "", b"")
        .entry(b'5', "dev/", "", b"")
        .entry(b'3', "dev/console", "", b"")
        .entry(b'5', "a/", "", b"")
        .file("a/f", "1")
        .entry(b'5', "a/", "", b"")
        .entry(b'1', "a/hard", "a/f", b"")
        .entry(b'2', "a/out", "../../../../etc/passwd", b"")
        .file("a/.wh.gone", "")
        .file("gone/new", "2")
        .file(".wh.gone", "")
        .file(".wh.back", "")
        .file("back/new", "3")
        .entry(b'g', "pax_global_header", "", b"13 comment=x\n");
    let tar = evil.file("c", "").end();
    let imported = layout.one_layer(&tar, &ImportLimits::default()).unwrap();
    assert_eq!(imported.notices.len(), 1, "{:?}", imported.notices);
    let root = layout.lab.tree("root");
    unpack_layer(&layout.lab.store, &imported.image.layers[0], &root, IdShift::none()).unwrap();
    assert_eq!(fs::read_dir(root.join("dev")).unwrap().count(), 0);
    // What a layer removes and makes anew is anew: nothing of the lower one shows through, whichever came first.
    for (name, content) in [("gone", "2"), ("back", "3")] {
        assert_eq!(fs::read_to_string(root.join(name).join("new")).unwrap(), content);
        let attributes = crate::common::attributes(&root.join(name));
        assert_eq!(attributes[b"trusted.overlay.opaque".as_slice()], b"y", "{name}");
    }
}

#[test]
fn programs_with_more_rights_are_kept_or_refused() {
    let tar = Evil::default().file("bin/su", "x").end();
    let strict = ImportLimits { setuid: Policy::Refuse, ..ImportLimits::default() };
    assert!(Layout::new().one_layer(&tar, &ImportLimits::default()).is_ok());
    refused("setuid", Layout::new().one_layer(&tar, &strict), "more rights");
}

#[test]
fn limits_hold_while_a_layer_is_read() {
    let tar = Evil::default().file("a/b/c", "0123456789").file("d", "").end();
    let default = ImportLimits::default();
    let few = ImportLimits { entries: 3, ..default.clone() };
    refused("entries", Layout::new().one_layer(&tar, &few), "more than 3 files");
    let small = ImportLimits { bytes: 1024, ..default.clone() };
    refused("bytes", Layout::new().one_layer(&tar, &small), "more bytes");
    // All layers count together.
    let both = ImportLimits { bytes: tar.len() as u64 + 10, ..default.clone() };
    let layout = Layout::new();
    let other = Evil::default().file("e", "").end();
    layout.index(&[layout.image("amd64", &[(TAR, tar.clone(), tar.clone()), (TAR, other.clone(), other)])]);
    refused("together", layout.import(&layout.source(None), &both), "more bytes");
    let none = ImportLimits { layers: 0, ..default };
    refused("layers", Layout::new().one_layer(&tar, &none), "more than 0");
}

#[test]
fn bombs_are_stopped() {
    let limits = ImportLimits { ratio: 100, ratio_from: 1 << 20, ..ImportLimits::default() };
    let mut evil = Evil::default();
    evil.header(b'0', b"zeros", b"", 32 << 20, 0);
    evil.content(&vec![0; 32 << 20]);
    let tar = evil.end();
    let zstd = zstd::encode_all(tar.as_slice(), 3).unwrap();
    for blob in [gzip(&tar), zstd] {
        let layout = Layout::new();
        layout.index(&[layout.image("amd64", &[(GZIP, blob, tar.clone())])]);
        refused("bomb", layout.import(&layout.source(None), &limits), "suspiciously");
        assert!(layout.import(&layout.source(None), &ImportLimits::default()).is_ok());
    }
}

/// A million headers without content.
struct Million(u32);

impl std::io::Read for Million {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut evil = Evil::default();
        while self.0 > 0 && evil.0.len() + 512 <= buffer.len() {
            self.0 -= 1;
            evil.header(b'0', format!("d/{}", self.0).as_bytes(), b"", 0, 0);
        }
        buffer[..evil.0.len()].copy_from_slice(&evil.0);
        Ok(evil.0.len())
    }
}

#[test]
fn a_million_empty_files_are_looked_through() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let mut tar = Million(1_000_000).chain(&[0; 1024][..]);
    let mut hash = sha2::Sha256::default();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = tar.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        sha2::Digest::update(&mut hash, &buffer[..count]);
        encoder.write_all(&buffer[..count]).unwrap();
    }
    let diff_id = Digest::from_sha256(sha2::Digest::finalize(hash).as_slice());
    let layout = Layout::new();
    let layer = layout.blob("application/vnd.oci.image.layer.v1.tar+zstd", &encoder.finish().unwrap());
    let config =
        json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [diff_id] } });
    let config = layout.json(CONFIG, &config);
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
    layout.index(&[layout.json(MANIFEST, &manifest)]);
    let few = ImportLimits { entries: 1_000, ..ImportLimits::default() };
    refused("a million", layout.import(&layout.source(None), &few), "more than 1000");
    layout.import(&layout.source(None), &ImportLimits::default()).unwrap();
}

/// An image whose manifest is changed before it is written.
fn changed(layout: &Layout, change: impl FnOnce(&mut Value)) {
    let tar = Evil::default().file("a", "").end();
    let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [Digest::of(&tar)] } });
    let (config, layer) = (layout.json(CONFIG, &config), layout.blob(TAR, &tar));
    let mut manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
    change(&mut manifest);
    layout.index(&[layout.json(MANIFEST, &manifest)]);
}

type Change = fn(&mut Value);

#[test]
fn manifests_that_say_something_else_are_refused() {
    let hex = "a".repeat(128);
    let long = format!("sha512:{hex}");
    let cases: Vec<(&str, Change, &str)> = vec![
        ("layer's size", |m| m["layers"][0]["size"] = json!(7), "larger than its manifest"),
        ("layer's larger size", |m| m["layers"][0]["size"] = json!(1 << 20), "its size is"),
        ("layer's digest", |m| m["layers"][0]["digest"] = m["config"]["digest"].clone(), "cannot read the archive"),
        ("missing layer", |m| m["layers"][0]["digest"] = json!(Digest::of(b"gone")), "not there"),
        ("traversal", |m| m["layers"][0]["digest"] = json!("sha256:../../x"), "is not a digest"),
        ("traversal in config", |m| m["config"]["digest"] = json!("sha256:../../../outside/secret"), "is not a digest"),
        ("unknown algorithm", |m| m["layers"][0]["digest"] = json!("md5:00"), "unknown algorithm"),
        ("negative size", |m| m["layers"][0]["size"] = json!(-1), "invalid value"),
        ("config's size", |m| m["config"]["size"] = json!(3), "bytes that are said"),
        ("huge config", |m| m["config"]["size"] = json!(1_u64 << 40), "more than"),
        ("too few layers", |m| m["layers"] = json!([]), "1 diff ids for 0 layers"),
        ("two layers", |m| m["layers"] = json!([m["layers"][0], m["layers"][0]]), "1 diff ids for 2 layers"),
        ("unknown layer", |m| m["layers"][0]["mediaType"] = json!("application/x-sh"), "unknown type"),
        ("no image", |m| m["config"]["mediaType"] = json!("application/vnd.cncf.helm.config.v1+json"), "no image"),
        ("both", |m| m["manifests"] = json!([]), "or both"),
        ("called an index", |m| m["mediaType"] = json!(INDEX), "or both"),
        ("old schema", |m| m["fsLayers"] = json!([]), "schema 1"),
        ("version", |m| m["schemaVersion"] = json!(3), "schemaVersion"),
        ("no object", |m| *m = json!([1]), "invalid"),
    ];
    for (name, change, word) in cases {
        let layout = Layout::new();
        changed(&layout, change);
        refused(name, layout.import(&layout.source(None), &ImportLimits::default()), word);
    }
    let layout = Layout::new();
    changed(&layout, |manifest| manifest["layers"][0]["digest"] = json!(long));
    refused("sha512", layout.import(&layout.source(None), &ImportLimits::default()), "unknown algorithm");
}

#[test]
fn blobs_that_are_not_what_they_are_called_are_refused() {
    for (name, word) in
        [("layers", "diff id"), ("config", "its content has digest"), ("manifest", "its content has digest")]
    {
        let layout = Layout::new();
        let tar = Evil::default().file("a", "").end();
        let manifest = layout.image("amd64", &[(TAR, tar.clone(), Evil::default().file("b", "").end())]);
        layout.index(std::slice::from_ref(&manifest));
        let digest: Digest = manifest["digest"].as_str().unwrap().parse().unwrap();
        let at = |digest: &Digest| layout.dir.join("blobs/sha256").join(digest.hex());
        let text: Value = serde_json::from_slice(&fs::read(at(&digest)).unwrap()).unwrap();
        let victim = match name {
            "manifest" => Some(at(&digest)),
            "config" => Some(at(&text["config"]["digest"].as_str().unwrap().parse().unwrap())),
            _ => None,
        };
        if let Some(victim) = victim {
            let mut bytes = fs::read(&victim).unwrap();
            let last = bytes.len() - 2;
            bytes[last] ^= 1;
            fs::write(victim, bytes).unwrap();
        }
        refused(name, layout.import(&layout.source(None), &ImportLimits::default()), word);
    }
}

#[test]
fn large_and_deep_documents_are_refused() {
    let limits = ImportLimits::default();
    // A manifest of a hundred megabytes is not even read.
    let layout = Layout::new();
    let mut listed = layout.blob(MANIFEST, b"{}");
    listed["size"] = json!(100 << 20);
    layout.index(&[listed]);
    refused("large", layout.import(&layout.source(None), &limits), "more than 16777216");
    fs::write(layout.dir.join("index.json"), vec![b' '; 5 << 20]).unwrap();
    refused("large index", layout.import(&layout.source(None), &limits), "more than 4194304");
    fs::write(layout.dir.join("index.json"), "[".repeat(100_000)).unwrap();
    refused("deep JSON", layout.import(&layout.source(None), &limits), "index.json");
    let nested =
        format!("{{\"os\":\"linux\",\"architecture\":\"amd64\",\"x\":{}1{}}}", "[".repeat(1000), "]".repeat(1000));
    let config = layout.blob(CONFIG, nested.as_bytes());
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [] });
    layout.index(&[layout.json(MANIFEST, &manifest)]);
    refused("deep config", layout.import(&layout.source(None), &limits), "recursion");
    // Indexes in indexes, a thousand deep.
    let layout = Layout::new();
    let tar = Evil::default().file("a", "").end();
    let mut inner = layout.image("amd64", &[(TAR, tar.clone(), tar)]);
    for depth in 0..1000 {
        if depth == 7 {
            layout.index(std::slice::from_ref(&inner));
            assert!(layout.import(&layout.source(None), &limits).is_ok());
        }
        inner = layout.json(INDEX, &json!({ "schemaVersion": 2, "manifests": [inner] }));
    }
    layout.index(&[inner]);
    refused("deep", layout.import(&layout.source(None), &limits), "lies in 8 others");
    // A few documents that list each other again and again, and very many.
    let layout = Layout::new();
    let many: Vec<_> = (0..3000).map(|number| json!({ "mediaType": MANIFEST, "digest": Digest::of(&[number as u8, (number >> 8) as u8]), "size": 1, "platform": { "os": "linux", "architecture": "s390x" } })).collect();
    layout.index(&many);
    refused("many", layout.import(&layout.source(None), &limits), "list more than");
}

#[test]
fn files_of_a_layout_lead_nowhere() {
    let limits = ImportLimits::default();
    let layout = Layout::new();
    let tar = Evil::default().file("a", "").end();
    let manifest = layout.image("amd64", &[(TAR, tar.clone(), tar)]);
    let digest: Digest = manifest["digest"].as_str().unwrap().parse().unwrap();
    layout.index(&[manifest]);
    let blob = layout.dir.join("blobs/sha256").join(digest.hex());
    let elsewhere = layout.lab.dir.path().join("elsewhere");
    fs::rename(&blob, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &blob).unwrap();
    refused("link", layout.import(&layout.source(None), &limits), "not there");
    fs::remove_file(&blob).unwrap();
    // A pipe is not waited for.
    rustix::fs::mknodat(rustix::fs::CWD, &blob, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    refused("pipe", layout.import(&layout.source(None), &limits), "no file");
}
