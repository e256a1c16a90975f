//! Which command each process type gets, before and after the steps.

use super::*;
use crate::contract::Collected;
use crate::model::Launch;

#[test]
fn till_toml_wins_over_the_procfile_and_that_over_the_base() {
    let text = "shell = [\"sh\", \"-c\"]\n[[process]]\nname = \"web\"\nrun = [\"base\"]\n\
        [[process]]\nname = \"job\"\nrun = [\"base\"]\n";
    for (procfile, app, web, job) in [
        ("", "", "base", "base"),
        ("web: procfile", "", "procfile", "base"),
        ("", "[processes]\nweb = \"app\"", "app", "base"),
        ("web: procfile\njob: procfile", "[processes]\nweb = [\"app\"]", "app", "procfile"),
    ] {
        let plan = case(text, &[("Procfile", procfile), ("a", "")]).app(app).plan().unwrap();
        assert_eq!((command(&plan, "web"), command(&plan, "job")), (web, job), "{procfile} / {app}");
    }
}

#[test]
fn a_bad_line_of_the_procfile_is_an_error_and_a_contradiction_is_told() {
    let plan = |procfile, app| case("", &[("Procfile", procfile)]).app(app).plan();
    let error = plan("web: x\n=======\n", "").unwrap_err();
    assert_eq!(error.to_string(), "Procfile:2: `=======` is left of a merge");
    let toml = "[processes]\nweb = \"other\"\njob = \"same\"\n";
    let warnings = plan("web: x\njob: same\njob: same\n", toml).unwrap().warnings;
    let wanted = [
        "Procfile:3: `job` is there already; this line counts",
        "`web` is in till.toml and in the Procfile; what till.toml says is taken",
    ];
    assert_eq!(warnings, wanted);
}

#[test]
fn lines_go_through_the_shell_and_lists_do_not() {
    let case = case("shell = [\"bash\", \"-c\"]\n", &[("Procfile", "web: run $PORT {{x}}")]);
    let plan = case.app("[processes]\njob = [\"a\", \"b c\"]\nline = \"d e\"").plan().unwrap();
    let argv = |name: &str| plan.launch.processes[name][0].argv.clone();
    assert_eq!(argv("web"), ["bash", "-c", "run $PORT {{x}}"]);
    assert_eq!(argv("job"), ["a", "b c"]);
    assert_eq!(argv("line"), ["bash", "-c", "d e"]);
}

#[test]
fn only_the_procfile_at_the_root_counts() {
    for (path, starts) in [("Procfile", true), ("d/Procfile", false), ("procfile", false)] {
        assert_eq!(case("", &[(path, "web: x")]).plan().is_ok(), starts, "{path}");
    }
}

#[test]
fn nothing_to_start_is_said_before_anything_is_done() {
    let never = "[[process]]\nname = \"web\"\nwhen = { file = \"no\" }\nrun = [\"x\"]\n";
    for files in [vec![("a", "")], vec![("Procfile", "# web: nothing")]] {
        assert_eq!(case(never, &files).plan(), Err(PlanError::NoProcess), "{files:?}");
    }
}

/// A contract whose processes depend on what is built.
const BUILT: &str = r#"
[[process]]
name = "web"
when = { file = "a", built = ["/app/*.war", "/app/x.jar"] }
run = ["war", "{{built}}", "{{file}}"]
[[process]]
name = "web"
when = { built = "/app/main" }
run = "exec {{built}} --self={{built}}"
[[process]]
name = "tick"
when = { built = "/app/tick" }
run = ["tick"]
[[process]]
name = "job"
run = ["job"]
[[port]]
name = "http"
number = 8080
protocol = "http"
[[port]]
name = "ticks"
number = 9
protocol = "udp"
process = "tick"
[health]
port = "http"
path = "/ready"
within = "5s"
"#;

