//! `disk:FILE`, wherever something is exported.

use std::path::PathBuf;

use serde_json::{Value, json};
use till_core::{Failure, Fault};
use till_engine::{DiskWish, WrittenDisk};
use till_image::DiskFormat;

use crate::cli::DiskOptions;
use crate::screen::Screen;

/// The disk that is wished for; none when it is something else.
pub(super) fn wished(target: &str, options: &DiskOptions) -> Result<Option<DiskWish>, Failure> {
    let caller = |what: String, hint: &str| Failure::new(Fault::Caller, what).hint(hint);
    if !target.starts_with("disk:") {
        return match (&options.kernel, options.size) {
            (None, None) => Ok(None),
            _ => Err(caller(format!("`{target}` has no kernel and no size"), "they are for disk:FILE.qcow2")),
        };
    }
    let (file, format) = place(target)?;
    Ok(Some(DiskWish { file, format, kernel: options.kernel.clone(), size: options.size }))
}

/// The file of `disk:FILE`, and its format: what the name says, and never guessed from what is there.
pub(super) fn place(target: &str) -> Result<(PathBuf, DiskFormat), Failure> {
    let file = PathBuf::from(target.strip_prefix("disk:").unwrap_or(target));
    let format = match file.extension().and_then(|extension| extension.to_str()) {
        Some("qcow2") => DiskFormat::Qcow2,
        Some("raw" | "img") => DiskFormat::Raw,
        _ => {
            let what = format!("`{target}` does not say which format it has");
            return Err(Failure::new(Fault::Caller, what)
                .hint("disk:FILE.qcow2 is for QEMU and OpenStack, disk:FILE.raw the plain bytes"));
        }
    };
    Ok((file, format))
}

/// What was written.
pub(super) fn show(target: &str, wish: &DiskWish, written: &WrittenDisk, mut value: Value, screen: &Screen) {
    let made = written.made.as_ref();
    let package = written.kernel.as_ref();
    value["file"] = json!(wish.file);
    value["format"] = json!(wish.format.as_str());
    value["digest"] = json!(written.digest);
    value["bytes"] = json!(written.bytes);
    value["size"] = json!(written.size.0);
    value["kernel"] = json!({
        "release": made.map(|made| &made.kernel),
        "package": package.map(|package| &package.name),
        "version": package.map(|package| &package.version),
        "digest": package.map(|package| &package.digest),
    });
    value["init"] = json!(made.map(|made| if made.systemd { "systemd" } else { "till" }));
    let text = format!(
        "{target} {}: kernel {}, a disk of {} in {:.1} MB",
        written.digest,
        made.map_or("its own", |made| &made.kernel),
        written.size,
        written.bytes as f64 / 1e6
    );
    screen.result(&value, &text);
}
