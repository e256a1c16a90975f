//! What planning asks of the world outside, and what was found out of it. Nothing is fetched here: whoever plans answers with
//! [`Need`]s until all are known.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::{Digest, ManifestDigest};
use crate::model::{AppName, SourceView};
use crate::packages::{PackageWish, Resolved};
use crate::plan::Config;

/// What has been found out of the world outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Images, by what they are called in the source.
    pub images: BTreeMap<String, KnownImage>,
    /// Files, by their address.
    pub remotes: BTreeMap<String, KnownRemote>,
    /// The packages that were asked for.
    pub packages: Option<Resolved>,
    /// Code of others, by its address.
    pub code: BTreeMap<String, KnownCode>,
    /// What files of images say, by image and pattern: their texts by absolute path.
    pub looks: BTreeMap<(ManifestDigest, String), BTreeMap<String, String>>,
    /// Programs of the house that run inside instances, by name: what they are in the store.
    pub programs: BTreeMap<String, Digest>,
    /// What the app was before.
    pub previous: Option<Previous>,
    /// Addresses of files of which the server says that there are none.
    pub absent: BTreeSet<String>,
    /// Whose source it is that is planned for; known from the beginning.
    pub app: Option<AppName>,
}

/// An image that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownImage {
    /// Names it.
    pub digest: ManifestDigest,
    /// What it says of itself.
    pub config: Config,
}

/// A file that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRemote {
    /// Of its bytes.
    pub digest: Digest,
    /// What its server calls it.
    pub name: String,
    /// Seconds since 1970.
    pub time: Option<u64>,
}

/// Code of others, which is in the store as one tar archive: sorted names, owner 0, one time for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCode {
    /// Of the archive.
    pub digest: Digest,
    /// What is in it, with the texts that were asked for and are there.
    pub view: SourceView,
}

/// The newest artifact of the app that came of another source: what this one follows. Of the same source there would be
/// another plan each time that it is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Previous {
    /// There is none.
    Nothing,
    /// This one.
    Image(Box<KnownImage>),
}

impl Previous {
    /// Its image, if there is one.
    pub fn image(&self) -> Option<&KnownImage> {
        match self {
            Self::Nothing => None,
            Self::Image(image) => Some(image),
        }
    }
}

/// Something that has to be known before there can be a plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// An image, as the source calls it.
    Image(String),
    /// A file, and what its digest has to be where that is said.
    Remote {
        /// Its address.
        url: String,
        /// What it has to be.
        checksum: Option<Digest>,
    },
    /// The same where the file may be missing: then its address is among [`Known::absent`].
    Optional {
        /// Its address.
        url: String,
    },
    /// The packages that a wish comes to.
    Packages(PackageWish),
    /// Code of others: a buildpack, a cartridge.
    Code {
        /// A git repository (`https://…`, `ssh://…`, `git@host:path`, `file://…`; its branch, tag or commit after `#`), a tar
        /// archive (`https://….tgz`, its digest after `#sha256:`), or a directory of this machine (`/…`).
        address: String,
        /// The files of it whose text planning needs, by name or glob.
        texts: Vec<String>,
    },
    /// What some files of an image say.
    Look {
        /// The image.
        image: ManifestDigest,
        /// Absolute; `*` stands for any name in any part.
        pattern: String,
    },
    /// A program of the house that runs inside instances.
    Program(String),
    /// [`Known::previous`].
    Previous,
}

/// Is the address of [`Need::Code`] one of this machine?
pub fn is_local(address: &str) -> bool {
    address.starts_with(['/', '.']) || address.starts_with("file:")
}

/// An address of [`Need::Code`] as it may stand in a plan, in which no path of this machine is: of such a one the last part.
pub fn shown(address: &str) -> String {
    if !is_local(address) {
        return address.to_owned();
    }
    let path = address.split('#').next().unwrap_or(address).trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn no_path_of_this_machine_stands_in_a_plan() {
        for (address, told) in [
            ("https://h/x.git#v1", "https://h/x.git#v1"),
            ("git@h:x", "git@h:x"),
            ("/home/me/pack/", "pack"),
            ("./pack", "pack"),
            ("file:///srv/pack.git#v1", "pack.git"),
        ] {
            assert_eq!(shown(address), told, "{address}");
        }
    }
}
