//! Source: a directory, a work tree with changes, a clean one, a bare repository. All four pass one suite; what is special
//! about one of them stands here.
//!
//! ```text
//! places.rs      puts files where source comes from; with real git
//! directory.rs   what only happens to directories
//! repository.rs  what only happens to repositories
//! ```
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod directory;
mod places;
mod repository;

use till_testkit::conformance::{Placed, source_tree, source_tree_leaves_out, source_tree_tells};
use till_testkit::{Tree, tree};

use places::{Place, open};

async fn placed(place: Place, files: &Tree) -> Placed {
    let folder = place.of(files);
    Placed { source: open(folder.path()).await, kept: Box::new(folder) }
}

macro_rules! suite {
    ($($name:ident: $place:expr;)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test]
            async fn is_a_source_tree() {
                source_tree(async |files: &Tree| placed($place, files).await).await;
            }

            #[tokio::test]
            async fn leaves_out_what_tillignore_names() {
                source_tree_leaves_out(async |files: &Tree| placed($place, files).await).await;
            }

            #[tokio::test]
            async fn tells_of_pointers() {
                source_tree_tells(async |files: &Tree| placed($place, files).await).await;
            }
        }
    )*};
}

suite! {
    plain_directory: Place::Plain;
    work_tree_with_changes: Place::Changed;
    clean_work_tree: Place::Clean;
    bare_repository: Place::Bare;
}

#[tokio::test]
async fn a_commit_has_a_time_and_changes_are_said() {
    for (place, commit, dirty) in [
        (Place::Plain, false, false),
        (Place::Changed, true, true),
        (Place::Clean, true, false),
        (Place::Bare, true, false),
    ] {
        let placed = placed(place, &tree(&[("a", "")])).await;
        let view = placed.source.view().await.unwrap();
        assert_eq!((view.commit.is_some(), view.dirty), (commit, dirty), "{place:?}");
        assert_eq!(view.time, commit.then_some(1_112_911_993), "{place:?}");
    }
}

#[tokio::test]
async fn a_clean_work_tree_and_its_repository_are_the_same_source() {
    let files = tree(&[("a", "one"), ("b*", "two"), ("c@", "a")]);
    let (clean, bare) = (placed(Place::Clean, &files).await, placed(Place::Bare, &files).await);
    let (clean, bare) = (clean.source.view().await.unwrap(), bare.source.view().await.unwrap());
    assert_eq!(clean, bare);
}
