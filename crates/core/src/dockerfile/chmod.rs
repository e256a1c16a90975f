//! `--chmod`: octal or symbolic modes, and what they make of a mode.
//!
//! Where no `u`, `g`, `o` or `a` is said, all are meant: images have no umask.

use super::values;

/// What `--chmod` does to modes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chmod {
    /// The mode itself.
    Octal(u32),
    /// Changes, one after the other.
    Symbolic(Vec<Clause>),
}

/// One change: `go-w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clause {
    who: Who,
    deed: Deed,
    what: What,
}

/// Whose bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Who {
    user: bool,
    group: bool,
    other: bool,
    /// Whether it was said, and not only meant.
    named: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Add,
    Remove,
    Set,
}

/// Which permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Bits {
        /// Of `rwx`, as one octal digit.
        rwx: u32,
        /// `X`: `x` for directories and for what somebody may execute already.
        search: bool,
        set_id: bool,
        sticky: bool,
    },
    /// Those that the user, the group or others have: by how far their bits are shifted.
    Copied(u32),
}

/// Reads `--chmod`, expanded.
pub fn mode(text: &str) -> Result<Chmod, String> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return values::octal(text).map(Chmod::Octal).map_err(|bad| bad.what);
    }
    let bad = || format!("`{text}` is not a mode: expected an octal number as `0755`, or changes as `u=rwX,go=rX`");
    let mut clauses = Vec::new();
    for change in text.split(',') {
        let (who, mut rest) = who(change);
        if rest.is_empty() {
            return Err(bad());
        }
        while let Some(deed) = rest.chars().next() {
            let deed = match deed {
                '+' => Deed::Add,
                '-' => Deed::Remove,
                '=' => Deed::Set,
                _ => return Err(bad()),
            };
            let after = rest.get(1..).unwrap_or_default();
            let end = after.find(['+', '-', '=']).unwrap_or(after.len());
            let (permissions, after) = after.split_at(end);
            clauses.push(Clause { who, deed, what: what(permissions).ok_or_else(bad)? });
            rest = after;
        }
    }
    Ok(Chmod::Symbolic(clauses))
}

fn who(text: &str) -> (Who, &str) {
    let rest = text.trim_start_matches(['u', 'g', 'o', 'a']);
    let said = text.strip_suffix(rest).unwrap_or_default();
    let all = said.is_empty() || said.contains('a');
    let has = |c| all || said.contains(c);
    (Who { user: has('u'), group: has('g'), other: has('o'), named: !said.is_empty() }, rest)
}

fn what(text: &str) -> Option<What> {
    match text {
        "u" => return Some(What::Copied(6)),
        "g" => return Some(What::Copied(3)),
        "o" => return Some(What::Copied(0)),
        _ => {}
    }
    let (mut rwx, mut search, mut set_id, mut sticky) = (0, false, false, false);
    for c in text.chars() {
        match c {
            'r' => rwx |= 4,
            'w' => rwx |= 2,
            'x' => rwx |= 1,
            'X' => search = true,
            's' => set_id = true,
            't' => sticky = true,
            _ => return None,
        }
    }
    Some(What::Bits { rwx, search, set_id, sticky })
}

impl Chmod {
    /// The mode (of 12 bits) that a file of mode `old` gets.
    pub fn apply(&self, old: u32, is_dir: bool) -> u32 {
        match self {
            Self::Octal(mode) => *mode,
            Self::Symbolic(clauses) => clauses.iter().fold(old & 0o7777, |mode, clause| clause.apply(mode, is_dir)),
        }
    }

    /// The mode of directories that are made because what is copied needs them: changes are of what is copied, as with
    /// BuildKit.
    pub fn of_missing(&self) -> u32 {
        match self {
            Self::Octal(mode) => *mode,
            Self::Symbolic(_) => 0o755,
        }
    }
}

impl Clause {
    fn apply(self, old: u32, is_dir: bool) -> u32 {
        let Who { user, group, other, named } = self.who;
        let spread = |digit: u32| {
            (if user { digit << 6 } else { 0 }) | (if group { digit << 3 } else { 0 }) | (if other { digit } else { 0 })
        };
        let special = (if user { 0o4000 } else { 0 }) | (if group { 0o2000 } else { 0 });
        let (digit, high) = match self.what {
            What::Copied(shift) => ((old >> shift) & 7, 0),
            What::Bits { rwx, search, set_id, sticky } => {
                let execute = u32::from(search && (is_dir || old & 0o111 != 0));
                let set_id = if set_id { special } else { 0 };
                // The sticky bit belongs to others, or to nobody in particular.
                let sticky = if sticky && (other || !named) { 0o1000 } else { 0 };
                (rwx | execute, set_id | sticky)
            }
        };
        let bits = spread(digit) | high;
        match self.deed {
            Deed::Add => old | bits,
            Deed::Remove => old & !bits,
            Deed::Set => {
                // A directory keeps what makes its files inherit, unless told otherwise by name, as with GNU.
                let cleared = spread(7) | if is_dir { 0 } else { special } | if other { 0o1000 } else { 0 };
                (old & !cleared) | bits
            }
        }
    }
}
