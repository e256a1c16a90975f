//! The figures as tables: for a terminal, and in Markdown.
#![expect(clippy::print_stdout, reason = "the table is what the bench is for")]

use super::sample::{Figures, Line, Role};
use super::wanted::Verdict;

/// What stands above the columns.
const HEAD: [&str; 8] = ["case", "who", "median", "min", "max", "CPU", "memory", "ours by it"];

/// What stands above those of the summary.
const SUMMARY: [&str; 8] = ["Case", "What", "till", "Best peer", "Ratio", "Wanted", "Verdict", "Limit of the machine"];

/// Who needs no name in a column that has it above.
const OURS: &str = "till";

/// Of the summary, those for which a terminal has room.
const SHORT: [usize; 6] = [0, 2, 3, 4, 5, 6];

/// Prints all of them, the verdicts, and the notes.
pub(super) fn print(figures: &[Figures]) {
    print_aligned(&rows(figures));
    let short = |row: Vec<String>| SHORT.iter().map(|at| row[*at].clone()).collect();
    print_aligned(&summary_rows(figures).into_iter().map(short).collect::<Vec<_>>());
    print!("\n{}", notes(figures));
}

fn print_aligned(rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    println!();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match at {
            0 | 1 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        println!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// All of them, for a page.
pub(super) fn markdown(figures: &[Figures]) -> String {
    table(&rows(figures))
}

/// One row for each case: ours, the best peer, the ratio, what is wanted and whether it is so, and the limit.
pub(super) fn summary(figures: &[Figures]) -> String {
    table(&summary_rows(figures))
}

/// What no column has room for, as a list.
pub(super) fn notes(figures: &[Figures]) -> String {
    let notes = figures.iter().flat_map(|case| case.notes.iter().map(move |note| (&case.case, note)));
    notes.map(|(case, note)| format!("- {case}, {note}\n")).collect()
}

fn table(rows: &[Vec<String>]) -> String {
    let mut lines: Vec<String> = rows.iter().map(|row| format!("| {} |", cells(row))).collect();
    lines.insert(1, format!("|{}", "--|".repeat(rows[0].len())));
    lines.join("\n") + "\n"
}

fn summary_rows(figures: &[Figures]) -> Vec<Vec<String>> {
    let absent = || "–".to_owned();
    let time = |line: &Line| seconds(line.median());
    let mut rows = vec![SUMMARY.map(str::to_owned).to_vec()];
    for case in figures {
        let named = |line: &Line| format!("{} ({})", time(line), line.name);
        let ours = case.ours().map_or_else(absent, |line| if line.name == OURS { time(line) } else { named(line) });
        let peer = case.best().map_or_else(absent, named);
        let ratio = case.ratio().map_or_else(absent, |ratio| format!("{ratio:.2}"));
        let verdict = case.verdict().map_or_else(absent, |verdict| Verdict::text(verdict).to_owned());
        let limit = case.limit.as_ref().map_or_else(absent, |(time, what)| format!("{} ({what})", seconds(*time)));
        let (name, title) = (case.case.clone(), case.title.clone());
        rows.push(vec![name, title, ours, peer, ratio, case.wanted.text(), verdict, limit]);
    }
    rows
}

/// A bar in a cell would end it.
fn cells(row: &[String]) -> String {
    row.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | ")
}

fn rows(figures: &[Figures]) -> Vec<Vec<String>> {
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    for case in figures {
        let ours = case.ours().map(Line::median);
        rows.extend(case.lines.iter().filter(|line| !line.samples.is_empty()).map(|line| {
            // Who does less is not compared, and who is ours is not compared with ourselves.
            let ours = ours.filter(|_| line.role == Role::Peer);
            let ratio = ours.map_or(String::new(), |ours| format!("{:.2}", ours / line.median()));
            let memory = line.memory().map_or("–".to_owned(), |memory| format!("{} MiB", memory >> 20));
            let times = [line.median(), line.min(), line.max(), line.cpu()].map(seconds);
            [case.case.clone(), line.name.clone()].into_iter().chain(times).chain([memory, ratio]).collect()
        }));
        if let Some((limit, what)) = &case.limit {
            let mut row = vec![String::new(); HEAD.len()];
            (row[0], row[1], row[2]) = (case.case.clone(), format!("limit: {what}"), seconds(*limit));
            rows.push(row);
        }
    }
    rows
}

/// As exact as it was measured.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.2} s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sample::tests::figures;
    use crate::bench::wanted::Wanted;

    #[test]
    fn each_who_was_measured_has_a_row() {
        let wanted = "\
| case | who | median | min | max | CPU | memory | ours by it |
|--|--|--|--|--|--|--|--|
| W1 | till | 1.00 s | 500 ms | 3.00 s | 500 ms | 3 MiB |  |
| W1 | slow | 4.00 s | 4.00 s | 4.00 s | 500 ms | 3 MiB | 0.25 |
| W1 | fast | 2.00 s | 1.00 s | 3.00 s | 500 ms | 3 MiB | 0.50 |
| W1 | less | 500 ms | 500 ms | 500 ms | 500 ms | 3 MiB |  |
| W1 | limit: fork | 250 ms |  |  |  |  |  |
";
        assert_eq!(markdown(&[figures()]), wanted);
    }

    #[test]
    fn a_bar_does_not_end_a_cell() {
        assert_eq!(cells(&["a | b".to_owned(), "c".to_owned()]), "a \\| b | c");
    }

    #[test]
    fn the_summary_names_the_best_peer_and_has_a_verdict() {
        let missed = "| W1 | overhead | 1.00 s | 2.00 s (fast) | 0.50 | ≤ 0.3 | missed | 250 ms (fork) |\n";
        let met = "| W1 | overhead | 1.00 s | – | – | ≤ 1.50 s | met | – |\n";
        let alone = Figures { lines: figures().lines[..1].to_vec(), limit: None, ..figures() };
        let text = summary(&[figures(), Figures { wanted: Wanted::Seconds(1.5), ..alone }]);
        assert!(text.ends_with(&format!("\n{missed}{met}")), "{text}");
    }

    #[test]
    fn notes_say_of_what_they_are() {
        assert_eq!(notes(&[figures()]), "- W1, till: all at once\n");
    }
}
