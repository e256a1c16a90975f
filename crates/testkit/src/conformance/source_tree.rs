//! What every source promises, wherever its files are.

use std::any::Any;
use std::path::PathBuf;

use till_core::Fault;
use till_core::model::source::Notice;
use till_core::model::{FileKind, SourceFile, SourceView};
use till_core::plan::NamedFile;
use till_core::port::SourceTree;

use crate::archive::{self, Found};
use crate::tree::{Entry, Tree, tree};

/// Source that was put somewhere.
pub struct Placed {
    /// It.
    pub source: Box<dyn SourceTree>,
    /// Held until the source is not needed any more, e.g. its directory.
    pub kept: Box<dyn Any>,
}

/// The time that archives get.
const EPOCH: u64 = 1_234_567_890;

/// Names that have been trouble somewhere.
const NAMES: [&str; 16] = [
    "plain.txt",
    "sp ace.txt",
    "new\nline.txt",
    "tab\t.txt",
    "quo\"te'.txt",
    "back\\slash",
    "-rf",
    "--",
    "#hash",
    "!bang",
    ":colon",
    "*.star",
    "[x]{y}",
    ".hidden/.file",
    "ünï/日本語.txt",
    "a-b/c",
];

/// The whole suite but for [`source_tree_leaves_out`] and [`source_tree_tells`]. `place` puts files where such source comes
/// from, and opens it.
pub async fn source_tree(place: impl AsyncFn(&Tree) -> Placed) {
    names_and_kinds(&place).await;
    texts(&place).await;
    parts(&place).await;
    changes(&place).await;
    sameness(&place).await;
    large(&place).await;
    many(&place).await;
}

fn varied() -> Tree {
    let mut files = tree(&[
        ("run.sh*", "#!/bin/sh\n"),
        ("link@", "dir/file"),
        ("dir/up@", "../run.sh"),
        ("dir/here@", "./file"),
        ("dir/dangling@", "nowhere/at/all"),
        ("dir/odd@", "..//dir/./file"),
        ("folder@", "dir/"),
        ("dir/file", "text\r\nof two lines"),
        ("empty", ""),
        ("a/b", ""),
        ("a.b", ""),
        ("a0", ""),
    ]);
    files.extend(tree(&NAMES.map(|name| (name, name))).into_iter().filter(|(path, _)| NAMES.contains(&path.as_str())));
    let long = format!("{}/{}/file", "l".repeat(120), "m".repeat(200));
    files.insert(long.clone(), Entry { kind: FileKind::File, content: b"deep".to_vec() });
    files.insert("to-long".to_owned(), Entry { kind: FileKind::Symlink, content: long.into_bytes() });
    let bytes = (0..=255).collect();
    files.insert("bytes".to_owned(), Entry { kind: FileKind::File, content: bytes });
    files
}

async fn view(placed: &Placed) -> SourceView {
    placed.source.view().await.unwrap()
}

struct Archived {
    found: Vec<Found>,
    notices: Vec<Notice>,
}

async fn archived(placed: &Placed, files: &[SourceFile]) -> Archived {
    let path = scratch();
    let notices = placed.source.archive(&NamedFile::all(files), EPOCH, &path).await.unwrap();
    let found = archive::read(&path);
    std::fs::remove_file(&path).unwrap();
    Archived { found, notices }
}

/// A path that nobody has.
fn scratch() -> PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("till-conformance-{}-{count}.tar", std::process::id()))
}

fn files_of(found: &[Found]) -> Tree {
    found.iter().filter_map(|found| Some((found.path.clone(), found.entry.clone()?))).collect()
}

