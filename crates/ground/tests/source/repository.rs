//! What only happens to repositories: revisions, settings that have no say, addresses.

use std::path::Path;

use till_core::port::SourceTree;
use till_core::{Failure, Fault};
use till_ground::source;
use till_testkit::{archive, tree};

use crate::places::{Place, commit, git, lay, open, repository};

async fn at(path: &Path, rev: &str) -> Result<Box<dyn SourceTree>, Failure> {
    source::open(path.to_str().unwrap(), Some(rev), &std::env::temp_dir()).await
}

#[tokio::test]
async fn a_revision_is_a_branch_a_tag_or_a_commit() {
    for place in [Place::Clean, Place::Bare] {
        let folder = tempfile::tempdir().unwrap();
        let work = Place::Clean.of(&tree(&[("f", "old")]));
        git(work.path(), &["tag", "--annotate", "v1", "--message=v"]);
        let old = git(work.path(), &["rev-parse", "HEAD"]);
        std::fs::write(work.path().join("f"), "new").unwrap();
        commit(work.path());
        let path = if place == Place::Bare {
            git(folder.path(), &["clone", "--quiet", "--bare", work.path().to_str().unwrap(), "."]);
            folder.path()
        } else {
            std::fs::write(work.path().join("f"), "not committed").unwrap();
            work.path()
        };
        for (rev, text) in [("v1", "old"), (&*old, "old"), (&old[..10], "old"), ("main", "new"), ("main~1", "old")] {
            let source = at(path, rev).await.unwrap();
            let view = source.view().await.unwrap();
            let texts = source.texts(&view.files).await.unwrap();
            assert_eq!((texts["f"].as_str(), view.dirty), (text, false), "{place:?} {rev}");
        }
        for rev in ["nothing", "v2", &"0".repeat(40), "--all", "-x", "main:f", ""] {
            let failure = at(path, rev).await.err().unwrap();
            assert_eq!(failure.fault, Fault::Caller, "{place:?} {rev}: {failure}");
        }
    }
}

#[tokio::test]
async fn what_is_no_source_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("file"), "").unwrap();
    std::fs::create_dir(path("plain")).unwrap();
    std::fs::create_dir(path("empty")).unwrap();
    git(Path::new(&path("empty")), &["init", "--quiet", "--bare"]);
    for (source, rev, fault, said) in [
        (path("absent"), None, Fault::Caller, "there is no source"),
        (path("file"), None, Fault::Caller, "neither a directory nor a git repository"),
        (path("plain"), Some("main"), Fault::Caller, "no git repository"),
        (path("empty"), None, Fault::Source, "it has no commit"),
        ("ftp://example.org/x".to_owned(), None, Fault::Caller, "not an address"),
        ("file:///etc".to_owned(), None, Fault::Caller, "not an address"),
        ("ext::sh -c true".to_owned(), None, Fault::Caller, "not an address"),
    ] {
        let failure = source::open(&source, rev, folder.path()).await.err().unwrap();
        assert_eq!(failure.fault, fault, "{source}: {failure}");
        assert!(failure.chain().contains(said), "{source}: {failure}");
    }
}

#[tokio::test]
async fn a_work_tree_without_a_commit_is_what_lies_there() {
    let folder = tempfile::tempdir().unwrap();
    repository(folder.path());
    lay(folder.path(), &tree(&[("a", "")]));
    let view = open(folder.path()).await.view().await.unwrap();
    assert_eq!((view.files.len(), view.commit, view.time), (1, None, None));
}

#[tokio::test]
async fn attributes_have_no_say() {
    let attributes = "kept export-ignore\nname export-subst\nlines text eol=crlf\nmark ident\nfiltered filter=f\n";
    let files = tree(&[
        (".gitattributes", attributes),
        ("kept", "kept"),
        ("name", "$Format:%H$"),
        ("lines", "a\nb\n"),
        ("mark", "$Id$"),
        ("filtered", "plain"),
    ]);
    for place in [Place::Clean, Place::Bare] {
        let folder = place.of(&files);
        git(folder.path(), &["config", "filter.f.smudge", "tr a-z A-Z"]);
        let source = open(folder.path()).await;
        let view = source.view().await.unwrap();
        let into = tempfile::NamedTempFile::new().unwrap();
        source.archive(&till_core::plan::NamedFile::all(&view.files), 0, into.path()).await.unwrap();
        let found = archive::read(into.path()).into_iter().filter_map(|found| Some((found.path, found.entry?)));
        assert_eq!(found.collect::<till_testkit::Tree>(), files, "{place:?}");
    }
}

/// Whatever a repository's own settings would start leaves a mark.
#[tokio::test]
async fn nothing_that_a_repository_names_is_started() {
    let folder = Place::Clean.of(&tree(&[("a.txt", "text"), (".gitattributes", "* filter=f diff=f\n")]));
    let mark = folder.path().join(".git/started");
    let command = format!("touch '{}'; cat", mark.display());
    for key in [
        "filter.f.clean",
        "filter.f.smudge",
        "filter.f.process",
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "core.alternateRefsCommand",
        "diff.f.textconv",
        "diff.external",
        "uploadpack.packObjectsHook",
        "gpg.program",
    ] {
        git(folder.path(), &["config", key, &command]);
    }
    git(folder.path(), &["config", "log.showSignature", "true"]);
    let hooks = folder.path().join(".git/hooks");
    for hook in ["post-index-change", "post-checkout", "fsmonitor-watchman", "reference-transaction"] {
        std::fs::create_dir_all(&hooks).unwrap();
        std::fs::write(hooks.join(hook), format!("#!/bin/sh\n{command}\n")).unwrap();
        std::fs::set_permissions(hooks.join(hook), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    // The same length and another time: only its content says whether it changed.
    std::fs::write(folder.path().join("a.txt"), "TEXT").unwrap();
    let source = open(folder.path()).await;
    let view = source.view().await.unwrap();
    source.texts(&view.files).await.unwrap();
    let into = tempfile::NamedTempFile::new().unwrap();
    source.archive(&till_core::plan::NamedFile::all(&view.files), 0, into.path()).await.unwrap();
    assert!(!mark.exists(), "something that the repository names was started");
    assert!(view.dirty);
}
