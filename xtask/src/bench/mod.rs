//! Measures till beside other builders, on this machine and in the same run: A B A B …
//!
//! It passes or fails by whether everything worked, never by how long it took.

mod cases;
mod disk;
mod machine;
mod measure;
mod namespace;
mod options;
mod ours;
mod page;
mod peers;
mod plot;
mod proc;
mod sample;
mod stage;
mod table;
mod wanted;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::setup;
use crate::tools::{self, Repository};
use options::Options;
use stage::Stage;

/// Measures what the words say, and writes down what came out.
pub(crate) fn bench(repository: &Repository, words: &[&str]) -> Result<()> {
    if let [namespace::INSIDE, words @ ..] = words {
        return measure(repository, &Options::parse(words)?);
    }
    // What is wrong with the words or with the machine is said before anything is begun.
    Options::parse(words)?;
    setup::setup()?;
    if !tools::is_root() {
        bail!("containers need root: run `cargo xtask bench` as root");
    }
    namespace::enter(words)
}

fn measure(repository: &Repository, options: &Options) -> Result<()> {
    tools::head("till: a release build");
    tools::run(repository.cargo(["build", "--release", "--package", "till"]))?;
    let stage = Stage::set(repository, &repository.target()?, options)?;
    let mut figures = Vec::new();
    // A case that cannot be measured does not take the others with it.
    let mut failed = Vec::new();
    for case in &options.cases {
        match cases::measure(&stage, case) {
            Ok(measured) => figures.extend(measured),
            Err(error) => {
                tools::say(&format!("  {case} FAILED: {error:#}"));
                failed.push(*case);
            }
        }
    }
    table::print(&figures);
    if let Some(path) = &options.json {
        let cases: Vec<_> = figures.iter().map(sample::Figures::json).collect();
        let text = format!("{:#}\n", json!({ "cases": cases }));
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if options.writes_page() {
        page::write(repository, &stage, &figures)?;
    }
    if failed.is_empty() { Ok(()) } else { bail!("could not be measured: {}", failed.join(", ")) }
}
