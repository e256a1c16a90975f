//! Whether a program of an instance can be started, seen without trying: what the kernel would look at, in words.

use std::io::Read;
use std::path::Path;

use rustix::fs::{FileType, fstat};
use till_core::port::{Obstacle, Program, Unstartable};
use till_image::IdShift;

use super::users::{self, User};
use super::{ContainerError, places};

/// As much of a file as the kernel looks at for `#!`.
const HEAD: u64 = 256;

/// What keeps the user from starting the program; `upper` is what was written in this instance.
pub(super) fn look(
    root: &Path,
    upper: &Path,
    ids: IdShift,
    program: &Program<'_>,
) -> Result<Option<Unstartable>, ContainerError> {
    let user = users::find(root, program.user)?;
    let site = Site { root, ids, user: &user, program };
    let mut first = None;
    for path in candidates(program) {
        match site.obstacle(&path) {
            None => return Ok(None),
            Some(Obstacle::Missing) => {}
            Some(why) => drop(first.get_or_insert((path, why))),
        }
    }
    let (path, why) = first.unwrap_or_else(|| {
        let path = candidates(program).next().filter(|_| program.name.contains('/'));
        (path.unwrap_or_else(|| program.name.to_owned()), Obstacle::Missing)
    });
    let written = places::existing(upper, &path).is_ok();
    Ok(Some(Unstartable { path, why, written }))
}

/// The paths that a name may mean, in the order in which they are tried.
fn candidates<'a>(program: &'a Program<'_>) -> impl Iterator<Item = String> + 'a {
    let is_path = program.name.contains('/');
    let own = is_path.then(|| match program.name.starts_with('/') {
        true => program.name.to_owned(),
        false => join(program.dir, program.name),
    });
    let searched = program.search.split(':').filter(move |_| !is_path).map(|folder| {
        let folder = if folder.is_empty() { program.dir } else { folder };
        join(folder, program.name)
    });
    own.into_iter().chain(searched)
}

fn join(folder: &str, name: &str) -> String {
    format!("{}/{name}", folder.trim_end_matches('/'))
}

struct Site<'a> {
    root: &'a Path,
    ids: IdShift,
    user: &'a User,
    program: &'a Program<'a>,
}

