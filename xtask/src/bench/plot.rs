//! A case as a picture: a bar for everybody, as long as it took, with a line from the fastest to the slowest run.

use std::fmt::Write as _;

use super::sample::{Figures, Role};
use super::table::seconds;

/// Of the picture, in its own units.
const WIDTH: f64 = 800.0;
/// For names, at the left.
const NAMES: f64 = 230.0;
/// For figures, at the right.
const VALUES: f64 = 80.0;
/// Of one bar with what is between it and the next.
const ROW: f64 = 26.0;
/// For the title.
const TOP: f64 = 34.0;

/// SVG.
pub(super) fn svg(figures: &Figures) -> String {
    let lines: Vec<_> = figures.lines.iter().filter(|line| !line.samples.is_empty()).collect();
    let longest = lines.iter().map(|line| line.max()).fold(f64::MIN_POSITIVE, f64::max);
    let x = |seconds: f64| NAMES + seconds / longest * (WIDTH - NAMES - VALUES);
    let height = lines.iter().fold(TOP + 10.0, |height, _| height + ROW);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"8\" y=\"20\" font-weight=\"bold\">{}: {}</text>\n",
        escaped(&figures.case),
        escaped(&figures.title)
    );
    let mut top = TOP;
    for line in lines {
        let colour = match line.role {
            Role::Ours => "#2a7f62",
            Role::Peer => "#9aa5b1",
            Role::Shown => "#d5dae0",
        };
        let (middle, text) = (top + 9.0, top + 14.0);
        let (name, end) = (escaped(&line.name), x(line.median()));
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{text}\" text-anchor=\"end\">{name}</text>", NAMES - 8.0);
        let _ = writeln!(
            svg,
            "<rect x=\"{NAMES}\" y=\"{top}\" width=\"{:.1}\" height=\"18\" fill=\"{colour}\"/>",
            end - NAMES
        );
        let (from, to) = (x(line.min()), x(line.max()));
        let _ = writeln!(svg, "<path d=\"M{from:.1} {middle}H{to:.1}\" stroke=\"#222\" stroke-width=\"2\"/>");
        let value = seconds(line.median());
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{text}\">{value}</text>", to.max(end) + 8.0);
        top += ROW;
    }
    if let Some((limit, _)) = figures.limit.as_ref().filter(|(limit, _)| *limit <= longest) {
        let (at, bottom) = (x(*limit), height - 8.0);
        let _ = writeln!(svg, "<path d=\"M{at:.1} {TOP}V{bottom}\" stroke=\"#c0392b\" stroke-dasharray=\"4 3\"/>");
    }
    svg + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sample::tests::figures;

    #[test]
    fn bars_are_as_long_as_the_medians() {
        let svg = svg(&figures());
        for part in [
            // 490 units are the 4 s of the slowest.
            "<rect x=\"230\" y=\"34\" width=\"122.5\" height=\"18\" fill=\"#2a7f62\"/>",
            "<rect x=\"230\" y=\"60\" width=\"490.0\" height=\"18\" fill=\"#9aa5b1\"/>",
            "<rect x=\"230\" y=\"86\" width=\"245.0\" height=\"18\" fill=\"#9aa5b1\"/>",
            "<rect x=\"230\" y=\"112\" width=\"61.2\" height=\"18\" fill=\"#d5dae0\"/>",
            "<path d=\"M352.5 95H597.5\"",
            "viewBox=\"0 0 800 148\"",
            ">W1: overhead</text>",
        ] {
            assert!(svg.contains(part), "{part}\n{svg}");
        }
        assert!(!svg.contains("absent"));
    }

    #[test]
    fn text_cannot_end_an_element() {
        assert_eq!(escaped("a<b>&c"), "a&lt;b&gt;&amp;c");
    }
}
