//! Archives that were made to do harm: outside of the tree nothing changes.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::common::{Lab, attributes, look, packing, source};
use crate::evil::Evil;
use till_core::{Blame as _, Fault};
use till_image::{Compression, IdShift, ImageError, Unpacked, Unpacking, Whiteouts, pack, unpack, unpack_layer};

/// A tree with a neighbour that must not be touched.
struct Fort {
    lab: Lab,
    root: PathBuf,
}

impl Fort {
    fn new() -> Self {
        let lab = Lab::new();
        let outside = lab.tree("outside");
        fs::write(outside.join("secret"), "secret").unwrap();
        let root = lab.tree("root");
        Self { lab, root }
    }

    fn unpack(&self, evil: Evil, unpacking: &Unpacking) -> Result<Unpacked, ImageError> {
        let outside = self.lab.dir.path().join("outside");
        let before = (look(&outside), fs::metadata(&outside).unwrap().mode());
        let result = unpack(&mut evil.end().as_slice(), &self.root, "app", unpacking);
        assert_eq!((look(&outside), fs::metadata(&outside).unwrap().mode()), before);
        result
    }

    fn app(&self, path: &str) -> PathBuf {
        self.root.join("app").join(path)
    }
}

fn why(result: Result<Unpacked, ImageError>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.fault(), Fault::Source, "{error}");
    error.to_string()
}

type Refused = Vec<(&'static str, Evil, &'static str)>;

fn bad_names_and_links() -> Refused {
    vec![
        ("dots", Evil::default().file("../x", ""), "`..`"),
        ("inner dots", Evil::default().file("a/../../x", ""), "`..`"),
        ("no name", Evil::default().file(".", ""), "no name"),
        ("nul", Evil::default().pax("path", "a\0b").file("x", ""), "NUL"),
        ("char", Evil::default().entry(b'3', "x", "", b""), "device"),
        ("block", Evil::default().entry(b'4', "x", "", b""), "device"),
        ("link out", Evil::default().entry(b'1', "x", "../outside/secret", b""), "leads outside"),
        ("link to none", Evil::default().entry(b'1', "x", "gone", b""), "no file"),
        ("link to dir", Evil::default().entry(b'5', "d", "", b"").entry(b'1', "x", "d", b""), "no file"),
        ("link to nothing", Evil::default().entry(b'2', "x", "", b""), "nowhere"),
    ]
}

fn bad_kinds_and_numbers() -> Refused {
    vec![
        ("whiteout", Evil::default().file("a/.wh.b", ""), ".wh."),
        ("whiteout dir", Evil::default().file(".wh.a/b", ""), ".wh."),
        ("unknown", Evil::default().entry(b'V', "x", "", b""), "unknown kind"),
        ("id", Evil::default().pax("uid", "4294967296").file("x", ""), "owner"),
        ("long", Evil::default().pax("path", &"n".repeat(300)).file("x", ""), "too long"),
        ("link with content", Evil::default().entry(b'2', "x", "y", b"z"), "no file"),
        ("sparse", Evil::default().entry(b'S', "x", "", b""), "unknown kind"),
        ("deep", Evil::default().pax("path", &"d/".repeat(150)).file("x", ""), "more than 100 files"),
    ]
}

#[test]
fn root_what_cannot_be_is_refused() {
    let cases = bad_names_and_links().into_iter().chain(bad_kinds_and_numbers());
    for (name, evil, word) in cases {
        let fort = Fort::new();
        let error = why(fort.unpack(evil, &source()));
        assert!(error.contains(word), "{name}: {error}");
    }
}

