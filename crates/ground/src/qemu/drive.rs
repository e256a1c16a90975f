//! The drive that a system is handed: an ISO 9660 volume, with the long names of Joliet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use till_core::Failure;
use till_core::system::LABEL;

use super::io;
use crate::process;

/// What is on it.
#[derive(Debug, Default)]
pub(super) struct Content<'a> {
    /// By path.
    pub(super) texts: BTreeMap<String, String>,
    /// The same, as bytes.
    pub(super) programs: BTreeMap<String, &'a [u8]>,
    /// The same, copied.
    pub(super) files: BTreeMap<String, PathBuf>,
}

/// Writes it to `into`. `work` is a directory.
pub(super) async fn write(content: &Content<'_>, work: &Path, into: &Path) -> Result<(), Failure> {
    let root = work.join("drive");
    std::fs::create_dir(&root).map_err(io("make", &root))?;
    let mut command = process::command("xorriso");
    command.args(["-as", "mkisofs", "-quiet", "-iso-level", "3", "-joliet", "-joliet-long", "-rational-rock"]);
    command.args(["-volid", LABEL, "-graft-points", "-output"]).arg(into);
    let texts = content.texts.iter().map(|(path, text)| (path, text.as_bytes()));
    for (number, (path, bytes)) in texts.chain(content.programs.iter().map(|(path, bytes)| (path, *bytes))).enumerate()
    {
        let file = root.join(number.to_string());
        std::fs::write(&file, bytes).map_err(io("write", &file))?;
        command.arg(graft(path, &file));
    }
    for (path, file) in &content.files {
        let file = std::path::absolute(file).map_err(io("find", file))?;
        command.arg(graft(path, &file));
    }
    process::output(command).await?;
    let _ = std::fs::remove_dir_all(&root);
    Ok(())
}

/// `PLACE=FILE`; in names `=` is written `\=`, and `\` twice.
fn graft(path: &str, file: &Path) -> String {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('=', "\\=");
    format!("/{}={}", escaped(path), escaped(&file.to_string_lossy()))
}
