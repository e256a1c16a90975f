//! What is put where, which steps run, with which environment.

use super::*;

fn own(files: &[(&str, &str)]) -> Case {
    case(&[&[(".buildpacks", "./pack")], files].concat())
}

#[test]
fn config_vars_are_files_and_no_variables_of_the_scripts() {
    let app_json = ("app.json", r#"{"env": {"A": "json", "B": "json", "C": "json"}}"#);
    let mut case = own(&[app_json]).app("[env]\nB = \"app\\nline\"\nC = \"app\"\n").env("C", "flag");
    case.image.set("GIT_DIR", "/x");
    case.image.set("PATH", "/image");
    let plan = case.plan();
    for (name, value) in [("A", "json"), ("B", "app\nline"), ("C", "flag")] {
        assert_eq!(text(&plan, name), Some(value));
        assert_eq!(plan.launch.env[name], value);
    }
    for step in steps(&plan) {
        let names: Vec<_> = step.env.keys().map(String::as_str).collect();
        let wanted = [
            "APP_DIR",
            "CURL_CONNECT_TIMEOUT",
            "CURL_TIMEOUT",
            "HOME",
            "LANG",
            "LOGNAME",
            "PATH",
            "REQUEST_ID",
            "SHELL",
            "SOURCE_VERSION",
            "STACK",
            "USER",
        ];
        assert_eq!(names, wanted);
        assert_eq!((step.env["STACK"].as_str(), step.env["PATH"].as_str()), ("heroku-24", "/image"));
        assert_eq!(step.user == "root", ["prepare", "slug"].contains(&step.name.as_str()));
    }
}

#[test]
fn the_stack_and_the_user_are_the_bases_unless_the_app_says_another_stack() {
    let stacked =
        own(&[("app.json", r#"{"stack": "heroku-18"}"#)]).spec("stack = \"s\"\nuser = \"u\"\nbuild_path = \"/app\"\n");
    let plan = stacked.clone().plan();
    assert_eq!((steps(&plan)[1].env["STACK"].as_str(), steps(&plan)[1].user.as_str()), ("s", "u"));
    assert!(plan.warnings[0].contains("`heroku-18`") && plan.warnings[0].contains("`s`"), "{:?}", plan.warnings);
    assert!(text(&plan, "plan.sh").unwrap().contains("build_dir='/app'\nbuild_user='u'\n"));
    assert_eq!(plan.caches[0].owner, "u");
    let plan = stacked.app("[heroku]\nstack = \"heroku-18\"").plan();
    assert_eq!((steps(&plan)[1].env["STACK"].as_str(), plan.warnings.len()), ("heroku-18", 0));
}

#[test]
fn an_app_is_tested_when_it_says_how() {
    let script = (
        "app.json",
        r#"{"environments": {"test": {"env": {"T": "1"}, "scripts": {"test": "it's", "test-setup": "s"}}}}"#,
    );
    let bare = ("app.json", r#"{"environments": {"test": {}}}"#);
    let bin = ("pack/bin/test", "");
    for (case, tested) in [
        (own(&[]), false),
        (own(&[]).app("[heroku]\ntest = true"), true),
        (own(&[bin]), true),
        (own(&[bin]).app("[heroku]\ntest = false"), false),
        (own(&[script]), true),
        (own(&[bare]), true),
        (own(&[script]).app("[heroku]\ntest = false"), false),
    ] {
        assert_eq!(case.plan().test.is_some(), tested, "{case:#?}");
    }
    let plan = own(&[script]).plan();
    assert!(text(&plan, "plan.sh").unwrap().ends_with("test_setup='s'\ntest_script='it'\\''s'\n"));
    assert_eq!(text(&plan, "T"), Some("1"));
    assert!(!plan.launch.env.contains_key("T"));
}

#[test]
fn another_source_is_built_elsewhere_and_equal_ones_have_one_plan() {
    let dir = |case: &Case| text(&case.plan(), "plan.sh").unwrap().lines().next().unwrap().to_owned();
    assert_eq!(dir(&own(&[])), dir(&own(&[])));
    assert_ne!(dir(&own(&[])), dir(&own(&[("more", "")])));
    assert_eq!(own(&[]).plan().digest(), own(&[]).plan().digest());
}
