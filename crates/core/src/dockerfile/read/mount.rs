//! `RUN --mount=type=…,target=…`.
//!
//! A value with variables is passed over when the Dockerfile is read, and read by [`expanded`] once they are known.

use super::super::instruction::{MountKind, MountSpec, Sharing};
use super::super::values::{boolean, octal, size};
use super::copy::from;
use super::{Bad, Word};
use crate::words::nearest;

const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "sharing",
    "required",
    "mode",
    "uid",
    "gid",
    "size",
    "env",
];

/// Whether values with variables are left for later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Raw,
    Final,
}

/// What one field says, and which fields were said.
#[derive(Debug)]
struct Reading {
    spec: MountSpec,
    sharing: Option<Sharing>,
    required: Option<bool>,
    stage: Stage,
    /// Whether something was left for later.
    open: bool,
}

/// Reads a mount as it stands in the Dockerfile.
pub(super) fn read(text: &str) -> Result<MountSpec, Bad> {
    assemble(text, fields(text)?, Stage::Raw)
}

/// Reads it again after `expand` was put over every value.
pub(in super::super) fn expanded(
    text: &str,
    expand: &dyn Fn(&str) -> Result<String, String>,
) -> Result<MountSpec, Bad> {
    let expand = |field: String| match field.split_once('=') {
        // A `from` has no variables, which was seen when it was read.
        Some((key, _)) if key.eq_ignore_ascii_case("from") => Ok(field),
        Some((key, value)) => Ok(format!("{key}={}", expand(value)?)),
        None => Ok(field),
    };
    let fields = fields(text)?.into_iter().map(expand).collect::<Result<_, String>>()?;
    assemble(text, fields, Stage::Final)
}

fn assemble(text: &str, fields: Vec<String>, stage: Stage) -> Result<MountSpec, Bad> {
    let spec = MountSpec {
        kind: MountKind::Bind,
        target: None,
        source: None,
        from: None,
        id: None,
        sharing: Sharing::Shared,
        read_only: None,
        mode: None,
        uid: None,
        gid: None,
        required: false,
        size: None,
        env: None,
        text: text.to_owned(),
    };
    let mut reading = Reading { spec, sharing: None, required: None, stage, open: false };
    for field in &fields {
        match field.split_once('=') {
            Some((key, value)) => reading.set(&key.to_lowercase(), value)?,
            None => reading.say(&field.to_lowercase())?,
        }
    }
    reading.finish()
}

