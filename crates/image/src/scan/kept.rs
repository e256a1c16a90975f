//! What was seen of stacks of layers.
//!
//! ```text
//! KEPT/<hex>.json   by the stack's chain id (as the OCI image spec defines it); may be removed at any time
//! ```

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use till_core::Digest;
use till_core::inventory::View;
use till_core::port::Layer;

/// Of what is kept. What another version of Tillage has seen is looked at again: it may have understood less.
const FORMAT: &str = concat!("1 ", env!("CARGO_PKG_VERSION"));

/// A view of any size that a real image has.
const MAX_SIZE: u64 = 512 << 20;

#[derive(Serialize, Deserialize)]
struct Kept<V> {
    format: String,
    view: V,
}

/// Names each stack of layers from the lowest one on: the first, the first two, and so on.
pub fn chain_ids(layers: &[Layer]) -> Vec<Digest> {
    let mut chains: Vec<Digest> = Vec::with_capacity(layers.len());
    for layer in layers {
        chains.push(match chains.last() {
            None => layer.diff_id.0.clone(),
            Some(below) => Digest::of(format!("{below} {}", layer.diff_id).as_bytes()),
        });
    }
    chains
}

/// What is kept of a stack. What cannot be read is as good as not kept.
pub(super) fn read(kept: &Path, chain: &Digest) -> Option<View> {
    let path = kept.join(format!("{}.json", chain.hex()));
    if fs::metadata(&path).ok()?.len() > MAX_SIZE {
        return None;
    }
    let kept: Kept<View> = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
    (kept.format == FORMAT).then_some(kept.view)
}

/// Keeps what was seen. That it cannot be kept costs time, and is no failure.
pub(super) fn write(kept: &Path, chain: &Digest, view: &View) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let Ok(text) = serde_json::to_vec(&Kept { format: FORMAT.to_owned(), view }) else {
        return;
    };
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let staged = kept.join(format!(".{}-{}-{count}", chain.hex(), std::process::id()));
    let made = fs::create_dir_all(kept).and_then(|()| fs::write(&staged, text));
    if made.and_then(|()| fs::rename(&staged, kept.join(format!("{}.json", chain.hex())))).is_err() {
        let _ = fs::remove_file(&staged);
    }
}
