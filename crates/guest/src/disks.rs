//! Block devices, by the file system on them.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::{Result, failed};

/// Devices are found by the kernel when it comes to it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often one looks.
const PAUSE: Duration = Duration::from_millis(10);
/// Where an ext4 file system says what it is: magic and UUID (ext4's documentation, "Super Block").
const EXT_MAGIC: (u64, [u8; 2]) = (1024 + 0x38, [0x53, 0xEF]);
const EXT_UUID: u64 = 1024 + 0x68;

/// A block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// E.g. `nvme0n1p3`.
    pub(crate) name: String,
}

impl Device {
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from("/dev").join(&self.name)
    }

    /// What the kernel says of it.
    pub(crate) fn fact(&self, name: &str) -> Option<String> {
        let text = std::fs::read_to_string(format!("/sys/class/block/{}/{name}", self.name)).ok()?;
        Some(text.trim().to_owned())
    }

    /// The disk that this is a partition of.
    pub(crate) fn disk(&self) -> Option<Self> {
        let link = std::fs::canonicalize(format!("/sys/class/block/{}", self.name)).ok()?;
        let name = link.parent()?.file_name()?.to_str()?.to_owned();
        self.fact("partition").map(|_| Self { name })
    }

    /// Its partitions, or itself where it has none.
    pub(crate) fn parts(&self) -> Vec<Self> {
        let entries = std::fs::read_dir(format!("/sys/class/block/{}", self.name)).into_iter().flatten().flatten();
        let names = entries.filter(|entry| entry.path().join("partition").exists());
        let mut parts: Vec<_> =
            names.filter_map(|entry| entry.file_name().into_string().ok()).map(|name| Self { name }).collect();
        parts.sort_by(|one, other| one.name.cmp(&other.name));
        if parts.is_empty() { vec![self.clone()] } else { parts }
    }

    fn is_ext(&self, uuid: &[u8]) -> bool {
        let Ok(file) = File::open(self.path()) else { return false };
        let (mut magic, mut found) = ([0; 2], [0; 16]);
        let read = file.read_exact_at(&mut magic, EXT_MAGIC.0).and_then(|()| file.read_exact_at(&mut found, EXT_UUID));
        read.is_ok() && magic == EXT_MAGIC.1 && found == uuid
    }
}

fn wait_for(what: &str, is_it: impl Fn(&Device) -> bool) -> Result<Device> {
    let began = Instant::now();
    loop {
        let devices = std::fs::read_dir("/sys/class/block").map_err(failed("read", "/sys/class/block"))?;
        let devices = devices.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        if let Some(found) = devices.map(|name| Device { name }).find(|device| is_it(device)) {
            return Ok(found);
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("there is no disk with {what}"));
        }
        std::thread::sleep(PAUSE);
    }
}

/// The disk of that serial number.
pub(crate) fn by_serial(serial: &str) -> Result<Device> {
    wait_for(&format!("the serial number {serial}"), |device| device.fact("serial").as_deref() == Some(serial))
}

/// The ext4 file system of that UUID.
pub(crate) fn by_uuid(uuid: &str) -> Result<Device> {
    let digits: String = uuid.chars().filter(char::is_ascii_hexdigit).collect();
    let bytes = (0..digits.len() / 2).filter_map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok());
    let bytes: Vec<_> = bytes.collect();
    if bytes.len() != 16 {
        return Err(format!("`{uuid}` is no UUID"));
    }
    wait_for(&format!("the file system {uuid}"), |device| device.is_ext(&bytes))
}
