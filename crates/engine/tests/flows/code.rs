//! Code of others that a build names: who may name what.

use till_core::Fault;
use till_engine::{Reach, Wish};
use till_testkit::MemorySource;

use crate::house::{House, Silent, wish_for};

const CONTRACT: &str = "[contract]\nkind = \"heroku\"\n";

/// An app whose source names this buildpack, or none.
fn naming(pack: &str) -> Wish {
    wish_for("app", MemorySource::new(&[("Procfile", "web: x"), (".buildpacks", pack)]))
}

#[tokio::test]
async fn a_source_from_elsewhere_names_nothing_of_this_machine_but_who_builds_it_may() {
    let mut house = House::with_contract(CONTRACT).await;
    for address in ["/srv/pack", "https://h/pack.git"] {
        house.shelf.lay(address, MemorySource::new(&[("bin/detect", ""), ("bin/compile", "")]));
    }
    house.engine.settings.buildpacks.insert("own/pack".to_owned(), "/srv/pack".to_owned());
    for (wish, allowed) in [
        (naming("https://h/pack.git"), true),
        (naming("/srv/pack#x"), false),
        (Wish { reach: Reach::Machine, ..naming("file:///nowhere") }, false),
        (naming("file:///srv/pack"), false),
        (naming("own/pack"), true),
        (Wish { buildpacks: vec!["/srv/pack".to_owned()], ..naming("") }, true),
        (Wish { buildpacks: vec!["own/pack".to_owned()], ..naming("") }, true),
    ] {
        let (reach, planned) = (wish.reach, house.engine.plan(&wish, &Silent).await);
        assert_eq!(planned.is_ok(), allowed, "{:?}", planned.err().map(|failure| failure.chain()));
        if let Err(failure) = planned {
            assert_eq!(failure.fault, Fault::Source);
            assert_eq!(failure.chain().contains("which the source has no say in"), reach == Reach::World);
        }
    }
}
