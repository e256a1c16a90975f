//! RUN --mount.

use super::*;

#[track_caller]
fn mounts(mount: &str) -> Vec<StepMount> {
    let text = format!("FROM base AS one\nRUN a\nFROM base\nWORKDIR /w\nARG v=x\nRUN --mount={mount} cmd\n");
    case(&text).files(&["f=1", "d/a=2", "d/b/c=3", "l -> d"]).step().mounts
}

#[track_caller]
fn mount(text: &str) -> StepMount {
    let mut mounts = mounts(text);
    assert_eq!(mounts.len(), 1);
    mounts.remove(0)
}

fn names(mount: &StepMount) -> Vec<&str> {
    match &mount.what {
        Mounted::Source(files) => files.iter().map(|file| file.name.as_str()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bind_shows_files_of_the_context_or_of_another_tree() {
    let table: [(&str, &str, &[&str]); 5] = [
        ("target=/m", "/m", &["d/a", "d/b/c", "f", "l"]),
        ("type=bind,target=/m,source=d", "/m", &["a", "b/c"]),
        ("type=bind,src=/l/b,dst=m", "/w/m", &["c"]),
        ("source=../f,target=/m/f", "/m/f", &[""]),
        ("source=f,target=${v}/f", "/w/x/f", &[""]),
    ];
    for (text, path, files) in table {
        let mount = mount(text);
        assert_eq!((mount.path.as_str(), names(&mount).as_slice(), mount.write), (path, files, false), "{text}");
    }
    assert!(mount("target=/m,rw").write);
    for (text, of, source) in [
        ("from=one,target=/m", Footing::Stage(0), "/"),
        ("from=0,source=usr/../a,target=/m", Footing::Stage(0), "/a"),
        ("from=base,source=/a/,target=/m", Footing::Image(image("base")), "/a"),
    ] {
        assert_eq!(mount(text).what, Mounted::Tree { of, source: source.to_owned() }, "{text}");
    }
}

#[test]
fn caches_are_named_by_their_id() {
    let name = |text: &str| match mount(text).what {
        Mounted::Cache { name, .. } => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(name("type=cache,target=/a"), name("type=cache,target=/b,id=/a"));
    assert_ne!(name("type=cache,target=/a"), name("type=cache,target=/b"));
    // No id is a way out of the folder of caches, and none meets another for its odd letters.
    assert_ne!(name("type=cache,target=/a,id=../../etc"), name("type=cache,target=/a,id=etc"));
    assert!(!name("type=cache,target=/a,id=../../etc").contains(['/', '.']));
    for (text, wanted) in [
        ("", plan::Sharing::Shared),
        (",sharing=locked", plan::Sharing::Locked),
        (",sharing=private", plan::Sharing::Locked),
    ] {
        let found = mount(&format!("type=cache,target=/a,uid=7,mode=0700{text}"));
        assert!(found.write);
        let Mounted::Cache { sharing, owner, mode, .. } = found.what else { panic!() };
        assert_eq!((sharing, owner, mode), (wanted, (7, 0), 0o700));
    }
    assert!(!mount("type=cache,target=/a,ro").write);
}

#[test]
fn memory_and_secrets_are_mounted_where_is_said_or_usual() {
    let tmpfs = mount("type=tmpfs,target=t,size=1m");
    assert_eq!((tmpfs.path.as_str(), tmpfs.what, tmpfs.write), ("/w/t", Mounted::Tmpfs { size: Some(1 << 20) }, true));
    let table: [(&str, &str, &str, Option<&str>); 5] = [
        ("type=secret,id=a", "/run/secrets/a", "a", None),
        ("type=secret,target=/x/b", "/x/b", "b", None),
        ("type=secret,src=a,dst=b", "/w/b", "a", None),
        ("type=secret,id=$v", "/run/secrets/x", "x", None),
        ("type=secret,id=a,env=A", "/run/secrets/a", "a", Some("A")),
    ];
    for (text, path, id, env) in table {
        let mount = mount(text);
        let wanted = Mounted::Secret {
            id: id.to_owned(),
            required: false,
            owner: (0, 0),
            mode: 0o400,
            env: env.map(str::to_owned),
        };
        assert_eq!((mount.path.as_str(), mount.what, mount.write), (path, wanted, false), "{text}");
    }
}

#[test]
fn a_secret_with_a_variable_and_a_place_is_given_in_both() {
    let both = mounts("type=secret,id=a,env=A,target=/x");
    let seen: Vec<_> = both
        .iter()
        .map(|mount| match &mount.what {
            Mounted::Secret { id, env, .. } => (mount.path.as_str(), id.as_str(), env.as_deref()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seen, [("/x", "a", Some("A")), ("/x", "a", None)]);
}

#[test]
fn what_cannot_be_mounted_is_refused_with_its_line() {
    let table = [
        ("type=tmpfs,target=/dev", "`/dev` cannot be mounted on"),
        ("type=tmpfs,target=/proc/self", "`/proc/self` cannot be mounted on"),
        ("type=tmpfs,target=../sys", "`/sys` cannot be mounted on"),
        ("type=tmpfs,target=..", "`/` cannot be mounted on"),
        ("target=$nothing", "the mount has no target"),
        ("type=cache,target=/a,from=base", "not supported"),
        ("target=/a,source=nothing", "there is no `nothing` in the source"),
        ("target=/a,from=later", "`later` is this stage or one that comes after it"),
        ("target=/a,from=1", "`1` is this stage or one that comes after it"),
    ];
    for (text, what) in table {
        let error =
            case(&format!("FROM base\nWORKDIR /w\nRUN --mount={text} x\nFROM base AS later\n")).target("0").error();
        assert!(error.starts_with("line 3: ") && error.contains(what), "{text}: {error}");
    }
}
