//! What differs between two images, as maps by name: packages, files, configuration.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Inventory;

/// What one of two has and the other has not, and what both have in different forms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference<T> {
    /// Only in the second.
    pub added: BTreeMap<String, T>,
    /// Only in the first.
    pub removed: BTreeMap<String, T>,
    /// In both: before and after.
    pub changed: BTreeMap<String, Change<T>>,
}

/// Before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change<T> {
    /// In the first.
    pub from: T,
    /// In the second.
    pub to: T,
}

impl<T> Difference<T> {
    /// Nothing differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Compares two maps.
pub fn compare<T: PartialEq>(first: BTreeMap<String, T>, mut second: BTreeMap<String, T>) -> Difference<T> {
    let mut difference = Difference { added: BTreeMap::new(), removed: BTreeMap::new(), changed: BTreeMap::new() };
    for (key, from) in first {
        match second.remove(&key) {
            None => {
                difference.removed.insert(key, from);
            }
            Some(to) if to != from => {
                difference.changed.insert(key, Change { from, to });
            }
            Some(_) => {}
        }
    }
    difference.added = second;
    difference
}

/// Compares packages: by ecosystem and name (`deb/curl`), the versions, wherever they lie.
pub fn packages(first: &Inventory, second: &Inventory) -> Difference<BTreeSet<String>> {
    compare(versions(first), versions(second))
}

fn versions(inventory: &Inventory) -> BTreeMap<String, BTreeSet<String>> {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in &inventory.packages {
        let key = format!("{}/{}", package.ecosystem.as_str(), package.name);
        versions.entry(key).or_default().insert(package.version.clone());
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_difference_is_told_once() {
        let map = |pairs: &[(&str, i32)]| pairs.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect();
        let difference = compare(map(&[("a", 1), ("b", 2), ("c", 3)]), map(&[("b", 2), ("c", 4), ("d", 5)]));
        assert_eq!(difference.removed, map(&[("a", 1)]));
        assert_eq!(difference.added, map(&[("d", 5)]));
        assert_eq!(difference.changed["c"], Change { from: 3, to: 4 });
        assert_eq!(difference.changed.len(), 1);
        assert!(compare(map(&[("a", 1)]), map(&[("a", 1)])).is_empty());
    }
}
