//! Who a user is inside an image: `/etc/passwd` and `/etc/group` of the image, read without leaving it.

use std::io::Read;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::ContainerError;

/// A user of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Further groups.
    pub(super) groups: Vec<u32>,
    pub(super) home: String,
}

/// The user of that name or number in the image at `root`; a group may follow after a `:`.
pub(super) fn find(root: &Path, name: &str) -> Result<User, ContainerError> {
    match name.split_once(':') {
        Some((name, group)) if !group.is_empty() => {
            // With a group of its own it has no others, as with Docker.
            Ok(User { gid: self::group(root, group)?, groups: Vec::new(), ..find(root, name)? })
        }
        Some((name, _)) => find(root, name),
        None => user(root, if name.is_empty() { "root" } else { name }),
    }
}

/// The ids that `--chown` means: a number that is no user of the image is a group, too.
pub(super) fn owner(root: &Path, name: &str) -> Result<(u32, u32), ContainerError> {
    match name.parse() {
        Ok(number) => Ok((number, number)),
        Err(_) => find(root, name).map(|user| (user.uid, user.gid)),
    }
}

fn group(root: &Path, name: &str) -> Result<u32, ContainerError> {
    let text = text(root, "etc/group");
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    });
    found.or_else(|| name.parse().ok()).ok_or_else(|| ContainerError::Group(name.to_owned()))
}

fn user(root: &Path, name: &str) -> Result<User, ContainerError> {
    let passwd = text(root, "etc/passwd");
    let entry = passwd.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let &[login, _, uid, gid, _, home, ..] = fields.as_slice() else {
            return None;
        };
        (login == name || uid == name).then(|| (login.to_owned(), uid.parse().ok(), gid.parse().ok(), home.to_owned()))
    });
    match entry {
        Some((login, Some(uid), Some(gid), home)) => Ok(User {
            uid,
            gid,
            groups: groups(&text(root, "etc/group"), &login),
            home: if home.is_empty() { "/".to_owned() } else { home },
        }),
        _ if name == "root" => Ok(numeric(0)),
        _ => name.parse().map(numeric).map_err(|_| ContainerError::User(name.to_owned())),
    }
}

fn numeric(uid: u32) -> User {
    // As with Docker: who is no user of the image is of the group root.
    User { uid, gid: 0, groups: Vec::new(), home: if uid == 0 { "/root" } else { "/" }.to_owned() }
}

fn groups(text: &str, login: &str) -> Vec<u32> {
    text.lines()
        .filter_map(|line| {
            let fields: Vec<_> = line.split(':').collect();
            let &[_, _, gid, members] = fields.as_slice() else {
                return None;
            };
            members.split(',').any(|member| member == login).then(|| gid.parse().ok())?
        })
        .collect()
}

/// A file of the image, however its symlinks lead; at most 1 MiB; nothing when it is not there.
fn text(root: &Path, path: &str) -> String {
    let mut text = Vec::new();
    if let Some(file) = open_inside(root, path) {
        let _ = file.take(1 << 20).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Opens a plain file of the image, however its symlinks lead.
pub(super) fn open_inside(root: &Path, path: &str) -> Option<std::fs::File> {
    let root = rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = std::fs::File::from(rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve).ok()?);
    file.metadata().ok()?.is_file().then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_groups() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("etc/real"), "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n")
            .unwrap();
        std::os::unix::fs::symlink("/etc/real", root.path().join("etc/passwd")).unwrap();
        std::fs::write(root.path().join("etc/group"), "app:x:1001:\nweb:x:33:www,app\n").unwrap();
        let app = find(root.path(), "app").unwrap();
        assert_eq!(
            (app.uid, app.gid, app.groups.as_slice(), app.home.as_str()),
            (1000, 1001, [33].as_slice(), "/home/app")
        );
        assert_eq!(find(root.path(), "1000").unwrap(), app);
        let nobody = find(root.path(), "77").unwrap();
        assert_eq!((nobody.uid, nobody.gid), (77, 0));
        assert!(matches!(find(root.path(), "nobody-here"), Err(ContainerError::User(_))));
    }
}
