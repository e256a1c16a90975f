//! apt's sources (sources.list(5)): both notations are read, one line is written for each suite that a recipe uses.

/// One source: an address, a suite, components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    uri: String,
    suite: String,
    components: String,
    signed_by: Option<String>,
}

/// `deb [options] uri suite component…` lines.
pub(super) fn one_line(text: &str) -> Vec<Entry> {
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Entry> {
    let rest = line.trim().strip_prefix("deb")?;
    let rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    let components: Vec<_> = words.take_while(|word| !word.starts_with('#')).collect();
    let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    Some(Entry {
        uri: uri.to_owned(),
        suite: suite.to_owned(),
        components: components.join(" "),
        signed_by: signed_by.map(str::to_owned),
    })
}

/// Paragraphs of `Field: value`, with `Types`, `URIs`, `Suites`, `Components`, `Signed-By`, `Enabled`.
pub(super) fn deb822(text: &str) -> Vec<Entry> {
    let text: String =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{}\n", line.trim_end())).collect();
    text.split("\n\n").flat_map(paragraph).collect()
}

fn paragraph(text: &str) -> Vec<Entry> {
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let binary = field("Types").is_some_and(|types| types.split_whitespace().any(|kind| kind == "deb"));
    if !binary || field("Enabled").is_some_and(|value| matches!(value, "no" | "false")) {
        return Vec::new();
    }
    let words = |name| field(name).unwrap_or_default().split_whitespace();
    let entry = |uri: &str, suite: &str| Entry {
        uri: uri.to_owned(),
        suite: suite.to_owned(),
        components: field("Components").unwrap_or_default().to_owned(),
        signed_by: field("Signed-By").filter(|value| value.starts_with('/')).map(str::to_owned),
    };
    words("URIs")
        .flat_map(|uri| words("Suites").map(move |suite| (uri, suite)))
        .map(|(uri, suite)| entry(uri, suite))
        .collect()
}

/// The addresses of all mirrors, each once.
pub(super) fn roots(entries: &[Entry]) -> Vec<String> {
    let mut roots: Vec<String> = Vec::new();
    for entry in entries {
        let root = entry.uri.trim_end_matches('/').to_owned();
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    roots
}

/// The lines for one suite's archives.
pub(super) fn choose(entries: &[Entry], suite: &str, archives: &[String]) -> Vec<String> {
    let wanted = |entry: &&Entry| {
        archives.iter().any(|archive| match archive.as_str() {
            "release" => entry.suite == suite,
            other => entry.suite == format!("{suite}-{other}"),
        })
    };
    let written = |entry: &Entry| {
        let options = entry.signed_by.as_ref().map(|path| format!("[signed-by={path}] ")).unwrap_or_default();
        format!("deb {options}{} {} {}", entry.uri, entry.suite, entry.components)
    };
    let mut lines: Vec<_> = entries.iter().filter(wanted).map(written).collect();
    lines.dedup();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations_give_the_same_lines() {
        let one = "# x\ndeb [arch=amd64 signed-by=/k.gpg] http://mirror.example/d bookworm main contrib # y\ndeb-src http://mirror.example/d bookworm main\ndeb [signed-by=/k.gpg] http://mirror.example/s bookworm-security main contrib\n";
        let many = "# c\nTypes: deb deb-src\nURIs: http://mirror.example/d\nSuites: bookworm bookworm-updates\nComponents: main contrib\nSigned-By: /k.gpg\n\nTypes: deb\nURIs: http://mirror.example/s\nSuites: bookworm-security\nComponents: main contrib\nSigned-By: /k.gpg\n\nTypes: deb\nEnabled: no\nURIs: http://mirror.example/x\nSuites: bookworm\n";
        let archives = ["release".to_owned(), "security".to_owned()];
        let expected = [
            "deb [signed-by=/k.gpg] http://mirror.example/d bookworm main contrib",
            "deb [signed-by=/k.gpg] http://mirror.example/s bookworm-security main contrib",
        ];
        assert_eq!(choose(&one_line(one), "bookworm", &archives), expected);
        assert_eq!(choose(&deb822(many), "bookworm", &archives), expected);
        assert!(choose(&deb822(many), "trixie", &archives).is_empty());
    }
}
