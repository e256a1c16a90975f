//! docs/performance.md and its pictures. Nobody else writes there.

use std::fs;

use anyhow::{Context as _, Result};

use super::sample::Figures;
use super::stage::{Stage, write as put};
use super::{machine, plot, table};
use crate::tools::{self, Repository};

const READING: &str = "\
Medians of one run, in which everybody took turns. Ratios are ours by the best peer's; what else the machine did during the run
disturbs seconds more than ratios. Times of W2 and W3 begin when the step itself says that it has ended. Docker and buildah then
store the layer without compression, which is the less work: till and umoci have compressed it by then. Memory is the sum of
all of a builder's processes that are there at the same time, each at its peak, with Docker's daemons, without what runs in the
step and without containerd's shims. Peers use the network of the host, which is the cheapest way for them. Who needs more than
20 s and four times the best peer's time is measured once.
";

/// Writes the page of this run.
pub(super) fn write(repository: &Repository, stage: &Stage, figures: &[Figures]) -> Result<()> {
    let docs = repository.root.join("docs");
    let pictures = docs.join("performance");
    fs::create_dir_all(&pictures).with_context(|| format!("cannot make {}", pictures.display()))?;
    let mut shown = String::new();
    for case in figures {
        let name = format!("{}.svg", case.case.to_lowercase());
        put(&pictures.join(&name), &plot::svg(case))?;
        shown += &format!("![{}: {}](performance/{name})\n", case.case, case.title);
    }
    let rows = machine::describe(&stage.place)?;
    let machine: String = rows.iter().map(|(what, value)| format!("| {what} | {value} |\n")).collect();
    let text = format!(
        "# Performance\n\nWritten by `cargo xtask bench --runs {}` on {}, with {}.\n\n{}\n{READING}\n\
         ## This machine\n\n| | |\n|--|--|\n{machine}\n## All figures\n\n{}\n## Pictures\n\n{shown}",
        stage.runs,
        today()?,
        stage.versions.join(", "),
        table::summary(figures),
        table::markdown(figures),
    );
    let page = docs.join("performance.md");
    put(&page, &text)?;
    tools::say(&format!("\n  written: {}", repository.relative(&page).display()));
    Ok(())
}

fn today() -> Result<String> {
    let mut command = tools::command("date");
    command.args(["-u", "+%Y-%m-%d"]);
    Ok(tools::output(command)?.trim().to_owned())
}
