//! Manifests, configs and exports.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::common::{Lab, packing};
use till_core::model::{Launch, Port, Process, Protocol};
use till_core::{Blame as _, Fault};
use till_image::{
    Assembly, Compression, Destination, ExportCompression, IdShift, Image, Store, assemble, converted, export, load,
    pack, unpack_layer,
};

fn launch() -> Launch {
    Launch {
        processes: BTreeMap::from([(
            "web".to_owned(),
            Process { argv: vec!["/bin/serve".to_owned(), "--fast".to_owned()] },
        )]),
        ports: vec![Port {
            name: "http".to_owned(),
            number: 8080,
            protocol: Protocol::Http,
            process: "web".to_owned(),
        }],
        default: None,
        services: vec!["web".to_owned()],
        health: None,
        env: BTreeMap::from([("PATH".to_owned(), "/usr/bin".to_owned()), ("A".to_owned(), "1".to_owned())]),
        user: "app".to_owned(),
        dir: "/app".to_owned(),
    }
}

/// A base, and an image upon it.
fn images(lab: &Lab) -> (Image, Image) {
    let layer = |name: &str, compression| {
        let tree = lab.tree(name);
        fs::write(tree.join(name), name.repeat(1000)).unwrap();
        pack(&tree, &packing(compression), &lab.store).unwrap().layer
    };
    let base = Assembly {
        layers: vec![(layer("base", Compression::Gzip), "till base".to_owned())],
        labels: BTreeMap::from([("io.tillage.base".to_owned(), "x".to_owned()), ("vendor".to_owned(), "y".to_owned())]),
        epoch: 1_000_000_000,
        ..Assembly::default()
    };
    let base = assemble(&base, &lab.store).unwrap();
    let launch = launch();
    let image = Assembly {
        base: Some(&base),
        layers: vec![(layer("app", Compression::Zstd), "till build".to_owned())],
        epoch: 1_600_000_000,
        labels: BTreeMap::from([("io.tillage.app".to_owned(), "z".to_owned())]),
        launch: Some((&launch, Some("web"))),
        annotations: BTreeMap::from([("note".to_owned(), "n".to_owned())]),
        ..Assembly::default()
    };
    let image = assemble(&image, &lab.store).unwrap();
    (base, image)
}

fn pretty(store: &Store, digest: &till_core::Digest) -> serde_json::Value {
    serde_json::from_slice(&store.get(digest).unwrap()).unwrap()
}

#[test]
fn root_an_image_is_its_base_and_more() {
    let lab = Lab::new();
    let (base, image) = images(&lab);
    assert_eq!(load(&lab.store, &image.manifest).unwrap(), image);
    assert_eq!(load(&lab.store, &base.manifest).unwrap(), base);
    assert_eq!(image.layers[0], base.layers[0]);
    assert_eq!(image.config.labels.keys().collect::<Vec<_>>(), ["io.tillage.app", "vendor"]);
    let manifest = pretty(&lab.store, &image.manifest);
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    let config = manifest["config"]["digest"].as_str().unwrap().parse().unwrap();
    let mut config = pretty(&lab.store, &config);
    config["architecture"] = "any".into();
    config["rootfs"]["diff_ids"] = "…".into();
    insta::assert_snapshot!(config, @r#"{"architecture":"any","config":{"Entrypoint":["/bin/serve","--fast"],"Env":["A=1","PATH=/usr/bin","PORT=8080"],"ExposedPorts":{"8080/tcp":{}},"Labels":{"io.tillage.app":"z","vendor":"y"},"User":"app","WorkingDir":"/app"},"created":"2020-09-13T12:26:40Z","history":[{"created":"2001-09-09T01:46:40Z","created_by":"till base"},{"created":"2020-09-13T12:26:40Z","created_by":"till build"}],"os":"linux","rootfs":{"diff_ids":"…","type":"layers"}}"#);
}

#[test]
fn root_a_process_that_is_not_there_is_refused() {
    let lab = Lab::new();
    let launch = launch();
    let assembly = Assembly { launch: Some((&launch, Some("worker"))), ..Assembly::default() };
    assert!(assemble(&assembly, &lab.store).unwrap_err().to_string().contains("`worker`"));
    let assembly = Assembly { launch: Some((&launch, None)), ..Assembly::default() };
    let image = assemble(&assembly, &lab.store).unwrap();
    assert_eq!(image.config.entrypoint, Vec::<String>::new());
    assert_eq!(image.config.env_of("PORT"), None);
}

fn at(dir: &Path, reference: &str) -> Destination {
    Destination::Layout { dir: dir.to_owned(), reference: reference.to_owned() }
}

#[test]
fn root_an_export_is_the_same_image() {
    let lab = Lab::new();
    let (base, image) = images(&lab);
    let into = lab.dir.path().join("new/layout");
    let export =
        |image: &Image, name: &str, compression| export(&lab.store, &image.manifest, &at(&into, name), compression);
    assert_eq!(export(&image, "app:1", ExportCompression::Keep).unwrap(), image.manifest);
    assert_eq!(export(&base, "base", ExportCompression::Keep).unwrap(), base.manifest);
    assert_eq!(export(&base, "app:1", ExportCompression::Keep).unwrap(), base.manifest);
    export(&image, "app:2", ExportCompression::Keep).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&fs::read(into.join("index.json")).unwrap()).unwrap();
    let names: Vec<_> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["base", "app:1", "app:2"]);
    assert!(!into.join(".staging").exists());
    let mut entries: Vec<_> = fs::read_dir(&into).unwrap().map(|e| e.unwrap().file_name()).collect();
    entries.sort();
    assert_eq!(entries, ["blobs", "index.json", "oci-layout"]);

    let layout = Store::open(&into).unwrap();
    assert_eq!(load(&layout, &image.manifest).unwrap(), image);
    for (digest, _) in layout.blobs().unwrap() {
        assert_eq!(fs::read(layout.path(&digest)).unwrap(), fs::read(lab.store.path(&digest)).unwrap());
    }
}

