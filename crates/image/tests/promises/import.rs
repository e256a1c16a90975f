//! Images that others made: which one is taken, and that it stays what it was.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use till_core::{Blame as _, Digest, Fault, ManifestDigest};
use till_image::{
    Compression, Destination, ExportCompression, ImportLimits, ImportSource, admit, export, load, verify_layer,
};

use crate::evil::{CONFIG, Evil, GZIP, INDEX, Layout, MANIFEST, TAR, gzip, said};

fn tar(name: &str) -> Vec<u8> {
    Evil::default().file(name, name).end()
}

fn image(layout: &Layout, architecture: &str) -> Value {
    let (one, two) = (tar("one"), tar(architecture));
    let zstd = zstd::encode_all(two.as_slice(), 3).unwrap();
    layout.image(architecture, &[(GZIP, gzip(&one), one), ("application/vnd.oci.image.layer.v1.tar+zstd", zstd, two)])
}

fn with(mut descriptor: Value, key: &str, value: Value) -> Value {
    descriptor[key] = value;
    descriptor
}

fn called(descriptor: Value, name: &str) -> Value {
    with(descriptor, "annotations", json!({ "org.opencontainers.image.ref.name": name }))
}

fn for_platform(descriptor: Value, os: &str, architecture: &str) -> Value {
    with(descriptor, "platform", json!({ "os": os, "architecture": architecture }))
}

fn digest(descriptor: &Value) -> Digest {
    descriptor["digest"].as_str().unwrap().parse().unwrap()
}

#[test]
fn what_is_imported_keeps_its_bytes() {
    let layout = Layout::new();
    let manifest = image(&layout, "amd64");
    layout.index(std::slice::from_ref(&manifest));
    let imported = layout.import(&layout.source(None), &ImportLimits::default()).unwrap();
    assert_eq!((imported.image.manifest.0.clone(), imported.index), (digest(&manifest), None));
    let store = &layout.lab.store;
    assert_eq!(load(store, &imported.image.manifest).unwrap(), imported.image);
    for entry in fs::read_dir(layout.dir.join("blobs/sha256")).unwrap() {
        let entry = entry.unwrap();
        let digest = format!("sha256:{}", entry.file_name().to_string_lossy()).parse().unwrap();
        assert_eq!(fs::read(store.path(&digest)).unwrap(), fs::read(entry.path()).unwrap());
    }
    for layer in &imported.image.layers {
        assert_eq!(verify_layer(store, layer, &ImportLimits::default()).unwrap().entries, 1);
    }
    // What is in the store already is admitted by its manifest, and imported again without change.
    let bytes = store.get(&imported.image.manifest).unwrap();
    assert_eq!(admit(store, &bytes, &ImportLimits::default()).unwrap().image, imported.image);
    let again = layout.import(&layout.source(None), &ImportLimits::default()).unwrap();
    assert_eq!(again.image, imported.image);
}

