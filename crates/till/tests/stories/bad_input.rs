//! What people and repositories give that is wrong, odd or large. Wrong: the exit code says whose doing it is, the words
//! what to try, and nothing is lost. Odd or large: it works.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    base, command, commit, git, listing, prepare, runs, script, script_base, shared_data, small_base, source, till,
    unique, watched, write,
};

const PROCFILE: (&str, &str) = ("Procfile", "web: sleep infinity\n");

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_missing_required_file_is_told_in_the_bases_own_words() {
    base("debian");
    let folder = source(&[("README", "hello")]);
    for verb in ["plan", "build"] {
        let called = till(&[verb, text(folder.path()), "--base", "debian", "--json"]).failed(
            3,
            &["no Procfile: this base does not know how to start the app", "what to try: add Procfile or start.sh"],
        );
        assert_eq!(called.json()["error"]["fault"], "source");
    }
    assert!(folder.path().join("README").exists());
}

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    base("debian");
    let folder = source(&[PROCFILE]);
    commit(folder.path());
    let path = text(folder.path());
    prepare(folder.path(), "debian", "unknown-names").ok();
    let nowhere = format!("debian@sha256:{}", "0".repeat(64));
    let id = format!("inst_{}", "0".repeat(32));
    let table: [(&[&str], &[&str]); 12] = [
        (&["build", path, "--base", "debain"], &["there is no base `debain`", "did you mean `debian`?"]),
        (&["build", path, "--base", "cobol"], &["there is no base `cobol`", "`till base list`"]),
        (&["build", path, "--base", "debian@99"], &["has no version `debian@99`", "it has versions 1 to"]),
        (&["build", path, "--base", &nowhere], &["has no version", "it has versions 1 to"]),
        (&["base", "show", "debain"], &["did you mean `debian`?"]),
        (&["base", "remove", "debian@99"], &["has no version `debian@99`"]),
        (&["build", path, "--base", "debian", "--rev", "mian"], &["has no revision `mian`", "a branch, a tag"]),
        (&["run", "unknown-names", "--process", "wbe"], &["no process `wbe`", "did you mean `web`?"]),
        (&["run", "unknown-name"], &["there is no artifact `unknown-name`", "did you mean `unknown-names`?"]),
        (&["artifact", "show", "0000000000000000"], &["there is no artifact", "`till artifact list`"]),
        (&["logs", &id], &["there is no instance", "`till ps`"]),
        (&["stop", "ffffffffffffffffffff"], &["there is no instance", "`till ps`"]),
    ];
    for (arguments, said) in table {
        let called = till(&[arguments, &["--json"]].concat()).failed(6, said);
        assert_eq!(called.json()["error"]["fault"], "caller", "{arguments:?}");
    }
}

#[test]
fn a_source_that_is_none_is_the_callers_doing() {
    base("debian");
    let folder = source(&[PROCFILE]);
    let path = text(folder.path());
    let file = folder.path().join("Procfile");
    let mark = folder.path().join("mark");
    let ext = format!("ext::touch {}", mark.display());
    let table: [(&str, &[&str], &[&str]); 7] = [
        ("/nowhere/at/all", &[], &["there is no source at `/nowhere/at/all`"]),
        (text(&file), &[], &["is neither a directory nor a git repository"]),
        (path, &["--rev", "main"], &["is no git repository, so it has no revision `main`"]),
        (&format!("file://{path}"), &[], &["is not an address that source is fetched from: https, ssh and git are"]),
        (&ext, &[], &["is not an address that source is fetched from"]),
        ("fd::17/x", &[], &["is not an address that source is fetched from"]),
        ("--upload-pack=x", &[], &[]),
    ];
    for (source, more, said) in table {
        let mut arguments = vec!["build", "--base", "debian"];
        arguments.extend(more);
        arguments.extend(["--", source]);
        till(&arguments).failed(6, said);
    }
    assert!(!mark.exists());
}

