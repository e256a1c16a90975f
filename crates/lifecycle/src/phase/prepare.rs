//! Before all: the directories that the builds' user writes to are theirs, whoever made the builder.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, chown};

use crate::arguments::Settings;
use crate::failure::{Doing as _, Failure};

/// Makes what is missing of app and layers, and gives these two directories, not what is in them, to `-uid` and `-gid`.
pub(crate) fn prepare(settings: &Settings) -> Result<(), Failure> {
    for path in [&settings.app, &settings.layers] {
        let shown = path.display();
        DirBuilder::new().recursive(true).mode(0o755).create(path).doing(|| format!("make {shown}"))?;
        chown(path, settings.uid, settings.gid).doing(|| format!("give away {shown}"))?;
    }
    Ok(())
}