#[test]
fn dockers_manifests_are_kept_too() {
    let layout = Layout::new();
    let tar = tar("x");
    let diff_id = Digest::of(&tar);
    let config = json!({ "architecture": "amd64", "os": "linux", "config": { "Env": null, "Cmd": ["sh"] }, "container": "c",
        "rootfs": { "type": "layers", "diff_ids": [diff_id] }, "history": [{ "created_by": "ADD" }, { "empty_layer": true }] });
    let config = layout.json("application/vnd.docker.container.image.v1+json", &config);
    let layer = layout.blob("application/vnd.docker.image.rootfs.diff.tar.gzip", &gzip(&tar));
    let media_type = "application/vnd.docker.distribution.manifest.v2+json";
    let manifest = layout
        .json(media_type, &json!({ "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer] }));
    layout.index(std::slice::from_ref(&manifest));
    let imported = layout.import(&layout.source(None), &ImportLimits::default()).unwrap();
    assert_eq!(imported.image.manifest.0, digest(&manifest));
    // Exported as it is, it is called what it is; in another compression it is an image of the spec.
    for (compression, expected) in
        [(ExportCompression::Keep, media_type), (ExportCompression::Convert(Compression::Zstd), MANIFEST)]
    {
        let dir = layout.lab.dir.path().join(expected.replace('/', "-"));
        let to = Destination::Layout { dir: dir.clone(), reference: "x".to_owned() };
        export(&layout.lab.store, &imported.image.manifest, &to, compression).unwrap();
        let index: Value = serde_json::from_slice(&fs::read(dir.join("index.json")).unwrap()).unwrap();
        assert_eq!(index["manifests"][0]["mediaType"], expected);
        let from = ImportSource::Layout { dir, reference: Some("x".to_owned()) };
        layout.import(&from, &ImportLimits::default()).unwrap();
    }
}

#[test]
fn our_platform_is_chosen_and_the_index_is_told() {
    let layout = Layout::new();
    let ours = image(&layout, "amd64");
    let attestation = for_platform(layout.blob(MANIFEST, b"{}"), "unknown", "unknown");
    let absent =
        for_platform(json!({ "mediaType": MANIFEST, "digest": Digest::of(b"x"), "size": 1 }), "linux", "s390x");
    let index = layout.json(
        INDEX,
        &json!({ "schemaVersion": 2, "manifests": [
            for_platform(image(&layout, "arm64"), "linux", "arm64"), attestation,
            absent, for_platform(ours.clone(), "linux", "amd64")] }),
    );
    layout.index(&[called(index.clone(), "app:1")]);
    for reference in [None, Some("app:1"), Some(digest(&index).as_str())] {
        let imported = layout.import(&layout.source(reference), &ImportLimits::default()).unwrap();
        assert_eq!(imported.image.manifest, ManifestDigest(digest(&ours)));
        assert_eq!(imported.index, Some(digest(&index)));
        assert_eq!(imported.reference.as_deref(), Some("app:1"));
        let platforms: Vec<_> = imported.platforms.iter().map(ToString::to_string).collect();
        assert_eq!(platforms, ["linux/arm64", "linux/s390x", "linux/amd64"]);
    }
}

/// That it is refused because of what was named.
#[track_caller]
fn not_meant(layout: &Layout, from: &ImportSource, words: &[&str]) {
    let error = layout.import(from, &ImportLimits::default()).unwrap_err();
    assert_eq!(error.fault(), Fault::Caller, "{}", said(&error));
    let text = format!("{}; {}", said(&error), error.hint().unwrap_or_default());
    for word in words {
        assert!(text.contains(word), "no `{word}` in {text}");
    }
}

#[test]
fn what_is_not_there_or_not_one_is_told_with_what_is() {
    let layout = Layout::new();
    not_meant(&layout, &ImportSource::Layout { dir: PathBuf::from("/nowhere"), reference: None }, &["/nowhere"]);
    not_meant(&layout, &ImportSource::OciArchive { file: PathBuf::from("/nowhere"), reference: None }, &["/nowhere"]);
    not_meant(&layout, &ImportSource::OciArchive { file: PathBuf::from("/dev/zero"), reference: None }, &["no file"]);
    let (amd, arm) = (image(&layout, "amd64"), image(&layout, "arm64"));
    layout.index(&[called(amd.clone(), "one"), called(arm.clone(), "two")]);
    not_meant(&layout, &layout.source(None), &["several images", "one, two"]);
    not_meant(&layout, &layout.source(Some("three")), &["no image `three`", "one, two"]);
    not_meant(&layout, &layout.source(Some("two")), &["no image for linux/amd64", "linux/arm64"]);
    assert!(layout.import(&layout.source(Some("one")), &ImportLimits::default()).is_ok());
    layout.index(&[]);
    not_meant(&layout, &layout.source(None), &["no image at all"]);
    // An index that says something else than its image is not believed.
    layout.index(&[for_platform(arm, "linux", "amd64")]);
    let error = layout.import(&layout.source(None), &ImportLimits::default()).unwrap_err();
    assert!(said(&error).contains("calls itself one for linux/arm64"), "{}", said(&error));
    fs::remove_file(layout.dir.join("oci-layout")).unwrap();
    not_meant(&layout, &layout.source(None), &["no OCI layout"]);
    for bad in ["oci:", "oci", "x", "docker://x", "oci-archive::x"] {
        assert_eq!(ImportSource::parse(bad).unwrap_err().fault(), Fault::Caller, "{bad}");
    }
}

/// An archive of these files and links.
fn archive(layout: &Layout, entries: &[(u8, &str, &str, &[u8])]) -> PathBuf {
    let evil = entries
        .iter()
        .fold(Evil::default(), |evil, (flag, name, link, content)| evil.entry(*flag, name, link, content));
    let path = layout.lab.dir.path().join("archive.tar");
    fs::write(&path, evil.end()).unwrap();
    path
}

fn docker(file: PathBuf, reference: Option<&str>) -> ImportSource {
    ImportSource::DockerArchive { file, reference: reference.map(str::to_owned) }
}

fn docker_config(tars: &[&[u8]]) -> (String, Vec<u8>) {
    let diff_ids: Vec<_> = tars.iter().map(|tar| Digest::of(tar)).collect();
    let config =
        json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids } });
    let bytes = config.to_string().into_bytes();
    (format!("{}.json", Digest::of(&bytes).hex()), bytes)
}