#[test]
fn a_source_with_nothing_in_it_is_named_as_such() {
    base("debian");
    let empty = source(&[]);
    till(&["build", text(empty.path()), "--base", "debian"]).failed(3, &["the source is empty", "what to try:"]);
    git(empty.path(), &["init", "--quiet"]);
    till(&["build", text(empty.path()), "--base", "debian", "--rev", "HEAD"])
        .failed(3, &["is empty: it has no commit", "commit something first"]);
    // Neither commit nor file.
    till(&["build", text(empty.path()), "--base", "debian"]).failed(3, &["empty", "commit something first"]);
}

#[test]
fn links_out_of_the_source_are_refused() {
    base("debian");
    let table = [("link", "/etc/passwd"), ("link", "../.."), ("deep/down/link", "../../../x"), ("link", "a/../../x")];
    for (path, target) in table {
        let folder = source(&[PROCFILE, ("deep/down/x", "")]);
        symlink(target, folder.path().join(path)).unwrap();
        let said = format!("the symlink `{path}` leads out of the source, to `{target}`");
        let hint = format!("name `{path}` in .tillignore");
        till(&["build", text(folder.path()), "--base", "debian"]).failed(3, &[&said, &hint]);
        commit(folder.path());
        till(&["build", text(folder.path()), "--base", "debian", "--rev", "HEAD"]).failed(3, &[&said]);
        write(folder.path(), &[(".tillignore", path)]);
        till(&["plan", text(folder.path()), "--base", "debian"]).ok();
    }
}

#[test]
fn names_that_are_not_text_are_refused_and_may_be_left_out() {
    base("debian");
    let folder = source(&[PROCFILE]);
    std::fs::write(folder.path().join(OsStr::from_bytes(b"latin-\xe9.txt")), "x").unwrap();
    let arguments = ["plan", text(folder.path()), "--base", "debian"];
    let said = ["a file whose name is not UTF-8: latin-", "name it in .tillignore, or rename it"];
    till(&arguments).failed(3, &said);
    commit(folder.path());
    till(&arguments).failed(3, &said);
    write(folder.path(), &[(".tillignore", "latin-*\n")]);
    till(&arguments).ok();
    commit(folder.path());
    till(&arguments).ok();
}

#[test]
fn a_pipe_in_the_source_is_refused_and_may_be_left_out() {
    base("debian");
    let folder = source(&[PROCFILE]);
    let path = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let arguments = ["plan", text(folder.path()), "--base", "debian"];
    till(&arguments).failed(3, &["`pipe` in the source is neither file, directory nor symlink", ".tillignore"]);
    write(folder.path(), &[(".tillignore", "pipe\n")]);
    till(&arguments).ok();
}

const ODD: [&str; 9] = [
    "a b/c d.txt",
    "ünï/日本.txt",
    "new\nline",
    "quote'\"s",
    "-dash",
    "*glob?[x]",
    "$(x)`y`",
    "tab\tback\\slash",
    ":(top)",
];

#[test]
fn any_name_that_is_text_arrives() {
    let base = script_base("app", "none");
    let long = "n".repeat(200);
    let check: String = ODD
        .iter()
        .chain([&long.as_str()])
        .map(|path| format!("[ \"$(cat ./'{}')\" = here ]\n", path.replace('\'', "'\\''")))
        .collect();
    let script = format!("set -e\n{check}[ $(find . -type f -printf x) = xxxxxxxxxxx ]\n");
    for (place, name) in [("My  App", "my-app"), ("größe 日本", "gr-e"), (&long, &long[..63]), ("-x", "x")] {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join(place);
        let files: Vec<_> = ODD.iter().chain([&long.as_str()]).map(|path| (*path, "here")).collect();
        write(&folder, &files);
        write(&folder, &[("build.sh", &script)]);
        let arguments = ["build", text(&folder), "--base", &base, "--afresh", "--json"];
        assert_eq!(till(&arguments).ok().json()["app"], name);
        let head = commit(&folder);
        let built = till(&arguments).ok().json();
        assert_eq!(built["commit"], head.as_str());
    }
}

