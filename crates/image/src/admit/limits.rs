//! What strangers' images may have.

use till_core::ManifestDigest;

/// What an image of strangers may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportLimits {
    /// Entries of one layer, with the directories that it only implies.
    pub entries: u64,
    /// Bytes of all layers, unpacked.
    pub bytes: u64,
    /// How many times larger a layer may become by unpacking, once it is larger than [`Self::ratio_from`].
    pub ratio: u64,
    /// Bytes up to which any ratio is taken: much of the same (zeros) is small in earnest, too.
    pub ratio_from: u64,
    /// Layers. Overlayfs takes 500.
    pub layers: usize,
    /// Ids that instances have: an owner beyond them could not be written.
    pub ids: u32,
    /// What becomes of programs that run with their owner's rights.
    pub setuid: Policy,
}

/// What becomes of programs that run with more rights than their caller's: setuid, setgid, file capabilities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// They stay what they are: inside an instance they have its rights alone.
    #[default]
    Keep,
    /// An image that has one is refused.
    Refuse,
}

impl Default for ImportLimits {
    fn default() -> Self {
        Self {
            entries: 2_000_000,
            bytes: 64 << 30,
            ratio: 1000,
            ratio_from: 1 << 30,
            layers: 500,
            ids: 65_536,
            setuid: Policy::Keep,
        }
    }
}

/// An image that was looked through.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// The image, in the store.
    pub image: crate::image::Image,
    /// What was left out of it.
    pub notices: Vec<String>,
}

impl Admitted {
    /// Names it.
    pub fn manifest(&self) -> &ManifestDigest {
        &self.image.manifest
    }
}