impl Site<'_> {
    fn obstacle(&self, path: &str) -> Option<Obstacle> {
        let Ok(handle) = places::existing(self.root, path) else {
            return Some(Obstacle::Missing);
        };
        let Ok(stat) = fstat(&handle) else {
            return Some(Obstacle::Missing);
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Some(Obstacle::NoFile);
        }
        let mode = stat.st_mode & 0o7777;
        if !self.may_execute(mode, stat.st_uid, stat.st_gid) {
            return Some(Obstacle::Mode { user: self.program.user.to_owned(), mode });
        }
        let mut head = Vec::new();
        let file = users::open_inside(self.root, path.trim_start_matches('/'))?;
        file.take(HEAD).read_to_end(&mut head).ok()?;
        self.beginning(&head)
    }

    fn may_execute(&self, mode: u32, uid: u32, gid: u32) -> bool {
        let is = |inside: u32, outside: u32| self.ids.outside(inside).is_ok_and(|id| id == outside);
        let bits = match self.user {
            user if user.uid == 0 => 0o111,
            user if is(user.uid, uid) => 0o100,
            user if is(user.gid, gid) || user.groups.iter().any(|group| is(*group, gid)) => 0o010,
            _ => 0o001,
        };
        mode & bits != 0
    }

    /// What is wrong with how a file begins.
    fn beginning(&self, head: &[u8]) -> Option<Obstacle> {
        if head.starts_with(b"\x7fELF") {
            return None;
        }
        let Some(line) = head.strip_prefix(b"#!") else {
            return Some(Obstacle::Format);
        };
        let end = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
        let line = String::from_utf8_lossy(&line[..end]).into_owned();
        if let Some(plain) = line.strip_suffix('\r') {
            return Some(Obstacle::CarriageReturn(plain.trim().to_owned()));
        }
        let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
        let interpreter = words.next()?;
        let missing = |path: &str| places::existing(self.root, path).is_err();
        if interpreter.starts_with('/') && missing(interpreter) {
            return Some(Obstacle::Interpreter(interpreter.to_owned()));
        }
        // `#!/usr/bin/env NAME` is as good as a name that is looked for.
        let name = words.next().filter(|_| interpreter.ends_with("/env"))?;
        let searched = !name.starts_with('-') && !name.contains(['=', '/']);
        let found = self.program.search.split(':').any(|folder| !missing(&join(folder, name)));
        (searched && !found && !self.program.search.is_empty()).then(|| Obstacle::Interpreter(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What keeps user 7 from starting a file with this text and mode.
    fn seen(text: &str, mode: u32) -> Option<Obstacle> {
        let folder = tempfile::tempdir().unwrap();
        let (root, upper) = (folder.path().join("root"), folder.path().join("upper"));
        for path in ["bin/sh", "usr/bin/env", "usr/bin/perl"] {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::fs::create_dir_all(&upper).unwrap();
        std::fs::write(root.join("x"), text).unwrap();
        std::fs::set_permissions(root.join("x"), PermissionsExt::from_mode(mode)).unwrap();
        let program = Program { name: "/x", search: "/usr/bin:/bin", dir: "/", user: "7" };
        look(&root, &upper, IdShift::none(), &program).unwrap().map(|seen| seen.why)
    }

    #[test]
    fn what_keeps_a_program_from_being_started_is_said() {
        let interpreter = |name: &str| Some(Obstacle::Interpreter(name.to_owned()));
        for (text, mode, why) in [
            ("#!/bin/sh\n", 0o755, None),
            ("#! /bin/sh -e", 0o755, None),
            ("\x7fELF", 0o755, None),
            ("#!/usr/bin/env perl\n", 0o755, None),
            ("#!/usr/bin/env -S perl -w\n", 0o755, None),
            ("#!/usr/bin/env A=1 perl\n", 0o755, None),
            ("#!/usr/bin/env ruby\n", 0o755, interpreter("ruby")),
            ("#!/bin/bash\n", 0o755, interpreter("/bin/bash")),
            ("#!/bin/sh\r\n", 0o755, Some(Obstacle::CarriageReturn("/bin/sh".to_owned()))),
            ("#!/usr/bin/env perl\r\n", 0o755, Some(Obstacle::CarriageReturn("/usr/bin/env perl".to_owned()))),
            ("#!/bin/sh\n", 0o644, Some(Obstacle::Mode { user: "7".to_owned(), mode: 0o644 })),
            ("#!/bin/sh\n", 0o700, Some(Obstacle::Mode { user: "7".to_owned(), mode: 0o700 })),
            ("echo hello\n", 0o755, Some(Obstacle::Format)),
            ("", 0o755, Some(Obstacle::Format)),
        ] {
            assert_eq!(seen(text, mode), why, "{text:?} {mode:o}");
        }
    }

    #[test]
    fn a_name_is_looked_for_and_a_path_is_taken_from_where_it_begins() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("srv/bin")).unwrap();
        std::fs::write(root.join("srv/bin/x"), "\x7fELF").unwrap();
        std::fs::set_permissions(root.join("srv/bin/x"), PermissionsExt::from_mode(0o755)).unwrap();
        for (name, search, dir, missing) in [
            ("x", "/bin:/srv/bin", "/", None),
            ("bin/x", "", "/srv", None),
            ("./bin/x", "", "/srv/", None),
            ("x", "/bin", "/srv/bin", Some("x")),
            ("x", ":/bin", "/srv/bin", None),
            ("/srv/x", "/srv/bin", "/", Some("/srv/x")),
        ] {
            let program = Program { name, search, dir, user: "root" };
            let seen = look(root, root, IdShift::none(), &program).unwrap();
            assert_eq!(seen.map(|seen| seen.path).as_deref(), missing, "{name} {search} {dir}");
        }
    }
}
