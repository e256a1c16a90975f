//! How it is started.

use super::*;
use crate::contract::Collected;
use crate::model::Launch;

const START: &str = "/app/.till/start";

/// What comes of these texts.
fn concluded(case: &Case, release: Option<&str>, procfile: Option<&str>) -> Result<Launch, PlanError> {
    let texts = [("/tmp/heroku/out/release.yml", release), ("/app/Procfile", procfile)];
    let texts = texts.iter().filter_map(|(path, text)| Some(((*path).to_owned(), (*text)?.to_owned())));
    let collected = Collected { texts: texts.collect(), ..Collected::default() };
    case.contract().conclude(&case.plan(), &collected).map(|conclusion| conclusion.launch)
}

fn own(app: &str) -> Case {
    case(&[(".buildpacks", "./pack")]).app(app)
}

#[test]
fn till_toml_wins_over_the_procfile_and_that_over_the_buildpack() {
    let release = "---\ndefault_process_types:\n  web: default\n  job: default\n  console: default\n";
    let app = "[processes]\nweb = [\"a\", \"b c\"]\nline = \"d $PORT\"\n";
    let launch = concluded(&own(app), Some(release), Some("web: file\njob: file\nrelease: once\n")).unwrap();
    let argv = |name: &str| launch.processes[name].argv.iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(argv("web"), [START, "web", "--", "a", "b c"]);
    assert_eq!(argv("line"), [START, "line", "d $PORT"]);
    assert_eq!(argv("job"), [START, "job", "file"]);
    assert_eq!(argv("console"), [START, "console", "default"]);
    assert_eq!(launch.services, ["job", "line", "web"], "what a buildpack names beside `web` may be commands that end");
    assert_eq!((launch.dir.as_str(), launch.user.as_str(), launch.env["HOME"].as_str()), ("/app", "heroku", "/app"));
    assert_eq!(launch.env_of("web")["PORT"], "8080");
}

#[test]
fn a_single_service_is_the_default_whatever_it_is_called() {
    let launch = concluded(&own(""), None, Some("release: x\nworker: y\n")).unwrap();
    assert_eq!(launch.default_process(), Some("worker"));
    assert!(launch.ports.is_empty());
    assert_eq!(concluded(&own(""), Some(""), None), Err(PlanError::NoProcess));
}

#[test]
fn what_a_buildpack_names_runs_with_all_only_where_it_is_sure_to_stay() {
    let ruby = "---\ndefault_process_types:\n  rake: bundle exec rake\n  console: irb\n  web: serve\n";
    assert_eq!(concluded(&own(""), Some(ruby), None).unwrap().services, ["web"]);
    assert_eq!(concluded(&own(""), Some(ruby), Some("worker: w\n")).unwrap().services, ["web", "worker"]);
    let bare = "default_process_types: {rake: r, job: j}\n";
    assert_eq!(concluded(&own(""), Some(bare), None).unwrap().services, ["job"]);
}

#[test]
fn a_port_that_a_buildpack_or_the_image_sets_is_not_where_the_app_listens() {
    let mut case = own("");
    case.image.set("PORT", "5000");
    let launch = concluded(&case, Some("config_vars: {PORT: 5000}\n"), Some("web: x")).unwrap();
    assert_eq!(launch.env_of("web")["PORT"], "8080");
}

#[test]
fn what_till_toml_says_otherwise_is_told() {
    let contradicting = case(&[(".buildpacks", "./pack"), ("Procfile", "web: a\njob: b\n")]);
    let plan = contradicting.app("[processes]\nweb = \"other\"\njob = \"b\"\n").plan();
    assert_eq!(plan.warnings, ["`web` is in till.toml and in the Procfile; what till.toml says is taken"]);
}

#[test]
fn variables_of_a_buildpack_are_below_the_apps_and_above_the_images() {
    let mut case = own("[env]\nA = \"app\"\n");
    case.image.set("PATH", "/image");
    let release = "config_vars:\n  A: pack\n  B: pack\n  PATH: /pack\n  HOME: /pack\n";
    let launch = concluded(&case, Some(release), Some("web: x")).unwrap();
    for (name, value) in [("A", "app"), ("B", "pack"), ("PATH", "/pack"), ("HOME", "/app")] {
        assert_eq!(launch.env[name], value);
    }
}

#[test]
fn the_port_is_the_platforms() {
    let case = own("[env]\nPORT = \"3000\"\n");
    assert!(case.plan().warnings[0].contains("`PORT` is for the build alone"));
    assert_eq!(text(&case.plan(), "PORT"), Some("3000"));
    assert_eq!(concluded(&case, None, Some("web: x")).unwrap().env_of("web")["PORT"], "8080");
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let error = concluded(&own(""), Some("Done.\n"), None).unwrap_err().to_string();
    assert!(error.contains("`bin/release`"), "{error}");
    assert_eq!(
        concluded(&own(""), None, Some("a: b\n\n<<<<<<< x\n")).unwrap_err().to_string(),
        "Procfile:3: `<<<<<<< x` is left of a merge"
    );
}
