//! Incremental builds: the app's newest artifact is asked for what it saved, by its own script. Whatever goes wrong with
//! that, the build only starts clean.

use super::image::{Says, is_plain};
use super::labels;
use super::pieces::{as_user, step};
use super::planning::Builder;
use crate::known::KnownImage;
use crate::plan::{Deed, Footing, Injection, Landing, Place, Selection, Stage, TreeFiles};

/// Runs the script and unpacks what it writes. That needs `tar`, as the script itself nearly always does.
const SAVE: &str = include_str!("save.sh");
const NAME: &str = "save-artifacts";
/// Where what was unpacked lies, as `artifacts`; and where the archive is written.
const OUT: &str = "/.till/out";
const SAVING: &str = "/.till/saving";

/// The stage that asks; or why nothing is asked.
pub(super) fn stage(builder: &Builder<'_>, previous: &KnownImage) -> Result<Stage, String> {
    let ours = labels::builder(builder.request);
    if let Some(other) = labels::builder_of(&previous.config.labels).filter(|other| *other != ours) {
        return Err(format!("the app's newest artifact was built by `{other}`"));
    }
    let says = Says(&previous.config);
    let destination = builder.spec.destination.as_deref().unwrap_or(says.destination());
    if !is_plain(destination) {
        return Err(format!("the destination `{destination}` of the app's newest artifact is no path"));
    }
    let user = builder.spec.assemble_user.as_deref().or(says.assemble_user());
    let user = user.map_or_else(|| says.user(), str::to_owned);
    // A script that came with the source won over that of the image.
    let brought = format!("{}/scripts/{NAME}", destination.trim_end_matches('/'));
    let own = says.scripts_directory().map(|directory| format!("{directory}/{NAME}"));
    let candidates: Vec<_> = std::iter::once(brought).chain(own).collect();
    let mut step = step(NAME, "", (&previous.config, &user), &[]);
    step.argv = ["/bin/sh", "-c", SAVE, NAME].map(str::to_owned).into_iter().chain(candidates.clone()).collect();
    step.built = candidates;
    let folder = |path: &str| {
        let place = Place::Dir(path.to_owned());
        Deed::Inject(Injection { what: Selection::Texts(Vec::new()), place, owner: Some(user.clone()) })
    };
    let deeds = vec![folder(OUT), folder(SAVING), Deed::Run(step)];
    Ok(builder.stage(NAME, Footing::Image(previous.digest.clone()), deeds))
}

/// Puts what was saved, if anything was, into the destination as `artifacts`.
pub(super) fn restore(of: Footing, destination: &str, user: &str) -> Deed {
    let files = TreeFiles { of, sources: vec![OUT.to_owned()], parents: false, exclude: Vec::new() };
    let path = if destination.is_empty() { "/" } else { destination };
    let landing = Landing { path: path.to_owned(), directory: true, mode: None, unpack: false };
    Deed::Inject(Injection { what: Selection::Tree(files), place: Place::Copy(landing), owner: Some(as_user(user)) })
}
