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

/// apt's settings for a step that is lent the archive. Lines that a step itself adds to apt's sources are of no effect.
const USE: &str = "Dir::Etc::SourceList \"/run/till-packages/sources.list\";\nDir::Etc::SourceParts \"/dev/null\";\n";
/// apt's settings for a step that is watched: before packages are unpacked, and after lists came, copies are kept.
/// (Strings of apt.conf know no escapes, so the name is not quoted but kept whole by `IFS`.)
const WATCH: &str = "DPkg::Pre-Install-Pkgs { \"set -f; IFS=; while read -r file; do cp -- $file /run/till-record/; done\"; };\n\
    APT::Update::Post-Invoke-Success { \"cp -- /var/lib/apt/lists/*Release /run/till-record/ 2>/dev/null || true\"; };\n";

/// The file that holds a package there.
pub fn file(digest: &Digest) -> String {
    format!("{}.deb", digest.hex())
}

/// The texts that make a folder of packages an archive: `Packages`, `Release`, `sources.list`. With each package goes its
/// control file; `suite` is what the archive is called.
pub fn index(packages: &[(&Package, String)], suite: &str) -> BTreeMap<&'static str, String> {
    let mut sorted: Vec<_> = packages.iter().collect();
    sorted.sort_by_key(|(package, _)| Pinned::from(*package));
    let mut text = String::new();
    for (package, control) in sorted {
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
        let _ = writeln!(
            text,
            "Filename: ./{}\nSize: {}\nSHA256: {}\n",
            file(&package.digest),
            package.size,
            package.digest.hex()
        );
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

/// The mount that lends a step the archive of these packages.
pub fn lent(packages: &[Pinned]) -> StepMount {
    StepMount { path: PLACE.to_owned(), what: Mounted::Packages(digest_of(&packages)), write: false }
}

/// The same plan, whose steps with a network get packages from an archive of just these.
#[must_use]
pub fn locked(plan: &Plan, packages: &[Package]) -> Plan {
    let pinned = pinned(packages);
    if pinned.is_empty() {
        return plan.clone();
    }
    let settings = |text: &str| StepMount {
        path: "/etc/apt/apt.conf.d/zz-till".to_owned(),
        what: Mounted::Script(text.to_owned()),
        write: false,
    };
    let mut plan = with_mounts(plan, &[lent(&pinned), settings(USE)]);
    plan.packages = pinned;
    plan
}

/// The same plan, watched: what apt gets for its steps is kept, and no such step is taken from before.
#[must_use]
pub fn watched(plan: &Plan) -> Plan {
    let record = StepMount { path: RECORD.to_owned(), what: Mounted::Record, write: true };
    let settings = StepMount {
        path: "/etc/apt/apt.conf.d/zz-till".to_owned(),
        what: Mounted::Script(WATCH.to_owned()),
        write: false,
    };
    let mut plan = with_mounts(plan, &[record, settings]);
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

fn with_mounts(plan: &Plan, mounts: &[StepMount]) -> Plan {
    let mut plan = plan.clone();
    for deed in plan.stages.iter_mut().flat_map(|stage| &mut stage.deeds) {
        if let Deed::Run(step) = deed
            && has_network(step)
        {
            step.mounts.extend_from_slice(mounts);
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: "1".to_owned(),
            architecture: "all".to_owned(),
            digest: Digest::of(name.as_bytes()),
            size: 3,
            path: None,
            security: None,
        }
    }

    #[test]
    fn an_index_is_the_same_in_whatever_order_packages_come() {
        let (a, b) = (package("a"), package("b"));
        let control = |name: &str| format!("Package: {name}\nSize: 7\n more of it\nDescription: x\n more\n\n");
        let first = index(&[(&a, control("a")), (&b, control("b"))], "bookworm");
        assert_eq!(first, index(&[(&b, control("b")), (&a, control("a"))], "bookworm"));
        let hex = a.digest.hex();
        let expected = format!("Package: a\nDescription: x\n more\nFilename: ./{hex}.deb\nSize: 3\nSHA256: {hex}\n\n");
        assert!(first["Packages"].starts_with(&expected), "{}", first["Packages"]);
        let sum = Digest::of(first["Packages"].as_bytes());
        let said = format!(" {} {} Packages\n", sum.hex(), first["Packages"].len());
        assert!(first["Release"].ends_with(&said), "{}", first["Release"]);
    }
}
