//! `till base build|verify|list|show|usage|import|export|remove`.

use serde_json::{Value, json};
use till_core::contract::{Contract as _, ContractSpec};
use till_core::model::base_lock::{self, PackageChange};
use till_core::model::{BaseLock, BaseRef, BaseVersion, ExternalFile, ImageName};
use till_core::{Failure, Fault};
use till_engine::{BaseAbout, BaseEntry, BaseImported, DiskImportWish, Engine, ImportWish, LockUse, Naming, Remake};
use till_image::{Destination, ImportLimits, ImportSource, Policy};

use super::artifact::{exported_to, form};
use super::{disk, steps, table, time};
use crate::cli::{AboutBase, Base, Import, Setuid};
use crate::screen::{Screen, clean};

pub(super) async fn run(engine: &Engine, command: Base, screen: &Screen) -> Result<(), Failure> {
    match command {
        Base::Build { path, afresh, locked, lock } => {
            let lock = lock.unwrap_or_else(|| path.join(base_lock::FILE));
            let lock = if locked { LockUse::Follow(lock) } else { LockUse::Refresh(lock) };
            build(engine, &path, &Remake { afresh, lock }, screen).await
        }
        Base::Verify { base } => verify(engine, &base, screen).await,
        Base::List => list(engine, screen).await,
        Base::Show { base } => {
            let entry = engine.base(&base).await?;
            show(&entry, engine.base_lock(&entry).await?.as_ref(), screen);
            Ok(())
        }
        Base::Usage { base } => {
            let text = engine.usage(&base).await?;
            screen.result(&json!({ "base": base.to_string(), "usage": text }), clean(&text).trim_end());
            Ok(())
        }
        Base::Import(wish) => import(engine, &wish, screen).await,
        Base::Export { base, target, compression, disk } => {
            if let Some(wish) = disk::wished(&target, &disk)? {
                let (entry, written) = engine.export_base_disk(&base, &wish, screen).await?;
                disk::show(&target, &wish, &written, json!({ "base": name(&entry.fact.version) }), screen);
                return Ok(());
            }
            let to = Destination::parse(&target)?;
            let (entry, exported) = engine.export_base(&base, &to, form(compression)).await?;
            let mut value = exported_to(&to, &exported);
            value["base"] = json!(name(&entry.fact.version));
            value["digest"] = json!(entry.fact.version.digest);
            screen.result(&value, &format!("{target} {exported}"));
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

async fn build(engine: &Engine, path: &std::path::Path, remake: &Remake, screen: &Screen) -> Result<(), Failure> {
    screen.say(&format!("base {}", path.display()));
    let source = till_ground::source::folder(path).await?;
    let made = engine.recreate(path, &*source, remake, screen).await?;
    let (LockUse::Refresh(lock) | LockUse::Follow(lock)) = &remake.lock;
    let version = &made.fact.version;
    let value = json!({
        "name": version.name,
        "version": version.version,
        "digest": version.digest,
        "plan": made.fact.plan,
        "from": made.label.from.as_ref().map(name),
        "reused": made.reused,
        "steps": steps(&made.steps),
        "lock": lock,
        "locked": matches!(remake.lock, LockUse::Follow(_)),
        "packages": made.lock.package.len(),
        "changes": made.changes,
    });
    let mut lines: Vec<_> = made.changes.iter().map(changed).collect();
    lines.push(if made.reused {
        format!("{} is made already ({}); --afresh makes it all the same", name(version), version.digest.short())
    } else {
        format!("{} {}", name(version), version.digest)
    });
    screen.result(&value, &clean(&lines.join("\n")));
    Ok(())
}

/// What became of a package, on one line.
fn changed(change: &PackageChange) -> String {
    let version = |version: &Option<String>| version.clone().unwrap_or("none".to_owned());
    let security = if change.security == Some(true) { " (security)" } else { "" };
    format!("{}: {} → {}{security}", change.package, version(&change.from), version(&change.to))
}

async fn verify(engine: &Engine, base: &BaseRef, screen: &Screen) -> Result<(), Failure> {
    let kept = engine.recipe(base).await?;
    let source = till_ground::source::folder(&kept.folder()).await?;
    let verified = engine.verify(&kept, &*source, screen).await?;
    let name = name(&verified.version);
    let Some(differences) = &verified.differences else {
        let value = json!({
            "name": verified.version.name,
            "version": verified.version.version,
            "digest": verified.version.digest,
            "rebuilt": verified.digest,
            "same": true,
            "differences": null,
        });
        screen.result(&value, &format!("{name} comes out the same, byte for byte: {}", verified.digest));
        return Ok(());
    };
    let what = format!("{name} is {}, but made again it is {}", verified.version.digest, verified.digest);
    Err(Failure::new(Fault::Base, what)
        .evidence(differences.lines(200))
        .hint("a step of its recipe gives something else each time, or something that it gets is not in the lock"))
}

/// What the base will be, and what it may have.
pub(super) fn naming(typed: &str, about: &AboutBase) -> Result<(Naming, ImportLimits), Failure> {
    let file = match &about.contract {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| Failure {
                fault: Fault::Caller,
                ..Failure::house(format!("cannot read `{}`", path.display()), error)
            })?;
            ExternalFile::parse(&text)?
        }
        None => ExternalFile::default(),
    };
    let setuid = match about.setuid {
        Setuid::Keep => Policy::Keep,
        Setuid::Refuse => Policy::Refuse,
    };
    let naming = Naming { typed: typed.to_owned(), name: about.name.clone(), file };
    Ok((naming, ImportLimits { setuid, ..ImportLimits::default() }))
}

/// Places on this machine begin with how they are laid out; anything else is in a registry.
fn is_local(source: &str) -> bool {
    ["oci:", "oci-archive:", "docker-archive:"].iter().any(|transport| source.starts_with(transport))
}

async fn import(engine: &Engine, wish: &Import, screen: &Screen) -> Result<(), Failure> {
    let (naming, limits) = naming(&wish.source, &wish.about)?;
    let BaseImported { base, notices } = if wish.source.starts_with("disk:") {
        let (file, format) = disk::place(&wish.source)?;
        engine.import_disk(&DiskImportWish { file, format, naming, limits }, screen).await?
    } else if is_local(&wish.source) {
        let source = ImportSource::parse(&wish.source)?;
        engine.import_base(&ImportWish { source, naming, limits }, screen).await?
    } else {
        let text = wish.source.strip_prefix("docker://").unwrap_or(&wish.source);
        let reference = text.parse::<ImageName>().map_err(|error| {
            Failure::new(Fault::Caller, error.to_string())
                .hint("oci:DIR, oci-archive:FILE, docker-archive:FILE or HOST/REPOSITORY:TAG")
        })?;
        engine.pull_base(&reference, &naming, &limits, screen).await?.0
    };
    let version = &base.fact.version;
    let origin = base.about.external();
    let value = json!({
        "name": version.name,
        "version": version.version,
        "digest": version.digest,
        "external": true,
        "origin": origin,
        "notices": notices,
    });
    let chosen = match origin.and_then(|origin| origin.index.as_ref().zip(Some(&origin.platforms))) {
        Some((index, platforms)) => format!("; one of {} platforms of index {index}", platforms.len()),
        None => String::new(),
    };
    screen.result(&value, &format!("{} {}{chosen}", name(version), version.digest));
    Ok(())
}

/// A base's `base.toml`; of one that others made, what would stand there if it could.
fn spec(about: &BaseAbout) -> Value {
    match about {
        BaseAbout::Made(label) => json!(label.spec),
        BaseAbout::External(external) => {
            let mut spec = json!(external.spec);
            spec["recipe"] = json!({ "kind": "external" });
            if external.spec.contract.is_none() {
                spec["contract"] = json!({ "kind": "none" });
            }
            spec
        }
    }
}

async fn list(engine: &Engine, screen: &Screen) -> Result<(), Failure> {
    let bases = engine.bases().await?;
    let item = |base: &BaseEntry| {
        let version = &base.fact.version;
        json!({
            "name": version.name, "version": version.version, "digest": version.digest, "made": time(base.fact.made),
            "description": base.about.description(), "owner": base.about.owner(), "tags": base.about.tags(),
            "external": base.about.external().is_some(),
        })
    };
    let row = |base: &BaseEntry| {
        let version = &base.fact.version;
        vec![
            name(version),
            version.digest.short().to_owned(),
            time(base.fact.made),
            if base.about.external().is_some() { "external" } else { "" }.to_owned(),
            base.about.description().to_owned(),
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

fn show(base: &BaseEntry, lock: Option<&BaseLock>, screen: &Screen) {
    let version = &base.fact.version;
    let size: u64 = base.image.layers.iter().map(|layer| layer.size).sum();
    let layers: Vec<_> = base.image.layers.iter().map(|layer| json!({ "digest": layer.blob, "diff_id": layer.diff_id, "size": layer.size, "media_type": layer.media_type })).collect();
    let value = json!({
        "name": version.name,
        "version": version.version,
        "digest": version.digest,
        "made": time(base.fact.made),
        "plan": base.fact.plan,
        "from": base.about.from().map(name),
        "size": size,
        "layers": layers,
        "spec": spec(&base.about),
        "external": base.about.external().is_some(),
        "origin": base.about.external(),
        "lock": lock,
    });
    let mut rows = vec![
        ("base", name(version)),
        ("digest", version.digest.to_string()),
        ("description", base.about.description().to_owned()),
        ("owner", base.about.owner().to_owned()),
        ("tags", base.about.tags().join(", ")),
        ("from", base.about.from().map_or("nothing".to_owned(), name)),
        ("made", time(base.fact.made)),
        ("size", format!("{} MB in {} layers, compressed", size / 1_000_000, layers.len())),
    ];
    if let Some(lock) = lock {
        let suites: Vec<_> = lock.suite.iter().map(|suite| format!("{} of {}", suite.name, suite.date)).collect();
        rows.push(("locked", format!("{} packages; {}", lock.package.len(), suites.join(", "))));
    }
    if let Some(origin) = base.about.external() {
        rows.push(("external", format!("from {}; it cannot be made again, only imported again", origin.source)));
    }
    if let Some(system) = base.about.system() {
        rows.push(("system", format!("{}, on a disk that only it reads", system.kind.as_str())));
    }
    let contract = base.about.contract();
    rows.extend(contract.map(ContractSpec::expects).unwrap_or_default().into_iter().map(|what| ("expects", what)));
    if let Some(ContractSpec::Command(contract)) = contract {
        for (name, parameter) in &contract.parameter {
            rows.push(("parameter", format!("{name} = \"{}\"  {}", parameter.default, parameter.description)));
        }
    }
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| vec![key.to_owned(), value]).collect();
    screen.result(&value, &table(&rows));
}
