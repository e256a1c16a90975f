//! Files of an image that no instance is open for.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use till_core::plan::TreeFiles;
use till_core::port::Layer;
use till_core::{Failure, Fault};
use till_image::ImageError;

use super::overlay::Overlay;
use super::seat::lower;
use super::{House, io};

/// Writes files of the image that these layers make as a tar archive.
pub(super) fn gather(house: &House, layers: &[Layer], files: &TreeFiles, into: &Path) -> Result<(), Failure> {
    let lower = lower(house, layers)?;
    // The mount namespace is this process's own, and so are the names in it.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("gather-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let overlay = Overlay::read_only(&name, &lower)?;
    let file = File::create(into).map_err(io("make", into))?;
    let mut writer = BufWriter::with_capacity(1 << 18, file);
    let gathered = till_image::gather(&overlay.root(), files, &house.config.ids(), &mut writer);
    match gathered {
        Err(ImageError::Absent { path }) => {
            Err(Failure::new(Fault::Source, format!("there is no `{path}` in what it is to be copied from")))
        }
        other => {
            other?;
            Ok(writer.flush().map_err(io("write", into))?)
        }
    }
}
