//! What is found in images.

use std::collections::BTreeMap;
use std::io::Write as _;

use till_core::inventory::{FileEntry, Inventory};
use till_core::port::Layer;
use till_core::{DiffId, Digest};
use till_image::{Compression, Store, attach, attached, blobs_of, chain_ids, list_files, take_inventory};

use crate::common::{Lab, packing};

/// An entry of a layer.
enum Put<'a> {
    File(&'a str, &'a [u8]),
    Directory(&'a str),
    Link(&'a str, &'a str),
    HardLink(&'a str, &'a str),
}

fn tar(entries: &[Put<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        let (path, content, link) = match entry {
            Put::File(path, content) => (path, *content, None),
            Put::Directory(path) => (path, b"".as_slice(), Some((tar::EntryType::Directory, ""))),
            Put::Link(path, target) => (path, b"".as_slice(), Some((tar::EntryType::Symlink, *target))),
            Put::HardLink(path, target) => (path, b"".as_slice(), Some((tar::EntryType::Link, *target))),
        };
        header.set_size(content.len() as u64);
        if let Some((kind, target)) = link {
            header.set_entry_type(kind);
            if !target.is_empty() {
                header.set_link_name(target).unwrap();
            }
        }
        tar.append_data(&mut header, path, content).unwrap();
    }
    tar.into_inner().unwrap()
}

