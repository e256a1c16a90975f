//! Which of the bases that are there is taken.

use super::*;

#[test]
fn a_base_is_taken_by_its_name_or_by_its_tags() {
    for (bases, base) in [
        (&[("go", "command", "")][..], "go go"),
        (&[("ours", "command", "Golang")], "go ours"),
        (&[("ours", "command", "go"), ("go", "command", "")], "go go"),
        (&[("ours", "command", "go"), ("theirs", "s2i", "go")], "go ours"),
        (&[("theirs", "s2i", "go")], "go theirs"),
        // Neither says what is done with source.
        (&[("go", "", "go")], "go go!"),
        (&[("go", "dockerfile", "go")], "go go!"),
        (&[("ours", "command", "go"), ("yours", "command", "go")], "go -!"),
        (&[("python", "command", "python")], "go go!"),
        (&[], "go go!"),
    ] {
        let bases: Vec<_> = bases.iter().copied().map(offer).collect();
        assert_eq!(chosen(&of(&[("go.mod", "")], &bases)), base, "{bases:?}");
    }
}

#[test]
fn the_order_of_the_bases_changes_nothing() {
    let mut bases = [house(), vec![offer(("b", "command", "go")), offer(("a", "command", "go"))]].concat();
    let files = [("go.mod", ""), ("package.json", ""), ("Procfile", "web: x")];
    let before = of(&files, &bases);
    bases.reverse();
    assert_eq!(of(&files, &bases), before);
}

#[test]
fn the_builder_for_source_to_image_is_the_only_one_or_the_one_of_the_language() {
    let source = [(".s2i/environment", ""), ("package.json", ""), ("requirements.txt", "")];
    for (bases, base) in [
        (&[("a", "s2i", "")][..], "s2i a"),
        (&[("a", "s2i", ""), ("b", "s2i", "nodejs")], "s2i b"),
        (&[("a", "s2i", "nodejs"), ("b", "s2i", "python")], "s2i b"),
        (&[("a", "s2i", "python"), ("b", "s2i", "python")], "s2i -!"),
        (&[("a", "s2i", "perl"), ("b", "s2i", "ruby")], "s2i -!"),
        (&[("python", "command", "python")], "s2i -!"),
    ] {
        let bases: Vec<_> = bases.iter().copied().map(offer).collect();
        assert_eq!(chosen(&of(&source, &bases)), base, "{bases:?}");
    }
}

#[test]
fn the_base_of_the_builder_that_project_toml_names_is_taken() {
    let of_builder = |builder: &str, bases: &[Offer]| {
        chosen(&of(&[("project.toml", &format!("[io.buildpacks]\nbuilder = \"{builder}\"\n"))], bases))
    };
    let image = |name: &str, references: &[&str]| Offer {
        references: references.iter().map(|name| (*name).to_owned()).collect(),
        ..offer((name, "cnb", ""))
    };
    let two =
        [image("a", &["docker://registry.example/some/builder:24"]), image("b", &["registry.example/x:1", "oci:b"])];
    for (builder, base) in [
        ("registry.example/some/builder:24", "cnb a"),
        ("docker://registry.example/some/builder:24", "cnb a"),
        ("some/builder:24", "cnb a"),
        ("registry.example/x:1", "cnb b"),
        ("some/builder", "cnb -!"),
        ("some/builder:25", "cnb -!"),
        ("other.example/some/builder:24", "cnb -!"),
        ("not a reference", "cnb -!"),
        ("", "cnb -!"),
    ] {
        assert_eq!(of_builder(builder, &two), base, "{builder}");
    }
    // The only one will do, and it is told that it is another.
    assert_eq!(of_builder("some/builder:25", &two[..1]), "cnb a");
    let detection = of(&[("project.toml", "[build]\nbuilder = \"some/builder:25\"\n")], &two[..1]);
    assert!(detection.chosen.unwrap().because.contains("no base was imported from the builder some/builder:25"));
}
