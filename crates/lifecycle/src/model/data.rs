//! Free-form TOML (`[metadata]`) as JSON and back: images keep it in JSON. Dates become text, and stay text.

use serde_json::Value as Json;
use toml::Value as Toml;

/// A table that says nothing.
pub(crate) fn empty() -> Json {
    Json::Object(serde_json::Map::new())
}

/// TOML as JSON. Numbers that JSON does not have (`inf`, `nan`) become null.
pub(crate) fn to_json(value: Toml) -> Json {
    match value {
        Toml::String(text) => Json::String(text),
        Toml::Integer(number) => number.into(),
        Toml::Float(number) => number.into(),
        Toml::Boolean(truth) => Json::Bool(truth),
        Toml::Datetime(date) => Json::String(date.to_string()),
        Toml::Array(list) => Json::Array(list.into_iter().map(to_json).collect()),
        Toml::Table(table) => Json::Object(table.into_iter().map(|(key, value)| (key, to_json(value))).collect()),
    }
}

/// JSON as TOML. TOML has no null: what is null is left out.
pub(crate) fn to_toml(value: Json) -> Option<Toml> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(truth) => Toml::Boolean(truth),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Toml::Integer(integer),
            None => Toml::Float(number.as_f64()?),
        },
        Json::String(text) => Toml::String(text),
        Json::Array(list) => Toml::Array(list.into_iter().filter_map(to_toml).collect()),
        Json::Object(table) => {
            Toml::Table(table.into_iter().filter_map(|(key, value)| Some((key, to_toml(value)?))).collect())
        }
    })
}

/// The text of a file that has `[metadata]` and nothing else, as it is restored.
pub(crate) fn metadata_file(data: &Json) -> Result<String, toml::ser::Error> {
    let mut table = toml::Table::new();
    table.insert("metadata".to_owned(), to_toml(data.clone()).unwrap_or(Toml::Table(toml::Table::new())));
    toml::to_string(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_survives_the_way_through_json() {
        let text = "[metadata]\nversion = \"3.12\"\nsizes = [1, 2.5]\n\n[metadata.deep]\nyes = true\n";
        let table: toml::Table = toml::from_str(text).unwrap();
        let json = to_json(table["metadata"].clone());
        let again: toml::Table = toml::from_str(&metadata_file(&json).unwrap()).unwrap();
        assert_eq!(again, table);
    }

    #[test]
    fn what_has_no_counterpart_is_text_or_left_out() {
        let table: toml::Table = toml::from_str("day = 2024-01-02\nnever = inf\n").unwrap();
        let json = to_json(Toml::Table(table));
        assert_eq!(json, serde_json::json!({"day": "2024-01-02", "never": null}));
        assert_eq!(metadata_file(&json).unwrap(), "[metadata]\nday = \"2024-01-02\"\n");
        assert_eq!(metadata_file(&Json::Null).unwrap(), "[metadata]\n");
    }
}
