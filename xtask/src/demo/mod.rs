//! The whole way, on real apps: base images are made, apps prepared, started, and asked for their first page.
//!
//! Everything is kept in `target/demo`, so a second run finds it done. Till decides what need not be done again; nothing is
//! skipped here.

mod http;
mod report;
mod till;

use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::setup;
use crate::tools::{self, Repository};
use report::Report;
use till::Till;

/// In this order: the others are made on top of the first.
const BASES: [&str; 9] = ["debian", "python", "node", "java", "go", "rust", "ruby", "php", "static"];

/// Each with what its first page says.
const APPS: [(&str, &str); 9] = [
    ("java-gradle", "Hello from Gradle"),
    ("java-war", "Hello from Tomcat"),
    ("python-flask", "Hello from Flask"),
    ("node-express", "Hello from Express"),
    ("go-http", "Hello from Go"),
    ("rust-http", "Hello from Rust"),
    ("ruby-rack", "Hello from Ruby"),
    ("php-site", "Hello from PHP"),
    ("static-site", "Hello from a static site"),
];

/// Shows all of it; fails when an app does not answer what it should.
pub(crate) fn demo(repository: &Repository) -> Result<()> {
    let mut report = Report::begin();
    setup::setup()?;
    report.row("tools of the machine", "");
    if !tools::is_root() {
        bail!("containers need root: run `cargo xtask demo` as root");
    }
    let till = build(repository)?;
    report.row("compile till", "");
    let result = show(&till, &mut report);
    report.print();
    result?;
    tools::say(&report::try_it(&till.shown));
    Ok(())
}

fn build(repository: &Repository) -> Result<Till> {
    tools::head("till: a release build");
    tools::run(repository.cargo(["build", "--release", "--package", "till"]))?;
    Ok(Till::new(repository, &repository.target()?))
}

fn show(till: &Till, report: &mut Report) -> Result<()> {
    for base in BASES {
        tools::head(&format!("base image: {base}"));
        let answer = till.ask(&["base", "build", &format!("bases/{base}")])?;
        let name = format!("base {}@{}", answer["name"].as_str().unwrap_or(base), answer["version"]);
        report.row(&name, &report::how(&answer));
    }
    for (app, page) in APPS {
        tools::head(&format!("app: {app}"));
        let answer = till.ask(&["build", &format!("examples/apps/{app}")])?;
        report.row(&format!("app {app}"), &report::how(&answer));
        let artifact = answer["artifact"].as_str().context("`till build` names no artifact")?;
        run(till, artifact, page, report)?;
    }
    Ok(())
}

/// Starts an artifact, looks at its page, and stops it, whatever the page says.
fn run(till: &Till, artifact: &str, page: &str, report: &mut Report) -> Result<()> {
    let answer = till.ask(&["run", artifact, "--detach"])?;
    let instance = answer["instance"].as_str().context("`till run` names no instance")?;
    let looked = look(&answer, page);
    report.row("  start", looked.as_deref().unwrap_or("it does not answer as it should"));
    let stopped = till.ask(&["stop", instance]);
    report.row("  stop", "");
    looked?;
    stopped?;
    Ok(())
}

fn look(answer: &Value, page: &str) -> Result<String> {
    let url = answer["url"].as_str().context("`till run` names no URL")?;
    let began = Instant::now();
    let text = http::get(url).with_context(|| format!("cannot get {url}"))?;
    if !text.contains(page) {
        tools::say(&text);
        bail!("{url} does not say \"{page}\"");
    }
    tools::say(&format!("  GET {url}: \"{page}\" after {} ms", began.elapsed().as_millis()));
    Ok(format!("answers \"{page}\""))
}
