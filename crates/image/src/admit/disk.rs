//! A layer of a disk: its digests, and by its header that it reaches for nothing else.

use std::io::{Read, Write};

use till_core::{DiffId, Digest};

use super::{Blobs, Listed};
use crate::disk::check_qcow2;
use crate::error::{ImageError, failed};
use crate::store::{BlobWriter, Store};

/// Takes it, if it is what the manifest says. Answers how many bytes it has.
pub(super) fn take_disk(
    from: &dyn Blobs,
    store: &Store,
    listed: &Listed,
    diff_id: &DiffId,
    most: u64,
    staged: &mut Vec<BlobWriter>,
) -> Result<u64, ImageError> {
    let refused = |why: String| ImageError::Refused { what: format!("layer {}", listed.digest), why };
    if diff_id.0 != listed.digest {
        return Err(refused("its config calls it otherwise than its manifest".to_owned()));
    }
    if listed.size > most {
        return Err(refused("it has more bytes than an image may have".to_owned()));
    }
    let there = Blobs::open(store, &listed.digest)?;
    let is_new = there.is_none() && !staged.iter().any(|blob| blob.sum().0 == listed.digest);
    let blob = match there {
        Some(blob) => Some(blob),
        None => from.open(&listed.digest)?,
    };
    let mut blob = blob.ok_or_else(|| refused("it is not there".to_owned()))?;
    let path = || store.path(&listed.digest);
    let mut head = Vec::new();
    (&mut blob).take(4096).read_to_end(&mut head).map_err(failed("read", &path()))?;
    check_qcow2(&head, listed.size).map_err(refused)?;
    if is_new {
        let mut writer = store.writer()?;
        let copy = || {
            writer.write_all(&head)?;
            std::io::copy(&mut blob.take(listed.size.saturating_sub(head.len() as u64) + 1), &mut writer)
        };
        copy().map_err(failed("write", &path()))?;
        if (&listed.digest, listed.size) != (&writer.sum().0, writer.sum().1) {
            return Err(refused(format!("it is {} of {} bytes", writer.sum().0, writer.sum().1)));
        }
        staged.push(writer);
        return Ok(listed.size);
    }
    // What is there was looked at when it came; a damaged one is no one's any more.
    let rest = std::io::Cursor::new(head).chain(blob);
    let found = Digest::of_reader(&mut { rest }).map_err(failed("read", &path()))?;
    if found == listed.digest { Ok(listed.size) } else { Err(refused(format!("it is {found}"))) }
}
