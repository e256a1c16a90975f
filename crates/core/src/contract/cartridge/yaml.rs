//! YAML as strangers write it: read within a budget, scalars as they are written (`0.10` is no 0.1, `no` is no falsehood).

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

/// The most nodes of a document, the most events that aliases may make of it, and how deep it may be. Manifests have a few hundred.
const NODES: usize = 20_000;
const DEPTH: usize = 40;

/// Reads a document; one that is empty is none.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<Option<T>, String> {
    let mut options = serde_saphyr::Options::default();
    options.strict_booleans = true;
    let mut budget = serde_saphyr::Budget::default();
    budget.max_nodes = NODES;
    budget.max_events = 4 * NODES;
    budget.max_depth = DEPTH;
    options.budget = Some(budget);
    let read = serde_saphyr::from_str_with_options::<Option<T>>(text, options);
    read.map_err(|error| {
        let text = error.to_string();
        text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()
    })
}

/// A list of texts; a single one, or nothing at all, is a list as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Texts(pub(super) Vec<String>);

/// A list of choices: each is a text, or a list of texts of which any will do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Choices(pub(super) Vec<Vec<String>>);

/// A list, or the only thing that would be in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed<T>(pub(super) Vec<T>);

/// A list of names with values: `name`, or `{name: value}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pairs(pub(super) Vec<(String, Option<String>)>);

/// Names that are switched on: a list, or a map whose values are not `false`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Switches(pub(super) Vec<String>);

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Scalars that a reader has made something of.
macro_rules! scalars {
    ($into:expr) => {
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok($into(text.to_owned()))
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
            Ok($into(number.to_string()))
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok($into(number.to_string()))
        }

        fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
            Ok($into(number.to_string()))
        }

        fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Self::Value, E> {
            Ok($into(truth.to_string()))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a list of texts")
            }

            scalars!(|text| Texts(vec![text]));

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Texts, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Texts)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Choices;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a list of texts or lists")
            }

            scalars!(|text| Choices(vec![vec![text]]));

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Choices, A::Error> {
                let lists: Vec<Texts> = Vec::deserialize(SeqAccessDeserializer::new(seq))?;
                Ok(Choices(lists.into_iter().map(|texts| texts.0).filter(|texts| !texts.is_empty()).collect()))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Listed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Listed<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of maps")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Listed<T>, E> {
                Ok(Listed::default())
            }

            fn visit_none<E: de::Error>(self) -> Result<Listed<T>, E> {
                Ok(Listed::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Listed<T>, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Listed)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Listed<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|one| Listed(vec![one]))
            }
        }
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default)]
        struct One(Vec<(String, Option<String>)>);

        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = One;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name, or a map of a name and a value")
            }

            scalars!(|text| One(vec![(text, None)]));

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<One, A::Error> {
                let pairs: BTreeMap<String, Option<String>> = BTreeMap::deserialize(MapAccessDeserializer::new(map))?;
                Ok(One(pairs.into_iter().collect()))
            }
        }

        impl<'de> Deserialize<'de> for One {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Reader)
            }
        }

        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = One;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of names, or of maps of a name and a value")
            }

            scalars!(|text| One(vec![(text, None)]));

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<One, A::Error> {
                let all: Vec<One> = Vec::deserialize(SeqAccessDeserializer::new(seq))?;
                Ok(One(all.into_iter().flat_map(|one| one.0).collect()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<One, A::Error> {
                Reader.visit_map(map)
            }
        }
        deserializer.deserialize_any(All).map(|one| Self(one.0))
    }
}

impl<'de> Deserialize<'de> for Switches {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Switches;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of names, or a map of them")
            }

            scalars!(|text| Switches(vec![text]));

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Switches, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Switches)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Switches, A::Error> {
                let mut on = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let value = map.next_value::<Scalar>()?;
                    if value.0.as_deref() != Some("false") {
                        on.push(name);
                    }
                }
                Ok(Switches(on))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A text, or something that is passed over.
#[derive(Default)]
struct Scalar(Option<String>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            scalars!(|text| Scalar(Some(text)));

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
