//! The directory of one layer: it holds the layer's files at their paths in the image, and their parents as they are in
//! the image of the build.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, Uid};

use crate::arguments::Settings;
use crate::failure::{Doing as _, Failure};
use crate::model::report::{ImageLayer, Kind};
use crate::tree::{Folder, Owner, normalise};

/// As much of a name is readable in the name of a directory.
const NAME: usize = 80;

/// Whose the files of a layer are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Files {
    /// `-uid` and `-gid`.
    OfBuilds,
    /// root's: nobody may change them.
    Roots,
}

/// All directories so far.
pub(super) struct Arranging<'a> {
    into: Folder,
    settings: &'a Settings,
    layers: Vec<ImageLayer>,
}

/// A directory that is being filled.
pub(super) struct Root {
    pub(super) directory: String,
    folder: Folder,
    /// Parents: they keep their owners.
    parents: BTreeSet<PathBuf>,
}

impl<'a> Arranging<'a> {
    /// None so far. `into` must be empty: what a former export left would be taken for layers.
    pub(super) fn new(into: &Path, settings: &'a Settings) -> Result<Self, Failure> {
        let deed = || format!("arrange layers in {}", into.display());
        let folder = Folder::open(into).doing(deed)?;
        if !folder.names().doing(deed)?.is_empty() {
            return Err(Failure::new(format!("{} is not empty", into.display())));
        }
        Ok(Self { into: folder, settings, layers: Vec::new() })
    }

    /// Begins the next directory, with all parents of what comes into `parent`; that one is answered, open.
    pub(super) fn begin(&self, name: &str, parent: &Path) -> Result<(Root, Folder), Failure> {
        let good = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
        let name: String = name.chars().map(good).take(NAME).collect();
        let directory = format!("{:03}-{name}", self.layers.len());
        let folder = self.into.make(&directory).doing(|| format!("make the directory {directory}"))?;
        let mut root = Root { directory, folder, parents: BTreeSet::new() };
        let target = root.parents(parent)?;
        Ok((root, target))
    }

    /// What the report says of it, for a start.
    #[expect(clippy::unused_self, reason = "it is this arranging's layer")]
    pub(super) fn layer(&self, root: &Root, kind: Kind, name: String, created_by: String) -> ImageLayer {
        ImageLayer {
            directory: root.directory.clone(),
            kind,
            name,
            created_by,
            buildpack: None,
            layer: None,
            reused: false,
        }
    }

    /// Ends it: owners and times are as they are to be.
    pub(super) fn end(&mut self, root: Root, layer: ImageLayer, files: Files) -> Result<(), Failure> {
        let owner = match (files, self.settings.uid, self.settings.gid) {
            (Files::Roots, ..) => Owner::if_root(0, 0),
            (Files::OfBuilds, Some(uid), Some(gid)) => Owner::if_root(uid, gid),
            (Files::OfBuilds, ..) => Owner::Kept,
        };
        let deed = || format!("give the files of {} their owner and time", root.directory);
        normalise(&root.folder, owner, &root.parents).doing(deed)?;
        self.layers.push(layer);
        Ok(())
    }

    /// The directory that was ended last.
    pub(super) fn newest(&self) -> &str {
        self.layers.last().map_or("", |layer| layer.directory.as_str())
    }

    /// Gives up a directory into which nothing came.
    pub(super) fn forget(&self, root: &Root) -> Result<(), Failure> {
        self.into.remove(&root.directory).doing(|| format!("remove {}", root.directory))
    }

    /// All layers, from the lowest.
    pub(super) fn finish(self) -> Vec<ImageLayer> {
        self.layers
    }
}

impl Root {
    /// Makes a path of the image in it, with owners and modes as they are in this instance; opens the last directory.
    fn parents(&mut self, path: &Path) -> Result<Folder, Failure> {
        let deed = || format!("make {} in {}", path.display(), self.directory);
        let mut folder = self.folder.descend(Path::new("")).doing(deed)?.ok_or_else(|| Failure::new("it is gone"))?;
        let (mut real, mut below) = (PathBuf::from("/"), PathBuf::new());
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            real.push(name);
            below.push(name);
            let next = folder.make(name).doing(deed)?;
            // What this instance does not have is as the specification says: root's, for all to read.
            let (mode, uid, gid) = match fs::metadata(&real) {
                Ok(metadata) => (metadata.mode() & 0o7777, metadata.uid(), metadata.gid()),
                Err(_) => (0o755, 0, 0),
            };
            if let Owner::Is(uid, gid) = Owner::if_root(uid, gid) {
                let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
                rustix::fs::chownat(&folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).doing(deed)?;
            }
            rustix::fs::fchmod(&next, Mode::from_raw_mode(mode)).doing(deed)?;
            self.parents.insert(below.clone());
            folder = next;
        }
        Ok(folder)
    }
}
