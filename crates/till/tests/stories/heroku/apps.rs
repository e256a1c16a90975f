//! The examples, from source to an answer.

use super::*;

fn example(folder: &str) -> String {
    base("heroku");
    let name = format!("apps-{folder}");
    let path = repository().join("examples/apps").join(folder);
    till(&["build", path.to_str().unwrap(), "--base", "heroku", "--name", &name, "--json"]).ok();
    name
}

#[test]
fn requirements_are_installed_and_every_process_type_runs() {
    let name = example("heroku-python");
    assert!(Served::new(&[&name]).get("/").ends_with("Hello from web.1, from app.json\n"));
    let other = Served::new(&[&name, "--env", "GREETING=another"]);
    assert!(other.get("/").ends_with("web.1, another\n"));
    let (code, said) = output(&name, "release");
    assert!(code == 0 && said.contains("checked flask /app/.heroku/python/"), "{said}");
    let clock = Served::new(&[&name, "--process", "clock"]);
    until("it ticks", || till(&["logs", clock.id()]).out.contains("tick of clock.1 at \n"));
}

#[test]
fn the_whole_procfile_runs_in_one_instance() {
    let name = example("heroku-python");
    let all = Served::new(&[&name, "--all"]);
    assert!(all.get("/").contains("Hello from web.1"));
    until("both have spoken", || {
        let log = till(&["logs", all.id()]).out;
        log.contains(" web.1   | ") && log.contains(" clock.1 | tick of clock.1 at 8180\n")
    });
    let listed = till(&["ps", "--json"]).ok().json();
    let ours = listed["items"].as_array().unwrap().iter().find(|item| item["instance"] == all.id()).unwrap().clone();
    assert_eq!((ours["process"].as_str(), &ours["url"]), (Some("all"), &all.answer["url"]));
    till(&["run", &name, "--all", "--process", "web"]).failed(2, &["--all", "--process"]);
}

#[test]
fn two_buildpacks_in_order_share_what_they_export_and_the_cache() {
    let name = example("heroku-multi");
    let path = repository().join("examples/apps/heroku-multi");
    let again = prepare(&path, "heroku", &name).ok();
    let said = again.said().join("\n");
    for part in [
        "-----> Deleting 2 files matching .slugignore patterns.",
        "-----> Restoring the environment from the cache",
        "-----> Making the site with /app/.heroku/python/bin/python (build ",
        "Procfile declares types -> clock",
        "pages: 2",
        "Ran 1 test",
    ] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    let steps: Vec<_> = again.json()["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        steps.starts_with(
            &["prepare", "compile till/python", "compile site", "release", "report", "slug", "test"].map(str::to_owned)
        ),
        "{steps:?}"
    );
    let web = Served::new(&[&name]);
    assert!(web.get("/").contains("Pages of A site of two buildpacks"));
    until("it has spoken", || till(&["logs", web.id()]).out.contains("serves as web.1 with theme plain"));
    let listing = listing(&name).join("\n");
    for (path, is_there) in [
        (" app/server.py", true),
        (" app/.heroku/python/bin/python", true),
        (" app/logo.svg", false),
        (" app/design", false),
        (" tmp/heroku", false),
        (" tmp/build", false),
    ] {
        assert_eq!(listing.contains(path), is_there, "{path}\n{listing}");
    }
    let shown = till(&["artifact", "show", &name, "--json"]).ok().json();
    assert_eq!(shown["launch"]["env"]["SITE_OWNER"], "nobody");
    assert!(shown["launch"]["processes"]["clock"]["argv"].to_string().contains("while :"), "{shown}");
}