#[test]
fn archives_of_docker_give_the_same_image_in_every_form() {
    let layout = Layout::new();
    let (one, two) = (tar("one"), tar("two"));
    let (name, config) = docker_config(&[&one, &two, &one]);
    let manifest =
        json!([{ "Config": name, "RepoTags": ["h/x:1"], "Layers": ["1/layer.tar", "2/layer.tar", "3/layer.tar"] }]);
    let manifest = manifest.to_string();
    let old = archive(
        &layout,
        &[
            (b'0', "1/layer.tar", "", &one),
            (b'0', "2/layer.tar", "", &gzip(&two)),
            (b'2', "3/layer.tar", "../1/layer.tar", b""),
            (b'0', &name, "", &config),
            (b'0', "manifest.json", "", manifest.as_bytes()),
        ],
    );
    let imported = layout.import(&docker(old.clone(), Some("h/x:1")), &ImportLimits::default()).unwrap();
    assert_eq!(imported.image.config_digest, Digest::of(&config));
    assert_eq!((imported.image.layers.len(), imported.reference.as_deref()), (3, Some("h/x:1")));
    assert_eq!(imported.image.layers[0], imported.image.layers[2]);
    // Compressed as a whole.
    let compressed = layout.lab.dir.path().join("archive.tar.gz");
    fs::write(&compressed, gzip(&fs::read(&old).unwrap())).unwrap();
    let again = layout.import(&docker(compressed, None), &ImportLimits::default()).unwrap();
    assert_eq!(again.image, imported.image);
    // Our own export is the newer form, and an OCI archive as well.
    let file = layout.lab.dir.path().join("new.tar");
    let to = Destination::DockerArchive { file: file.clone(), name: Some("y:2".to_owned()) };
    let exported = export(&layout.lab.store, &imported.image.manifest, &to, ExportCompression::Keep).unwrap();
    let bytes = fs::read(&file).unwrap();
    export(&layout.lab.store, &imported.image.manifest, &to, ExportCompression::Keep).unwrap();
    assert_eq!(fs::read(&file).unwrap(), bytes);
    let newer = layout.import(&docker(file.clone(), Some("docker.io/library/y:2")), &ImportLimits::default()).unwrap();
    assert_eq!(newer.image, imported.image);
    let from = ImportSource::OciArchive { file, reference: Some("2".to_owned()) };
    assert_eq!(layout.import(&from, &ImportLimits::default()).unwrap().image.manifest, exported);
}

