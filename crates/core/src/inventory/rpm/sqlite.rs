//! As much of SQLite's file format as it takes to read the blobs of one table. Nothing is locked and no log is read: the
//! file is what it is.

use super::super::Content;
use super::super::content::big;
use super::{MAX_HEADER, State};

/// How the file begins.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Pages of a table's tree.
const INNER: u8 = 5;
const LEAF: u8 = 13;
/// A tree of the smallest pages has no more levels for 2⁶⁴ rows.
const MAX_DEPTH: u32 = 24;
/// All rows of a database.
const MAX_BYTES: u64 = 2 << 30;
/// The table has two columns, the schema five.
const MAX_COLUMNS: usize = 16;

/// Visits the blobs of a table; none when it is no such database or has no such table.
pub(super) fn blobs(content: &dyn Content, table: &str, visit: &mut dyn FnMut(&[u8])) -> Option<State> {
    let head = content.bytes(0, 100, 100)?;
    let size = match big::<2>(&head, 16)? {
        1 => 65536,
        size if size >= 512 && size.is_power_of_two() => size,
        _ => return None,
    };
    let usable = size.checked_sub(u64::from(head[20])).filter(|usable| *usable >= 480)?;
    if !head.starts_with(MAGIC) {
        return None;
    }
    let mut file = File { content, size, usable, budget: content.size() / size, damaged: false, bytes: 0 };
    let mut root = None;
    file.walk(1, 0, &mut |row| {
        if row.text(0) == Some(b"table") && row.text(1) == Some(table.as_bytes()) {
            root = row.number(3);
        }
    });
    let root = root?;
    file.budget = content.size() / size;
    file.walk(root, 0, &mut |row| {
        if let Some(blob) = row.blob() {
            visit(blob);
        }
    });
    Some(if file.damaged { State::Damaged } else { State::Whole })
}

struct File<'a> {
    content: &'a dyn Content,
    /// Of a page.
    size: u64,
    /// Of a page, without what extensions keep at its end.
    usable: u64,
    /// How many pages may still be visited: none can be twice in a tree.
    budget: u64,
    /// Some page or row could not be read.
    damaged: bool,
    /// Of all rows so far.
    bytes: u64,
}

impl File<'_> {
    fn page(&mut self, number: u64) -> Option<Vec<u8>> {
        self.budget = self.budget.checked_sub(1)?;
        self.content.bytes(number.checked_sub(1)?.checked_mul(self.size)?, self.size, self.size)
    }

    /// Visits all rows of a table's tree.
    fn walk(&mut self, number: u64, depth: u32, visit: &mut dyn FnMut(&Row)) {
        if depth > MAX_DEPTH || self.try_walk(number, depth, visit).is_none() {
            self.damaged = true;
        }
    }

    fn try_walk(&mut self, number: u64, depth: u32, visit: &mut dyn FnMut(&Row)) -> Option<()> {
        let page = self.page(number)?;
        // The file's header is at the beginning of its first page.
        let start = if number == 1 { 100 } else { 0 };
        let kind = *page.get(start)?;
        let cells = usize::try_from(big::<2>(&page, start + 3)?).ok()?;
        let pointers = start + if kind == INNER { 12 } else { 8 };
        for cell in 0..cells {
            let at = usize::try_from(big::<2>(&page, pointers + cell * 2)?).ok()?;
            match kind {
                INNER => self.walk(big::<4>(&page, at)?, depth + 1, visit),
                LEAF => match self.row(page.get(at..)?) {
                    Some(row) => visit(&row),
                    None => self.damaged = true,
                },
                _ => return None,
            }
        }
        match kind {
            INNER => self.walk(big::<4>(&page, start + 8)?, depth + 1, visit),
            LEAF => {}
            _ => return None,
        }
        Some(())
    }

    /// The row of a leaf's cell: its size, its id, its bytes, of which those that do not fit are on further pages.
    fn row(&mut self, cell: &[u8]) -> Option<Row> {
        let (size, first) = varint(cell)?;
        let (_, second) = varint(cell.get(first..)?)?;
        let rest = cell.get(first + second..)?;
        self.bytes = self.bytes.checked_add(size).filter(|bytes| *bytes <= MAX_BYTES)?;
        if size > MAX_HEADER {
            return None;
        }
        let local = self.local(size)?;
        let mut bytes = rest.get(..usize::try_from(local).ok()?)?.to_vec();
        let mut next = if local < size { big::<4>(rest, bytes.len())? } else { 0 };
        while (bytes.len() as u64) < size {
            let page = self.page(next)?;
            next = big::<4>(&page, 0)?;
            let wanted = usize::try_from((size - bytes.len() as u64).min(self.usable - 4)).ok()?;
            bytes.extend_from_slice(page.get(4..4 + wanted)?);
        }
        Row::parse(bytes)
    }

    /// How many of a row's bytes are in its own page.
    fn local(&self, size: u64) -> Option<u64> {
        let most = self.usable.checked_sub(35)?;
        if size <= most {
            return Some(size);
        }
        let least = (self.usable.checked_sub(12)? * 32 / 255).checked_sub(23)?;
        let wished = least + (size - least) % (self.usable - 4);
        Some(if wished <= most { wished } else { least })
    }
}

