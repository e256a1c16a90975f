//! An archive of exactly the packages that were chosen, in Debian's repository format, and the steps that use it.
//!
//! Nothing else is in it, so apt has nothing to choose: the order of work and its outcome are the same each time.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Package, Pinned};
use crate::digest::Digest;
use crate::plan::{Deed, Mounted, Network, Plan, Reuse, Step, StepMount, digest_of};

/// Where the archive is lent to a step.
pub const PLACE: &str = "/run/till-packages";
/// Where a step that is watched leaves what apt got for it.
pub const RECORD: &str = "/run/till-record";
/// Where apt's settings are lent to a step. Not in `/etc/apt`, where a step may want to clear up.
const SETTINGS: &str = "/run/till-apt.conf";

/// apt's settings for a step that is lent the archive. Sources and pins, also those that the step itself writes, are of no
/// effect: what they came to is in the archive.
const USE: &str = "Dir::Etc::SourceList \"/run/till-packages/sources.list\";\nDir::Etc::SourceParts \"/dev/null\";\n\
    Dir::Etc::Preferences \"/dev/null\";\nDir::Etc::PreferencesParts \"/dev/null\";\n";
/// apt's settings for a step that is watched: before packages are unpacked, and after lists came, copies are kept.
/// (Strings of apt.conf know no escapes, so the name is not quoted but kept whole by `IFS`.)
const WATCH: &str = "DPkg::Pre-Install-Pkgs { \"set -f; IFS=; while read -r file; do cp -- $file /run/till-record/; done\"; };\n\
    APT::Update::Post-Invoke-Success { \"cp -- /var/lib/apt/lists/*Release /var/lib/apt/lists/*_Packages \
    /run/till-record/ 2>/dev/null || true\"; };\nAcquire::GzipIndexes \"false\";\n";

/// The file that holds a package there.
pub fn file(digest: &Digest) -> String {
    format!("{}.deb", digest.hex())
}

/// The folder of an archive, among those of one making.
pub fn folder(packages: &[Pinned]) -> String {
    digest_of(&packages).hex().to_owned()
}

/// A package on disk.
#[derive(Debug, Clone)]
pub struct Stored<'a> {
    /// Which.
    pub package: &'a Pinned,
    /// The bytes of its file.
    pub size: u64,
    /// Its control file.
    pub control: String,
}

