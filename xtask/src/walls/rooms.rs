//! Who may use whom. The tables of ARCHITECTURE.md are what is enforced, so that they cannot be wrong.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::{Package, Use, When};

/// Under this heading: a room in the first column, the rooms that it may use in the second.
const ROOMS: &str = "## Rooms";
/// Under this heading: a crate of others in the first column, the only rooms that may use it in the second.
const HOMES: &str = "## Crates with a home";
/// Used by tests of all rooms, and by nothing else.
const TESTKIT: &str = "testkit";

/// What a room may use.
#[derive(Debug, PartialEq, Eq)]
enum May {
    Everything,
    Only(Vec<String>),
}

/// The tables.
#[derive(Debug)]
pub(super) struct Tables {
    rooms: BTreeMap<String, May>,
    homes: BTreeMap<String, Vec<String>>,
}

impl Tables {
    /// Reads the text of ARCHITECTURE.md.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let rooms = rows(text, ROOMS).map(|(room, uses)| (room, may(&uses))).collect::<BTreeMap<_, _>>();
        let homes = rows(text, HOMES).map(|(name, rooms)| (name, list(&rooms))).collect::<BTreeMap<_, _>>();
        if rooms.is_empty() || homes.is_empty() {
            bail!("ARCHITECTURE.md has no tables under `{ROOMS}` and `{HOMES}`");
        }
        Ok(Self { rooms, homes })
    }
}

/// The first two cells of each row whose first is `code`.
fn rows<'a>(text: &'a str, heading: &'a str) -> impl Iterator<Item = (String, String)> + 'a {
    let section =
        text.lines().skip_while(move |line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    section.filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|');
        let name = cells.next()?.trim().strip_suffix('`')?;
        Some((name.to_owned(), cells.next()?.replace('`', "")))
    })
}

fn may(cell: &str) -> May {
    match cell.trim() {
        "nothing" => May::Only(Vec::new()),
        "everything" => May::Everything,
        names => May::Only(list(names)),
    }
}

fn list(cell: &str) -> Vec<String> {
    cell.split(',').map(|name| name.trim().to_owned()).collect()
}

/// The room of a package of ours: `core` of `till-core`.
fn room(package: &str) -> &str {
    package.strip_prefix("till-").unwrap_or(package)
}

/// Everything that is not as the tables say.
pub(super) fn violations(tables: &Tables, packages: &[Package]) -> Vec<String> {
    let ours: Vec<_> = packages.iter().filter(|package| package.ours).collect();
    let mut found = Vec::new();
    for name in tables.rooms.keys() {
        if !ours.iter().any(|package| room(&package.name) == name) {
            found.push(format!("ARCHITECTURE.md has a room `{name}`, and there is no such crate"));
        }
    }
    for package in &ours {
        let Some(may) = tables.rooms.get(room(&package.name)) else {
            found.push(format!("`{}` is not in the rooms table of ARCHITECTURE.md", package.name));
            continue;
        };
        for used in &package.uses {
            if ours.iter().any(|package| package.name == used.name) {
                found.extend(among_ours(package, may, used));
            } else if used.when == When::Always {
                found.extend(tables.homes.get(&used.name).and_then(|homes| away_from_home(package, used, homes)));
            }
        }
    }
    found
}

fn among_ours(package: &Package, may: &May, used: &Use) -> Option<String> {
    let (from, to) = (room(&package.name), room(&used.name));
    match (to, used.when, may) {
        (TESTKIT, When::Testing, _) => None,
        (TESTKIT, When::Always, _) => {
            Some(format!("`{from}` uses `{TESTKIT}`, which is for tests: make it a dev-dependency"))
        }
        (_, _, May::Everything) => None,
        (_, _, May::Only(names)) if names.iter().any(|name| name == to) => None,
        (_, _, May::Only(names)) if names.is_empty() => {
            Some(format!("`{from}` uses `{to}`; it may use nothing of ours"))
        }
        (_, _, May::Only(names)) => Some(format!("`{from}` uses `{to}`; it may use: {}", names.join(", "))),
    }
}

fn away_from_home(package: &Package, used: &Use, homes: &[String]) -> Option<String> {
    let from = room(&package.name);
    let at_home = homes.iter().any(|home| home == from);
    (!at_home).then(|| format!("`{from}` uses the crate `{}`, whose only home is {}", used.name, homes.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# Architecture
## Rooms
| Room | May use | Why |
|--|--|--|
| `core` | nothing | decides |
| `image` | `core` | bytes |
| `engine` | core, image | moves |
| `testkit` | core | tests |
| `till` | everything | wires |
## Crates with a home
| Crate | Only in |
|--|--|
| `clap` | till |
| `tokio` | engine, till |
## Other
| `nonsense` | core |
";

    fn package(name: &str, uses: &[(&str, When)]) -> Package {
        let uses = uses.iter().map(|(name, when)| Use { name: (*name).to_owned(), when: *when });
        Package { name: name.to_owned(), ours: true, licence: None, uses: uses.collect() }
    }

    fn house() -> Vec<Package> {
        use When::{Always, Testing};
        vec![
            package("till-core", &[("till-testkit", Testing), ("serde", Always)]),
            package("till-image", &[("till-core", Always), ("tokio", Testing)]),
            package("till-engine", &[("till-core", Always), ("till-image", Always), ("tokio", Always)]),
            package("till-testkit", &[("till-core", Always)]),
            package("till", &[("till-core", Always), ("till-engine", Always), ("clap", Always)]),
        ]
    }

    #[test]
    fn a_house_as_the_tables_say_has_no_violations() {
        let tables = Tables::parse(TEXT).unwrap();
        assert_eq!(violations(&tables, &house()), [] as [String; 0]);
    }

    #[test]
    fn everything_else_is_named() {
        use When::{Always, Testing};
        let tables = Tables::parse(TEXT).unwrap();
        for (change, said) in [
            (package("till-core", &[("till-image", Always)]), "`core` uses `image`; it may use nothing of ours"),
            (package("till-image", &[("till-engine", Testing)]), "`image` uses `engine`; it may use: core"),
            (
                package("till-image", &[("tokio", Always)]),
                "`image` uses the crate `tokio`, whose only home is engine, till",
            ),
            (package("till-engine", &[("clap", Always)]), "`engine` uses the crate `clap`, whose only home is till"),
            (
                package("till", &[("till-testkit", Always)]),
                "`till` uses `testkit`, which is for tests: make it a dev-dependency",
            ),
            (package("till-new", &[]), "`till-new` is not in the rooms table of ARCHITECTURE.md"),
        ] {
            let mut packages = house();
            packages.retain(|package| package.name != change.name);
            packages.push(change);
            assert_eq!(violations(&tables, &packages), [said]);
        }
        let mut packages = house();
        packages.retain(|package| package.name != "till-engine");
        assert!(violations(&tables, &packages)[0].contains("there is no such crate"));
    }

    #[test]
    fn without_tables_nothing_is_enforced_and_that_is_an_error() {
        assert!(Tables::parse("# Architecture\n").is_err());
    }
}