/// A layer of the store with these entries.
fn layer(store: &Store, entries: &[Put<'_>]) -> Layer {
    let tar = tar(entries);
    let blob = zstd_of(&tar);
    Layer {
        diff_id: DiffId(Digest::of(&tar)),
        size: blob.len() as u64,
        blob: till_core::BlobDigest(store.put(&blob).unwrap()),
        media_type: Compression::Zstd.media_type().to_owned(),
    }
}

fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const RELEASE: Put<'static> = Put::File("usr/lib/os-release", b"ID=debian\nVERSION_ID=12\n");
const STATUS: &[u8] = b"Package: bash\nVersion: 5.2\nArchitecture: amd64\n";
const FLASK: &[u8] = b"Name: Flask\nVersion: 3.0.0\n";
const EXPRESS: &[u8] = br#"{"name": "express", "version": "4.18.2"}"#;

fn seen(inventory: &Inventory) -> Vec<String> {
    inventory.packages.iter().map(|package| format!("{} {} {}", package.name, package.version, package.path)).collect()
}

#[test]
fn packages_are_of_the_layer_that_holds_them() {
    let lab = Lab::new();
    let base = layer(&lab.store, &[RELEASE, Put::File("./var/lib/dpkg/status", STATUS)]);
    let app = layer(
        &lab.store,
        &[
            Put::File("app/flask-3.0.0.dist-info/METADATA", FLASK),
            Put::File("store/ab12", EXPRESS),
            Put::HardLink("app/node_modules/express/package.json", "store/ab12"),
            Put::Link("app/node_modules/other", "express"),
        ],
    );
    let kept = lab.dir.path().join("kept");
    let inventory = take_inventory(&lab.store, &[base.clone(), app.clone()], &kept).inventory();
    assert_eq!(inventory.incomplete, []);
    assert!(seen(&inventory).contains(&"bash 5.2 var/lib/dpkg/status".to_owned()));
    assert!(seen(&inventory).contains(&"Flask 3.0.0 app/flask-3.0.0.dist-info/METADATA".to_owned()));
    assert!(seen(&inventory).contains(&"express 4.18.2 app/node_modules/express/package.json".to_owned()));
    for package in &inventory.packages {
        assert_eq!(package.layer, if package.name == "bash" { base.diff_id.clone() } else { app.diff_id.clone() });
    }
}

#[test]
fn a_database_with_two_names_is_one_database() {
    let lab = Lab::new();
    for (number, (file, link)) in [("status", "status-old"), ("status-old", "status")].iter().enumerate() {
        let at = |name: &str| format!("var/lib/dpkg/{name}");
        let layer = layer(&lab.store, &[RELEASE, Put::File(&at(file), STATUS), Put::HardLink(&at(link), &at(file))]);
        let kept = lab.dir.path().join(format!("kept-{number}"));
        let inventory = take_inventory(&lab.store, &[layer], &kept).inventory();
        assert_eq!(seen(&inventory), ["bash 5.2 var/lib/dpkg/status"], "{link} -> {file}");
        assert_eq!(inventory.incomplete, []);
    }
}

#[test]
fn what_is_removed_above_does_not_count() {
    let lab = Lab::new();
    let file = |path| Put::File(path, FLASK);
    let base = layer(
        &lab.store,
        &[
            RELEASE,
            Put::File("var/lib/dpkg/status", STATUS),
            file("a/x.dist-info/METADATA"),
            file("b/x.dist-info/METADATA"),
            file("c/x.dist-info/METADATA"),
        ],
    );
    let above = layer(
        &lab.store,
        &[Put::File("a/.wh.x.dist-info", b""), Put::File("b/.wh..wh..opq", b""), Put::Link("c", "a")],
    );
    let kept = lab.dir.path().join("kept");
    assert_eq!(take_inventory(&lab.store, std::slice::from_ref(&base), &kept).inventory().packages.len(), 4);
    let inventory = take_inventory(&lab.store, &[base, above], &kept).inventory();
    assert_eq!(seen(&inventory), ["bash 5.2 var/lib/dpkg/status"]);
}

#[test]
fn a_stack_that_was_seen_is_not_read_again() {
    let lab = Lab::new();
    let base = layer(&lab.store, &[RELEASE, Put::File("var/lib/dpkg/status", STATUS)]);
    let kept = lab.dir.path().join("kept");
    let first = take_inventory(&lab.store, std::slice::from_ref(&base), &kept);
    // Only who does not read it does not miss it.
    lab.store.remove(&base.blob).unwrap();
    assert_eq!(take_inventory(&lab.store, std::slice::from_ref(&base), &kept), first);
    let app = layer(&lab.store, &[Put::File("app/flask-3.0.0.dist-info/METADATA", FLASK)]);
    assert_eq!(take_inventory(&lab.store, &[base.clone(), app], &kept).inventory().packages.len(), 2);
    // What is damaged there is made again; what cannot be read then is said, and not kept.
    let path = kept.join(format!("{}.json", chain_ids(std::slice::from_ref(&base))[0].hex()));
    std::fs::write(&path, "{").unwrap();
    let lost = take_inventory(&lab.store, std::slice::from_ref(&base), &kept).inventory();
    assert!(lost.incomplete.iter().any(|finding| finding.what.contains("was not read")), "{lost:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{");
}

#[test]
fn large_files_are_read_from_disk() {
    let lab = Lab::new();
    let mut status = STATUS.to_vec();
    while status.len() < 10 << 20 {
        status.extend_from_slice(
            format!("\nPackage: p{}\nVersion: 1\nDescription: {}\n", status.len(), "x".repeat(4000)).as_bytes(),
        );
    }
    let layer = layer(&lab.store, &[RELEASE, Put::File("var/lib/dpkg/status", &status)]);
    let inventory = take_inventory(&lab.store, &[layer], lab.dir.path()).inventory();
    assert!(inventory.packages.len() > 2000 && inventory.incomplete.is_empty());
    assert_eq!(std::fs::read_dir(lab.dir.path().join("store/staging")).unwrap().count(), 0);
}

#[test]
fn hostile_layers_are_findings() {
    let lab = Lab::new();
    let mut archive = tar(&[RELEASE, Put::File("xx/xx/passwd", b"")]);
    // The `tar` crate writes no such name.
    let at = archive.windows(12).position(|window| window == b"xx/xx/passwd").unwrap();
    archive[at..at + 5].copy_from_slice(b"../..");
    archive[512 * 2 + 148..512 * 2 + 156].fill(b' ');
    let sum: u32 = archive[1024..1536].iter().map(|byte| u32::from(*byte)).sum();
    archive[1024 + 148..1024 + 155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let layer = |bytes: &[u8]| Layer {
        diff_id: DiffId(Digest::of(bytes)),
        size: bytes.len() as u64,
        blob: till_core::BlobDigest(lab.store.put(bytes).unwrap()),
        media_type: Compression::None.media_type().to_owned(),
    };
    for (bytes, said) in [(archive.as_slice(), "has no usable name"), (b"no archive", "was not read")] {
        let inventory = take_inventory(&lab.store, &[layer(bytes)], lab.dir.path()).inventory();
        assert!(inventory.incomplete.iter().any(|finding| finding.what.contains(said)), "{said}: {inventory:?}");
    }
}

#[test]
fn files_are_listed_with_their_content() {
    let lab = Lab::new();
    let base = layer(
        &lab.store,
        &[Put::Directory("d"), Put::File("d/a", b"1"), Put::File("d/b", b"2"), Put::Link("l", "d/a")],
    );
    let app = layer(&lab.store, &[Put::File("d/a", b"3"), Put::File("d/.wh.b", b""), Put::HardLink("h", "d/a")]);
    let below = list_files(&lab.store, &[base], BTreeMap::new()).unwrap();
    assert_eq!(below.keys().collect::<Vec<_>>(), ["d", "d/a", "d/b", "l"]);
    let files = list_files(&lab.store, &[app], below.clone()).unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["d", "d/a", "h", "l"]);
    let content = |files: &BTreeMap<String, FileEntry>, path: &str| files[path].content.clone().unwrap();
    assert_eq!((content(&below, "d/a"), content(&files, "d/a")), (Digest::of(b"1"), Digest::of(b"3")));
    assert_eq!(content(&files, "h"), Digest::of(b"3"));
    assert_eq!(content(&files, "l"), Digest::of(b"d/a"));
}

#[test]
fn a_document_is_attached_to_its_image() {
    let lab = Lab::new();
    let subject = till_core::ManifestDigest(lab.store.put(b"{}manifest").unwrap());
    let manifest = attach(&lab.store, &subject, "application/spdx+json", b"{\"a\":1}", "2024-01-01T00:00:00Z").unwrap();
    let document = attached(&lab.store, &manifest).unwrap();
    assert_eq!(
        (document.bytes.as_slice(), document.artifact_type.as_str()),
        (b"{\"a\":1}".as_slice(), "application/spdx+json")
    );
    assert_eq!(document.subject, subject);
    let blobs = blobs_of(&lab.store, &manifest).unwrap();
    assert!(blobs.len() == 3 && blobs.contains(&manifest.0) && blobs.contains(&document.document));
    insta::assert_snapshot!(String::from_utf8(lab.store.get(&manifest).unwrap()).unwrap(), @r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/spdx+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[{"mediaType":"application/spdx+json","digest":"sha256:015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862","size":7}],"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:c33eb1fa156065e54049c97df5bca33b7ddbca40ee2a02fcf77ade09916c074e","size":10},"annotations":{"org.opencontainers.image.created":"2024-01-01T00:00:00Z"}}"#);
}

