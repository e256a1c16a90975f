//! The archive that a kernel starts from (the kernel's documentation, "initramfs buffer format": `newc`), not compressed.

use std::collections::BTreeSet;

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;

/// What is in it.
#[derive(Debug, Clone, Default)]
pub struct Initramfs {
    /// The first process; none where another archive has it.
    pub init: Option<Vec<u8>>,
    /// Other files, by their absolute paths.
    pub files: Vec<(String, Vec<u8>)>,
}

/// The archive's bytes.
pub fn initramfs(content: &Initramfs) -> Vec<u8> {
    let mut archive = Archive { bytes: Vec::new(), number: 0 };
    let mut folders = BTreeSet::from(["dev", "proc", "run", "sys", "sysroot", "tmp"].map(str::to_owned));
    for (path, _) in &content.files {
        let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
        folders.extend((1..parts.len()).map(|count| parts[..count].join("/")));
    }
    folders.iter().for_each(|folder| archive.entry(folder, DIRECTORY, &[]));
    content.init.iter().for_each(|init| archive.entry("init", PROGRAM, init));
    content.files.iter().for_each(|(path, bytes)| archive.entry(path.trim_start_matches('/'), FILE, bytes));
    archive.entry("TRAILER!!!", 0, &[]);
    archive.bytes
}

struct Archive {
    bytes: Vec<u8>,
    number: u32,
}

impl Archive {
    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.number += 1;
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
        let fields = [self.number, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        fields.iter().for_each(|field| self.bytes.extend_from_slice(format!("{field:08X}").as_bytes()));
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_before_what_is_in_them() {
        let content =
            Initramfs { init: Some(b"program".to_vec()), files: vec![("/lib/x/a.ko".to_owned(), vec![1, 2, 3])] };
        let bytes = initramfs(&content);
        assert!(bytes.len().is_multiple_of(4) && bytes.starts_with(b"070701"));
        let at = |name: &str| bytes.windows(name.len()).position(|window| window == name.as_bytes()).unwrap();
        assert!(at("lib\0") < at("lib/x\0") && at("lib/x\0") < at("lib/x/a.ko\0"));
        assert!(at("init\0") < at("TRAILER!!!\0"));
        assert_eq!(bytes, initramfs(&content));
    }
}
