//! Promises of packing: what goes in comes out, and the same tree gives the same bytes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};
use std::path::Path;

use crate::common::{EPOCH, Lab, attributes, look, make_node, packing, set_attribute, set_mtime};
use proptest::prelude::*;
use rustix::fs::FileType;
use till_core::{Blame as _, Fault};
use till_image::{Compression, IdShift, Packing, open_layer, pack, unpack_layer};

/// A tree with one of everything.
fn everything(root: &Path) {
    let long = "n".repeat(200);
    fs::create_dir_all(root.join("dir/deep").join(&long)).unwrap();
    fs::write(root.join("dir/deep").join(&long).join(&long), "deep").unwrap();
    fs::write(root.join("dir-sorted"), "between dir and dir/").unwrap();
    fs::write(root.join("grüße"), "hi").unwrap();
    fs::write(root.join("a\nb"), "").unwrap();
    fs::write(root.join("block"), vec![7; 512]).unwrap();
    fs::hard_link(root.join("block"), root.join("dir/linked")).unwrap();
    symlink("x".repeat(150), root.join("long link")).unwrap();
    symlink("/etc/passwd", root.join("absolute")).unwrap();
    lchown(root.join("absolute"), Some(3), Some(4)).unwrap();
    make_node(&root.join("fifo"), FileType::Fifo, 0);
    make_node(&root.join("removed"), FileType::CharacterDevice, 0);
    set_attribute(&root.join("dir/deep"), "trusted.overlay.opaque", b"y");
    set_attribute(&root.join("dir"), "user.colour", b"blue\0=\n");
    set_attribute(&root.join("block"), "trusted.overlay.origin", b"x");
    let mut sparse = File::create(root.join("sparse")).unwrap();
    sparse.seek(SeekFrom::Start(3 << 20)).unwrap();
    sparse.write_all(b"end").unwrap();
    sparse.set_len(5 << 20).unwrap();
    fs::write(root.join("setuid"), "s").unwrap();
    chown(root.join("setuid"), Some(3_000_000), Some(1000)).unwrap();
    fs::set_permissions(root.join("setuid"), fs::Permissions::from_mode(0o4755)).unwrap();
    let mut capability = vec![0; 20];
    capability[3] = 2;
    capability[5] = 4;
    set_attribute(&root.join("setuid"), "security.capability", &capability);
    set_mtime(&root.join("dir-sorted"), 1_000_000_000);
    set_mtime(&root.join("dir"), -5);
}

#[test]
fn root_everything_comes_back_in_every_compression() {
    let lab = Lab::new();
    let upper = lab.tree("upper");
    everything(&upper);
    let mut diff_ids = Vec::new();
    for compression in [Compression::Zstd, Compression::Gzip, Compression::None] {
        let packed = pack(&upper, &packing(compression), &lab.store).unwrap();
        let root = lab.tree(&format!("{compression:?}"));
        let unpacked = unpack_layer(&lab.store, &packed.layer, &root, IdShift::none()).unwrap();
        assert_eq!(unpacked.files, packed.files);
        let mut tree = look(&upper);
        tree.get_mut(b"block".as_slice()).unwrap().attributes.clear();
        tree.get_mut(b"dir/linked".as_slice()).unwrap().attributes.clear();
        let mut back = look(&root);
        for tree in [&mut tree, &mut back] {
            // A whiteout has neither mode nor time.
            let whiteout = tree.get_mut(b"removed".as_slice()).unwrap();
            (whiteout.mode, whiteout.mtime) = (0, (0, 0));
        }
        assert_eq!(back, tree);
        diff_ids.push(packed.layer.diff_id);
    }
    assert_eq!(diff_ids[0], diff_ids[1]);
    assert_eq!(diff_ids[0], diff_ids[2]);
    let seen = look(&upper);
    assert_eq!(seen[b"dir-sorted".as_slice()].mtime, (1_000_000_000, 0));
    assert_eq!(seen[b"block".as_slice()].mtime, (EPOCH as i64, 0));
}

