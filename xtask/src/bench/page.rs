//! docs/performance.md and its pictures. Nobody else writes there, but into `performance/notes.md`, which is never written
//! here: what people explain of the figures is taken from it into the page.
//!
//! ```text
//! docs
//! ├─ performance.md
//! └─ performance
//!    ├─ w1.svg …     a picture of each case
//!    └─ notes.md     by hand, with headings of the third level; there need not be one
//! ```

use std::fs;

use anyhow::{Context as _, Result};

use super::sample::Figures;
use super::stage::{Stage, write as put};
use super::{machine, plot, table};
use crate::tools::{self, Repository};

const READING: &str = "\
Medians of one run, in which everybody took turns. Ratios are ours by the best peer's; what else the machine did during the run
disturbs seconds more than ratios. Times of W2 and W3 begin when the step itself says that it has ended, and end when the image
is stored with a compressed layer. till and umoci store it so at once. Docker stores it uncompressed, and then pushes it to a
registry on the loopback, which has the base's layer already; buildah commits straight to such a registry, its fastest way. What
they need until it is stored uncompressed is shown in rows of its own, which have no ratio: they are compared with nothing. In
W5 each first time is compared with those of the same compression; where we have several rows it is the slowest that is
compared. Memory is the sum of all of a builder's processes that are there at the same time, each at its peak, with Docker's
daemons, without what runs in the step and without containerd's shims. Peers use the network of the host, which is the cheapest
way for them. Who needs more than 20 s and four times the best peer's time is measured once.
";

/// Writes the page of this run.
pub(super) fn write(repository: &Repository, stage: &Stage, figures: &[Figures]) -> Result<()> {
    let docs = repository.root.join("docs");
    let pictures = docs.join("performance");
    fs::create_dir_all(&pictures).with_context(|| format!("cannot make {}", pictures.display()))?;
    for case in figures {
        put(&pictures.join(picture(case)), &plot::svg(case))?;
    }
    let run = Run {
        how: format!("`cargo xtask bench --runs {}` on {}, with {}", stage.runs, today()?, stage.versions.join(", ")),
        machine: machine::describe(&stage.place)?,
    };
    let explanations = tools::text(&pictures.join("notes.md"))?;
    let page = docs.join("performance.md");
    put(&page, &text(&run, figures, explanations.as_deref()))?;
    tools::say(&format!("\n  written: {}", repository.relative(&page).display()));
    Ok(())
}

/// How a run came to be, and what the machine can do.
struct Run {
    how: String,
    machine: Vec<(String, String)>,
}

/// The page; what people explain stands at its end, as they wrote it.
fn text(run: &Run, figures: &[Figures], explanations: Option<&str>) -> String {
    let Run { how, machine } = run;
    let (summary, all, notes) = (table::summary(figures), table::markdown(figures), table::notes(figures));
    let machine: String = machine.iter().map(|(what, value)| format!("| {what} | {value} |\n")).collect();
    let shown = |case: &Figures| format!("![{}: {}](performance/{})\n", case.case, case.title, picture(case));
    let shown: String = figures.iter().map(shown).collect();
    let mut text = format!("# Performance\n\nWritten by {how}.\n\n{summary}\n");
    for (heading, part) in [
        ("", notes.as_str()),
        ("", READING),
        ("## This machine\n\n| | |\n|--|--|\n", &machine),
        ("## All figures\n\n", &all),
        ("## Pictures\n\n", &shown),
        ("## Explanations\n\n", explanations.unwrap_or_default()),
    ] {
        if !part.is_empty() {
            text += &format!("{heading}{}\n\n", part.trim_end());
        }
    }
    text.trim_end().to_owned() + "\n"
}

/// The name of a case's picture.
fn picture(case: &Figures) -> String {
    format!("{}.svg", case.case.to_lowercase().replace(' ', "-"))
}

fn today() -> Result<String> {
    let mut command = tools::command("date");
    command.args(["-u", "+%Y-%m-%d"]);
    Ok(tools::output(command)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sample::tests::figures;

    #[test]
    fn what_people_explain_stands_at_the_end_as_they_wrote_it() {
        let run = Run { how: "hand".to_owned(), machine: vec![("processors".to_owned(), "2".to_owned())] };
        let figures = [Figures { case: "W5 push zstd".to_owned(), ..figures() }];
        let without = text(&run, &figures, None);
        assert!(without.starts_with("# Performance\n\nWritten by hand.\n\n| Case |"), "{without}");
        for part in [
            "\n\n- W5 push zstd, till: all at once\n\nMedians",
            "\n\n## This machine\n\n| | |\n|--|--|\n| processors | 2 |\n\n## All",
            "\n\n## Pictures\n\n![W5 push zstd: overhead](performance/w5-push-zstd.svg)\n",
        ] {
            assert!(without.contains(part), "{part}\n{without}");
        }
        let notes = "### Why\n\nBecause.\n";
        assert_eq!(text(&run, &figures, Some(notes)), format!("{without}\n## Explanations\n\n{notes}"));
    }
}
