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

/// A part of an address without `%` notation (RFC 3986): `%20` is a blank.
pub fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        match after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
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
    fn what_is_no_escape_stays() {
        for (text, plain) in [("a%20b%2fc%", "a b/c%"), ("a%2bb%zz%", "a+b%zz%"), ("%é", "%é")] {
            assert_eq!(percent_decoded(text), plain);
        }
    }

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
