//! Images of systems that stay disks: their layers are files of a disk, each of which lies over those before.

use std::path::{Path, PathBuf};

use till_core::model::MachineLabel;
use till_core::port::{Environment, Layer};
use till_core::system::SystemSpec;
use till_core::{DiffId, Failure, Fault};
use till_image::{Assembly, DiskFormat, ImageConfig, Imported, Store, check_disk};

use crate::Engine;
use crate::import::DiskImportWish;
use crate::journal::{Observer, Stretch};
use crate::prepare::Wish;
use crate::recreate::EPOCH;

impl Engine {
    /// Imports a disk as it is. Nobody looks into it.
    pub(crate) async fn keep_disk(
        &self,
        wish: &DiskImportWish,
        system: &SystemSpec,
        staging: &Path,
        observer: &dyn Observer,
    ) -> Result<Imported, Failure> {
        check_disk(&wish.file, &wish.naming.typed, wish.format)??;
        let stretch = Stretch::begin(observer, "disk");
        let file = match wish.format {
            DiskFormat::Qcow2 => wish.file.clone(),
            DiskFormat::Raw => {
                let made = staging.join("disk");
                self.disks.compress(&wish.file, &made).await?;
                made
            }
        };
        let layer = keep(&self.store, file).await?;
        stretch.end();
        let assembly = Assembly {
            layers: vec![(layer, format!("till base import {}", wish.naming.typed))],
            config: Some(ImageConfig { os: system.kind.as_str().to_owned(), ..ImageConfig::default() }),
            epoch: EPOCH,
            ..Assembly::default()
        };
        Ok(Imported {
            image: till_image::assemble(&assembly, &self.store)?,
            index: None,
            platforms: Vec::new(),
            reference: None,
            notices: Vec::new(),
        })
    }

    /// Where what is done in such a system is carried out, and what cannot be wished there.
    pub(crate) fn environment_of_system(&self, wish: &Wish) -> Result<&dyn Environment, Failure> {
        let caller = |what: &str, hint: &str| Err(Failure::new(Fault::Caller, what).hint(hint));
        let environment = self.environment(wish.environment.as_deref().unwrap_or("qemu"))?;
        if !environment.has_kernel() {
            return caller("the base is a system that stays a disk: it does not run in a container", "leave --in out");
        }
        if wish.kernel.is_some() {
            return caller("the base is a system that stays a disk: its kernel is its own", "leave --kernel out");
        }
        if wish.looks {
            return caller("nobody can look into a system that stays a disk", "leave --keep-failed out");
        }
        Ok(environment)
    }

    /// The files of a disk, the lowest first.
    pub(crate) fn disk_files(&self, layers: &[Layer]) -> Vec<PathBuf> {
        layers.iter().map(|layer| self.store.path(&layer.blob)).collect()
    }
}

/// Is it a disk, and not a tree?
pub(crate) fn is_disk(layers: &[Layer]) -> bool {
    layers.iter().any(Layer::is_disk)
}

/// What cannot be done with a disk that stays one.
pub(crate) fn refuse_disk(layers: &[Layer], what: &str) -> Result<(), Failure> {
    if !is_disk(layers) {
        return Ok(());
    }
    Err(Failure::new(Fault::Caller, format!("{what}: it is a disk that only the system on it reads"))
        .hint("docs/reference/systems.md says what can be done with such disks"))
}

/// The machine of an artifact that is such a system.
pub(crate) fn machine_label(spec: &SystemSpec) -> MachineLabel {
    MachineLabel {
        firmware: vec![spec.firmware.as_str().to_owned()],
        disk_bus: spec.disk_bus.as_str().to_owned(),
        machine_type: spec.machine.as_str().to_owned(),
        min_memory: spec.memory.0,
        system: Some(spec.clone()),
        ..MachineLabel::new(None)
    }
}

/// Keeps a file of a disk as a layer.
pub(crate) async fn keep(store: &Store, file: PathBuf) -> Result<Layer, Failure> {
    let store = store.clone();
    let work = move || {
        let failed = |error| Failure::house(format!("cannot keep `{}`", file.display()), error);
        let mut from = std::fs::File::open(&file).map_err(failed)?;
        let mut writer = store.writer()?;
        std::io::copy(&mut from, &mut writer).map_err(failed)?;
        let (blob, size) = writer.finish()?;
        Ok(Layer { diff_id: DiffId(blob.0.clone()), blob, size, media_type: Layer::DISK.to_owned() })
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::house("cannot keep a disk", error))?
}
