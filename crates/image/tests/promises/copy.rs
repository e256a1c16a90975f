//! COPY and ADD between real trees.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;

use till_core::plan::{Footing, TreeFiles};
use till_image::{IdShift, ImageError, Landed, Rewriting, gather, land};

use crate::common::{Lab, look};

fn files(sources: &[&str], exclude: &[&str]) -> TreeFiles {
    let all = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    TreeFiles { of: Footing::Nothing, sources: all(sources), parents: false, exclude: all(exclude) }
}

fn gathered(root: &Path, files: &TreeFiles) -> Result<Vec<u8>, ImageError> {
    let mut tar = Vec::new();
    gather(root, files, &IdShift::none(), &mut tar).map(|_| tar)
}

/// The names in an archive.
fn names(tar: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(tar);
    let name = |entry: std::io::Result<tar::Entry<'_, _>>| entry.unwrap().path().unwrap().display().to_string();
    archive.entries().unwrap().map(name).collect()
}

fn plain() -> Rewriting<'static> {
    Rewriting { ids: IdShift::none(), owner: None, mode: None, missing: 0o755, unpack: false, limit_bytes: None }
}

fn landed(tar: &[u8], root: &Path, place: (&str, bool), rewriting: &Rewriting<'_>) -> Result<Landed, ImageError> {
    land(&mut &tar[..], root, place, rewriting)
}

/// `COPY --from sources… place`, as it is.
#[track_caller]
fn copy(from: &Path, sources: &[&str], to: &Path, place: (&str, bool)) -> Result<Landed, ImageError> {
    landed(&gathered(from, &files(sources, &[])).unwrap(), to, place, &plain())
}

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn read(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| error.to_string())
}

/// Two trees: one with files, one that is empty.
fn trees(lab: &Lab) -> (std::path::PathBuf, std::path::PathBuf) {
    let (from, to) = (lab.tree("from"), lab.tree("to"));
    for path in ["a.txt", "b.md", "d/a.txt", "d/e/f.md", "d/e/g.txt"] {
        write(&from, path, path);
    }
    symlink("d/e", from.join("link")).unwrap();
    symlink("/a.txt", from.join("absolute")).unwrap();
    symlink("../../../../b.md", from.join("d/up")).unwrap();
    (from, to)
}

#[test]
fn root_a_file_becomes_the_place_or_goes_into_it() {
    let lab = Lab::new();
    let (from, to) = trees(&lab);
    fs::create_dir(to.join("there")).unwrap();
    write(&to, "old", "old");
    for (place, directory, path) in [
        ("/x", false, "x"),
        ("/y", true, "y/a.txt"),
        ("/y/", true, "y/a.txt"),
        ("/there", false, "there/a.txt"),
        ("/old", false, "old"),
        ("/deep/er/z", false, "deep/er/z"),
        ("/", true, "a.txt"),
    ] {
        copy(&from, &["/a.txt"], &to, (place, directory)).unwrap();
        assert_eq!(read(&to, path), "a.txt", "{place}");
    }
}

#[test]
fn root_a_file_never_replaces_a_directory_nor_the_other_way_round() {
    let lab = Lab::new();
    let (from, to) = trees(&lab);
    fs::create_dir_all(to.join("x/a.txt")).unwrap();
    write(&to, "y/e", "a file");
    write(&to, "z", "a file");
    copy(&from, &["a.txt"], &to, ("/x", true)).unwrap_err();
    copy(&from, &["a.txt"], &to, ("/x/", true)).unwrap_err();
    copy(&from, &["d"], &to, ("/y", true)).unwrap_err();
    copy(&from, &["d"], &to, ("/z", true)).unwrap_err();
    copy(&from, &["a.txt"], &to, ("/z/below", false)).unwrap_err();
    copy(&from, &["a.txt"], &to, ("/z/be/low", true)).unwrap_err();
    // Without entries for the directories between.
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut tar::Header::new_gnu(), "e/f.md", std::io::empty()).unwrap();
    landed(&builder.into_inner().unwrap(), &to, ("/y", true), &plain()).unwrap_err();
    assert!(to.join("x/a.txt").is_dir());
    assert_eq!((read(&to, "y/e"), read(&to, "z")), ("a file".to_owned(), "a file".to_owned()));
}

