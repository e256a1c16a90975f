//! W2: a tree of small files becomes a layer, as a container does it when its steps are done.

use std::fmt::Write as _;
use std::path::Path;

use till_core::Failure;
use till_image::{Compression, Packing, Store, pack};

use crate::ids;

/// A twenty-fifth of what the bench's case has, in directories of as many files.
const FILES: u64 = 2_000;
const FILES_EACH: u64 = 25;

/// Any time that has passed: the tree is newer, so its times are set, as they are after a step.
const EPOCH: u64 = 1_700_000_000;

pub(crate) fn set_up(folder: &Path) -> Result<(), Failure> {
    make(&folder.join("upper")).map_err(|error| Failure::house("cannot make the tree", error))
}

pub(crate) fn go(folder: &Path) -> Result<(), Failure> {
    let store = Store::open(&folder.join("images"))?;
    let packing = Packing { ids: ids(), epoch: EPOCH, compression: Compression::default() };
    pack(&folder.join("upper"), &packing, &store)?;
    Ok(())
}

/// Files of 1 to 8 KiB that compress about as source code does; the same bytes each time.
fn make(root: &Path) -> std::io::Result<()> {
    let mut noise = Noise(7);
    for number in 0..FILES {
        let folder = root.join(format!("d{}/e{}", number / FILES_EACH / 10, number / FILES_EACH % 10));
        std::fs::create_dir_all(&folder)?;
        let size = noise.below(7 << 10) + (1 << 10);
        let mut text = String::new();
        while text.len() < size {
            let word = ["let ", "return ", "import ", "self."][noise.below(4)];
            // A string takes whatever is written to it.
            let _ = write!(text, "{word}{:x} ", noise.below(1 << 24));
        }
        std::fs::write(folder.join(format!("file{number}.py")), &text.as_bytes()[..size])?;
    }
    Ok(())
}

/// Numbers without a pattern that a compressor would see (xorshift).
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as usize % limit
    }
}
