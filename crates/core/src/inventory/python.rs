//! Python's core metadata: a header like that of a letter.

use super::{Content, Ecosystem, Found, Interest, Record, line};

/// Reads a `METADATA` or `PKG-INFO`.
pub(super) fn read(content: &dyn Content) -> Found {
    match content.text(Interest::Python.limit()) {
        Some(text) => match package(&text) {
            Some(record) => Found::packages([record]),
            None => Found::unreadable("the metadata of a Python distribution has no name and version"),
        },
        None => Found::unreadable("the metadata of a Python distribution is too long, or cannot be read"),
    }
}

fn package(text: &str) -> Option<Record> {
    // The description follows an empty line.
    let header = || text.lines().take_while(|line| !line.trim().is_empty());
    let field = |name: &str| {
        header().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let mut record = Record::new(Ecosystem::Pypi, field("Name")?, field("Version")?)?;
    let licence = field("License-Expression").and_then(line).or_else(|| field("License").and_then(line));
    record.licence = licence.filter(|licence| licence != "UNKNOWN");
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_the_distribution() {
        let text = "Metadata-Version: 2.1\nName: Flask\nVersion: 3.0.0\nLicense: BSD-3-Clause\nClassifier: x\n\nName: not this\n";
        let found = read(&text.as_bytes());
        assert_eq!((found.packages[0].name.as_str(), found.packages[0].version.as_str()), ("Flask", "3.0.0"));
        assert_eq!(found.packages[0].licence.as_deref(), Some("BSD-3-Clause"));
    }

    #[test]
    fn metadata_without_a_name_is_a_finding() {
        for text in ["", "Name: x\n", "\nName: x\nVersion: 1\n"] {
            assert_eq!(read(&text.as_bytes()).findings.len(), 1, "{text}");
        }
    }
}
