//! NDB, the database of SUSE: pages of slots, each naming a blob. Little-endian throughout.

use super::super::Content;
use super::super::content::little;
use super::{MAX_HEADER, State};

const DATABASE: u64 = u32::from_le_bytes(*b"RpmP") as u64;
const SLOT: u64 = u32::from_le_bytes(*b"Slot") as u64;
const BLOB: u64 = u32::from_le_bytes(*b"BlbS") as u64;

const PAGE: u64 = 4096;
const SLOT_SIZE: usize = 16;
/// Offsets and sizes of blobs are counted in these.
const UNIT: u64 = 16;
/// A database has one page for each 256 packages.
const MAX_PAGES: u64 = 1024;
/// All headers of a database.
const MAX_BYTES: u64 = 2 << 30;

/// Visits the blobs of all packages; none when it is no such database.
pub(super) fn blobs(content: &dyn Content, visit: &mut dyn FnMut(&[u8])) -> Option<State> {
    let head = content.bytes(0, 32, 32)?;
    let pages = little::<4>(&head, 12)?;
    if little::<4>(&head, 0)? != DATABASE || little::<4>(&head, 4)? != 0 || !(1..=MAX_PAGES).contains(&pages) {
        return None;
    }
    let slots = content.bytes(0, pages * PAGE, MAX_PAGES * PAGE)?;
    let (mut state, mut bytes) = (State::Whole, 0);
    // The first two slots are the database's own header.
    for slot in slots.chunks_exact(SLOT_SIZE).skip(2) {
        let package = little::<4>(slot, 4)?;
        if package == 0 {
            continue;
        }
        let read = (little::<4>(slot, 0)? == SLOT).then(|| blob(content, package, little::<4>(slot, 8)?)).flatten();
        match read {
            Some(blob) if bytes < MAX_BYTES => {
                bytes += blob.len() as u64;
                visit(&blob);
            }
            _ => state = State::Damaged,
        }
    }
    Some(state)
}

fn blob(content: &dyn Content, package: u64, offset: u64) -> Option<Vec<u8>> {
    let at = offset.checked_mul(UNIT)?;
    let head = content.bytes(at, UNIT, UNIT)?;
    let ours = little::<4>(&head, 0)? == BLOB && little::<4>(&head, 4)? == package;
    let size = little::<4>(&head, 12)?;
    ours.then(|| content.bytes(at + UNIT, size, MAX_HEADER))?
}

#[cfg(test)]
mod tests {
    use super::super::header::tests::header;
    use super::super::read_ndb;

    /// A database with one page, and these packages in it.
    fn database(packages: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        bytes[..4].copy_from_slice(b"RpmP");
        bytes[12] = 1;
        for (number, package) in packages.iter().enumerate() {
            let slot = 32 + number * 16;
            let index = u32::try_from(number + 1).unwrap().to_le_bytes();
            bytes[slot..slot + 4].copy_from_slice(b"Slot");
            bytes[slot + 4..slot + 8].copy_from_slice(&index);
            let offset = u32::try_from(bytes.len() / 16).unwrap().to_le_bytes();
            bytes[slot + 8..slot + 12].copy_from_slice(&offset);
            bytes.extend_from_slice(b"BlbS");
            bytes.extend_from_slice(&index);
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(&u32::try_from(package.len()).unwrap().to_le_bytes());
            bytes.extend_from_slice(package);
            bytes.resize(bytes.len().next_multiple_of(16), 0);
        }
        bytes
    }

    #[test]
    fn each_slot_is_a_package() {
        let packages = [
            header(&[(1000, "zypper"), (1001, "1.14.68"), (1002, "1")]),
            header(&[(1000, "gpg-pubkey"), (1001, "1"), (1002, "1")]),
        ];
        let mut bytes = database(&packages);
        let found = read_ndb(&bytes.as_slice());
        assert_eq!(found.packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>(), ["zypper"]);
        assert!(found.findings.is_empty());
        bytes[32 + 8..32 + 12].fill(0xff);
        assert_eq!(read_ndb(&bytes.as_slice()).findings.len(), 1);
    }
}
