//! Arranges a directory for each layer of the image, writes the report, and makes what is cached the new cache.
//!
//! ```text
//! INTO/000-acme_go-deps/layers/acme_go/deps/…    layers of buildpacks: in the order of the group, then by name
//! INTO/001-sbom/layers/sbom/launch/…             if there are SBOM files
//! INTO/002-slice-1/workspace/…                   slices of the app that have files
//! INTO/003-app/workspace/…                       the rest of the app
//! INTO/004-launcher/cnb/lifecycle/launcher       this program
//! INTO/005-config/layers/config/…                metadata.toml and till.json
//! INTO/006-process-types/cnb/process/…           if there are processes
//! ```

mod app;
mod arrange;
mod cache;

use std::collections::BTreeMap;
use std::path::Path;

use super::outputs::{self, Found};
use super::{IMAGE_FILE, say};
use crate::arguments::Settings;
use crate::failure::{Doing as _, Failure};
use crate::inputs::toml_file;
use crate::model::folder;
use crate::model::group::{Group, Member};
use crate::model::launch::Metadata;
use crate::model::memory::{Memory, Remembered};
use crate::model::report::{Exported, ExportedLayer, Kind, Report};
use crate::tree::{Folder, Links, Owner, bring, copy};
use arrange::{Arranging, Files};

/// What the image's processes are told, besides their directories; the newest platform API that the launcher speaks.
const PLATFORM_API: &str = "0.13";
/// The version of the report's shape.
const REPORT: u32 = 1;

/// A buildpack, and what it left.
struct Left {
    member: Member,
    /// `None`: it left nothing.
    folder: Option<Folder>,
    layers: Vec<Found>,
    store: Option<serde_json::Value>,
}

/// Exports.
pub(crate) fn export(settings: &Settings) -> Result<(), Failure> {
    let group: Group = toml_file(&settings.group)?;
    let layers = Folder::open(&settings.layers).doing(|| format!("open {}", settings.layers.display()))?;
    let metadata = metadata(&layers)?;
    let default = default_process(settings, &metadata)?;
    let left = group.group.into_iter().map(|member| left(&layers, member)).collect::<Result<Vec<_>, _>>()?;
    let previous = Previous::open(settings)?;

    let into = Settings::required(settings.into.as_ref(), "into")?;
    std::fs::create_dir_all(into).doing(|| format!("make {}", into.display()))?;
    let staged = match &settings.cache {
        Some(cache) => Some(cache::stage(cache, &layers, &left, &settings.exec_env)?),
        None => None,
    };
    let mut arranging = Arranging::new(into, settings)?;
    let buildpacks = left.iter().map(|left| buildpack(left, &mut arranging, &previous, settings));
    let buildpacks = buildpacks.collect::<Result<Vec<_>, _>>()?;
    let sbom = sbom(&layers, &mut arranging, settings)?;
    app::layers(&mut arranging, settings, &metadata.slices)?;
    launcher(&mut arranging)?;
    config(&mut arranging, settings, &metadata, &left)?;
    process_types(&mut arranging, &metadata)?;
    if let Some(staged) = staged {
        staged.commit()?;
    }
    let report = report(settings, metadata, default, arranging, buildpacks, sbom);
    let path = settings.report.clone().unwrap_or_else(|| into.join("report.json"));
    let text = serde_json::to_string_pretty(&report).doing(|| "write the report".to_owned())?;
    std::fs::write(&path, text).doing(|| format!("write {}", path.display()))
}

fn metadata(layers: &Folder) -> Result<Metadata, Failure> {
    let deed = || "read config/metadata.toml of the layers".to_owned();
    let config = layers.enter("config").doing(deed)?;
    let text = config.map(|config| config.text("metadata.toml").doing(deed)).transpose()?.flatten();
    let text = text.ok_or_else(|| Failure::new("there is no config/metadata.toml: has the build been run?"))?;
    toml::from_str(&text).doing(deed)
}

fn default_process(settings: &Settings, metadata: &Metadata) -> Result<Option<String>, Failure> {
    let wanted = settings.process_type.clone();
    let buildpacks = Some(metadata.buildpack_default_process_type.clone()).filter(|kind| !kind.is_empty());
    let Some(kind) = wanted.or(buildpacks) else { return Ok(None) };
    match metadata.process(&kind) {
        Some(_) => Ok(Some(kind)),
        None => Err(Failure::new(format!("there is no process `{kind}`; there are: {}", metadata.types()))),
    }
}

