//! What the next build must know of this one: in the image as `till.json` (launch layers), in the cache as `cache.json`
//! (cached layers). The same shape in both.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::layer::Layer;

/// The one version of the shape.
const VERSION: u32 = 1;

/// Layers by buildpack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Memory {
    version: u32,
    /// The execution environment it was built for: layers are not taken into another.
    pub(crate) exec_env: String,
    pub(crate) buildpacks: Vec<Remembered>,
}

/// What one buildpack left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    pub(crate) id: String,
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) layers: BTreeMap<String, Layer>,
    /// `[metadata]` of its `store.toml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) store: Option<Json>,
}

impl Memory {
    /// Of layers of this execution environment.
    pub(crate) fn new(exec_env: &str, buildpacks: Vec<Remembered>) -> Self {
        Self { version: VERSION, exec_env: exec_env.to_owned(), buildpacks }
    }

    /// Reads it; another version is an error.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let memory: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match memory.version {
            VERSION => Ok(memory),
            other => Err(format!("it is of version {other}, and only {VERSION} is known")),
        }
    }

    /// What a buildpack left, of whatever version it was.
    pub(crate) fn of(&self, id: &str) -> Option<&Remembered> {
        self.buildpacks.iter().find(|buildpack| buildpack.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written() {
        let layer = Layer::parse("[types]\ncache = true\n[metadata]\nv = 1\n").unwrap();
        let remembered = Remembered {
            id: "a".to_owned(),
            version: "1".to_owned(),
            layers: [("deps".to_owned(), layer)].into(),
            store: None,
        };
        let memory = Memory::new("production", vec![remembered]);
        let text = serde_json::to_string(&memory).unwrap();
        assert_eq!(Memory::parse(&text).unwrap(), memory);
        assert!(Memory::parse(&text.replace("\"version\":1", "\"version\":2")).unwrap_err().contains("version 2"));
        assert!(memory.of("a").is_some() && memory.of("b").is_none());
    }
}