async fn names_and_kinds(place: &impl AsyncFn(&Tree) -> Placed) {
    let files = varied();
    let placed = place(&files).await;
    let view = view(&placed).await;
    assert!(view.files.is_sorted_by(|a, b| a.path < b.path), "paths are sorted, and none is there twice");
    let kinds: Vec<_> = view.files.iter().map(|file| (file.path.as_str(), file.kind)).collect();
    let expected: Vec<_> = files.iter().map(|(path, entry)| (path.as_str(), entry.kind)).collect();
    assert_eq!(kinds, expected);
    assert!(view.texts.is_empty(), "a view has no texts");

    let Archived { found, notices } = archived(&placed, &view.files).await;
    assert_eq!(notices, []);
    assert_eq!(files_of(&found), files, "the archive has every file as it is");
    let order: Vec<_> = found.iter().filter(|found| found.entry.is_some()).map(|found| &found.path).collect();
    assert!(order.is_sorted(), "{order:?}");
    for found in &found {
        assert_eq!((found.owner, found.time), ((0, 0), EPOCH), "{}", found.path);
    }
    directories(&found);
}

/// Each directory has one entry, which stands before what is in it.
fn directories(found: &[Found]) {
    let mut seen = Vec::new();
    for entry in found {
        let path = entry.path.trim_end_matches('/');
        if let Some((parent, _)) = path.rsplit_once('/') {
            assert!(seen.contains(&parent), "`{parent}` stands before `{path}`");
        }
        if entry.entry.is_none() {
            assert!(!seen.contains(&path), "`{path}` is there twice");
            assert_eq!(entry.mode, 0o755, "{path}");
            seen.push(path);
        }
    }
}

async fn texts(place: &impl AsyncFn(&Tree) -> Placed) {
    let mut files = varied();
    files.insert("big".to_owned(), Entry { kind: FileKind::File, content: vec![b'x'; (1 << 20) + 7] });
    let placed = place(&files).await;
    let view = view(&placed).await;
    assert!(placed.source.texts(&[]).await.unwrap().is_empty());
    let wanted = ["dir/file", "link", "new\nline.txt", "bytes", "empty", "big", "ünï/日本語.txt"];
    let wanted: Vec<_> = wanted.iter().map(|path| view.file(path).unwrap().clone()).collect();
    let texts = placed.source.texts(&wanted).await.unwrap();
    assert_eq!(texts.len(), wanted.len());
    for (path, text) in [
        ("dir/file", "text\r\nof two lines"),
        ("link", "dir/file"),
        ("new\nline.txt", "new\nline.txt"),
        ("empty", ""),
        ("ünï/日本語.txt", "ünï/日本語.txt"),
    ] {
        assert_eq!(texts[path], text, "{path:?}");
    }
    assert!(texts["bytes"].contains('\u{fffd}'), "what is no UTF-8 is shown as such");
    assert_eq!(texts["big"].len(), 1 << 20, "no text is longer than a MiB");
}

/// An archive has the files that were asked for.
async fn parts(place: &impl AsyncFn(&Tree) -> Placed) {
    let files = varied();
    let placed = place(&files).await;
    let view = view(&placed).await;
    assert_eq!(archived(&placed, &[]).await.found, []);
    let wanted: Vec<_> = ["a.b", "dir/file", "dir/up"].iter().map(|path| view.file(path).unwrap().clone()).collect();
    let found = archived(&placed, &wanted).await.found;
    let paths: Vec<_> = found.iter().map(|found| found.path.as_str()).collect();
    assert_eq!(paths, ["a.b", "dir/", "dir/file", "dir/up"]);
}

/// What is not what its `content` says is not put into an archive.
async fn changes(place: &impl AsyncFn(&Tree) -> Placed) {
    let placed = place(&tree(&[("a", "one"), ("b", "two"), ("c@", "a")])).await;
    let view = view(&placed).await;
    for path in ["a", "c"] {
        let file = view.file(path).unwrap();
        let half = file.content.len() / 2;
        let content = format!("{}{}", &file.content[..half], "0".repeat(file.content.len() - half));
        let other = SourceFile { content, ..file.clone() };
        let into = scratch();
        let failure = placed.source.archive(&NamedFile::all(&[other]), EPOCH, &into).await.unwrap_err();
        let _ = std::fs::remove_file(&into);
        assert_eq!(failure.fault, Fault::Source, "{path}: {failure}");
    }
}

