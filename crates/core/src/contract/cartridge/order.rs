//! Which cartridges can be in a gear together, and in which order they are configured.

use std::collections::BTreeSet;

use super::find::Cartridge;
use super::manifest::Manifest;
use crate::contract::PlanError;
use crate::fault::Fault;

fn say(what: String, hint: Option<&str>, fault: Fault) -> PlanError {
    PlanError::Cartridge { what, hint: hint.map(str::to_owned), fault }
}

/// A requirement that nothing fulfils yet: whose, and what would do. One that goes round in a circle is an error.
pub(super) fn missing(chosen: &[Cartridge], fault: Fault) -> Result<Option<(usize, Vec<String>)>, PlanError> {
    for (index, cart) in chosen.iter().enumerate() {
        for choices in &cart.manifest.requires {
            if providers(chosen, index, choices).is_empty() {
                if choices.iter().any(|feature| cart.manifest.offers(feature)) {
                    return Err(circle(&[&cart.manifest.name, &cart.manifest.name], fault));
                }
                return Ok(Some((index, choices.clone())));
            }
        }
    }
    Ok(None)
}

/// Which of the others provide any of these.
fn providers(chosen: &[Cartridge], index: usize, choices: &[String]) -> Vec<usize> {
    let provides = |cart: &Cartridge| choices.iter().any(|feature| cart.manifest.offers(feature));
    let others = chosen.iter().enumerate().filter(|(other, cart)| *other != index && provides(cart));
    others.map(|(other, _)| other).collect()
}

fn circle(names: &[&str], fault: Fault) -> PlanError {
    let what = format!("cartridges require each other in a circle: {}", names.join(" requires "));
    say(what, Some("one of them has to do without"), fault)
}

/// All of them in the order in which they are configured: as they were named, the web framework first; but what is required
/// before what requires it, and as `Configure-Order` says.
pub(super) fn sorted(mut chosen: Vec<Cartridge>, fault: Fault) -> Result<Vec<Cartridge>, PlanError> {
    check(&chosen, fault)?;
    chosen.sort_by_key(|cart| !cart.manifest.is("web_framework"));
    let before: Vec<BTreeSet<usize>> = (0..chosen.len()).map(|index| required(&chosen, index)).collect();
    if let Some(names) = round(&chosen, &before) {
        return Err(circle(&names, fault));
    }
    let ordered = configured(&chosen, &before);
    let mut done: Vec<usize> = Vec::new();
    while done.len() < chosen.len() {
        let next = (0..chosen.len())
            .find(|index| !done.contains(index) && ordered[*index].iter().all(|other| done.contains(other)));
        let Some(next) = next else {
            let stuck = (0..chosen.len()).filter(|index| !done.contains(index));
            let names: Vec<_> = stuck.map(|index| chosen[index].manifest.name.as_str()).collect();
            let what =
                format!("no order fulfils Requires and Configure-Order of these cartridges: {}", names.join(", "));
            return Err(say(what, None, fault));
        };
        done.push(next);
    }
    let mut slots: Vec<_> = chosen.into_iter().map(Some).collect();
    Ok(done.into_iter().filter_map(|index| slots[index].take()).collect())
}

fn required(chosen: &[Cartridge], index: usize) -> BTreeSet<usize> {
    let requires = &chosen[index].manifest.requires;
    requires.iter().flat_map(|choices| providers(chosen, index, choices)).collect()
}

/// The same with what `Configure-Order` adds: its features, each before the next one.
fn configured(chosen: &[Cartridge], before: &[BTreeSet<usize>]) -> Vec<BTreeSet<usize>> {
    let mut ordered = before.to_vec();
    for cart in chosen {
        let features = &cart.manifest.configure_order;
        let places = |choices: &Vec<String>| -> Vec<usize> {
            let provides = |index: &usize| choices.iter().any(|feature| chosen[*index].manifest.offers(feature));
            (0..chosen.len()).filter(provides).collect()
        };
        for pair in features.windows(2) {
            for earlier in places(&pair[0]) {
                for later in places(&pair[1]).into_iter().filter(|later| *later != earlier) {
                    ordered[later].insert(earlier);
                }
            }
        }
    }
    ordered
}

