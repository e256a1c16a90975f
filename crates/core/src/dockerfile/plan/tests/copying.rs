//! COPY and ADD: which files, and where they go.

use super::*;

const FILES: [&str; 9] = [
    "a.txt=1",
    "b.txt=2",
    "c.md=3",
    "d/a.txt=4",
    "d/e/f.md=5",
    "link -> d/e",
    "to -> /a.txt",
    "out -> ../../../b.txt",
    "bad -> no",
];

/// The injections of the last layer.
#[track_caller]
fn injections(case: &Case) -> Vec<Injection> {
    let draft = case.draft();
    let deeds = draft.stages.last().map(|stage| stage.deeds.clone()).unwrap_or_default();
    deeds
        .into_iter()
        .filter_map(|deed| if let Deed::Inject(injection) = deed { Some(injection) } else { None })
        .collect()
}

fn copy(line: &str) -> Case {
    case(&format!("FROM base AS one\nRUN x\nFROM base\nARG v=a.txt\n{line}\n")).files(&FILES)
}

#[track_caller]
fn one(line: &str) -> Injection {
    let mut all = injections(&copy(line));
    assert_eq!(all.len(), 1, "{line}: {all:#?}");
    all.remove(0)
}

fn landing(injection: &Injection) -> &Landing {
    match &injection.place {
        Place::Copy(landing) => landing,
        other => panic!("{other:?}"),
    }
}

/// `name=content` of each file.
fn named(what: &Selection) -> Vec<String> {
    let Selection::Named(files) = what else { panic!("{what:?}") };
    files.iter().map(|NamedFile { name, file }| format!("{name}={}", file.content)).collect()
}

#[test]
fn sources_are_found_in_the_context_and_go_where_is_said() {
    // The line, what goes, where to, and is that a directory for sure?
    let table: [(&str, &[&str], &str, bool); 24] = [
        ("COPY a.txt /x", &["a.txt=1"], "/x", false),
        ("COPY $v x/", &["a.txt=1"], "/x", true),
        ("COPY a.txt .", &["a.txt=1"], "/", true),
        ("COPY a.txt x/..", &["a.txt=1"], "/", true),
        ("COPY a.txt /x..", &["a.txt=1"], "/x..", false),
        ("COPY /a.txt /x", &["a.txt=1"], "/x", false),
        ("COPY ../../a.txt /x", &["a.txt=1"], "/x", false),
        ("COPY d/../a.txt /x", &["a.txt=1"], "/x", false),
        ("COPY d /x", &["a.txt=4", "e/f.md=5"], "/x", true),
        ("COPY d/ /x", &["a.txt=4", "e/f.md=5"], "/x", true),
        ("COPY d/e ../../x/../y", &["f.md=5"], "/y", true),
        ("COPY *.txt /x/", &["a.txt=1", "b.txt=2"], "/x", true),
        ("COPY *.txt /x", &["a.txt=1", "b.txt=2"], "/x", true),
        ("COPY [b-z].txt /x", &["b.txt=2"], "/x", false),
        ("COPY d/*/f.?d /x", &["f.md=5"], "/x", false),
        ("COPY *.no /x", &[], "/x", false),
        ("COPY a.txt d/e /x/", &["a.txt=1", "f.md=5"], "/x", true),
        // Of two with the same name the later one is there.
        ("COPY a.txt d /x/", &["a.txt=4", "e/f.md=5"], "/x", true),
        ("COPY d a.txt /x/", &["a.txt=1", "e/f.md=5"], "/x", true),
        // A symlink that is named is followed, up to the root of the context.
        ("COPY link /x", &["f.md=5"], "/x", true),
        ("COPY link/f.md /x", &["f.md=5"], "/x", false),
        ("COPY to out /x/", &["out=2", "to=1"], "/x", true),
        ("COPY [\"a.txt\", \"/x y\"]", &["a.txt=1"], "/x y", false),
        ("WORKDIR /w\nENV d=q\nCOPY a.txt ${d}/x", &["a.txt=1"], "/w/q/x", false),
    ];
    for (line, files, path, directory) in table {
        let all = injections(&copy(line));
        let injection = all.last().unwrap();
        assert_eq!(named(&injection.what), files, "{line}");
        let landing = landing(injection);
        assert_eq!((landing.path.as_str(), landing.directory, landing.unpack), (path, directory, false), "{line}");
    }
    // Symlinks below a directory are kept.
    assert!(named(&one("COPY . /").what).contains(&"link=d/e".to_owned()));
}

