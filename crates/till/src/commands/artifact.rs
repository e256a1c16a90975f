//! `till artifact list|show|export|remove` and `till gc`.

use serde_json::{Value, json};
use till_core::contract::cnb::Rules;
use till_core::inventory::Inventory;
use till_core::{Failure, ManifestDigest};
use till_engine::{ArtifactEntry, Engine, RebaseWish, Rebased};
use till_image::{Compression, Destination};

use super::{disk, inventory, table, time};
use crate::cli::{Artifact, ExportCompression};
use crate::screen::{Screen, clean};

pub(super) async fn run(engine: &Engine, command: Artifact, screen: &Screen) -> Result<(), Failure> {
    match command {
        Artifact::List => list(engine, screen).await,
        Artifact::Show { artifact } => {
            let entry = engine.artifact(&artifact).await?;
            // What is on a disk that stays one nobody knows.
            let system = entry.label.machine.as_ref().is_some_and(|machine| machine.system.is_some());
            let inventory = if system { None } else { Some(engine.take_inventory(&entry.image).await?) };
            show(&entry, inventory.as_ref(), screen);
            Ok(())
        }
        Artifact::Export { artifact, target, compression, disk } => match disk::wished(&target, &disk)? {
            Some(wish) => {
                let (entry, written) = engine.export_disk(&artifact, &wish, screen).await?;
                let value = json!({ "artifact": entry.fact.digest });
                disk::show(&target, &wish, &written, value, screen);
                Ok(())
            }
            None => export(engine, &artifact, &target, compression, screen).await,
        },
        Artifact::Rebase { artifact, run_image, force } => {
            let rules = if force { Rules::Waived } else { Rules::Held };
            let wish = RebaseWish { artifact, run: run_image, rules };
            let Rebased { artifact, from, run, run_digest, unchanged } = engine.rebase(&wish, screen).await?;
            let value = json!({ "artifact": artifact, "from": from, "run_image": run, "run_digest": run_digest, "unchanged": unchanged });
            let text = match unchanged {
                true => format!("{artifact} lies upon {run} already: nothing was changed"),
                false => format!("{artifact} is {} upon {run} ({})", from.short(), run_digest.short()),
            };
            screen.result(&value, &text);
            Ok(())
        }
        Artifact::Remove { artifact } => {
            let digest = engine.remove_artifact(&artifact).await?;
            screen.result(&json!({ "removed": digest }), &format!("removed {digest}; `till gc` frees its space"));
            Ok(())
        }
    }
}

fn base(entry: &ArtifactEntry) -> Option<String> {
    entry.label.base.as_ref().map(ToString::to_string)
}

async fn list(engine: &Engine, screen: &Screen) -> Result<(), Failure> {
    let artifacts = engine.artifacts().await?;
    let item = |entry: &ArtifactEntry| {
        json!({
            "artifact": entry.fact.digest, "app": entry.fact.app, "base": base(entry),
            "commit": entry.fact.commit, "dirty": entry.label.dirty, "plan": entry.fact.plan, "made": time(entry.fact.made),
        })
    };
    let row = |entry: &ArtifactEntry| {
        let commit = entry.fact.commit.as_ref().map_or("-", |commit| &commit.as_str()[..8]);
        vec![
            entry.fact.digest.short().to_owned(),
            entry.fact.app.to_string(),
            commit.to_owned(),
            base(entry).unwrap_or("-".to_owned()),
            time(entry.fact.made),
        ]
    };
    let text = if artifacts.is_empty() {
        "there is no artifact yet: till build".to_owned()
    } else {
        table(&artifacts.iter().map(row).collect::<Vec<_>>())
    };
    screen.result(&json!({ "items": artifacts.iter().map(item).collect::<Vec<_>>() }), &text);
    Ok(())
}

