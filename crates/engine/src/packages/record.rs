//! What apt got for the steps of a Dockerfile that were watched: packages, and what mirrors said of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use till_core::packages::{Package, Resolved, apt};
use till_core::{Digest, Failure};
use till_image::Store;

use super::{names, releases, take};

/// An index of Debian has 60 MB; no line of one has a hundredth of this.
const MAX_INDEX: u64 = 1 << 30;

/// Reads the folders of all steps. The packages are in the store afterwards.
pub(super) fn read(store: &Store, folder: &Path) -> Result<Resolved, Failure> {
    let mut found: BTreeMap<Digest, Package> = BTreeMap::new();
    let mut suites = BTreeSet::new();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let numbered = entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<usize>().ok()?, entry.path())));
    let mut steps: Vec<_> = numbered.collect();
    steps.sort();
    for (number, folder) in &steps {
        for name in names(folder)?.iter().filter(|name| name.ends_with(".deb")) {
            let package = package(store, &folder.join(name))?;
            let package = found.entry(package.digest.clone()).or_insert(package);
            if !package.steps.contains(number) {
                package.steps.push(*number);
            }
        }
        suites.extend(releases(folder)?.iter().filter_map(|(name, text)| apt::suite(name, text)));
    }
    for (_, folder) in &steps {
        locate(folder, &mut found)?;
    }
    let mut packages: Vec<_> = found.into_values().collect();
    packages.sort();
    Ok(Resolved { packages, suites: suites.into_iter().collect() })
}

fn package(store: &Store, path: &Path) -> Result<Package, Failure> {
    let control = till_image::control(path)?;
    let field = |name: &str| {
        let found = control.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.map(|value| value.trim().to_owned()).unwrap_or_default()
    };
    let (digest, size) = take(store, path)?;
    Ok(Package {
        name: field("Package"),
        version: field("Version"),
        architecture: field("Architecture"),
        digest,
        size,
        path: None,
        security: None,
        steps: Vec::new(),
    })
}

/// Looks up in the indexes of mirrors where packages are.
fn locate(folder: &Path, found: &mut BTreeMap<Digest, Package>) -> Result<(), Failure> {
    for name in names(folder)?.iter().filter(|name| name.ends_with("_Packages")) {
        let path = folder.join(name);
        let file = std::fs::File::open(&path);
        let file = file.map_err(|error| Failure::house(format!("cannot read `{}`", path.display()), error))?;
        let lines = BufReader::new(file.take(MAX_INDEX)).lines().map_while(Result::ok);
        apt::indexed(name, lines, |sum, place, security| {
            let digest = format!("sha256:{sum}").parse::<Digest>();
            if let Some(package) = digest.ok().and_then(|digest| found.get_mut(&digest)) {
                package.path.get_or_insert(place);
                // It is one if any archive for security has it.
                package.security = Some(security || package.security == Some(true));
            }
        });
    }
    Ok(())
}
