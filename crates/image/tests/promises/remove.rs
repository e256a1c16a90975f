//! Finding and removing in trees with traps.

use std::fs;
use std::os::unix::fs::symlink;

use crate::common::{Lab, look};
use till_image::{find_matching, remove_matching};

#[test]
fn nothing_outside_is_found_or_removed() {
    let lab = Lab::new();
    let (outside, root) = (lab.tree("outside"), lab.tree("root"));
    fs::write(outside.join("secret"), "").unwrap();
    symlink(&outside, root.join("link")).unwrap();
    symlink("../outside", root.join("up")).unwrap();
    symlink("/proc/self/root", root.join("magic")).unwrap();
    fs::create_dir(root.join("dir")).unwrap();
    symlink(&outside, root.join("dir/link")).unwrap();
    let before = look(&outside);
    for pattern in ["/link/*", "/up/*", "/up/secret", "/link/secret", "/magic/tmp/*"] {
        assert_eq!(find_matching(&root, pattern).unwrap(), Vec::<String>::new());
        assert_eq!(remove_matching(&root, pattern).unwrap(), 0);
    }
    assert_eq!(find_matching(&root, "/*/*").unwrap(), ["/dir/link"]);
    assert_eq!(remove_matching(&root, "/*").unwrap(), 4);
    assert_eq!(look(&outside), before);
    assert!(look(&root).is_empty());
}

#[test]
fn patterns_find_in_any_part_and_remove_by_the_last() {
    let lab = Lab::new();
    let root = lab.tree("root");
    for path in ["var/cache/a.deb", "var/cache/b.deb", "var/cache/.hidden", "var/lib/a.deb", "usr/x"] {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), "").unwrap();
    }
    symlink("/var/cache", root.join("usr/cache")).unwrap();
    assert_eq!(
        find_matching(&root, "/var/*/?.deb").unwrap(),
        ["/var/cache/a.deb", "/var/cache/b.deb", "/var/lib/a.deb"]
    );
    assert_eq!(find_matching(&root, "/usr/cache/a.deb").unwrap(), ["/usr/cache/a.deb"]);
    assert_eq!(find_matching(&root, "/").unwrap(), ["/"]);
    assert_eq!(remove_matching(&root, "/usr/cache/*.deb").unwrap(), 2);
    assert_eq!(remove_matching(&root, "/gone/*").unwrap(), 0);
    assert_eq!(remove_matching(&root, "/usr/x/y").unwrap(), 0);
    assert_eq!(remove_matching(&root, "/var/cache").unwrap(), 1);
    assert!(!root.join("var/cache").exists());
    for bad in ["relative", "/a/../b", "/*/x", "/", "/a\0b"] {
        assert!(remove_matching(&root, bad).is_err(), "{bad}");
    }
}

#[test]
fn no_depth_is_too_deep() {
    let lab = Lab::new();
    let root = lab.tree("root");
    // Deeper than descriptors and paths go: made from within.
    let mut dir = rustix::fs::open(&root, rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
    for _ in 0..3000 {
        rustix::fs::mkdirat(&dir, "d", rustix::fs::Mode::RWXU).unwrap();
        rustix::fs::mkdirat(&dir, "e", rustix::fs::Mode::RWXU).unwrap();
        dir = rustix::fs::openat(&dir, "d", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
    }
    assert_eq!(remove_matching(&root, "/d").unwrap(), 1);
    assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
}
