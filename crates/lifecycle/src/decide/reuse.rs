//! What of the last build's layers the next build gets, by the types they had.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::model::layer::{Layer, Types};
use crate::model::memory::Remembered;

/// What a layer's types promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Description, SBOM and contents, all from the cache.
    Whole,
    /// Description and SBOM, from the previous image; the contents may be taken at the export.
    Description,
    /// Nothing.
    Nothing,
}

/// The table of the specification.
pub(crate) fn promise(types: Types) -> Promise {
    match types {
        Types { cache: true, .. } => Promise::Whole,
        Types { build: false, launch: true, cache: false } => Promise::Description,
        Types { .. } => Promise::Nothing,
    }
}

/// What one buildpack gets back.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Restored<'a> {
    /// With contents.
    pub(crate) from_cache: BTreeMap<&'a str, &'a Layer>,
    /// Without.
    pub(crate) from_previous: BTreeMap<&'a str, &'a Layer>,
    pub(crate) store: Option<&'a Json>,
}

/// Decides by what the cache and the previous image remember of the buildpack. A layer that the cache has is taken from
/// there alone: its contents and its description belong together.
pub(crate) fn restored<'a>(cache: Option<&'a Remembered>, previous: Option<&'a Remembered>) -> Restored<'a> {
    let of = |remembered: Option<&'a Remembered>, promised: Promise| {
        let layers = remembered.into_iter().flat_map(|remembered| &remembered.layers);
        layers.filter(move |(_, layer)| promise(layer.types) == promised).map(|(name, layer)| (name.as_str(), layer))
    };
    let from_cache: BTreeMap<_, _> = of(cache, Promise::Whole).collect();
    let from_previous = of(previous, Promise::Description).filter(|(name, _)| !from_cache.contains_key(name)).collect();
    let store = [previous, cache].into_iter().flatten().find_map(|remembered| remembered.store.as_ref());
    Restored { from_cache, from_previous, store }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(letters: &str) -> Types {
        Types { build: letters.contains('b'), cache: letters.contains('c'), launch: letters.contains('l') }
    }

    fn remembered(layers: &[(&str, &str)], store: Option<&str>) -> Remembered {
        let layer =
            |(name, letters): &(&str, &str)| ((*name).to_owned(), Layer { types: types(letters), data: Json::Null });
        Remembered {
            id: "a".to_owned(),
            version: "1".to_owned(),
            layers: layers.iter().map(layer).collect(),
            store: store.map(Json::from),
        }
    }

    #[test]
    fn the_table_of_the_specification() {
        for (letters, promised) in [
            ("c", Promise::Whole),
            ("bc", Promise::Whole),
            ("cl", Promise::Whole),
            ("bcl", Promise::Whole),
            ("l", Promise::Description),
            ("bl", Promise::Nothing),
            ("b", Promise::Nothing),
            ("", Promise::Nothing),
        ] {
            assert_eq!(promise(types(letters)), promised, "{letters}");
        }
    }

    #[test]
    fn each_layer_comes_from_one_place() {
        let cache = remembered(&[("both", "cl"), ("tools", "bc")], Some("old"));
        let previous = remembered(&[("both", "cl"), ("deps", "l"), ("tools", "l"), ("mixed", "bl")], Some("new"));
        let all = restored(Some(&cache), Some(&previous));
        assert_eq!(all.from_cache.keys().copied().collect::<Vec<_>>(), ["both", "tools"]);
        assert_eq!(all.from_previous.keys().copied().collect::<Vec<_>>(), ["deps"]);
        assert_eq!(all.store, Some(&Json::from("new")));
        let all = restored(Some(&cache), None);
        assert_eq!((all.from_cache.len(), all.from_previous.len(), all.store), (2, 0, Some(&Json::from("old"))));
        // Without a cache, a layer that was cached is gone, though the image still has it.
        let all = restored(None, Some(&previous));
        assert_eq!(all.from_previous.keys().copied().collect::<Vec<_>>(), ["deps", "tools"]);
        assert_eq!(restored(None, None), Restored::default());
    }
}
