//! Whatever an archive says: nothing panics, nothing hangs, nothing outside changes; and what is let in can be unpacked.

use std::fs;

use proptest::prelude::*;
use till_image::{IdShift, ImportLimits, Unpacking, Whiteouts, unpack, unpack_layer};

use crate::common::{look, source};
use crate::evil::{Evil, Layout};

/// Names that lie in each other's way.
const NAMES: [&str; 14] =
    ["a", "a/b", "a/b/c", "b", "./b/", "s", "s/x", ".wh.a", "a/.wh..wh..opq", ".wh.s", "/abs", "../up", "dev/tty", "."];

const LINKS: [&str; 7] = ["a", "b", "a/b", "../../outside/secret", "/outside", "..", ""];

#[derive(Debug, Clone)]
struct Item {
    flag: u8,
    name: usize,
    link: usize,
    size: usize,
    pax: bool,
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let flag = prop::sample::select(b"00055512234567LKgxS".to_vec());
    let item = (flag, 0..NAMES.len(), 0..LINKS.len(), 0..700_usize, any::<bool>());
    prop::collection::vec(item.prop_map(|(flag, name, link, size, pax)| Item { flag, name, link, size, pax }), 1..12)
}

fn archive(items: &[Item]) -> Vec<u8> {
    let mut evil = Evil::default();
    for item in items {
        if item.pax {
            evil = evil.pax("SCHILY.xattr.user.x", "y");
        }
        let size = if matches!(item.flag, b'0' | b'7' | b'L' | b'K' | b'g' | b'x') { item.size } else { 0 };
        evil = evil.entry(item.flag, NAMES[item.name], LINKS[item.link], &vec![b'n'; size]);
    }
    evil.end()
}

/// Unpacks as a source, as a layer, and as something plain.
fn unpack_all(layout: &Layout, bytes: &[u8]) {
    let outside = layout.lab.dir.path().join("outside");
    let before = look(&outside);
    for (number, whiteouts) in [Whiteouts::Refuse, Whiteouts::Overlay, Whiteouts::Plain].into_iter().enumerate() {
        let root = layout.lab.tree(&format!("root{number}"));
        let _ = unpack(&mut { bytes }, &root, "app", &Unpacking { whiteouts, ..source() });
    }
    assert_eq!(look(&outside), before);
    let mut names: Vec<_> = fs::read_dir(layout.lab.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["layout", "outside", "root0", "root1", "root2", "store"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn root_what_is_admitted_can_be_unpacked(items in items()) {
        let layout = Layout::new();
        let bytes = archive(&items);
        unpack_all(&layout, &bytes);
        if let Ok(imported) = layout.one_layer(&bytes, &ImportLimits::default()) {
            let root = layout.lab.tree("layer");
            unpack_layer(&layout.lab.store, &imported.image.layers[0], &root, IdShift::none()).unwrap();
        }
    }

    #[test]
    fn root_damaged_archives_do_no_harm(items in items(), damage in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6), cut in any::<usize>()) {
        let layout = Layout::new();
        let mut bytes = archive(&items);
        for (at, value) in damage {
            let length = bytes.len();
            bytes[at % length] = value;
        }
        bytes.truncate(cut % bytes.len() + 1);
        unpack_all(&layout, &bytes);
        let _ = layout.one_layer(&bytes, &ImportLimits::default());
    }

    #[test]
    fn any_documents_do_no_harm(index in ".{0,200}", manifest in prop::collection::vec(any::<u8>(), 0..200)) {
        let layout = Layout::new();
        layout.index(&[layout.blob(crate::evil::MANIFEST, &manifest)]);
        let _ = layout.import(&layout.source(None), &ImportLimits::default()).unwrap_err();
        fs::write(layout.dir.join("index.json"), index).unwrap();
        let _ = layout.import(&layout.source(None), &ImportLimits::default()).unwrap_err();
    }
}
