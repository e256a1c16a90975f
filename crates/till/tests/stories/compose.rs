//! Several bases for one app: one that builds and one that runs, and contracts in a row.

use crate::support::*;

#[test]
fn what_one_base_builds_runs_upon_another() {
    let builder = script_base("app", "none");
    base("debian");
    let app = source(&[
        (
            "build.sh",
            "mkdir -p out; echo 'echo built by $(cat /app/by)' > out/answer.sh; echo compiler > by; touch only-for-building",
        ),
        ("server.pl", SERVER),
        (
            "till.toml",
            "[run]\nbase = \"debian\"\ncopy = [\"/app/server.pl\", \"/app/by\", { from = \"/app/out/*\", to = \"/app/\" }]\n\
             [processes]\nweb = \"cd /app && exec perl server.pl\"\nlist = [\"ls\", \"/app\"]\n\
             [env]\nPORT = \"8080\"\n",
        ),
    ]);
    let answer = built(app.path(), &["--base", &builder, "--name", "compose-run"]);
    assert!(answer["images"]["debian"].is_string(), "{answer}");
    let list = Served::new(&["compose-run", "--process", "list"]);
    until("the files are listed", || till(&["logs", list.id()]).out.contains("server.pl"));
    let files = till(&["logs", list.id()]).ok().out;
    assert_eq!(files.split_whitespace().collect::<Vec<_>>(), ["answer.sh", "by", "server.pl"]);
    // Nothing changed: nothing is done.
    assert_eq!(built(app.path(), &["--base", &builder, "--name", "compose-run"])["reused"], true);
}

#[test]
fn a_base_of_the_run_that_is_not_there_is_the_sources_mistake() {
    let builder = script_base("app", "none");
    let app = source(&[("build.sh", ""), ("till.toml", "[run]\nbase = \"no-such-base\"\n")]);
    let path = app.path().to_str().unwrap();
    till(&["build", path, "--base", &builder, "--name", "compose-none"]).failed(3, &["no-such-base"]);
}

#[test]
fn the_output_of_one_contract_is_the_source_of_the_next() {
    let builder = script_base("app", "none");
    base("debian");
    let app = source(&[
        (
            "build.sh",
            "mkdir -p site; cp server.pl site/; echo 'echo made of $(cat /app/part)' > site/answer.sh; cp part site/; echo 'web: exec perl server.pl' > site/Procfile; ln -s part site/link; chmod +x site/answer.sh",
        ),
        ("server.pl", SERVER),
        ("part", "one part\n"),
        ("till.toml", &format!("base = \"debian\"\n[[before]]\nbase = \"{builder}\"\noutput = \"/app/site\"\n")),
    ]);
    let commit = commit(app.path());
    let first = built(app.path(), &["--name", "compose-row"]);
    assert_eq!(first["commit"], commit.as_str(), "{first}");
    let served = Served::new(&["compose-row"]);
    assert!(served.get("/").contains("made of one part"), "{}", served.get("/"));
    assert_eq!(built(app.path(), &["--name", "compose-row"])["reused"], true);
    let planned = till(&["plan", app.path().to_str().unwrap(), "--name", "compose-row", "--json"]).ok().json();
    assert!(planned["notices"].to_string().contains("first plan of several"), "{planned}");
    let missing = source(&[
        ("build.sh", ""),
        ("till.toml", &format!("base = \"debian\"\n[[before]]\nbase = \"{builder}\"\noutput = \"/app/nothing\"\n")),
    ]);
    till(&["build", missing.path().to_str().unwrap(), "--name", "compose-missing"]).failed(3, &["`/app/nothing`"]);
    let relative = source(&[("till.toml", "[[before]]\noutput = \"dist\"\n")]);
    till(&["build", relative.path().to_str().unwrap(), "--name", "compose-bad"]).failed(3, &["absolute path"]);
}
