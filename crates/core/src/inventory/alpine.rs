//! apk's database: paragraphs of lines with one letter each.

use super::{Content, Ecosystem, Found, Interest, Paragraph, Record, SourcePackage, line};

/// Reads an `installed`.
pub(super) fn read(content: &dyn Content) -> Found {
    let Some(text) = content.text(Interest::Apk.limit()) else {
        return Found { database: true, ..Found::unreadable("apk's database is too large, or cannot be read") };
    };
    Found::paragraphs(text.split("\n\n").map(package))
}

fn package(paragraph: &str) -> Paragraph {
    if paragraph.trim().is_empty() {
        return Paragraph::Blank;
    }
    // What begins with the same letter after the first files is of them.
    let header = paragraph.split("\nF:").next().unwrap_or(paragraph);
    let field = |letter: &str| header.lines().find_map(|line| line.strip_prefix(letter)?.strip_prefix(':'));
    let named = field("P").zip(field("V"));
    let Some(mut record) = named.and_then(|(name, version)| Record::new(Ecosystem::Apk, name, version)) else {
        return Paragraph::Damaged;
    };
    record.arch = field("A").and_then(line);
    record.licence = field("L").and_then(line);
    let origin = field("o").and_then(line).unwrap_or_else(|| record.name.clone());
    record.source = Some(SourcePackage { name: origin, version: record.version.clone() });
    Paragraph::Package(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_paragraph_is_a_package() {
        let text = "C:Q1abc=\nP:musl-utils\nV:1.2.4-r2\nA:x86_64\nL:MIT AND BSD-2-Clause\no:musl\nF:usr\nF:usr/bin\nR:P:not-a-name\n\n\
                    P:busybox\nV:1.36.1-r15\nA:x86_64\n\nV:1\n\n";
        let found = read(&text.as_bytes());
        let names: Vec<_> =
            found.packages.iter().map(|package| (package.name.as_str(), package.version.as_str())).collect();
        assert_eq!(names, [("musl-utils", "1.2.4-r2"), ("busybox", "1.36.1-r15")]);
        assert_eq!(found.packages[0].source.as_ref().unwrap().name, "musl");
        assert_eq!(found.packages[0].licence.as_deref(), Some("MIT AND BSD-2-Clause"));
        assert_eq!(found.packages[1].source.as_ref().unwrap().name, "busybox");
        assert!(found.database);
        assert_eq!(found.findings, ["1 of 3 paragraphs of the database are not understood"]);
        for (text, findings) in [("", 0), ("\n\n\n", 0), ("garbage", 1), ("P:a\nA:x86_64\n", 1)] {
            assert_eq!(read(&text.as_bytes()).findings.len(), findings, "{text}");
        }
    }
}
