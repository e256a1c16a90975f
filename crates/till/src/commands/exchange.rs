//! `till push` and `till pull`.

use serde_json::json;
use till_core::Failure;
use till_engine::{Engine, PushWish};

use super::artifact::form;
use super::base::naming;
use crate::cli::{ExportCompression, Pull, Push};
use crate::screen::Screen;

pub(super) async fn push(engine: &Engine, wish: Push, screen: &Screen) -> Result<(), Failure> {
    // They speak of the image as it is here: of one whose layers are compressed in another way they would say nothing.
    let referrers = match wish.compression {
        ExportCompression::Keep => engine.documents_of(&wish.image).await?,
        _ => Vec::new(),
    };
    let wish = PushWish {
        wanted: wish.image,
        to: wish.reference,
        compression: form(wish.compression),
        sibling: wish.mount_from,
        referrers,
    };
    let pushed = engine.push(&wish).await?;
    let blobs = &pushed.blobs;
    let value = json!({ "digest": pushed.digest, "reference": pushed.reference.to_string(), "blobs": blobs });
    let text = format!(
        "{} {}: {} blobs sent ({:.1} MB), {} were there",
        pushed.reference,
        pushed.digest,
        blobs.sent,
        blobs.bytes as f64 / 1e6,
        blobs.skipped + blobs.mounted
    );
    screen.result(&value, &text);
    Ok(())
}

pub(super) async fn pull(engine: &Engine, wish: Pull, screen: &Screen) -> Result<(), Failure> {
    let (naming, limits) = naming(&wish.reference.to_string(), &wish.about)?;
    let (made, pulled) = engine.pull_base(&wish.reference, &naming, &limits, screen).await?;
    let blobs = &pulled.blobs;
    let digest = &pulled.image.manifest;
    let reference = pulled.reference.to_string();
    let version = &made.base.fact.version;
    let value = json!({
        "digest": digest,
        "reference": reference,
        "index": pulled.index,
        "name": version.name,
        "version": version.version,
        "external": true,
        "notices": made.notices,
        "blobs": blobs,
    });
    let text = format!(
        "{version} {digest} from {reference}: {} blobs received ({:.1} MB), {} were there",
        blobs.received,
        blobs.bytes as f64 / 1e6,
        blobs.skipped
    );
    screen.result(&value, &text);
    Ok(())
}