#[test]
fn root_entries_are_sorted_and_whiteouts_come_first() {
    let lab = Lab::new();
    let upper = lab.tree("upper");
    everything(&upper);
    let packed = pack(&upper, &packing(Compression::Zstd), &lab.store).unwrap();
    let mut archive = tar::Archive::new(open_layer(&lab.store, &packed.layer).unwrap());
    let list: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            format!("{:?} {}", entry.header().entry_type(), path.replace(&"n".repeat(200), "LONG"))
        })
        .collect();
    insta::assert_snapshot!(list.join("\n"), @r#"
    Regular .wh.removed
    Regular a
    b
    Symlink absolute
    Regular block
    Directory dir/
    Regular dir-sorted
    Directory dir/deep/
    Regular dir/deep/.wh..wh..opq
    Directory dir/deep/LONG/
    Regular dir/deep/LONG/LONG
    Link dir/linked
    Fifo fifo
    Regular grüße
    Symlink long link
    Regular setuid
    Regular sparse
    "#);
}

/// A tree whose files are made in the order of `seed`, at whatever time it is, for an instance shifted by `first`.
fn shifted_tree(root: &Path, first: u32, backwards: bool) {
    let mut names: Vec<String> = (0..40).map(|n| format!("d{}/f{n}", n % 3)).collect();
    if backwards {
        names.reverse();
    }
    for name in names {
        fs::create_dir_all(root.join(&name).parent().unwrap()).unwrap();
        fs::write(root.join(&name), name.repeat(100)).unwrap();
        chown(root.join(&name), Some(first + 5), Some(first)).unwrap();
    }
    for dir in ["d0", "d1", "d2"] {
        chown(root.join(dir), Some(first), Some(first)).unwrap();
    }
    let mut capability = vec![0; 20];
    (capability[3], capability[5]) = (2, 4);
    if first > 0 {
        capability[3] = 3;
        capability.extend_from_slice(&first.to_le_bytes());
    }
    set_attribute(&root.join("d1/f1"), "security.capability", &capability);
    if backwards {
        set_mtime(&root.join("d1/f1"), 4_000_000_000);
    }
}

#[test]
fn root_the_same_tree_gives_the_same_bytes() {
    let lab = Lab::new();
    let (plain, shifted) = (lab.tree("plain"), lab.tree("shifted"));
    shifted_tree(&plain, 0, false);
    shifted_tree(&shifted, 200_000, true);
    let ids = IdShift { first: 200_000, count: 65_536 };
    for compression in [Compression::Zstd, Compression::Gzip] {
        let one = pack(&plain, &packing(compression), &lab.store).unwrap();
        let other = pack(&shifted, &Packing { ids, ..packing(compression) }, &lab.store).unwrap();
        assert_eq!(one, other);
        assert_eq!(pack(&plain, &packing(compression), &lab.store).unwrap(), one);
        let root = lab.tree(&format!("{compression:?}"));
        unpack_layer(&lab.store, &one.layer, &root, ids).unwrap();
        assert_eq!(look(&root), look(&shifted));
        assert_eq!(attributes(&root.join("d1/f1"))[b"security.capability".as_slice()][3], 3);
    }
}

#[test]
fn root_golden_diff_id() {
    let lab = Lab::new();
    let upper = lab.tree("upper");
    everything(&upper);
    let packed = pack(&upper, &packing(Compression::None), &lab.store).unwrap();
    insta::assert_snapshot!(packed.layer.diff_id, @"sha256:28a93eb04b45d884e8d5d6c15e354ba98a619ba773c2c9bd264a6dd383f51d86");
    assert_eq!(packed.layer.diff_id.0, packed.layer.blob.0);
}

#[test]
fn root_an_empty_tree_is_an_empty_layer() {
    let lab = Lab::new();
    let packed = pack(&lab.tree("upper"), &packing(Compression::None), &lab.store).unwrap();
    assert_eq!((packed.files, packed.content_bytes), (0, 1024));
    let mut bytes = Vec::new();
    open_layer(&lab.store, &packed.layer).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, [0; 1024]);
    let root = lab.tree("root");
    unpack_layer(&lab.store, &packed.layer, &root, IdShift::none()).unwrap();
    assert_eq!(look(&root), BTreeMap::new());
}

#[test]
fn root_sockets_are_removed() {
    let lab = Lab::new();
    let upper = lab.tree("upper");
    make_node(&upper.join("socket"), FileType::Socket, 0);
    assert_eq!(pack(&upper, &packing(Compression::Zstd), &lab.store).unwrap().files, 0);
    assert!(!upper.join("socket").exists());
}

type Make = fn(&Path);