/// The names along a circle of requirements, if there is one.
fn round<'a>(chosen: &'a [Cartridge], before: &[BTreeSet<usize>]) -> Option<Vec<&'a str>> {
    fn walk(here: usize, before: &[BTreeSet<usize>], path: &mut Vec<usize>, safe: &mut BTreeSet<usize>) -> bool {
        if safe.contains(&here) {
            return false;
        }
        path.push(here);
        if path[..path.len() - 1].contains(&here) {
            return true;
        }
        for next in &before[here] {
            if walk(*next, before, path, safe) {
                return true;
            }
        }
        path.pop();
        safe.insert(here);
        false
    }
    let mut safe = BTreeSet::new();
    for start in 0..chosen.len() {
        let mut path = Vec::new();
        if walk(start, before, &mut path, &mut safe) {
            let last = path.last()?;
            let from = path.iter().position(|index| index == last)?;
            return Some(path[from..].iter().map(|index| chosen[*index].manifest.name.as_str()).collect());
        }
    }
    None
}

fn check(chosen: &[Cartridge], fault: Fault) -> Result<(), PlanError> {
    let manifests: Vec<&Manifest> = chosen.iter().map(|cart| &cart.manifest).collect();
    for (index, cart) in manifests.iter().enumerate() {
        for other in &manifests[..index] {
            if cart.name == other.name || cart.directory() == other.directory() {
                return Err(say(format!("the cartridge `{}` is there twice", cart.name), None, fault));
            }
            if cart.short_name == other.short_name {
                let what = format!(
                    "the cartridges `{}` and `{}` have the same Cartridge-Short-Name, {}",
                    other.name, cart.name, cart.short_name
                );
                return Err(say(what, Some("their variables would have the same names"), fault));
            }
        }
        for other in manifests.iter().filter(|other| other.name != cart.name) {
            if let Some(feature) = cart.conflicts.iter().find(|feature| other.offers(feature)) {
                let what = format!(
                    "the cartridge `{}` conflicts with `{feature}`, which `{}` provides",
                    cart.name, other.name
                );
                return Err(say(what, Some("name only one of them"), fault));
            }
        }
    }
    let frameworks: Vec<_> =
        manifests.iter().filter(|cart| cart.is("web_framework")).map(|cart| cart.name.as_str()).collect();
    match frameworks.len() {
        1 => Ok(()),
        0 => Err(say(
            "none of the cartridges is a web framework".to_owned(),
            Some("an app has exactly one, whose Categories have web_framework; the others stand beside it"),
            fault,
        )),
        _ => Err(say(
            format!("an app has one web framework, not several: {}", frameworks.join(", ")),
            Some("make an app of each"),
            fault,
        )),
    }
}

/// What is `Required` to be published, and nobody does. OpenShift never looks at that word, and cartridges say it of what
/// comes only where there are several gears.
pub(super) fn unheard(chosen: &[Cartridge]) -> Vec<String> {
    let mut said = Vec::new();
    for cart in chosen.iter().map(|cart| &cart.manifest) {
        let published = |kind: &str| {
            let others = chosen.iter().map(|other| &other.manifest).filter(|other| other.name != cart.name);
            others.flat_map(|other| &other.publishes).any(|published| matches(&published.kind, kind))
        };
        for event in cart.subscribes.iter().filter(|event| event.required && !published(&event.kind)) {
            said.push(format!("{}: it requires that a cartridge publishes {}, and none does", cart.name, event.kind));
        }
    }
    said
}

/// Does what is published under one type go to who subscribes another?
pub(super) fn matches(published: &str, subscribed: &str) -> bool {
    published == subscribed || (subscribed == "ENV:*" && published.starts_with("ENV:"))
}
