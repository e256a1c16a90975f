//! One file for each group of verbs. Each turns arguments into a call of the engine, and its answer into text and JSON.

mod artifact;
mod base;
mod build;
mod disk;
mod doctor;
mod exchange;
mod explain;
mod instance;
mod inventory;

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};
use till_core::Failure;
use till_engine::StepReport;

use crate::cli::{Arguments, Command};
use crate::screen::Screen;
use crate::{config, wire};

/// Carries a command out.
pub(crate) async fn run(arguments: Arguments, screen: &Screen) -> Result<ExitCode, Failure> {
    if let Command::Supervise { folder } = &arguments.command {
        // DATA/instances/ID
        let data = folder.ancestors().nth(2).map(Path::to_owned).unwrap_or_default();
        let machines = till_ground::qemu::Machines::new(crate::inside::GUEST, crate::inside::WINDOWS, data);
        till_ground::container::supervise(folder, &machines).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let data = config::data(arguments.data.as_deref())?;
    if let Command::Doctor = arguments.command {
        return doctor::doctor(&data, screen).await;
    }
    let engine = wire::engine(&data).await?;
    match arguments.command {
        Command::Base(command) => base::run(&engine, command, screen).await?,
        Command::Plan(wish) => build::plan(&engine, &wish, screen).await?,
        Command::Build(wish) => build::build(&engine, &wish, screen).await?,
        Command::Explain(wish) => return explain::explain(&engine, &wish, screen).await,
        Command::Artifact(command) => artifact::run(&engine, command, screen).await?,
        Command::Push(wish) => exchange::push(&engine, wish, screen).await?,
        Command::Pull(wish) => exchange::pull(&engine, wish, screen).await?,
        Command::Sbom { image, format } => inventory::sbom(&engine, &image, format, screen).await?,
        Command::Provenance { image } => inventory::provenance(&engine, &image, screen).await?,
        Command::Diff { first, second } => inventory::diff(&engine, &first, &second, screen).await?,
        Command::Run(wish) => return instance::run(&engine, &wish, screen).await,
        Command::Ps => instance::list(&engine, screen).await?,
        Command::Logs(wish) => instance::logs(&engine, &wish, screen).await?,
        Command::Stop(wish) => instance::stop(&engine, &wish, screen).await?,
        Command::Gc => artifact::collect(&engine, screen).await?,
        Command::Doctor | Command::Supervise { .. } | Command::Container { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn steps(reports: &[StepReport]) -> Value {
    let step = |report: &StepReport| json!({ "name": report.name, "milliseconds": report.milliseconds, "reused": report.reused });
    reports.iter().map(step).collect()
}

/// Columns, as wide as they need to be.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What the ledger calls a time, as images call it.
fn time(seconds: i64) -> String {
    till_image::rfc3339(u64::try_from(seconds).unwrap_or(0))
}
