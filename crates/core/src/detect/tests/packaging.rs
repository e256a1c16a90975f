//! What says more of a source than its language.

use super::*;

/// An app in Go whatever else it has.
fn with(files: &[(&str, &str)]) -> Detection {
    let all: Vec<_> = [("go.mod", ""), ("public/x", "")].iter().chain(files).copied().collect();
    let more = [("builder", "cnb", ""), ("sti", "s2i", "")].map(offer);
    of(&all, &[house(), more.to_vec()].concat())
}

#[test]
fn what_packs_a_source_wins_over_its_language_in_this_order() {
    let all = [
        (("Dockerfile", "FROM scratch\n"), "dockerfile -"),
        ((".s2i/bin/assemble", ""), "s2i sti"),
        ((".openshift/action_hooks/build", ""), "cartridge gear"),
        (("project.toml", "[io.buildpacks]\n"), "cnb builder"),
        ((".buildpacks", "https://example.org/a\n"), "heroku heroku"),
    ];
    for (index, (file, kind)) in all.iter().enumerate() {
        let files: Vec<_> = all[index..].iter().map(|(file, _)| *file).collect();
        assert_eq!(chosen(&with(&files)), *kind, "{file:?}");
        assert_eq!(chosen(&with(&[*file])), *kind, "{file:?}");
        assert_eq!(others(&with(&[*file])), "go go, static static", "{file:?}");
    }
}

#[test]
fn each_form_is_known() {
    for (path, text, kind) in [
        ("dockerfile", "", "dockerfile -"),
        ("Containerfile", "", "dockerfile -"),
        (".s2i/environment", "A=1\n", "s2i sti"),
        ("project.toml", "[build]\nbuilder = \"x\"\n", "cnb builder"),
        ("project.toml", "[[io.buildpacks.group]]\nuri = \"a\"\n", "cnb builder"),
        ("project.toml", "[io.buildpacks]\nbuilder = 5\n", "cnb builder"),
        ("app.json", r#"{"buildpacks": [{"url": "heroku/go"}]}"#, "heroku heroku"),
        (".buildpacks", "# none\n\nhttps://example.org/a#v1\n", "heroku heroku"),
    ] {
        assert_eq!(chosen(&with(&[(path, text)])), kind, "{path}: {text}");
    }
}

#[test]
fn what_only_looks_like_it_is_passed_over_and_told() {
    let deep = "[".repeat(5000);
    for (path, text, why) in [
        ("project.toml", "[project]\nname = \"x\"\n", "neither [io.buildpacks] nor [build]"),
        ("project.toml", "build = \"x\"\n", "neither [io.buildpacks] nor [build]"),
        ("project.toml", "[[[", "cannot be read"),
        ("project.toml", &format!("a = {deep}"), "cannot be read"),
        ("app.json", r#"{"expo": {}}"#, "names no buildpacks"),
        ("app.json", r#"{"buildpacks": []}"#, "names no buildpacks"),
        ("app.json", r#"{"buildpacks": "heroku/go"}"#, "names no buildpacks"),
        ("app.json", "[1]", "names no buildpacks"),
        ("app.json", "{", "cannot be read"),
        ("app.json", &deep, "cannot be read"),
        (".buildpacks", "# nothing\n\n", "names no buildpack"),
        (".s2i/README", "", "neither is there"),
        ("Dockerfile.prod", "", "--file Dockerfile.prod"),
        ("Procfile", "# nothing\n", "no line `name: command`"),
        ("Procfile", "web: x\n\u{fffd}\0", "Procfile:2: "),
    ] {
        let detection = with(&[(path, text)]);
        assert_eq!(chosen(&detection), "go go", "{path}: {text:.40}");
        let [refused] = detection.refused.as_slice() else { panic!("{path}: {:?}", detection.refused) };
        assert!(refused.what == path && refused.why.contains(why), "{refused:?}");
    }
}

#[test]
fn a_link_is_not_read_as_if_it_were_the_file() {
    for name in ["project.toml@", "app.json@", ".buildpacks@", "Procfile@"] {
        let detection = with(&[(name, "[build]")]);
        assert_eq!(chosen(&detection), "go go", "{name}");
    }
}

#[test]
fn app_json_without_buildpacks_is_an_offer_to_heroku() {
    for (text, rest) in [(r#"{"name": "x"}"#, "static static, heroku heroku"), (r#"{"expo": {}}"#, "static static")] {
        let detection = with(&[("app.json", text)]);
        assert_eq!((chosen(&detection).as_str(), others(&detection).as_str()), ("go go", rest));
    }
    assert_eq!(chosen(&of_names("app.json")), "nothing");
}

#[test]
fn a_dockerfile_that_is_asked_for_need_not_be_there() {
    let source = view(&[("go.mod", "")]);
    let choice = Choice { file: Some("docker/app".to_owned()), ..Choice::default() };
    let detection =
        detect(&Question { source: &source, named: None, dockerfile: &choice, buildpacks: &[], bases: &house() });
    assert_eq!(chosen(&detection), "dockerfile -");
    assert_eq!(detection.chosen.unwrap().files, ["docker/app"]);
}

#[test]
fn the_base_that_till_toml_names_wins_over_all() {
    let source = view(&[("Dockerfile", ""), ("go.mod", "")]);
    for (named, kind) in [("python", "till.toml python"), ("python@3", "till.toml python"), ("nix", "till.toml nix!")] {
        let base = named.parse().unwrap();
        let asked = Question {
            source: &source,
            named: Some(&base),
            dockerfile: &Choice::default(),
            buildpacks: &[],
            bases: &house(),
        };
        let detection = detect(&asked);
        assert_eq!((chosen(&detection).as_str(), others(&detection).as_str()), (kind, "dockerfile -, go go"));
        assert_eq!(detection.others[0].how, "till build --file Dockerfile, without `base` in till.toml");
        assert_eq!(detection.notice(), None);
    }
}

#[test]
fn who_names_buildpacks_gets_a_base_that_takes_them() {
    let packs = ["x".to_owned()];
    let (heroku, cnb) = (offer(("heroku", "heroku", "")), offer(("builder", "cnb", "")));
    for (files, bases, kind) in [
        (&[("go.mod", "")][..], vec![heroku.clone(), cnb.clone()], "heroku heroku"),
        (&[("go.mod", "")], vec![cnb.clone()], "cnb builder"),
        (&[("project.toml", "[build]\n"), ("Dockerfile", "")], vec![heroku, cnb], "cnb builder"),
        (&[("go.mod", "")], Vec::new(), "heroku heroku!"),
    ] {
        let source = view(files);
        let choice = Choice::default();
        let asked = Question { source: &source, named: None, dockerfile: &choice, buildpacks: &packs, bases: &bases };
        assert_eq!(chosen(&detect(&asked)), kind, "{files:?} {bases:?}");
    }
}