#[test]
fn root_links_lead_nowhere_but_inside() {
    let fort = Fort::new();
    let outside = fort.lab.dir.path().join("outside");
    let outside = outside.to_str().unwrap();
    let evil = Evil::default()
        .entry(b'2', "abs", outside, b"")
        .file("abs/planted", "x")
        .entry(b'2', "up", "../../../../..", b"")
        .file("up/top", "x")
        .entry(b'2', "proc", "/proc/self/root", b"")
        .file("proc/y", "x")
        .entry(b'2', "loop", "loop", b"")
        .file("loop/z", "x")
        .entry(b'2', "file", &format!("{outside}/secret"), b"")
        .file("file", "mine")
        .entry(b'2', "dir", outside, b"")
        .entry(b'5', "dir", "", b"");
    fort.unpack(evil, &source()).unwrap();
    assert_eq!(fs::read(fort.app("top")).unwrap(), b"x");
    assert_eq!(fs::read(fort.app("file")).unwrap(), b"mine");
    assert!(fs::symlink_metadata(fort.app("dir")).unwrap().is_dir());
    assert_eq!(fs::metadata(fort.app("file")).unwrap().mode() & 0o7777, 0o4755);
}

#[test]
fn root_a_prefix_that_is_a_link_stays_inside() {
    let fort = Fort::new();
    symlink("/../../outside", fort.root.join("app")).unwrap();
    fort.unpack(Evil::default().file("planted", "x"), &source()).unwrap();
    // Where it leads was not there.
    assert!(fs::symlink_metadata(fort.root.join("app")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(fort.root.join("outside/planted")).unwrap(), "x");
    let error = unpack(&mut Evil::default().end().as_slice(), &fort.root, "../outside", &source());
    assert!(error.is_err());
}

#[test]
fn root_the_last_of_several_wins_and_links_are_not_written_through() {
    let fort = Fort::new();
    let evil = Evil::default()
        .file("a", "first")
        .entry(b'1', "b", "a", b"")
        .file("a", "second")
        .entry(b'1', "a", "a", b"")
        .entry(b'5', "d", "", b"")
        .file("d/x", "gone")
        .file("d", "a file")
        .file("d/y", "in a directory again")
        .entry(b'2', "s", "t1", b"")
        .file("s/f", "one")
        .entry(b'2', "s", "t2", b"")
        .file("s/f", "two");
    fort.unpack(evil, &source()).unwrap();
    assert_eq!(fs::read(fort.app("a")).unwrap(), b"second");
    assert_eq!(fs::read(fort.app("b")).unwrap(), b"first");
    assert!(!fort.app("d/x").exists());
    assert_eq!(fs::read(fort.app("d/y")).unwrap(), b"in a directory again");
    assert_eq!(fs::read(fort.app("s/f")).unwrap(), b"two");
}

#[test]
fn root_limits_hold() {
    let small = Unpacking { limit_bytes: Some(10), limit_files: Some(2), ..source() };
    let fort = Fort::new();
    let error = why(fort.unpack(Evil::default().file("a", "0123456789x"), &small));
    assert!(error.contains("more than 10 bytes"), "{error}");
    let error = why(fort.unpack(Evil::default().file("a", "").file("b", "").file("c", ""), &small));
    assert!(error.contains("more than 2 files"), "{error}");
    // What PAX says counts, where the header cannot say it.
    let mut evil = Evil::default().pax("size", "9000000000");
    evil.header(b'0', b"a", b"", 0, 0);
    let error = why(fort.unpack(evil, &small));
    assert!(error.contains("more than 10 bytes"), "{error}");
    // A description without end is not kept in memory.
    let mut evil = Evil::default();
    evil.header(b'x', b"pax", b"", 1 << 40, 0);
    let mut endless = (&evil.0[..]).chain(std::io::repeat(b'1'));
    assert!(matches!(unpack(&mut endless, &fort.root, "", &source()), Err(ImageError::Archive(_))));
}

#[test]
fn root_archives_that_end_early_are_refused() {
    let fort = Fort::new();
    let whole = Evil::default().file("a", &"x".repeat(2000)).end();
    for length in [100, 512, 600, 1500, 2511, 2600] {
        let result = unpack(&mut &whole[..length], &fort.root, "", &source());
        assert!(matches!(result, Err(ImageError::Archive(_))), "{length}: {result:?}");
    }
}

#[test]
fn root_owners_are_replaced_and_shifted() {
    let fort = Fort::new();
    let unpacking = Unpacking { ids: IdShift { first: 100_000, count: 65_536 }, owner: Some((1000, 1001)), ..source() };
    let mut evil = Evil::default();
    evil.header(b'0', b"deep/file", b"", 0, 7);
    fort.unpack(evil, &unpacking).unwrap();
    let owner = |path: &Path| fs::metadata(path).map(|m| (m.uid(), m.gid())).unwrap();
    assert_eq!(owner(&fort.app("deep/file")), (101_000, 101_001));
    assert_eq!(owner(&fort.app("deep")), (101_000, 101_001), "a directory that is only implied, too");
    let mut evil = Evil::default();
    evil.header(b'0', b"x", b"", 0, 65_536);
    let error = why(fort.unpack(evil, &Unpacking { owner: None, ..unpacking }));
    assert!(error.contains("owner"), "{error}");
}

#[test]
fn root_whiteouts_work_inside_only() {
    let overlay = Unpacking { whiteouts: Whiteouts::Overlay, ..source() };
    for bad in [".wh.", ".wh..", ".wh...", ".wh..wh.plnk", "a/.wh..wh..opq/b", ".wh.x/y"] {
        let error = why(Fort::new().unpack(Evil::default().file(bad, ""), &overlay));
        assert!(error.contains(bad), "{error}");
    }
    let fort = Fort::new();
    let outside = fort.lab.dir.path().join("outside");
    let evil = Evil::default()
        .file(".wh..wh..opq", "")
        .file("a/.wh.gone", "")
        .entry(b'2', "s", outside.to_str().unwrap(), b"")
        .file("s/.wh..wh..opq", "")
        .file("s/.wh.secret", "");
    fort.unpack(evil, &overlay).unwrap();
    assert_eq!(attributes(&fort.app(""))[b"trusted.overlay.opaque".as_slice()], b"y");
    assert_eq!(fs::symlink_metadata(fort.app("a/gone")).unwrap().rdev(), 0);
    let plain = Unpacking { whiteouts: Whiteouts::Plain, ..source() };
    let fort = Fort::new();
    fort.unpack(Evil::default().file(".wh.x", "kept"), &plain).unwrap();
    assert_eq!(fs::read(fort.app(".wh.x")).unwrap(), b"kept");
}

#[test]
fn root_attributes_that_speak_to_the_kernel_are_dropped() {
    let fort = Fort::new();
    let evil = Evil::default()
        .pax("SCHILY.xattr.trusted.overlay.redirect", "/etc")
        .file("a", "")
        .pax("SCHILY.xattr.user.kept", "yes")
        .file("b", "")
        .entry(b'g', "pax_global_header", "", b"52 comment=0123456789012345678901234567890123456789\n")
        .file("c", "");
    fort.unpack(evil, &source()).unwrap();
    assert!(attributes(&fort.app("a")).is_empty());
    assert_eq!(attributes(&fort.app("b"))[b"user.kept".as_slice()], b"yes");
    assert!(fort.app("c").exists());
}

#[test]
fn root_a_layer_that_is_not_what_it_says_is_refused() {
    let fort = Fort::new();
    let upper = fort.lab.tree("upper");
    fs::write(upper.join("a"), "content").unwrap();
    let packed = pack(&upper, &packing(Compression::Gzip), &fort.lab.store).unwrap();
    let other = pack(&fort.root, &packing(Compression::Gzip), &fort.lab.store).unwrap();
    let mut layer = packed.layer.clone();
    layer.diff_id = other.layer.diff_id;
    let error = unpack_layer(&fort.lab.store, &layer, &fort.root, IdShift::none()).unwrap_err();
    assert!(matches!(error, ImageError::Damaged { .. }), "{error}");

    let path = fort.lab.store.path(&packed.layer.blob);
    let mut bytes = fs::read(&path).unwrap();
    bytes[9] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, &bytes).unwrap();
    let error = unpack_layer(&fort.lab.store, &packed.layer, &fort.root, IdShift::none()).unwrap_err();
    assert!(matches!(error, ImageError::Damaged { .. }), "{error}");
    assert_eq!(error.fault(), Fault::House);
}
