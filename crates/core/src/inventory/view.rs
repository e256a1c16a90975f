//! Layers over each other: what is left of what each of them says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Distribution, Finding, Found, Inventory, LayerFiles, Package};
use crate::digest::DiffId;

/// What was found in one layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerScan {
    /// By path: what the files say that say something. A file that was looked at and says nothing may be missing.
    pub found: BTreeMap<String, Found>,
    /// What it adds and removes.
    pub files: LayerFiles,
    /// What was wrong with the layer as a whole.
    pub findings: Vec<String>,
}

/// What is seen of a stack of layers. May be kept: what lies above needs no more than this.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    files: BTreeMap<String, Seen>,
    findings: Vec<Finding>,
}

/// What a file says that nothing above hides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    found: Found,
    /// The layer that holds the file.
    layer: DiffId,
    /// The layers that brought packages which an older state of the file had already, by their place in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    older: BTreeMap<usize, DiffId>,
}

impl Seen {
    fn layer_of(&self, place: usize) -> &DiffId {
        self.older.get(&place).unwrap_or(&self.layer)
    }
}

impl View {
    /// Lays a layer over all those before.
    pub fn add(&mut self, layer: &DiffId, scan: LayerScan) {
        let mut new: BTreeMap<String, Seen> = BTreeMap::new();
        for (path, found) in scan.found {
            let older = self.files.get(&path).map(|old| kept(old, &found)).unwrap_or_default();
            new.insert(path, Seen { found, layer: layer.clone(), older });
        }
        scan.files.hide(&mut self.files);
        self.files.extend(new);
        self.findings.extend(scan.findings.into_iter().map(|what| Finding { path: String::new(), what }));
    }

    /// All that is seen.
    pub fn inventory(&self) -> Inventory {
        let mut packages: Vec<Package> = self.files.iter().flat_map(|(path, seen)| packages(path, seen)).collect();
        packages.sort();
        packages.dedup();
        let distribution = self.distribution();
        let mut incomplete = self.findings.clone();
        for (path, seen) in &self.files {
            incomplete
                .extend(seen.found.findings.iter().map(|what| Finding { path: path.clone(), what: what.clone() }));
        }
        let whole = |what: &str| Finding { path: String::new(), what: what.to_owned() };
        if let Distribution::Unknown { evidence } = &distribution {
            incomplete.push(whole(&format!("the distribution is unknown: {evidence}")));
        }
        if !self.files.values().any(|seen| seen.found.database) {
            incomplete
                .push(whole("no distribution's database of packages was found: neither dpkg's nor apk's nor rpm's"));
        }
        incomplete.sort();
        incomplete.dedup();
        Inventory { distribution, packages, incomplete }
    }

    fn distribution(&self) -> Distribution {
        let says = |path: &str| self.files.get(path).and_then(|seen| seen.found.distribution.clone());
        let all: Vec<_> = ["etc/os-release", "usr/lib/os-release"].into_iter().filter_map(says).collect();
        let known = all.iter().find(|said| matches!(said, Distribution::Known { .. }));
        known.or(all.first()).cloned().unwrap_or_else(|| Distribution::Unknown {
            evidence: "it has neither etc/os-release nor usr/lib/os-release".to_owned(),
        })
    }
}

/// The layers of those packages that an older state of the file had, too.
fn kept(old: &Seen, new: &Found) -> BTreeMap<usize, DiffId> {
    let places: BTreeMap<_, _> = old.found.packages.iter().enumerate().map(|(place, record)| (record, place)).collect();
    let place = |(new, record)| Some((new, old.layer_of(*places.get(record)?).clone()));
    new.packages.iter().enumerate().filter_map(place).collect()
}

