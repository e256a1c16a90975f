//! The names of one layer: no two entries for one, and none below what is no directory.
//!
//! Kept as keyed hashes, so that millions of long names need little memory. Two names of the same hash (one archive among
//! millions, and nobody can choose which) are taken for one name: the layer is refused.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

use crate::pack::{OPAQUE, WHITEOUT};
use crate::unpack::{Member, What};

/// The names so far.
#[derive(Default)]
pub(super) struct Names {
    keys: RandomState,
    seen: HashSet<u64>,
    /// The directory of the last entry: mostly, it is the next one's, too.
    parent: Vec<u8>,
    /// Directories that no entry of their own had made before something lay in them.
    pub(super) implied: u64,
}

/// What is known of a name.
#[derive(Clone, Copy)]
enum Known {
    /// There is a directory.
    Directory,
    /// It has had an entry of its own.
    Told,
    /// With this mode and these owners.
    As(u32, u32, u32),
    /// There is something else.
    Other,
}

impl Names {
    /// Takes the next entry's name in, unless it cannot be.
    pub(super) fn take(&mut self, member: &Member) -> Result<(), &'static str> {
        let name = match member.what {
            What::Opaque if member.path.is_empty() => OPAQUE.to_vec(),
            What::Opaque => [&member.path, OPAQUE].join(&b'/'),
            What::Whiteout => marked(&member.path),
            _ => member.path.clone(),
        };
        self.below_directories(&name)?;
        if let What::HardLink(target) = &member.what
            && !self.has(target, Known::Other)
        {
            return Err("it is a hard link to no file that stands before it in the layer");
        }
        const TWICE: &str = "it is there twice";
        if self.has(&name, Known::Other) {
            return Err(TWICE);
        }
        if member.what != What::Directory {
            if self.has(&name, Known::Directory) {
                return Err(TWICE);
            }
            self.add(&name, Known::Other);
            return Ok(());
        }
        let this = Known::As(member.mode, member.uid, member.gid);
        // Docker writes directories again, the same as before.
        if self.has(&name, Known::Told) && !self.has(&name, this) {
            return Err(TWICE);
        }
        for known in [Known::Directory, Known::Told, this] {
            self.add(&name, known);
        }
        Ok(())
    }

    fn below_directories(&mut self, name: &[u8]) -> Result<(), &'static str> {
        let parent = name.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash);
        if self.parent == name[..parent] {
            return Ok(());
        }
        for end in (1..=parent).filter(|end| name[*end] == b'/') {
            if self.has(&name[..end], Known::Other) {
                return Err("it lies below something that is no directory in this layer");
            }
            if self.add(&name[..end], Known::Directory) {
                self.implied += 1;
            }
        }
        self.parent.clear();
        self.parent.extend_from_slice(&name[..parent]);
        Ok(())
    }

    fn has(&self, name: &[u8], known: Known) -> bool {
        self.seen.contains(&self.key(name, known))
    }

    /// Was it new?
    fn add(&mut self, name: &[u8], known: Known) -> bool {
        let key = self.key(name, known);
        self.seen.insert(key)
    }

    fn key(&self, name: &[u8], known: Known) -> u64 {
        let mut hash = self.keys.build_hasher();
        let (kind, numbers) = match known {
            Known::Directory => (0, [0; 3]),
            Known::Told => (1, [0; 3]),
            Known::As(mode, uid, gid) => (2, [mode, uid, gid]),
            Known::Other => (3, [0; 3]),
        };
        hash.write_u8(kind);
        numbers.iter().for_each(|number| hash.write_u32(*number));
        hash.write(name);
        hash.finish()
    }
}

/// The path with the whiteout's mark before its last part.
fn marked(path: &[u8]) -> Vec<u8> {
    let last = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    [&path[..last], WHITEOUT, &path[last..]].concat()
}