#[test]
fn archives_of_docker_that_lead_elsewhere_are_refused() {
    let tar = tar("x");
    let (name, config) = docker_config(&[&tar]);
    let manifest =
        |config: &str, layer: &str| json!([{ "Config": config, "RepoTags": null, "Layers": [layer] }]).to_string();
    let good = manifest(&name, "l.tar");
    let manifests = (good.as_bytes(), manifest("../outside/secret", "l.tar"), manifest(&name, "/outside/secret"));
    let other = format!("{}.json", "0".repeat(64));
    let renamed = manifest(&other, "l.tar");
    type Entry<'a> = (u8, &'a str, &'a str, &'a [u8]);
    let cases: Vec<(&str, Vec<Entry<'_>>, &str)> = vec![
        (
            "config outside",
            vec![(b'0', "l.tar", "", &tar), (b'0', "manifest.json", "", manifests.1.as_bytes())],
            "leads out",
        ),
        (
            "layer outside",
            vec![(b'0', &name, "", &config), (b'0', "manifest.json", "", manifests.2.as_bytes())],
            "no file `/outside/secret`",
        ),
        (
            "link out",
            vec![(b'2', "l.tar", "../../outside/secret", b""), (b'0', "manifest.json", "", manifests.0)],
            "leads out",
        ),
        ("absolute link", vec![(b'2', "l.tar", "/outside/secret", b"")], "leads out"),
        (
            "link to itself",
            vec![(b'2', "l.tar", "l.tar", b""), (b'0', &name, "", &config), (b'0', "manifest.json", "", manifests.0)],
            "without end",
        ),
        ("twice", vec![(b'0', "l.tar", "", &tar), (b'0', "./l.tar", "", b"")], "twice"),
        ("traversal", vec![(b'0', "../l.tar", "", &tar)], "`..`"),
        ("absolute", vec![(b'0', "/l.tar", "", &tar)], "absolute"),
        ("device", vec![(b'3', "l.tar", "", b"")], "neither file"),
        ("no layer", vec![(b'0', &name, "", &config), (b'0', "manifest.json", "", manifests.0)], "no file `l.tar`"),
        (
            "other content",
            vec![(b'0', "l.tar", "", b"other"), (b'0', &name, "", &config), (b'0', "manifest.json", "", manifests.0)],
            "cannot take layer",
        ),
        (
            "another config",
            vec![(b'0', &other, "", &config), (b'0', "manifest.json", "", renamed.as_bytes())],
            "its content has digest",
        ),
        ("no JSON", vec![(b'0', "manifest.json", "", b"{}")], "manifest.json"),
    ];
    for (case, entries, word) in cases {
        let layout = Layout::new();
        let file = archive(&layout, &entries);
        let error = layout.import(&docker(file, None), &ImportLimits::default()).unwrap_err();
        assert_eq!(error.fault(), Fault::Base, "{case}: {}", said(&error));
        assert!(said(&error).contains(word), "{case}: {}", said(&error));
    }
}

#[test]
fn archives_replace_files_and_nothing_else() {
    let layout = Layout::new();
    let manifest = image(&layout, "amd64");
    layout.index(&[manifest]);
    let imported = layout.import(&layout.source(None), &ImportLimits::default()).unwrap();
    let write = |file: PathBuf| {
        let to = Destination::OciArchive { file, reference: "a/b:1".to_owned() };
        export(&layout.lab.store, &imported.image.manifest, &to, ExportCompression::Keep)
    };
    let folder = layout.lab.tree("out");
    let file = folder.join("a.tar");
    fs::write(&file, "old").unwrap();
    assert_eq!(write(file.clone()).unwrap(), imported.image.manifest);
    let from = ImportSource::OciArchive { file: file.clone(), reference: Some("a/b:1".to_owned()) };
    assert_eq!(layout.import(&from, &ImportLimits::default()).unwrap().image, imported.image);
    std::os::unix::fs::symlink(&file, folder.join("link")).unwrap();
    for place in [folder.clone(), folder.join("link"), folder.join("none/a.tar"), PathBuf::from("/dev/null")] {
        assert_eq!(write(place.clone()).unwrap_err().fault(), Fault::Caller, "{}", place.display());
    }
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.tar", "link"]);
}

#[test]
fn an_unknown_config_is_kept_as_it_is() {
    let layout = Layout::new();
    let tar = tar("x");
    let config = json!({ "architecture": "amd64", "os": "linux", "x": { "y": [1, null] },
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(&tar)] } });
    let (config, layer) = (layout.json(CONFIG, &config), layout.blob(TAR, &tar));
    // Neither mediaType nor annotations have to be there.
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [layer], "annotations": null });
    layout.index(&[layout.json(MANIFEST, &manifest)]);
    let imported = layout.import(&layout.source(None), &ImportLimits::default()).unwrap();
    assert_eq!(imported.image.config.rest["x"], json!({ "y": [1, null] }));
}