#[test]
fn a_hundred_thousand_files_are_no_trouble() {
    let base = script_base("app", "none");
    let folder = source(&[("build.sh", "[ $(find . -type f | wc -l) = 100001 ]")]);
    for parent in 0..100 {
        let path = folder.path().join(format!("{parent}"));
        std::fs::create_dir(&path).unwrap();
        for number in 0..1000 {
            File::create(path.join(format!("{number}"))).unwrap();
        }
    }
    prepare(folder.path(), &base, "many-files").ok();
}

#[test]
fn a_file_of_two_gibibytes_takes_no_memory() {
    let base = script_base("app", "none");
    let folder = source(&[("build.sh", "[ $(stat -c %s large) = 2147483649 ] && truncate -s 0 large")]);
    let file = File::create(folder.path().join("large")).unwrap();
    file.set_len((2 << 30) + 1).unwrap();
    let arguments = ["build", text(folder.path()), "--base", &base, "--name", "large-file", "--afresh"];
    let (peak, called) = watched(command(&shared_data(), &arguments));
    called.ok();
    assert!(peak < 64 << 20, "{} MiB", peak >> 20);
}

#[test]
fn a_base_toml_that_cannot_be_used_is_refused_before_anything_is_done() {
    let head = "name = \"refused\"\ndescription = \"x\"\nowner = \"x\"\n";
    let good = "[recipe]\nkind = \"debian\"\nfrom = \"debian\"\n[contract]\nkind = \"command\"\n";
    let table: [(String, &[&str]); 6] = [
        (format!("{head}ownr = \"x\"\n{good}"), &["line 4", "unknown field `ownr`", "did you mean `owner`?"]),
        (format!("{head}{good}usr = \"app\"\n"), &["line 9", "unknown field `usr`", "did you mean `user`?"]),
        (format!("{head}[recipe\n"), &["line 4", "base.toml"]),
        (head.replace("refused", "No Name"), &["`No Name` is not a name"]),
        (format!("{head}{}", good.replace("from", "suite = \"a\"\nfrom")), &["`from` and `suite` exclude each other"]),
        (format!("{head}{}", good.replace("from = \"debian\"", "")), &["either `from` or `suite` must be given"]),
    ];
    for (text_of, said) in table {
        let folder = source(&[("base.toml", &text_of)]);
        let called = till(&["base", "build", text(folder.path()), "--json"]).failed(4, said);
        assert_eq!(called.json()["error"]["fault"], "base");
    }
    let none = source(&[("x", "")]);
    till(&["base", "build", text(none.path())]).failed(6, &["base.toml", "give the folder of a base"]);
    till(&["base", "show", "refused"]).failed(6, &["there is no base `refused`"]);
}

#[test]
fn a_till_toml_that_cannot_be_used_is_refused_with_the_place() {
    base("debian");
    let table: [(&str, &[&str]); 7] = [
        ("base = \"debian\"\n[enf]\nA = \"1\"\n", &["line 2", "unknown field `enf`", "did you mean `env`?"]),
        ("[limits]\nmemry = \"1GiB\"\n", &["line 2", "did you mean `memory`?"]),
        ("[limits]\nmemory = \"1GB\"\n", &["line 2", "`1GB` is not a size: expected e.g. 512MiB"]),
        ("[limits]\ntime = \"soon\"\n", &["line 2", "soon"]),
        ("name = \n", &["line 1", "till.toml"]),
        ("name = \"A B\"\n", &["line 1", "`A B` is not a name"]),
        ("[parameters]\ngaols = \"x\"\n", &["has no parameter `gaols`", "it has: none"]),
    ];
    for (text_of, said) in table {
        let folder = source(&[PROCFILE, ("till.toml", text_of)]);
        till(&["plan", text(folder.path()), "--base", "debian"]).failed(3, said);
    }
}