#[test]
fn some_are_left_out_and_some_keep_their_path() {
    let table: [(&str, &[&str]); 8] = [
        (
            "COPY --exclude=*.md . /",
            &["a.txt=1", "b.txt=2", "bad=no", "d/a.txt=4", "d/e/f.md=5", "link=d/e", "out=../../../b.txt", "to=/a.txt"],
        ),
        ("COPY --exclude=**/*.md --exclude=e d /", &["a.txt=4"]),
        ("COPY --exclude=b* *.txt /", &["a.txt=1"]),
        ("COPY --parents d/e/f.md a.txt /x/", &["a.txt=1", "d/e/f.md=5"]),
        ("COPY --parents d/./e/f.md /x/", &["e/f.md=5"]),
        ("COPY --parents d/./e /x/", &["e/f.md=5"]),
        ("COPY --parents **/*.md /x/", &["c.md=3", "d/e/f.md=5"]),
        ("COPY --parents d/./** /x/", &["a.txt=4", "e/f.md=5"]),
    ];
    for (line, files) in table {
        assert_eq!(named(&one(line).what), files, "{line}");
    }
}

#[test]
fn what_cannot_be_copied_is_said_with_its_line() {
    let table = [
        ("COPY nothing /", "line 5: there is no `nothing` in the source"),
        ("COPY hidden /", "line 5: there is no `hidden` in the source (it is there, but .dockerignore leaves it out)"),
        (
            "COPY secret/dir /",
            "line 5: there is no `secret/dir` in the source (it is there, but .dockerignore leaves it out)",
        ),
        ("COPY bad /", "line 5: there is no `bad` in the source"),
        ("COPY round /", "line 5: `round` leads nowhere"),
        (
            "COPY a.txt b.txt /x",
            "line 5: several sources are copied to `/x`, which is no directory for sure (write `/x/`)",
        ),
        ("COPY a.txt $nothing", "line 5: the destination is empty"),
        ("COPY --chmod=${v} a.txt /", "line 5: --chmod=a.txt: "),
        ("COPY --from=later x /", "line 5: `later` is this stage or one that comes after it"),
        ("COPY --from=1 x /", "line 5: `1` is this stage or one that comes after it"),
        ("COPY --from=9 x /", "line 5: `9` is this stage or one that comes after it"),
        ("ADD git://x.y/z /", "line 5: ADD git://x.y/z: repositories are not fetched"),
        ("ADD https://x.y/z.git#main:sub /", "line 5: ADD https://x.y/z.git#main:sub: repositories are not fetched"),
        ("ADD git@x.y:z /", "line 5: ADD git@x.y:z: repositories are not fetched"),
        ("ADD --checksum=sha256:0 https://x.y/z /", "line 5: --checksum: "),
        ("ADD --checksum=sha256:0 a.txt /", "line 5: --checksum is for what is fetched, and `a.txt` is not"),
    ];
    for (line, what) in table {
        let text = format!("FROM base AS one\nRUN x\nFROM base\nARG v=a.txt\n{line}\nFROM base AS later\n");
        let files = ["hidden", "secret/dir/a", "round -> round"];
        let error = case(&text).target("1").files(&FILES).files(&files).ignore("hidden\nsecret\n").error();
        assert!(error.starts_with(what), "{line}: {error}");
    }
}

#[test]
fn heredocs_become_files_with_their_variables() {
    let injection = one("COPY <<b <<\"a\" /x/\n$v${w:-y}\nb\n$v\na");
    let Selection::Texts(texts) = &injection.what else { panic!() };
    let texts: Vec<_> = texts.iter().map(|text| (text.name.as_str(), text.text.as_str(), text.mode)).collect();
    assert_eq!(texts, [("a", "$v\n", 0o644), ("b", "a.txty\n", 0o644)]);
    assert_eq!((landing(&injection).path.as_str(), landing(&injection).directory), ("/x", true));
    let all = injections(&copy("COPY <<a b.txt /x/\na"));
    assert_eq!(all.len(), 2);
}

