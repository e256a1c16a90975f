//! `till base build|list|show|remove`.

use serde_json::json;
use till_core::Failure;
use till_core::model::BaseVersion;
use till_engine::{BaseEntry, Engine};

use super::{steps, table, time};
use crate::cli::Base;
use crate::screen::Screen;

pub(super) async fn run(engine: &Engine, command: Base, screen: &Screen) -> Result<(), Failure> {
    match command {
        Base::Build { path, afresh } => build(engine, &path, afresh, screen).await,
        Base::List => list(engine, screen).await,
        Base::Show { base } => {
            show(&engine.base(&base).await?, screen);
            Ok(())
        }
        Base::Remove { base } => {
            let fact = engine.remove_base(&base).await?;
            let name = name(&fact.version);
            screen.result(&json!({ "removed": name, "digest": fact.version.digest }), &format!("removed {name}"));
            Ok(())
        }
    }
}

fn name(version: &BaseVersion) -> String {
    format!("{}@{}", version.name, version.version)
}

async fn build(engine: &Engine, path: &std::path::Path, afresh: bool, screen: &Screen) -> Result<(), Failure> {
    screen.say(&format!("base {}", path.display()));
    let made = engine.recreate(path, afresh, screen).await?;
    let version = &made.fact.version;
    let value = json!({
        "name": version.name,
        "version": version.version,
        "digest": version.digest,
        "plan": made.fact.plan,
        "from": made.label.from.as_ref().map(name),
        "reused": made.reused,
        "steps": steps(&made.steps),
    });
    let text = if made.reused {
        format!(
            "{} is made already ({}); --afresh makes it with the packages of today",
            name(version),
            version.digest.short()
        )
    } else {
        format!("{} {}", name(version), version.digest)
    };
    screen.result(&value, &text);
    Ok(())
}

async fn list(engine: &Engine, screen: &Screen) -> Result<(), Failure> {
    let bases = engine.bases().await?;
    let item = |base: &BaseEntry| {
        let version = &base.fact.version;
        json!({
            "name": version.name, "version": version.version, "digest": version.digest, "made": time(base.fact.made),
            "description": base.label.spec.description, "owner": base.label.spec.owner, "tags": base.label.spec.tags,
        })
    };
    let row = |base: &BaseEntry| {
        let version = &base.fact.version;
        vec![
            name(version),
            version.digest.short().to_owned(),
            time(base.fact.made),
            base.label.spec.description.clone(),
        ]
    };
    let text = if bases.is_empty() {
        "there is no base yet: till base build bases/debian".to_owned()
    } else {
        table(&bases.iter().map(row).collect::<Vec<_>>())
    };
    screen.result(&json!({ "items": bases.iter().map(item).collect::<Vec<_>>() }), &text);
    Ok(())
}

fn show(base: &BaseEntry, screen: &Screen) {
    let version = &base.fact.version;
    let spec = &base.label.spec;
    let size: u64 = base.image.layers.iter().map(|layer| layer.size).sum();
    let layers: Vec<_> = base.image.layers.iter().map(|layer| json!({ "digest": layer.blob, "diff_id": layer.diff_id, "size": layer.size, "media_type": layer.media_type })).collect();
    let value = json!({
        "name": version.name,
        "version": version.version,
        "digest": version.digest,
        "made": time(base.fact.made),
        "plan": base.fact.plan,
        "from": base.label.from.as_ref().map(name),
        "size": size,
        "layers": layers,
        "spec": spec,
    });
    let mut rows = vec![
        ("base", name(version)),
        ("digest", version.digest.to_string()),
        ("description", spec.description.clone()),
        ("owner", spec.owner.clone()),
        ("tags", spec.tags.join(", ")),
        ("from", base.label.from.as_ref().map_or("nothing".to_owned(), name)),
        ("made", time(base.fact.made)),
        ("size", format!("{} MB in {} layers, compressed", size / 1_000_000, layers.len())),
    ];
    for require in &spec.contract.require {
        rows.push(("expects", require.any.join(" or ")));
    }
    for (name, parameter) in &spec.contract.parameter {
        rows.push(("parameter", format!("{name} = \"{}\"  {}", parameter.default, parameter.description)));
    }
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_owned(), value]).collect();
    screen.result(&value, &table(&rows));
}