fn device(path: &Path, kind: FileType, major: u32, minor: u32) {
    make_node(path, kind, rustix::fs::makedev(major, minor));
}

/// Each makes something odd at a path.
fn odd_things() -> [(&'static str, Make, &'static str); 5] {
    [
        ("null", |x| device(x, FileType::CharacterDevice, 1, 3), "device"),
        ("disk", |x| device(x, FileType::BlockDevice, 7, 0), "device"),
        ("whiteout", |x| fs::write(x.with_file_name(".wh.x"), "").unwrap(), ".wh."),
        (
            "owner",
            |x| {
                fs::write(x, "").unwrap();
                chown(x, Some(70_000), None).unwrap();
            },
            "70000",
        ),
        (
            "redirect",
            |x| {
                fs::create_dir(x).unwrap();
                set_attribute(x, "trusted.overlay.redirect", b"y");
            },
            "elsewhere",
        ),
    ]
}

#[test]
fn root_odd_things_are_refused_by_name() {
    let lab = Lab::new();
    let ids = IdShift { first: 0, count: 65_536 };
    for (name, make, word) in odd_things() {
        let upper = lab.tree(name);
        make(&upper.join("x"));
        let error = pack(&upper, &Packing { ids, ..packing(Compression::Zstd) }, &lab.store).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert!(error.to_string().contains("x`"), "{error}");
        assert_eq!(error.fault(), Fault::Source);
    }
    assert_eq!(fs::read_dir(lab.dir.path().join("store/staging")).unwrap().count(), 0);
}

#[derive(Debug, Clone)]
enum Leaf {
    File(Vec<u8>, u32, bool),
    Link(String),
    Fifo,
    Whiteout,
    Directory(bool),
}

fn leaf() -> impl Strategy<Value = Leaf> {
    prop_oneof![
        4 => (prop::collection::vec(any::<u8>(), 0..2000), 0..0o10000_u32, any::<bool>())
            .prop_map(|(bytes, mode, attribute)| Leaf::File(bytes, mode, attribute)),
        1 => "[a-zé/.]{1,120}".prop_map(Leaf::Link),
        1 => Just(Leaf::Fifo),
        1 => Just(Leaf::Whiteout),
        1 => any::<bool>().prop_map(Leaf::Directory),
    ]
}

fn build(root: &Path, leaves: &[(String, Leaf)]) {
    for (path, leaf) in leaves {
        let path = root.join(path);
        if fs::create_dir_all(path.parent().unwrap()).is_err() || fs::symlink_metadata(&path).is_ok() {
            continue;
        }
        match leaf {
            Leaf::File(bytes, mode, attribute) => {
                fs::write(&path, bytes).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
                if *attribute {
                    set_attribute(&path, "user.x", &bytes[..bytes.len().min(100)]);
                }
                let _ = fs::hard_link(&path, root.join("again"));
            }
            Leaf::Link(target) => symlink(target, &path).unwrap(),
            Leaf::Fifo => make_node(&path, FileType::Fifo, 0),
            Leaf::Whiteout => make_node(&path, FileType::CharacterDevice, 0),
            Leaf::Directory(opaque) => {
                fs::create_dir(&path).unwrap();
                if *opaque {
                    set_attribute(&path, "trusted.overlay.opaque", b"y");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn root_any_tree_comes_back(
        leaves in prop::collection::vec(("[a-c]{1,2}(/[a-cü ]{1,90}){0,3}", leaf()), 0..25),
        zstd in any::<bool>(),
    ) {
        let lab = Lab::new();
        let upper = lab.tree("upper");
        build(&upper, &leaves);
        let compression = if zstd { Compression::Zstd } else { Compression::Gzip };
        let packed = pack(&upper, &packing(compression), &lab.store).unwrap();
        let root = lab.tree("root");
        unpack_layer(&lab.store, &packed.layer, &root, IdShift::none()).unwrap();
        let plain = |root: &Path| {
            let mut tree = look(root);
            for file in tree.values_mut().filter(|file| file.kind == "device") {
                (file.mode, file.mtime) = (0, (0, 0));
            }
            tree
        };
        prop_assert_eq!(plain(&root), plain(&upper));
        // Packed again, what came back is the same layer.
        prop_assert_eq!(pack(&root, &packing(compression), &lab.store).unwrap(), packed);
    }
}