/// The same files are called the same; other ones are not.
async fn sameness(place: &impl AsyncFn(&Tree) -> Placed) {
    let files = tree(&[("a", "one"), ("b", "one"), ("c*", "two"), ("d@", "one")]);
    let (first, second) = (place(&files).await, place(&files).await);
    let (first, second) = (view(&first).await, view(&second).await);
    assert_eq!(first.files, second.files);
    assert_eq!(first.tree(), second.tree());
    assert_eq!(first.file("a").unwrap().content, first.file("b").unwrap().content);
    for (path, kind, text) in
        [("a", FileKind::File, "two"), ("a", FileKind::Executable, "one"), ("a", FileKind::Symlink, "one")]
    {
        let mut other = files.clone();
        other.insert(path.to_owned(), Entry { kind, content: text.as_bytes().to_vec() });
        let placed = place(&other).await;
        assert_ne!(view(&placed).await.tree(), first.tree(), "{kind:?} {text}");
    }
}

async fn large(place: &impl AsyncFn(&Tree) -> Placed) {
    // Neither compressible nor a multiple of any buffer.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let content: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .take(3 << 20)
    .flatten()
    .chain(*b"odd")
    .collect();
    let mut files = tree(&[("before", "b"), ("zafter", "a")]);
    files.insert("large".to_owned(), Entry { kind: FileKind::Executable, content });
    let placed = place(&files).await;
    let view = view(&placed).await;
    assert!(files_of(&archived(&placed, &view.files).await.found) == files, "24 MiB are not what they were");
}

async fn many(place: &impl AsyncFn(&Tree) -> Placed) {
    let file = |number: u32| {
        let content = format!("{}", number % 100).into_bytes();
        (format!("d{}/e{}/f{number}", number % 7, number % 31), Entry { kind: FileKind::File, content })
    };
    let files: Tree = (0..10_000).map(file).collect();
    let placed = place(&files).await;
    let view = view(&placed).await;
    assert_eq!(view.files.len(), 10_000);
    let all = placed.source.texts(&view.files).await.unwrap();
    assert!(all.iter().all(|(path, text)| files[path].content == text.as_bytes()));
    assert!(files_of(&archived(&placed, &view.files).await.found) == files);
}

/// What `.tillignore` names is not there.
pub async fn source_tree_leaves_out(place: impl AsyncFn(&Tree) -> Placed) {
    let rules = "# a comment\n\n*.log\n!keep.log\n/only-root\nfolder/\nd/**/deep\nsp\\ ace\n[\n";
    let left_out = ["a.log", "x/b.log", "only-root", "folder/in/side", "x/folder/y", "d/deep", "d/e/f/deep", "sp ace"];
    let kept = [".tillignore", "keep.log", "x/keep.log", "x/only-root", "folder.txt", "deep", "e/deep", "logs/a"];
    let paths = left_out.iter().chain(&kept).map(|path| (*path, if *path == ".tillignore" { rules } else { "" }));
    let placed = place(&tree(&paths.collect::<Vec<_>>())).await;
    let view = view(&placed).await;
    let paths: Vec<_> = view.files.iter().map(|file| file.path.as_str()).collect();
    let mut expected = kept;
    expected.sort_unstable();
    assert_eq!(paths, expected);
    assert!(files_of(&archived(&placed, &view.files).await.found).keys().eq(paths));
}

/// What is only a pointer to its content is told, once, and taken as it is.
pub async fn source_tree_tells(place: impl AsyncFn(&Tree) -> Placed) {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n";
    let files =
        tree(&[("big.bin", pointer), ("near.txt", "version https://git-lfs.github.com/spec/v2\n"), ("v", "ver")]);
    let placed = place(&files).await;
    let mut view = view(&placed).await;
    let Archived { found, notices } = archived(&placed, &view.files).await;
    view.notices.extend(notices);
    let told: Vec<_> = view.notices.iter().map(|notice| notice.path.as_str()).collect();
    assert_eq!(told, ["big.bin"], "{:?}", view.notices);
    assert!(view.notices[0].what.contains("LFS"), "{:?}", view.notices);
    assert_eq!(files_of(&found), files);
}
