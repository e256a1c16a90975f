//! Procfile: process types and their commands, one `name: command` a line (foreman's grammar, with blanks and comments). A
//! line that is none of these is an error with its number: half a merge conflict must not become half an app.

use std::collections::BTreeMap;

use super::PlanError;

/// The file's name, at the root of the source.
pub const FILE: &str = "Procfile";

/// The longest name: it becomes a part of host names elsewhere.
const LONGEST: usize = 63;

/// What a Procfile says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Procfile {
    /// Commands by process type.
    pub processes: BTreeMap<String, String>,
    /// What its writer should know.
    pub warnings: Vec<String>,
}

/// Reads the text of a Procfile. Of two lines of one name the later one counts.
pub fn parse(text: &str) -> Result<Procfile, PlanError> {
    let mut found = Procfile::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in (1..).zip(text.split('\n')) {
        let bad = |what: String| PlanError::Procfile { line: number, what };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, command) = entry(line).map_err(bad)?;
        if line.contains('\0') {
            return Err(bad(format!("the command of `{name}` holds a zero byte")));
        }
        if found.processes.insert(name.to_owned(), command.to_owned()).is_some() {
            found.warnings.push(format!("Procfile:{number}: `{name}` is there already; this line counts"));
        }
        if name != "web" && name.eq_ignore_ascii_case("web") {
            found.warnings.push(format!("Procfile:{number}: `{name}` is not `web`, so it gets no port"));
        }
    }
    Ok(found)
}

fn entry(line: &str) -> Result<(&str, &str), String> {
    let shown = || line.chars().take(60).collect::<String>();
    if ["<<<<<<<", "=======", ">>>>>>>"].iter().any(|mark| line.starts_with(mark)) {
        return Err(format!("`{}` is left of a merge", shown()));
    }
    let (name, command) = line.split_once(':').ok_or_else(|| format!("`{}` is no `name: command`", shown()))?;
    let (name, command) = (name.trim_end(), command.trim());
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if name.is_empty() || !name.bytes().all(allowed) {
        let name: String = name.chars().take(60).collect();
        return Err(format!("`{name}` is not a process type's name: letters, digits, `-` and `_` are"));
    }
    if name.len() > LONGEST {
        return Err(format!("the name of a process type has more than {LONGEST} characters"));
    }
    if command.is_empty() {
        return Err(format!("`{name}` has no command"));
    }
    Ok((name, command))
}

/// What is said when two places say something of the same process types: who wins, where they differ.
pub fn contradictions(winner: &BTreeMap<String, Vec<String>>, procfile: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let differs = winner.iter().filter(|(name, argv)| procfile.get(*name).is_some_and(|other| other != *argv));
    differs
        .map(|(name, _)| format!("`{name}` is in till.toml and in the Procfile; what till.toml says is taken"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_name_and_command() {
        let text = "\u{feff}web: gunicorn app:app --bind 0.0.0.0:$PORT\r\n# note: none\nworker:python w.py\n\n  \
                    a_b-2\t:\tx # y\n  # more\nlast: run";
        let found = parse(text).unwrap();
        let wanted = [
            ("a_b-2", "x # y"),
            ("last", "run"),
            ("web", "gunicorn app:app --bind 0.0.0.0:$PORT"),
            ("worker", "python w.py"),
        ];
        assert!(found.processes.iter().map(|(name, line)| (name.as_str(), line.as_str())).eq(wanted), "{found:?}");
        assert_eq!(found.warnings, [] as [&str; 0]);
        assert_eq!(parse("\n# nothing\n"), Ok(Procfile::default()));
    }

    #[test]
    fn a_line_that_is_none_is_named_by_its_number() {
        let long = format!("{}: x", "a".repeat(64));
        for (text, line, what) in [
            ("web: x\nbroken\n", 2, "`broken` is no `name: command`"),
            ("web:\n", 1, "`web` has no command"),
            ("\n\nmy app: x\n", 3, "`my app` is not a process type's name"),
            (": x", 1, "`` is not"),
            ("web: a\n<<<<<<< HEAD\nweb: b\n", 2, "merge"),
            ("// web: x", 1, "is not a process type's name"),
            ("web: a\0b", 1, "zero byte"),
            (&long, 1, "more than 63"),
        ] {
            match parse(text) {
                Err(PlanError::Procfile { line: found, what: said }) => {
                    assert_eq!(found, line, "{text}");
                    assert!(said.contains(what), "{text}: {said}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_may_be_a_slip_is_said() {
        let found = parse("web: a\nWeb: b\nweb: c\n").unwrap();
        assert_eq!(found.processes["web"], "c");
        assert_eq!(found.warnings.len(), 2, "{:?}", found.warnings);
        assert!(found.warnings[1].contains("Procfile:3: `web` is there already"));
    }
}
