//! An installed Node.js package: its `package.json`.

use serde_json::Value;

use super::{Content, Ecosystem, Found, Interest, Record, line};

/// Reads a `package.json`.
pub(super) fn read(content: &dyn Content) -> Found {
    let Some(bytes) = content.whole(Interest::Node.limit()) else {
        return Found::unreadable("a package.json is too long, or cannot be read");
    };
    match serde_json::from_slice::<Value>(&bytes) {
        // Without name and version it is none that was installed: packages keep such files for their own use.
        Ok(value) => Found::packages(package(&value)),
        Err(_) => Found::unreadable("a package.json is not JSON"),
    }
}

fn package(value: &Value) -> Option<Record> {
    let mut record = Record::new(Ecosystem::Npm, value["name"].as_str()?, value["version"].as_str()?)?;
    let licence = &value["license"];
    record.licence = licence.as_str().or_else(|| licence["type"].as_str()).and_then(line);
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_version_make_a_package() {
        for (text, seen) in [
            (r#"{"name": "express", "version": "4.18.2", "license": "MIT"}"#, Some(("express", "4.18.2", Some("MIT")))),
            (
                r#"{"name": "@a/b", "version": "1.0.0", "license": {"type": "ISC"}}"#,
                Some(("@a/b", "1.0.0", Some("ISC"))),
            ),
            (r#"{"type": "module"}"#, None),
            (r#"{"name": 1, "version": "1.0.0"}"#, None),
            (r#"{"name": "a\nb", "version": "1.0.0"}"#, None),
            ("[]", None),
        ] {
            let found = read(&text.as_bytes());
            let package = found.packages.first();
            let package = package.map(|p| (p.name.as_str(), p.version.as_str(), p.licence.as_deref()));
            assert_eq!((package, found.findings.len()), (seen, 0), "{text}");
        }
        assert_eq!(read(&b"{".as_slice()).findings.len(), 1);
    }
}
