//! Which groups are tried, in which order: composite buildpacks stand for groups of their own.

use crate::model::descriptor::{Catalogue, Entry, OrderGroup};

/// More groups than anybody would wait for: each may run every buildpack's `bin/detect`.
const GROUPS: usize = 10_000;
/// Deeper than any composite buildpack that is not within itself.
const DEPTH: u32 = 32;

/// Expands an order, depth first and from left to right. A group has each buildpack once: a second mention is dropped.
/// An entry that the catalogue does not have stays in its group: whether that matters is seen when the group is tried.
pub(crate) fn expand(order: &[OrderGroup], catalogue: &Catalogue) -> Result<Vec<Vec<Entry>>, String> {
    let mut expansion = Expansion { catalogue, groups: Vec::new() };
    expansion.alternatives(order, &[], &[], 0)?;
    Ok(expansion.groups)
}

struct Expansion<'a> {
    catalogue: &'a Catalogue,
    groups: Vec<Vec<Entry>>,
}

impl Expansion<'_> {
    /// Each of `order` in turn, behind what is settled and before what is still to come.
    fn alternatives(
        &mut self,
        order: &[OrderGroup],
        settled: &[Entry],
        rest: &[Entry],
        depth: u32,
    ) -> Result<(), String> {
        for group in order {
            let whole: Vec<_> = group.group.iter().chain(rest).cloned().collect();
            self.group(&whole, settled.to_vec(), depth)?;
        }
        Ok(())
    }

    fn group(&mut self, entries: &[Entry], mut settled: Vec<Entry>, depth: u32) -> Result<(), String> {
        if depth > DEPTH {
            return Err(format!("composite buildpacks lie more than {DEPTH} deep; is one within itself?"));
        }
        for (at, entry) in entries.iter().enumerate() {
            if settled.iter().any(|before| before.id == entry.id) {
                continue;
            }
            let order = self.catalogue.find(&entry.id, &entry.version).map(|descriptor| descriptor.order.as_slice());
            let Some(order) = order.filter(|order| !order.is_empty()) else {
                settled.push(entry.clone());
                continue;
            };
            let rest = &entries[at + 1..];
            self.alternatives(order, &settled, rest, depth + 1)?;
            return if entry.optional { self.group(rest, settled, depth + 1) } else { Ok(()) };
        }
        if self.groups.len() == GROUPS {
            return Err(format!("the order stands for more than {GROUPS} groups"));
        }
        self.groups.push(settled);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::descriptor::Descriptor;

    /// `A B?` as entries; `?` is optional.
    fn group(text: &str) -> OrderGroup {
        let entry = |word: &str| Entry {
            id: word.trim_end_matches('?').to_owned(),
            version: String::new(),
            optional: word.ends_with('?'),
        };
        OrderGroup { group: text.split_whitespace().map(entry).collect() }
    }

    fn catalogue(composites: &[(&str, &str)]) -> Catalogue {
        let composite = |(id, order): &(&str, &str)| {
            let mut descriptor = Descriptor::default();
            descriptor.buildpack.id = (*id).to_owned();
            descriptor.order = order.split('|').map(group).collect();
            descriptor
        };
        Catalogue(composites.iter().map(composite).collect())
    }

    fn expanded(order: &str, composites: &[(&str, &str)]) -> Result<String, String> {
        let order: Vec<_> = order.split('|').map(group).collect();
        let groups = expand(&order, &catalogue(composites))?;
        let name = |entry: Entry| format!("{}{}", entry.id, if entry.optional { "?" } else { "" });
        let groups = groups.into_iter().map(|group| group.into_iter().map(name).collect::<Vec<_>>().join(" "));
        Ok(groups.collect::<Vec<_>>().join(" | "))
    }

    #[test]
    fn composites_stand_for_their_groups() {
        for (order, composites, groups) in [
            ("A B? | C", &[][..], "A B? | C"),
            ("E O F", &[("O", "A B|C D")], "E A B F | E C D F"),
            ("O P", &[("O", "A|B"), ("P", "C|D")], "A C | A D | B C | B D"),
            ("O? F", &[("O", "A|B")], "A F | B F | F"),
            ("O", &[("O", "P A?"), ("P", "B|C")], "B A? | C A?"),
            ("A O A", &[("O", "A B")], "A B"),
            ("O?", &[("O", "A")], "A | "),
        ] {
            assert_eq!(expanded(order, composites).unwrap(), groups, "{order}");
        }
    }

    #[test]
    fn what_never_ends_is_an_error() {
        assert!(expanded("O", &[("O", "P"), ("P", "O")]).unwrap_err().contains("within itself"));
        let wide = "A|B|C|D|E|F|G|H|I|J";
        let order = "O P Q R S";
        let composites = ["O", "P", "Q", "R", "S"].map(|id| (id, wide));
        assert!(expanded(order, &composites).unwrap_err().contains("groups"));
    }
}