fn show(entry: &ArtifactEntry, inventory: Option<&Inventory>, screen: &Screen) {
    let launch = &entry.label.launch;
    let size: u64 = entry.image.layers.iter().map(|layer| layer.size).sum();
    let layers: Vec<_> = entry.image.layers.iter().map(|layer| json!({ "digest": layer.blob, "diff_id": layer.diff_id, "size": layer.size, "media_type": layer.media_type })).collect();
    let value = json!({
        "artifact": entry.fact.digest,
        "app": entry.fact.app,
        "base": base(entry),
        "base_digest": entry.fact.base,
        "images": entry.label.images,
        "contract": entry.label.contract,
        "commit": entry.fact.commit,
        "dirty": entry.label.dirty,
        "source": entry.label.source,
        "plan": entry.fact.plan,
        "made": time(entry.fact.made),
        "size": size,
        "layers": layers,
        "launch": launch,
        "machine": entry.label.machine,
        "distribution": inventory.map(|inventory| inventory::distribution(&inventory.distribution)),
        "packages": inventory.map(|inventory| inventory.packages.len()),
    });
    let mut rows = vec![
        vec!["artifact".to_owned(), entry.fact.digest.to_string()],
        vec!["app".to_owned(), entry.fact.app.to_string()],
        vec!["base".to_owned(), base(entry).unwrap_or("none: its Dockerfile".to_owned())],
        vec!["commit".to_owned(), entry.fact.commit.as_ref().map_or("none".to_owned(), ToString::to_string)],
        vec!["plan".to_owned(), entry.fact.plan.to_string()],
        vec!["made".to_owned(), time(entry.fact.made)],
        vec!["size".to_owned(), format!("{:.1} MB in {} layers, compressed", size as f64 / 1e6, layers.len())],
    ];
    if let Some(inventory) = inventory {
        rows.push(vec!["distribution".to_owned(), clean(&inventory.distribution.describe())]);
        rows.push(vec!["packages".to_owned(), inventory.packages.len().to_string()]);
    }
    rows.extend(entry.label.machine.as_ref().map(|machine| {
        let own = "the image's own".to_owned();
        let kernel = machine.kernel.as_ref();
        vec!["kernel".to_owned(), kernel.map_or(own, |kernel| format!("{} {}", kernel.name, kernel.version))]
    }));
    rows.extend(launch.processes.iter().map(|(name, process)| vec![format!("process {name}"), process.argv.join(" ")]));
    rows.extend(launch.ports.iter().map(|port| {
        vec![format!("port {}", port.name), format!("{} {:?}", port.number, port.protocol).to_lowercase()]
    }));
    screen.result(&value, &table(&rows));
}

async fn export(
    engine: &Engine,
    wanted: &str,
    target: &str,
    compression: ExportCompression,
    screen: &Screen,
) -> Result<(), Failure> {
    let to = Destination::parse(target)?;
    let (entry, exported) = engine.export(wanted, &to, form(compression)).await?;
    let mut value = exported_to(&to, &exported);
    value["artifact"] = json!(entry.fact.digest);
    screen.result(&value, &format!("{target} {exported}"));
    Ok(())
}

/// How layers are exported.
pub(super) fn form(compression: ExportCompression) -> till_image::ExportCompression {
    match compression {
        ExportCompression::Keep => till_image::ExportCompression::Keep,
        ExportCompression::Gzip => till_image::ExportCompression::Convert(Compression::Gzip),
        ExportCompression::Zstd => till_image::ExportCompression::Convert(Compression::Zstd),
    }
}

/// What was exported, where.
pub(super) fn exported_to(to: &Destination, exported: &ManifestDigest) -> Value {
    let place = if matches!(to, Destination::Layout { .. }) { "directory" } else { "file" };
    json!({ "exported": exported, place: to.path(), "reference": to.reference() })
}

pub(super) async fn collect(engine: &Engine, screen: &Screen) -> Result<(), Failure> {
    let collection = engine.collect().await?;
    let value = json!({ "blobs": collection.blobs, "bytes": collection.bytes, "trees": collection.trees,
                        "layers": collection.layers, "logs": collection.logs, "caches": collection.caches });
    let text = format!(
        "removed {} blobs ({:.1} MB) and {} unpacked layers",
        collection.blobs,
        collection.bytes as f64 / 1e6,
        collection.trees
    );
    screen.result(&value, &text);
    Ok(())
}