/// The texts that make a folder of packages an archive: `Packages`, `Release`, `sources.list`. `suite` is
/// what it is called.
pub fn index(packages: &[Stored<'_>], suite: &str) -> BTreeMap<&'static str, String> {
    let mut sorted: Vec<_> = packages.iter().collect();
    sorted.sort_by_key(|stored| stored.package);
    let mut text = String::new();
    for Stored { package, size, control } in sorted {
        let own = ["Filename", "Size", "SHA256"];
        let mut ours = true;
        for line in control.lines().filter(|line| !line.trim().is_empty()) {
            // Lines that begin with a blank belong to the field above.
            if !line.starts_with([' ', '\t']) {
                ours = line.split(':').next().is_some_and(|field| own.contains(&field));
            }
            if !ours {
                let _ = writeln!(text, "{line}");
            }
        }
        let _ =
            writeln!(text, "Filename: ./{}\nSize: {}\nSHA256: {}\n", file(&package.digest), size, package.digest.hex());
    }
    let sum = Digest::of(text.as_bytes());
    let release = format!("Suite: {suite}\nCodename: {suite}\nSHA256:\n {} {} Packages\n", sum.hex(), text.len());
    // Its packages were compared with their digests when they were put there: no signature could say more.
    let sources = format!("deb [trusted=yes] copy:{PLACE} ./\n");
    BTreeMap::from([("Packages", text), ("Release", release), ("sources.list", sources)])
}

/// The packages as they go into a plan, sorted.
pub fn pinned(packages: &[Package]) -> Vec<Pinned> {
    let mut all: Vec<_> = packages.iter().map(Pinned::from).collect();
    all.sort();
    all.dedup();
    all
}

/// The mount that lends a step an archive of these packages.
pub fn lent(packages: &[Pinned]) -> StepMount {
    StepMount { path: PLACE.to_owned(), what: Mounted::Packages(packages.to_vec()), write: false }
}

/// The lists of packages that a plan needs an archive of.
pub fn lists(plan: &Plan) -> Vec<&[Pinned]> {
    let deeds = plan.stages.iter().flat_map(|stage| &stage.deeds);
    let lists = deeds.flat_map(|deed| match deed {
        Deed::Bootstrap(_) => vec![plan.packages.as_slice()],
        Deed::Run(step) => {
            let lent = step.mounts.iter().filter_map(|mount| match &mount.what {
                Mounted::Packages(list) => Some(list.as_slice()),
                _ => None,
            });
            lent.collect()
        }
        Deed::Inject(_) => Vec::new(),
    });
    lists.collect()
}

/// The same plan, whose steps get the packages that are theirs from archives of just those.
#[must_use]
pub fn locked(plan: &Plan, packages: &[Package]) -> Plan {
    let mut plan = plan.clone();
    plan.packages = pinned(packages);
    for (number, step) in steps(&mut plan).into_iter().enumerate() {
        let own: Vec<_> = packages.iter().filter(|package| package.steps.contains(&number)).cloned().collect();
        if !own.is_empty() {
            lend(step, lent(&pinned(&own)), USE);
        }
    }
    plan
}

/// The same plan, watched: what apt gets for its steps is kept, and no such step is taken from before.
#[must_use]
pub fn watched(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for (number, step) in steps(&mut plan).into_iter().enumerate() {
        lend(step, StepMount { path: RECORD.to_owned(), what: Mounted::Record(number), write: true }, WATCH);
    }
    for stage in &mut plan.stages {
        if stage.deeds.iter().any(|deed| matches!(deed, Deed::Run(step) if has_network(step))) {
            stage.reuse = Reuse::Never;
        }
    }
    plan
}

/// Is there a step that may get packages?
pub fn may_fetch(plan: &Plan) -> bool {
    let mut deeds = plan.stages.iter().flat_map(|stage| &stage.deeds);
    deeds.any(|deed| matches!(deed, Deed::Run(step) if has_network(step)))
}

fn has_network(step: &Step) -> bool {
    step.network != Network::None
}

/// The steps that may reach a network, in the order of the plan.
fn steps(plan: &mut Plan) -> Vec<&mut Step> {
    let deeds = plan.stages.iter_mut().flat_map(|stage| &mut stage.deeds);
    let steps = deeds.filter_map(|deed| match deed {
        Deed::Run(step) if has_network(step) => Some(step),
        _ => None,
    });
    steps.collect()
}

fn lend(step: &mut Step, mount: StepMount, settings: &str) {
    let what = Mounted::Script(settings.to_owned());
    step.mounts.extend([mount, StepMount { path: SETTINGS.to_owned(), what, write: false }]);
    step.env.insert("APT_CONFIG".to_owned(), SETTINGS.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, steps: &[usize]) -> Package {
        Package {
            name: name.to_owned(),
            version: "1".to_owned(),
            architecture: "all".to_owned(),
            digest: Digest::of(name.as_bytes()),
            size: 3,
            path: None,
            security: None,
            steps: steps.to_vec(),
        }
    }

    #[test]
    fn an_index_is_the_same_in_whatever_order_packages_come() {
        let (a, b) = (Pinned::from(&package("a", &[])), Pinned::from(&package("b", &[])));
        let stored = |package, name: &str| Stored {
            package,
            size: 3,
            control: format!("Package: {name}\nSize: 7\n more of it\nDescription: x\n more\n\n"),
        };
        let first = index(&[stored(&a, "a"), stored(&b, "b")], "bookworm");
        assert_eq!(first, index(&[stored(&b, "b"), stored(&a, "a")], "bookworm"));
        let hex = a.digest.hex();
        let expected = format!("Package: a\nDescription: x\n more\nFilename: ./{hex}.deb\nSize: 3\nSHA256: {hex}\n\n");
        assert!(first["Packages"].starts_with(&expected), "{}", first["Packages"]);
        let sum = Digest::of(first["Packages"].as_bytes());
        let said = format!(" {} {} Packages\n", sum.hex(), first["Packages"].len());
        assert!(first["Release"].ends_with(&said), "{}", first["Release"]);
    }
}
