//! Words for people: the nearest of several names, lists.

/// The name among `known` that `typed` was probably meant to be: at most every third letter differs.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(typed, name), name))
        .filter(|(distance, name)| *distance <= typed.len().max(name.len()) / 3)
        .min()
        .map(|(_, name)| name)
}

/// `a, b, c`, or `none`.
pub fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<_> = items.into_iter().collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

/// Adds the nearest known key to the message of a TOML error about an unknown one (its text names line and column).
pub fn explain_toml(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let Some(start) = text.find("unknown field `") else {
        return text;
    };
    let quoted: Vec<&str> = text[start..].split('`').skip(1).step_by(2).collect();
    match quoted.split_first().and_then(|(typed, known)| nearest(typed, known.iter().copied())) {
        Some(name) => format!("{}\nhint: did you mean `{name}`?", text.trim_end()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        let known = ["python", "node", "java"];
        assert_eq!(nearest("pyton", known), Some("python"));
        assert_eq!(nearest("nodejs", known), Some("node"));
        assert_eq!(nearest("haskell", known), None);
        assert_eq!(nearest("nod", known), Some("node"));
        assert_eq!(nearest("a61", ["app"]), None);
    }
}
