//! What files may be called on Windows (learn.microsoft.com: "Naming Files, Paths, and Namespaces").

use std::collections::BTreeMap;

/// Names of devices, with whatever follows a dot.
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// Why a path of the source cannot be there, in a few words.
pub(super) fn obstacle(path: &str) -> Option<String> {
    path.split('/').find_map(|part| {
        let stem = part.split('.').next().unwrap_or(part).trim_end().to_ascii_lowercase();
        if let Some(c) = part.chars().find(|c| "<>:\"|?*\\".contains(*c) || u32::from(*c) < 32) {
            return Some(format!("no name there has the character {c:?}"));
        }
        if part.ends_with(['.', ' ']) {
            return Some(format!("`{part}` ends with a dot or a blank, which is taken away there"));
        }
        DEVICES.contains(&stem.as_str()).then(|| format!("`{part}` is the name of a device there"))
    })
}

/// Two paths of which one would lie over the other, for letters' cases are one there.
pub(super) fn collision<'p>(paths: impl Iterator<Item = &'p str>) -> Option<(&'p str, &'p str)> {
    let mut seen = BTreeMap::new();
    for path in paths {
        if let Some(other) = seen.insert(path.to_lowercase(), path) {
            return Some((other, path));
        }
    }
    None
}

/// Is it an absolute path there, without `..`?
pub(crate) fn is_place(path: &str) -> bool {
    let bytes = path.as_bytes();
    let rooted = bytes.len() >= 3 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' && bytes[2] == b'\\';
    rooted
        && path[3..].split('\\').enumerate().all(|(number, part)| {
            let last_is_empty = part.is_empty() && (number == 0 || path.ends_with('\\'));
            last_is_empty || (part != ".." && !part.contains('/') && obstacle(part).is_none())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_windows_cannot_have() {
        for bad in ["a:b", "dir/nul", "NUL.txt", "x/com1.log", "a.", "b /c", "q?", "a\\b", "tab\t"] {
            assert!(obstacle(bad).is_some(), "{bad}");
        }
        for good in ["a/b.txt", "console", "com10", "ünï", ".gitignore", "a..b"] {
            assert_eq!(obstacle(good), None, "{good}");
        }
        assert_eq!(collision(["a/B", "x", "a/b"].into_iter()), Some(("a/B", "a/b")));
        assert_eq!(collision(["a", "b"].into_iter()), None);
    }

    #[test]
    fn places_are_absolute() {
        for good in [r"C:\", r"C:\app", r"d:\a b\c", r"C:\app\"] {
            assert!(is_place(good), "{good}");
        }
        for bad in ["/app", "C:app", "C:/app", r"C:\a\..\b", r"\\host\share", "", r"C:\nul"] {
            assert!(!is_place(bad), "{bad}");
        }
    }
}