#[test]
fn root_an_export_in_another_compression_has_the_same_content() {
    let lab = Lab::new();
    let (_, image) = images(&lab);
    for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
        let into = lab.dir.path().join(format!("{compression:?}"));
        let convert = ExportCompression::Convert(compression);
        let manifest = export(&lab.store, &image.manifest, &at(&into, "app"), convert).unwrap();
        assert_ne!(manifest, image.manifest);
        let layout = Store::open(&into).unwrap();
        let exported = load(&layout, &manifest).unwrap();
        assert_eq!(exported.config, image.config);
        for (number, (one, other)) in exported.layers.iter().zip(&image.layers).enumerate() {
            assert_eq!(one.diff_id, other.diff_id);
            assert_eq!(one.media_type, compression.media_type());
            let root = lab.tree(&format!("{compression:?}-{number}"));
            unpack_layer(&layout, one, &root, IdShift::none()).unwrap();
        }
    }
}

#[test]
fn root_a_directory_with_something_else_is_left_alone() {
    let lab = Lab::new();
    let (_, image) = images(&lab);
    let into = lab.tree("home");
    fs::write(into.join("letter"), "").unwrap();
    let error = export(&lab.store, &image.manifest, &at(&into, "x"), ExportCompression::Keep).unwrap_err();
    assert_eq!(error.fault(), Fault::Caller);
    assert_eq!(fs::read_dir(&into).unwrap().count(), 1);
}

#[test]
fn root_a_layer_is_converted_once_and_again_when_that_is_gone() {
    let lab = Lab::new();
    let (_, image) = images(&lab);
    let before = lab.store.blobs().unwrap().len();
    let gzip = ExportCompression::Convert(Compression::Gzip);
    let manifest = converted(&lab.store, &image.manifest, gzip).unwrap();
    let others: Vec<_> =
        image.layers.iter().filter(|layer| layer.media_type != Compression::Gzip.media_type()).collect();
    let blobs = lab.store.blobs().unwrap();
    assert!(!others.is_empty() && blobs.len() == before + others.len() + 1, "its layers and its manifest");
    // What is known of them is enough: the layers that they were made of are not read again.
    for layer in &others {
        fs::remove_file(lab.store.path(&layer.blob)).unwrap();
    }
    assert_eq!(converted(&lab.store, &image.manifest, gzip).unwrap(), manifest);
    let into = lab.dir.path().join("layout");
    assert_eq!(export(&lab.store, &image.manifest, &at(&into, "app"), gzip).unwrap(), manifest);
    assert_eq!(lab.store.blobs().unwrap().len(), blobs.len() - others.len());
    // What is gone is not believed to be there.
    for layer in load(&lab.store, &manifest).unwrap().layers {
        lab.store.remove(&layer.blob).unwrap();
    }
    lab.store.forget_conversions().unwrap();
    let error = converted(&lab.store, &image.manifest, gzip).unwrap_err();
    assert!(error.to_string().contains("read"), "{error}");
}
