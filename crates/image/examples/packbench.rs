//! Packs and unpacks the trees of the peers' comparison, and prints seconds and the peak of memory.
//!
//! `packbench DIR [zstd|gzip|none]`: trees are made below DIR, which should be on a disk, and removed again.
//! W2 is 50,000 files of 1–8 KiB in 2,000 directories, W3 is 1 GiB in 64 files, half of it random.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use till_image::{Compression, IdShift, Packing, Store, pack, unpack_layer};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("expected a directory")?;
    let compression = match arguments.next().as_deref() {
        Some("gzip") => Compression::Gzip,
        Some("none") => Compression::None,
        _ => Compression::Zstd,
    };
    let place = tempfile::tempdir_in(dir)?;
    for (name, make) in [("W2", make_small as fn(&Path) -> std::io::Result<()>), ("W3", make_large)] {
        measure(place.path(), name, make, compression)?;
    }
    Ok(())
}

fn measure(
    place: &Path,
    name: &str,
    make: fn(&Path) -> std::io::Result<()>,
    compression: Compression,
) -> Result<(), Box<dyn Error>> {
    let upper = place.join(name);
    fs::create_dir(&upper)?;
    make(&upper)?;
    // Forgets the peak of making them.
    fs::write("/proc/self/clear_refs", "5")?;
    let packing = Packing { ids: IdShift::none(), epoch: 1_700_000_000, compression };
    for round in 1..=3 {
        let store = Store::open(&place.join(format!("store-{name}-{round}")))?;
        let start = Instant::now();
        let packed = pack(&upper, &packing, &store)?;
        println!(
            "{name} pack {compression:?}: {:.2} s, {} entries, {} -> {} MB, peak {}",
            start.elapsed().as_secs_f64(),
            packed.files,
            packed.content_bytes / 1_000_000,
            packed.layer.size / 1_000_000,
            peak()?,
        );
        if round == 3 {
            let root = place.join(format!("root-{name}"));
            fs::create_dir(&root)?;
            let start = Instant::now();
            unpack_layer(&store, &packed.layer, &root, IdShift::none())?;
            println!("{name} unpack: {:.2} s, peak {}", start.elapsed().as_secs_f64(), peak()?);
        }
    }
    Ok(())
}

fn peak() -> std::io::Result<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.unwrap_or("?").trim().to_owned())
}

/// A generator that is good enough to be incompressible.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn make_small(root: &Path) -> std::io::Result<()> {
    let mut noise = Noise(7);
    for number in 0..50_000_u64 {
        let dir = root.join(format!("d{:03}/e{:02}", number / 250, number / 25 % 10));
        if number.is_multiple_of(25) {
            fs::create_dir_all(&dir)?;
        }
        let size = 1024 + noise.next() % 7168;
        let mut text = String::new();
        while (text.len() as u64) < size {
            let word = noise.next();
            text.push_str(["let ", "return ", "import ", "self."][(word % 4) as usize]);
            text.push_str(&format!("{:x} ", word >> 40));
        }
        fs::write(dir.join(format!("file{number}.py")), &text.as_bytes()[..size as usize])?;
    }
    Ok(())
}

fn make_large(root: &Path) -> std::io::Result<()> {
    let mut noise = Noise(9);
    for number in 0..64 {
        let mut bytes = Vec::with_capacity(16 << 20);
        while bytes.len() < 8 << 20 {
            bytes.extend_from_slice(&noise.next().to_le_bytes());
        }
        while bytes.len() < 16 << 20 {
            bytes.extend_from_slice(format!("line {} of a log\n", noise.next() % 5000).as_bytes());
        }
        bytes.truncate(16 << 20);
        fs::write(root.join(format!("large{number}")), &bytes)?;
    }
    Ok(())
}
