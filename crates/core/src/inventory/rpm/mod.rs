//! rpm's database: a header for each package, in one of three databases.
//!
//! The newest is SQLite, SUSE's is NDB; both are read as far as one table of blobs needs. Berkeley DB (until 2020) is
//! found, and said not to be readable.

mod header;
mod ndb;
mod sqlite;

use super::{Content, Found};

/// The largest header that is read: that of a package with some hundred thousand files.
const MAX_HEADER: u64 = 64 << 20;

/// Reads an `rpmdb.sqlite`.
pub(super) fn read_sqlite(content: &dyn Content) -> Found {
    packages(|visit| sqlite::blobs(content, "Packages", visit), "SQLite")
}

/// Reads a `Packages.db`.
pub(super) fn read_ndb(content: &dyn Content) -> Found {
    packages(|visit| ndb::blobs(content, visit), "NDB")
}

/// Says of a `Packages` that it is there.
pub(super) fn found_berkeley(content: &dyn Content) -> Found {
    let what = if content.size() == 0 { "is empty" } else { "is a Berkeley DB, which is not read" };
    Found { database: true, ..Found::unreadable(format!("rpm's database was found, but {what}")) }
}

/// Says of a log that what is in it was not read.
pub(super) fn found_log(content: &dyn Content) -> Found {
    match content.size() {
        0 => Found::default(),
        _ => Found::unreadable("rpm's database has a write-ahead log; what is in it only is not read"),
    }
}

/// Whether all of a database could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    Damaged,
}

/// Collects the packages of the blobs that `blobs` visits.
fn packages(blobs: impl FnOnce(&mut dyn FnMut(&[u8])) -> Option<State>, kind: &str) -> Found {
    let (mut records, mut bad) = (Vec::new(), 0);
    let state = blobs(&mut |blob| match header::package(blob) {
        // Keys are kept like packages, and are none.
        Some(record) if record.name == "gpg-pubkey" => {}
        Some(record) => records.push(record),
        None => bad += 1,
    });
    let Some(state) = state else {
        let what = format!("rpm's database was found, but is not readable as {kind}");
        return Found { database: true, ..Found::unreadable(what) };
    };
    let mut found = Found::database(records);
    if state == State::Damaged {
        found.findings.push(format!("rpm's database is damaged: not all of it is readable as {kind}"));
    }
    if bad > 0 {
        found.findings.push(format!("{bad} packages of rpm's database could not be read"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_a_database_all_the_same() {
        for found in [
            found_berkeley(&b"\0\0\0\0".as_slice()),
            found_berkeley(&b"".as_slice()),
            read_sqlite(&b"SQLite format 3".as_slice()),
            read_sqlite(&b"".as_slice()),
            read_ndb(&b"RpmP".as_slice()),
        ] {
            assert!(found.database && found.packages.is_empty(), "{found:?}");
            assert!(found.findings[0].contains("was found, but"), "{found:?}");
        }
        assert!(found_log(&b"".as_slice()).is_empty());
        assert_eq!(found_log(&b"x".as_slice()).findings.len(), 1);
    }
}