fn packages(path: &str, seen: &Seen) -> Vec<Package> {
    let package = |(place, record): (usize, &super::Record)| Package {
        record: record.clone(),
        path: record.inside.as_ref().map_or_else(|| path.to_owned(), |inside| format!("{path}!/{inside}")),
        layer: seen.layer_of(place).clone(),
    };
    seen.found.packages.iter().enumerate().map(package).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{FileEntry, FileKind, Interest, read};
    use super::*;
    use crate::digest::Digest;

    fn layer(name: &str) -> DiffId {
        DiffId(Digest::of(name.as_bytes()))
    }

    /// A layer with these files, read as an image's would be.
    fn scan(files: &[(&str, &str)], removed: &[&str]) -> LayerScan {
        let mut scan = LayerScan::default();
        for (path, text) in files {
            let entry = FileEntry { kind: FileKind::File, mode: 0o644, uid: 0, gid: 0, size: 0, content: None };
            scan.files.entries.insert((*path).to_owned(), entry);
            if let Some(interest) = Interest::of(path) {
                scan.found.insert((*path).to_owned(), read(interest, path, &text.as_bytes()));
            }
        }
        scan.files.removed.extend(removed.iter().map(|path| (*path).to_owned()));
        scan
    }

    const RELEASE: (&str, &str) = ("usr/lib/os-release", "ID=debian\nVERSION_ID=12\n");
    const ONE: &str = "Package: one\nVersion: 1\n";
    const TWO: &str = "Package: two\nVersion: 2\n\nPackage: one\nVersion: 1\n";
    const STATUS: &str = "var/lib/dpkg/status";

    fn seen(view: &View) -> Vec<(String, DiffId)> {
        view.inventory().packages.into_iter().map(|package| (package.name.clone(), package.layer)).collect()
    }

    #[test]
    fn a_package_is_of_the_layer_that_brought_it() {
        let mut view = View::default();
        view.add(&layer("base"), scan(&[RELEASE, (STATUS, ONE)], &[]));
        view.add(&layer("app"), scan(&[(STATUS, TWO)], &[]));
        assert_eq!(seen(&view), [("one".to_owned(), layer("base")), ("two".to_owned(), layer("app"))]);
        view.add(
            &layer("last"),
            scan(&[(STATUS, &format!("{ONE}Architecture: all\n\nPackage: two\nVersion: 2\n"))], &[]),
        );
        assert_eq!(seen(&view), [("one".to_owned(), layer("last")), ("two".to_owned(), layer("app"))]);
        assert_eq!(view.inventory().incomplete, []);
    }

    #[test]
    fn what_is_removed_or_replaced_does_not_count() {
        let flask = ("app/flask-3.0.dist-info/METADATA", "Name: flask\nVersion: 3.0\n");
        for above in [scan(&[], &["app"]), scan(&[], &[flask.0]), scan(&[("app", "a file")], &[])] {
            let mut view = View::default();
            view.add(&layer("below"), scan(&[RELEASE, (STATUS, ONE), flask], &[]));
            assert_eq!(seen(&view).len(), 2);
            view.add(&layer("above"), above);
            assert_eq!(seen(&view), [("one".to_owned(), layer("below"))]);
        }
    }

    #[test]
    fn an_unknown_distribution_is_said_to_be_unknown() {
        let mut view = View::default();
        view.add(&layer("only"), scan(&[("app/server", "")], &[]));
        let inventory = view.inventory();
        assert!(inventory.distribution.describe().starts_with("unknown (it has neither"), "{inventory:?}");
        let said: Vec<_> = inventory.incomplete.iter().map(|finding| finding.what.as_str()).collect();
        assert!(
            said[0].starts_with("no distribution's database") && said[1].starts_with("the distribution is unknown")
        );
    }

    #[test]
    fn what_is_kept_comes_back() {
        let mut view = View::default();
        view.add(&layer("base"), scan(&[RELEASE, (STATUS, ONE)], &[]));
        view.add(&layer("app"), scan(&[(STATUS, TWO), ("app/node_modules/x/package.json", "{")], &[]));
        let text = serde_json::to_string(&view).unwrap();
        assert_eq!(serde_json::from_str::<View>(&text).unwrap(), view);
        assert_eq!(view.inventory().incomplete.len(), 1);
    }
}