#[test]
fn root_the_content_of_a_directory_is_merged() {
    let lab = Lab::new();
    let (from, to) = trees(&lab);
    write(&to, "x/e/mine", "mine");
    write(&to, "x/a.txt", "old");
    fs::set_permissions(to.join("x"), fs::Permissions::from_mode(0o711)).unwrap();
    chown(to.join("x"), Some(9), Some(9)).unwrap();
    copy(&from, &["/d/"], &to, ("/x", true)).unwrap();
    let seen = look(&to);
    let paths: Vec<_> = seen.keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    assert_eq!(paths, ["x", "x/a.txt", "x/e", "x/e/f.md", "x/e/g.txt", "x/e/mine", "x/up"]);
    assert_eq!(read(&to, "x/a.txt"), "d/a.txt");
    assert_eq!(fs::read_link(to.join("x/up")).unwrap(), Path::new("../../../../b.md"));
    // The place itself is what it was.
    assert_eq!((seen[&b"x"[..]].mode, seen[&b"x"[..]].owner), (0o711, (9, 9)));
    // Nor is one that was not there like the directory whose content is copied.
    fs::set_permissions(from.join("d"), fs::Permissions::from_mode(0o750)).unwrap();
    chown(from.join("d"), Some(7), Some(8)).unwrap();
    copy(&from, &["/d"], &to, ("/new/y", true)).unwrap();
    let seen = look(&to);
    assert_eq!((seen[&b"new/y"[..]].mode, seen[&b"new/y"[..]].owner), (0o755, (0, 0)));
    assert_eq!((seen[&b"new"[..]].mode, seen[&b"new"[..]].owner), (0o755, (0, 0)));
}

#[test]
fn root_files_and_directories_go_into_a_place_in_any_order() {
    let lab = Lab::new();
    let (from, to) = trees(&lab);
    for (number, sources) in [["a.txt", "d/e"], ["d/e", "a.txt"]].iter().enumerate() {
        let place = format!("new/{number}");
        copy(&from, sources, &to, (&format!("/{place}/"), true)).unwrap();
        assert_eq!((read(&to, &format!("{place}/a.txt")), read(&to, &format!("{place}/f.md"))), {
            ("a.txt".to_owned(), "d/e/f.md".to_owned())
        });
    }
    // A pattern that finds both: the file has become the place.
    copy(&from, &["[bd]*"], &to, ("/one", false)).unwrap_err();
    assert_eq!(read(&to, "one"), "b.md");
}

#[test]
fn root_names_of_one_file_stay_names_of_one_file() {
    let lab = Lab::new();
    let (from, to) = trees(&lab);
    for (path, link) in [("d/a.txt", "d/e/again"), ("d/a.txt", "d/zz"), ("b.md", "d/b")] {
        fs::hard_link(from.join(path), from.join(link)).unwrap();
    }
    let mode = |_: u32, directory: bool| if directory { 0o755 } else { 0o640 };
    let rewriting = Rewriting { owner: Some((70, 80)), mode: Some(&mode), ..plain() };
    for (place, parents, sources, prefix) in [
        ("/plain", false, &["d"][..], "plain"),
        ("/parents", true, &["d"], "parents/d"),
        ("/twice", false, &["d", "d", "d/a.txt", "d/zz"], "twice"),
    ] {
        let tar = gathered(&from, &TreeFiles { parents, ..files(sources, &[]) }).unwrap();
        landed(&tar, &to, (place, true), &rewriting).unwrap();
        let seen = look(&to);
        let of = |name: &str| &seen[format!("{prefix}/{name}").as_bytes()];
        assert_eq!(of("e/again").same_as, of(if sources.len() == 1 { "a.txt" } else { "e/again" }).same_as, "{place}");
        for name in ["a.txt", "e/again", "zz"] {
            let file = of(name);
            assert_eq!((file.content.as_slice(), file.owner, file.mode), (&b"d/a.txt"[..], (70, 80), 0o640), "{place}");
        }
        // Its other name is not among what is copied.
        assert_eq!(of("b").content, b"b.md", "{place}");
    }
    // Each source stands for itself, as BuildKit has it: what another one put under a name is no part of it.
    copy(&from, &["d/a.txt", "d/zz"], &to, ("/files", true)).unwrap();
    assert_ne!(look(&to)[&b"files/a.txt"[..]].same_as, look(&to)[&b"files/zz"[..]].same_as);
}

