//! dpkg's database: paragraphs of fields. In one file, or one file for each package (as images without dpkg have it).

use super::{Content, Ecosystem, Found, Interest, Paragraph, Record, SourcePackage, line};

/// Of a package with these states nothing but settings is left. All others have files in place, even when something
/// about them went wrong.
const GONE: [&str; 2] = ["not-installed", "config-files"];

/// Reads a `status`.
pub(super) fn read(content: &dyn Content) -> Found {
    let Some(text) = content.text(Interest::Dpkg.limit()) else {
        return Found { database: true, ..Found::unreadable("dpkg's database is too large, or cannot be read") };
    };
    Found::paragraphs(text.split("\n\n").map(package))
}

fn package(paragraph: &str) -> Paragraph {
    if paragraph.trim().is_empty() {
        return Paragraph::Blank;
    }
    let field = |name: &str| {
        paragraph.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let state = field("Status").and_then(|status| status.split_whitespace().nth(2));
    if state.is_some_and(|state| GONE.contains(&state)) {
        return if field("Package").is_some() { Paragraph::Gone } else { Paragraph::Damaged };
    }
    let named = field("Package").zip(field("Version"));
    let Some(mut record) = named.and_then(|(name, version)| Record::new(Ecosystem::Deb, name, version)) else {
        return Paragraph::Damaged;
    };
    record.arch = field("Architecture").and_then(line);
    record.source = Some(source(field("Source"), &record));
    Paragraph::Package(record)
}

/// `name`, `name (version)`, or, without the field, the package itself.
fn source(field: Option<&str>, record: &Record) -> SourcePackage {
    let field = field.and_then(line).unwrap_or_else(|| record.name.clone());
    match field.split_once('(') {
        Some((name, version)) => {
            SourcePackage { name: name.trim().to_owned(), version: version.trim_end_matches(')').trim().to_owned() }
        }
        None => SourcePackage { name: field, version: record.version.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "\
Package: adduser
Status: install ok installed
Priority: important
Architecture: all
Version: 3.134
Description: add and remove users
 Status: this line only goes on
 .
 Version: so does this

Package: libssl3
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: openssl
Version: 3.0.11-1~deb12u2

Package: libc-bin
Status: hold ok unpacked
Architecture: amd64
Source: glibc (2.36-9)
Version: 2.36-9+b1

Package: old
Status: deinstall ok config-files
Version: 1.0

Package: never
Status: unknown ok not-installed

Package: nothing
Status: install ok installed
";

    #[test]
    fn whatever_has_files_in_place_is_installed() {
        let found = read(&STATUS.as_bytes());
        let named = |record: &Record| {
            let source = record.source.clone().unwrap();
            format!(
                "{} {} {} <- {} {}",
                record.name,
                record.version,
                record.arch.clone().unwrap(),
                source.name,
                source.version
            )
        };
        assert_eq!(
            found.packages.iter().map(named).collect::<Vec<_>>(),
            [
                "adduser 3.134 all <- adduser 3.134",
                "libssl3 3.0.11-1~deb12u2 amd64 <- openssl 3.0.11-1~deb12u2",
                "libc-bin 2.36-9+b1 amd64 <- glibc 2.36-9",
            ]
        );
        assert!(found.database);
        // The last one should have a version.
        assert_eq!(found.findings, ["1 of 6 paragraphs of the database are not understood"]);
    }

    #[test]
    fn a_damaged_database_is_no_empty_one() {
        for (text, findings) in [
            ("", 0),
            ("\n\n \n", 0),
            ("Package: gone\nStatus: purge ok not-installed\n", 0),
            ("Package: a\nVersion: 1\n\n\n\nPackage: b\nVersion: 2\n", 0),
            ("no database at all", 1),
            ("Status: purge ok not-installed\n", 1),
            ("Package: a\nStatus: install ok installed\n", 1),
            ("Package: a\nVersion: 1\n\nPackage:\nVersion: 2\n\nVersion: 3\n", 1),
        ] {
            let found = read(&text.as_bytes());
            assert_eq!(found.findings.len(), findings, "{text}: {found:?}");
        }
    }

    #[test]
    fn one_of_status_d_needs_no_status() {
        let found = read(&b"Package: base-files\nVersion: 12.4\nArchitecture: amd64\n".as_slice());
        assert_eq!(found.packages[0].name, "base-files");
    }

    #[test]
    fn an_empty_database_is_a_database() {
        assert!(read(&b"".as_slice()).database);
    }
}
