//! W5: the image of W2 sent to a registry and written as a layout, the first time and again.

use std::fs;

use anyhow::Result;

use super::{Case, Contestant, Part, Row, tree};
use crate::bench::machine::{self, Limit};
use crate::bench::peers::{Containers, Docker, Registry};
use crate::bench::sample::{Role, Sample};
use crate::bench::stage::Stage;
use crate::bench::wanted::Wanted;

/// Where an image goes, and where the parts of the first time and of the next are.
#[derive(Debug, Clone, Copy)]
enum Way {
    Push,
    Layout,
}

const COMPRESSIONS: [&str; 2] = ["zstd", "gzip"];

pub(super) fn ship(stage: &Stage) -> Result<Case<'_>> {
    tree::small_image(stage)?;
    stage.hand_over("artifact", "w2")?;
    let mut all = Vec::new();
    for way in [Way::Push, Way::Layout] {
        for compression in COMPRESSIONS {
            all.push(Contestant::new(way.rows("till", Role::Ours, compression), move |_| way.ours(stage, compression)));
        }
    }
    if let Some(docker) = &stage.docker {
        // It knows no other, and writes no layouts.
        let rows = Way::Push.rows("docker", Role::Peer, "gzip");
        all.push(Contestant::new(rows, move |_| docker_push(stage, docker)));
    }
    if let Some(buildah) = stage.buildah() {
        for way in [Way::Push, Way::Layout] {
            for compression in COMPRESSIONS {
                let rows = way.rows("buildah", Role::Peer, compression);
                all.push(Contestant::new(rows, move |_| way.buildah(stage, buildah, compression)));
            }
        }
    }
    Ok(Case { idle: 0, parts: parts(machine::archive(stage, "small")?, machine::process()?), contestants: all })
}

/// The first times are compared with others of the same compression; again is a matter of milliseconds.
fn parts(archive: Limit, process: Limit) -> Vec<Part> {
    let first = |name, title| Part { name, title, wanted: Wanted::Ratio(0.5), limit: Some(archive.clone()) };
    let again = |name, title| Part { name, title, wanted: Wanted::Seconds(0.05), limit: Some(process.clone()) };
    vec![
        first("push zstd", "the image of W2 to an empty registry, zstd"),
        first("push gzip", "the same, gzip"),
        again("push again", "the same to the same registry once more"),
        first("layout zstd", "the image of W2 into a new OCI layout, zstd"),
        first("layout gzip", "the same, gzip"),
        again("layout again", "the same into the same layout once more"),
    ]
}

impl Way {
    /// A row for the first time, and one for the next, in [`parts`].
    fn rows(self, name: &str, role: Role, compression: &str) -> Vec<Row> {
        let first = match self {
            Self::Push => 0,
            Self::Layout => 3,
        };
        let here = first + COMPRESSIONS.iter().position(|one| *one == compression).unwrap_or(0);
        vec![Row::new(here, name, role), Row::new(first + 2, &format!("{name}, {compression}"), role)]
    }

    fn ours(self, stage: &Stage, compression: &str) -> Result<[Sample; 2]> {
        let run = |words: &[&str]| Ok(stage.till.run(&[words, &["--compression", compression]].concat())?.sample);
        match self {
            Self::Push => {
                let registry = Registry::start(&stage.place)?;
                twice(|| run(&["push", "w2", &registry.at("w2:1")]))
            }
            Self::Layout => {
                let target = new_layout(stage);
                twice(|| run(&["artifact", "export", "w2", &target]))
            }
        }
    }

    fn buildah(self, stage: &Stage, buildah: &Containers, compression: &str) -> Result<[Sample; 2]> {
        let script = "buildah push --tls-verify=false --compression-format \"$1\" localhost/w2 \"$2\"";
        let push = |target: &str| twice(|| Ok(buildah.run(script, &[compression, target])?.sample));
        match self {
            Self::Push => {
                let registry = Registry::start(&stage.place)?;
                push(&format!("docker://{}", registry.at("w2:1")))
            }
            Self::Layout => push(&new_layout(stage)),
        }
    }
}

fn docker_push(stage: &Stage, docker: &Docker) -> Result<[Sample; 2]> {
    let registry = Registry::start(&stage.place)?;
    let at = registry.at("w2");
    docker.run(&["tag", "w2", &at])?;
    twice(|| Ok(docker.run(&["push", "--quiet", &at])?.sample))
}

fn twice(mut run: impl FnMut() -> Result<Sample>) -> Result<[Sample; 2]> {
    Ok([run()?, run()?])
}

/// Where there is none: nobody finds what another has written.
fn new_layout(stage: &Stage) -> String {
    let folder = stage.place.join("layout");
    let _ = fs::remove_dir_all(&folder);
    format!("oci:{}", folder.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_has_its_parts() {
        let limit = (1.0, String::new());
        let parts = parts(limit.clone(), limit);
        for (way, compression, names) in [
            (Way::Push, "zstd", ["push zstd", "push again"]),
            (Way::Push, "gzip", ["push gzip", "push again"]),
            (Way::Layout, "zstd", ["layout zstd", "layout again"]),
            (Way::Layout, "gzip", ["layout gzip", "layout again"]),
        ] {
            let rows = way.rows("a", Role::Peer, compression);
            let found: Vec<_> = rows.iter().map(|row| parts[row.part].name).collect();
            assert_eq!(found, names);
        }
    }
}
