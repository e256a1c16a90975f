//! One file for each group of verbs. Each turns arguments into a call of the engine, and its answer into text and JSON.

mod artifact;
mod base;
mod build;
mod doctor;
mod instance;

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
        till_ground::container::supervise(folder).await?;
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
        Command::Artifact(command) => artifact::run(&engine, command, screen).await?,
        Command::Run(wish) => return instance::run(&engine, &wish, screen).await,
        Command::Ps => instance::list(&engine, screen).await?,
        Command::Logs(wish) => instance::logs(&engine, &wish, screen).await?,
        Command::Stop(wish) => instance::stop(&engine, &wish, screen).await?,
        Command::Gc => artifact::collect(&engine, screen).await?,
        Command::Doctor | Command::Supervise { .. } => {}
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

/// Seconds since 1970 as RFC 3339, in UTC (days to date after Howard Hinnant's `civil_from_days`).
fn time(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (1_704_067_200, "2024-01-01T00:00:00Z"),
        ] {
            assert_eq!(super::time(seconds), text);
        }
    }
}
