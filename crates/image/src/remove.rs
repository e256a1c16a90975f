//! Finding and removing inside a tree that its owner may have laid traps in.
//!
//! Paths are resolved as if the tree's root were `/`: nothing outside is ever seen.

use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, OFlags, statat};
use rustix::io::Errno;

use crate::error::{ImageError, failed};
use crate::tree::{each_entry, open_dir_inside, open_inside, open_tree, remove_entry};

/// A tree can be laid out so that a pattern of a few stars finds very much.
const MAX_FOUND: usize = 100_000;

/// Removes what a pattern finds, with all that is in it. Answers how many things it found.
///
/// The pattern is an absolute path inside; `*` and `?` may stand in its last part, and find hidden files too. The found
/// thing itself is never followed.
pub fn remove_matching(root: &Path, pattern: &str) -> Result<u64, ImageError> {
    let mut parts = parts(pattern)?;
    let last = parts.pop().ok_or_else(|| bad(pattern, "it names the root"))?;
    if parts.iter().any(|part| is_wild(part)) {
        return Err(bad(pattern, "`*` and `?` may stand only in the last part"));
    }
    let tree = open_tree(root)?;
    let path = || root.join(pattern.trim_start_matches('/'));
    let parent = match open_dir_inside(tree.as_fd(), parts.join("/").as_bytes()) {
        Err(error) if is_absent(error) => return Ok(0),
        other => other.map_err(failed("open the directory of", path()))?,
    };
    let names = if is_wild(last) {
        matching_names(parent.as_fd(), last).map_err(failed("list the directory of", path()))?
    } else {
        vec![last.as_bytes().to_vec()]
    };
    let mut removed = 0;
    for name in names {
        match remove_entry(parent.as_fd(), &name) {
            Err(error) if is_absent(error) => {}
            other => {
                other.map_err(failed("remove", path()))?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// What a pattern finds: absolute paths inside, sorted. `*` and `?` may stand in any part, and find hidden files too.
///
/// Names that are not UTF-8 are not found by `*`. A found thing itself is not followed; so a link that leads nowhere is
/// found.
pub fn find_matching(root: &Path, pattern: &str) -> Result<Vec<String>, ImageError> {
    let parts = parts(pattern)?;
    let tree = open_tree(root)?;
    let mut found = vec![String::new()];
    let mut looked = 0;
    for part in parts {
        let mut next = Vec::new();
        for path in found {
            look(tree.as_fd(), &path, part, &mut next)
                .map_err(failed("look through", root.join(path.trim_start_matches('/'))))?;
            looked += 1;
            if next.len().max(looked) > MAX_FOUND {
                return Err(bad(pattern, "it finds more than 100000 paths"));
            }
        }
        found = next;
    }
    if found == [""] {
        found = vec!["/".to_owned()];
    }
    found.sort();
    Ok(found)
}

/// What a file of a tree says; links are followed inside it. None when it is no file, or not there. What is no UTF-8 is
/// replaced; more than `limit` bytes are an error.
pub fn read_text(root: &Path, path: &str, limit: u64) -> Result<Option<String>, ImageError> {
    Ok(read_file(root, path, limit)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The same of any file.
pub fn read_file(root: &Path, path: &str, limit: u64) -> Result<Option<Vec<u8>>, ImageError> {
    let tree = open_tree(root)?;
    let shown = || root.join(path.trim_start_matches('/'));
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match open_inside(tree.as_fd(), path.as_bytes(), flags) {
        Err(error) if is_absent(error) => return Ok(None),
        other => std::fs::File::from(other.map_err(failed("open", shown()))?),
    };
    if !file.metadata().map_err(|error| failed("look at", shown())(error))?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| failed("read", shown())(error))?;
    if bytes.len() as u64 > limit {
        return Err(bad(path, "the file is larger than what is read of files"));
    }
    Ok(Some(bytes))
}

/// Adds the entries of `path` that a part of a pattern matches.
fn look(tree: BorrowedFd<'_>, path: &str, part: &str, found: &mut Vec<String>) -> rustix::io::Result<()> {
    let dir = match open_dir_inside(tree, path.as_bytes()) {
        Err(error) if is_absent(error) => return Ok(()),
        other => other?,
    };
    if is_wild(part) {
        let names = matching_names(dir.as_fd(), part)?;
        let names = names.into_iter().filter_map(|name| String::from_utf8(name).ok());
        found.extend(names.map(|name| format!("{path}/{name}")));
        return Ok(());
    }
    match statat(dir, part, AtFlags::SYMLINK_NOFOLLOW) {
        Err(error) if is_absent(error) => Ok(()),
        other => {
            other?;
            found.push(format!("{path}/{part}"));
            Ok(())
        }
    }
}

fn matching_names(dir: BorrowedFd<'_>, pattern: &str) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    each_entry(dir, |name, _| {
        if matches(pattern.as_bytes(), name.to_bytes()) {
            names.push(name.to_bytes().to_vec());
        }
    })?;
    Ok(names)
}

fn parts(pattern: &str) -> Result<Vec<&str>, ImageError> {
    if !pattern.starts_with('/') {
        return Err(bad(pattern, "it is not absolute"));
    }
    if pattern.contains('\0') {
        return Err(bad(pattern, "it contains a NUL"));
    }
    let parts: Vec<_> = pattern.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err(bad(pattern, "it contains `..`"));
    }
    Ok(parts)
}

fn is_wild(part: &str) -> bool {
    part.contains(['*', '?'])
}

fn is_absent(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG)
}

fn bad(pattern: &str, why: &'static str) -> ImageError {
    ImageError::Pattern { pattern: pattern.to_owned(), why }
}

/// Whether a name matches: `*` any bytes, `?` any one character. Takes no more than pattern × name steps.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(b'?') => {
                p += 1;
                n += character(&name[n..]);
            }
            Some(byte) if *byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((star, at)) => {
                    retry = Some((star, at + 1));
                    p = star + 1;
                    n = at + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// The bytes of the first character of some UTF-8; one, if it is none.
fn character(text: &[u8]) -> usize {
    let more = text[1..].iter().take_while(|byte| **byte & 0xc0 == 0x80);
    1 + more.count().min(3)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_match_any_bytes_and_question_marks_one_character() {
        for (pattern, name, expected) in [
            ("*", "x", true),
            ("*", ".hidden", true),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("*.d*b", "x.deb.db", true),
            ("?", "ß", true),
            ("??", "ß", false),
            ("a?", "a", false),
            ("a**", "a", true),
            ("", "a", false),
        ] {
            let found = matches(pattern.as_bytes(), name.as_bytes());
            assert_eq!(found, expected, "{pattern} {name}");
        }
    }
}