#[test]
fn root_no_symlink_of_either_tree_leads_out_of_it() {
    let lab = Lab::new();
    let (from, to) = trees(&lab);
    let outside = lab.tree("outside");
    write(&outside, "secret", "secret");
    write(&outside, "dir/file", "file");
    let before = look(&outside);
    let at = outside.display().to_string();
    for (name, target) in [
        ("absolute", format!("{at}/secret")),
        ("relative", "../outside/secret".to_owned()),
        ("dir", format!("{at}/dir")),
        ("up", "../outside/dir".to_owned()),
        ("round", "round".to_owned()),
    ] {
        symlink(&target, to.join(name)).unwrap();
        symlink(&target, from.join(format!("to-{name}"))).unwrap();
    }
    for place in
        ["/absolute", "/relative", "/dir", "/up", "/dir/x", "/up/x", "/dir/../../outside/x", "/../outside/y", "/round"]
    {
        for directory in [false, true] {
            for source in ["a.txt", "d"] {
                let _ = copy(&from, &[source], &to, (place, directory || source == "d"));
            }
            assert_eq!(look(&outside), before, "{place} {directory}");
        }
    }
    for source in
        ["to-absolute", "to-relative", "to-dir", "to-up", "to-round", "to-up/file", "../outside/secret", "to-dir/*"]
    {
        match gathered(&from, &files(&[source], &[])) {
            Err(_) => {}
            Ok(tar) => assert!(names(&tar).is_empty(), "{source}: {:?}", names(&tar)),
        }
    }
    assert_eq!(look(&outside), before);
}

#[test]
fn root_a_place_that_is_a_symlink_is_followed_inside() {
    let lab = Lab::new();
    let (from, to) = trees(&lab);
    fs::create_dir_all(to.join("var/www")).unwrap();
    symlink("/var/www", to.join("www")).unwrap();
    symlink("var/www/new", to.join("file")).unwrap();
    symlink("../../../../var", to.join("var/up")).unwrap();
    // To what is not there yet.
    symlink("../../../srv/rel/v2", to.join("current")).unwrap();
    symlink("/current/deep", to.join("var/more")).unwrap();
    for (source, place, directory, path) in [
        ("a.txt", "/www", false, "var/www/a.txt"),
        ("b.md", "/www/", true, "var/www/b.md"),
        ("d/e", "/www", true, "var/www/f.md"),
        ("a.txt", "/file", false, "var/www/new"),
        ("a.txt", "/var/up/x", false, "var/x"),
        ("d", "/current/", true, "srv/rel/v2/e/f.md"),
        ("a.txt", "/var/more/x", false, "srv/rel/v2/deep/x"),
        ("a.txt", "/var/more/y/", true, "srv/rel/v2/deep/y/a.txt"),
    ] {
        copy(&from, &[source], &to, (place, directory)).unwrap();
        assert!(to.join(path).is_file(), "{place}");
    }
    for link in ["www", "file", "current", "var/more"] {
        assert!(to.join(link).is_symlink(), "{link}");
    }
}

#[test]
fn root_owners_and_modes_are_what_is_said_of_what_is_made_above_too() {
    let lab = Lab::new();
    let (from, to) = trees(&lab);
    fs::create_dir(to.join("there")).unwrap();
    let mode = |mode: u32, directory: bool| if directory { mode | 0o010 } else { 0o640 };
    let rewriting = Rewriting { owner: Some((70, 80)), mode: Some(&mode), missing: 0o711, ..plain() };
    let tar = gathered(&from, &files(&["d"], &[])).unwrap();
    landed(&tar, &to, ("/there/a/b", true), &rewriting).unwrap();
    let seen = look(&to);
    let modes = ["there/a", "there/a/b", "there/a/b/e"].map(|path| seen[path.as_bytes()].mode);
    assert_eq!(modes, [0o711, 0o711, 0o755], "only what is copied gets the mode that it is to have");
    assert_eq!(seen[&b"there"[..]].owner, (0, 0));
    for (path, file) in seen.iter().filter(|(path, _)| path.starts_with(b"there/")) {
        assert_eq!(file.owner, (70, 80), "{}", String::from_utf8_lossy(path));
        if file.kind == "file" {
            assert_eq!(file.mode, 0o640);
        }
    }
    // Ids are shifted once: what is 3 inside is 1003 on disk.
    chown(from.join("a.txt"), Some(3), Some(4)).unwrap();
    let tar = gathered(&from, &files(&["a.txt"], &[])).unwrap();
    let shifted = Rewriting { ids: IdShift { first: 1000, count: 100 }, ..plain() };
    landed(&tar, &to, ("/shifted", false), &shifted).unwrap();
    let metadata = fs::metadata(to.join("shifted")).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (1003, 1004));
}

