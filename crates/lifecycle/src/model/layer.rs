//! `LAYER.toml` and `store.toml`; which names a layer may have, and how SBOM files are named.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::data;

/// `[types]`: what a layer is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Types {
    #[serde(default)]
    pub(crate) build: bool,
    #[serde(default)]
    pub(crate) cache: bool,
    #[serde(default)]
    pub(crate) launch: bool,
}

impl Types {
    /// For nothing at all.
    pub(crate) fn none(self) -> bool {
        self == Self::default()
    }
}

/// A layer as its buildpack describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Layer {
    #[serde(flatten)]
    pub(crate) types: Types,
    /// `[metadata]`, the buildpack's own.
    #[serde(default = "data::empty")]
    pub(crate) data: Json,
}

/// `LAYER.toml`, as it is written.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    types: Types,
    #[serde(default)]
    metadata: toml::Table,
    // Where types were before API 0.6: refused, for what is meant would silently not happen.
    build: Option<toml::Value>,
    cache: Option<toml::Value>,
    launch: Option<toml::Value>,
}

impl Layer {
    /// Reads the text of `LAYER.toml`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.build.is_some() || file.cache.is_some() || file.launch.is_some() {
            return Err("build, cache and launch belong into the table [types]".to_owned());
        }
        Ok(Self { types: file.types, data: data::to_json(toml::Value::Table(file.metadata)) })
    }
}

/// `store.toml`: its `[metadata]`.
pub(crate) fn parse_store(text: &str) -> Result<Json, String> {
    let mut table: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
    Ok(table.remove("metadata").map_or_else(data::empty, data::to_json))
}

/// Files of a buildpack's directory that are no layers' descriptions.
const NO_LAYERS: [&str; 3] = ["build", "launch", "store"];

/// The layer that a file of a buildpack's directory describes.
pub(crate) fn described(file: &str) -> Option<&str> {
    file.strip_suffix(".toml").filter(|name| !name.is_empty() && !is_reserved(name))
}

/// Whether a layer must not have this name: its description would be another file.
pub(crate) fn is_reserved(name: &str) -> bool {
    NO_LAYERS.contains(&name)
}

/// What an SBOM file is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum About {
    /// What is there while building.
    Build,
    /// What is in the image beyond layers.
    Launch,
    /// A layer.
    Layer(String),
}

/// The formats of SBOM files: their ending and media type.
const FORMATS: [(&str, &str); 3] = [
    ("cdx.json", "application/vnd.cyclonedx+json"),
    ("spdx.json", "application/spdx+json"),
    ("syft.json", "application/vnd.syft+json"),
];

/// An SBOM file of a buildpack's directory: `NAME.sbom.ENDING`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sbom {
    pub(crate) about: About,
    /// What the file is called in the image: `sbom.ENDING`.
    pub(crate) file: String,
    media_type: &'static str,
}

impl Sbom {
    /// Reads a file's name; `None`: it is no SBOM.
    pub(crate) fn of(file: &str) -> Option<Self> {
        let (name, ending) = file.rsplit_once(".sbom.")?;
        let (ending, media_type) = FORMATS.iter().find(|(known, _)| *known == ending)?;
        let about = match name {
            "" => return None,
            "build" => About::Build,
            "launch" => About::Launch,
            name => About::Layer(name.to_owned()),
        };
        Some(Self { about, file: format!("sbom.{ending}"), media_type })
    }

    /// Whether the buildpack has announced the format (`sbom-formats`; parameters such as `;version=1.4` do not count).
    pub(crate) fn is_announced(&self, formats: &[String]) -> bool {
        formats.iter().any(|format| format.split(';').next().unwrap_or_default().trim() == self.media_type)
    }

    /// The media type, for people.
    pub(crate) fn media_type(&self) -> &'static str {
        self.media_type
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_of_layers_are_read() {
        let layer = Layer::parse("[types]\nlaunch = true\n[metadata]\nv = 1\n").unwrap();
        assert_eq!(layer.types, Types { launch: true, ..Types::default() });
        assert_eq!(layer.data, serde_json::json!({"v": 1}));
        assert!(Layer::parse("").unwrap().types.none());
        for bad in ["launch = true\n", "[types]\nlaunch = \"yes\"\n", "[types\n"] {
            assert!(Layer::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_say_what_a_file_is() {
        for (file, layer) in [
            ("deps.toml", Some("deps")),
            ("a.b.toml", Some("a.b")),
            ("launch.toml", None),
            ("build.toml", None),
            ("store.toml", None),
            (".toml", None),
            ("deps", None),
        ] {
            assert_eq!(described(file), layer, "{file}");
        }
        for (file, about) in [
            ("launch.sbom.cdx.json", Some(About::Launch)),
            ("build.sbom.syft.json", Some(About::Build)),
            ("deps.sbom.spdx.json", Some(About::Layer("deps".to_owned()))),
            ("deps.sbom.xml", None),
            (".sbom.cdx.json", None),
            ("deps.cdx.json", None),
        ] {
            assert_eq!(Sbom::of(file).map(|sbom| sbom.about), about, "{file}");
        }
    }

    #[test]
    fn formats_are_announced_by_media_type() {
        let sbom = Sbom::of("a.sbom.cdx.json").unwrap();
        assert!(sbom.is_announced(&["application/vnd.cyclonedx+json;version=1.4".to_owned()]));
        assert!(!sbom.is_announced(&["application/spdx+json".to_owned()]));
    }
}
