//! What only happens to directories: they change, and they hold what is no file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use till_core::Fault;
use till_testkit::tree;

use crate::places::{Place, commit, git, lay, open, repository};

#[tokio::test]
async fn what_changes_between_view_and_archive_is_noticed() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 6] = [
        ("other bytes of the same length", |path| std::fs::write(path, "TEXT").unwrap()),
        ("longer", |path| std::fs::write(path, "text and more").unwrap()),
        ("shorter", |path| std::fs::write(path, "").unwrap()),
        ("gone", |path| std::fs::remove_file(path).unwrap()),
        ("a link", |path| {
            std::fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", path).unwrap();
        }),
        ("a directory", |path| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        }),
    ];
    for place in [Place::Plain, Place::Changed] {
        for (what, change) in changes {
            let folder = place.of(&tree(&[("f", "text")]));
            let source = open(folder.path()).await;
            let view = source.view().await.unwrap();
            change(&folder.path().join("f"));
            let into = tempfile::NamedTempFile::new().unwrap();
            let failure =
                source.archive(&till_core::plan::NamedFile::all(&view.files), 0, into.path()).await.unwrap_err();
            assert_eq!(failure.fault, Fault::Source, "{place:?}, {what}: {failure}");
        }
    }
}

#[tokio::test]
async fn what_is_neither_file_nor_link_is_refused_unless_it_is_left_out() {
    for (rules, refused) in [("", true), ("pipe\n", false)] {
        let folder = Place::Plain.of(&tree(&[("a", ""), (".tillignore", rules)]));
        mknodat(CWD, folder.path().join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let view = open(folder.path()).await.view().await;
        match view {
            Ok(view) => assert!(!refused && view.files.len() == 2),
            Err(failure) => {
                assert!(refused, "{failure}");
                assert_eq!(failure.fault, Fault::Source);
                assert!(failure.hint.unwrap().contains(".tillignore"));
            }
        }
    }
}

#[tokio::test]
async fn a_tillignore_that_is_no_file_is_not_waited_for() {
    let folder = Place::Plain.of(&tree(&[("a", "")]));
    mknodat(CWD, folder.path().join(".tillignore"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let failure = open(folder.path()).await.view().await.unwrap_err();
    assert!(failure.chain().contains("`.tillignore` in the source is neither file"), "{failure}");
}

#[tokio::test]
async fn what_is_left_out_may_have_any_name() {
    let folder = Place::Plain.of(&tree(&[("a", ""), (".tillignore", "old/\n")]));
    std::fs::create_dir(folder.path().join("old")).unwrap();
    std::fs::write(folder.path().join("old").join(OsStr::from_bytes(b"caf\xe9")), "").unwrap();
    assert_eq!(open(folder.path()).await.view().await.unwrap().files.len(), 2);
}

#[tokio::test]
async fn a_name_that_is_no_utf8_is_refused_and_shown() {
    let folder = Place::Plain.of(&tree(&[("a", "")]));
    std::fs::write(folder.path().join(OsStr::from_bytes(b"caf\xe9")), "").unwrap();
    let source = till_ground::source::open(folder.path().to_str().unwrap(), None, folder.path()).await;
    let failure = source.err().unwrap();
    assert_eq!(failure.fault, Fault::Source);
    assert!(failure.chain().contains("caf\u{fffd}"), "{failure}");
}

#[tokio::test]
async fn what_git_ignores_is_no_part_of_a_work_tree() {
    let folder = tempfile::tempdir().unwrap();
    repository(folder.path());
    lay(folder.path(), &tree(&[(".gitignore", "*.o\n/out/\n"), ("a.c", ""), ("kept.o", "")]));
    commit(folder.path());
    lay(folder.path(), &tree(&[("a.o", ""), ("out/x", ""), ("new.c", ""), ("sub/b.o", ""), ("sub/b.c", "")]));
    let view = open(folder.path()).await.view().await.unwrap();
    let paths: Vec<_> = view.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, [".gitignore", "a.c", "kept.o", "new.c", "sub/b.c"]);
    assert!(view.dirty);
    // Ignored as a whole, it is a directory like any other.
    let view = open(&folder.path().join("out")).await.view().await.unwrap();
    assert_eq!((view.files[0].path.as_str(), view.commit), ("x", None));
}

#[tokio::test]
async fn a_part_of_a_work_tree_is_its_own_source() {
    let files = tree(&[("app/main", "m"), ("app/.tillignore", "secret\n"), ("app/secret", ""), ("other", "")]);
    for (change, dirty) in [(false, false), (true, true)] {
        let folder = Place::Clean.of(&files);
        if change {
            std::fs::write(folder.path().join("app/main"), "changed").unwrap();
        } else {
            std::fs::write(folder.path().join("other"), "changed, but not here").unwrap();
        }
        let view = open(&folder.path().join("app")).await.view().await.unwrap();
        let paths: Vec<_> = view.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!((paths, view.dirty), (vec![".tillignore", "main"], dirty));
    }
}

#[tokio::test]
async fn a_repository_within_is_told_and_not_taken() {
    for change in [false, true] {
        let (outer, inner) = (Place::Clean.of(&tree(&[("a", "")])), Place::Clean.of(&tree(&[("b", "")])));
        let address = inner.path().to_str().unwrap();
        git(outer.path(), &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", address, "sub"]);
        commit(outer.path());
        if change {
            std::fs::write(outer.path().join("a"), "changed").unwrap();
        }
        let view = open(outer.path()).await.view().await.unwrap();
        let paths: Vec<_> = view.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!((paths, view.dirty), (vec![".gitmodules", "a"], change));
        let notices: Vec<_> = view.notices.iter().map(|notice| (notice.path.as_str(), notice.what.as_str())).collect();
        assert_eq!(notices, [("sub", "submodule, skipped")]);
    }
}

#[tokio::test]
async fn what_git_keeps_for_itself_is_never_taken() {
    let folder = Place::Plain.of(&tree(&[("a", ""), ("vendor/lib/b", ""), (".github/x", "")]));
    for repository in ["", "vendor/lib"] {
        let config = folder.path().join(repository).join(".git/config");
        std::fs::create_dir_all(config.parent().unwrap()).unwrap();
        std::fs::write(config, "[remote]\nurl = https://me:secret@example.org\n").unwrap();
    }
    let view = open(folder.path()).await.view().await.unwrap();
    let paths: Vec<_> = view.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, [".github/x", "a", "vendor/lib/b"]);
}
