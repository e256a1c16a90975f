//! The app: what slices ask for as layers of their own, the rest as one.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use super::arrange::{Arranging, Files};
use crate::arguments::Settings;
use crate::decide::glob::Pattern;
use crate::failure::{Doing as _, Failure};
use crate::model::launch::Slice;
use crate::model::report::Kind;
use crate::tree::{Folder, Links, What, bring};

/// Arranges all layers of the app. A file is in the first slice that matches it, and in no other.
pub(super) fn layers(arranging: &mut Arranging<'_>, settings: &Settings, slices: &[Slice]) -> Result<(), Failure> {
    let deed = || format!("arrange the app {}", settings.app.display());
    let app = Folder::open(&settings.app).doing(deed)?;
    let (parent, name) =
        settings.app.parent().zip(settings.app.file_name()).ok_or_else(|| Failure::new("the app is /"))?;
    for (at, slice) in slices.iter().enumerate() {
        let mut paths = Vec::new();
        for text in &slice.paths {
            if let Some(pattern) = Pattern::parse(text).map_err(Failure::new)? {
                find(&app, &pattern, 0, &mut PathBuf::new(), &mut paths).doing(deed)?;
            }
        }
        let (root, target) = arranging.begin(&format!("slice-{}", at + 1), parent)?;
        if paths.is_empty() {
            arranging.forget(&root)?;
            continue;
        }
        let target = same(&app, &target, name).doing(deed)?;
        for path in &paths {
            take(&app, &target, path).doing(|| format!("arrange {} of the app", path.display()))?;
        }
        let number = at + 1;
        let layer =
            arranging.layer(&root, Kind::Slice, format!("slice-{number}"), format!("Application Slice: {number}"));
        arranging.end(root, layer, Files::OfBuilds)?;
    }
    let (root, target) = arranging.begin("app", parent)?;
    let target = same(&app, &target, name).doing(deed)?;
    all(&app, &target).doing(deed)?;
    let layer = arranging.layer(&root, Kind::App, "app".to_owned(), "Application Layer".to_owned());
    arranging.end(root, layer, Files::OfBuilds)
}

/// What a pattern matches of what is still there.
fn find(
    folder: &Folder,
    pattern: &Pattern,
    depth: usize,
    path: &mut PathBuf,
    found: &mut Vec<PathBuf>,
) -> io::Result<()> {
    if depth == pattern.depth() {
        found.push(path.clone());
        return Ok(());
    }
    for name in folder.names()? {
        if !pattern.fits(depth, &name.to_string_lossy()) {
            continue;
        }
        path.push(&name);
        if depth + 1 == pattern.depth() {
            found.push(path.clone());
        } else if folder.what(&name)? == What::Folder
            && let Some(inside) = folder.enter(&name)?
        {
            find(&inside, pattern, depth + 1, path, found)?;
        }
        path.pop();
    }
    Ok(())
}

/// Moves a path of the app; the directories above it are made as they are in the app. What is gone already is in this
/// slice, by another pattern.
fn take(app: &Folder, target: &Folder, path: &Path) -> io::Result<()> {
    let Some(name) = path.file_name() else { return all(app, target) };
    let (mut from, mut to) = (app.descend(Path::new(""))?, target.descend(Path::new(""))?);
    for part in path.parent().into_iter().flat_map(Path::components) {
        let (Some(above), Some(into)) = (from, to) else { return Ok(()) };
        let Some(next) = above.enter(part)? else { return Ok(()) };
        to = Some(same(&next, &into, part.as_os_str())?);
        from = Some(next);
    }
    match (from, to) {
        (Some(from), Some(to)) if from.what(name)? != What::Nothing => bring(&from, name, &to, &mut Links::default()),
        _ => Ok(()),
    }
}

/// Moves all there is.
fn all(from: &Folder, to: &Folder) -> io::Result<()> {
    let mut links = Links::default();
    for name in from.names()? {
        bring(from, &name, to, &mut links)?;
    }
    Ok(())
}

/// Makes a directory with the mode of another.
fn same(original: &Folder, into: &Folder, name: &OsStr) -> io::Result<Folder> {
    let made = into.make(name)?;
    let mode = rustix::fs::fstat(original)?.st_mode;
    rustix::fs::fchmod(&made, Mode::from_raw_mode(mode & 0o7777))?;
    Ok(made)
}