/// A tar archive with one file `in/side`.
fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o600);
    header.set_size(4);
    header.set_uid(5);
    header.set_gid(6);
    builder.append_data(&mut header, "in/side", &b"text"[..]).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn root_only_archives_are_unpacked_and_only_for_add() {
    let tar = archive();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    let mut bzip2 = Vec::new();
    bzip2::read::BzEncoder::new(tar.as_slice(), bzip2::Compression::fast()).read_to_end(&mut bzip2).unwrap();
    let mut xz = Vec::new();
    liblzma::read::XzEncoder::new(tar.as_slice(), 1).read_to_end(&mut xz).unwrap();
    let mut text = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    text.write_all(b"text").unwrap();
    let table = [
        ("tar", tar.clone(), true),
        ("gzip.png", gzip.finish().unwrap(), true),
        ("bzip2", bzip2, true),
        ("xz", xz, true),
        ("zstd", zstd::encode_all(tar.as_slice(), 1).unwrap(), true),
        ("plain.tar", b"no archive, whatever its name says".to_vec(), false),
        ("text.gz", text.finish().unwrap(), false),
    ];
    for (name, bytes, is_archive) in table {
        let lab = Lab::new();
        let (from, to) = (lab.tree("from"), lab.tree("to"));
        fs::write(from.join(name), &bytes).unwrap();
        let tar = gathered(&from, &files(&[name], &[])).unwrap();
        let adding = Rewriting { unpack: true, ..plain() };
        landed(&tar, &to, ("/x", false), &adding).unwrap();
        landed(&tar, &to, ("/copied", false), &plain()).unwrap();
        landed(&tar, &to, ("/owned", true), &Rewriting { owner: Some((7, 7)), ..adding }).unwrap();
        assert_eq!(fs::read(to.join("copied")).unwrap(), bytes, "{name}");
        if is_archive {
            assert_eq!(read(&to, "x/in/side"), "text", "{name}");
            let metadata = fs::metadata(to.join("x/in/side")).unwrap();
            assert_eq!((metadata.mode() & 0o777, metadata.uid(), metadata.gid()), (0o600, 5, 6), "{name}");
            assert_eq!(fs::metadata(to.join("owned/in/side")).unwrap().uid(), 7, "{name}");
        } else {
            assert_eq!(fs::read(to.join("x")).unwrap(), bytes, "{name}");
            assert_eq!(fs::read(to.join("owned").join(name)).unwrap(), bytes, "{name}");
        }
    }
}

/// Sources, what is left out, `--parents`, and what the archive holds then.
type Row = (&'static [&'static str], &'static [&'static str], bool, &'static [&'static str]);

#[test]
fn root_patterns_find_what_is_there_and_nothing_else() {
    let lab = Lab::new();
    let (from, _) = trees(&lab);
    let table: [Row; 15] = [
        (&["/*.txt"], &[], false, &["a.txt"]),
        (&["a.txt", "b.md"], &[], false, &["a.txt", "b.md"]),
        (&["*/a.txt"], &[], false, &["a.txt"]),
        (&["d/?/[f-g].*"], &[], false, &["f.md", "g.txt"]),
        (&["nothing*"], &[], false, &[]),
        (&["../../a.txt"], &[], false, &["a.txt"]),
        (&["d"], &[], false, &["./", "a.txt", "e/", "e/f.md", "e/g.txt", "up"]),
        (&["d"], &["**/*.md", "up"], false, &["./", "a.txt", "e/", "e/g.txt"]),
        (&["d"], &["e"], false, &["./", "a.txt", "up"]),
        (&["*.txt", "*.md"], &["a*"], false, &["b.md"]),
        (&["link"], &[], false, &["./", "f.md", "g.txt"]),
        (&["absolute"], &[], false, &["absolute"]),
        (&["d/e/f.md"], &[], true, &["d/", "d/e/", "d/e/f.md"]),
        (&["d/./e/f.md"], &[], true, &["e/", "e/f.md"]),
        (&["/**/*.md"], &[], true, &["b.md", "d/", "d/e/", "d/e/f.md"]),
    ];
    for (sources, exclude, parents, found) in table {
        let files = TreeFiles { parents, ..files(sources, exclude) };
        let names = names(&gathered(&from, &files).unwrap());
        let names: Vec<_> = names.iter().map(|name| name.trim_end_matches('/')).collect();
        let found: Vec<_> = found.iter().map(|name| name.trim_end_matches('/')).collect();
        assert_eq!(names, found, "{sources:?}");
    }
    for missing in ["nothing", "a.txt/below", "/d/nothing"] {
        let error = gathered(&from, &files(&["b.md", missing], &[])).unwrap_err();
        assert!(matches!(error, ImageError::Absent { .. }), "{missing}: {error}");
    }
}
