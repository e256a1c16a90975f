//! Which of the bases that are there is for what was seen.
//!
//! A base says by its contract and its tags what it is for; one that is called as the language is preferred.

use super::language::{self, Language};
use super::words::{self, quoted};
use super::{Kind, Lack, Match, Offer, Question, Seen};
use crate::model::name::Wanted;
use crate::model::{BaseName, BaseRef, ImageName};

/// What there is of something.
enum Pick<'a> {
    One(&'a Offer),
    None,
    Several(Vec<&'a Offer>),
}

/// One of those that fit: the one of the preferred name, else the only one.
fn pick<'a>(bases: &'a [Offer], preferred: &str, fits: impl Fn(&Offer) -> bool) -> Pick<'a> {
    let mut fitting: Vec<_> = bases.iter().filter(|base| fits(base)).collect();
    fitting.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    match (fitting.iter().find(|base| base.name.as_str() == preferred), fitting.as_slice()) {
        (Some(base), _) => Pick::One(base),
        (None, [base]) => Pick::One(base),
        (None, []) => Pick::None,
        (None, _) => Pick::Several(fitting),
    }
}

fn has_contract(base: &Offer, kind: &str) -> bool {
    base.contract.as_deref() == Some(kind)
}

fn is_for(base: &Offer, name: &str, tags: &[&str]) -> bool {
    base.name.as_str() == name || tags.iter().any(|tag| base.tags.iter().any(|known| known.eq_ignore_ascii_case(tag)))
}

/// Those whose own steps are for it; else those that bring a builder for it.
fn for_tags<'a>(bases: &'a [Offer], preferred: &str, tags: &[&str]) -> Pick<'a> {
    let with =
        |wanted: &dyn Fn(&Offer) -> bool| pick(bases, preferred, |base| wanted(base) && is_for(base, preferred, tags));
    match with(&|base| has_contract(base, "command")) {
        Pick::None => with(&|base| !has_contract(base, "dockerfile") && base.contract.is_some()),
        found => found,
    }
}

/// Is any base for that language?
pub(super) fn offered(language: &Language, bases: &[Offer]) -> bool {
    !matches!(for_tags(bases, language.name, language.tags), Pick::None)
}

/// The base that till.toml names.
pub(super) fn named(base: &BaseRef, bases: &[Offer]) -> Match {
    let there = bases.iter().find(|offer| offer.name == base.name);
    let lack = match there {
        None => Some(lack(format!("till.toml names the base `{}`, and there is none", base.name), &base.name)),
        Some(offer) => no_contract(offer),
    };
    let at = if base.version == Wanted::Newest { String::new() } else { format!(" ({base})") };
    Match {
        kind: Kind::Named,
        base: Some(base.name.clone()),
        files: vec![crate::model::app::FILE.to_owned()],
        what: "an app that names its base".to_owned(),
        because: format!("till.toml names it{at}"),
        how: format!("till build --base {base}"),
        lack,
    }
}

fn no_contract(offer: &Offer) -> Option<Lack> {
    offer.contract.is_none().then(|| Lack {
        what: format!("the base `{}` was imported without a contract: it prepares no source", offer.name),
        hint: "import it again with --contract FILE, or choose another with --base NAME".to_owned(),
    })
}

fn lack(what: String, name: &BaseName) -> Lack {
    Lack { what, hint: words::make(name.as_str()) }
}

/// What was seen, with the base for it. `languages` are those that the source could be of.
pub(super) fn supplied(seen: Seen, languages: &[Seen], question: &Question<'_>) -> Match {
    let bases = question.bases;
    let mut because = words::because(&seen);
    let (base, lack) = match seen.kind {
        Kind::Dockerfile => (None, None),
        Kind::Cnb => cnb(&seen, bases, &mut because),
        Kind::S2i => s2i(&seen, languages, bases),
        Kind::Heroku => by_contract(&seen, bases, "heroku", "heroku"),
        Kind::Cartridge => by_contract(&seen, bases, "cartridge", "gear"),
        Kind::Language(name) => by_tags(&seen, bases, name, language::of_name(name).map_or(&[], |known| known.tags)),
        Kind::Procfile | Kind::Shell | Kind::Named => by_tags(&seen, bases, "debian", &["procfile"]),
    };
    let how = match (&seen.kind, &base) {
        (Kind::Dockerfile, _) => {
            let without = if question.named.is_some() { ", without `base` in till.toml" } else { "" };
            format!("till build --file {}{without}", seen.files[0])
        }
        (_, Some(base)) => format!("till build --base {base}"),
        (_, None) => "till build --base NAME".to_owned(),
    };
    Match { kind: seen.kind, base, files: seen.files, what: seen.what, because, how, lack }
}

type Supply = (Option<BaseName>, Option<Lack>);

/// A base of one of the names that come along.
fn by_contract(seen: &Seen, bases: &[Offer], contract: &str, preferred: &str) -> Supply {
    supply(seen, pick(bases, preferred, |base| has_contract(base, contract)), bases, preferred)
}

fn by_tags(seen: &Seen, bases: &[Offer], preferred: &str, tags: &[&str]) -> Supply {
    supply(seen, for_tags(bases, preferred, tags), bases, preferred)
}

