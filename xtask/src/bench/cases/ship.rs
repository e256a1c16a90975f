//! W5: the image of W2 sent to a registry and written as a layout, the first time and again.

use std::fs;

use anyhow::Result;

use super::{Case, Contestant, build};
use crate::bench::machine;
use crate::bench::peers::Registry;
use crate::bench::sample::Sample;
use crate::bench::stage::Stage;

/// Each registry and each layout is empty at first: nobody finds what another has sent.
pub(super) fn ship(stage: &Stage) -> Result<Case<'_>> {
    build::small_tree(stage)?;
    stage.hand_over("artifact", "w2")?;
    let mut all = Vec::new();
    for (name, compression) in [("till, push zstd", "zstd"), ("till, push gzip", "gzip")] {
        all.push(Contestant::ours_by(name, move |_| Ok(ours(stage, compression)?[0])));
    }
    all.push(Contestant::ours_by("till, push zstd again", move |_| Ok(ours(stage, "zstd")?[1])));
    all.push(Contestant::ours_by("till, layout zstd", move |_| {
        let _ = fs::remove_dir_all(stage.place.join("layout"));
        let target = format!("oci:{}", stage.place.join("layout").display());
        Ok(stage.till.run(&["artifact", "export", "w2", &target, "--compression", "zstd"])?.sample)
    }));
    if let Some(docker) = &stage.docker {
        all.push(Contestant::peer("docker, push gzip", move |_| {
            let registry = Registry::start(&stage.place)?;
            let at = registry.at("w2");
            docker.run(&["tag", "w2", &at])?;
            Ok(docker.run(&["push", "--quiet", &at])?.sample)
        }));
    }
    if let Some(buildah) = stage.buildah() {
        for (name, format) in [("buildah, push zstd", "zstd"), ("buildah, push gzip", "gzip")] {
            all.push(Contestant::peer(name, move |_| {
                let registry = Registry::start(&stage.place)?;
                let script = "buildah push --tls-verify=false --compression-format \"$1\" localhost/w2 docker://\"$2\"";
                Ok(buildah.run(script, &[format, &registry.at("w2")])?.sample)
            }));
        }
        all.push(Contestant::peer("buildah, layout zstd", move |_| {
            let _ = fs::remove_dir_all(stage.place.join("layout"));
            let target = format!("oci:{}", stage.place.join("layout").display());
            Ok(buildah.run("buildah push --compression-format zstd localhost/w2 \"$1\"", &[&target])?.sample)
        }));
    }
    Ok(Case {
        title: "the image of W2 to a registry and into an OCI layout (the first row is compared)",
        idle: 0,
        wanted: "≤ 0.5; again ≤ 50 ms",
        limit: Some(machine::archive(stage, "small")?),
        contestants: all,
    })
}

/// Into an empty registry, and once more.
fn ours(stage: &Stage, compression: &str) -> Result<[Sample; 2]> {
    let registry = Registry::start(&stage.place)?;
    let words = ["push", "w2", &registry.at("w2:1"), "--compression", compression];
    let first = stage.till.run(&words)?.sample;
    Ok([first, stage.till.run(&words)?.sample])
}