fn concluded(text: &str, app: &str, found: &[(&str, &[&str])]) -> Result<Launch, PlanError> {
    let plan = case(text, &[("a", "")]).app(app).plan()?;
    let found = found.iter().map(|(pattern, paths)| {
        assert!(plan.collect.iter().any(|wanted| wanted == pattern), "{pattern} is not looked for: {:?}", plan.collect);
        ((*pattern).to_owned(), paths.iter().map(|path| (*path).to_owned()).collect())
    });
    let collected = Collected { found: found.collect(), ..Collected::default() };
    spec(text).conclude(&plan, &collected).map(|concluded| concluded.launch)
}

#[test]
fn the_first_candidate_whose_file_was_built_is_taken() {
    type Found<'a> = &'a [(&'a str, &'a [&'a str])];
    let table: [(Found<'_>, Option<&[&str]>); 6] = [
        (&[], None),
        (&[("/app/main", &[])], None),
        (&[("/app/main", &["/app/main"])], Some(&["/bin/sh", "-c", "exec /app/main --self=/app/main"])),
        (&[("/app/*.war", &["/app/a.war", "/app/b.war"])], Some(&["war", "/app/a.war", "a"])),
        (&[("/app/main", &["/app/main"]), ("/app/x.jar", &["/app/x.jar"])], Some(&["war", "/app/x.jar", "a"])),
        (&[("/app/x.jar", &["/app/x.jar"]), ("/app/*.war", &["/app/c.war"])], Some(&["war", "/app/c.war", "a"])),
    ];
    for (found, argv) in table {
        let launch = concluded(BUILT, "", found).unwrap();
        let web = launch.processes.get("web").map(|process| process.argv.clone());
        assert_eq!(web, argv.map(|argv| argv.iter().map(|word| (*word).to_owned()).collect()), "{found:?}");
        assert_eq!(launch.processes["job"].argv, ["job"]);
    }
}

#[test]
fn ports_and_health_are_those_of_processes_that_are_there() {
    for (found, app, ports, healthy) in [
        (vec![], "", vec![], false),
        (vec![("/app/main", &["/app/main"][..])], "", vec!["http"], true),
        (vec![("/app/tick", &["/app/tick"][..])], "", vec!["ticks"], false),
        (vec![], "[processes]\nweb = \"own\"", vec!["http"], true),
    ] {
        let launch = concluded(BUILT, app, &found).unwrap();
        assert_eq!(launch.ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>(), ports, "{found:?} {app}");
        assert_eq!(launch.health.is_some(), healthy, "{found:?} {app}");
    }
}

#[test]
fn everything_that_candidates_need_is_looked_for_once_and_nothing_else() {
    let plan = case(BUILT, &[("a", "")]).plan().unwrap();
    assert_eq!(plan.collect, ["/app/*.war", "/app/main", "/app/tick", "/app/x.jar"]);
    let plan = case(BUILT, &[("b", "")]).app("[processes]\ntick = \"own\"").plan().unwrap();
    assert_eq!(plan.collect, ["/app/main"]);
}

#[test]
fn when_nothing_was_built_there_is_no_process() {
    let text = "[[process]]\nname = \"web\"\nwhen = { built = \"/app/main\" }\nrun = [\"x\"]\n";
    assert_eq!(concluded(text, "", &[]), Err(PlanError::NoProcess));
    assert!(concluded(text, "", &[("/app/main", &["/app/main"])]).is_ok());
}

#[test]
fn the_launch_runs_as_the_contract_says() {
    let text = format!("user = \"app\"\n[env]\nA = \"1\"\n[source]\nas = \"dir\"\nat = \"/srv\"\n{START}");
    let launch = concluded(&text, "[env]\nB = \"2\"", &[]).unwrap();
    assert_eq!((launch.user.as_str(), launch.dir.as_str()), ("app", "/srv"));
    assert_eq!((launch.env["A"].as_str(), launch.env["B"].as_str()), ("1", "2"));
    assert!(!launch.env.contains_key("CI"));
}
