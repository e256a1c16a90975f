//! Procfile: process types and their commands, one `name: command` a line (Heroku's format; a line that is none is
//! passed over, as Heroku does).

use std::collections::BTreeMap;

/// The file's name, at the root of the source.
pub const FILE: &str = "Procfile";

/// The process types of a Procfile, by name. A later line of the same name wins.
pub fn parse(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| {
            let (name, command) = line.split_once(':')?;
            let name_ok = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            let command = command.trim();
            (name_ok && !command.is_empty()).then(|| (name.to_owned(), command.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_name_and_command() {
        let text = "web: gunicorn app:app --bind 0.0.0.0:$PORT\r\n# note: none\nworker:python w.py\n\nbroken\nempty:\n";
        let found = parse(text);
        assert_eq!(found["web"], "gunicorn app:app --bind 0.0.0.0:$PORT");
        assert_eq!(found["worker"], "python w.py");
        assert_eq!(found.len(), 2);
    }
}
