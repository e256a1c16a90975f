//! Names and versions of Java archives. Each is `group:artifact` and a version.

/// Of Maven's `pom.properties`.
pub(super) fn of_pom(text: &str) -> Option<(String, String)> {
    let value = |key: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.trim_start().split_once(['=', ':'])?;
            (name.trim() == key).then(|| value.trim()).filter(|value| !value.is_empty())
        })
    };
    let (group, artifact) = (value("groupId")?, value("artifactId")?);
    Some((format!("{group}:{artifact}"), value("version")?.to_owned()))
}

/// Of a manifest, and of the archive's name where the manifest says nothing. Nobody says the group then: the artifact's
/// name stands in its place, unless the bundle's name begins with it.
pub(super) fn of_manifest(text: &str, path: &str) -> Option<(String, String)> {
    let text = text.replace("\r\n", "\n").replace("\n ", "");
    let main = text.split("\n\n").next().unwrap_or_default();
    let value = |key: &str| {
        main.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            // Values of OSGi have parameters behind a semicolon.
            let value = value.split(';').next().unwrap_or_default().trim();
            (name.eq_ignore_ascii_case(key) && !value.is_empty()).then_some(value)
        })
    };
    let (file_name, file_version) = of_name(path);
    let version = value("Implementation-Version").or_else(|| value("Bundle-Version")).or(file_version)?;
    let word = |text: &&str| !text.contains([' ', ':', '/', '$', '{']);
    let bundle = value("Bundle-SymbolicName").filter(word);
    let title = value("Implementation-Title").filter(word);
    let artifact = match file_version {
        // Who names a file `artifact-version` has it from Maven.
        Some(_) => file_name,
        None => bundle.and_then(|name| name.rsplit('.').next()).or(title).unwrap_or(file_name),
    };
    let vendor = value("Implementation-Vendor-Id").filter(word);
    let of_bundle = bundle.and_then(|bundle| Some(bundle.strip_suffix(artifact)?.trim_end_matches('.')));
    let group = vendor.or(of_bundle).filter(|group| !group.is_empty()).unwrap_or(artifact);
    Some((format!("{group}:{artifact}"), version.to_owned()))
}

/// The name and the version of `dir/name-1.2.3.jar`.
fn of_name(path: &str) -> (&str, Option<&str>) {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let begins = |at: &usize| stem[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    match stem.match_indices('-').map(|(at, _)| at).find(begins) {
        Some(at) => (&stem[..at], Some(&stem[at + 1..])),
        None => (stem, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_maven_the_manifest_and_the_name_are_asked() {
        for (text, path, seen) in [
            ("", "lib/a-1.0.jar", Some(("a:a", "1.0"))),
            ("", "a-b-2.0-rc1.jar", Some(("a-b:a-b", "2.0-rc1"))),
            ("", "a.jar", None),
            ("Implementation-Title: shop\nImplementation-Version: 9", "a.jar", Some(("shop:shop", "9"))),
            ("Implementation-Title: The Shop\nImplementation-Version: 9", "a.jar", Some(("a:a", "9"))),
            (
                "Bundle-SymbolicName: org.x.core;singleton:=true\r\nBundle-Version: 1.5",
                "x.jar",
                Some(("org.x:core", "1.5")),
            ),
            (
                "Bundle-SymbolicName: org.very.lo\n ng.core\nBundle-Version: 1",
                "x.jar",
                Some(("org.very.long:core", "1")),
            ),
            ("Implementation-Vendor-Id: com.v\nImplementation-Version: 3", "v-core-3.jar", Some(("com.v:v-core", "3"))),
            ("Manifest-Version: 1\n\nImplementation-Version: 9", "a.jar", None),
        ] {
            let found = of_manifest(text, path);
            let found = found.as_ref().map(|(name, version)| (name.as_str(), version.as_str()));
            assert_eq!(found, seen, "{text} {path}");
        }
    }

    #[test]
    fn a_pom_has_all_three() {
        assert_eq!(of_pom("groupId=g\nartifactId=a\nversion=1"), Some(("g:a".to_owned(), "1".to_owned())));
        assert_eq!(of_pom("groupId=g\nartifactId=a\n"), None);
    }
}
