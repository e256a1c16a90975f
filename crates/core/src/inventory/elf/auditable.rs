//! What cargo-auditable leaves in a Rust program: its dependencies, as compressed JSON.

use serde::Deserialize;

use super::super::content::inflate_zlib;
use super::super::{Ecosystem, Found, Record};
use super::Elf;

/// The section's size, and that of the JSON: that of a program with thousands of crates has some hundred KiB.
const MAX_PACKED: u64 = 4 << 20;
const MAX_LIST: u64 = 32 << 20;

#[derive(Deserialize)]
struct List {
    packages: Vec<Crate>,
}

#[derive(Deserialize)]
struct Crate {
    name: String,
    version: String,
    #[serde(default)]
    kind: Option<String>,
}

/// The crates that are in the program. Those that only took part in its making are not.
pub(super) fn read(elf: &Elf<'_>) -> Found {
    let Some(packed) = elf.section(b".dep-v0", MAX_PACKED) else {
        return Found::default();
    };
    let list = inflate_zlib(&packed, MAX_LIST).and_then(|json| serde_json::from_slice::<List>(&json).ok());
    let Some(list) = list else {
        return Found::unreadable("the list of crates (.dep-v0) is damaged");
    };
    let crates = list.packages.iter().filter(|package| package.kind.as_deref() != Some("build"));
    Found::packages(crates.filter_map(|package| Record::new(Ecosystem::Cargo, &package.name, &package.version)))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::read;
    use super::super::tests::elf;

    #[test]
    fn crates_of_the_program_are_named() {
        let json = br#"{"packages":[{"name":"app","version":"0.1.0","source":"local","root":true},
            {"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"},
            {"name":"serde","version":"1.0.200","source":"crates.io","dependencies":[]}],"format":1}"#;
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(json).unwrap();
        let packed = packed.finish().unwrap();
        let found = read(&elf(&[(".text", b"code"), (".dep-v0", &packed)]).as_slice());
        let names: Vec<_> =
            found.packages.iter().map(|package| (package.name.as_str(), package.version.as_str())).collect();
        assert_eq!(names, [("app", "0.1.0"), ("serde", "1.0.200")]);
        let found = read(&elf(&[(".dep-v0", b"nonsense")]).as_slice());
        assert_eq!((found.packages.len(), found.findings.len()), (0, 1));
        assert!(read(&elf(&[(".text", b"code")]).as_slice()).is_empty());
    }
}
