//! The cases: who takes part in each, and what they do.

mod answer;
mod build;
mod chroot;
mod machines;
mod many;
mod pip;
mod serve;
mod ship;
mod tree;
mod turns;

use anyhow::{Result, bail};

use super::sample::Figures;
use super::stage::Stage;
use crate::tools;
use turns::{Case, Contestant, Part, Row, Turn};

/// Measures a case, with all its parts.
pub(super) fn measure(stage: &Stage, name: &'static str) -> Result<Vec<Figures>> {
    let case = match name {
        "W1" => build::overhead(stage)?,
        "W2" => tree::small_files(stage)?,
        "W3" => tree::large_files(stage)?,
        "W4" => pip::pip(stage, pip::Change::Source)?,
        "W4b" => pip::pip(stage, pip::Change::Requirements)?,
        "W5" => ship::ship(stage)?,
        "W6" => serve::serve(stage)?,
        "W8" => many::many(stage)?,
        "W7" => build::again(stage)?,
        "M1" => machines::step(stage)?,
        "M2" => machines::export(stage)?,
        "M3" => machines::base(stage)?,
        "M4" => machines::cold(stage)?,
        _ => bail!("there is no case {name}"),
    };
    turns::measure(case, name, stage.runs, written)
}

/// What another has written is not for the next one to wait for.
fn written() {
    tools::works(tools::command("sync"));
}