/// Waits until something is there.
fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    crate::support::until("something is there", || {
        found = look();
        found.is_some()
    });
    found.unwrap()
}

/// The folder of the instance in which a file is.
fn instance_with(path: &str) -> Option<PathBuf> {
    let folders = std::fs::read_dir(shared_data().join("instances")).ok()?;
    folders.flatten().map(|entry| entry.path()).find(|folder| folder.join("upper").join(path).exists())
}

/// The staging folder that a process holds the lock of.
fn staging_of(child: &Child) -> Option<PathBuf> {
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", child.id())).ok()?;
    let targets = descriptors.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let lock =
        targets.into_iter().find(|target| target.starts_with(shared_data().canonicalize().unwrap().join("staging")))?;
    lock.parent().map(Path::to_owned)
}

fn cgroups(id: &str) -> Vec<PathBuf> {
    let controllers = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|entry| entry.path());
    let places = controllers.chain([PathBuf::from("/sys/fs/cgroup")]).map(|path| path.join("till").join(id));
    places.filter(|path| path.exists()).collect()
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    for (network, signal) in [("none", Signal::INT), ("egress", Signal::TERM)] {
        let base = script_base("app", network);
        let seconds = unique(if network == "none" { 11 } else { 12 });
        let mark = format!("interrupted-{network}");
        let script = format!("touch {mark}; setsid sleep {seconds}5 & sleep {seconds}");
        let folder = source(&[("build.sh", &script)]);
        let arguments = ["build", text(folder.path()), "--base", &base, "--name", &mark, "--afresh"];
        let mut child = command(&shared_data(), &arguments).stderr(Stdio::piped()).spawn().unwrap();
        let instance = until(|| instance_with(&format!("app/{mark}")));
        until(|| runs(&format!("sleep {seconds}5")).then_some(()));
        let id = instance.file_name().unwrap().to_str().unwrap().to_owned();
        let staging = staging_of(&child).unwrap();
        assert!(staging.exists() && !cgroups(&id).is_empty());
        let began = std::time::Instant::now();
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert!(!instance.exists(), "{}", instance.display());
        assert!(!staging.exists(), "{}", staging.display());
        assert_eq!(cgroups(&id), Vec::<PathBuf>::new());
        assert!(!runs(&format!("sleep {seconds}")) && !runs(&id));
        till(&["artifact", "show", &mark]).failed(6, &["there is no artifact"]);
    }
}