#[test]
fn owner_and_mode_are_kept_as_said() {
    let injection = one("COPY --chown=${v}:g --chmod=u+x a.txt /x");
    assert_eq!(injection.owner.as_deref(), Some("a.txt:g"));
    assert_eq!(landing(&injection).mode.as_deref(), Some("u+x"));
    let injection = one("USER app\nCOPY a.txt /x");
    assert_eq!((&injection.owner, &landing(&injection).mode), (&None, &None));
}

#[test]
fn a_linked_layer_sees_nothing_unless_a_name_has_to_be_looked_up() {
    let table = [
        ("COPY --link a.txt /x", Sight::Nothing),
        ("ADD --link a.txt /x", Sight::Nothing),
        ("COPY --link --chown=7:8 a.txt /x", Sight::Nothing),
        ("COPY --link --chown=app a.txt /x", Sight::All),
        ("COPY --link --chown=7:app a.txt /x", Sight::All),
        ("COPY --link=false a.txt /x", Sight::All),
        ("COPY a.txt /x", Sight::All),
    ];
    for (line, sight) in table {
        assert_eq!(copy(line).draft().stages.last().unwrap().sight, sight, "{line}");
    }
}

#[test]
fn other_trees_are_asked_when_they_are_there() {
    let files = |of, sources: &[&str]| TreeFiles { of, sources: strings(sources), parents: false, exclude: Vec::new() };
    let base = Footing::Image(image("base"));
    let table = [
        ("COPY --from=one /a b /x/", files(Footing::Stage(0), &["/a", "b"])),
        ("COPY --from=ONE $v /x", files(Footing::Stage(0), &["a.txt"])),
        ("COPY --from=0 /a* /x", files(Footing::Stage(0), &["/a*"])),
        ("COPY --from=base /a /x", files(base.clone(), &["/a"])),
        (
            "COPY --from=base --parents --exclude=*.$v /a /x",
            TreeFiles { parents: true, exclude: strings(&["*.a.txt"]), ..files(base, &["/a"]) },
        ),
    ];
    for (line, wanted) in table {
        assert_eq!(one(line).what, Selection::Tree(wanted), "{line}");
    }
    // A stage's name hides an image of that name.
    let draft = case("FROM scratch AS base\nCOPY a.txt /\nFROM scratch\nCOPY --from=base /a /\n").files(&FILES).draft();
    assert!(draft.images.is_empty());
}

#[test]
fn only_add_unpacks_and_each_file_for_itself() {
    let all = injections(&copy("ADD a.txt d b.txt /x/"));
    let found: Vec<_> = all.iter().map(|one| (named(&one.what), landing(one).unpack, landing(one).directory)).collect();
    let words = |words: &[&str]| strings(words);
    assert_eq!(
        found,
        [
            (words(&["a.txt=4", "e/f.md=5"]), false, true),
            (words(&["a.txt=1"]), true, true),
            (words(&["b.txt=2"]), true, true)
        ]
    );
    assert!(landing(&one("ADD a.txt /x")).unpack);
    assert!(!landing(&one("ADD --unpack=false a.txt /x")).unpack);
    assert!(!landing(&one("COPY a.txt /x")).unpack);
}

#[test]
fn a_remote_file_is_asked_for_and_then_known() {
    let url = "https://x.y/d/z.tar?q=1";
    let digest = Digest::of(url.as_bytes());
    let line = format!("ADD --checksum={digest} {url} /x/");
    assert_eq!(copy(&line).needs(), [Need::Remote { url: url.to_owned(), checksum: Some(digest.clone()) }]);
    let known = |line: &str| copy(line).remote(url, "other", Some(5)).remote("http://x.y/", "", None);
    let all = injections(&known(&line));
    let Selection::Remote(file) = &all[0].what else { panic!() };
    assert_eq!((file.name.as_str(), &file.digest, file.time), ("z.tar", &digest, Some(5)));
    assert!(!landing(&all[0]).unpack);
    assert!(landing(&injections(&known(&format!("ADD --unpack {url} /x/")))[0]).unpack);
    let other = Digest::of(b"other");
    let error = known(&format!("ADD --checksum={other} {url} /x/")).error();
    assert_eq!(error, format!("line 5: what {url} gives has digest {digest}, not {other}"));
    assert_eq!(known("ADD http://x.y/ /x/").error(), "line 5: http://x.y/ names no file, and `/x/` is a directory");
    known("ADD http://x.y/ /x").draft();
}
