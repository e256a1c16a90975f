//! What is in an image: its layers read once each, side by side, nothing unpacked and nothing run.
//!
//! ```text
//! layer.rs     one layer: from a tar to what its files say, and the list of its files
//! looking.rs   what its entries say, one after the other; a layer that is packed is looked at on the way
//! content.rs   the content of one file while it is looked at: small in memory, large on disk
//! kept.rs      what was seen of stacks of layers, so that a snapshot reads only its own
//! ```

mod content;
mod kept;
mod layer;
mod looking;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use till_core::inventory::{FileEntry, LayerScan, View};
use till_core::port::Layer;

use crate::error::ImageError;
use crate::store::Store;
pub(crate) use content::HoldError;
pub use kept::chain_ids;
use layer::scan_layer;
pub(crate) use looking::{Bytes, Depth, Looking, bare, symlink};

/// Each has its own buffers, and they share the disk.
const MAX_WORKERS: usize = 4;

/// What the files of an image say of packages. A layer that cannot be read is a finding. What was seen of a stack of
/// layers is kept in the directory `kept`, and taken from there.
pub fn take_inventory(store: &Store, layers: &[Layer], kept: &Path) -> View {
    let chains = chain_ids(layers);
    let known = (1..=layers.len()).rev().find_map(|count| Some((count, kept::read(kept, &chains[count - 1])?)));
    let (count, mut view) = known.unwrap_or_default();
    let mut whole = true;
    let scans = scan_all(store, &layers[count..], Depth::Packages);
    for ((layer, scan), chain) in layers[count..].iter().zip(scans).zip(&chains[count..]) {
        whole &= scan.is_ok();
        view.add(&layer.diff_id, scan.unwrap_or_else(|error| unreadable(layer, &error)));
        // What could not be read now may be readable another time.
        if whole {
            kept::write(kept, chain, &view);
        }
    }
    view
}

/// All files of these layers with the digests of their content, laid over those below.
pub fn list_files(
    store: &Store,
    layers: &[Layer],
    below: BTreeMap<String, FileEntry>,
) -> Result<BTreeMap<String, FileEntry>, ImageError> {
    let mut files = below;
    for scan in scan_all(store, layers, Depth::Contents) {
        scan?.files.cover(&mut files);
    }
    Ok(files)
}

fn unreadable(layer: &Layer, error: &ImageError) -> LayerScan {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    LayerScan {
        findings: vec![format!("layer {} was not read: {error}{cause}", layer.diff_id)],
        ..LayerScan::default()
    }
}

/// Takes what was seen when the layer was packed, or reads it.
fn scan(store: &Store, layer: &Layer, depth: Depth) -> Result<LayerScan, ImageError> {
    let seen = if depth == Depth::Packages { store.seen(&layer.diff_id) } else { None };
    seen.map_or_else(|| scan_layer(store, layer, depth), Ok)
}

/// Reads layers, each in a thread of its own as far as there are processors; in their order.
fn scan_all(store: &Store, layers: &[Layer], depth: Depth) -> Vec<Result<LayerScan, ImageError>> {
    let workers = thread::available_parallelism().map_or(1, |n| n.get().min(MAX_WORKERS)).min(layers.len());
    if workers <= 1 {
        return layers.iter().map(|layer| scan(store, layer, depth)).collect();
    }
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(layer) = layers.get(index) else {
                        return;
                    };
                    let scan = scan(store, layer, depth);
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(index, scan);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}
