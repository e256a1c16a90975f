//! Disks of several files, and what a machine writes over them.
//!
//! No file names another one: which lies over which is said to QEMU when it opens them, with the format of each.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use till_core::Failure;
use till_core::port::DiskFiles;

use super::{MachineError, io};
use crate::process;

/// What lies below a machine's overlay, as QEMU's block layer is told it.
fn node(disk: &DiskFiles) -> Result<Value, MachineError> {
    let file = |path: &Path| -> Result<Value, MachineError> {
        let path = std::path::absolute(path).map_err(io("find", path))?;
        Ok(json!({ "driver": "file", "filename": path, "read-only": true }))
    };
    match disk {
        DiskFiles::Bytes(path) => Ok(json!({ "driver": "raw", "read-only": true, "file": file(path)? })),
        DiskFiles::Chain(files) => files.iter().try_fold(Value::Null, |below, path| {
            Ok(json!({ "driver": "qcow2", "read-only": true, "file": file(path)?, "backing": below }))
        }),
    }
}

/// The same as a name that qemu-img takes.
fn named(node: &Value) -> String {
    format!("json:{node}")
}

/// How large the disk is, as its machine sees it.
fn size(disk: &DiskFiles) -> Result<u64, MachineError> {
    match disk {
        DiskFiles::Bytes(path) => Ok(std::fs::metadata(path).map_err(io("look at", path))?.len()),
        DiskFiles::Chain(files) => {
            let top = files.last().map(PathBuf::as_path).unwrap_or(Path::new(""));
            // Of the header: magic, version, where a backing file's name is, how long that is, bits of a cluster, size.
            let mut header = [0; 32];
            let mut file = std::fs::File::open(top).map_err(io("open", top))?;
            file.read_exact(&mut header).map_err(io("read", top))?;
            Ok(u64::from_be_bytes(header[24..].try_into().unwrap_or_default()))
        }
    }
}

/// An overlay, which is empty so far, and `more` bytes larger than what lies below.
pub(super) async fn overlay(disk: &DiskFiles, overlay: &Path, more: u64) -> Result<(), Failure> {
    let mut command = process::command("qemu-img");
    command.args(["create", "-q", "-f", "qcow2"]).arg(overlay).arg(size(disk)?.saturating_add(more).to_string());
    process::output(command).await?;
    Ok(())
}

/// The node of a machine's disk: its overlay.
pub(super) fn over(disk: &DiskFiles, overlay: &Path) -> Result<Value, MachineError> {
    // What is written there is of use only when the machine has ended well.
    let cache = json!({ "direct": false, "no-flush": true });
    Ok(json!({
        "node-name": "root", "driver": "qcow2", "discard": "unmap", "cache": cache, "backing": node(disk)?,
        "file": { "driver": "file", "filename": overlay, "cache": cache },
    }))
}

/// Writes what an overlay holds, compressed, as the next file of a chain. `work` is a directory.
pub(super) async fn delta(chain: &[PathBuf], overlay: &Path, work: &Path, into: &Path) -> Result<(), Failure> {
    // qemu-img wants the name of what lies below; it is taken out of the header afterwards.
    let below = work.join("below");
    let top = chain.last().map(PathBuf::as_path).unwrap_or(Path::new(""));
    let top = std::path::absolute(top).map_err(io("find", top))?;
    std::os::unix::fs::symlink(&top, &below).map_err(io("make", &below))?;
    let made = work.join("delta");
    let mut node = over(&DiskFiles::Chain(chain.to_vec()), overlay)?;
    if let Some(node) = node.as_object_mut() {
        node.remove("node-name");
    }
    let mut convert = process::command("qemu-img");
    convert.args(["convert", "-O", "qcow2", "-c", "-o", "compression_type=zstd,compat=1.1", "-m", "4"]);
    convert.args(["-B", "below", "-F", "qcow2"]).arg(named(&node)).arg("delta").current_dir(work);
    process::output(convert).await?;
    let mut forget = process::command("qemu-img");
    forget.args(["rebase", "-u", "-f", "qcow2", "-b", ""]).arg(&made);
    process::output(forget).await?;
    let _ = std::fs::remove_file(&below);
    std::fs::File::open(&made).and_then(|file| file.sync_all()).map_err(io("sync", &made))?;
    std::fs::rename(&made, into).map_err(io("make", into))?;
    Ok(())
}

/// Writes a chain as one file.
pub(super) async fn flatten(chain: &[PathBuf], format: &str, into: &Path) -> Result<(), Failure> {
    let mut command = process::command("qemu-img");
    command.args(["convert", "-O", format, "-m", "4"]);
    if format == "qcow2" {
        command.args(["-c", "-o", "compression_type=zstd,compat=1.1"]);
    }
    let into = std::path::absolute(into).map_err(io("find", into))?;
    command.arg(named(&node(&DiskFiles::Chain(chain.to_vec()))?)).arg(into);
    process::output(command).await?;
    Ok(())
}
