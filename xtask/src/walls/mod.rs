//! The walls: what the rooms may not do, compared with what they do. Each wall answers with every violation it finds.
//!
//! ```text
//! rooms      who may use whom                       cargo metadata against the tables of ARCHITECTURE.md
//! folders    no folder of ground names another      the text of crates/ground
//! licences   what we may build upon                 cargo metadata against the list of deny.toml
//! sizes      files that one can read                lines of Rust files
//! ```

mod folders;
mod licences;
mod rooms;
mod sizes;

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::tools::{self, Repository};

/// Looks at all of them.
pub(crate) fn walls(repository: &Repository) -> Result<()> {
    let packages = packages(repository)?;
    let architecture = required(&repository.root.join("ARCHITECTURE.md"))?;
    let deny = required(&repository.root.join("deny.toml"))?;
    let ours = packages.iter().filter(|package| package.ours).count();
    let (too_large, large) = sizes::look(&sources(repository)?);
    let found = [
        ("rooms", rooms::violations(&rooms::Tables::parse(&architecture)?, &packages)),
        ("folders", folders::violations(&folders::read(repository)?)),
        ("licences", licences::violations(&licences::allowed(&deny)?, &packages)),
        ("sizes", too_large),
    ];
    large.iter().for_each(|note| tools::say(&format!("  note: {note}")));
    let mut count = 0;
    for (wall, violations) in &found {
        count += violations.len();
        violations.iter().for_each(|violation| tools::say(&format!("  {wall}: {violation}")));
    }
    if count > 0 {
        bail!("{count} violations of the walls");
    }
    tools::say(&format!("  {ours} crates of ours, {} of others: as they should be", packages.len() - ours));
    Ok(())
}

/// A package, of ours or of others.
#[derive(Debug)]
struct Package {
    name: String,
    ours: bool,
    licence: Option<String>,
    uses: Vec<Use>,
}

/// That a package depends on another.
#[derive(Debug)]
struct Use {
    name: String,
    when: When,
}

/// What a dependency is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    Testing,
}

/// What cargo says of all packages that are built on a machine like this one.
fn packages(repository: &Repository) -> Result<Vec<Package>> {
    let mut rustc = repository.command("rustc");
    rustc.args(["--print", "host-tuple"]);
    let host = tools::output(rustc)?;
    let text = tools::output(repository.cargo([
        "metadata",
        "--quiet",
        "--format-version",
        "1",
        "--filter-platform",
        host.trim(),
    ]))?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata did not answer in JSON")?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    Ok(packages.iter().map(package).collect())
}

fn package(value: &Value) -> Package {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let uses = value["dependencies"].as_array().into_iter().flatten().map(|dependency| Use {
        name: text(&dependency["name"]).unwrap_or_default(),
        when: match dependency["kind"].as_str() {
            Some("dev") => When::Testing,
            _ => When::Always,
        },
    });
    Package {
        name: text(&value["name"]).unwrap_or_default(),
        ours: value["source"].is_null(),
        licence: text(&value["license"]),
        uses: uses.collect(),
    }
}

/// The Rust files of the repository, with their text.
fn sources(repository: &Repository) -> Result<Vec<(String, String)>> {
    let mut sources = Vec::new();
    for folder in ["crates", "xtask"] {
        for path in tools::files(&repository.root.join(folder), "rs")? {
            sources.push((repository.relative(&path).display().to_string(), required(&path)?));
        }
    }
    Ok(sources)
}

fn required(path: &Path) -> Result<String> {
    tools::text(path)?.with_context(|| format!("{} is not there", path.display()))
}