/// A tree in which everything is that says something of packages, or seems to.
fn telling(root: &std::path::Path) {
    let elf = [b"\x7fELF".as_slice(), &[0; 60]].concat();
    let large = vec![b' '; 3 << 20];
    for (path, content) in [
        ("usr/lib/os-release", b"ID=debian\nVERSION_ID=12\n".as_slice()),
        ("var/lib/dpkg/status", STATUS),
        ("app/flask-3.0.0.dist-info/METADATA", &[FLASK, b"\n", &large].concat()),
        ("app/node_modules/express/package.json", EXPRESS),
        ("app/node_modules/express/index.js", b"x"),
        ("app/old.jar", b"PK\x05\x06 is no archive"),
        ("app/main", &elf),
        ("app/empty", b""),
    ] {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    std::os::unix::fs::symlink("main", root.join("app/link")).unwrap();
    std::fs::hard_link(root.join("app/main"), root.join("app/same")).unwrap();
    std::fs::hard_link(root.join("var/lib/dpkg/status"), root.join("var/lib/dpkg/status-old")).unwrap();
}

#[test]
fn what_was_seen_while_packing_is_what_the_layer_says() {
    let lab = Lab::new();
    let tree = lab.tree("tree");
    telling(&tree);
    let packed = till_image::pack(&tree, &packing(Compression::Zstd), &lab.store).unwrap();
    let kept = |name: &str| lab.dir.path().join(name);
    // Another handle of the store remembers nothing, and reads.
    let reading = Store::open(&lab.dir.path().join("store")).unwrap();
    let read = take_inventory(&reading, std::slice::from_ref(&packed.layer), &kept("read"));
    let path = lab.store.path(&packed.layer.blob);
    std::fs::remove_file(&path).unwrap();
    let remembered = take_inventory(&lab.store, std::slice::from_ref(&packed.layer), &kept("remembered"));
    assert_eq!(remembered, read);
    assert!(seen(&remembered.inventory()).contains(&"Flask 3.0.0 app/flask-3.0.0.dist-info/METADATA".to_owned()));
    // It is asked for once.
    let again = take_inventory(&lab.store, std::slice::from_ref(&packed.layer), &kept("again"));
    assert!(again.inventory().incomplete.iter().any(|finding| finding.what.contains("was not read")));
}

#[test]
fn a_tree_whose_links_have_the_better_names_is_read_from_its_layer() {
    let lab = Lab::new();
    let tree = lab.tree("tree");
    std::fs::create_dir_all(tree.join("app/node_modules/express")).unwrap();
    std::fs::create_dir_all(tree.join("a-store")).unwrap();
    std::fs::write(tree.join("a-store/ab12"), EXPRESS).unwrap();
    std::fs::hard_link(tree.join("a-store/ab12"), tree.join("app/node_modules/express/package.json")).unwrap();
    let packed = till_image::pack(&tree, &packing(Compression::Zstd), &lab.store).unwrap();
    let inventory = take_inventory(&lab.store, &[packed.layer], &lab.dir.path().join("kept")).inventory();
    assert_eq!(seen(&inventory), ["express 4.18.2 app/node_modules/express/package.json"]);
}
