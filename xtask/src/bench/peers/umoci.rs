//! umoci: a layout, unpacked into a bundle, changed by hand, and packed again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::bench::measure::{self, Ran};
use crate::tools;

/// A layout with the base in it.
#[derive(Debug)]
pub(in crate::bench) struct Umoci {
    folder: PathBuf,
}

impl Umoci {
    /// Where the base has to be put, as an OCI layout with the tag `bench`.
    pub(in crate::bench) fn new(place: &Path) -> Result<Self> {
        let folder = place.join("umoci");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    pub(in crate::bench) fn layout(&self) -> PathBuf {
        self.folder.join("layout")
    }

    /// Unpacks the base, puts these files in, runs the step, and packs what is new.
    pub(in crate::bench) fn run(&self, files: &Path, step: &str, app: &str, round: u32) -> Result<Ran> {
        let script = format!(
            "cd '{}'\numoci unpack --image layout:bench {app}{round}\ncp -r '{}/.' {app}{round}/rootfs/app/\n\
             chroot {app}{round}/rootfs {step}\numoci repack --image layout:{app}{round} {app}{round}\n",
            self.folder.display(),
            files.display()
        );
        let mut command = tools::command("sh");
        command.args(["-ec", &script]);
        measure::run(command, &[], &self.folder.join("log"))
    }

    /// Unpacks an image of the layout; its root is `rootfs` in what is given back.
    pub(in crate::bench) fn unpack(&self, name: &str) -> Result<PathBuf> {
        let bundle = self.folder.join(format!("bundle-{name}"));
        let mut command = tools::command("umoci");
        command.args(["unpack", "--image"]).arg(format!("{}:{name}", self.layout().display())).arg(&bundle);
        tools::output(command)?;
        Ok(bundle)
    }

    pub(in crate::bench) fn version(&self) -> Result<String> {
        let mut command = tools::command("umoci");
        command.arg("--version");
        Ok(tools::output(command)?.trim().replace(" version ", " "))
    }
}