/// A row: where each column's value is, and of what kind.
struct Row {
    bytes: Vec<u8>,
    columns: Vec<(u64, usize, usize)>,
}

impl Row {
    fn parse(bytes: Vec<u8>) -> Option<Self> {
        let (header, mut at) = varint(&bytes)?;
        let header = usize::try_from(header).ok()?;
        let mut value = header;
        let mut columns = Vec::new();
        while at < header {
            let (kind, used) = varint(bytes.get(at..header)?)?;
            at += used;
            let size = match kind {
                0 | 8..=11 => 0,
                1..=4 => kind,
                5 => 6,
                6 | 7 => 8,
                kind => (kind - 12) / 2,
            };
            let end = value.checked_add(usize::try_from(size).ok()?)?;
            bytes.get(value..end)?;
            if columns.len() == MAX_COLUMNS {
                return None;
            }
            columns.push((kind, value, end));
            value = end;
        }
        Some(Self { bytes, columns })
    }

    fn text(&self, column: usize) -> Option<&[u8]> {
        let (kind, begin, end) = *self.columns.get(column)?;
        (kind >= 13 && kind % 2 == 1).then(|| self.bytes.get(begin..end))?
    }

    fn number(&self, column: usize) -> Option<u64> {
        let (kind, begin, end) = *self.columns.get(column)?;
        match kind {
            8 => Some(0),
            9 => Some(1),
            1..=6 => Some(self.bytes.get(begin..end)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))),
            _ => None,
        }
    }

    /// The first blob of the row.
    fn blob(&self) -> Option<&[u8]> {
        let (_, begin, end) = self.columns.iter().find(|(kind, ..)| *kind >= 12 && kind % 2 == 0)?;
        self.bytes.get(*begin..*end)
    }
}

/// SQLite's number of one to nine bytes, and how many they were.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    bytes.get(8).map(|last| (value << 8 | u64::from(*last), 9))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made with the SQLite 3.40 shell, page size 512: the tables `Basenames` and `Packages` of rpm 4.18, 40 rows whose
    /// blobs are headers of 60 to 2000 bytes, so that the tree has two levels and most rows go on in further pages.
    const DATABASE: &[u8] = include_bytes!("testdata/rpmdb.sqlite");

    #[test]
    fn every_row_is_found_whole() {
        let found = super::super::read_sqlite(&DATABASE);
        assert_eq!((found.packages.len(), &found.findings), (40, &Vec::new()));
        let mut names: Vec<_> = found.packages.iter().map(|package| package.name.clone()).collect();
        names.sort();
        assert_eq!((names[0].as_str(), names[39].as_str()), ("package-00", "package-39"));
        assert!(found.packages.iter().all(|package| package.arch.as_deref() == Some("x86_64")));
    }

    #[test]
    fn a_database_without_the_table_is_not_readable() {
        assert!(blobs(&DATABASE, "Nothing", &mut |_| {}).is_none());
    }

    #[test]
    fn a_tree_that_bites_its_tail_comes_to_an_end() {
        let mut bytes = DATABASE.to_vec();
        // Every page becomes an inner one, whose children are all the second page.
        for page in bytes.chunks_exact_mut(512).skip(1) {
            page.fill(0);
            page[0] = INNER;
            page[4] = 100;
            page[11] = 2;
        }
        assert!(blobs(&bytes.as_slice(), "Packages", &mut |_| {}) != Some(State::Whole));
    }

    proptest! {
        #[test]
        fn damage_is_never_a_panic(changes in prop::collection::vec((0..DATABASE.len(), any::<u8>()), 1..40), end in 0..DATABASE.len()) {
            let mut bytes = DATABASE.to_vec();
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            super::super::read_sqlite(&bytes.as_slice());
            super::super::read_sqlite(&&bytes[..end]);
        }
    }
}