/// Reads what a buildpack left once more: it is the same as after the build only if nobody meddled.
fn left(layers: &Folder, member: Member) -> Result<Left, Failure> {
    let read = || {
        let own = layers.enter(folder(&member.id)).doing(|| "open its directory of the layers".to_owned())?;
        let Some(own) = own else { return Ok((None, Vec::new(), None)) };
        let (layers, store) = (outputs::layers(&own)?, outputs::store(&own)?);
        if let Some(found) = layers.iter().find(|found| found.layer.types.cache && !found.here) {
            return Err(Failure::new(format!("layer {} has cache = true and no contents", found.name)));
        }
        Ok((Some(own), layers, store))
    };
    let named = |failure: Failure| Failure::new(format!("buildpack {}: {}", member.name(), failure.said));
    let (folder, layers, store) = read().map_err(named)?;
    Ok(Left { member, folder, layers, store })
}

/// The layers of the previous image, if there is one.
struct Previous(Option<(Folder, Memory)>);

impl Previous {
    fn open(settings: &Settings) -> Result<Self, Failure> {
        let Some(root) = &settings.previous else { return Ok(Self(None)) };
        let deed = || format!("read the previous image at {}", root.display());
        let root = Folder::open(root).doing(deed)?;
        let Some(layers) = root.descend(&settings.layers).doing(deed)? else { return Ok(Self(None)) };
        let config = layers.enter("config").doing(deed)?;
        let text = config.map(|config| config.text(IMAGE_FILE).doing(deed)).transpose()?.flatten();
        let memory = text.and_then(|text| Memory::parse(&text).ok());
        Ok(Self(memory.filter(|memory| memory.exec_env == settings.exec_env).map(|memory| (layers, memory))))
    }

    /// The directory of a buildpack in it, which has this layer.
    fn find(&self, id: &str, layer: &str) -> Result<Folder, Failure> {
        let missing = || {
            let said = "it has no contents, and cannot be reused: the previous image has no metadata for it";
            Failure::new(format!("layer {id}:{layer}: {said}"))
        };
        let (layers, memory) = self.0.as_ref().ok_or_else(missing)?;
        memory.of(id).filter(|remembered| remembered.layers.contains_key(layer)).ok_or_else(missing)?;
        let own = layers.enter(folder(id)).doing(|| format!("open {id} of the previous image"))?;
        own.filter(|own| matches!(own.stat(layer), Ok(Some(_)))).ok_or_else(missing)
    }
}

/// Arranges the launch layers of one buildpack.
fn buildpack(
    left: &Left,
    arranging: &mut Arranging<'_>,
    previous: &Previous,
    settings: &Settings,
) -> Result<Exported, Failure> {
    let member = &left.member;
    let mut layers = BTreeMap::new();
    for found in left.layers.iter().filter(|found| found.layer.types.launch) {
        let parent = settings.layers.join(folder(&member.id));
        let name = found.name.as_ref();
        let deed = || format!("arrange layer {}:{}", member.id, found.name);
        let (root, target) = arranging.begin(&format!("{}-{}", member.id, found.name), &parent)?;
        match &left.folder {
            Some(own) if found.here => bring(own, name, &target, &mut Links::default()).doing(deed)?,
            _ => {
                say(&format!("reusing layer {}:{} of the previous image", member.id, found.name));
                let own = previous.find(&member.id, &found.name)?;
                copy(&own, name, &target, name, Owner::Kept, &mut Links::default()).doing(deed)?;
            }
        }
        let created_by = format!("Layer: '{}', Created by buildpack: {}", found.name, member.name());
        let label = format!("{}:{}", member.id, found.name);
        let mut layer = arranging.layer(&root, Kind::Buildpack, label, created_by);
        layer.buildpack = Some(member.id.clone());
        layer.layer = Some(found.name.clone());
        layer.reused = !found.here;
        arranging.end(root, layer, Files::OfBuilds)?;
        let directory = arranging.newest().to_owned();
        let exported = ExportedLayer { directory, types: found.layer.types, data: found.layer.data.clone() };
        layers.insert(found.name.clone(), exported);
    }
    Ok(Exported {
        id: member.id.clone(),
        version: member.version.clone(),
        api: member.api.clone(),
        homepage: member.homepage.clone(),
        layers,
        store: left.store.clone(),
    })
}

/// Arranges the SBOM files of the image; answers their paths in it.
fn sbom(layers: &Folder, arranging: &mut Arranging<'_>, settings: &Settings) -> Result<Vec<String>, Failure> {
    let deed = || "arrange the SBOM files".to_owned();
    let sbom = layers.descend(Path::new("sbom")).doing(deed)?;
    let Some(sbom) = sbom.filter(|sbom| matches!(sbom.stat("launch"), Ok(Some(_)))) else { return Ok(Vec::new()) };
    let parent = settings.layers.join("sbom");
    let (root, target) = arranging.begin("sbom", &parent)?;
    bring(&sbom, "launch".as_ref(), &target, &mut Links::default()).doing(deed)?;
    let layer = arranging.layer(&root, Kind::Sbom, "sbom".to_owned(), "Software Bill-of-Materials".to_owned());
    arranging.end(root, layer, Files::OfBuilds)?;
    let mut files = Vec::new();
    let launch = target.enter("launch").doing(deed)?.ok_or_else(|| Failure::new("the SBOM files are gone"))?;
    list(&launch, &parent.join("launch"), &mut files).doing(deed)?;
    Ok(files)
}

