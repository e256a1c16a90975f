//! COPY and ADD: which files, and where they come to lie.

use std::collections::BTreeMap;

use super::context::{Item, clean};
use super::stage::Building;
use super::{Drafting, Need, bad};
use crate::dockerfile::ignore::Ignore;
use crate::dockerfile::{self, Add, BadDockerfile, Copy, Line, Source, expand};
use crate::plan::{
    Deed, Footing, Injection, Landing, NamedFile, Place, RemoteFile, Selection, Sight, TextFile, TreeFiles,
};

/// Files that are put somewhere together.
struct Portion {
    what: Selection,
    /// Is it a directory's content, so that the place is a directory?
    directory: bool,
    unpack: bool,
}

impl Drafting<'_> {
    pub(super) fn copy(
        &mut self,
        building: &mut Building,
        line: &Line,
        copy: &Copy,
        add: Option<&Add>,
    ) -> Result<(), BadDockerfile> {
        let number = line.number;
        let owner = copy.chown.as_ref().map(|word| self.expand(building, word, number)).transpose()?;
        let owner = owner.filter(|owner| !owner.is_empty());
        let mode = copy.chmod.as_ref().map(|word| self.expand(building, word, number)).transpose()?;
        if let Some(mode) = &mode {
            dockerfile::mode(mode).map_err(|why| bad(number, format!("--chmod={mode}: {why}")))?;
        }
        let dest = self.expand(building, &copy.dest, number)?;
        if dest.is_empty() {
            return Err(bad(number, "the destination is empty"));
        }
        let path = building.absolute(&dest);
        let several = copy.sources.len() > 1;
        let is_directory = matches!(dest.rsplit('/').next(), Some("" | "." | ".."));
        if several && !is_directory {
            return Err(BadDockerfile {
                line: number,
                what: format!("several sources are copied to `{dest}`, which is no directory for sure"),
                hint: Some(format!("write `{dest}/`")),
            });
        }
        // A name can only be looked up in what lies below.
        let sight = if copy.link && owner.as_deref().is_none_or(is_numeric) { Sight::Nothing } else { Sight::All };
        let deeds = self
            .portions(building, line, copy, (add, &dest))?
            .into_iter()
            .map(|portion| {
                let directory = is_directory || portion.directory || (path == "/");
                let landing = Landing { path: path.clone(), directory, mode: mode.clone(), unpack: portion.unpack };
                Deed::Inject(Injection { what: portion.what, place: Place::Copy(landing), owner: owner.clone() })
            })
            .collect();
        self.layer(building, line, sight, deeds);
        Ok(())
    }

    fn portions(
        &mut self,
        building: &mut Building,
        line: &Line,
        copy: &Copy,
        (add, dest): (Option<&Add>, &str),
    ) -> Result<Vec<Portion>, BadDockerfile> {
        let number = line.number;
        let mut exclude = Vec::new();
        for word in &copy.exclude {
            exclude.push(self.expand(building, word, number)?);
        }
        let mut paths = Vec::new();
        let mut texts = Vec::new();
        let mut portions = Vec::new();
        for source in &copy.sources {
            match source {
                Source::Heredoc(heredoc) => {
                    let text = if heredoc.expand {
                        let expanded = expand::heredoc(&heredoc.body, &Self::lookup(building));
                        expanded.map_err(|why| bad(number, why))?.text
                    } else {
                        heredoc.body.clone()
                    };
                    texts.push(TextFile { name: heredoc.name.clone(), text, mode: 0o644 });
                }
                Source::Path(word) => {
                    let path = self.expand(building, word, number)?;
                    match add {
                        Some(add) if is_url(&path) => {
                            portions.extend(self.remote(building, number, (add, dest), &path)?)
                        }
                        Some(_) if is_git(&path) => {
                            return Err(BadDockerfile {
                                line: number,
                                what: format!("ADD {path}: repositories are not fetched"),
                                hint: Some("fetch it in a RUN, or have it in the source".to_owned()),
                            });
                        }
                        _ => paths.push(path),
                    }
                }
            }
        }
        if !texts.is_empty() {
            texts.sort_by(|a, b| a.name.cmp(&b.name));
            portions.push(Portion { what: Selection::Texts(texts), directory: false, unpack: false });
        }
        if paths.is_empty() {
            return Ok(portions);
        }
        if add.is_some_and(|add| add.checksum.is_some()) {
            return Err(bad(number, format!("--checksum is for what is fetched, and `{}` is not", paths[0])));
        }
        match &copy.from {
            Some(from) => {
                let Some(of) = self.tree_at(from, building.number, number)? else {
                    return Ok(portions);
                };
                let files = TreeFiles { of, sources: paths, parents: copy.parents, exclude };
                portions.push(Portion { what: Selection::Tree(files), directory: false, unpack: false });
            }
            None => portions.extend(self.context_portions(number, &paths, copy, (add, &exclude))?),
        }
        Ok(portions)
    }

    /// The tree of what is named; a stage that comes later is no image.
    pub(super) fn tree_at(&mut self, from: &str, number: usize, line: u32) -> Result<Option<Footing>, BadDockerfile> {
        let lower = from.to_lowercase();
        let later = &self.ask.dockerfile.stages[number..];
        let is_later = later.iter().any(|stage| stage.name.as_deref() == Some(&lower));
        let is_later = is_later || from.parse::<usize>().is_ok_and(|other| other >= number);
        if is_later && self.earlier(from, number).is_none() {
            return Err(bad(line, format!("`{from}` is this stage or one that comes after it")));
        }
        self.tree(from, number)
    }

    fn context_portions(
        &mut self,
        line: u32,
        paths: &[String],
        copy: &Copy,
        (add, exclude): (Option<&Add>, &[String]),
    ) -> Result<Vec<Portion>, BadDockerfile> {
        let exclude = Ignore::of(exclude.iter().map(String::as_str));
        let unpack = add.is_some_and(|add| add.unpack.unwrap_or(true));
        let (mut files, mut inside, mut directory, mut count) = (BTreeMap::new(), BTreeMap::new(), false, 0);
        for source in paths {
            for (path, pivot) in self.find(line, source, copy.parents)? {
                let context = self.ask.context;
                let end = context.followed(&path).ok_or_else(|| bad(line, format!("`{path}` leads nowhere")))?;
                let kept = path.strip_prefix(&pivot).map_or(path.as_str(), |rest| rest.trim_start_matches('/'));
                match context.item(&end) {
                    None => return Err(self.not_found(line, &path)),
                    Some(Item::File(file)) => {
                        let base = path.rsplit('/').next().unwrap_or(&path);
                        if !exclude.excludes(base) {
                            let name = if copy.parents { kept } else { base };
                            // What comes later wins; only what may be an archive stands alone.
                            let among = if unpack { &mut files } else { &mut inside };
                            among.insert(name.to_owned(), file.clone());
                            count += 1;
                        }
                    }
                    Some(Item::Directory) => {
                        directory = true;
                        let prefix = if copy.parents && !kept.is_empty() { format!("{kept}/") } else { String::new() };
                        let below = context.below(&end).filter(|(below, _)| !exclude.excludes(below));
                        inside.extend(below.map(|(below, file)| (format!("{prefix}{below}"), file.clone())));
                    }
                }
            }
        }
        let named = |files: BTreeMap<_, _>| {
            Selection::Named(files.into_iter().map(|(name, file)| NamedFile { name, file }).collect())
        };
        let is_directory = directory || copy.parents || count > 1;
        let mut portions = Vec::new();
        if directory || !unpack {
            portions.push(Portion { what: named(inside), directory: is_directory, unpack: false });
        }
        // Each of these may be an archive.
        for (name, file) in files {
            let what = named(BTreeMap::from([(name, file)]));
            portions.push(Portion { what, directory: is_directory, unpack });
        }
        Ok(portions)
    }

    /// The paths that a source means, and what of each is not kept by `--parents`.
    fn find(&self, line: u32, source: &str, parents: bool) -> Result<Vec<(String, String)>, BadDockerfile> {
        let pivot = source.split_once("/./").filter(|_| parents).map_or(String::new(), |(pivot, _)| clean(pivot));
        let pattern = clean(source);
        if !pattern.contains(['*', '?', '[', '\\']) {
            return Ok(vec![(pattern, pivot)]);
        }
        let found = self.ask.context.matching(&pattern, parents).map_err(|why| bad(line, why))?;
        Ok(found.into_iter().map(|path| (path, pivot.clone())).collect())
    }

    pub(super) fn not_found(&self, line: u32, path: &str) -> BadDockerfile {
        let ignored = self.ask.context.is_ignored(path);
        BadDockerfile {
            line,
            what: format!("there is no `{path}` in the source"),
            hint: ignored.then(|| "it is there, but .dockerignore leaves it out".to_owned()),
        }
    }

    fn remote(
        &mut self,
        building: &Building,
        line: u32,
        (add, dest): (&Add, &str),
        url: &str,
    ) -> Result<Option<Portion>, BadDockerfile> {
        let checksum = add.checksum.as_ref().map(|word| self.expand(building, word, line)).transpose()?;
        let checksum = checksum
            .map(|text| text.parse::<crate::Digest>().map_err(|error| bad(line, format!("--checksum: {error}"))));
        let checksum = checksum.transpose()?;
        let Some(known) = self.ask.known.remotes.get(url) else {
            self.needs.insert(Need::Remote { url: url.to_owned(), checksum });
            return Ok(None);
        };
        if let Some(wanted) = checksum.filter(|wanted| *wanted != known.digest) {
            return Err(bad(line, format!("what {url} gives has digest {}, not {wanted}", known.digest)));
        }
        let last = url.split(['?', '#']).next().unwrap_or(url).rsplit('/').next().unwrap_or_default();
        let name = if last.is_empty() { known.name.as_str() } else { last };
        if name.is_empty() && dest.ends_with('/') {
            return Err(bad(line, format!("{url} names no file, and `{dest}` is a directory")));
        }
        let name = if name.is_empty() { "file" } else { name };
        let file =
            RemoteFile { url: url.to_owned(), digest: known.digest.clone(), name: name.to_owned(), time: known.time };
        let unpack = add.unpack == Some(true);
        Ok(Some(Portion { what: Selection::Remote(file), directory: false, unpack }))
    }
}

fn is_url(path: &str) -> bool {
    (path.starts_with("https://") || path.starts_with("http://")) && !is_git(path)
}

/// As BuildKit tells repositories from files.
fn is_git(path: &str) -> bool {
    let before = path.split('#').next().unwrap_or(path);
    path.starts_with("git://")
        || path.starts_with("ssh://")
        || path.starts_with("git@")
        || ((path.starts_with("https://") || path.starts_with("http://")) && before.ends_with(".git"))
}

/// Numbers need no /etc/passwd.
fn is_numeric(owner: &str) -> bool {
    owner.split(':').all(|part| part.bytes().all(|b| b.is_ascii_digit()))
}
