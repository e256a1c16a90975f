//! What we may build upon: the licence of every package of others, as an SPDX expression, against the list of deny.toml.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use super::Package;

/// The licences that `[licenses] allow` of deny.toml lists.
pub(super) fn allowed(deny: &str) -> Result<BTreeSet<String>> {
    let section = deny.lines().skip_while(|line| line.trim() != "[licenses]").skip(1);
    let list =
        section.skip_while(|line| !line.starts_with("allow = [")).skip(1).take_while(|line| !line.starts_with(']'));
    let names: BTreeSet<_> =
        list.filter_map(|line| line.trim().strip_prefix('"')?.split('"').next()).map(str::to_owned).collect();
    if names.is_empty() {
        bail!("deny.toml lists no licences: expected `allow = [` under [licenses], and one on each line");
    }
    Ok(names)
}

/// Every package of others whose licence is not on the list.
pub(super) fn violations(allowed: &BTreeSet<String>, packages: &[Package]) -> Vec<String> {
    let others = packages.iter().filter(|package| !package.ours);
    others
        .filter_map(|package| match &package.licence {
            None => Some(format!("`{}` says nothing of its licence", package.name)),
            Some(licence) => (!is_met(licence, allowed))
                .then(|| format!("`{}` is under {licence}, which deny.toml does not allow", package.name)),
        })
        .collect()
}

/// Whether licences on the list are enough for an SPDX expression (`/` is an old way to write `OR`).
fn is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().collect::<Vec<_>>().into_iter().peekable();
    let met = either(&mut words, allowed);
    met && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::vec::IntoIter<&'a str>>;

fn either(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = both(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= both(words, allowed);
    }
    met
}

fn both(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    match words.next() {
        Some("(") => either(words, allowed) & words.next_if_eq(&")").is_some(),
        Some(name) => {
            let exception = words.next_if_eq(&"WITH").and_then(|_| words.next());
            let whole = exception.map_or_else(|| name.to_owned(), |exception| format!("{name} WITH {exception}"));
            allowed.contains(&whole)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_met_or_not() {
        let allowed = allowed("[graph]\nallow = [\n\"No\",\n]\n[licenses]\nversion = 2\nallow = [\n    \"MIT\",\n    \"Unicode-3.0\",  # tables\n]\n").unwrap();
        for (expression, met) in [
            ("MIT", true),
            ("Apache-2.0", false),
            ("MIT OR Apache-2.0", true),
            ("Apache-2.0/MIT", true),
            ("MIT AND Apache-2.0", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT AND GPL-3.0) OR GPL-2.0", false),
            ("MIT WITH Some-exception", false),
            ("Apache-2.0 WITH LLVM-exception OR MIT", true),
            ("(MIT", false),
            ("MIT MIT", false),
            ("", false),
        ] {
            assert_eq!(is_met(expression, &allowed), met, "{expression}");
        }
    }

    #[test]
    fn a_package_without_a_licence_is_named() {
        let package = Package { name: "secret".to_owned(), ours: false, licence: None, uses: Vec::new() };
        let allowed = ["MIT".to_owned()].into();
        assert_eq!(violations(&allowed, &[package]), ["`secret` says nothing of its licence"]);
    }

    #[test]
    fn a_list_that_is_not_found_is_an_error() {
        assert!(allowed("[licenses]\nversion = 2\n").is_err());
    }
}
