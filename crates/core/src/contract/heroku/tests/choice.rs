//! Which buildpacks, in which order, and where they come from.

use super::*;
use crate::plan::Place;

#[test]
fn who_says_it_more_directly_wins_and_that_is_told() {
    let app_json = ("app.json", r#"{"buildpacks": [{"url": "https://h/app-json.git"}]}"#);
    let listed = (".buildpacks", "https://h/listed.git#v1 # x\n# y\n\nhttps://h/second.tgz\r\n");
    let all =
        case(&[app_json, listed]).env("BUILDPACK_URL", "https://h/url").app("[heroku]\nbuildpacks = [\"./pack\"]");
    for (case, wanted, passed) in [
        (
            all.clone().packs(&["https://h/flag", "./x"]),
            vec!["compile flag", "compile x"],
            "till.toml and BUILDPACK_URL and",
        ),
        (
            all.clone(),
            vec!["compile pack"],
            "of till.toml are taken; what BUILDPACK_URL and app.json and .buildpacks says",
        ),
        (all.clone().app(""), vec!["compile url"], "of BUILDPACK_URL are taken"),
        (case(&[app_json, listed]), vec!["compile app-json"], "of app.json are taken; what .buildpacks says"),
        (case(&[listed]), vec!["compile listed", "compile second"], ""),
        (case(&[listed]).app("[heroku]\nbuildpacks = []"), vec!["compile listed", "compile second"], ""),
    ] {
        let plan = case.plan();
        let compiled: Vec<_> = names(&plan).into_iter().filter(|name| name.starts_with("compile")).collect();
        assert_eq!(compiled, wanted);
        assert_eq!(plan.warnings.is_empty(), passed.is_empty(), "{:?}", plan.warnings);
        assert!(passed.is_empty() || plan.warnings[0].contains(passed), "{:?}", plan.warnings);
    }
}

#[test]
fn an_entry_is_a_name_an_address_or_a_directory() {
    let spec =
        "buildpacks = [\"/opt/packs/a\"]\n[names]\n\"till/b\" = \"/opt/packs/b\"\n\"x/far\" = \"https://h/far.git\"\n";
    for (entry, asked, image) in [
        ("heroku/python", vec!["https://h/python.tgz"], ""),
        ("urn:buildpack:heroku/python", vec!["https://h/python.tgz"], ""),
        ("till/b", vec![], "/opt/packs/b"),
        ("x/far", vec!["https://h/far.git"], ""),
        ("/opt/packs/a", vec![], "/opt/packs/a"),
        ("https://h/x.git#main", vec!["https://h/x.git#main"], ""),
        ("git@h:o/x.git", vec!["git@h:o/x.git"], ""),
        ("file:///srv/x", vec!["file:///srv/x"], ""),
        ("/srv/x", vec!["/srv/x"], ""),
        ("./pack", vec![], ""),
        ("pack", vec![], ""),
    ] {
        let case = case(&[]).spec(spec).setting("heroku/python", "https://h/python.tgz");
        let (plan, found) = case.app(&format!("[heroku]\nbuildpacks = [\"{entry}\"]")).decide().unwrap();
        assert_eq!(found, asked, "{entry}");
        let told = text(&plan, "plan.sh").unwrap();
        assert!(told.contains(&format!("images=('{image}')")), "{entry}: {told}");
    }
    // A name of the settings wins over the base's.
    let (_, asked) = case(&[]).spec(spec).setting("till/b", "/srv/b").packs(&["till/b"]).decide().unwrap();
    assert_eq!(asked, ["/srv/b"]);
    // To who builds, `./` is where they are.
    assert_eq!(case(&[]).packs(&["./pack"]).decide().unwrap().1, ["./pack"]);
}

#[test]
fn the_base_tries_what_this_machine_knows() {
    let spec = "buildpacks = [\"heroku/ruby\", \"x/far\", \"x/none\", \"/opt/packs/a\"]\n[names]\n\"x/far\" = \"https://h/far\"\n";
    let (plan, asked) = case(&[]).spec(spec).setting("heroku/ruby", "https://h/ruby").decide().unwrap();
    assert_eq!(asked, ["https://h/ruby"]);
    assert!(text(&plan, "plan.sh").unwrap().contains("explicit=no\nnames=('heroku/ruby' 'a')\n"));
    assert_eq!(names(&plan), ["prepare", "detect", "compile", "release", "report", "slug"]);
}

#[test]
fn what_is_no_buildpack_is_said_before_anything_is_done() {
    for (case, said) in [
        (case(&[]), "nothing says which buildpack"),
        (case(&[]).spec("buildpacks = [\"a/b\"]"), "no buildpack is called `a/b` here"),
        (
            case(&[]).packs(&["heroku/pyton"]).setting("heroku/python", "/x"),
            "did you mean `heroku/python`? known are: heroku/python",
        ),
        (case(&[(".buildpacks", "../x")]), "`../x` is not in the source"),
        (case(&[(".buildpacks", "./none")]), "`none` is not a buildpack: it has no `bin/detect`"),
        (case(&[(".buildpacks", "./cnb"), ("cnb/bin/detect", ""), ("cnb/bin/build", "")]), "Cloud Native Buildpack"),
        (case(&[(".buildpacks", ".")]), "`the app's own` is not a buildpack"),
        (case(&[("app.json", "{")]), "cannot read `app.json` of the source"),
        (case(&[("Procfile", "web: x\n?\n")]), "Procfile:2:"),
        (case(&[]).packs(&["./pack"]).env("a/b", "c"), "`a/b` is not the name of a config var"),
        (Case::default().packs(&["x/y"]), "the source is empty"),
    ] {
        let error = case.error();
        assert!(error.contains(said), "no `{said}` in {error}");
    }
}

#[test]
fn links_lead_into_the_source_or_to_where_it_will_be() {
    for (target, is_fine) in
        [("main", true), ("/app/main", true), ("../x", false), ("/etc/passwd", false), ("/application", false)]
    {
        let linked = case(&[("link@", target)]).packs(&["./pack"]);
        assert_eq!(linked.decide().is_ok(), is_fine, "{target}");
    }
}

#[test]
fn a_buildpack_of_the_source_is_taken_from_there_though_it_is_ignored() {
    let case = case(&[(".buildpacks", "./pack"), (".slugignore", "pack\n"), (".git/config", "")]);
    let plan = case.plan();
    let files: Vec<_> = plan.stages[0]
        .deeds
        .iter()
        .filter_map(|deed| match deed {
            Deed::Inject(injection) => match (&injection.what, &injection.place) {
                (Selection::Files(files), Place::Dir(at)) => {
                    assert!(at.starts_with("/tmp/build_"), "{at}");
                    Some(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>())
                }
                (Selection::Named(files), Place::Dir(at)) => {
                    assert_eq!(at, "/tmp/heroku/buildpacks/1_pack");
                    Some(files.iter().map(|file| file.name.as_str()).collect())
                }
                _ => None,
            },
            Deed::Run(_) | Deed::Bootstrap(_) => None,
        })
        .collect();
    assert_eq!(files, [vec![".buildpacks", ".slugignore", "main"], vec!["bin/compile", "bin/detect"]]);
    assert!(text(&plan, "plan.sh").unwrap().contains("pruned=3\n"));
}