fn supply(seen: &Seen, pick: Pick<'_>, bases: &[Offer], preferred: &str) -> Supply {
    match pick {
        Pick::One(base) => (Some(base.name.clone()), None),
        Pick::Several(several) => (None, Some(ambiguous(seen, &several))),
        Pick::None => {
            // An image of others may have that name and prepare nothing.
            let there = bases.iter().find(|base| base.name.as_str() == preferred);
            let missing = || Lack {
                what: format!(
                    "this looks like {} ({}), which the base `{preferred}` prepares; there is no base `{preferred}`",
                    seen.what,
                    words::and(&seen.files)
                ),
                hint: words::make(preferred),
            };
            (preferred.parse().ok(), Some(there.and_then(no_contract).unwrap_or_else(missing)))
        }
    }
}

fn ambiguous(seen: &Seen, several: &[&Offer]) -> Lack {
    let names: Vec<_> = several.iter().map(|base| base.name.as_str()).collect();
    Lack {
        what: format!(
            "this looks like {} ({}), and several bases are for that: {}",
            seen.what,
            words::and(&seen.files),
            quoted(&names)
        ),
        hint: format!("say which: --base {}, or `base = \"…\"` in till.toml", names[0]),
    }
}

/// Which builder image it is for is nowhere in the source: the only one, or the one that is for its language.
fn s2i(seen: &Seen, languages: &[Seen], bases: &[Offer]) -> Supply {
    let builders: Vec<_> = bases.iter().filter(|base| has_contract(base, "s2i")).cloned().collect();
    let several = match pick(&builders, "s2i", |_| true) {
        Pick::One(base) => return (Some(base.name.clone()), None),
        Pick::None => {
            let what = format!(
                "this looks like {} ({}), and no base has a contract of kind `s2i`",
                seen.what,
                words::and(&seen.files)
            );
            let hint = "import a builder image with `till base import HOST/REPOSITORY:TAG`, which says itself that it is one; or choose a base with --base NAME";
            return (None, Some(Lack { what, hint: hint.to_owned() }));
        }
        Pick::Several(several) => several,
    };
    for language in languages {
        let Kind::Language(name) = language.kind else {
            continue;
        };
        let tags = language::of_name(name).map_or(&[][..], |known| known.tags);
        if let Pick::One(base) = pick(&builders, name, |base| is_for(base, name, tags)) {
            return (Some(base.name.clone()), None);
        }
    }
    (None, Some(ambiguous(seen, &several)))
}

/// The base that was imported from the builder that the source names; else the only one with buildpacks.
fn cnb(seen: &Seen, bases: &[Offer], because: &mut String) -> Supply {
    let builders: Vec<_> = bases.iter().filter(|base| has_contract(base, "cnb")).cloned().collect();
    let builder = seen.builder.as_deref();
    let same =
        |base: &Offer| builder.is_some_and(|builder| base.references.iter().any(|known| same_image(builder, known)));
    if let Pick::One(base) = pick(&builders, "cnb", same) {
        because.push_str(&format!(" and names the builder {}", builder.unwrap_or_default()));
        return (Some(base.name.clone()), None);
    }
    match (pick(&builders, "cnb", |_| true), builder) {
        (Pick::One(base), None) => (Some(base.name.clone()), None),
        (Pick::One(base), Some(builder)) => {
            because.push_str(&format!(
                "; no base was imported from the builder {builder} that it names, and `{}` is the one with buildpacks",
                base.name
            ));
            (Some(base.name.clone()), None)
        }
        (Pick::Several(several), _) => (None, Some(ambiguous(seen, &several))),
        (Pick::None, builder) => {
            let named = builder.map_or(String::new(), |builder| format!(" and names the builder {builder}"));
            let what = format!("this looks like {} (project.toml){named}; no base has buildpacks", seen.what);
            let hint = format!(
                "import a builder with `till base import {}`, which says itself that it is one; or choose a base with --base NAME",
                builder.unwrap_or("HOST/REPOSITORY:TAG")
            );
            (None, Some(Lack { what, hint }))
        }
    }
}

/// Do two names mean the same image? A name without a host may be of any: which one is the machine's configuration.
fn same_image(wanted: &str, known: &str) -> bool {
    let parts = |text: &str| {
        let text = text.strip_prefix("docker://").unwrap_or(text);
        let (registry, repository, tag, digest) = match text.parse().ok()? {
            ImageName::Full(name) => (Some(name.registry), name.repository, name.tag, name.digest),
            ImageName::Unqualified(name) => (None, name.repository, name.tag, name.digest),
        };
        let repository = repository.strip_prefix("library/").map(str::to_owned).unwrap_or(repository);
        // A digest says which it is; else a missing tag means this one.
        let tag = tag.or_else(|| digest.is_none().then(|| crate::model::reference::DEFAULT_TAG.to_owned()));
        Some((registry, repository, tag, digest))
    };
    let (Some(a), Some(b)) = (parts(wanted), parts(known)) else {
        return false;
    };
    let both_or = |same: bool, absent: bool| same || absent;
    both_or(a.0 == b.0, a.0.is_none() || b.0.is_none())
        && a.1 == b.1
        && both_or(a.2 == b.2, a.2.is_none() || b.2.is_none())
        && both_or(a.3 == b.3, a.3.is_none() || b.3.is_none())
}
