//! What of the last build the next one gets: descriptions, SBOM files and contents of layers, and stores.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;

use super::{CACHE_FILE, CACHED_LAYERS, CACHED_SBOM, COMMITTED, IMAGE_FILE, say};
use crate::arguments::Settings;
use crate::decide::reuse::{Restored, restored};
use crate::failure::{Doing as _, Failure};
use crate::inputs::toml_file;
use crate::model::group::{Group, Member};
use crate::model::layer::Layer;
use crate::model::memory::Memory;
use crate::model::{data, folder};
use crate::tree::{Folder, Links, Owner, copy};

/// A place that remembers: the cache, or the layers of the previous image.
struct Place {
    folder: Folder,
    memory: Memory,
}

/// Restores into the layers. As root, what is restored is given to `-uid` and `-gid`.
pub(crate) fn restore(settings: &Settings) -> Result<(), Failure> {
    let group: Group = toml_file(&settings.group)?;
    let cache = match &settings.cache {
        Some(cache) => place(cache, COMMITTED, "", CACHE_FILE, &settings.exec_env)?,
        None => None,
    };
    let previous = previous(settings)?;
    let layers = Folder::open(&settings.layers).doing(|| format!("open {}", settings.layers.display()))?;
    let owner = match (settings.uid, settings.gid) {
        (Some(uid), Some(gid)) => Owner::if_root(uid, gid),
        _ => Owner::Kept,
    };
    for member in &group.group {
        let of = |place: &'_ Option<Place>| place.as_ref().and_then(|place| place.memory.of(&member.id).cloned());
        let (cached, imaged) = (of(&cache), of(&previous));
        let all = restored(cached.as_ref(), imaged.as_ref());
        if all == Restored::default() {
            continue;
        }
        let name = folder(&member.id);
        let target = layers.make(&name).doing(|| format!("make the directory {name} of the layers"))?;
        let work = Work { member, target: &target, owner };
        work.restore(&all, cache.as_ref(), previous.as_ref())?;
        give(&layers, &name, owner)?;
    }
    Ok(())
}

/// What the previous image remembers; its file system is at `-previous`.
fn previous(settings: &Settings) -> Result<Option<Place>, Failure> {
    let Some(root) = &settings.previous else { return Ok(None) };
    let layers = settings.layers.to_string_lossy();
    place(root, &layers, "config", IMAGE_FILE, &settings.exec_env)
}

/// Opens `ROOT/BELOW` and reads what is remembered in it. `None`: nothing is, or not for this execution environment.
fn place(root: &Path, below: &str, inside: &str, file: &str, exec_env: &str) -> Result<Option<Place>, Failure> {
    let deed = || format!("read {file} below {}", root.display());
    let root = Folder::open(root).doing(deed)?;
    let Some(folder) = root.descend(Path::new(below)).doing(deed)? else { return Ok(None) };
    let Some(config) = folder.descend(Path::new(inside)).doing(deed)? else { return Ok(None) };
    let Some(text) = config.text(file).doing(deed)? else { return Ok(None) };
    match Memory::parse(&text) {
        Ok(memory) if memory.exec_env == exec_env => Ok(Some(Place { folder, memory })),
        Ok(memory) => {
            say(&format!("nothing is restored from {file}: it is of the execution environment {}", memory.exec_env));
            Ok(None)
        }
        Err(why) => {
            say(&format!("nothing is restored from {file}: {why}"));
            Ok(None)
        }
    }
}

/// Gives a directory of the layers itself (not what is in it) to the builds' user.
fn give(layers: &Folder, name: &str, owner: Owner) -> Result<(), Failure> {
    let Owner::Is(uid, gid) = owner else { return Ok(()) };
    let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::chownat(layers, name, Some(uid), Some(gid), flags).doing(|| format!("give {name} away"))
}

/// One buildpack's restoring.
struct Work<'a> {
    member: &'a Member,
    target: &'a Folder,
    owner: Owner,
}

impl Work<'_> {
    fn restore(&self, all: &Restored<'_>, cache: Option<&Place>, previous: Option<&Place>) -> Result<(), Failure> {
        let directory = folder(&self.member.id);
        for (name, layer) in &all.from_cache {
            let Some(cache) = cache else { continue };
            let deed = || format!("restore layer {name} of {} from the cache", self.member.id);
            let contents = cache.folder.descend(&Path::new(&directory).join(CACHED_LAYERS)).doing(deed)?;
            let Some(contents) = contents.filter(|contents| matches!(contents.stat(name), Ok(Some(_)))) else {
                say(&format!("layer {name} of {} is not in the cache any more", self.member.id));
                continue;
            };
            say(&format!("restoring layer {}:{name} from the cache", self.member.id));
            let name = OsStr::new(*name);
            copy(&contents, name, self.target, name, self.owner, &mut Links::default()).doing(deed)?;
            let sbom = Path::new(&directory).join(CACHED_SBOM).join(name);
            self.describe(name, layer, cache.folder.descend(&sbom).doing(deed)?)?;
        }
        for (name, layer) in &all.from_previous {
            let Some(previous) = previous else { continue };
            say(&format!("restoring what is known of layer {}:{name} from the previous image", self.member.id));
            let sbom = Path::new("sbom/launch").join(&directory).join(name);
            let sbom = previous.folder.descend(&sbom).doing(|| format!("restore the SBOM files of layer {name}"))?;
            self.describe(OsStr::new(*name), layer, sbom)?;
        }
        match all.store {
            Some(store) => self.write("store.toml", &metadata(store)?),
            None => Ok(()),
        }
    }

    /// Writes `LAYER.toml`, without types: what a layer is for is said anew. And its SBOM files.
    fn describe(&self, name: &OsStr, layer: &Layer, sbom: Option<Folder>) -> Result<(), Failure> {
        let name = name.to_string_lossy();
        self.write(&format!("{name}.toml"), &metadata(&layer.data)?)?;
        let Some(sbom) = sbom else { return Ok(()) };
        let deed = || format!("restore the SBOM files of layer {name}");
        for file in sbom.texts().doing(deed)?.iter().filter(|file| file.starts_with("sbom.")) {
            let named = format!("{name}.{file}");
            self.target.remove(&named).doing(deed)?;
            let (file, named) = (OsStr::new(file), OsStr::new(&named));
            copy(&sbom, file, self.target, named, self.owner, &mut Links::default()).doing(deed)?;
        }
        Ok(())
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let deed = || format!("write {name} of {}", self.member.id);
        self.target.remove(name).doing(deed)?;
        let mut file = self.target.create(name, 0o644).doing(deed)?;
        file.write_all(text.as_bytes()).doing(deed)?;
        drop(file);
        give(self.target, name, self.owner)
    }
}

fn metadata(value: &serde_json::Value) -> Result<String, Failure> {
    data::metadata_file(value).doing(|| "write metadata".to_owned())
}
