//! The figures as tables: for a terminal, and in Markdown.
#![expect(clippy::print_stdout, reason = "the table is what the bench is for")]

use super::sample::{Figures, Line};

/// What stands above the columns.
const HEAD: [&str; 8] = ["case", "who", "median", "min", "max", "CPU", "memory", "ours by it"];

/// Prints all of them.
pub(super) fn print(figures: &[Figures]) {
    let rows = rows(figures);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    println!();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match at {
            0 | 1 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        println!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// The same for a page.
pub(super) fn markdown(figures: &[Figures]) -> String {
    let mut lines: Vec<String> = rows(figures).iter().map(|row| format!("| {} |", cells(row))).collect();
    lines.insert(1, format!("|{}", "--|".repeat(HEAD.len())));
    lines.join("\n") + "\n"
}

/// One row for each case: ours, the best peer, the ratio, what is wanted, and the limit.
pub(super) fn summary(figures: &[Figures]) -> String {
    let mut text =
        "| Case | What | till | Best peer | Ratio | Wanted | Limit of the machine |\n|--|--|--|--|--|--|--|\n"
            .to_owned();
    for case in figures {
        let time = |line: Option<&Line>| line.map_or("–".to_owned(), |line| seconds(line.median()));
        let peer = case.best().map_or("–".to_owned(), |best| format!("{} ({})", time(Some(best)), best.name));
        let ratio = case.ratio().map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        let limit = case.limit.as_ref().map_or("–".to_owned(), |(time, what)| format!("{} ({what})", seconds(*time)));
        let (name, title, wanted, ours) = (&case.case, &case.title, &case.wanted, time(case.ours()));
        let row = [name, title, &ours, &peer, &ratio, wanted, &limit].map(Clone::clone);
        text += &format!("| {} |\n", cells(&row));
    }
    text
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
            let ratio =
                ours.filter(|_| !line.ours).map_or(String::new(), |ours| format!("{:.2}", ours / line.median()));
            let memory = format!("{} MiB", line.memory() >> 20);
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

    #[test]
    fn each_who_was_measured_has_a_row() {
        let wanted = "\
| case | who | median | min | max | CPU | memory | ours by it |
|--|--|--|--|--|--|--|--|
| W1 | till | 1.00 s | 500 ms | 3.00 s | 500 ms | 3 MiB |  |
| W1 | slow | 4.00 s | 4.00 s | 4.00 s | 500 ms | 3 MiB | 0.25 |
| W1 | fast | 2.00 s | 1.00 s | 3.00 s | 500 ms | 3 MiB | 0.50 |
| W1 | limit: fork | 250 ms |  |  |  |  |  |
";
        assert_eq!(markdown(&[figures()]), wanted);
    }

    #[test]
    fn a_bar_does_not_end_a_cell() {
        assert_eq!(cells(&["a | b".to_owned(), "c".to_owned()]), "a \\| b | c");
    }

    #[test]
    fn the_summary_names_the_best_peer() {
        let text = summary(&[figures()]);
        assert!(
            text.ends_with("| W1 | overhead | 1.00 s | 2.00 s (fast) | 0.50 | ≤ 0.3 | 250 ms (fork) |\n"),
            "{text}"
        );
    }
}