#[test]
fn two_builds_of_one_app_come_one_after_the_other() {
    let base = script_base("app", "none");
    let folder = source(&[("build.sh", "touch first-of-two; until [ -e /cache/go ]; do sleep 0.05; done")]);
    let contract = "[contract.source]\nas = \"dir\"\nat = \"/app\"\n\
         [[contract.cache]]\nname = \"signal\"\npath = \"/cache\"\n\
         [[contract.step]]\nname = \"wait\"\nrun = \"bash build.sh\"\n\
         [[contract.process]]\nname = \"web\"\nrun = \"sleep infinity\"\n";
    small_base("two-builds", contract);
    let signal = shared_data().join("caches/two-builds/signal/go");
    let _ = std::fs::remove_file(&signal);
    let arguments = |base| ["build", text(folder.path()), "--base", base, "--name", "two-builds", "--afresh"];
    let first = command(&shared_data(), &arguments("two-builds")).spawn().unwrap();
    until(|| instance_with("app/first-of-two"));
    // Another base, another step: it waits all the same, for caches are the app's.
    let other = source(&[("build.sh", "true")]);
    let arguments = ["build", text(other.path()), "--base", &base, "--name", "two-builds", "--afresh"];
    let mut second = command(&shared_data(), &arguments).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = std::io::BufReader::new(second.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert!(line.contains("waiting for another build of `two-builds`"), "{line}");
    File::create(&signal).unwrap();
    for mut child in [first, second] {
        assert!(child.wait().unwrap().success());
    }
}

/// A repository with a submodule and an LFS pointer.
fn with_submodule() -> tempfile::TempDir {
    let inner = source(&[("inside", "x")]);
    commit(inner.path());
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n", "0".repeat(64));
    let folder = source(&[PROCFILE, ("film.mp4", &pointer)]);
    git(folder.path(), &["init", "--quiet"]);
    let add = ["-c", "protocol.file.allow=always", "submodule", "add", "--quiet", text(inner.path()), "library"];
    git(folder.path(), &add);
    commit(folder.path());
    folder
}

#[test]
fn submodules_and_lfs_pointers_are_named() {
    base("debian");
    let folder = with_submodule();
    for dirty in [false, true] {
        if dirty {
            write(folder.path(), &[("more", "x")]);
        }
        let called = prepare(folder.path(), "debian", "submodule").ok();
        let built = called.json();
        assert_eq!(built["dirty"], dirty);
        let notices = built["notices"].to_string();
        for notice in ["library: submodule, skipped", "film.mp4: LFS pointer, its content is not fetched"] {
            assert!(notices.contains(notice), "dirty: {dirty}: {notices}");
            assert!(called.err.contains(notice), "dirty: {dirty}: {}", called.err);
        }
        let listing = listing("submodule").join("\n");
        assert!(listing.contains("app/film.mp4") && !listing.contains("inside"), "{listing}");
    }
}

#[test]
fn what_tillignore_names_stays_out() {
    let base = script_base("app", "none");
    let script = "ls -A . keep; [ \"$(ls -A)\" = $'.tillignore\\nbuild.sh\\nkeep' ] && [ \"$(ls keep)\" = b.log ]";
    let folder = source(&[
        ("build.sh", script),
        (".tillignore", "# a comment\n*.log\n!keep/b.log\n/data/\n"),
        ("a.log", ""),
        ("keep/a.log", ""),
        ("keep/b.log", ""),
        ("data/x", ""),
    ]);
    prepare(folder.path(), &base, "tillignore").ok();
    commit(folder.path());
    prepare(folder.path(), &base, "tillignore").ok();
}

#[test]
fn a_clean_work_tree_is_its_commit_and_a_changed_one_is_called_dirty() {
    base("debian");
    let folder = source(&[PROCFILE, (".gitignore", "junk\n"), ("junk", "x"), ("a", "a")]);
    let head = commit(folder.path());
    let path = text(folder.path());
    let plan = |more: &[&str]| till(&[&["plan", path, "--base", "debian", "--json"], more].concat()).ok().json();
    let (clean, at_head) = (plan(&[]), plan(&["--rev", "HEAD"]));
    assert_eq!(clean["digest"], at_head["digest"]);
    assert_eq!(clean["digest"], plan(&["--rev", &head[..10]])["digest"]);
    let built = prepare(folder.path(), "debian", "dirty").ok().json();
    assert_eq!((&built["commit"], &built["dirty"]), (&head.as_str().into(), &false.into()));
    write(folder.path(), &[("a", "changed")]);
    let built = prepare(folder.path(), "debian", "dirty").ok().json();
    assert_eq!((&built["commit"], &built["dirty"]), (&head.as_str().into(), &true.into()));
    assert_ne!(plan(&[])["digest"], clean["digest"]);
    assert_eq!(plan(&["--rev", "HEAD"])["digest"], clean["digest"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("a")).unwrap(), "changed");
}

#[test]
fn attributes_and_filters_of_a_repository_have_no_say() {
    let base = script_base("app", "none");
    let mark = tempfile::tempdir().unwrap();
    let folder = source(&[
        ("build.sh", "[ -e left-out ] && [ \"$(cat stamp)\" = '$Format:%H$' ] && [ \"$(cat filtered)\" = plain ]"),
        (".gitattributes", "left-out export-ignore\nstamp export-subst\nfiltered filter=evil\n"),
        ("left-out", ""),
        ("stamp", "$Format:%H$"),
        ("filtered", "plain"),
    ]);
    commit(folder.path());
    let hook = format!("#!/bin/sh\ntouch {}/hook\n", mark.path().display());
    for name in ["post-checkout", "post-index-change", "reference-transaction"] {
        let path = folder.path().join(".git/hooks").join(name);
        std::fs::write(&path, &hook).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let touch = |name: &str| format!("touch {}/{name}; cat", mark.path().display());
    for (key, value) in [
        ("filter.evil.smudge", touch("smudge")),
        ("filter.evil.clean", touch("clean")),
        ("filter.evil.required", "true".to_owned()),
        ("core.fsmonitor", touch("fsmonitor")),
        ("log.showSignature", "true".to_owned()),
        ("gpg.program", touch("gpg")),
        ("diff.external", touch("diff")),
        ("core.pager", touch("pager")),
    ] {
        git(folder.path(), &["config", key, &value]);
    }
    // As if the index did not know of the file's newest state: git would filter it to compare.
    let file = File::options().write(true).open(folder.path().join("filtered")).unwrap();
    file.set_modified(std::time::SystemTime::now()).unwrap();
    prepare(folder.path(), &base, "attributes").ok();
    till(&["build", text(folder.path()), "--rev", "HEAD", "--base", &base, "--name", "attributes", "--afresh"]).ok();
    let left: Vec<_> = std::fs::read_dir(mark.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, Vec::<std::ffi::OsString>::new());
}

#[test]
fn what_a_repository_lacks_is_not_fetched() {
    base("debian");
    let marks = tempfile::tempdir().unwrap();
    let folder = source(&[PROCFILE, ("lost", "lost")]);
    commit(folder.path());
    let object = git(folder.path(), &["rev-parse", "HEAD:lost"]);
    std::fs::remove_file(folder.path().join(".git/objects").join(&object[..2]).join(&object[2..])).unwrap();
    let evil = format!("touch {}/uploadpack;", marks.path().display());
    for (key, value) in [
        ("core.repositoryformatversion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", text(folder.path())),
        ("remote.origin.uploadpack", &evil),
        ("protocol.allow", "always"),
        ("protocol.file.allow", "always"),
    ] {
        git(folder.path(), &["config", key, value]);
    }
    let called = till(&["build", text(folder.path()), "--rev", "HEAD", "--base", "debian", "--name", "lacks"]);
    assert_ne!(called.code, 0);
    assert!(!marks.path().join("uploadpack").exists(), "{}", called.err);
}

#[test]
fn a_directory_of_a_repository_is_a_source_of_its_own() {
    let base = script_base("app", "none");
    let check = "[ \"$(ls -A)\" = $'build.sh\\nnew\\nown' ] || [ \"$(ls -A)\" = $'build.sh\\nown' ]";
    let folder = source(&[("other/x", ""), ("my app/build.sh", check), ("my app/own", "")]);
    let head = commit(folder.path());
    let part = folder.path().join("my app");
    let built = till(&["build", text(&part), "--base", &base, "--afresh", "--json"]).ok().json();
    assert_eq!(
        (&built["app"], &built["commit"], &built["dirty"]),
        (&"my-app".into(), &head.as_str().into(), &false.into())
    );
    // What changes elsewhere does not matter here.
    write(folder.path(), &[("other/x", "changed")]);
    assert_eq!(prepare(&part, &base, "part").ok().json()["dirty"], false);
    write(&part, &[("new", "x")]);
    assert_eq!(prepare(&part, &base, "part").ok().json()["dirty"], true);
}

#[test]
fn a_bare_repository_is_a_source() {
    let base = script_base("app", "none");
    let folder = source(&[("build.sh", "[ \"$(ls -A)\" = build.sh ]")]);
    let head = commit(folder.path());
    let bare = folder.path().join("shop.git");
    git(folder.path(), &["clone", "--quiet", "--bare", ".", text(&bare)]);
    for path in [bare, folder.path().join(".git")] {
        let built = till(&["build", text(&path), "--base", &base, "--name", "bare", "--afresh", "--json"]).ok().json();
        assert_eq!((&built["commit"], &built["dirty"]), (&head.as_str().into(), &false.into()));
    }
    let named = till(&["plan", text(&folder.path().join("shop.git")), "--base", &base, "--json"]).ok().json();
    assert_eq!(named["app"], "shop");
}

#[test]
fn hostile_words_are_only_words() {
    base("debian");
    let folder = source(&[PROCFILE]);
    commit(folder.path());
    let mark = folder.path().join(".git/mark");
    let mark = text(&mark);
    let path = text(folder.path());
    let revisions = [
        "--upload-pack=x".to_owned(),
        format!("--output={mark}"),
        format!("$(touch {mark})"),
        format!("; touch {mark}"),
        "--all".to_owned(),
        "-n1".to_owned(),
        "HEAD --all".to_owned(),
        "HEAD\nHEAD".to_owned(),
        ":/x; y".to_owned(),
        String::new(),
    ];
    for revision in &revisions {
        let rev = format!("--rev={revision}");
        till(&["plan", path, "--base", "debian", &rev]).failed(6, &["has no revision"]);
    }
    for name in ["--upload-pack=x", "$(touch x)", "../x", "a/b", "-x", "", "a\nb"] {
        let name = format!("--name={name}");
        till(&["plan", path, "--base", "debian", &name]).failed(2, &["is not a name"]);
        let base = name.replace("--name", "--base");
        till(&["plan", path, &base]).failed(2, &["is not a name"]);
    }
    for address in [
        format!("ssh://-oProxyCommand=touch${{IFS}}{mark}/x"),
        "git@-oProxyCommand=id:x".to_owned(),
        "https://127.0.0.1:1/--upload-pack=x".to_owned(),
    ] {
        till(&["plan", "--base", "debian", "--", &address]).failed(6, &["what to try"]);
    }
    assert!(!Path::new(mark).exists());
}

/// A word that would turn a terminal red, and what is shown of it.
const RED: &str = "\u{1b}[31mred\u{9b}2J";

#[test]
fn names_from_a_source_do_not_move_the_terminal() {
    base("debian");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    let procfile = format!("web: echo {RED}\n");
    let table: [(&str, &str, i32); 4] = [
        ("Procfile", &procfile, 0),
        (RED, pointer, 0),
        ("till.toml", "\u{1b}[31mred = 1\n", 3),
        ("till.toml", "base = \"\u{9b}31mred\"\n", 3),
    ];
    for (path, content, code) in table {
        let folder = source(&[PROCFILE, (path, content)]);
        for verb in ["plan", "build"] {
            let called = till(&[verb, text(folder.path()), "--base", "debian", "--name", "red", "--afresh"]);
            assert_eq!(called.code, code, "{called:?}");
            let all = called.out + &called.err;
            assert!(!all.chars().any(|c| c.is_control() && c != '\n'), "{path:?}: {all:?}");
        }
    }
    let folder = source(&[PROCFILE]);
    symlink(format!("/{RED}"), folder.path().join(RED)).unwrap();
    let called =
        till(&["plan", text(folder.path()), "--base", "debian"]).failed(3, &["red", "leads out of the source"]);
    assert!(!called.err.chars().any(|c| c.is_control() && c != '\n'), "{:?}", called.err);
}

#[test]
fn what_a_failing_build_said_before_is_not_lost() {
    let base = script_base("app", "none");
    script(&base, "kept-before", "true").ok();
    let before = till(&["artifact", "show", "kept-before", "--json"]).ok().json();
    script(&base, "kept-before", "echo no; exit 7").failed(3, &["exit code 7"]);
    assert_eq!(till(&["artifact", "show", "kept-before", "--json"]).ok().json(), before);
}
