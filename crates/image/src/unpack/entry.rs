//! One entry of an archive, looked through before anything is done.

use super::reader::Entry;
use super::{Unpacking, Whiteouts};
use crate::archive::Attributes;
use crate::error::{ImageError, shown};
use crate::pack::{OPAQUE, WHITEOUT, outside_capability};

/// An entry whose path is safe to resolve inside a tree, and whose owners are as they are on disk.
pub(crate) struct Member {
    /// Without `/` at either end, no empty part, no `.` or `..`; the directory, for an opaque one.
    pub(crate) path: Vec<u8>,
    pub(crate) what: What,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: i64,
    pub(crate) attributes: Attributes,
}

/// What an entry is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum What {
    File,
    Directory,
    Symlink(Vec<u8>),
    /// To a path as safe as the entry's own.
    HardLink(Vec<u8>),
    Fifo,
    Whiteout,
    Opaque,
    /// Directly in a layer's `dev`: whatever runs an image puts its own there. It is left out.
    Device,
}

/// The longest path that the kernel takes.
const MAX_PATH: usize = 4095;

/// The largest attribute that the kernel takes.
const MAX_ATTRIBUTE: usize = 64 << 10;

impl Member {
    /// Looks an entry through. None for an entry of the root itself: that belongs to who unpacks.
    pub(crate) fn of(entry: Entry, unpacking: &Unpacking) -> Result<Option<Self>, ImageError> {
        let name = &entry.path;
        let hostile = |why: &str| hostile(name, why);
        let is_layer = unpacking.whiteouts == Whiteouts::Overlay;
        if is_layer && name.starts_with(b"/") {
            return Err(hostile("its name is absolute"));
        }
        let parts = safe_parts(name).map_err(hostile)?;
        let what = match what(&entry) {
            Err(DEVICE) if is_layer && parts.len() == 2 && parts[0] == b"dev" => What::Device,
            what => what.map_err(hostile)?,
        };
        if parts.is_empty() {
            return match what {
                What::Directory => Ok(None),
                _ => Err(hostile("it has no name")),
            };
        }
        let what = with_whiteouts(what, &parts, unpacking.whiteouts).map_err(hostile)?;
        let path = match what {
            What::Opaque => parts[..parts.len() - 1].join(&b'/'),
            What::Whiteout => without_mark(&parts),
            _ => parts.join(&b'/'),
        };
        let (uid, gid) = match unpacking.owner {
            Some((uid, gid)) => (uid.into(), gid.into()),
            None => (entry.uid, entry.gid),
        };
        let no_id = |_| hostile("its owner is no id of the instance");
        let (uid, gid) = (unpacking.ids.outside_of(uid).map_err(no_id)?, unpacking.ids.outside_of(gid).map_err(no_id)?);
        let attributes = attributes(&entry, unpacking).map_err(hostile)?;
        Ok(Some(Self { path, what, mode: entry.mode, uid, gid, mtime: entry.mtime, attributes }))
    }
}

fn hostile(name: &[u8], why: &str) -> ImageError {
    ImageError::Hostile { path: shown(name), why: why.to_owned() }
}

/// The parts of a path, unless it would lead out of the tree.
pub(crate) fn safe_parts(path: &[u8]) -> Result<Vec<&[u8]>, &'static str> {
    if path.contains(&0) {
        return Err("its name contains a NUL");
    }
    let mut parts = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err("its name contains `..`"),
            part if part.len() > 255 + WHITEOUT.len() => return Err("its name is too long"),
            part => parts.push(part),
        }
    }
    if path.len() > MAX_PATH {
        return Err("its name is too long");
    }
    Ok(parts)
}

const DEVICE: &str = "it is a device";

fn what(entry: &Entry) -> Result<What, &'static str> {
    let is_empty = entry.size == 0;
    match entry.flag {
        // Before there was a flag for directories, they ended with a `/`.
        b'\0' | b'0' if entry.path.ends_with(b"/") && is_empty => Ok(What::Directory),
        b'\0' | b'0' | b'7' if !entry.path.ends_with(b"/") => Ok(What::File),
        b'1' | b'2' | b'5' | b'6' if !is_empty => Err("it has content, but is no file"),
        b'1' => {
            let parts = safe_parts(&entry.link).map_err(|_| "it is a hard link that leads outside")?;
            if parts.is_empty() {
                return Err("it is a hard link to nowhere");
            }
            Ok(What::HardLink(parts.join(&b'/')))
        }
        b'2' if entry.link.is_empty() || entry.link.contains(&0) => Err("it is a symbolic link to nowhere"),
        b'2' => Ok(What::Symlink(entry.link.clone())),
        b'3' | b'4' => Err(DEVICE),
        b'5' => Ok(What::Directory),
        b'6' => Ok(What::Fifo),
        _ => Err("it is of an unknown kind"),
    }
}

fn with_whiteouts(what: What, parts: &[&[u8]], mode: Whiteouts) -> Result<What, &'static str> {
    if mode == Whiteouts::Plain {
        return Ok(what);
    }
    let Some((last, parents)) = parts.split_last() else {
        return Ok(what);
    };
    let marked = |part: &&[u8]| part.starts_with(WHITEOUT);
    if parents.iter().any(marked) || (marked(last) && mode == Whiteouts::Refuse) {
        return Err("names that begin with `.wh.` mean removed files in images");
    }
    let Some(hidden) = last.strip_prefix(WHITEOUT) else {
        return Ok(what);
    };
    match (what, hidden) {
        (What::File, _) if *last == OPAQUE => Ok(What::Opaque),
        (What::File, b"" | b"." | b"..") => Err("it removes no file"),
        (What::File, hidden) if hidden.starts_with(WHITEOUT) => Err("it removes no file"),
        (What::File, _) => Ok(What::Whiteout),
        _ => Err("names that begin with `.wh.` mean removed files in images"),
    }
}

fn without_mark(parts: &[&[u8]]) -> Vec<u8> {
    let mut parts = parts.to_vec();
    if let Some(last) = parts.last_mut() {
        *last = &last[WHITEOUT.len()..];
    }
    parts.join(&b'/')
}

/// The attributes that a tree gets: none that speak to overlayfs or the kernel, but a file's capabilities.
fn attributes(entry: &Entry, unpacking: &Unpacking) -> Result<Attributes, &'static str> {
    let mut kept = Attributes::new();
    for (name, value) in &entry.attributes {
        if name.len() > 255 || value.len() > MAX_ATTRIBUTE || name.contains(&0) {
            return Err("an extended attribute is too large");
        }
        if name.starts_with(b"user.") {
            kept.push((name.clone(), value.clone()));
        } else if name == b"security.capability" && unpacking.owner.is_none() {
            // Where owners are replaced, nothing shall have more power than its new owner.
            let value = outside_capability(value, &unpacking.ids).ok_or("its capabilities are damaged")?;
            kept.push((name.clone(), value));
        }
    }
    Ok(kept)
}
