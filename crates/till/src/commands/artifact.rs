//! `till artifact list|show|export|remove` and `till gc`.

use std::path::Path;

use serde_json::json;
use till_core::{Failure, Fault};
use till_engine::{ArtifactEntry, Engine};
use till_image::Compression;

use super::{table, time};
use crate::cli::{Artifact, ExportCompression};
use crate::screen::Screen;

pub(super) async fn run(engine: &Engine, command: Artifact, screen: &Screen) -> Result<(), Failure> {
    match command {
        Artifact::List => list(engine, screen).await,
        Artifact::Show { artifact } => {
            show(&engine.artifact(&artifact).await?, screen);
            Ok(())
        }
        Artifact::Export { artifact, target, compression } => {
            export(engine, &artifact, &target, compression, screen).await
        }
        Artifact::Remove { artifact } => {
            let digest = engine.remove_artifact(&artifact).await?;
            screen.result(&json!({ "removed": digest }), &format!("removed {digest}; `till gc` frees its space"));
            Ok(())
        }
    }
}

fn base(entry: &ArtifactEntry) -> String {
    format!("{}@{}", entry.label.base.name, entry.label.base.version)
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
            base(entry),
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

fn show(entry: &ArtifactEntry, screen: &Screen) {
    let launch = &entry.label.launch;
    let size: u64 = entry.image.layers.iter().map(|layer| layer.size).sum();
    let layers: Vec<_> = entry.image.layers.iter().map(|layer| json!({ "digest": layer.blob, "diff_id": layer.diff_id, "size": layer.size, "media_type": layer.media_type })).collect();
    let value = json!({
        "artifact": entry.fact.digest,
        "app": entry.fact.app,
        "base": base(entry),
        "base_digest": entry.fact.base,
        "contract": entry.label.contract,
        "commit": entry.fact.commit,
        "dirty": entry.label.dirty,
        "source": entry.label.source,
        "plan": entry.fact.plan,
        "made": time(entry.fact.made),
        "size": size,
        "layers": layers,
        "launch": launch,
    });
    let mut rows = vec![
        vec!["artifact".to_owned(), entry.fact.digest.to_string()],
        vec!["app".to_owned(), entry.fact.app.to_string()],
        vec!["base".to_owned(), base(entry)],
        vec!["commit".to_owned(), entry.fact.commit.as_ref().map_or("none".to_owned(), ToString::to_string)],
        vec!["plan".to_owned(), entry.fact.plan.to_string()],
        vec!["made".to_owned(), time(entry.fact.made)],
        vec!["size".to_owned(), format!("{:.1} MB in {} layers, compressed", size as f64 / 1e6, layers.len())],
    ];
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
    let Some(place) = target.strip_prefix("oci:").filter(|place| !place.is_empty()) else {
        return Err(Failure::new(Fault::Caller, format!("`{target}` is not a place to export to"))
            .hint("oci:DIR, or oci:DIR:REFERENCE"));
    };
    let (folder, reference) = match place.rsplit_once(':') {
        Some((folder, reference)) if !reference.contains('/') && !folder.is_empty() => (folder, reference.to_owned()),
        _ => (place, "latest".to_owned()),
    };
    let compression = match compression {
        ExportCompression::Keep => till_image::ExportCompression::Keep,
        ExportCompression::Gzip => till_image::ExportCompression::Convert(Compression::Gzip),
        ExportCompression::Zstd => till_image::ExportCompression::Convert(Compression::Zstd),
    };
    let (entry, exported) = engine.export(wanted, Path::new(folder), &reference, compression).await?;
    let value =
        json!({ "artifact": entry.fact.digest, "exported": exported, "directory": folder, "reference": reference });
    screen.result(&value, &format!("oci:{folder}:{reference} {exported}"));
    Ok(())
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
