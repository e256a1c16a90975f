//! RUN --mount.

use super::context::{Item, clean};
use super::stage::Building;
use super::{Drafting, bad};
use crate::digest::Digest;
use crate::dockerfile::{BadDockerfile, MountKind, MountSpec, Sharing, Word};
use crate::plan::{self, Mounted, NamedFile, StepMount};

/// Where secrets are, when nobody says.
const SECRETS: &str = "/run/secrets";

/// What the runtime itself mounts: nothing is seen that lies below.
const TAKEN: [&str; 3] = ["/dev", "/proc", "/sys"];

impl Drafting<'_> {
    /// One, or two of a secret that is given in a variable and as a file; none when something has to be known first.
    pub(super) fn mount(
        &mut self,
        building: &Building,
        line: u32,
        spec: &MountSpec,
    ) -> Result<Vec<StepMount>, BadDockerfile> {
        let lookup = Self::lookup(building);
        let spec = spec.expanded(self.ask.dockerfile.directives.escape, &lookup).map_err(|why| bad(line, why))?;
        let text = |word: &Option<Word>| word.as_ref().map(|word| word.0.clone()).filter(|text| !text.is_empty());
        let (target, source, id) = (text(&spec.target), text(&spec.source), text(&spec.id));
        let is_placed = target.is_some();
        let (path, what) = match spec.kind {
            MountKind::Secret => secret(&spec, target, source, id),
            MountKind::Tmpfs => (target, Mounted::Tmpfs { size: spec.size }),
            MountKind::Cache => {
                if spec.from.is_some() {
                    return Err(bad(
                        line,
                        "a cache that begins with the files of another tree (`from`) is not supported",
                    ));
                }
                let id = id.or_else(|| target.clone()).unwrap_or_default();
                (target, cache(&spec, &id))
            }
            MountKind::Bind => {
                let Some(what) = self.bind(building, line, &spec, source.as_deref().unwrap_or("/"))? else {
                    return Ok(Vec::new());
                };
                (target, what)
            }
        };
        let Some(path) = path else {
            return Err(bad(line, format!("--mount={}: it has no target", spec.text)));
        };
        let path = building.absolute(&path);
        let is_taken = |taken: &str| path == *taken || path.starts_with(&format!("{taken}/"));
        if path == "/" || TAKEN.iter().any(|taken| is_taken(taken)) {
            return Err(bad(line, format!("--mount={}: `{path}` cannot be mounted on", spec.text)));
        }
        let write = match spec.kind {
            MountKind::Bind => spec.read_only == Some(false),
            MountKind::Secret => false,
            _ => spec.read_only != Some(true),
        };
        let file = as_file(&what).filter(|_| is_placed).map(|what| StepMount { path: path.clone(), what, write });
        Ok([StepMount { path, what, write }].into_iter().chain(file).collect())
    }

    fn bind(
        &mut self,
        building: &Building,
        line: u32,
        spec: &MountSpec,
        source: &str,
    ) -> Result<Option<Mounted>, BadDockerfile> {
        if let Some(from) = &spec.from {
            let of = self.tree_at(from, building.number, line)?;
            return Ok(of.map(|of| Mounted::Tree { of, source: format!("/{}", clean(source)) }));
        }
        let context = self.ask.context;
        let path = clean(source);
        let end = context.followed(&path).ok_or_else(|| bad(line, format!("`{path}` leads nowhere")))?;
        let files = match context.item(&end) {
            None => return Err(self.not_found(line, &path)),
            Some(Item::File(file)) => vec![NamedFile { name: String::new(), file: file.clone() }],
            Some(Item::Directory) => {
                let named = |(name, file): (&str, &crate::model::SourceFile)| NamedFile {
                    name: name.to_owned(),
                    file: file.clone(),
                };
                context.below(&end).map(named).collect()
            }
        };
        Ok(Some(Mounted::Source(files)))
    }
}

fn secret(
    spec: &MountSpec,
    target: Option<String>,
    source: Option<String>,
    id: Option<String>,
) -> (Option<String>, Mounted) {
    let last = |path: &String| path.rsplit('/').next().unwrap_or_default().to_owned();
    let id = id.or(source).or_else(|| target.as_ref().map(last)).unwrap_or_default();
    let path = target.clone().unwrap_or_else(|| format!("{SECRETS}/{id}"));
    let what = Mounted::Secret {
        id,
        required: spec.required,
        owner: (spec.uid.unwrap_or(0), spec.gid.unwrap_or(0)),
        mode: spec.mode.unwrap_or(0o400),
        env: spec.env.clone(),
    };
    (Some(path), what)
}

/// The file of a secret that is given in a variable: BuildKit makes it, too, where the mount has a target.
fn as_file(what: &Mounted) -> Option<Mounted> {
    match what {
        Mounted::Secret { id, required, owner, mode, env: Some(_) } => {
            Some(Mounted::Secret { id: id.clone(), required: *required, owner: *owner, mode: *mode, env: None })
        }
        _ => None,
    }
}

/// A cache of the app. Its name becomes a directory's on the host: so it is made of letters, and told apart by a digest.
fn cache(spec: &MountSpec, id: &str) -> Mounted {
    let plain: String = id.chars().filter(|c| c.is_ascii_alphanumeric()).take(24).collect();
    Mounted::Cache {
        name: format!("mount-{plain}-{}", Digest::of(id.as_bytes()).short()),
        // `private` asks for a copy of one's own where another step has it; waiting for that step is as good.
        sharing: if spec.sharing == Sharing::Shared { plan::Sharing::Shared } else { plan::Sharing::Locked },
        owner: (spec.uid.unwrap_or(0), spec.gid.unwrap_or(0)),
        mode: spec.mode.unwrap_or(0o755),
    }
}
