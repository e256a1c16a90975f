//! What was done, and where the time went.
#![expect(clippy::print_stdout, reason = "the table is what the demo is for")]

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::tools;

/// Steps that took less than this are not worth a place in the table.
const WORTH: u64 = 100;

/// The table.
#[derive(Debug)]
pub(super) struct Report {
    began: Instant,
    last: Instant,
    rows: Vec<(String, Duration, String)>,
}

impl Report {
    pub(super) fn begin() -> Self {
        let now = Instant::now();
        Self { began: now, last: now, rows: Vec::new() }
    }

    /// Takes down what was done since the last row.
    pub(super) fn row(&mut self, what: &str, how: &str) {
        let now = Instant::now();
        self.rows.push((what.to_owned(), now - self.last, how.to_owned()));
        self.last = now;
    }

    pub(super) fn print(&self) {
        tools::head("what was done, and where the time went\n");
        let width = self.rows.iter().map(|(what, ..)| what.chars().count()).max().unwrap_or(0);
        for (what, took, how) in &self.rows {
            println!("{}", format!("  {what:<width$}  {:>9}  {how}", tools::seconds(*took)).trim_end());
        }
        println!("  {:<width$}  {:>9}", "all", tools::seconds(self.began.elapsed()));
    }
}

/// How till came to an answer: `already there`, or its steps.
pub(super) fn how(answer: &Value) -> String {
    if answer["reused"] == true {
        return "already there".to_owned();
    }
    let steps = answer["steps"].as_array().into_iter().flatten().filter_map(|step| {
        let (name, milliseconds) = (step["name"].as_str()?, step["milliseconds"].as_u64()?);
        if step["reused"] == true {
            return Some(format!("{name} reused"));
        }
        (milliseconds >= WORTH).then(|| format!("{name} {}", tools::seconds(Duration::from_millis(milliseconds))))
    });
    steps.collect::<Vec<_>>().join(", ")
}

/// What to do next.
pub(super) fn try_it(till: &str) -> String {
    format!(
        "
Try it yourself:
  alias till='{till}'
  till plan examples/apps/java-war    # everything that a build will do, before it is done
  till run python-flask               # until ctrl-C
  till artifact export java-war oci:/tmp/java-war    # for any OCI tool"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn steps_that_matter_are_named() {
        let answer = json!({ "reused": false, "steps": [
            { "name": "dependencies", "milliseconds": 3, "reused": true },
            { "name": "build", "milliseconds": 2500, "reused": false },
            { "name": "nothing", "milliseconds": 9, "reused": false },
        ]});
        assert_eq!(how(&answer), "dependencies reused, build 2.5 s");
        assert_eq!(how(&json!({ "reused": true, "steps": [] })), "already there");
        assert_eq!(how(&json!({})), "");
    }
}
