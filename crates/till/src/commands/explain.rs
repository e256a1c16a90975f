//! `till explain`: what would prepare a source, and why.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::{Value, json};
use till_core::detect::{Detection, Match};
use till_core::dockerfile::spec::Choice;
use till_core::{Blame as _, Failure, Fault};
use till_engine::{Engine, Reach, Wish};

use super::build::{default_name, source};
use super::table;
use crate::cli::Explain;
use crate::screen::{Screen, clean};

/// Says it all the same when nothing can be prepared; then the exit code is that of a fault of the source.
pub(super) async fn explain(engine: &Engine, asked: &Explain, screen: &Screen) -> Result<ExitCode, Failure> {
    let wish = Wish {
        source: source(engine, &asked.source, asked.rev.as_deref()).await?,
        base: None,
        name: None,
        default_name: default_name(&asked.source),
        env: BTreeMap::new(),
        choice: Choice::default(),
        buildpacks: Vec::new(),
        reach: Reach::World,
        secrets: BTreeMap::new(),
        environment: None,
        disk: false,
        looks: false,
        kernel: None,
        afresh: false,
        clear_cache: false,
    };
    let detection = engine.explain(&wish).await?;
    screen.result(&value(&detection), &text(&detection));
    Ok(if detection.choice().is_ok() { ExitCode::SUCCESS } else { ExitCode::from(Fault::Source.exit_code()) })
}

fn value(detection: &Detection) -> Value {
    let problem = detection.choice().err().map(|why| json!({ "what": why.to_string(), "hint": why.hint() }));
    json!({
        "chosen": detection.chosen,
        "others": detection.others,
        "refused": detection.refused,
        "problem": problem,
    })
}

fn text(detection: &Detection) -> String {
    let mut text = match &detection.chosen {
        Some(chosen) => format!("{}\n  why:  {}\n", head(chosen), clean(&chosen.because)),
        None => String::new(),
    };
    if let Err(why) = detection.choice() {
        text.push_str(&format!("It cannot be prepared: {}\n", clean(&why.to_string())));
        text.push_str(&why.hint().map_or(String::new(), |hint| format!("  what to try: {}\n", clean(&hint))));
    }
    if !detection.others.is_empty() {
        let rows: Vec<_> = detection.others.iter().map(row).collect();
        text.push_str(&format!("\nAlso possible:\n{}\n", indented(&table(&rows))));
    }
    if !detection.refused.is_empty() {
        let rows: Vec<_> =
            detection.refused.iter().map(|refused| vec![clean(&refused.what), clean(&refused.why)]).collect();
        text.push_str(&format!("\nLooked at and passed over:\n{}\n", indented(&table(&rows))));
    }
    text
}

fn head(chosen: &Match) -> String {
    let with = match (&chosen.base, &chosen.lack) {
        (None, None) => format!("Its own {} builds it.", clean(&chosen.files.join(", "))),
        (Some(base), None) => format!("The base `{base}` prepares it."),
        (Some(base), Some(_)) => format!("The base `{base}` would prepare it."),
        (None, Some(_)) => format!("This is {}.", clean(&chosen.what)),
    };
    format!("{with}  ({})", <&str>::from(chosen.kind))
}

fn row(other: &Match) -> Vec<String> {
    let there = if other.lack.is_some() { "not there: " } else { "" };
    vec![other.name().to_owned(), clean(&other.because), format!("{there}{}", clean(&other.how))]
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