/// All files below; two levels are all there are.
fn list(folder: &Folder, path: &Path, files: &mut Vec<String>) -> std::io::Result<()> {
    for name in folder.texts()? {
        match folder.what(&name)? {
            crate::tree::What::Folder => {
                if let Some(inside) = folder.enter(&name)? {
                    list(&inside, &path.join(&name), files)?;
                }
            }
            _ => files.push(path.join(&name).display().to_string()),
        }
    }
    Ok(())
}

/// Arranges this program, as the image's launcher.
fn launcher(arranging: &mut Arranging<'_>) -> Result<(), Failure> {
    let deed = || "arrange the launcher".to_owned();
    let (root, target) = arranging.begin("launcher", Path::new("/cnb/lifecycle"))?;
    let mut from = std::fs::File::open("/proc/self/exe").doing(deed)?;
    let mut to = target.create("launcher", 0o755).doing(deed)?;
    std::io::copy(&mut from, &mut to).doing(deed)?;
    rustix::fs::fchmod(&to, rustix::fs::Mode::from_raw_mode(0o755)).doing(deed)?;
    let layer = arranging.layer(&root, Kind::Launcher, "launcher".to_owned(), "Buildpacks Launcher".to_owned());
    arranging.end(root, layer, Files::Roots)
}

/// Arranges what the launcher reads, and what the next build must know.
fn config(
    arranging: &mut Arranging<'_>,
    settings: &Settings,
    metadata: &Metadata,
    left: &[Left],
) -> Result<(), Failure> {
    let deed = || "arrange the launcher's config".to_owned();
    let remembered = left.iter().map(|left| {
        let launched = left.layers.iter().filter(|found| found.layer.types.launch);
        Remembered {
            id: left.member.id.clone(),
            version: left.member.version.clone(),
            layers: launched.map(|found| (found.name.clone(), found.layer.clone())).collect(),
            store: left.store.clone(),
        }
    });
    let memory = Memory::new(&settings.exec_env, remembered.collect());
    let (root, target) = arranging.begin("config", &settings.layers)?;
    let target = target.make("config").doing(deed)?;
    target.write("metadata.toml", toml::to_string(metadata).doing(deed)?.as_bytes()).doing(deed)?;
    target.write(IMAGE_FILE, serde_json::to_string(&memory).doing(deed)?.as_bytes()).doing(deed)?;
    let layer = arranging.layer(&root, Kind::Config, "config".to_owned(), "Buildpacks Launcher Config".to_owned());
    arranging.end(root, layer, Files::OfBuilds)
}

/// Arranges a link to the launcher for each process.
fn process_types(arranging: &mut Arranging<'_>, metadata: &Metadata) -> Result<(), Failure> {
    if metadata.processes.is_empty() {
        return Ok(());
    }
    let (root, target) = arranging.begin("process-types", Path::new("/cnb/process"))?;
    for process in &metadata.processes {
        let linked = target.link(&process.kind, "/cnb/lifecycle/launcher");
        linked.doing(|| format!("link the process {}", process.kind))?;
    }
    let layer =
        arranging.layer(&root, Kind::ProcessTypes, "process-types".to_owned(), "Buildpacks Process Types".to_owned());
    arranging.end(root, layer, Files::Roots)
}

fn report(
    settings: &Settings,
    metadata: Metadata,
    default: Option<String>,
    arranging: Arranging<'_>,
    buildpacks: Vec<Exported>,
    sbom: Vec<String>,
) -> Report {
    let text = |path: &Path| path.display().to_string();
    let environment = [
        ("CNB_APP_DIR", text(&settings.app)),
        ("CNB_DEPRECATION_MODE", "quiet".to_owned()),
        ("CNB_LAYERS_DIR", text(&settings.layers)),
        ("CNB_PLATFORM_API", PLATFORM_API.to_owned()),
    ];
    let entrypoint = match &default {
        Some(kind) => format!("/cnb/process/{kind}"),
        None => "/cnb/lifecycle/launcher".to_owned(),
    };
    Report {
        version: REPORT,
        exec_env: settings.exec_env.clone(),
        layers: arranging.finish(),
        labels: metadata.label_map(),
        processes: metadata.processes,
        default_process: default,
        entrypoint: vec![entrypoint],
        working_dir: text(&settings.app),
        environment: environment.map(|(name, value)| (name.to_owned(), value)).into(),
        path_prefix: "/cnb/process:/cnb/lifecycle".to_owned(),
        buildpacks,
        slices: metadata.slices,
        sbom,
    }
}
