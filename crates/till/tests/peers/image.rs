//! Images as archives of Docker's kind: what is in their trees, and what they say of themselves.
//!
//! Times are not read: ours are those of the plan. Several names of one file are read as several files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tar::EntryType;

/// What is compared of a configuration.
const KEYS: [&str; 12] = [
    "User",
    "Env",
    "WorkingDir",
    "Entrypoint",
    "Cmd",
    "ExposedPorts",
    "Volumes",
    "Labels",
    "StopSignal",
    "Healthcheck",
    "Shell",
    "OnBuild",
];

/// What each builder says of itself in labels.
const OWN_LABELS: [&str; 2] = ["io.tillage.", "io.buildah."];

/// A file, as a layer has it. Two are equal when nothing but their times may differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    kind: char,
    mode: u32,
    owner: (u64, u64),
    target: String,
    device: (u32, u32),
    /// Size and hash.
    content: (u64, u64),
    attributes: BTreeMap<String, Vec<u8>>,
}

/// One entry of a layer.
#[derive(Debug, Clone)]
enum Change {
    Is(Node),
    SameAs(String),
}

type Layer = Arc<Vec<(String, Change)>>;

/// An image, read.
#[derive(Debug, Default)]
pub struct Image {
    pub tree: BTreeMap<String, Node>,
    pub config: BTreeMap<&'static str, Value>,
}

impl Image {
    /// Reads an archive that was unpacked here.
    pub fn read(folder: &Path) -> Self {
        let json = |name: &str| -> Value { serde_json::from_reader(File::open(folder.join(name)).unwrap()).unwrap() };
        let manifest = json("manifest.json");
        let config = json(manifest[0]["Config"].as_str().unwrap());
        let layers = manifest[0]["Layers"].as_array().unwrap();
        let names = config["rootfs"]["diff_ids"].as_array().unwrap();
        assert_eq!(layers.len(), names.len());
        let mut image = Self::default();
        for (layer, name) in layers.iter().zip(names) {
            let path = folder.join(layer.as_str().unwrap());
            image.put(&layer_of(&path, name.as_str().unwrap()));
        }
        for key in KEYS {
            image.config.insert(key, plain(key, &config["config"][key]));
        }
        image
    }

    /// Puts a layer upon what is there.
    fn put(&mut self, layer: &Layer) {
        for (path, change) in layer.iter() {
            let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
            if name == ".wh..wh..opq" {
                self.clear(above);
            } else if let Some(gone) = name.strip_prefix(".wh.") {
                let gone = if above.is_empty() { gone.to_owned() } else { format!("{above}/{gone}") };
                self.clear(&gone);
                self.tree.remove(&gone);
            } else {
                let node = match change {
                    Change::Is(node) => node.clone(),
                    Change::SameAs(other) => self.tree[other].clone(),
                };
                if node.kind != 'd' {
                    self.clear(path);
                }
                self.tree.insert(path.clone(), node);
            }
        }
    }

    /// Removes all that is below.
    fn clear(&mut self, path: &str) {
        let below = format!("{path}/");
        let paths = self.tree.range(below.clone()..).map(|(path, _)| path);
        let gone: Vec<_> = paths.take_while(|path| path.starts_with(&below)).cloned().collect();
        for path in gone {
            self.tree.remove(&path);
        }
    }

    /// What differs, by its path or its key, and how.
    pub fn differences(&self, other: &Self) -> BTreeMap<String, String> {
        let mut differences = BTreeMap::new();
        let paths: BTreeSet<_> = self.tree.keys().chain(other.tree.keys()).collect();
        for path in paths {
            let (ours, theirs) = (self.tree.get(path), other.tree.get(path));
            if ours != theirs {
                differences.insert(format!("/{path}"), format!("ours: {ours:?}; theirs: {theirs:?}"));
            }
        }
        for key in KEYS {
            let (ours, theirs) = (&self.config[key], &other.config[key]);
            if ours != theirs {
                differences.insert(key.to_owned(), format!("ours: {ours}; theirs: {theirs}"));
            }
        }
        differences
    }
}

/// A value without what means nothing: the order of variables, what is empty, a builder's own labels.
fn plain(key: &str, value: &Value) -> Value {
    let mut value = value.clone();
    match &mut value {
        Value::Array(list) if key == "Env" => list.sort_by(|a, b| a.as_str().cmp(&b.as_str())),
        Value::Object(map) if key == "Labels" => {
            map.retain(|name, _| !OWN_LABELS.iter().any(|own| name.starts_with(own)));
        }
        _ => {}
    }
    match &value {
        Value::Array(list) if list.is_empty() => Value::Null,
        Value::Object(map) if map.is_empty() => Value::Null,
        Value::String(text) if text.is_empty() => Value::Null,
        _ => value,
    }
}