impl Reading {
    /// A key without a value.
    fn say(&mut self, key: &str) -> Result<(), Bad> {
        match key {
            "readonly" | "ro" => self.spec.read_only = Some(true),
            "readwrite" | "rw" => self.spec.read_only = Some(false),
            "required" => self.required = Some(true),
            _ if KEYS.contains(&key) => return Err(Bad::new(format!("the mount's `{key}` needs a value: `{key}=…`"))),
            _ => return Err(unknown(key)),
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Bad> {
        if self.stage == Stage::Raw && value.contains('$') && KEYS.contains(&key) {
            match key {
                "from" | "target" | "dst" | "destination" | "source" | "src" | "id" => {}
                _ => {
                    self.open = true;
                    return Ok(());
                }
            }
        }
        let text = || value.to_owned();
        let word = || Some(Word(value.to_owned())).filter(|word| !word.0.is_empty());
        match key {
            "type" => self.spec.kind = kind(value)?,
            "from" => self.spec.from = Some(from(value)?).filter(|from| !from.is_empty()),
            "source" | "src" => self.spec.source = word(),
            "target" | "dst" | "destination" => self.spec.target = word(),
            "id" => self.spec.id = word(),
            "readonly" | "ro" => self.spec.read_only = Some(boolean(key, value)?),
            "readwrite" | "rw" => self.spec.read_only = Some(!boolean(key, value)?),
            "required" => self.required = Some(boolean(key, value)?),
            "sharing" => self.sharing = Some(sharing(value)?),
            "mode" => self.spec.mode = Some(octal(value)?),
            "uid" => self.spec.uid = Some(id(key, value)?),
            "gid" => self.spec.gid = Some(id(key, value)?),
            "size" => self.spec.size = Some(size(value)?),
            "env" => self.spec.env = Some(text()),
            _ => return Err(unknown(key)),
        }
        Ok(())
    }

    /// What belongs to which kind.
    fn finish(mut self) -> Result<MountSpec, Bad> {
        if !self.open {
            self.check()?;
        }
        if self.spec.kind == MountKind::Secret && self.spec.id.is_none() {
            // Of a secret, `source` is another word for `id`.
            self.spec.id = self.spec.source.take();
        }
        self.spec.sharing = self.sharing.unwrap_or(Sharing::Shared);
        self.spec.required = self.required.unwrap_or(false);
        Ok(self.spec)
    }

    fn check(&self) -> Result<(), Bad> {
        let spec = &self.spec;
        let (is_cache, is_secret) = (spec.kind == MountKind::Cache, spec.kind == MountKind::Secret);
        let is_owned = is_cache || is_secret;
        let owned = spec.mode.or(spec.uid).or(spec.gid);
        let misplaced = [
            ("mode`, `uid` or `gid", owned.is_some() && !is_owned, "caches and secrets"),
            ("sharing", self.sharing.is_some() && !is_cache, "caches"),
            ("required", self.required.is_some() && !is_secret, "secrets"),
            ("env", spec.env.is_some() && !is_secret, "secrets"),
            ("size", spec.size.is_some() && spec.kind != MountKind::Tmpfs, "tmpfs"),
            ("from", spec.from.is_some() && (is_secret || spec.kind == MountKind::Tmpfs), "binds and caches"),
        ];
        if let Some((key, _, owner)) = misplaced.iter().find(|(_, wrong, _)| *wrong) {
            return Err(Bad::new(format!("`{key}` is for mounts of {owner}: `{}`", spec.text)));
        }
        if !is_secret && spec.target.is_none() {
            return Err(Bad::new(format!("the mount has no target: `{}`", spec.text)).hint("add `target=/a/path`"));
        }
        if is_secret && spec.source.is_some() && spec.id.is_some() {
            return Err(Bad::new("a secret's `source` and `id` are the same; give one"));
        }
        if is_secret && spec.source.is_none() && spec.id.is_none() && spec.target.is_none() {
            return Err(Bad::new("the secret has neither an id nor a target").hint("add `id=NAME`"));
        }
        if spec.target.as_ref().is_some_and(|target| !target.0.is_empty() && target.0.trim_matches('/').is_empty()) {
            return Err(Bad::new("a mount's target cannot be `/`"));
        }
        Ok(())
    }
}

fn kind(value: &str) -> Result<MountKind, Bad> {
    match value.to_lowercase().as_str() {
        "bind" => Ok(MountKind::Bind),
        "cache" => Ok(MountKind::Cache),
        "tmpfs" => Ok(MountKind::Tmpfs),
        "secret" => Ok(MountKind::Secret),
        "ssh" => {
            Err(Bad::new("mounts of type `ssh` are not supported: no agent of yours is at the machine that builds")
                .hint("fetch with a token: `--mount=type=secret,id=NAME`"))
        }
        other => {
            let bad = Bad::new(format!("there is no mount of type `{other}`"));
            Err(match nearest(other, ["bind", "cache", "tmpfs", "secret"]) {
                Some(near) => bad.hint(format!("did you mean `{near}`?")),
                None => bad.hint("types: bind, cache, tmpfs, secret"),
            })
        }
    }
}

fn sharing(value: &str) -> Result<Sharing, Bad> {
    match value.to_lowercase().as_str() {
        "shared" => Ok(Sharing::Shared),
        "private" => Ok(Sharing::Private),
        "locked" => Ok(Sharing::Locked),
        other => Err(Bad::new(format!("`sharing` is `shared`, `private` or `locked`, not `{other}`"))),
    }
}

fn id(key: &str, value: &str) -> Result<u32, Bad> {
    value.parse().map_err(|_| Bad::new(format!("`{key}` is a number, not `{value}`")))
}

fn unknown(key: &str) -> Bad {
    let bad = Bad::new(format!("a mount has no `{key}`"));
    match nearest(key, KEYS) {
        Some(near) => bad.hint(format!("did you mean `{near}`?")),
        None => bad,
    }
}

/// Fields between commas; one in double quotes may hold commas, and a doubled quote for one.
fn fields(text: &str) -> Result<Vec<String>, Bad> {
    let mut fields = vec![String::new()];
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        let Some(field) = fields.last_mut() else { break };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(String::new()),
            c => field.push(c),
        }
    }
    if quoted {
        return Err(Bad::new(format!("a quote stays open in the mount `{text}`")));
    }
    Ok(fields)
}