/// Layers that were read, by the digest of their archive: most images share the ones of their base.
static READ: Mutex<Option<HashMap<String, Layer>>> = Mutex::new(None);

fn layer_of(path: &Path, name: &str) -> Layer {
    let read = || READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(layer) = read().get_or_insert_default().get(name) {
        return layer.clone();
    }
    let mut entries = Vec::new();
    let mut archive = tar::Archive::new(File::open(path).unwrap());
    for entry in archive.entries().unwrap() {
        entries.push(change(&mut entry.unwrap()));
    }
    let layer = Arc::new(entries);
    read().get_or_insert_default().insert(name.to_owned(), layer.clone());
    layer
}

fn change(entry: &mut tar::Entry<'_, File>) -> (String, Change) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let clean = |path: &str| path.trim_start_matches("./").trim_matches('/').to_owned();
    let path = clean(&text(&entry.path_bytes()));
    let target = entry.link_name_bytes().map(|bytes| text(&bytes)).unwrap_or_default();
    let kind = match entry.header().entry_type() {
        EntryType::Link => return (path, Change::SameAs(clean(&target))),
        EntryType::Directory => 'd',
        EntryType::Symlink => 'l',
        EntryType::Fifo => 'p',
        EntryType::Char => 'c',
        EntryType::Block => 'b',
        _ => 'f',
    };
    let mut attributes = BTreeMap::new();
    for extension in entry.pax_extensions().unwrap().into_iter().flatten() {
        let extension = extension.unwrap();
        if let Some(name) = extension.key().unwrap().strip_prefix("SCHILY.xattr.") {
            attributes.insert(name.to_owned(), extension.value_bytes().to_vec());
        }
    }
    let header = entry.header();
    let device = (header.device_major().ok().flatten(), header.device_minor().ok().flatten());
    let node = Node {
        kind,
        // Docker puts the kind of a file in there, too. What a symlink may be done with is nobody's business.
        mode: if kind == 'l' { 0o777 } else { header.mode().unwrap() & 0o7777 },
        owner: (header.uid().unwrap(), header.gid().unwrap()),
        target,
        device: if matches!(kind, 'c' | 'b') { (device.0.unwrap_or(0), device.1.unwrap_or(0)) } else { (0, 0) },
        content: (entry.size(), 0),
        attributes,
    };
    let content = (node.content.0, hash(entry));
    (path, Change::Is(Node { content, ..node }))
}

/// Enough to tell files apart that nobody made to deceive.
fn hash(content: &mut dyn Read) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match content.read(&mut buffer).unwrap() {
            0 => return hasher.finish(),
            count => hasher.write(&buffer[..count]),
        }
    }
}

#[test]
fn images_that_differ_in_a_single_thing_are_told_apart() {
    let node = Node {
        kind: 'f',
        mode: 0o644,
        owner: (0, 0),
        target: String::new(),
        device: (0, 0),
        content: (1, 2),
        attributes: BTreeMap::new(),
    };
    let attributes = BTreeMap::from([("security.capability".to_owned(), vec![1])]);
    let others = [
        Node { kind: 'd', ..node.clone() },
        Node { mode: 0o4644, ..node.clone() },
        Node { owner: (0, 1), ..node.clone() },
        Node { target: "x".to_owned(), ..node.clone() },
        Node { content: (1, 3), ..node.clone() },
        Node { attributes, ..node.clone() },
    ];
    let image = |node: &Node, user: &str| Image {
        tree: BTreeMap::from([("x/y".to_owned(), node.clone())]),
        config: KEYS.iter().map(|key| (*key, plain(key, &user.into()))).collect(),
    };
    let one = image(&node, "");
    assert_eq!(one.differences(&image(&node, "")), BTreeMap::new());
    for other in &others {
        assert!(one.differences(&image(other, "")).contains_key("/x/y"), "{other:?}");
    }
    assert_eq!(one.differences(&image(&node, "app")).len(), KEYS.len());
    let mut cleared = image(&node, "");
    cleared.put(&Arc::new(vec![("x/.wh..wh..opq".to_owned(), Change::Is(node.clone()))]));
    assert!(cleared.tree.is_empty());
}
